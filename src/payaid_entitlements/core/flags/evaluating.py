"""
Make of a flag the one function that answers it.

What comes first decides: killed by the environment, killed by an operator, not enabled, held out, excluded, a
prerequisite, the rules in their order, the default. Whatever can be known when the flag is compiled is; every details
that may come out are built once, so that an evaluation makes nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Final, TypeAlias

from payaid_entitlements.core.flags.bucketing import Position, armed, exposed, grouped, prefix
from payaid_entitlements.core.flags.compiled import CompiledFlag, Evaluate, Surroundings
from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.details import FlagDetails, FlagError, FlagReason
from payaid_entitlements.core.flags.failing import EvaluationFailed, RuleInvalid
from payaid_entitlements.core.flags.hashing import murmur3, threshold
from payaid_entitlements.core.flags.jsonlogic.reading import read
from payaid_entitlements.core.flags.lowering import Test
from payaid_entitlements.core.flags.model import Flag, Rule, Share
from payaid_entitlements.core.flags.rollouts.schedule import reads_clock, share
from payaid_entitlements.core.flags.walking import reads_clock as may_read_clock
from payaid_entitlements.forking import IMPORTING

#: Answers a flag, or says that it has no answer of its own (None) and what comes next decides.
Step: TypeAlias = Callable[[FlagContext], FlagDetails | None]


#: A rule says this where a share decides and there is nobody to hash; what comes next may still decide.
MISSING: Final = FlagDetails("", None, None, FlagReason.DEFAULT)


class Outcomes:
    """The details of one flag, each built once."""

    def __init__(self, flag: Flag) -> None:
        self.flag = flag

    def of(self, variant: str | None, reason: FlagReason, rule: str | None = None, message: str = "") -> FlagDetails:
        """Details of *variant*; where that is None the caller's own default is used, which is no reason but DEFAULT."""
        if variant is None and reason is FlagReason.STATIC:
            reason = FlagReason.DEFAULT
        flag = self.flag
        value = None if variant is None else flag.variants[variant]
        return FlagDetails(flag.key, value, variant, reason, rule, None, message, flag.metadata)

    def failed(self, message: str, error: FlagError = FlagError.GENERAL) -> FlagDetails:
        """Details of a flag that has no answer."""
        flag = self.flag
        return FlagDetails(flag.key, None, None, FlagReason.ERROR, None, error, message, flag.metadata)

    def off(self, reason: FlagReason, message: str) -> FlagDetails:
        """Details of the off variant."""
        return self.of(self.flag.off, reason, None, message)

    def missing(self) -> FlagDetails:
        """Details where a share decides, and there is nobody to hash."""
        flag = self.flag
        whose = flag.bucket_by if flag.fallback is None else f"{flag.bucket_by}, else by {flag.fallback}"
        message = f"{FlagError.TARGETING_KEY_MISSING}: the flag buckets by {whose}, of which there is none"
        return self.of(flag.default, FlagReason.DEFAULT, None, message)


def constant(details: FlagDetails) -> Evaluate:
    """Make the function that always answers the same."""
    return lambda _: details


def compile_flag(flag: Flag, around: Surroundings, *, killed: str = "", broken: str = "") -> CompiledFlag:
    """
    Compile *flag*.

    Args:
        around: What it may refer to; its prerequisites are compiled already.
        killed: What killed it, in words; empty where nothing did.
        broken: Why it has no answer, in words; empty where it has one.

    A flag that cannot be compiled fails alone, and when it is asked.
    """
    outcomes = Outcomes(flag)
    try:
        if killed or not flag.enabled:
            return _answering(outcomes.off(FlagReason.DISABLED, killed or "it is not enabled"), flag)
        if broken:
            return _answering(outcomes.failed(broken), flag)
        is_clocked = _is_clocked(flag, around)
        fast = _fast(outcomes, around)
    except Exception as error:  # as with `_evaluate`, below
        return _answering(_unusable(outcomes, error), flag)
    return fast or _when_asked(outcomes, around, is_clocked)


def _answering(details: FlagDetails, flag: Flag) -> CompiledFlag:
    return CompiledFlag(flag, constant(details), reads_clock=False)


