"""Moving those who hold an older version of a plan, or of an add-on, to another one."""

from __future__ import annotations

from dataclasses import replace

from payaid_entitlements.core.adding import fits
from payaid_entitlements.core.facts import NewFact, Timeline, followed
from payaid_entitlements.core.ground import Ground
from payaid_entitlements.core.subscription import subject
from payaid_entitlements.core.world import World


def migrate(on: Ground, plan: str, to: int) -> tuple[NewFact, ...]:
    """Hold version *to* of *plan* wherever an older one is held, or will be by a scheduled change."""
    facts: list[NewFact] = []
    for about, line in on.document.timelines.items():
        if about[0] != "subscription" or about[2:] != ("plan",):
            continue
        coming = [fact for fact, following in followed(line) if following is None or following.since > on.at]
        # Said when the plan was, so that a change of plan that arrives late is not lost.
        newer = [NewFact(about, max(f.since, on.at), _migrated(f.value, plan, to), f.said) for f in coming]
        if any(new.value != fact.value for new, fact in zip(newer, coming, strict=True)):
            facts += newer
    return tuple(facts)


def migrate_add_on(on: Ground, add_on: str, to: int) -> tuple[NewFact, ...]:
    """
    Hold version *to* of an add-on wherever an older one is held, or will be.

    Where the plan is one that this version is not for, the older one stays: nobody loses it by that.
    """
    facts: list[NewFact] = []
    for about, line in on.document.timelines.items():
        if about[0] != "subscription" or about[2:] != ("add_on", add_on):
            continue
        plans = on.document.timelines.get(subject(about[1], "plan"), Timeline())
        coming = [fact for fact, following in followed(line) if following is None or following.since > on.at]
        # Said when the quantity was, so that one that arrives late is not lost.
        newer = [NewFact(about, max(f.since, on.at), f.value, f.said) for f in coming]
        newer = [replace(n, value=_moved_add_on(on.world, add_on, to, n.value, plans.at(n.since))) for n in newer]
        if any(new.value != fact.value for new, fact in zip(newer, coming, strict=True)):
            facts += newer
    return tuple(facts)


def _moved_add_on(world: World, add_on: str, to: int, value: object, beside: object) -> object:
    match value, beside:
        case {"quantity": quantity, "version": int(version)}, {"plan": str(plan)}:
            if version < to and fits(world.add_on(add_on, to), plan):
                return {"quantity": quantity, "version": to}
    return value


def _migrated(value: object, plan: str, to: int) -> object:
    match value:
        case {"plan": held, "version": int(version)} if held == plan and version < to:
            return {"plan": plan, "version": to}
    return value
