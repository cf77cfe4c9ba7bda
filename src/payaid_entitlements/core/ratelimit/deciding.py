"""Decide one call by several policies: all of those that are enforced have room, or nothing is counted at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

from payaid_entitlements.core.ratelimit import concurrency, fixed_window, gcra, sliding_counter, sliding_log
from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy, State, Verdict

_Step: TypeAlias = Callable[[Policy, State, int, int, int], tuple[State, Verdict]]

#: How each algorithm counts.
STEPS: Final[dict[Algorithm, _Step]] = {
    Algorithm.GCRA: gcra.step,
    Algorithm.SLIDING_LOG: sliding_log.step,
    Algorithm.SLIDING_COUNTER: sliding_counter.step,
    Algorithm.FIXED_WINDOW: fixed_window.step,
    Algorithm.CONCURRENCY: concurrency.step,
}


class Decided(NamedTuple):
    """
    What becomes of a call.

    Attributes:
        states: To be written, one for each policy, some perhaps as they were; None where nothing is to be written.
        is_allowed: All enforced policies had room.
        verdicts: One for each policy, in their order. Of a call that was refused, those of policies that had room tell
            how things stand without it.
    """

    states: tuple[State, ...] | None
    is_allowed: bool
    verdicts: tuple[Verdict, ...]


def decide(policies: Sequence[Policy], states: Sequence[State], now: int, cost: int, permit: int = 0) -> Decided:
    """
    Decide a call of *cost* units at *now*, in microseconds since the epoch.

    Args:
        states: What is remembered for each policy; empty for one on which nothing was counted.
        cost: 0 or more. 0 asks how things stand: it is always within.
        permit: Of concurrency policies; from 1 to 2**52.
    """
    if len(policies) == 1:
        # Mostly there is one, and then all of the below comes to this.
        [policy], [state] = policies, states
        state, verdict = STEPS[policy.algorithm](policy, state, now, cost, permit)
        is_allowed = verdict.is_within or not policy.is_enforced
        return Decided((state,) if cost and is_allowed else None, is_allowed, (verdict,))
    steps = [
        STEPS[policy.algorithm](policy, state, now, cost, permit)
        for policy, state in zip(policies, states, strict=True)
    ]
    verdicts = tuple(verdict for _, verdict in steps)
    if all(verdict.is_within or not policy.is_enforced for policy, verdict in zip(policies, verdicts, strict=True)):
        return Decided(tuple(state for state, _ in steps) if cost else None, True, verdicts)
    untouched = (
        STEPS[policy.algorithm](policy, state, now, 0, permit)[1] if verdict.is_within else verdict
        for policy, state, verdict in zip(policies, states, verdicts, strict=True)
    )
    return Decided(None, False, tuple(untouched))
