"""
What is sold beside a value: what happens above a limit, when a window begins, what a credit is worth, how fast.

Two catalogs can give somebody the same 100 a month, and the second one less.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from payaid_entitlements.core.catalog.model import Access, Feature, OnExceed, Plan, Rate, Rollover
from payaid_entitlements.core.interval import format_duration
from payaid_entitlements.core.resolution import Standpoint
from payaid_entitlements.core.values import Amount


@dataclass(frozen=True, slots=True)
class Difference:
    """
    One condition that is otherwise than before.

    Attributes:
        line: ``crm.calls on_exceed: soft -> hard``.
        is_less, is_more: For the customer; neither, where nobody can say.
    """

    line: str
    is_less: bool = False
    is_more: bool = False


def differing_conditions(before: Standpoint, after: Standpoint) -> Iterator[Difference]:
    """Compare the conditions of what is held at both standpoints, which may be of two worlds."""
    old, new = before.read.world.catalog, after.read.world.catalog
    for key, feature in old.features.items():
        if key in new.features and before.read[key].allowed and after.read[key].allowed:
            yield from _of_feature(feature, new.features[key])
    yield from _of_grants(before, after)
    limits, limits_now = _rate_limits(before), _rate_limits(after)
    for name in dict.fromkeys((*limits, *limits_now)):
        yield from _of_rates(f"rate limit {name}", limits.get(name, {}), limits_now.get(name, {}))


def _of_feature(was: Feature, now: Feature) -> Iterator[Difference]:
    if was.on_exceed != now.on_exceed:
        yield Difference(
            f"{was.key} on_exceed: {_exceeding(was.on_exceed)} -> {_exceeding(now.on_exceed)}",
            is_less=_is_stricter(was.on_exceed, now.on_exceed),
            is_more=_is_stricter(now.on_exceed, was.on_exceed),
        )
    if was.window != now.window:
        yield Difference(f"{was.key} window: {was.window} -> {now.window}")
    if was.rollover != now.rollover:
        yield Difference(
            f"{was.key} rollover: {_rolling(was.rollover)} -> {_rolling(now.rollover)}",
            is_less=_keeps_less(was.rollover, now.rollover),
            is_more=_keeps_less(now.rollover, was.rollover),
        )
    for paid in dict.fromkeys((*was.pays_for, *now.pays_for)):
        cost, cost_now = was.pays_for.get(paid), now.pays_for.get(paid)
        if cost != cost_now:
            yield Difference(
                f"{was.key} pays_for {paid}: {_or_nothing(cost)} -> {_or_nothing(cost_now)}",
                is_less=_pays_less(cost, cost_now),
                is_more=_pays_less(cost_now, cost),
            )


_STRICTNESS = {"hard": 2, "soft_until": 1, "grace_then_block": 1, "soft": 0, "warn": 0}


def _is_stricter(was: OnExceed, now: OnExceed) -> bool:
    """Is somebody stopped earlier? So many percent and so many days are not compared."""
    if was.kind == now.kind:
        return (now.percent or 0, now.grace or 0) < (was.percent or 0, was.grace or 0)
    return _STRICTNESS[now.kind] > _STRICTNESS[was.kind]


def _exceeding(what: OnExceed) -> str:
    if what.percent is not None:
        return f"{what.kind} {what.percent}%"
    return what.kind if what.grace is None else f"{what.kind} {format_duration(what.grace)}"


def _keeps_less(was: Rollover | None, now: Rollover | None) -> bool:
    if was is None or now is None:
        return now is None
    return now.min < was.min or _most(now) < _most(was)


def _most(rollover: Rollover) -> Amount:
    return Decimal("Infinity") if rollover.max is None else rollover.max


def _rolling(what: Rollover | None) -> str:
    if what is None:
        return "none"
    return f"{what.min} or more" if what.max is None else f"{what.min} to {what.max}"


def _pays_less(cost: Amount | None, now: Amount | None) -> bool:
    return now is None or (cost is not None and now > cost)


def _or_nothing(cost: Amount | None) -> str:
    return "nothing" if cost is None else str(cost)


def _of_grants(before: Standpoint, after: Standpoint) -> Iterator[Difference]:
    lots, lots_now = _grants(before), _grants(after)
    for add_on, credit in dict.fromkeys((*lots, *lots_now)):
        lot, lot_now = lots.get((add_on, credit)), lots_now.get((add_on, credit))
        if lot != lot_now:
            yield Difference(
                f"add-on {add_on} grants {credit}: {_lot(lot)} -> {_lot(lot_now)}",
                is_less=_is_smaller(lot, lot_now),
                is_more=_is_smaller(lot_now, lot),
            )


#: Units, and how long they last in microseconds; None for as long as they do.
_Lot = tuple[Amount, int | None]


def _grants(of: Standpoint) -> dict[tuple[str, str], _Lot]:
    """What the add-ons that are held give once, by add-on and credit."""
    return {
        (add_on.key, credit): (grant.amount * quantity, grant.expires)
        for held in of.situation.held
        for add_on, quantity in held.source.add_ons
        for credit, grant in add_on.grant.items()
    }


def _is_smaller(was: _Lot | None, now: _Lot | None) -> bool:
    if was is None or now is None:
        return now is None
    return now[0] < was[0] or (now[1] is not None and (was[1] is None or now[1] < was[1]))


def _lot(lot: _Lot | None) -> str:
    if lot is None or lot[1] is None:
        return _or_nothing(None if lot is None else lot[0])
    return f"{lot[0]} for {format_duration(lot[1])}"


#: Calls by the length of their window.
_Rates = Mapping[int, int]


def _rate_limits(of: Standpoint) -> dict[str, _Rates]:
    world = of.read.world
    in_force = [held.source.plan for held in of.situation.held if held.standing.access is not Access.NONE]
    plan: Plan | None = in_force[0] if in_force else world.default_plan
    named: Mapping[str, tuple[Rate, ...]] = {} if plan is None else plan.rate_limits
    return {
        key: {rate.window: rate.limit for rate in named.get(key, limit.default)}
        for key, limit in world.catalog.rate_limits.items()
    }


def _of_rates(what: str, was: _Rates, now: _Rates) -> Iterator[Difference]:
    for window in dict.fromkeys((*was, *now)):
        calls, calls_now = was.get(window), now.get(window)
        if calls != calls_now:
            yield Difference(
                f"{what}: {_calls(calls, window)} -> {_calls(calls_now, window)}",
                is_less=_lets_less(calls, calls_now),
                is_more=_lets_less(calls_now, calls),
            )


def _lets_less(calls: int | None, now: int | None) -> bool:
    return now is not None and (calls is None or now < calls)


def _calls(calls: int | None, window: int) -> str:
    return f"any number in {format_duration(window)}" if calls is None else f"{calls} in {format_duration(window)}"
