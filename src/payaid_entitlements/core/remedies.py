"""
What would turn a refusal: found by trying it. Each candidate is decided by the same rules as the tenant.

Only what this tenant may buy, never at the price of something that it holds, the cheapest first: cheapest is
earliest in the catalog. Each says for which of the tenant's subscriptions it is, and by which verb it is carried out:
another plan does not open what is over, since it stays over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from payaid_entitlements.core.catalog.model import Access, AddOn, Plan, Price
from payaid_entitlements.core.decision import HARD, Decision, Reason
from payaid_entitlements.core.evaluation import Evaluation, Held, Situation
from payaid_entitlements.core.instant import moment
from payaid_entitlements.core.merging import Source
from payaid_entitlements.core.subscription import MAIN, Standing, State
from payaid_entitlements.core.world import World
from payaid_entitlements.core.worth import is_less


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """
    Change to, or begin, a plan.

    Attributes:
        prices: Empty where none is shown.
        verb: ``change_plan`` for what is in force, or is once it is paid or resumed; ``subscribe`` for what is over
            or has not begun, and where there is nothing yet.
        subscription: Its name: what the verbs call ``name``.
    """

    plan: str
    title: str
    prices: tuple[Price, ...] = ()
    url: str | None = None
    verb: Literal["change_plan", "subscribe"] = "change_plan"
    subscription: str = MAIN

    def to_public(self) -> dict[str, object]:
        """As JSON data for the customer."""
        return {
            "kind": "change_plan",
            "plan": self.plan,
            "title": self.title,
            "prices": _prices(self.prices),
            "url": self.url,
            "verb": self.verb,
            "subscription": self.subscription,
        }


@dataclass(frozen=True, slots=True)
class AddAddOn:
    """Add so many of an add-on to what *subscription* has of it."""

    add_on: str
    title: str
    quantity: int
    prices: tuple[Price, ...] = ()
    url: str | None = None
    subscription: str = MAIN

    def to_public(self) -> dict[str, object]:
        """As JSON data for the customer."""
        return {
            "kind": "add_add_on",
            "add_on": self.add_on,
            "title": self.title,
            "quantity": self.quantity,
            "prices": _prices(self.prices),
            "url": self.url,
            "subscription": self.subscription,
        }


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Do nothing: it opens by itself at *at*."""

    at: datetime

    def to_public(self) -> dict[str, object]:
        """As JSON data for the customer."""
        return {"kind": "wait_until", "at": self.at.isoformat()}


@dataclass(frozen=True, slots=True)
class ReleaseSlots:
    """Free *amount* slots of *feature*, or remove so many of what is counted."""

    feature: str
    amount: int

    def to_public(self) -> dict[str, object]:
        """As JSON data for the customer."""
        return {"kind": "release_slots", "feature": self.feature, "amount": self.amount}


@dataclass(frozen=True, slots=True)
class Contact:
    """
    Talk to the vendor: about *plan* where it is sold without a price, else about what *title* says.

    Attributes:
        subscription: The name of the one that it is about; None where it is about the tenant as a whole.
    """

    title: str
    plan: str | None = None
    url: str | None = None
    subscription: str | None = None

    def to_public(self) -> dict[str, object]:
        """As JSON data for the customer."""
        return {
            "kind": "contact",
            "title": self.title,
            "plan": self.plan,
            "url": self.url,
            "subscription": self.subscription,
        }


#: What would turn a refusal, for `match`.
Remedy = ChangePlan | AddAddOn | WaitUntil | ReleaseSlots | Contact


