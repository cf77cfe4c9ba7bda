"""Who is on which side of a rollout: inside, outside, or not concerned at all."""

from __future__ import annotations

from dataclasses import replace

from payaid_entitlements.core.flags.bucketing import whose
from payaid_entitlements.core.flags.compiled import Surroundings
from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.evaluating import compile_flag
from payaid_entitlements.core.flags.model import Flag, Stage
from payaid_entitlements.core.flags.rollouts.machine import plan_of
from payaid_entitlements.core.flags.rollouts.measured import Arm, Measuring


def measuring(flag: Flag, around: Surroundings) -> Measuring | None:
    """
    Find what is measured of a flag; None where no step of its rollout runs, or nothing would be done with it.

    Those outside are compared with those inside, so they must be alike: they are those who would be in if the share
    were all, as the flag itself says then, and are not.

    Args:
        flag: That is neither killed nor broken.
        around: What it was compiled with.
    """
    plan, progress = plan_of(flag), around.progress.get(flag.key)
    if plan is None or progress is None or progress.rule != plan.rule or progress.stage is not Stage.RUNNING:
        return None
    if not plan.guard.metrics and not plan.guard.samples:
        return None
    rules = tuple(replace(rule, rollout=None) if rule.id == plan.rule else rule for rule in flag.rules)
    concerned = compile_flag(replace(flag, rules=rules), around).evaluate
    evaluate, of = around.compiled[flag.key].evaluate, plan.rule

    def side(context: FlagContext) -> tuple[Arm, str] | None:
        identity = whose(flag, context)
        if identity is None or concerned(context).rule != of:
            return None
        return (Arm.INSIDE if evaluate(context).rule == of else Arm.CONTROL), identity

    return Measuring(flag.key, progress.attempt, plan.guard, side)
