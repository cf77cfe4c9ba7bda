"""Which rate limits hold for a tenant: those of its plans and overrides, worked out once for all who have the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.catalog.model import Access
from payaid_entitlements.core.ratelimit.limits import Limit
from payaid_entitlements.core.ratelimit.overriding import overridden
from payaid_entitlements.core.written.keyspace import RATE_LIMITS

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Plan
    from payaid_entitlements.core.evaluation import Situation
    from payaid_entitlements.core.world import World

#: Plans and overrides whose limits are kept for the next tenant that has the same.
MOST: Final = 2_000


def limits_held(world: World, of: Situation | None) -> Mapping[str, Limit]:
    """
    All rate limits as they hold in a situation; the defaults where nothing is known (None).

    Equal plans and overrides give one and the same mapping, of the same limits.
    """
    plans = () if of is None else plans_in_force(world, of)
    said = {} if of is None or of.overrides is None else of.overrides
    by_hand = tuple((key, to) for key, to in said.items() if key.startswith(RATE_LIMITS))
    alike = (tuple((plan.key, plan.version) for plan in plans), by_hand)
    found = world.limits.get(alike)
    if found is None:
        if len(world.limits) >= MOST:
            # Who is near keeps those that it has.
            world.limits.clear()
        found = world.limits[alike] = overridden(world.catalog, plans, dict(by_hand))
    return found


def plans_in_force(world: World, of: Situation) -> tuple[Plan, ...]:
    """The plans whose rates count, the highest first; the default plan where none is in force."""
    held = tuple(each.source.plan for each in of.held if each.standing.access is not Access.NONE)
    default = world.default_plan
    return held if held or default is None else (default,)
