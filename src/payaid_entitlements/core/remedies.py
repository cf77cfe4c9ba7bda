"""
What would turn a refusal: found by trying it. Each candidate is decided by the same rules as the tenant itself.

Only what this tenant may buy, never at the price of something that it holds, the cheapest first: cheapest is
earliest in the catalog.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from payaid_entitlements.core.catalog.model import Access, AddOn, Plan, Price
from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.evaluation import HARD, Evaluation, Held, Situation
from payaid_entitlements.core.instant import Instant, moment
from payaid_entitlements.core.merging import Source, size
from payaid_entitlements.core.subscription import Standing, State
from payaid_entitlements.core.world import World


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """Change to, or begin, a plan. `prices` is empty where none is shown."""

    plan: str
    title: str
    prices: tuple[Price, ...] = ()
    url: str | None = None

    def to_public(self) -> dict[str, object]:
        """As JSON data for the customer."""
        return {"kind": "change_plan", "plan": self.plan, "title": self.title, "prices": _prices(self.prices), "url": self.url}


@dataclass(frozen=True, slots=True)
class AddAddOn:
    """Add so many of an add-on to what is held."""

    add_on: str
    title: str
    quantity: int
    prices: tuple[Price, ...] = ()
    url: str | None = None

    def to_public(self) -> dict[str, object]:
        """As JSON data for the customer."""
        return {
            "kind": "add_add_on",
            "add_on": self.add_on,
            "title": self.title,
            "quantity": self.quantity,
            "prices": _prices(self.prices),
            "url": self.url,
        }


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Do nothing: it opens by itself at *at*."""

    at: datetime

    def to_public(self) -> dict[str, object]:
        """As JSON data for the customer."""
        return {"kind": "wait_until", "at": self.at.isoformat()}


@dataclass(frozen=True, slots=True)
class Contact:
    """Talk to the vendor: about *plan* where it is sold without a price, else about what *title* says."""

    title: str
    plan: str | None = None
    url: str | None = None

    def to_public(self) -> dict[str, object]:
        """As JSON data for the customer."""
        return {"kind": "contact", "title": self.title, "plan": self.plan, "url": self.url}


Remedy = ChangePlan | AddAddOn | WaitUntil | Contact


def remedies(
    situation: Situation, world: World, key: str, *, at: Instant, until: Instant | None = None
) -> tuple[Remedy, ...]:
    """
    Find what would open *key* to a tenant in *situation*, the cheapest first.

    Pure, and dear beside a check: it decides the whole catalog once for each candidate.

    Args:
        until: The next transition that is already decided; it is the remedy where it opens *key*, which only a
            subscription that has not begun can do.

    Returns:
        Nothing where *key* is open, where no catalog has it, and where nobody can do anything about it.
    """
    decision = Evaluation(world, situation).sold(key) if world.module_of(key) or key in world.catalog.features else None
    if decision is None or decision.allowed or decision.reason is Reason.ENFORCEMENT_KILLED:
        return ()
    found: list[Remedy] = []
    if decision.reason in HARD:
        return (Contact(_CONTACT.get(decision.reason, decision.reason.way_out)),)
    if decision.reason is Reason.SUBSCRIPTION_SCHEDULED and until is not None:
        found.append(WaitUntil(moment(until)))
    if decision.reason in _CONTACT:
        found.append(Contact(_CONTACT[decision.reason]))
    else:
        found += _buying(situation, world, key)
    return tuple(found)


_CONTACT = {
    Reason.SUBSCRIPTION_SUSPENDED: "Talk to us: the account is suspended",
    Reason.SUBSCRIPTION_REVOKED: "Talk to us: the licence was revoked",
    Reason.OVERRIDE_DENIED: "Talk to us: this was switched off for the account",
    Reason.SUBSCRIPTION_PAST_DUE: "Pay what is due",
    Reason.SUBSCRIPTION_PAUSED: "Resume the subscription",
}