def _when_asked(outcomes: Outcomes, around: Surroundings, is_clocked: bool) -> CompiledFlag:
    """Make a flag that is compiled when it is first asked: all are made anew with each change, and few are asked."""
    made: Evaluate | None = None

    def first(context: FlagContext) -> FlagDetails:
        nonlocal made
        if made is None:
            try:
                made = _evaluate(outcomes, around)
            except Exception as error:
                made = constant(_unusable(outcomes, error))
            # Whoever asks from now on finds what was made; two threads that are first make the same.
            object.__setattr__(compiled, "evaluate", made)
        return made(context)

    compiled = CompiledFlag(outcomes.flag, first, is_clocked)
    return compiled


def _unusable(outcomes: Outcomes, error: Exception) -> FlagDetails:
    if isinstance(error, RuleInvalid):
        return outcomes.failed(str(error), FlagError.PARSE_ERROR)
    # Readers refuse such flags; a flag set that something else has written may hold one. The others must answer.
    message = f"it cannot be used as it is stored: {type(error).__name__}: {error}; define it anew"
    return outcomes.failed(message, FlagError.PARSE_ERROR)


def _evaluate(outcomes: Outcomes, around: Surroundings) -> Evaluate:
    flag = outcomes.flag
    gates = _gates(outcomes, around)
    if flag.targeting is not None:
        # What reads and writes files of flagd comes with it: only who has such flags loads that.
        with IMPORTING:
            from payaid_entitlements.core.flags.flagd.evaluating import evaluator

        return _in_order((*gates, evaluator(flag)), outcomes.of(flag.default, FlagReason.DEFAULT), outcomes)
    steps = (*gates, *(_rule(rule, outcomes, around) for rule in flag.rules))
    reason = FlagReason.DEFAULT if steps else FlagReason.STATIC
    return _in_order(steps, outcomes.of(flag.default, reason), outcomes)


def _is_clocked(flag: Flag, around: Surroundings) -> bool:
    if flag.targeting is not None and may_read_clock(read(flag.targeting)):
        return True
    return any(rule.rollout is not None and reads_clock(rule.rollout) for rule in flag.rules) or any(
        around.compiled[each.flag].reads_clock for each in flag.needs if each.flag in around.compiled
    )


def _in_order(steps: tuple[Step, ...], default: FlagDetails, outcomes: Outcomes) -> Evaluate:
    missing = outcomes.missing()

    def evaluate(context: FlagContext) -> FlagDetails:
        last = default
        try:
            for step in steps:
                found = step(context)
                if found is not None:
                    if found is not MISSING:
                        return found
                    last = missing
        except EvaluationFailed as failure:
            return outcomes.failed(failure.message, failure.code)
        except Exception as error:
            # Ids and attributes come from the host and may be anything. What they are is left out: it may say who.
            return outcomes.failed(f"the context cannot be read: {type(error).__name__}")
        return last

    return evaluate


def _gates(outcomes: Outcomes, around: Surroundings) -> list[Step]:
    flag = outcomes.flag
    gates: list[Step] = []
    if flag.holdout is not None:
        out = outcomes.off(FlagReason.SPLIT, f"held out by the group {flag.holdout.group!r}")
        gates.append(_gate(flag, flag.holdout, inside=out, outside=None, nobody=None))
    if flag.exclusion is not None:
        out = outcomes.off(FlagReason.SPLIT, f"outside of its share of the group {flag.exclusion.group!r}")
        nobody = outcomes.off(FlagReason.DEFAULT, outcomes.missing().message)
        gates.append(_gate(flag, flag.exclusion, inside=None, outside=out, nobody=nobody))
    for needs in flag.needs:
        other = around.compiled.get(needs.flag)
        if other is None:
            out = outcomes.off(FlagReason.DEFAULT, f"its prerequisite {needs.flag!r} does not exist")
            gates.append(constant(out))
        else:
            wanted = " or ".join(sorted(needs.variants))
            out = outcomes.off(FlagReason.DEFAULT, f"its prerequisite {needs.flag!r} is not {wanted}")
            gates.append(_prerequisite(other.evaluate, needs.variants, out))
    return gates


def _gate(
    flag: Flag, share: Share, *, inside: FlagDetails | None, outside: FlagDetails | None, nobody: FlagDetails | None
) -> Step:
    position = grouped(flag, share.group)
    start, end = threshold(share.start), threshold(share.end)

    def gate(context: FlagContext) -> FlagDetails | None:
        at = position(context)
        if at is None:
            return nobody
        return inside if start <= at < end else outside

    return gate


