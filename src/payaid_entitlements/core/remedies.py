"""
What would turn a refusal: found by trying it. Each candidate is decided by the same rules as the tenant.

Only what this tenant may buy, never at the price of something that it holds, the cheapest first: cheapest is
earliest in the catalog.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from payaid_entitlements.core.catalog.model import Access, AddOn, Plan, Price
from payaid_entitlements.core.decision import HARD, Decision, Reason
from payaid_entitlements.core.evaluation import Evaluation, Held, Situation
from payaid_entitlements.core.instant import moment
from payaid_entitlements.core.merging import Source
from payaid_entitlements.core.subscription import Standing, State
from payaid_entitlements.core.world import World
from payaid_entitlements.core.worth import is_less


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """Change to, or begin, a plan. `prices` is empty where none is shown."""

    plan: str
    title: str
    prices: tuple[Price, ...] = ()
    url: str | None = None

    def to_public(self) -> dict[str, object]:
        """As JSON data for the customer."""
        return {
            "kind": "change_plan",
            "plan": self.plan,
            "title": self.title,
            "prices": _prices(self.prices),
            "url": self.url,
        }


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


#: What would turn a refusal, for `match`.
Remedy = ChangePlan | AddAddOn | WaitUntil | Contact


def remedies(situation: Situation, world: World, key: str) -> tuple[Remedy, ...]:
    """
    Find what would open *key* to a tenant in *situation*, the cheapest first.

    Pure, and dear beside a check: it decides the whole catalog once for each candidate.

    - What begins, or goes on after a pause, by itself: wait; other remedies follow.
    - What is overdue or paused: pay or resume, which is between the tenant and the host (`Contact`).
    - What has lapsed: the same plan again comes first, then the others.
    - Else add-ons to what is held, then plans from the one in force upwards, in the order of the catalog. A
      plan that is in force in an older version is offered where its newest one opens *key*.

    Returns:
        Nothing where *key* is open, where no catalog has it, where a kill switch is on (the operators are at
        it), and where nothing that is sold opens it.
    """
    if key not in world.catalog.modules and key not in world.catalog.features:
        return ()
    evaluation = Evaluation(world, situation)
    if evaluation.sold(key).allowed:
        return ()
    decision = _root(evaluation, key)
    if decision.reason is Reason.ENFORCEMENT_KILLED:
        return ()
    if decision.reason in HARD or decision.source == "override":
        return (Contact(_CONTACT.get(decision.reason, _BY_HAND)),)
    found: list[Remedy] = list(_waiting(situation, world, key))
    if decision.reason in _CONTACT:
        found.append(Contact(_CONTACT[decision.reason]))
    else:
        found += _buying(situation, world, key, decision)
    return tuple(found)


_BY_HAND = "Talk to us: this was set for the account by hand"
_CONTACT = {
    Reason.SUBSCRIPTION_SUSPENDED: "Talk to us: the account is suspended",
    Reason.SUBSCRIPTION_REVOKED: "Talk to us: the license was revoked",
    Reason.OVERRIDE_DENIED: "Talk to us: this was switched off for the account",
    Reason.SUBSCRIPTION_PAST_DUE: "Pay what is due",
    Reason.SUBSCRIPTION_PAUSED: "Resume the subscription",
}
_LAPSED = frozenset(
    {
        Reason.SUBSCRIPTION_TRIAL_ENDED,
        Reason.SUBSCRIPTION_CANCELLED,
        Reason.SUBSCRIPTION_ENDED,
        Reason.SUBSCRIPTION_SCHEDULED,
    }
)
_ACTIVE = Standing(State.ACTIVE, Access.FULL)


def _root(evaluation: Evaluation, key: str) -> Decision:
    """The refusal at the end of the chain of what *key* requires."""
    decision = evaluation.sold(key)
    while decision.reason is Reason.DEPENDENCY_MISSING:
        decision = evaluation.sold(decision.source.removeprefix("requires "))
    return decision


def _waiting(situation: Situation, world: World, key: str) -> Iterator[Remedy]:
    opening = [held.opens_at for held in situation.held if held.opens_at is not None]
    for at in sorted(set(opening)):
        then = tuple(
            replace(held, standing=_ACTIVE) if held.opens_at is not None and held.opens_at <= at else held
            for held in situation.held
        )
        if _opens(replace(situation, held=then), world, key):
            yield WaitUntil(moment(at))
            return


def _buying(situation: Situation, world: World, key: str, decision: Decision) -> Iterator[Remedy]:
    holds = _holdings(situation, world)
    for add_on in world.catalog.add_ons.values():
        if any(_turns(each, world, key, holds) for each in _with_add_on(situation, add_on)):
            # One more is enough where any is: what an add-on opens, it opens with its first unit.
            yield AddAddOn(add_on.key, add_on.title, 1, add_on.prices, add_on.url)
    offers = [
        _offer(plan)
        for plan, candidate in _candidates(situation, world, decision)
        if _turns(candidate, world, key, holds)
    ]
    current = _in_force(situation)
    if offers and current is not None:
        denial = situation.held[current].standing.denial
        if denial is not None and situation.held[current].standing.access is not Access.FULL:
            # A change of plan does not pay what is due: that comes first.
            yield Contact(_CONTACT[denial])
    yield from offers


def _offer(plan: Plan) -> Remedy:
    if plan.buy == "contact_us":
        return Contact(f"Talk to us about {plan.title}", plan.key, plan.url)
    return ChangePlan(plan.key, plan.title, plan.prices, plan.url)


def _candidates(situation: Situation, world: World, decision: Decision) -> Iterator[tuple[Plan, Situation]]:
    """Plans that this tenant may buy (sold, not hidden, none below the present) and what it would hold."""
    sold = [world.published.plan(key) for key in world.catalog.plans if key != world.catalog.default_plan]
    offered = sorted((plan for plan in sold if plan.buy != "hidden"), key=lambda plan: plan.rank)
    again = decision.plan if decision.reason in _LAPSED else None
    for index, held in enumerate(situation.held):
        if held.source.plan.key == again and held.standing.access is Access.NONE:
            for plan in offered:
                if plan.key == again:
                    yield plan, _with_plan(situation, index, plan)
            break
    current = _in_force(situation)
    floor = -1 if current is None else situation.held[current].source.plan.rank
    for plan in offered:
        if plan.rank >= floor and plan.key != again:
            yield plan, _with_plan(situation, current, plan)


def _in_force(situation: Situation) -> int | None:
    """Which subscription has the highest plan in force."""
    for index, held in enumerate(situation.held):
        if held.standing.access is not Access.NONE:
            return index
    return None


def _with_plan(situation: Situation, index: int | None, plan: Plan) -> Situation:
    """The same tenant with *plan*, paid, in place of a subscription; add-ons that the plan allows stay."""
    if index is None:
        return replace(situation, held=(Held(Source(plan), _ACTIVE), *situation.held))
    was = situation.held[index]
    kept = () if was.standing.access is Access.NONE else was.source.add_ons
    fitting = tuple(pair for pair in kept if not pair[0].for_plans or plan.key in pair[0].for_plans)
    return _replaced(situation, index, Held(Source(plan, fitting), _ACTIVE))


def _with_add_on(situation: Situation, add_on: AddOn) -> Iterator[Situation]:
    """The same tenant with one more of *add_on*, on each subscription that may hold it."""
    for index, held in enumerate(situation.held):
        has = next((quantity for each, quantity in held.source.add_ons if each.key == add_on.key), 0)
        is_for = not add_on.for_plans or held.source.plan.key in add_on.for_plans
        is_room = add_on.max_quantity is None or has < add_on.max_quantity
        if held.standing.access is Access.FULL and is_for and is_room:
            others = tuple(pair for pair in held.source.add_ons if pair[0].key != add_on.key)
            source = replace(held.source, add_ons=(*others, (add_on, has + 1)))
            yield _replaced(situation, index, replace(held, source=source))


def _replaced(situation: Situation, index: int, by: Held) -> Situation:
    held = (*situation.held[:index], by, *situation.held[index + 1 :])
    return replace(situation, held=tuple(sorted(held, key=lambda each: -each.source.plan.rank)))


def _turns(candidate: Situation, world: World, key: str, holds: Mapping[str, Decision]) -> bool:
    """Does it open *key*, and is all that is held still held and worth as much?"""
    if not _opens(candidate, world, key):
        return False
    evaluation = Evaluation(world, _untroubled(candidate))
    for held, before in holds.items():
        after = evaluation.sold(held)
        if not after.allowed:
            return False
        if before.value is None or after.value is None or held not in world.catalog.features:
            continue
        if is_less(world.catalog.features[held], before.value, after.value):
            return False
    return True


def _opens(candidate: Situation, world: World, key: str) -> bool:
    return Evaluation(world, candidate).sold(key).allowed


def _holdings(situation: Situation, world: World) -> dict[str, Decision]:
    evaluation = Evaluation(world, _untroubled(situation))
    keys = (*world.catalog.modules, *world.catalog.features)
    return {key: decision for key in keys if (decision := evaluation.sold(key)).allowed}


def _untroubled(situation: Situation) -> Situation:
    """What is held, were it not for what is due or paused: who can only read it now must not lose it either."""
    return replace(
        situation,
        held=tuple(
            replace(held, standing=_ACTIVE) if held.standing.access is Access.READ_ONLY else held
            for held in situation.held
        ),
    )


def _prices(prices: tuple[Price, ...]) -> list[dict[str, object]]:
    return [{"amount": str(price.amount), "currency": price.currency, "interval": price.interval} for price in prices]