def _buying(situation: Situation, world: World, key: str) -> Iterator[Remedy]:
    holds = _holdings(situation, world)
    for add_on in world.catalog.add_ons.values():
        quantity = _quantity(situation, world, key, add_on, holds)
        if quantity is not None:
            yield AddAddOn(add_on.key, add_on.title, quantity, add_on.prices, add_on.url)
    for plan in _offered(situation, world):
        candidate = _with_plan(situation, plan)
        if _opens(candidate, world, key) and _keeps(candidate, world, holds):
            if plan.buy == "contact_us":
                yield Contact(f"Talk to us about {plan.title}", plan.key, plan.url)
            else:
                yield ChangePlan(plan.key, plan.title, plan.prices, plan.url)


def _offered(situation: Situation, world: World) -> Iterator[Plan]:
    """Plans that this tenant may buy: sold today, not hidden, and not below what it has in force."""
    in_force = [held for held in situation.held if held.standing.access is not Access.NONE]
    # A trial may be bought, and a plan in force may be newer: the same rank is allowed there.
    floor = max((held.source.plan.rank for held in in_force), default=-1)
    for key in sorted(world.catalog.plans, key=lambda each: world.catalog.plans[each].rank):
        plan = world.published.plan(key)
        if plan.buy != "hidden" and plan.rank >= floor and key != world.catalog.default_plan:
            yield plan


def _with_plan(situation: Situation, plan: Plan) -> Situation:
    """The same tenant with *plan* in place of its highest subscription; add-ons that the plan allows stay."""
    first = situation.held[0] if situation.held else None
    kept = () if first is None or first.standing.access is Access.NONE else tuple(
        (add_on, quantity)
        for add_on, quantity in first.source.add_ons
        if not add_on.for_plans or plan.key in add_on.for_plans
    )
    bought = Held(Source(plan, kept), _ACTIVE)
    return replace(situation, held=(bought, *situation.held[1:]))


_ACTIVE = Standing(State.ACTIVE, Access.FULL)


def _quantity(
    situation: Situation, world: World, key: str, add_on: AddOn, holds: dict[str, Decision]
) -> int | None:
    """The smallest number of *add_on* more that opens *key*; None where none does or none may be bought."""
    for index, held in enumerate(situation.held):
        if held.standing.access is not Access.FULL:
            continue
        if add_on.for_plans and held.source.plan.key not in add_on.for_plans:
            continue
        has = next((quantity for each, quantity in held.source.add_ons if each.key == add_on.key), 0)
        if add_on.max_quantity is not None and has >= add_on.max_quantity:
            continue
        # One more is enough where any is: an add-on that opens a key does it with its first unit.
        others = tuple(pair for pair in held.source.add_ons if pair[0].key != add_on.key)
        source = replace(held.source, add_ons=(*others, (add_on, has + 1)))
        candidate = replace(
            situation,
            held=(*situation.held[:index], replace(held, source=source), *situation.held[index + 1 :]),
        )
        if _opens(candidate, world, key) and _keeps(candidate, world, holds):
            return 1
    return None


def _opens(candidate: Situation, world: World, key: str) -> bool:
    return Evaluation(world, candidate).sold(key).allowed


def _holdings(situation: Situation, world: World) -> dict[str, Decision]:
    evaluation = Evaluation(world, situation)
    keys = (*world.catalog.modules, *world.catalog.features)
    return {key: decision for key in keys if (decision := evaluation.sold(key)).allowed}


def _keeps(candidate: Situation, world: World, holds: dict[str, Decision]) -> bool:
    """Is all that is held still held, and worth at least as much?"""
    evaluation = Evaluation(world, candidate)
    for key, before in holds.items():
        after = evaluation.sold(key)
        if not after.allowed:
            return False
        feature = world.catalog.features.get(key)
        if feature is None or before.value is None or after.value is None:
            continue
        less = size(feature, after.value) < size(feature, before.value)
        # Of a value that merges by its minimum (every so many hours) less is better.
        if (size(feature, after.value) > size(feature, before.value)) if feature.merge == "min" else less:
            return False
    return True


def _prices(prices: tuple[Price, ...]) -> list[dict[str, object]]:
    return [
        {"amount": str(price.amount), "currency": price.currency, "interval": price.interval} for price in prices
    ]