def remedies(situation: Situation, world: World, key: str) -> tuple[Remedy, ...]:
    """
    Find what would open *key* to a tenant in *situation*, the cheapest first.

    Pure, and dear beside a check: it decides the whole catalog once for each candidate.

    - What begins, goes on after a pause, or was scheduled: wait; other remedies follow.
    - What is overdue or paused: pay or resume, which is between the tenant and the host (`Contact`). A change of plan
      does neither: where another plan is needed, both come before it.
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
        return (Contact(_CONTACT.get(decision.reason, BY_HAND)),)
    found: list[Remedy] = list(_waiting(situation, world, key))
    if decision.reason in _CONTACT:
        found += settling(_troubled(situation, decision))
    else:
        found += _buying(situation, world, key, decision)
    return tuple(found)


BY_HAND = "Talk to us: this was set for the account by hand"
_CONTACT = {
    Reason.SUBSCRIPTION_SUSPENDED: "Talk to us: the account is suspended",
    Reason.SUBSCRIPTION_REVOKED: "Talk to us: the license was revoked",
    Reason.OVERRIDE_DENIED: "Talk to us: this was switched off for the account",
    Reason.SUBSCRIPTION_PAST_DUE: "Pay what is due",
    Reason.SUBSCRIPTION_PAUSED: "Resume the subscription",
}
_TROUBLES = frozenset({Reason.SUBSCRIPTION_PAST_DUE, Reason.SUBSCRIPTION_PAUSED})
_LAPSED = frozenset(
    {
        Reason.SUBSCRIPTION_TRIAL_ENDED,
        Reason.SUBSCRIPTION_CANCELLED,
        Reason.SUBSCRIPTION_ENDED,
        Reason.SUBSCRIPTION_SCHEDULED,
    }
)
_ACTIVE, _TRIALING = (Standing(state, Access.FULL) for state in (State.ACTIVE, State.TRIALING))


def _root(evaluation: Evaluation, key: str) -> Decision:
    """The refusal at the end of the chain of what *key* requires."""
    decision = evaluation.sold(key)
    while decision.reason is Reason.DEPENDENCY_MISSING:
        decision = evaluation.sold(decision.source.removeprefix("requires "))
    return decision


def _waiting(situation: Situation, world: World, key: str) -> Iterator[Remedy]:
    for at, then in situation.coming:
        if _opens(then, world, key):
            yield WaitUntil(moment(at))
            return


def _troubled(situation: Situation, decision: Decision) -> Held:
    """The subscription that is overdue or paused, of which *decision* says so."""
    return next(
        held
        for held in situation.held
        if held.standing.denial is decision.reason and held.source.plan.key == decision.plan
    )


def settling(held: Held) -> Iterator[Contact]:
    """What comes before all else: a change of plan does not pay what is due, and paying ends no pause."""
    if held.standing.access is not Access.FULL:
        for trouble in (held.standing.denial, held.besides):
            if trouble is not None:
                yield Contact(_CONTACT[trouble], subscription=held.name)


def _buying(situation: Situation, world: World, key: str, decision: Decision) -> Iterator[Remedy]:
    holds = holdings(situation, world)
    for add_on in (world.published.add_on(key) for key in world.catalog.add_ons):
        for name, candidate in with_add_on(situation, add_on):
            if turns(candidate, world, key, holds):
                # One more is enough where any is: what an add-on opens, it opens with its first unit.
                yield AddAddOn(add_on.key, add_on.title, 1, add_on.prices, add_on.url, name)
                break
    is_settled = False
    for offer, candidate, changed in candidates(situation, world, decision):
        if turns(candidate, world, key, holds):
            if changed is not None and not is_settled:
                is_settled = True
                yield from settling(changed)
            yield offer


def candidates(
    situation: Situation, world: World, decision: Decision
) -> Iterator[tuple[Remedy, Situation, Held | None]]:
    """
    Plans that this tenant may buy: sold, not hidden, none below the present.

    Returns:
        For each the remedy, what the tenant would hold, and the subscription whose plan is changed; None for one that
        begins.
    """
    sold = [world.published.plan(key) for key in world.catalog.plans if key != world.catalog.default_plan]
    offered = sorted((plan for plan in sold if plan.buy != "hidden"), key=lambda plan: plan.rank)
    again = decision.plan if decision.reason in _LAPSED else None
    for index, held in enumerate(situation.held):
        if held.source.plan.key == again and held.standing.denial is decision.reason:
            for plan in offered:
                if plan.key == again:
                    yield _begun(situation, index, plan)
            break
    present = _present(situation)
    for plan in offered:
        if plan.key == again:
            continue
        if present is None:
            yield _begun(situation, 0 if situation.held else None, plan)
        elif plan.rank >= situation.held[present].source.plan.rank:
            yield _changed(situation, present, plan)


def _present(situation: Situation) -> int | None:
    """Which subscription has the highest plan in force; else, the highest that would be, were it paid and resumed."""
    in_force = [index for index, held in enumerate(situation.held) if held.standing.access is not Access.NONE]
    troubled = [index for index, held in enumerate(situation.held) if held.standing.denial in _TROUBLES]
    return next(iter(in_force + troubled), None)


def _changed(situation: Situation, index: int, plan: Plan) -> tuple[Remedy, Situation, Held]:
    """The same tenant with *plan*, paid, in place of that of a subscription; add-ons that the plan allows stay."""
    was = situation.held[index]
    fitting = tuple(pair for pair in was.source.add_ons if not pair[0].for_plans or plan.key in pair[0].for_plans)
    by = Held(Source(plan, fitting), _ACTIVE, name=was.name)
    return _offer(plan, "change_plan", was.name), _replaced(situation, index, by), was


def _begun(situation: Situation, index: int | None, plan: Plan) -> tuple[Remedy, Situation, None]:
    """The same tenant with a new subscription to *plan*, in place of one that is over or has not begun."""
    name = MAIN if index is None else situation.held[index].name
    by = Held(Source(plan), _ACTIVE, name=name)
    then = replace(situation, held=(by,)) if index is None else _replaced(situation, index, by)
    return _offer(plan, "subscribe", name), then, None


def _offer(plan: Plan, verb: Literal["change_plan", "subscribe"], subscription: str) -> Remedy:
    if plan.buy == "contact_us":
        return Contact(f"Talk to us about {plan.title}", plan.key, plan.url, subscription)
    return ChangePlan(plan.key, plan.title, plan.prices, plan.url, verb, subscription)


def with_add_on(situation: Situation, add_on: AddOn, quantity: int = 1) -> Iterator[tuple[str, Situation]]:
    """The same tenant with *quantity* more of *add_on*, by the name of each subscription that may hold it."""
    for index, held in enumerate(situation.held):
        # Whoever has some gets more of the version that is held.
        what, has = next((pair for pair in held.source.add_ons if pair[0].key == add_on.key), (add_on, 0))
        is_for = not add_on.for_plans or held.source.plan.key in add_on.for_plans
        is_room = add_on.max_quantity is None or has + quantity <= add_on.max_quantity
        if held.standing.access is Access.FULL and is_for and is_room:
            others = tuple(pair for pair in held.source.add_ons if pair[0].key != add_on.key)
            more = sorted((*others, (what, has + quantity)), key=lambda pair: pair[0].rank)
            source = replace(held.source, add_ons=tuple(more))
            then = _replaced(situation, index, replace(held, source=source))
            yield held.name, replace(then, granted=then.granted.union(what.grant)) if what.grant else then


def _replaced(situation: Situation, index: int, by: Held) -> Situation:
    held = (*situation.held[:index], by, *situation.held[index + 1 :])
    return replace(situation, held=tuple(sorted(held, key=lambda each: -each.source.plan.rank)))


def turns(candidate: Situation, world: World, key: str, holds: Mapping[str, Decision]) -> bool:
    """Does it open *key*, and is all that is held still held and worth as much?"""
    return _opens(candidate, world, key) and keeps(candidate, world, holds)


def keeps(candidate: Situation, world: World, holds: Mapping[str, Decision]) -> bool:
    """Is all that is held still held, and worth as much?"""
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


def holdings(situation: Situation, world: World) -> dict[str, Decision]:
    """All that is held, also where it is only out of reach."""
    evaluation = Evaluation(world, _untroubled(situation))
    keys = (*world.catalog.modules, *world.catalog.features)
    return {key: decision for key in keys if (decision := evaluation.sold(key)).allowed}


def _untroubled(situation: Situation) -> Situation:
    """What is held, were it not for what is due or paused: what is only out of reach must not be lost either."""
    return replace(situation, held=tuple(map(_settled, situation.held)))


def _settled(held: Held) -> Held:
    if held.standing.denial not in _TROUBLES:
        return held
    # A trial is one still: beside a plan that is bought, its values do not count.
    return replace(held, standing=_TRIALING if held.is_trial else _ACTIVE)


def _prices(prices: tuple[Price, ...]) -> list[dict[str, object]]:
    return [{"amount": str(price.amount), "currency": price.currency, "interval": price.interval} for price in prices]
