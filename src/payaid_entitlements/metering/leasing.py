"""
Local leases: a process takes a block of units of a hot meter at once, and spends them in memory.

A block is counted by the ledger before a unit of it is spent, so a limit is never exceeded, whatever dies; what is
unspent when the lease ends is refunded. A process that is killed gives nothing back: at most one block for each tenant
and feature stays counted, though unused. Nothing can free that by itself, since nobody knows what the dead one spent.

Nothing else knows of leases. To the ledger a lease is an act like any other, with an operation of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeGuard, cast
from uuid import uuid4

from payaid_entitlements.answering import look
from payaid_entitlements.cache.counting import Post
from payaid_entitlements.cache.local import NEVER
from payaid_entitlements.cache.seen.sightings import note_use
from payaid_entitlements.core.identity import Operation, identify, operation_id
from payaid_entitlements.core.metering.leased import LeasedUsage, keep, new
from payaid_entitlements.core.metering.posting import Refund
from payaid_entitlements.core.metering.usage import Usage, usage
from payaid_entitlements.errors import ConfigurationError, OperationConflict, StoreUnavailable, UnknownOperation
from payaid_entitlements.forking import after_fork
from payaid_entitlements.metering.act import act
from payaid_entitlements.metering.consuming import count
from payaid_entitlements.metering.showing import show
from payaid_entitlements.view import require_key

if TYPE_CHECKING:
    from payaid_entitlements.cache.local import Entry
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.cache.steps import Flow
    from payaid_entitlements.core.metering.lots import Metered
    from payaid_entitlements.core.metering.posting import Filled
    from payaid_entitlements.core.values import Amount
    from payaid_entitlements.metering.hearing import Handlers

#: Operations that a process remembers of one tenant and feature, at least; twice as many at most.
REMEMBERED: Final = 2_000
#: So many features of tenants are leased at most, those that came last; others are counted as ever.
MOST_METERS: Final = 1_000
#: Seconds without a lease after nothing, or too little, was left to take one.
_REST: Final = 1.0
#: What an act is remembered as that was not spent from a lease: the ledger knows it.
_ELSEWHERE: Final = 0
#: Units that are owed of a block of which it is not known how many were taken.
_ALL: Final = 0
_MICROSECONDS: Final = 1_000_000
#: A kind and a number, such as ``("message", 17)``.
_USUAL_PARTS: Final = 2
#: Operations that are looked at quickly: so many parts of so many letters stay below what an operation may have.
_MOST_PARTS: Final = _USUAL_PARTS
_LONGEST_WORD: Final = 48
_LARGE: Final = 2**63
_MOST_LETTERS: Final = 255
#: The longest word that identifies nobody has so many letters.
_LONGEST_NOBODY: Final = 9


@dataclass(frozen=True, slots=True)
class Lease:
    """
    How a feature is leased.

    Attributes:
        units: Whole units that a process takes at once, at least 1: so many are stranded where it is killed.
        life: After which they are given back, more than 0 and at most a day.
    """

    units: int
    life: timedelta = timedelta(seconds=10)

    def __post_init__(self) -> None:
        if type(self.units) is not int or self.units < 1:
            raise ConfigurationError(f"Lease(units={self.units!r}): a block is a whole number of units, at least 1")
        if not timedelta(0) < self.life <= timedelta(days=1):
            raise ConfigurationError(f"Lease(life={self.life!r}): a timedelta of more than 0 and at most a day")


class _Block:
    """
    Units that were taken at once.

    Attributes:
        left: Smallest units that are not spent.
        until: By the cache's clock; from then on nothing of it is spent.
        entry: The facts by which it was taken; when they are not near any more it is over.
    """

    __slots__ = ("entry", "filled", "left", "metered", "operation", "scale", "until")

    def __init__(self, operation: str, metered: Metered, filled: Filled, entry: Entry | None, until: float) -> None:
        self.operation = operation
        self.metered = metered
        self.filled = filled
        self.left = filled.amount
        self.scale: int = 10**metered.feature.decimals
        self.entry = entry
        self.until = until

    def usage(self, unspent: int, taken: int, replayed: bool) -> Usage:
        """What is used, where *unspent* units of this block are counted by the ledger, and by nobody else."""
        balances = list(self.filled.balances)
        places = {account: index for index, account in enumerate(self.metered.accounts)}
        # As a refund goes: what was burnt last comes back first.
        for take in reversed(self.filled.takes):
            back = min(unspent, take.used // take.cost)
            unspent -= back
            place = places[take.meter, take.lot]
            balances[place] = replace(balances[place], used=balances[place].used - back * take.cost)
        return usage(self.metered, balances, taken=taken, replayed=replayed)


class _Meter:
    """
    One feature of one tenant, in this process.

    Attributes:
        lock: Of whoever spends from the block, or ends it.
        acts, older: Units of each act that was spent from a block; `_ELSEWHERE` for those that the ledger knows.
        is_taking: Somebody asks for a block; who comes meanwhile does not wait for it.
        rests_until: No block is asked for until then.
        scale: Smallest units of one unit.
    """

    __slots__ = ("acts", "block", "is_taking", "lock", "older", "rests_until", "scale")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.block: _Block | None = None
        self.acts: dict[object, int] = {}
        self.older: dict[object, int] = {}
        self.is_taking = False
        self.rests_until = NEVER
        self.scale = 1

    @property
    def is_idle(self) -> bool:
        """Nothing is leased, or about to be."""
        return self.block is None and not self.is_taking

    def known(self, name: object) -> int | None:
        """What became of an act; None where it was not seen, or long ago."""
        return self.acts.get(name, self.older.get(name))

    def age(self) -> None:
        """Forget the acts of long ago. With the lock."""
        if len(self.acts) >= REMEMBERED:
            self.older, self.acts = self.acts, {}


class Leases:
    """
    The leases of this process.

    Args:
        terms: By feature; an int is that many units.

    Raises:
        ConfigurationError: A key is none, or terms are impossible.
    """

    def __init__(self, setting: Setting, handlers: Handlers, terms: Mapping[str, Lease | int]) -> None:
        for feature in terms:
            require_key(feature)
        self.terms = {key: each if isinstance(each, Lease) else Lease(each) for key, each in terms.items()}
        self._setting = setting
        self._handlers = handlers
        self._near = setting.near
        self._clock = setting.near.clock
        self.forget()
        after_fork(self.forget)

    def forget(self) -> None:
        """Know of no lease, as after a fork: those of the parent are the parent's to spend."""
        self._meters: dict[tuple[str, str], _Meter] = {}
        #: Blocks that are over, and could not be given back yet.
        self._owed: list[tuple[str, str, str, int]] = []

    def spend(self, tenant: str, feature: str, amount: object, operation: object) -> LeasedUsage | None:
        """
        Spend from what is here. No I/O.

        Returns:
            None where that is not possible: `consume` then says how it is.

        Raises:
            OperationConflict: The operation was spent before, in another amount.
        """
        meter = self._meters.get((tenant, feature))
        if meter is None:
            return None
        block = meter.block
        near = self._near
        if (
            block is None
            or near.held.get(tenant) is not block.entry
            or not block.until > near.clock() < near.lease
            or type(amount) is not int
            or amount < 1
        ):
            return None
        if (
            type(operation) is tuple
            and len(operation) == _USUAL_PARTS
            and type(operation[1]) is int
            and operation[0] in _words
        ):
            name: object = operation
        else:
            name = operation if _is_plain(operation) else operation_id(operation)
        units = amount * block.scale
        # The one place that spends, and the one that ends a block (`_take_away`), hold the lock.
        with meter.lock:
            left = block.left - units
            if left < 0:
                return None
            acts = meter.acts
            many = len(acts)
            # A name is hashed anew each time: one call says whether it is there, and puts it there.
            before = acts.setdefault(name, units)
            if len(acts) != many:
                if name not in meter.older:
                    block.left = left
                    if many >= REMEMBERED:
                        meter.age()
                    spent = new(LeasedUsage)
                    keep(spent, (block, left, units, False))
                    return spent
                before = acts[name] = meter.older[name]
            left = block.left
        if before == _ELSEWHERE:
            return None
        if before != units:
            raise _conflict(operation)
        spent = new(LeasedUsage)
        keep(spent, (block, left, units, True))
        return spent

    def consume(self, tenant: str, feature: str, amount: Amount, operation: Operation) -> Flow[Usage]:
        """
        Spend, after taking a block where one can be had; else count as ever.

        Raises:
            Refused, StoreUnavailable, OutcomeUnknown, TypeError, ConfigurationError: As `count` does.
            OperationConflict: The operation was something else before.
        """
        asked = act(tenant, "consume", {feature: amount}, operation)
        meter = self._meter(tenant, feature)
        if meter is None:
            return (yield from count(self._setting, self._handlers, asked)).or_raise()[feature]
        name = operation if _is_plain(operation) else asked.operation
        if meter.known(name) is None and type(amount) is int and 1 <= amount <= self.terms[feature].units:
            spent = yield from self._from_block(meter, tenant, feature, amount, operation)
            if spent is not None:
                # Once for each block; who spends from it costs nothing more.
                note_use(self._setting.sightings, self._setting.near.world, tenant, feature)
                return spent
        with meter.lock:
            known = meter.known(name)
            if known is None:
                meter.acts[name] = known = _ELSEWHERE
                meter.age()
        if known and type(amount) in {int, Decimal}:
            # Spent from a block, maybe one that is over: no ledger knows the act.
            if amount * meter.scale != known:
                raise _conflict(operation)
            said = yield from show(self._setting, tenant, (feature,), None)
            return replace(said[feature], replayed=True, taken=amount)
        outcome = yield from count(self._setting, self._handlers, asked)
        return outcome.or_raise()[feature]

    @property
    def is_idle(self) -> bool:
        """Nothing is here that would have to be given back some time."""
        return not self._owed and all(meter.block is None for meter in list(self._meters.values()))

    def end(self) -> Flow[None]:
        """Give back all that is unspent, as when the client is closed. What could not be given back stays counted."""
        for meter_key in list(self._meters):
            self._take_away(meter_key)
        yield from self._pay_back()
        if self._owed:
            self._setting.observer.once("lease.stranded", blocks=len(self._owed))

    def end_overdue(self) -> Flow[float | None]:
        """Give back what is over; say in how many seconds the next one is, None where there is none."""
        now = self._clock()
        ends = []
        for meter_key, meter in list(self._meters.items()):
            block = meter.block
            if block is None:
                continue
            if now >= block.until:
                self._take_away(meter_key)
            else:
                ends.append(block.until - now)
        yield from self._pay_back()
        if self._owed:
            ends.append(_REST)
        return min(ends, default=None)

    def _meter(self, tenant: str, feature: str) -> _Meter | None:
        meters = self._meters
        meter = meters.get((tenant, feature))
        if meter is None and len(meters) >= MOST_METERS:
            gone = next((each for each, idle in list(meters.items()) if idle.is_idle), None)
            if gone is None:
                return None
            meters.pop(gone, None)
        return meters.setdefault((tenant, feature), _Meter()) if meter is None else meter

    def _from_block(
        self, meter: _Meter, tenant: str, feature: str, amount: int, operation: Operation
    ) -> Flow[Usage | None]:
        near = self._near
        if meter.block is not None and not near.clock() < near.lease:
            # The change log is to be looked at; the block may be good for longer.
            yield from look(self._setting, tenant)
            if (spent := self.spend(tenant, feature, amount, operation)) is not None:
                return spent
        with meter.lock:
            if meter.is_taking:
                return None
            meter.is_taking = True
        try:
            self._take_away((tenant, feature))
            yield from self._pay_back()
            if self._clock() >= meter.rests_until:
                yield from self._take(meter, tenant, feature)
        finally:
            meter.is_taking = False
        return self.spend(tenant, feature, amount, operation)

    def _take(self, meter: _Meter, tenant: str, feature: str) -> Flow[None]:
        """Take a block, where the feature is sold and that is enforced; else, and where little is left, rest."""
        near, begun, terms = self._near, self._clock(), self.terms[feature]
        meter.rests_until = begun + _REST
        name = operation_id(("lease", uuid4()))
        taking = act(tenant, "lease", {feature: terms.units}, name, when_short="cap")
        try:
            outcome = yield from count(self._setting, self._handlers, taking)
        except BaseException as error:
            # Interrupted, or no answer: what may have been taken is given back as a whole.
            self._owed.append((tenant, feature, name, _ALL))
            if isinstance(error, StoreUnavailable):
                return
            raise
        if outcome.posted is None:
            return
        (want,), (filled,) = outcome.wants, outcome.posted.filled
        entry = near.held.get(tenant)
        counted = None if entry is None or entry.counted is None else entry.counted.get(feature)
        # A flag may refuse from one moment to the next, and no entry changes by it: such a feature is counted as ever.
        is_narrowed = entry is not None and feature in entry.table.world.narrowed
        until = begun + min(terms.life.total_seconds(), (want.metered.holds.end - self._setting.now()) / _MICROSECONDS)
        with meter.lock:
            meter.scale = 10**want.metered.feature.decimals
            meter.block = _Block(name, want.metered, filled, entry, until)
        self._setting.observer.count("lease.taken", feature)
        # By facts that are near still, so that it is noticed when they change; and only where a refusal would be one.
        is_good = counted is want.metered and want.decision.settled and want.is_enforced and not is_narrowed
        if not is_good:
            self._take_away((tenant, feature))
            yield from self._pay_back()
        elif filled.amount == want.units:
            meter.rests_until = NEVER

    def _take_away(self, meter_key: tuple[str, str]) -> None:
        """End the block, so that nothing more of it is spent; what is left of it is owed."""
        meter = self._meters.get(meter_key)
        if meter is None:  # pragma: no cover # it was idle, and made room for another at this moment
            return
        with meter.lock:
            block, meter.block = meter.block, None
            if block is not None and block.left:
                self._owed.append((*meter_key, block.operation, block.left))
                block.left = 0

    def _pay_back(self) -> Flow[None]:
        """Refund what is owed. Where that fails it is owed further: a refund that is repeated moves nothing twice."""
        for debt in list(self._owed):
            tenant, feature, name, units = debt
            refund = Refund(name, None if units == _ALL else ((feature, units),))
            try:
                yield Post(tenant, (refund,), now=self._setting.told_time())
            except StoreUnavailable:
                return
            except UnknownOperation:
                # It was never taken, or all usage of the tenant was erased.
                pass
            with suppress(ValueError):  # another thread has paid it meanwhile
                self._owed.remove(debt)


