"""
What is sold beside a value: what happens above a limit, when a window begins, what a credit is worth, how fast.

Two catalogs can give somebody the same 100 a month, and the second one less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from payaid_entitlements.core.catalog.model import Feature, OnExceed, Rollover
from payaid_entitlements.core.interval import format_duration
from payaid_entitlements.core.ratelimit.limits import Limit
from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy
from payaid_entitlements.core.resolution import Standpoint
from payaid_entitlements.core.values import Amount
from payaid_entitlements.core.written.keyspace import RATE_LIMITS


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
    for name in dict.fromkeys((*before.limits, *after.limits)):
        yield from _of_limit(name, before.limits.get(name), after.limits.get(name))


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


def differing_limits_by_hand(before: Standpoint, after: Standpoint) -> Iterator[Difference]:
    """Compare the rate limits of which overrides say something else than before."""
    said, said_now = before.situation.overrides or {}, after.situation.overrides or {}
    for name, limit in after.limits.items():
        key = RATE_LIMITS + name
        if said.get(key) != said_now.get(key):
            yield from _of_limit(name, before.limits.get(name), limit)


def _of_limit(key: str, was: Limit | None, now: Limit | None) -> Iterator[Difference]:
    what = f"rate limit {key}"
    is_denied, is_denied_now = (each is not None and each.is_denied for each in (was, now))
    if is_denied is not is_denied_now:
        words = ("denied", "not denied") if is_denied else ("not denied", "denied")
        yield Difference(f"{what}: {' -> '.join(words)}", is_less=is_denied_now, is_more=is_denied)
        return
    before, after = _by_window(was), _by_window(now)
    for window in dict.fromkeys((*before, *after)):
        policy, policy_now = before.get(window), after.get(window)
        if policy is not None and policy_now is not None and policy.quota == policy_now.quota:
            yield from _of_policy(what, policy, policy_now)
            continue
        calls, calls_now = (None if each is None else each.quota for each in (policy, policy_now))
        yield Difference(
            f"{what}: {_calls(calls, window)} -> {_calls(calls_now, window)}",
            is_less=_lets_less(calls, calls_now),
            is_more=_lets_less(calls_now, calls),
        )


def _of_policy(what: str, was: Policy, now: Policy) -> Iterator[Difference]:
    if was.burst != now.burst:
        is_less = now.burst < was.burst
        yield Difference(f"{what} burst: {was.burst} -> {now.burst}", is_less=is_less, is_more=not is_less)
    if was.is_enforced is not now.is_enforced:
        words = ("observed", "enforced") if now.is_enforced else ("enforced", "observed")
        yield Difference(f"{what}: {' -> '.join(words)}", is_less=now.is_enforced, is_more=was.is_enforced)


def _by_window(limit: Limit | None) -> dict[int | None, Policy]:
    """Its policies by the length of their window; under None what runs at once."""
    policies = () if limit is None else limit.policies
    return {None if each.algorithm is Algorithm.CONCURRENCY else each.window: each for each in policies}


def _lets_less(calls: int | None, now: int | None) -> bool:
    return now is not None and (calls is None or now < calls)


def _calls(calls: int | None, window: int | None) -> str:
    number = "any number" if calls is None else calls
    return f"{number} at once" if window is None else f"{number} in {format_duration(window)}"
