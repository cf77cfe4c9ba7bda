"""
Every call with its time: the quota holds in any window, exactly, at the price of remembering all calls of one.

The state is ``(time, cost, time, cost, ...)``, oldest first. A call counts from its own microsecond until the one that
is a window later, which is outside. Calls of the same microsecond are one entry.
"""

from __future__ import annotations

from payaid_entitlements.core.ratelimit.policy import NEVER, Policy, State, Verdict


def step(policy: Policy, state: State, now: int, cost: int, permit: int = 0) -> tuple[State, Verdict]:
    """Count *cost* units at *now*, in microseconds since the epoch, where there is room."""
    window, quota = policy.window, policy.quota
    live = _live(window, state, now)
    used = sum(live[1::2])
    reset_after = live[-2] + window - now if live else 0
    if cost == 0:
        return state, Verdict(True, max(quota - used, 0), 0, reset_after)
    if used + cost <= quota:
        time = max(now, live[-2]) if live else now  # time that ran backwards stands still
        live = (*live[:-1], live[-1] + cost) if live and live[-2] == time else (*live, time, cost)
        return live, Verdict(True, quota - used - cost, 0, time + window - now)
    retry_after = NEVER if cost > quota else _free_at(live, used + cost - quota) + window - now
    return state, Verdict(False, max(quota - used, 0), retry_after, reset_after)


def _live(window: int, state: State, now: int) -> State:
    """What of *state* still counts."""
    if len(state) % 2 or not state:
        return ()
    ended = max(now, state[-2]) - window
    gone = 0
    while gone < len(state) and state[gone] <= ended:
        gone += 2
    return state[gone:]


def _free_at(live: State, units: int) -> int:
    """When the youngest of the oldest calls was, that together make up at least *units*."""
    place = 0
    while units > live[place + 1]:
        units -= live[place + 1]
        place += 2
    return live[place]