def _conflict(operation: object) -> OperationConflict:
    return OperationConflict(f"operation {operation!r} was used before for another amount")


#: Words of operations that were looked at, such as the kinds of acts, of which a program has few.
_words: set[str] = set()


def _is_plain(operation: object) -> TypeGuard[Operation]:
    """
    Is *operation* one that `operation_id` takes, and by itself a good name? False where that is not sure at once.

    A quarter of what `operation_id` costs, for those that most programs have.
    """
    kind = type(operation)
    if kind is tuple:
        parts = cast("tuple[object, ...]", operation)
        if not 0 < len(parts) <= _MOST_PARTS:
            return False
        for part in parts:
            if type(part) is int:
                if not -_LARGE < part < _LARGE:
                    return False
            elif type(part) is not str or (part not in _words and not _is_word(part)):
                return False
        return True
    if kind is str:
        text = cast("str", operation)
        return (
            _LONGEST_NOBODY < len(text) <= _MOST_LETTERS
            and text.isprintable()
            and " " not in text
            and "None" not in text
            and "null" not in text
            and "undefined" not in text
        )
    return False


def _is_word(part: str) -> bool:
    if len(part) > _LONGEST_WORD or not part.isascii():
        return False
    identify("operation part", part)
    if len(_words) < REMEMBERED:
        _words.add(part)
    return True