def _prerequisite(evaluate: Evaluate, variants: frozenset[str], out: FlagDetails) -> Step:
    def gate(context: FlagContext) -> FlagDetails | None:
        return None if evaluate(context).variant in variants else out

    return gate


def _rule(rule: Rule, outcomes: Outcomes, around: Surroundings) -> Step:
    decide = _serve(rule, outcomes)
    if rule.rollout is not None:
        decide = _within(exposed(outcomes.flag), _limit(rule, outcomes.flag, around), decide)
    if rule.when is not None:
        decide = _when(around.condition(rule.when), decide)
    return decide


def _serve(rule: Rule, outcomes: Outcomes) -> Step:
    if isinstance(rule.serve, str):
        reason = FlagReason.TARGETING_MATCH if rule.rollout is None else FlagReason.SPLIT
        return constant(outcomes.of(rule.serve, reason, rule.id))
    total, reached, edges, arms = sum(weight for _, weight in rule.serve), 0, [], []
    for variant, weight in rule.serve:
        reached += weight
        edges.append(threshold(reached, total))
        arms.append(outcomes.of(variant, FlagReason.SPLIT, rule.id))
    position = armed(outcomes.flag)

    def split(context: FlagContext) -> FlagDetails:
        at = position(context)
        return MISSING if at is None else arms[bisect_right(edges, at)]

    return split


def _limit(rule: Rule, flag: Flag, around: Surroundings) -> Callable[[FlagContext], int]:
    rollout, progress = rule.rollout, around.progress.get(flag.key)
    assert rollout is not None  # only rules that have one are asked for it
    if progress is not None and progress.rule != rule.id:
        progress = None
    if reads_clock(rollout):
        return lambda context: threshold(share(rollout, progress, context.at))
    limit = threshold(share(rollout, progress, 0))
    return lambda _: limit


def _within(position: Position, limit: Callable[[FlagContext], int], decide: Step) -> Step:
    def within(context: FlagContext) -> FlagDetails | None:
        at = position(context)
        if at is None:
            return MISSING
        return decide(context) if at < limit(context) else None

    return within


def _when(test: Test, decide: Step) -> Step:
    def when(context: FlagContext) -> FlagDetails | None:
        return decide(context) if test(context) else None

    return when


def _fast(outcomes: Outcomes, around: Surroundings) -> CompiledFlag | None:
    """Make the function of the usual flag, a percentage of tenants or of users and no more; None for any other."""
    flag = outcomes.flag
    if flag.holdout is not None or flag.exclusion is not None or flag.needs or flag.targeting is not None:
        return None
    match flag.rules:
        case ():
            return _answering(outcomes.of(flag.default, FlagReason.STATIC), flag)
        case (Rule(serve=str(variant), when=None, rollout=rollout) as rule,) if rollout is not None:
            is_keyed = (flag.salt or flag.key) == flag.key and flag.fallback is None
            if not is_keyed or flag.bucket_by not in ("tenant", "user") or reads_clock(rollout):
                return None
            return _percentage(
                flag,
                prefix(flag.key),
                _limit(rule, flag, around)(_NOBODY),
                outcomes.of(variant, FlagReason.SPLIT, rule.id),
                outcomes.of(flag.default, FlagReason.DEFAULT),
                outcomes.missing(),
            )
    return None


_NOBODY = FlagContext(tenant=None, user=None, at=0, attributes={}, tenant_text=None, user_text=None)


def _percentage(
    flag: Flag, prefix: bytes, limit: int, inside: FlagDetails, outside: FlagDetails, missing: FlagDetails
) -> CompiledFlag:
    # Written out for each: nearly all evaluations are these, and one look more is a tenth of what they cost.
    hashed = murmur3
    if flag.bucket_by == "user":

        def of_user(context: FlagContext) -> FlagDetails:
            text = context.user_text
            if text is None:
                return missing
            return inside if hashed(prefix + text) < limit else outside

        return CompiledFlag(flag, of_user, False, lambda text: inside if hashed(prefix + text) < limit else outside)

    def of_tenant(context: FlagContext) -> FlagDetails:
        text = context.tenant_text
        if text is None:
            return missing
        return inside if hashed(prefix + text) < limit else outside

    return CompiledFlag(flag, of_tenant, reads_clock=False)
