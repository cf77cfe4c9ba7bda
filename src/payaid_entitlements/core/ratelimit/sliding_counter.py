"""
Two fixed windows, of which the older one counts less and less: near to a sliding log, from three numbers.

It is approximate: it takes the calls of the older window to have come evenly. Who packs them at that window's end gets
almost two quotas within one window, so it suits well-behaved clients and long windows, not those who attack.

The state is ``(start, current, previous)``: when the current window began, and the units of it and of the one before.
The estimate is computed in IEEE 754 doubles, in one order of operations, so that all limiters come to the same.
"""

from __future__ import annotations

from bisect import bisect_left

from payaid_entitlements.core.ratelimit.policy import NEVER, Policy, State, Verdict


def step(policy: Policy, state: State, now: int, cost: int, permit: int = 0) -> tuple[State, Verdict]:
    """Count *cost* units at *now*, in microseconds since the epoch, where there is room."""
    window, quota = policy.window, policy.quota
    start, current, previous = _windows(window, state, now)
    elapsed = max(now - start, 0)  # below 0 where time ran backwards: it stands still
    used = _weighed(previous, window, elapsed) + current
    reset_after = start - now + (2 * window if current else window if previous else 0)
    if cost == 0:
        return state, Verdict(True, max(quota - used, 0), 0, max(reset_after, 0))
    if used + cost <= quota:
        return (start, current + cost, previous), Verdict(True, quota - used - cost, 0, start - now + 2 * window)
    retry_after = NEVER
    if cost <= quota:
        room = quota - cost
        if current <= room:
            retry_after = start - now + _elapsed_until(room - current, previous, window)
        else:
            retry_after = start - now + window + _elapsed_until(room, current, window)
    return state, Verdict(False, max(quota - used, 0), retry_after, max(reset_after, 0))


def _windows(window: int, state: State, now: int) -> tuple[int, int, int]:
    """What *state* comes to at *now*."""
    begun = now - now % window
    if len(state) != 3 or begun > state[0] + window:
        return begun, 0, 0
    start, current, previous = state
    return (begun, 0, current) if begun > start else (start, current, previous)


def _weighed(units: int, window: int, elapsed: int) -> int:
    """What *units* of the window before count for, *elapsed* microseconds into a window."""
    return int(units * ((window - elapsed) / window))


def _elapsed_until(room: int, units: int, window: int) -> int:
    """How far into a window *units* of the one before count for at most *room*; its end where never."""
    return bisect_left(range(window), True, key=lambda elapsed: _weighed(units, window, elapsed) <= room)
