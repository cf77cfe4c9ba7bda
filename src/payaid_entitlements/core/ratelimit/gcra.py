"""
The generic cell rate algorithm: a steady rate with a burst, exact, from two numbers. (ITU-T I.371, annex A.)

The state is ``(tat, rest)``. The *theoretical arrival time* is when everything that was taken has been worked off at
the policy's rate: *tat* in microseconds, and ``rest / quota`` of a microsecond more, so that a rate that does not come
out even never drifts. What is not worked off yet is debt, and a call is let through while its debt stays within what a
full burst takes to be worked off. Thus in any span W no more than ``burst + quota * W / window`` units pass.
"""

from __future__ import annotations

from payaid_entitlements.core.ratelimit.policy import NEVER, Policy, State, Verdict


def step(policy: Policy, state: State, now: int, cost: int, permit: int = 0) -> tuple[State, Verdict]:
    """
    Count *cost* units at *now*, in microseconds since the epoch, where there is room.

    A lower quota or burst holds at once against what was taken before, and a higher one too. Where time runs backwards,
    what was taken is worked off that much later: never is more let through than the policy says.
    """
    quota, window = policy.quota, policy.window
    tat, rest = state if len(state) == 2 else (now, 0)
    if rest >= quota:  # of a quota that was lowered since
        tat, rest = tat + 1, 0
    # From here on time is counted in quota-ths of a microsecond: one unit takes `window` of them.
    debt = (tat - now) * quota + rest if tat >= now else 0
    room = policy.burst * window - debt
    taken = cost * window
    if cost == 0:
        return state, Verdict(True, max(room // window, 0), 0, -(-debt // quota))
    if taken > room:
        retry_after = NEVER if cost > policy.burst else -((room - taken) // quota)
        return state, Verdict(False, max(room // window, 0), retry_after, -(-debt // quota))
    ahead, rest = divmod(debt + taken, quota)
    return (now + ahead, rest), Verdict(True, (room - taken) // window, 0, ahead + (rest > 0))
