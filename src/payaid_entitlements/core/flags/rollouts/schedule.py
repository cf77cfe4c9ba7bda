"""How many are in at an instant."""

from __future__ import annotations

from bisect import bisect_right

from payaid_entitlements.core.flags.model import Progress, Rollout, Stage
from payaid_entitlements.core.instant import EARLIEST, Instant


def share(rollout: Rollout, progress: Progress | None, at: Instant) -> int:
    """
    Say what share of those to whom the rule applies is in, in parts of `PARTS`.

    Without a guard it is a function of *at* alone; with one, of *progress* alone: nobody is in until the first step has
    begun, and nobody any more after a rollback. A pause keeps who is in.

    Args:
        progress: Of this rollout's own rule, where the flag set has it; that of another rule is none.
    """
    if rollout.guard is None:
        begun = bisect_right(rollout.steps, at, key=lambda step: step[0])
        return rollout.steps[begun - 1][1] if begun else 0
    if progress is None or progress.stage in (Stage.PENDING, Stage.ROLLED_BACK):
        return 0
    # Of a plan that was made shorter meanwhile the last step is where it stands.
    return rollout.steps[min(progress.step, len(rollout.steps) - 1)][1]


def reads_clock(rollout: Rollout) -> bool:
    """Say whether time alone may change the share: a plain percentage is one step from the beginning of time."""
    return rollout.guard is None and any(begins > EARLIEST for begins, _ in rollout.steps)
