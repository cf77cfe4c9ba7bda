"""
Windows side by side, aligned to the epoch: cheap to explain, and a client can take two quotas around a boundary.

The state is ``(start, used)``: the microsecond at which the window began, and the units that were taken in it.
"""

from __future__ import annotations

from payaid_entitlements.core.ratelimit.policy import NEVER, Policy, State, Verdict


def step(policy: Policy, state: State, now: int, cost: int, permit: int = 0) -> tuple[State, Verdict]:
    """Count *cost* units at *now*, in microseconds since the epoch, where there is room."""
    window, quota = policy.window, policy.quota
    start, used = now - now % window, 0
    if len(state) == 2 and state[0] >= start:  # later only where time ran backwards: it stands still
        start, used = state
    ends_after = start + window - now
    if cost == 0:
        return state, Verdict(True, max(quota - used, 0), 0, ends_after if used else 0)
    if used + cost <= quota:
        used += cost
        return (start, used), Verdict(True, quota - used, 0, ends_after)
    return state, Verdict(False, max(quota - used, 0), NEVER if cost > quota else ends_after, ends_after if used else 0)
