"""How far a debit goes: which lots its units are taken from, how many are beyond all caps, and whether they may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.posting import OPENED, AccountId, Balance, Debit, Line, Short

#: An account to which nothing was posted.
NOTHING: Final = Balance()


@dataclass(frozen=True, slots=True)
class Spread:
    """
    Where the units of a debit are taken.

    Attributes:
        units: Units of the feature for each line: what is free there.
        overage: Further units, beyond all caps; they are counted on the sink.
    """

    units: tuple[int, ...]
    overage: int = 0

    @property
    def amount(self) -> int:
        """All units."""
        return sum(self.units) + self.overage


@dataclass(frozen=True, slots=True)
class TooFew:
    """Nothing is taken: there is only *room* for so many units, fewer than were asked."""

    room: int


def cap_of(line: Line, balance: Balance) -> int | None:
    """How much a line holds, in units of its meter; None without a limit."""
    return balance.cap if line.cap == OPENED else line.cap


def spread(debit: Debit, balances: Mapping[AccountId, Balance], now: Instant) -> Spread | TooFew:
    """
    Work out where the units of *debit* are taken.

    From each line as much as is free, ``(cap - used - held) // cost``, in their order. What is left then is beyond
    all caps, and is counted on the sink: as much as may be there (`_may_be_beyond`), or all with `Short.OVERFLOW`.

    Args:
        balances: Of the lines' accounts; those that are absent have counted nothing.
    """
    left, units = debit.amount, []
    for line in debit.lines:
        taken = min(left, _free(line, balances.get(line.account, NOTHING), debit.amount))
        units.append(taken)
        left -= taken
    if left == 0 or debit.short is Short.OVERFLOW:
        return Spread(tuple(units), left)
    allowed = _may_be_beyond(debit, balances, now)
    if allowed is None or left <= allowed:
        return Spread(tuple(units), left)
    room = debit.amount - left + allowed
    if debit.short is Short.CAP and room:
        return Spread(tuple(units), allowed)
    return TooFew(room)


def _free(line: Line, balance: Balance, amount: int) -> int:
    cap = cap_of(line, balance)
    return amount if cap is None else max(0, cap - balance.used - balance.held) // line.cost


def _may_be_beyond(debit: Debit, balances: Mapping[AccountId, Balance], now: Instant) -> int | None:
    """How many units may be taken beyond all caps; None for any. What is beyond on the sink already counts."""
    sink = debit.lines[debit.sink]
    balance = balances.get(sink.account, NOTHING)
    cap = cap_of(sink, balance)
    # What was over a cap that was raised since then is over no more.
    since = balance.over_since if cap is not None and balance.used > cap else None
    if debit.beyond is None and (debit.grace is None or since is None or now < since + debit.grace):
        return None
    over = 0 if cap is None else max(0, balance.used + balance.held - cap)
    # Part of a unit's cost is a unit: of credits of which three pay for one, four beyond are two.
    return max(0, (debit.beyond or 0) - -(-over // sink.cost))
