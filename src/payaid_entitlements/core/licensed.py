"""What `find` lists a tenant by: the plan that it holds, and the modules that are licensed to it."""

from __future__ import annotations

from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.resolution import situation
from payaid_entitlements.core.subscription import Terms
from payaid_entitlements.core.values import DENY
from payaid_entitlements.core.world import World


def licensed(
    document: TenantDocument, world: World, at: Instant, host: tuple[Terms, ...] | None = None
) -> tuple[str | None, tuple[str, ...]]:
    """
    Give the highest plan that a tenant holds, in whatever state, and its modules in the order of the catalog.

    A lapsed or suspended tenant is still found by what it had. Modules come from all subscriptions, their add-ons and
    overrides of modules.

    Returns:
        The plan's key, None without a subscription; and the modules' keys.
    """
    known = situation(document, world, at, host=host)
    overrides = known.overrides or {}
    modules = tuple(
        key
        for key in world.catalog.modules
        if overrides.get(key) is True
        or (overrides.get(key) not in (DENY, False) and any(held.source.opens(key) for held in known.held))
    )
    return (known.held[0].source.plan.key if known.held else None), modules
