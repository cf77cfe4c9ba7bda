"""
How a guarded rollout goes on: from where it stands, what was measured and what time it is, to where it stands next.

    PENDING -> RUNNING -> (one step after the other) -> COMPLETED
                 |   ^
                 v   |                 all of them -> ROLLED_BACK -> PENDING, when it is started anew
                PAUSED

A step lasts for its time, and for its samples, and for its approval. Time is counted from when the step really began,
so a step that is measured is never skipped or cut short because nobody looked; where nothing is waited for but time,
all steps that are due are taken at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from payaid_entitlements.core.flags.model import Flag, FlagSet, Guard, Progress, Rollout, Stage
from payaid_entitlements.core.flags.rollouts.judging import judge, mismatch
from payaid_entitlements.core.flags.rollouts.measured import Measured
from payaid_entitlements.core.flags.turning import fixed_at
from payaid_entitlements.core.instant import MINUTE, Instant
from payaid_entitlements.errors import ConfigurationError

#: Who goes on where no person does.
CONDUCTOR = "payaid:rollout"
#: So far apart the clocks of two processes may be. What began later than that from now was not begun by a right one,
#: and is not waited for.
SKEW = 5 * MINUTE
#: Why nobody is in where the beginning of a rollout was undone.
NOT_BEGUN = "its beginning was undone; `payaid flag restart` begins anew"


@dataclass(frozen=True, slots=True)
class Plan:
    """The rollout of a flag that is guarded: that of its first rule that has one."""

    rule: str
    rollout: Rollout
    guard: Guard

    @property
    def last(self) -> int:
        """Index of the last step."""
        return len(self.rollout.steps) - 1


def plan_of(flag: Flag) -> Plan | None:
    """Find what is planned; None where time alone decides, and of a flag that is broken: it stands still."""
    for rule in () if flag.broken else flag.rules:
        if rule.rollout is not None and rule.rollout.guard is not None and rule.rollout.steps:
            return Plan(rule.id, rule.rollout, rule.rollout.guard)
    return None


def standing(plan: Plan, progress: Progress | None) -> Progress:
    """Say where it stands, also where it has not begun. What went back stays so, whatever its rule is called now."""
    if progress is not None and progress.stage is Stage.ROLLED_BACK:
        progress = replace(progress, rule=plan.rule)
    if progress is None or progress.rule != plan.rule:
        # What was measured of another rule is not taken for this one's: tries are counted on.
        tries = 0 if progress is None else progress.attempt
        return Progress(plan.rule, Stage.PENDING, 0, plan.rollout.steps[0][0], tries)
    return replace(progress, step=min(progress.step, plan.last))


def advance(flag: Flag, progress: Progress | None, measured: Measured, now: Instant) -> Progress | None:
    """
    Go on by one step, or go back.

    Args:
        progress: Where it stands, as the flag set says; None where that says nothing.
        measured: In the running step: of `tally` of this flag and attempt.

    Returns:
        Where it stands from now on; None where nothing happens.
    """
    plan = plan_of(flag)
    if plan is None:
        return None
    stands = standing(plan, progress)
    if not is_under_way(plan, stands, now):
        return None
    if stands.stage is Stage.PENDING:
        begins = _begins(plan, stands, now)
        begun = replace(stands, stage=Stage.RUNNING, step=0, attempt=stands.attempt + 1, approved=False, because="")
        if _waits(plan.guard):
            return replace(begun, since=now)
        begun = replace(begun, since=begins)
        return _caught_up(plan, begun, now) or begun
    if not _waits(plan.guard):
        return _healed(stands, now) or _caught_up(plan, stands, now)
    return _judged(plan, stands, measured, now)


def is_idle(flag: Flag) -> bool:
    """Say whether its rules decide for nobody: it is not enabled, or everybody gets one variant whatever they say."""
    return not flag.enabled or fixed_at(flag) is not None


def settled(
    before: Mapping[str, Flag], after: Mapping[str, Flag], was: FlagSet, wanted: FlagSet, now: Instant
) -> FlagSet:
    """
    Let rollouts stand as fits what their flags become, whichever verb makes them that.

    What went back stays so, whatever plan it has, until somebody starts it anew. Another plan has not begun: what was
    measured of the old one says nothing of it. What has begun keeps its plan: the catalog does not speak of its flag
    any more. A step never lasts shorter than it was to, and where its rules decide again it lasts for its time again:
    nothing was measured meanwhile.

    Args:
        before, after: Which flags count in *was* and in *wanted*.
    """
    flags, progress = dict(wanted.flags), dict(wanted.progress)
    for key, stands in wanted.progress.items():
        flag = after.get(key)
        if flag is not None:
            progress[key] = _settled(before.get(key), flag, was.progress.get(key), stands, now)
            if progress[key].stage not in (Stage.PENDING, Stage.ROLLED_BACK) and not flag.broken:
                flags.setdefault(key, flag)
    return replace(wanted, flags=flags, progress=progress)


def _settled(before: Flag | None, after: Flag, was: Progress | None, stands: Progress, now: Instant) -> Progress:
    plan = plan_of(after)
    if stands == was and plan != (None if before is None else plan_of(before)):
        if stands.stage is not Stage.ROLLED_BACK:
            stands = replace(stands, stage=Stage.PENDING, because="")
        return replace(stands, rule=stands.rule if plan is None else plan.rule, step=0, approved=False)
    if stands.stage is not Stage.RUNNING:
        return stands
    if before is not None and is_idle(before) and not is_idle(after):
        return replace(stands, since=now)
    if was is not None and was.stage is Stage.RUNNING and was.attempt == stands.attempt:
        # What a wrong clock began in the future is no measure.
        return replace(stands, since=max(stands.since, min(was.since, now)))
    return stands


def is_under_way(plan: Plan, stands: Progress, now: Instant) -> bool:
    """Say whether anything may happen by itself: a step runs, or it is time for the first one."""
    if stands.stage is Stage.PENDING:
        return now >= _begins(plan, stands, now)
    return stands.stage is Stage.RUNNING


def _begins(plan: Plan, stands: Progress, now: Instant) -> Instant:
    return max(plan.rollout.steps[0][0], now if is_ahead(stands.since, now) else stands.since)


def is_ahead(at: Instant, now: Instant) -> bool:
    """Say whether only a wrong clock can have said of something that it was done *at*."""
    return at > now + SKEW


def _healed(stands: Progress, now: Instant) -> Progress | None:
    """What a wrong clock began in the future, begun now; None where that is not so."""
    if not is_ahead(stands.since, now):
        return None
    return replace(stands, since=now, because="the clock was ahead when its step began; the time begins anew")


def _judged(plan: Plan, stands: Progress, measured: Measured, now: Instant) -> Progress | None:
    rollout, guard = plan.rollout, plan.guard
    share = rollout.steps[stands.step][1]
    judged = judge(rollout, share, measured)
    broken = [f"{each.metric.name}: {each.figures}" for each in judged if each.is_broken]
    if broken:
        return replace(stands, stage=Stage.ROLLED_BACK, because="; ".join(broken))
    healed = _healed(stands, now)
    if healed is not None:
        return healed
    if now < stands.since + _length(rollout, stands.step):
        return None
    wrong = mismatch(share, measured) if guard.metrics else None
    unmeasured = [each.metric.name for each in judged if not each.is_measured]
    if measured.inside.samples < guard.samples:
        return _holds(stands, f"waits for samples: {measured.inside.samples} of {guard.samples} when it was due")
    if unmeasured:
        return _holds(stands, f"nothing is measured: of {', '.join(unmeasured)}")
    if wrong is not None:
        return _holds(stands, f"sample ratio mismatch: {wrong}")
    if guard.approval and not stands.approved and stands.step < plan.last:
        return _holds(stands, "waits for approval")
    return _next(plan, stands, now)


def _holds(stands: Progress, because: str) -> Progress | None:
    # Said once, and not with each look: figures go on changing, and each word is a change of the flag set.
    if stands.because.partition(":")[0] == because.partition(":")[0]:
        return None
    return replace(stands, because=because)


def _next(plan: Plan, stands: Progress, since: Instant) -> Progress:
    if stands.step == plan.last:
        return replace(stands, stage=Stage.COMPLETED, because="")
    return replace(stands, step=stands.step + 1, since=since, attempt=stands.attempt + 1, approved=False, because="")


def _caught_up(plan: Plan, stands: Progress, now: Instant) -> Progress | None:
    """Take all steps that are due; None where none is."""
    reached = stands
    while reached.stage is Stage.RUNNING and now >= (due := reached.since + _length(plan.rollout, reached.step)):
        reached = _next(plan, reached, due)
    return None if reached is stands else replace(reached, attempt=stands.attempt + 1)


def _length(rollout: Rollout, step: int) -> int:
    """How long a step lasts at least, in microseconds. The last one has no end: it lasts as long as the one before."""
    begins = [begin for begin, _ in rollout.steps]
    following = min(step + 1, len(begins) - 1)
    return begins[following] - begins[following - 1] if following else rollout.hold


def _waits(guard: Guard) -> bool:
    return bool(guard.metrics or guard.samples or guard.approval)


# -- what people do -------------------------------------------------------------------------------------------------


def approved(flag: Flag, progress: Progress | None) -> Progress:
    """
    Let the running step end, once its time and its samples are there.

    Raises:
        ConfigurationError: No step is running, or it waits for nobody.
    """
    stands, plan = _required(flag, progress)
    if stands.stage is not Stage.RUNNING:
        raise _unfit(flag, stands, "approved", "a step that is running is")
    if not plan.guard.approval:
        raise ConfigurationError(f"the rollout of {flag.key!r} waits for no approval; it goes on by itself")
    return replace(stands, approved=True)


def paused(flag: Flag, progress: Progress | None, because: str) -> Progress:
    """
    Let it stand still: nobody enters, nobody leaves, and nothing is judged.

    Raises:
        ConfigurationError: It is not on its way.
    """
    stands, _ = _required(flag, progress)
    if stands.stage is not Stage.RUNNING:
        raise _unfit(flag, stands, "paused", "a step that is running is")
    return replace(stands, stage=Stage.PAUSED, because=because)


def resumed(flag: Flag, progress: Progress | None, now: Instant) -> Progress:
    """
    Go on after a pause; the time of the step begins anew, and what was measured of it still counts.

    Raises:
        ConfigurationError: It is not paused.
    """
    stands, _ = _required(flag, progress)
    if stands.stage is not Stage.PAUSED:
        raise _unfit(flag, stands, "resumed", "what was paused is")
    return replace(stands, stage=Stage.RUNNING, since=now, because="")


def restarted(flag: Flag, progress: Progress | None, now: Instant) -> Progress:
    """
    Begin from the first step, or as soon as the plan says; of what was measured before nothing counts.

    Raises:
        ConfigurationError: It is on its way.
    """
    stands, _ = _required(flag, progress)
    if stands.stage not in (Stage.ROLLED_BACK, Stage.COMPLETED):
        raise _unfit(flag, stands, "restarted", "what was rolled back or completed is")
    return Progress(stands.rule, Stage.PENDING, 0, now, stands.attempt)


def rolled_back(flag: Flag, progress: Progress | None, because: str) -> Progress:
    """
    Let nobody be in any more, at once; what has not begun does not begin.

    Raises:
        ConfigurationError: It was rolled back.
    """
    stands, _ = _required(flag, progress)
    if stands.stage is Stage.ROLLED_BACK:
        raise _unfit(flag, stands, "rolled back", "it was, and `payaid flag restart` begins anew")
    return replace(stands, stage=Stage.ROLLED_BACK, because=because)


def taken_back(was: Progress | None, stands: Progress | None, now: Instant) -> Progress | None:
    """
    Say where it stands once a change is undone before which it stood at *was*.

    As it was then; but whatever goes on by itself would do the same again at its next look. So a step that runs again
    has its time anew, and unless only a pause is taken back nothing counts that was measured and approved before. What
    is taken back to before its beginning does not begin by itself.

    Args:
        stands: Where it stands with that change; None where nothing is known of it.
    """
    if stands is None:
        return was if was is None or was.stage is not Stage.RUNNING else replace(was, since=now)
    if was is None or was.stage is Stage.PENDING:
        if stands.stage in (Stage.PENDING, Stage.ROLLED_BACK):
            return was
        return replace(stands, stage=Stage.ROLLED_BACK, because=NOT_BEGUN)
    is_same_try = was.attempt == stands.attempt
    if was.stage is Stage.RUNNING:
        if is_same_try and stands.stage is Stage.RUNNING:
            return was
        if is_same_try and stands.stage is Stage.PAUSED:
            return replace(was, since=now)
        return replace(was, since=now, attempt=_unused(was, stands), approved=False, because="")
    return was if is_same_try else replace(was, attempt=_unused(was, stands))


def _unused(was: Progress, stands: Progress) -> int:
    """A number of a try for which nothing was measured yet."""
    return max(was.attempt, stands.attempt) + 1


def _required(flag: Flag, progress: Progress | None) -> tuple[Progress, Plan]:
    plan = plan_of(flag)
    if plan is None:
        raise ConfigurationError(
            f"flag {flag.key!r} has no guarded rollout; without a guard time alone decides, and `payaid flag rollout` "
            "sets a percentage"
        )
    return standing(plan, progress), plan


def _unfit(flag: Flag, stands: Progress, verb: str, fits: str) -> ConfigurationError:
    return ConfigurationError(f"the rollout of {flag.key!r} is {stands.stage.value}, so it cannot be {verb}: {fits}")
