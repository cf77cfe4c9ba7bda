"""
What a refused tenant could do, by why it is refused; found once for as long as the same facts hold.

To find it takes some hundred times a decision, since each candidate is decided as a tenant is, and whoever is refused
asks again and again.
"""

from __future__ import annotations

from typing import Final

from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.evaluation import Situation
from payaid_entitlements.core.raising import raising
from payaid_entitlements.core.remedies import Remedy, remedies
from payaid_entitlements.core.replenishing import SHORT, replenishing
from payaid_entitlements.core.world import World

#: Answers that are kept, in all variants of a world together.
MOST: Final = 1_000


def offered(situation: Situation, world: World, decision: Decision) -> tuple[Remedy, ...]:
    """
    Find what would turn the refusal *decision*, the cheapest first.

    As `raising` says of what came too fast, `replenishing` of what is used up, and `remedies` of all else.
    """
    # By identity: a situation is the same object for as long as its tenant is near, as modes are for as long as their
    # world is, which variants differ by; kept here, no other has their ids. A refusal moves nothing, so that whoever is
    # short is so by the same figures.
    asked = (id(world.modes), id(situation), decision.feature, decision.reason, decision.usage)
    known = world.offered.get(asked)
    if known is None:
        if len(world.offered) >= MOST:
            world.offered.clear()
        known = world.offered[asked] = world.modes, situation, _found(situation, world, decision)
    return known[-1]


def _found(situation: Situation, world: World, decision: Decision) -> tuple[Remedy, ...]:
    if decision.reason is Reason.RATE_LIMITED:
        return raising(situation, world, decision)
    if decision.reason in SHORT:
        return replenishing(situation, world, decision)
    return remedies(situation, world, decision.feature)
