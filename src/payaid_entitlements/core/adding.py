"""Add-ons of a subscription: who may hold which, and how many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payaid_entitlements.core.catalog.problems import did_you_mean
from payaid_entitlements.core.facts import NewFact, TenantDocument, Timeline
from payaid_entitlements.core.instant import EARLIEST, Instant
from payaid_entitlements.core.subscription import MAIN, subject
from payaid_entitlements.errors import ConfigurationError, UnknownPlan

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import AddOn
    from payaid_entitlements.core.changing import Ground
    from payaid_entitlements.core.world import World


def set_add_on(on: Ground, add_on: str, quantity: int, *, name: str = MAIN) -> tuple[NewFact, ...]:
    """
    Hold *quantity* of an add-on from now on; 0 gives it back.

    What a source said before the present subscription began, or before the plan became one that it is not for, is
    superseded: no facts.

    Raises:
        UnknownPlan: The catalog has no such add-on.
        UnknownTenant: There is no such subscription.
        TypeError: The quantity is no whole number.
        ConfigurationError: It is negative or too much, or the add-on is not for the plan that is held.
    """
    terms = on.terms(name)
    about = subject(name, "add_on", add_on)
    if on.as_of is not None and on.as_of < _said(on, name, "starts"):
        return ()
    is_late = on.as_of is not None and on.as_of < _said(on, name, "plan")
    if is_late and quantity and not fits(_sold(on.world, add_on), terms.plan):
        return ()
    if quantity or about not in on.document.timelines:
        allowed(on.world, add_on, quantity, terms.plan)
    return (NewFact(about, on.at, quantity or None), *_ended_later(on, add_on, name))


def _said(on: Ground, name: str, field: str) -> Instant:
    """The newest instant at which a source said something of *field*."""
    line = on.document.timelines.get(subject(name, field))
    return EARLIEST if line is None or line.as_of is None else line.as_of


def _ended_later(on: Ground, add_on: str, name: str) -> tuple[NewFact, ...]:
    """Where a change of plan is scheduled to a plan that it is not for, it ends with that."""
    line = on.document.timelines[subject(name, "plan")]
    known = on.world.catalog.add_ons.get(add_on)
    return tuple(
        NewFact(subject(name, "add_on", add_on), fact.since, None)
        for fact in line.facts
        if fact.since > on.at and isinstance(fact.value, dict) and not fits(known, str(fact.value["plan"]))
    )


def known_add_ons(document: TenantDocument, name: str) -> dict[str, Timeline]:
    """All add-ons of a subscription of which something is known, also those that were given back."""
    return {
        path[3]: line
        for path, line in document.timelines.items()
        if path[:2] == ("subscription", name) and path[2] == "add_on"
    }


def fits(add_on: AddOn | None, plan: str) -> bool:
    """May holders of *plan* hold it? None, which is not sold any more, fits nobody."""
    return add_on is not None and (not add_on.for_plans or plan in add_on.for_plans)


def allowed(world: World, key: str, quantity: int, plan: str) -> int:
    """
    Return *quantity* of an add-on where a holder of *plan* may have it.

    Raises:
        UnknownPlan, TypeError, ConfigurationError: As for `set_add_on`.
    """
    add_on = _sold(world, key)
    if type(quantity) is not int:
        raise TypeError(f"a quantity is a whole number, not {quantity!r}; 0 gives the add-on back")
    if quantity < 0:
        raise ConfigurationError(f"{quantity} of add-on {key!r} cannot be held; 0 gives it back")
    if quantity and not fits(add_on, plan):
        raise ConfigurationError(f"add-on {key!r} is not for plan {plan!r}, only for {', '.join(add_on.for_plans)}")
    if add_on.max_quantity is not None and quantity > add_on.max_quantity:
        raise ConfigurationError(f"of add-on {key!r} at most {add_on.max_quantity} may be held, not {quantity}")
    return quantity


def _sold(world: World, key: str) -> AddOn:
    add_ons = world.catalog.add_ons
    if key not in add_ons:
        raise UnknownPlan(f"the catalog has no add-on {key!r}{did_you_mean(str(key), add_ons)}")
    return add_ons[key]
