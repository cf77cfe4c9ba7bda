"""Why a rate limit is what it is for a tenant: its override, the plans that name it, its default."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payaid_entitlements.core.catalog.model import Access
from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.ratelimit.holding import plans_in_force
from payaid_entitlements.core.ratelimit.overriding import limit_named, rates_by_hand
from payaid_entitlements.core.ratelimit.rates import told
from payaid_entitlements.core.tracing import Outcome, Step
from payaid_entitlements.core.values import DENY, UNLIMITED, Value
from payaid_entitlements.core.written.keyspace import RATE_LIMITS
from payaid_entitlements.core.written.problems import did_you_mean

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Plan, Rate, RateLimit
    from payaid_entitlements.core.evaluation import Situation
    from payaid_entitlements.core.world import World


def explain_limit(world: World, of: Situation, key: str, steps: list[Step]) -> Decision:
    """
    Say what rates hold for ``rate_limits.KEY``, and why; how much of them is left only the limiter knows.

    Args:
        steps: Gets each rule that was asked.

    Returns:
        Whether calls may pass at all; its value are the rates, in the words of the catalog.
    """
    limit = limit_named(world.catalog, key)
    if limit is None:
        name = key.removeprefix(RATE_LIMITS)
        hint = did_you_mean(name, world.catalog.rate_limits)
        steps.append(Step(key, "catalog", "deny", f"the catalog has no rate limit {name!r}{hint}"))
        return Decision(False, Reason.CATALOG_UNKNOWN, key)
    by_hand = _by_hand(limit, of, key, steps)
    named = _named(limit, plans_in_force(world, of), key, steps, is_overridden=by_hand is not None)
    if named.reason is Reason.PLAN_GRANTED and all(each.standing.access is Access.NONE for each in of.held):
        named = replace(named, reason=Reason.PLAN_DEFAULT)
    return named if by_hand is None else by_hand


def _by_hand(limit: RateLimit, of: Situation, key: str, steps: list[Step]) -> Decision | None:
    to = None if of.overrides is None else of.overrides.get(key)
    if to is None:
        steps.append(Step(key, "override", "pass", "nobody says anything by hand"))
        return None
    if to is DENY:
        steps.append(Step(key, "override", "deny", "no call passes, by hand"))
        return Decision(False, Reason.OVERRIDE_DENIED, key, "override")
    rates = rates_by_hand(limit, to)
    if rates is None:
        steps.append(Step(key, "override", "note", f"it says {to!r}, which this limit cannot have; it is passed over"))
        return None
    steps.append(Step(key, "override", "allow", f"{_sentence(rates)}, by hand"))
    return Decision(True, Reason.OVERRIDE_GRANTED, key, "override", value=_value(rates))


def _named(limit: RateLimit, plans: tuple[Plan, ...], key: str, steps: list[Step], *, is_overridden: bool) -> Decision:
    decides: Outcome = "pass" if is_overridden else "allow"
    for plan in plans:
        source = f"plan {plan.key}@{plan.version}"
        if limit.key in plan.rate_limits:
            rates = plan.rate_limits[limit.key]
            steps.append(Step(key, "plan", decides, f"{source} says {_sentence(rates)}"))
            return Decision(True, Reason.PLAN_GRANTED, key, source, plan.key, _value(rates))
        steps.append(Step(key, "plan", "pass", f"{source} does not name it"))
    steps.append(Step(key, "default", decides, f"its default is {_sentence(limit.default)}"))
    return Decision(True, Reason.RATE_DEFAULT, key, f"rate limit {limit.key}", value=_value(limit.default))


def _value(rates: tuple[Rate, ...]) -> Value:
    if not rates:
        return UNLIMITED
    return told(rates[0]) if len(rates) == 1 else tuple(told(rate) for rate in rates)


def _sentence(rates: tuple[Rate, ...]) -> str:
    return " and ".join(told(rate) for rate in rates) or "unlimited"
