"""
The generic cell rate algorithm: a steady rate with a burst, exact, from two numbers. (ITU-T I.371, annex A.)

The state is ``(tat, rest, quota)``. The *theoretical arrival time* is when everything that was taken has been worked
off: *tat* in microseconds, and ``rest / quota`` of a microsecond more, so that a rate that does not come out even never
drifts. What is not worked off yet is debt, and a call is let through while its debt stays within a full burst. Thus in
any span W no more than ``burst + quota * W / window`` units pass.

The *quota* is the one by which it was counted. A time alone would not say how many units it stands for: a limit that is
raised would find more of them taken than ever were, and refuse whom the lower one lets through.
"""

from __future__ import annotations

from payaid_entitlements.core.ratelimit.policy import MOST_UNITS, NEVER, Policy, State, Verdict


def step(policy: Policy, state: State, now: int, cost: int, permit: int = 0) -> tuple[State, Verdict]:
    """
    Count *cost* units at *now*, in microseconds since the epoch, where there is room.

    A quota or burst that changes holds at once against the units that were taken before. They are worked off as fast as
    when they were taken until a call is let through, and from then on as the new quota says. Where time runs backwards,
    what was taken is worked off that much later: never is more let through than the policy says.
    """
    quota, window = policy.quota, policy.window
    tat, rest, counted = state if len(state) == 3 and state[1] < state[2] <= MOST_UNITS else (now, 0, quota)
    # In quota-ths of a microsecond, of which a unit takes `window` by whichever quota it was counted.
    debt = (tat - now) * counted + rest if tat >= now else 0
    room = policy.burst * window - debt
    taken = cost * window
    if cost == 0:
        return state, Verdict(True, max(room // window, 0), 0, -(-debt // counted))
    if taken > room:
        retry_after = NEVER if cost > policy.burst else -((room - taken) // counted)
        return state, Verdict(False, max(room // window, 0), retry_after, -(-debt // counted))
    ahead, rest = divmod(debt + taken, quota)
    return (now + ahead, rest, quota), Verdict(True, (room - taken) // window, 0, ahead + (rest > 0))
