"""
Lots: from what a tenant is allowed to what a ledger is told.

A lot is a part of an allowance that is counted for itself: what a window gives, what rolled over into it, a grant.
Which ones there are, how much each holds and in which order they are burnt follows from facts alone, at an instant; so
no lot is ever opened, reset or closed by a job. A new window is a lot of another name, and one that has expired is in
no list any more.

**The burn order is total**: priority, lower first; what expires first; promotional before paid; the shorter reset
interval; what began first; what was recorded first; the lot's name. A feature's own lots come before credits that pay
for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from payaid_entitlements.core.catalog.model import Feature, Kind, OnExceed
from payaid_entitlements.core.decision import SOFTENED, Decision
from payaid_entitlements.core.instant import EARLIEST, LATEST, Instant, moment
from payaid_entitlements.core.interval import Interval
from payaid_entitlements.core.merging import average_length, is_zero
from payaid_entitlements.core.metering.amounts import floored
from payaid_entitlements.core.metering.carrying import Carry
from payaid_entitlements.core.metering.meters import PLAN_PRIORITY, Lot, Meters
from payaid_entitlements.core.metering.posting import (
    MOST,
    OPENED,
    SLOTS,
    AccountId,
    Balance,
    Debit,
    Line,
    Mark,
    Short,
)
from payaid_entitlements.core.metering.windows import MONTH, billing_of, usage_window
from payaid_entitlements.core.period import Window
from payaid_entitlements.core.values import UNLIMITED, Allowance

if TYPE_CHECKING:
    from datetime import datetime

    from payaid_entitlements.core.resolution import Standpoint
    from payaid_entitlements.core.world import World

#: The lot of an allowance that never comes anew.
LIFETIME: Final = "lifetime"

#: The lot, of 0, in which is counted what is used of what is not sold.
UNSOLD: Final = "unsold"

#: Percentages of a limit of which others are told when they are reached.
THRESHOLDS: Final = (80, 100)

#: After every instant, and longer than every window: what never expires, and never comes anew.
_NEVER: Final = LATEST + 1

_Order: TypeAlias = tuple[int, Instant, bool, int, Instant, Instant, str, str]


@dataclass(frozen=True, slots=True)
class Metered:
    """
    How one feature is counted for one tenant at one instant.

    Attributes:
        feature: Its definition.
        decision: Whether it is sold; the ledger says how much is left.
        lines: The lots in burn order, at least one.
        sink: Index of the line that takes what is beyond all caps.
        beyond: So much overage may there be, in smallest units of the feature; None for any.
        grace: With *beyond* None: only so long after the sink came to be over its cap, in microseconds.
        marks: Of each meter 80 % and 100 % of what its lines hold, but for what rolled over.
        limit: What the feature's own lines hold, but for what rolled over; None without a limit.
        window: In which usage is counted now: the feature's own, else that of the credit that pays for it; None for
            what is held, never comes anew or is not sold.
        holds: In which instants all this is so, while the standpoint holds and no fact changes.
    """

    feature: Feature
    decision: Decision
    lines: tuple[Line, ...]
    sink: int
    beyond: int | None
    grace: int | None
    marks: tuple[Mark, ...]
    limit: int | None
    window: Window | None
    holds: Window = field(compare=False, default=Window(0, 0))

    @property
    def is_sold(self) -> bool:
        """False also where enforcement lets it pass."""
        return self.decision.allowed and self.decision.reason not in SOFTENED

    @property
    def accounts(self) -> tuple[AccountId, ...]:
        """Where it is counted, in the order of the lines."""
        return tuple(line.account for line in self.lines)

    @property
    def resets_at(self) -> datetime | None:
        """When usage starts anew; None where it never does."""
        return None if self.window is None else _shown(self.window.end)

    def in_order(self, balances: Mapping[AccountId, Balance]) -> tuple[Balance, ...]:
        """What a ledger read of the accounts, in the order of the lines; nothing known is nothing used."""
        return tuple(balances.get(line.account, _NOTHING) for line in self.lines)


_NOTHING: Final = Balance()

#: Few instants are ends of windows, and each is shown often.
_shown: Final = lru_cache(1024)(moment)


def debit(metered: Metered, amount: int, short: Short = Short.REJECT) -> Debit:
    """What is posted to use up *amount* smallest units."""
    return Debit(
        metered.feature.key,
        amount,
        metered.lines,
        metered.sink,
        metered.beyond,
        metered.grace,
        short,
        metered.marks,
    )


def metered(feature: Feature, at: Instant, *, standpoint: Standpoint, meters: Meters, world: World) -> Metered:
    """
    Work out how *feature*, which is metered, is counted at *at*.

    Pure. Also for what is not sold: then there is a lot of 0, as it is counted where nothing is enforced.

    Args:
        standpoint: What holds at *at*.

    Raises:
        ConfigurationError: This machine does not know the zone in which windows begin.
    """
    own = _stock(feature, 1, at, standpoint, meters)
    decision = standpoint.write[feature.key]
    if own.allowance is not None and own.allowance.cap is None:
        # Nothing else is burnt while it costs nothing.
        holds = _holds(at, meters, own)
        return Metered(feature, decision, (own.allowance,), 0, None, None, (), None, own.window, holds)
    paying = [
        _stock(world.catalog.features[credit], cost, at, standpoint, meters)
        for credit, cost in world.payers.get(feature.key, ())
        if standpoint.write[credit].allowed
    ]
    payers = sorted(lot for stock in paying for lot in stock.lots)
    lines = [line for _, line in (*sorted(own.lots), *payers)]
    limit = _held(lines, feature.key)
    # What is beyond is a debt of the feature's own allowance, else of that of the credit that pays.
    owing = next((stock for stock in (own, *paying) if stock.allowance is not None), _Stock())
    if owing.allowance is None:
        lines.append(Line(feature.key, UNSOLD, 0))
    beyond, grace = _ceiling(feature.on_exceed, limit) if owing is own else (0, None)
    return Metered(
        feature,
        decision,
        tuple(lines),
        len(lines) - 1 if owing.allowance is None else lines.index(owing.allowance),
        beyond,
        grace,
        tuple(_marks(lines)),
        limit,
        owing.window,
        _holds(at, meters, own, *paying),
    )


def _holds(at: Instant, meters: Meters, *stocks: _Stock) -> Window:
    """From *at* until a window ends, or what was granted or carried begins or ends."""
    ends: list[Instant | None] = [None if stock.window is None else stock.window.end for stock in stocks]
    for fact in meters.facts:
        ends += (fact.since if isinstance(fact, Lot) else fact.at, fact.until)
    return Window(at, min((end for end in ends if end is not None and end > at), default=_NEVER))


@dataclass(frozen=True, slots=True)
class _Stock:
    """
    All lots of one meter.

    Attributes:
        lots: In no order, each with its place in the burn order.
        allowance: The one of them that is what the plan gives now; None where it gives nothing.
        window: Of *allowance*.
    """

    lots: tuple[tuple[_Order, Line], ...] = ()
    allowance: Line | None = None
    window: Window | None = None


def _stock(feature: Feature, cost: int, at: Instant, standpoint: Standpoint, meters: Meters) -> _Stock:
    """The lots of *feature*, of which one unit of what is used costs *cost*."""
    key, value = feature.key, standpoint.write[feature.key].value
    allowance = Allowance(UNLIMITED) if value is UNLIMITED else value
    lots = [_granted(lot, cost) for lot in meters.lots if lot.feature == key and _is_in_force(lot, at)]
    if not isinstance(allowance, Allowance) or is_zero(allowance):
        return _Stock(tuple(lots))
    if feature.kind is Kind.ALLOCATION:
        line = Line(key, SLOTS, None if allowance.limit is UNLIMITED else floored(allowance.limit, feature))
        return _Stock((_placed(PLAN_PRIORITY, None, False, None, at, at, line),), line)
    own = _own(feature, allowance, at, standpoint, meters)
    cap, per, window, name = own.cap, own.per, own.window, own.lot
    left = carried(name_in(window), window, carries_of(feature, meters, at))[1]
    line = Line(key, name, cap, cost)
    start, end = (EARLIEST, None) if window is None else (window.start, window.end)
    lots.append(_placed(PLAN_PRIORITY, end, False, per, start, start, line))
    for carry in left:
        if carry.lot != name and (carry.until is None or at < carry.until):
            old = Line(key, carry.lot, carry.cap, cost)
            lots.append(_placed(PLAN_PRIORITY, carry.until, False, per, EARLIEST, EARLIEST, old))
    if own.rolls and window is not None:
        # It was there before what the window gives.
        rolled = Line(key, f"r{window.start}", OPENED, cost)
        lots.append(_placed(PLAN_PRIORITY, window.end, False, per, window.start, EARLIEST, rolled))
    return _Stock(tuple(lots), line, window)


def _is_in_force(lot: Lot, at: Instant) -> bool:
    return lot.since <= at and (lot.until is None or at < lot.until)


def _granted(lot: Lot, cost: int) -> tuple[_Order, Line]:
    line = Line(lot.feature, f"g{lot.id}", min(lot.amount, MOST), cost)
    return _placed(lot.priority, lot.until, lot.is_promotional, None, lot.since, lot.created, line)


@dataclass(frozen=True, slots=True)
class Own:
    """
    The allowance of a quota or a credit that is counted now.

    Attributes:
        lot: Where it is counted.
        cap: What it holds, in smallest units; None without a limit.
        window: None where it never comes anew.
        per: How long a window is.
        rolls: Something may have rolled over into *window*: not into the first of a subscription, and without one
            nobody knows since when it is held.
    """

    lot: str
    cap: int | None
    window: Window | None
    per: Interval | None
    rolls: bool = False


def own_allowance(feature: Feature, at: Instant, *, standpoint: Standpoint, meters: Meters) -> Own | None:
    """Say where the allowance of a quota or a credit is counted at *at*; None where it has none."""
    value = standpoint.write[feature.key].value
    allowance = Allowance(UNLIMITED) if value is UNLIMITED else value
    if not isinstance(allowance, Allowance) or is_zero(allowance):
        return None
    return _own(feature, allowance, at, standpoint, meters)


def _own(feature: Feature, allowance: Allowance, at: Instant, standpoint: Standpoint, meters: Meters) -> Own:
    cap = None if allowance.limit is UNLIMITED else floored(allowance.limit, feature)
    per = MONTH if cap is None else allowance.per
    if per is None:
        return Own(carried(LIFETIME, None, carries_of(feature, meters, at))[0], cap, None, None)
    billing = billing_of(feature, meters, standpoint.situation)
    window = usage_window(feature, per, billing, at)
    is_first = billing.begun is None or window.start <= billing.begun
    rolls = feature.rollover is not None and cap is not None and not is_first
    return Own(carried(name_in(window), window, carries_of(feature, meters, at))[0], cap, window, per, rolls)


def name_in(window: Window | None) -> str:
    """The name of the lot of an allowance, where no plan was changed in *window*."""
    return LIFETIME if window is None else f"w{window.start}"


def _placed(
    priority: int,
    expires: Instant | None,
    is_promotional: bool,
    per: Interval | None,
    since: Instant,
    created: Instant,
    line: Line,
) -> tuple[_Order, Line]:
    """*line* with its place in the burn order; see the law of this module."""
    expiry = _NEVER if expires is None else expires
    length = _NEVER if per is None else average_length(per)
    return (priority, expiry, not is_promotional, length, since, created, line.lot, line.meter), line


def carries_of(feature: Feature, meters: Meters, at: Instant) -> list[Carry]:
    """What changes of plan until *at* did with *feature*, the oldest first."""
    return sorted(
        (carry for carry in meters.carries if carry.feature == feature.key and carry.at <= at),
        key=lambda carry: carry.at,
    )


def carried(name: str, window: Window | None, carries: Sequence[Carry]) -> tuple[str, list[Carry]]:
    """
    Say in which lot the allowance of *window* is counted after *carries*, and of which of them a balance is left.

    Args:
        name: Of the lot, where no plan was changed in *window*.
        window: None for an allowance that never comes anew.
    """
    left: dict[str, Carry] = {}
    now = name
    for carry in carries:
        if carry.mode == "fresh":
            left.clear()
        if carry.mode == "carry_balance":
            left[carry.lot] = carry
        if window is None or carry.at in window:
            now = carry.lot if carry.mode == "carry_usage" else f"{name}.{carry.at}"
    return now, list(left.values())


def _ceiling(on_exceed: OnExceed, limit: int) -> tuple[int | None, int | None]:
    """How far beyond *limit*, and how long."""
    match on_exceed.kind:
        case "hard":
            return 0, None
        case "soft_until":
            return min(limit * ((on_exceed.percent or 100) - 100) // 100, MOST), None
    return None, on_exceed.grace


def _held(lines: Sequence[Line], meter: str) -> int:
    return sum(line.cap for line in lines if line.meter == meter and isinstance(line.cap, int))


def _marks(lines: Sequence[Line]) -> Iterator[Mark]:
    """
    Where to tell of each meter. What rolled over is only known to the ledger, so they come early rather than late.

    Of no limit, or none at all, there is no part to tell of.
    """
    for meter in dict.fromkeys(line.meter for line in lines):
        if all(line.cap is not None for line in lines if line.meter == meter):
            limit = min(_held(lines, meter), MOST)
            # Of 1 unit 80 % are all: rounded up, and told of once.
            for at in sorted({_part(limit, percent) for percent in THRESHOLDS} if limit else ()):
                yield Mark(meter, at)


def _part(limit: int, percent: int) -> int:
    return -(-limit * percent // 100)


def threshold_at(limit: int, at: int) -> int | None:
    """Which of `THRESHOLDS` of *limit* a mark at *at* is, the higher of two; None where it was one of another limit."""
    return next((percent for percent in reversed(THRESHOLDS) if _part(limit, percent) == at), None)
