"""
How a group is counted: read, decided here, and written if it is still as it was read.

Most calls of a busy limit are refused, and those lock nothing and write nothing. A call that is let through writes by
one statement that does nothing where somebody was faster. Then PostgreSQL counts a single GCRA counter by itself; all
else, and where there is no such statement, is locked, in the order of its keys, before it is read.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, TypeVar, cast

from sqlalchemy.exc import DBAPIError

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.ratelimit.concurrency import release
from payaid_entitlements.core.ratelimit.deciding import decide
from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy, State
from payaid_entitlements.core.ratelimit.text import decode, encode
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores.limiter import Group, Ruling
from payaid_entitlements.stores.sql.failures import is_lost_race, mapped
from payaid_entitlements.stores.sql.ledger.again import TRIES, Overtaken
from payaid_entitlements.stores.sql.ledger.prepared import Asked, Prepared, Values
from payaid_entitlements.stores.sql.ledger.reading import Flow
from payaid_entitlements.stores.sql.ledger.rows import Row, text_of
from payaid_entitlements.stores.sql.limiter.sending import Alone, Sending
from payaid_entitlements.stores.sql.limiter.statements import Statements

T = TypeVar("T")

#: One call in so many that wrote something throws away what is over, from a place by chance, a page at most. A page
#: holds more rows than come between, so that those that are over never outnumber the others for long.
EVERY: Final = 500
#: Microseconds for which a counter is kept that is over: clocks of several hosts may differ by as much.
GRACE: Final = 60_000_000

#: After somebody was faster the database counts so many calls by itself, where it can. To write what is worked out here
#: takes less time, but for those who are overtaken.
IN_DEMAND: Final = 100

#: What owners are made of, and what comes behind them.
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
_BEHIND_ALL: Final = "~"


class Changed(NamedTuple):
    """A counter as it is to be written: its state, and when it will be as if nothing had been counted."""

    state: State
    expires: Instant


#: From the time and the states of a group to what is to be written, None for nothing, and the answer.
Change = Callable[[Instant, Sequence[State]], tuple[Sequence[Changed] | None, T]]


class Counting:
    """Counts in the database to which *sending* sends; *clock* tells the time where the database has none."""

    def __init__(self, statements: Statements, sending: Sending, clock: Callable[[], Instant] | None) -> None:
        self._statements = statements
        self._sending = sending
        self._clock = clock

    def hit(self, group: Group, cost: int, permit: int, now: Instant | None) -> Ruling:
        """Same as `Limiter.hit`."""
        seats = self._seats(group)
        policies = seats.policies

        def change(at: Instant, states: Sequence[State]) -> tuple[Sequence[Changed] | None, Ruling]:
            decided = decide(policies, states, at, cost, permit)
            ruling = Ruling(decided.is_allowed, at, decided.verdicts)
            if decided.states is None:
                return None, ruling
            ends = (at + verdict.reset_after for verdict in decided.verdicts)
            return [Changed(*each) for each in zip(decided.states, ends, strict=True)], ruling

        def told(at: Instant, state: State) -> Ruling:
            return Ruling(True, at, decide(policies, [state], at, 0).verdicts)

        sole = seats.sole_gcra
        if sole is None or self._statements.take is None or not cost:
            return self._changed(group, now, change)
        values: Values = {"quota": sole.quota, "taken": cost * sole.window, "room": sole.burst * sole.window}
        return self._changed(group, now, change, _Taking(self._statements.take, values, told))

    def give_back(self, group: Group, permit: int) -> None:
        """Same as `Limiter.give_back`."""
        policies = self._seats(group).policies

        def change(at: Instant, states: Sequence[State]) -> tuple[Sequence[Changed] | None, None]:
            left = [
                release(state, permit) if policy.algorithm is Algorithm.CONCURRENCY else state
                for policy, state in zip(policies, states, strict=True)
            ]
            ends = (verdict.reset_after for verdict in decide(policies, left, at, 0).verdicts)
            return [Changed(state, at + end) for state, end in zip(left, ends, strict=True)], None

        self._changed(group, None, change)

    def reset(self, group: Group) -> None:
        """Same as `Limiter.reset`."""
        size, seats = len(group.counters), self._seats(group)

        def flow() -> Flow[None]:
            yield Asked(self._statements.lock(size), {**seats.named, "now": self._at(None)})
            yield Asked(self._statements.drop(size), seats.named)

        with mapped():
            self._tried(lambda is_again: flow())

    def sweep(self, at: Instant) -> None:
        """Throw away what was over some time before *at*, of a page of the table from a place by chance on."""
        begin = "".join(random.choices(_LETTERS, k=4))
        with mapped():
            edge = self._sending.alone(lambda alone: alone.read(Asked(self._statements.edge, {"begin": begin})))
            end = text_of(edge[0][0]) if edge else _BEHIND_ALL
            values = {"begin": begin, "end": end, "before": at - GRACE}

            def flow() -> Flow[None]:
                yield Asked(self._statements.sweep, values)

            self._sending.together(flow())

    def _changed(self, group: Group, now: Instant | None, change: Change[T], taking: _Taking[T] | None = None) -> T:
        """
        The answer of *change* to how *group* stands, after what it says was written.

        Args:
            taking: How the database itself does the same where others do it too; None where it cannot.
        """
        seats = self._seats(group)
        with mapped():
            done = self._sending.alone(lambda alone: self._at_once(alone, seats, now, change, taking))
            if done is None:
                done = self._tried(lambda is_again: self._locked(seats, now, change, is_again=is_again))
        if done.has_written and random.random() * EVERY < 1:
            with suppress(StoreUnavailable):
                self.sweep(done.at)
        return done.answer

    def _at_once(
        self, alone: Alone, seats: _Seats, now: Instant | None, change: Change[T], taking: _Taking[T] | None
    ) -> _Done[T] | None:
        """Read, and write by one statement if nobody has written since, or as *taking* says; None if nothing was."""
        size, named = len(seats.keys), {**seats.named, "now": self._at(now)}
        rows = alone.read(Asked(self._statements.read(size), named))
        found = _texts(rows)
        seats.are_there = are_there = len(found) == size
        at = int((rows or alone.read(Asked(self._statements.clock, named)))[0][0])
        writing, answer = seats.changed(at, found, change)
        if writing is None:
            return _Done(answer, at, has_written=False)
        if not self._sending.commits_alone or not self._statements.can_swap(size):
            return None
        if are_there:
            asked = Asked(self._statements.swap(size), seats.swapped(found, writing))
        elif size == 1:
            asked = Asked(self._statements.add, writing[0])
        else:
            return None
        with _unless_lost():
            if taking is None or seats.in_demand <= 0 or not are_there:
                if alone.write(asked) == size:
                    return _Done(answer, at, has_written=True)
                seats.in_demand = IN_DEMAND
            if taking is not None:
                # Somebody was faster: who asks as before would be overtaken again.
                seats.in_demand -= 1
                for then, state in alone.write_and_read(Asked(taking.statement, {**named, **taking.values})):
                    return _Done(taking.told(then, decode(state)), then, has_written=True)
        return None

    def _locked(self, seats: _Seats, now: Instant | None, change: Change[T], *, is_again: bool) -> Flow[_Done[T]]:
        """
        Lock the counters, decide, and write; all take them in one order, so that nobody waits in a ring.

        Raises:
            Overtaken: One of them was thrown away meanwhile.
        """
        if is_again or not seats.are_there:
            yield Asked(self._statements.seat, [{**row, "state": "", "expires": 0} for row in seats.rows])
        locked = (yield Asked(self._statements.lock(len(seats.keys)), {**seats.named, "now": self._at(now)})).rows
        found = _texts(locked)
        if len(found) < len(seats.keys):
            raise Overtaken
        at = int(locked[0][0])
        writing, answer = seats.changed(at, found, change)
        if writing is not None:
            yield Asked(self._statements.put, writing)
        return _Done(answer, at, has_written=writing is not None)

    def _tried(self, begin: Callable[[bool], Flow[T]]) -> T:
        """
        Carry out a flow in a transaction; begin again where the database ended it because of others.

        Raises:
            StoreUnavailable: It was tried often enough.
        """
        for number in range(TRIES + 1):
            try:
                return self._sending.together(begin(number > 0))
            except Overtaken as error:
                last: Exception = error
            except DBAPIError as error:
                if not is_lost_race(error):
                    raise
                last = error
        raise StoreUnavailable(f"others were at the same counters each of {TRIES + 1} times") from last

    def _at(self, now: Instant | None) -> Instant | None:
        """The time to tell the database, which on SQLite has no clock of its own."""
        return self._clock() if now is None and self._clock is not None else now

    def _seats(self, group: Group) -> _Seats:
        if group.made is None:
            group.made = _Seats(group)
        return cast("_Seats", group.made)


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    """What was answered, and when; was anything written?"""

    answer: T
    at: Instant
    has_written: bool


@dataclass(frozen=True, slots=True)
class _Taking(Generic[T]):
    """A statement that takes units by itself, its values, and the answer where the state is as it says then."""

    statement: Prepared
    values: Values
    told: Callable[[Instant, State], T]


@contextmanager
def _unless_lost() -> Iterator[None]:
    """Nothing was written where the database let others go first."""
    try:
        yield
    except DBAPIError as error:
        if not is_lost_race(error):
            raise


class _Seats:
    """
    What is made of a group once.

    Attributes:
        policies: As the group has them.
        sole_gcra: The only one, where it is counted by GCRA.
        keys: In the order in which all lock them.
        named: The owner and the keys, as statements name them.
        rows: The owner and a key, for each of them.
        are_there: Were there counters for all of them when somebody last looked? They may be gone since.
        in_demand: For how many more calls others are expected to be faster.
    """

    def __init__(self, group: Group) -> None:
        self.are_there = False
        self.in_demand = 0
        self.policies = tuple(counter.policy for counter in group.counters)
        is_sole = len(self.policies) == 1 and self.policies[0].algorithm is Algorithm.GCRA
        self.sole_gcra: Policy | None = self.policies[0] if is_sole else None
        self._asked = tuple(counter.key for counter in group.counters)
        self.keys = tuple(sorted(self._asked))
        self.named: Values = {"owner": group.owner, **{f"key{place}": key for place, key in enumerate(self.keys)}}
        self.rows: Sequence[Values] = [{"owner": group.owner, "key": key} for key in self.keys]

    def changed(self, at: Instant, found: Mapping[str, str], change: Change[T]) -> tuple[Sequence[Values] | None, T]:
        """What is to be written, in the order of the keys, None where all stays as it was *found*; and the answer."""
        changed, answer = change(at, [decode(found.get(key, "")) for key in self._asked])
        if changed is None:
            return None, answer
        new = {key: (encode(state), expires) for key, (state, expires) in zip(self._asked, changed, strict=True)}
        if all(state == found.get(key, "") for key, (state, _) in new.items()):
            return None, answer
        return [
            {**row, "state": new[key][0], "expires": new[key][1]} for key, row in zip(self.keys, self.rows, strict=True)
        ], answer

    def swapped(self, found: Mapping[str, str], writing: Sequence[Values]) -> Values:
        """The values of `Statements.swap`."""
        values = dict(self.named)
        for place, (key, row) in enumerate(zip(self.keys, writing, strict=True)):
            values[f"old{place}"] = found[key]
            values[f"new{place}"] = row["state"]
            values[f"expires{place}"] = row["expires"]
        return values


def _texts(rows: Sequence[Row]) -> dict[str, str]:
    """From rows (now, key, state)."""
    return {text_of(key): text_of(state) for _, key, state in rows}
