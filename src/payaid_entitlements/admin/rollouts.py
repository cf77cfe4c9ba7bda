"""
Letting guarded rollouts go on, by themselves or by hand. Each step is a change of the flag set like any other: audited,
undone by its id, and made once, whoever else is at it in the same moment.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias, cast

from payaid_entitlements.admin.change import Author, Change
from payaid_entitlements.admin.flagging import FlagRequest, Standing, change_flags, unreadable
from payaid_entitlements.admin.tenants import PAGE, current_world
from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.cache.steps import DropTallies, Flow, ReadAudit, ReadFlags, ReadTallies
from payaid_entitlements.core.flags.model import Flag, FlagSet, Progress, Stage
from payaid_entitlements.core.flags.rollouts.machine import (
    CONDUCTOR,
    Plan,
    advance,
    is_ahead,
    is_idle,
    is_under_way,
    plan_of,
    standing,
)
from payaid_entitlements.core.flags.rollouts.measured import Measured, tally
from payaid_entitlements.core.flags.rollouts.schedule import share
from payaid_entitlements.core.flags.shares import percent
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.errors import ChangeConflict
from payaid_entitlements.stores.ports import AuditEntry, Scope

#: From where a rollout stands to where it is to stand, or refused.
Turn: TypeAlias = Callable[[Flag, Progress | None], Progress]

#: Nobody asks for these: time and measurements do.
BY_ITSELF: Final = Author(CONDUCTOR, None, False)


@dataclass(frozen=True, slots=True)
class RolloutStep:
    """
    What became of a guarded rollout.

    Attributes:
        stage, step: Where it stands now; steps are counted from 0.
        share: That is in now, in parts of 100,000.
        because: Why it holds or went back, with what was measured; empty where it went on.
        change: Of the flag set.
    """

    flag: str
    stage: Stage
    step: int
    share: int
    because: str
    change: Change


def step_rollouts(setting: Setting, author: Author, flags: Collection[str] | None = None) -> Flow[list[RolloutStep]]:
    """
    Let each guarded rollout go on by one step where it is time, or back where a guard is broken. One whose flag is
    killed, not enabled or set for everybody stands still, and lasts for its time again when that is taken back.

    Whatever somebody else did in the same moment is left as it is: of many that do this, one makes the step.

    Args:
        flags: Only these; None for all.

    Returns:
        What happened; nothing where nothing did.

    Raises:
        StoreDamaged: The flag set cannot be read. By itself nothing goes on then, and nothing is raised.
    """
    world = yield from current_world(setting)
    held = cast("FlagSet", (yield ReadFlags()))
    if held.damage is not None:
        if author is BY_ITSELF:
            return []
        raise unreadable(held.damage)
    on = Standing.of(world.catalog, held, world.controls.killed)
    happened: list[RolloutStep] = []
    for key in sorted(on.flags if flags is None else on.flags.keys() & flags):
        plan = plan_of(on.flags[key])
        if plan is not None:
            try:
                made = yield from _step(setting, author, on, on.flags[key], plan)
            except ChangeConflict:
                continue  # somebody else has changed this flag since it was read
            if made is not None:
                happened.append(made)
    return happened


def conduct(setting: Setting, flags: Collection[str]) -> Flow[list[RolloutStep]]:
    """Same as `step_rollouts`, by itself; asks nothing of the store where nothing near says that it is time."""
    known, now = setting.near.flags, setting.now()
    if known is not None:
        flags = [
            key
            for key in flags
            if key in known.flags
            and (plan := plan_of(known.flags[key].flag)) is not None
            and is_under_way(plan, standing(plan, known.progress.get(key)), now)
        ]
    return (yield from step_rollouts(setting, BY_ITSELF, flags)) if flags else []


def _step(setting: Setting, author: Author, on: Standing, flag: Flag, plan: Plan) -> Flow[RolloutStep | None]:
    progress = on.held.progress.get(flag.key)
    stands, now, measured = standing(plan, progress), setting.now(), Measured()
    if not is_under_way(plan, stands, now):
        return None
    if flag.key in on.killed or is_idle(flag):
        return None
    if stands.stage is Stage.RUNNING and (plan.guard.metrics or plan.guard.samples):
        measured = Measured.of(cast("Mapping[str, int]", (yield ReadTallies(tally(flag.key, stands.attempt)))))
    following = advance(flag, progress, measured, now)
    if following is not None and stands.stage is Stage.RUNNING and following.stage is not Stage.ROLLED_BACK:
        lifted = yield from _lifted(flag.key, stands.since, now)
        if lifted is not None:
            following = advance(flag, replace(stands, since=lifted), measured, now)
    if following is None:
        return None
    if not stands.attempt:
        # What is measured has a name that was never used, though a flag of this key was removed: each try is a change.
        following = replace(following, attempt=on.held.revision + following.attempt)
    if following.attempt != stands.attempt and not author.is_dry:
        # That of the step before stays: people look at it, and processes that have not heard yet still add to it. That
        # of the step itself may be there, if somebody else has made it meanwhile. Each undoing takes a number besides.
        for attempt in (following.attempt - 3, following.attempt - 2):
            yield DropTallies(tally(flag.key, attempt))
    why = following.because or f"{following.stage.value}: {percent(share(plan.rollout, following, now))} is in"

    def moved(at: Standing) -> FlagSet:
        if at.flags.get(flag.key) != flag or at.held.progress.get(flag.key) != progress:
            return at.held  # it is not what was judged
        return _standing_at(at, flag, following)

    asked = {"flag": flag.key, "attempt": stands.attempt, "step": stands.step}
    request = FlagRequest("step_rollout", moved, asked, replace(author, because=author.because or why))
    change = yield from change_flags(setting, request)
    if not change.altered:
        return None
    let_in = share(plan.rollout, following, now)
    return RolloutStep(flag.key, following.stage, following.step, let_in, following.because, change)


def _lifted(flag: str, since: Instant, now: Instant) -> Flow[Instant | None]:
    """
    When its kill switch was turned last; None where that was before *since*, as it is with nearly all steps.

    What a wrong clock says of the future says nothing: until then it would put off the step with each look.
    """
    found, after = None, 0
    while True:
        step = ReadAudit(scope=Scope.CONTROLS, since=since, after=after, limit=PAGE)
        page = cast("Sequence[AuditEntry]", (yield step))
        for entry in page:
            if entry.detail.get("about") == ["killed", flag] and not is_ahead(entry.recorded, now):
                found = entry.recorded
        if len(page) < PAGE:
            return found
        after = page[-1].position


def turned(key: str, turn: Turn, on: Standing) -> FlagSet:
    """The set in which the rollout of a flag stands where *turn* says."""
    flag = on.flag(key)
    return _standing_at(on, flag, turn(flag, on.held.progress.get(key)))


def _standing_at(on: Standing, flag: Flag, progress: Progress) -> FlagSet:
    # The flag itself too: steps of a plan that the catalog changes under way would be others.
    return replace(
        on.held,
        flags={**on.held.flags, flag.key: flag},
        progress={**on.held.progress, flag.key: progress},
    )
