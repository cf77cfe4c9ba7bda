"""
What would help who is limited, besides waiting: a plan with a higher limit, found by trying it as in
`payaid_entitlements.core.remedies`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from payaid_entitlements.core.decision import Decision
from payaid_entitlements.core.evaluation import Situation
from payaid_entitlements.core.ratelimit.holding import limits_held
from payaid_entitlements.core.ratelimit.limits import Limit
from payaid_entitlements.core.ratelimit.policy import Policy
from payaid_entitlements.core.remedies import Contact, Remedy, candidates, holdings, keeps, settling
from payaid_entitlements.core.world import World

#: For who is let through not at all, by an override.
SWITCHED_OFF: Final = Contact("Talk to us: this was switched off for the account")


def raising(situation: Situation, world: World, decision: Decision) -> tuple[Remedy, ...]:
    """
    Find plans with a higher limit than the one that *decision* names, from the one in force upwards.

    Nothing where an override says what holds, since a plan does not change that; and nothing of limits that count by
    address, which hold before anybody is known.
    """
    present = limits_held(world, situation).get(decision.feature)
    if present is None or present.per == "address":
        return ()
    return tuple(_found(situation, world, decision, present))


def _found(situation: Situation, world: World, decision: Decision, present: Limit) -> Iterator[Remedy]:
    holds = None
    is_settled = False
    for offer, candidate, changed in candidates(situation, world, decision):
        # First what is cheap to know.
        if not _is_higher(limits_held(world, candidate)[present.key], present):
            continue
        if holds is None:
            holds = holdings(situation, world)
        if keeps(candidate, world, holds):
            if changed is not None and not is_settled:
                is_settled = True
                yield from settling(changed)
            yield offer


def _is_higher(limit: Limit, than: Limit) -> bool:
    """Does it let more through in the long run? Of what runs at once: more at once."""
    if limit.is_denied or not than.policies:
        return False
    if not limit.policies:
        return True
    slow, fast = min(limit.policies, key=_pace), min(than.policies, key=_pace)
    return slow.quota * fast.window > fast.quota * slow.window


def _pace(policy: Policy) -> float:
    return policy.quota / policy.window
