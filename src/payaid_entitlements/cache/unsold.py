"""What a tenant holds and was never published, as far as is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.core.catalog.publishing import Published
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.subscription import Terms
from payaid_entitlements.core.world import World
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import UnknownPlan

#: A plan, or an add-on (True), with the version that is held.
_Offer: TypeAlias = tuple[bool, str, int | None]


def unknown_offers(document: TenantDocument, host: tuple[Terms, ...] | None, published: Published) -> list[_Offer]:
    """What a tenant holds, or will hold by a scheduled change, and was never published as far as is known."""
    return [
        (is_add_on, key, version)
        for is_add_on, key, version in _held_by(document, host)
        if not (published.has_add_on if is_add_on else published.has)(key, version)
    ]


def _held_by(document: TenantDocument, host: tuple[Terms, ...] | None) -> Iterator[_Offer]:
    for terms in host or ():
        yield False, terms.plan, terms.version
        yield from ((True, held.key, held.version) for held in terms.add_ons)
    for path, line in document.timelines.items() if host is None else ():
        for fact in line.facts if path[0] == "subscription" else ():
            match path[2:], fact.value:
                case ("plan",), {"plan": str(plan), "version": int(version)}:
                    yield False, plan, version
                case ("add_on", add_on), {"version": int(version)}:
                    yield True, add_on, version


def say_unknown(setting: Setting, world: World, is_add_on: bool, key: str, version: int | None) -> None:
    """
    Be loud about a plan or an add-on that was never published: who holds it holds nothing by it.

    Raises:
        UnknownPlan: The host says so, and the client is strict.
    """
    if setting.hosted and setting.strict:
        what = "add-on" if is_add_on else "plan"
        hint = did_you_mean(key, world.published.add_on_versions if is_add_on else world.published.versions)
        which = key if version is None else f"{key}@{version}"
        raise UnknownPlan(f"subscriptions= returned {what} {which!r}, which was never published{hint}")
    setting.observer.once(
        "plan.unknown",
        **{"add_on" if is_add_on else "plan": key},
        version=version,
        way_out="correct what subscriptions= returns" if setting.hosted else "publish the catalog that sold it",
    )
