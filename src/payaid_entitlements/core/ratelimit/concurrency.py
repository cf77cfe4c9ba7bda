"""
So many at once: permits that are given back, or run out where their holder died.

The state is ``(expires, permit, expires, permit, ...)``. A permit is free again from the microsecond *expires* on.
"""

from __future__ import annotations

from itertools import chain

from payaid_entitlements.core.ratelimit.policy import Policy, State, Verdict


def step(policy: Policy, state: State, now: int, cost: int, permit: int = 0) -> tuple[State, Verdict]:
    """
    Take *permit* at *now*, in microseconds since the epoch, where one is free; it holds for the policy's window.

    A permit that is held already is extended, also where the quota was lowered since: it takes up no room.

    Args:
        cost: 0 asks how things stand; whatever else takes one permit.
        permit: From 1 to 2**52.
    """
    held = _held(state, now)
    room = policy.quota - len(held)
    if cost == 0:
        return state, Verdict(True, max(room, 0), 0, max(held.values(), default=now) - now)
    if permit in held or room > 0:
        held.pop(permit, None)
        held[permit] = now + policy.window
        return _written(held), Verdict(True, max(policy.quota - len(held), 0), 0, max(held.values()) - now)
    ends = sorted(held.values())
    return state, Verdict(False, 0, ends[-policy.quota] - now, ends[-1] - now)


def release(state: State, permit: int) -> State:
    """Give *permit* back; the same state where it is not held."""
    return tuple(chain.from_iterable(pair for pair in _pairs(state) if pair[1] != permit))


def _held(state: State, now: int) -> dict[int, int]:
    """When each permit that is held at *now* runs out."""
    return {permit: expires for expires, permit in _pairs(state) if expires > now}


def _pairs(state: State) -> list[tuple[int, int]]:
    return list(zip(state[::2], state[1::2], strict=True)) if len(state) % 2 == 0 else []


def _written(held: dict[int, int]) -> State:
    return tuple(chain.from_iterable((expires, permit) for permit, expires in held.items()))
