"""
A ledger as somebody would write it who has all the time in the world: no balance is kept, each is counted anew.

It takes units one by one, and knows nothing of how `core.metering.book` does it; only the port's types are common.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from payaid_entitlements.core.metering.posting import AccountId, Debit, Line, Short


@dataclass
class Unit:
    """A unit of a feature that was taken: from which account, at which cost, and whether beyond all caps."""

    account: AccountId
    cost: int
    beyond: bool


@dataclass
class Act:
    """Something that was done by an operation. Its units are used, unless it is a hold."""

    kind: str
    asked: Any
    said: Any
    units: dict[str, list[Unit]] = field(default_factory=dict)
    debit: Debit | None = None
    expires: int = 0
    state: str = "done"  # or, of holds: open, settled, released
    charged: int = 0
    returned: dict[str, int] | None = None


class Refusal(Exception):
    """Something that cannot be done; its text is the name of the error."""


class Naive:
    """What a ledger has to answer for one tenant."""

    def __init__(self) -> None:
        self.acts: dict[str, Act] = {}
        self.moved: list[tuple[AccountId, int]] = []  # by corrections
        self.caps: dict[AccountId, int | None] = {}
        self.opened: dict[AccountId, int] = {}
        self.over: dict[AccountId, int] = {}
        self.seats: dict[tuple[str, str], tuple[int, int | None]] = {}

    # -- what is counted -----------------------------------------------------------------------------------------------

    def used(self, account: AccountId) -> int:
        """Units of the account's meter that are used."""
        count = sum(amount for where, amount in self.moved if where == account)
        for act in self.acts.values():
            if act.kind == "debit" or act.state == "settled":
                count += sum(unit.cost for units in act.units.values() for unit in units if unit.account == account)
        return count

    def held(self, account: AccountId, now: int) -> int:
        """Units that are set aside."""
        return sum(
            unit.cost
            for act in self.acts.values()
            if act.state == "open" and now < act.expires
            for units in act.units.values()
            for unit in units
            if unit.account == account
        )

    def seated(self, feature: str, now: int) -> dict[str, tuple[int, int | None]]:
        """Who has a seat."""
        return {
            holder: (since, expires)
            for (of, holder), (since, expires) in self.seats.items()
            if of == feature and (expires is None or now < expires)
        }

    def balances(self, accounts: list[AccountId], now: int) -> dict[AccountId, tuple[int, int]]:
        """All of it."""
        return {account: (self.used(account), self.held(account, now)) for account in accounts}

    # -- acts ----------------------------------------------------------------------------------------------------------

    def debit(self, operation: str, asked: Any, debits: list[Debit], now: int, expires_in: int | None = None) -> Any:
        """Use units up, or hold them for so long."""
        kind = "debit" if expires_in is None else "hold"
        if operation in self.acts:
            return self._again(operation, kind, asked)
        missing = [line.account for each in debits for line in each.lines if self._is_unopened(line)]
        if missing:
            return "unopened", list(dict.fromkeys(missing))
        caps, over = dict(self.caps), dict(self.over)
        act = self.acts[operation] = Act(kind, asked, [])
        if expires_in is not None:
            act.debit, act.expires, act.state = debits[0], now + expires_in, "open"
        for index, each in enumerate(debits):
            units = self._units(each, now)
            fits = len(units)
            if fits < each.amount and (each.short is not Short.CAP or fits == 0):
                del self.acts[operation]
                self.caps, self.over = caps, over
                return "short", index, fits
            before = {line.account: self.used(line.account) for line in each.lines}
            act.units[each.feature] = units
            act.said.append((each.feature, fits, _beyond(units)))
            self._note(each, units, now, before)
        return act.said

    def settle(self, operation: str, actual: int | None, now: int) -> Any:
        """Charge what was used of a hold."""
        act = self._hold_of(operation)
        (feature,) = act.units
        amount = act.said[0][1] if actual is None else actual
        if act.state == "settled":
            if amount != act.charged:
                raise Refusal("OperationConflict")
            return amount
        self._must_be_open(act, now)
        units = list(act.units[feature])
        assert act.debit is not None
        more = amount - len(units)
        if more > 0:
            # With what is held still there: it does not become free meanwhile.
            extra = _asking(act.debit, more)
            units += self._units(extra, now)
        place = {line.account: number for number, line in enumerate(act.debit.lines)}
        units.sort(key=lambda unit: (unit.beyond, place[unit.account]))
        act.units = {feature: units[:amount]}
        act.state, act.charged = "settled", amount
        for line in act.debit.lines:
            if any(unit.account == line.account for unit in units):
                if line.account not in self.caps:
                    self._cap(line, 0)
                self._look(line.account, now)
        return amount

    def release(self, operation: str, now: int) -> Any:
        """Free a hold."""
        act = self._hold_of(operation)
        if act.state == "settled" and act.charged:
            raise Refusal("OperationConflict")
        if act.state == "open":
            act.state = "released"
        return "free"

    def extend(self, operation: str, by: int, now: int) -> Any:
        """Let a hold live longer."""
        act = self._hold_of(operation)
        if act.state == "settled":
            raise Refusal("OperationConflict")
        self._must_be_open(act, now)
        act.expires += by
        return act.expires

    def refund(self, operation: str, amounts: dict[str, int] | None, now: int) -> Any:
        """Give back."""
        act = self.acts.get(operation)
        if act is None:
            raise Refusal("UnknownOperation")
        if act.kind == "adjust" or (act.state == "open" and now < act.expires):
            raise Refusal("OperationConflict")
        was_used = act.kind == "debit" or act.state == "settled"
        if act.returned is not None:
            first = {feature: len(units) for feature, units in act.units.items()} if was_used else {}
            whole = {feature: count + act.returned.get(feature, 0) for feature, count in first.items()}
            wanted = whole if amounts is None else amounts
            if {key: count for key, count in wanted.items() if count} != act.returned:
                raise Refusal("OperationConflict")
            return act.returned
        there = {feature: len(units) for feature, units in act.units.items()} if was_used else {}
        wanted = there if amounts is None else amounts
        if any(count > there.get(feature, 0) for feature, count in wanted.items()):
            raise Refusal("ConfigurationError")
        act.returned = {feature: count for feature, count in wanted.items() if count}
        for feature, count in act.returned.items():
            # Overage first, then what was burnt last: by the order of lines, which is that of the list.
            for _ in range(count):
                units = act.units[feature]
                last = max(range(len(units)), key=lambda index: (units[index].beyond, index))
                self._look(units.pop(last).account, now)
        return act.returned

    def adjust(self, operation: str, asked: Any, line: Line, amount: int, now: int) -> Any:
        """Correct."""
        if operation in self.acts:
            return self._again(operation, "adjust", asked)
        if self._is_unopened(line):
            return "unopened", [line.account]
        self.acts[operation] = Act("adjust", asked, amount)
        before = self.used(line.account)
        self.moved.append((line.account, amount))
        self._cap(line, before)
        self._look(line.account, now)
        return amount

    def open(self, account: AccountId, cap: int, now: int) -> Any:
        """Fix a cap."""
        was = account in self.opened
        self.opened.setdefault(account, cap)
        self.caps[account] = self.opened[account]
        self._look(account, now)
        return was, self.opened[account]

    # -- seats ---------------------------------------------------------------------------------------------------------

    def assign(self, feature: str, holder: str, cap: int | None, beyond: int | None, life: int | None, now: int) -> Any:
        """Give a seat."""
        seated = self.seated(feature, now)
        expires = None if life is None else now + life
        if holder not in seated and cap is not None and beyond is not None and len(seated) >= cap + beyond:
            ends = [until for _, until in seated.values() if until is not None]
            return "full", min(ends, default=None)
        self.seats[feature, holder] = (seated[holder][0] if holder in seated else now, expires)
        return "given", holder in seated

    def unassign(self, feature: str, holder: str, now: int) -> Any:
        """Take a seat back."""
        had = holder in self.seated(feature, now)
        self.seats.pop((feature, holder), None)
        return had

    def reassign(self, feature: str, holder: str, to: str, now: int) -> Any:
        """Hand a seat over."""
        seated = self.seated(feature, now)
        if (holder in seated) == (to in seated):
            raise Refusal("SlotTaken")
        if to in seated:
            return "there"
        del self.seats[feature, holder]
        self.seats[feature, to] = now, None
        return "handed"

    # -- unit by unit --------------------------------------------------------------------------------------------------

    def _units(self, debit: Debit, now: int) -> list[Unit]:
        """As many units as can be taken, one after the other."""
        extra = {line.account: 0 for line in debit.lines}
        within: list[Unit] = []
        beyond: list[Unit] = []
        for line in debit.lines:
            while len(within) < debit.amount and self._fits(line, extra[line.account], now):
                extra[line.account] += line.cost
                within.append(Unit(line.account, line.cost, False))
        sink = debit.lines[debit.sink]
        over = 0
        cap = self._cap_of(sink)
        if cap is not None:
            # How many whole units would have to go for the sink not to be beyond its cap.
            while self.used(sink.account) + self.held(sink.account, now) - over * sink.cost > cap:
                over += 1
        while len(within) + len(beyond) < debit.amount:
            if debit.short is not Short.OVERFLOW and not self._may(debit, over + len(beyond), now):
                break
            beyond.append(Unit(sink.account, sink.cost, True))
        return within + beyond

    def _fits(self, line: Line, extra: int, now: int) -> bool:
        cap = self._cap_of(line)
        return cap is None or self.used(line.account) + self.held(line.account, now) + extra + line.cost <= cap

    def _may(self, debit: Debit, over: int, now: int) -> bool:
        """May there be one more beyond all caps, if *over* are?"""
        if debit.beyond is not None:
            return over < debit.beyond
        sink = debit.lines[debit.sink]
        cap = self._cap_of(sink)
        is_over = cap is not None and self.used(sink.account) > cap
        since = self.over.get(sink.account) if is_over else None
        return debit.grace is None or since is None or now < since + debit.grace

    def _cap_of(self, line: Line) -> int | None:
        return self.opened[line.account] if line.cap == "opened" else line.cap

    def _is_unopened(self, line: Line) -> bool:
        return line.cap == "opened" and line.account not in self.opened

    def _note(self, debit: Debit, units: list[Unit], now: int, before: dict[AccountId, int]) -> None:
        for line in debit.lines:
            if any(unit.account == line.account for unit in units):
                self._cap(line, before[line.account])
                self._look(line.account, now)

    def _cap(self, line: Line, before: int) -> None:
        """A cap was said; where *before* was within it, nothing has been over it."""
        if line.account not in self.opened:
            assert line.cap != "opened"
            self.caps[line.account] = line.cap
            if line.cap is None or before <= line.cap:
                self.over.pop(line.account, None)

    def _look(self, account: AccountId, now: int) -> None:
        """Since when is it over?"""
        cap = self.caps.get(account)
        if cap is not None and self.used(account) > cap:
            self.over.setdefault(account, now)
        else:
            self.over.pop(account, None)

    # -- acts that are there -------------------------------------------------------------------------------------------

    def _again(self, operation: str, kind: str, asked: Any) -> Any:
        act = self.acts[operation]
        if (act.kind, act.asked) != (kind, asked):
            raise Refusal("OperationConflict")
        return act.said

    def _hold_of(self, operation: str) -> Act:
        act = self.acts.get(operation)
        if act is None or act.kind != "hold":
            raise Refusal("UnknownOperation")
        return act

    def _must_be_open(self, act: Act, now: int) -> None:
        if act.state != "open" or now >= act.expires:
            raise Refusal("ReservationExpired")


def _beyond(units: list[Unit]) -> int:
    return sum(unit.beyond for unit in units)


def _asking(debit: Debit, amount: int) -> Debit:
    return Debit(debit.feature, amount, debit.lines, debit.sink, short=Short.OVERFLOW)
