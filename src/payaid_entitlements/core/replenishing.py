"""
What would help where it is sold, but used up: found by trying it, as in `payaid_entitlements.core.remedies`.

How much was asked is not in a decision, so what is offered is what leaves at least one unit more than there is now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from payaid_entitlements.core.catalog.model import AddOn, Feature, Kind
from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.evaluation import Evaluation, Situation
from payaid_entitlements.core.instant import instant, moment
from payaid_entitlements.core.metering.usage import Usage
from payaid_entitlements.core.remedies import (
    BY_HAND,
    AddAddOn,
    Contact,
    ReleaseSlots,
    Remedy,
    WaitUntil,
    candidates,
    holdings,
    settling,
    turns,
    with_add_on,
)
from payaid_entitlements.core.values import UNLIMITED, Allowance, Amount
from payaid_entitlements.core.world import World
from payaid_entitlements.core.worth import is_more

#: Refusals of what is sold, since the ledger, or the host, counts too much of it.
SHORT: Final = frozenset(
    {
        Reason.QUOTA_EXHAUSTED,
        Reason.QUOTA_GRACE_ENDED,
        Reason.CREDIT_EXHAUSTED,
        Reason.ALLOCATION_FULL,
        Reason.ALLOCATION_NO_ROOM,
    }
)

#: Of an add-on nobody is told to buy more at once.
_MOST_AT_ONCE: Final = 1_000


def replenishing(situation: Situation, world: World, decision: Decision) -> tuple[Remedy, ...]:
    """
    Find what would leave more of what *decision* says is used up, the cheapest first.

    - A new window, for what comes anew: wait. Not where the subscription is about to end.
    - Slots: free some.
    - An add-on that raises it, or grants it, or a credit that pays for it; as many as it takes.
    - A plan with more of it, or of such a credit.
    - What was set by hand: talk to the vendor.
    """
    feature, usage = world.catalog.features.get(decision.feature), decision.usage
    if feature is None or usage is None:
        return ()
    return tuple(_found(_Need(situation, world, feature, usage)))


@dataclass(frozen=True, slots=True)
class _Need:
    situation: Situation
    world: World
    feature: Feature
    usage: Usage

    @property
    def sold(self) -> Decision:
        return Evaluation(self.world, self.situation).sold(self.feature.key)

    @property
    def meters(self) -> tuple[Feature, ...]:
        """The feature, and the credits that pay for it."""
        paying = (self.world.catalog.features[key] for key, _ in self.world.payers.get(self.feature.key, ()))
        return (self.feature, *paying)

    def is_met_by(self, candidate: Situation) -> bool:
        """Would there be a unit more than is used now?"""
        before, after = Evaluation(self.world, self.situation), Evaluation(self.world, candidate)
        limit, now = _limit(after, self.feature), _limit(before, self.feature)
        if now is not None and (limit is None or limit - now > max(self.missing, 0)):
            return True
        return any(
            (value := after.sold(credit.key).value) is not None
            and ((was := before.sold(credit.key).value) is None or is_more(credit, was, value))
            for credit in self.meters[1:]
        )

    @property
    def missing(self) -> Amount:
        """How many units more than its limit are used or held; less than 0 where some are left."""
        usage = self.usage
        return 0 if usage.limit is UNLIMITED else usage.used + usage.held - usage.limit


def _found(need: _Need) -> Iterator[Remedy]:
    usage, sold = need.usage, need.sold
    if usage.resets_at is not None and Reason.SUBSCRIPTION_EXPIRING not in sold.advisories:
        yield WaitUntil(moment(instant(usage.resets_at)))
    if need.feature.kind is Kind.ALLOCATION:
        yield ReleaseSlots(need.feature.key, max(1, int(need.missing) + 1))
    if sold.source == "override":
        yield Contact(BY_HAND)
        return
    holds = holdings(need.situation, need.world)
    for add_on in (need.world.published.add_on(key) for key in need.world.catalog.add_ons):
        quantity = _quantity(need, add_on)
        for name, candidate in with_add_on(need.situation, add_on, quantity):
            helps = any(meter.key in add_on.grant for meter in need.meters) or need.is_met_by(candidate)
            if helps and turns(candidate, need.world, need.feature.key, holds):
                yield AddAddOn(add_on.key, add_on.title, quantity, add_on.prices, add_on.url, name)
                break
    is_settled = False
    for offer, candidate, changed in candidates(need.situation, need.world, sold):
        if need.is_met_by(candidate) and turns(candidate, need.world, need.feature.key, holds):
            if changed is not None and not is_settled:
                is_settled = True
                yield from settling(changed)
            yield offer


def _quantity(need: _Need, add_on: AddOn) -> int:
    """How many of *add_on* it takes to have a unit more than is used."""
    more = add_on.increment.get(need.feature.key)
    if not isinstance(more, Allowance) or more.limit is UNLIMITED:
        return 1
    return max(1, min(int(need.missing // more.limit) + 1, _MOST_AT_ONCE))


def _limit(evaluation: Evaluation, feature: Feature) -> Amount | None:
    """What its own allowance holds; None without a limit."""
    match evaluation.sold(feature.key).value:
        case Allowance(limit):
            return None if limit is UNLIMITED else limit
    return 0
