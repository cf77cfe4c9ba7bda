"""
The algorithms once more, by other arithmetic: rooms as fractions and lists of single units, times found by search.

Nothing here is quick, and nothing is taken from what it judges but the shapes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from fractions import Fraction
from math import floor
from typing import Protocol

from payaid_entitlements.core.ratelimit.policy import NEVER, Algorithm, Policy, State, Verdict

#: Later than any time that a state can hold.
FOREVER = 2**53


def judge(policy: Policy, state: State, now: int, cost: int, permit: int = 0) -> tuple[State, Verdict]:
    """What becomes of a call, and how things stand after it."""
    model = MODELS[policy.algorithm](policy)
    if policy.algorithm is Algorithm.CONCURRENCY:
        cost = min(cost, 1)
    fits = cost == 0 or model.room(state, now, permit) >= cost
    after = model.add(state, now, cost, permit) if fits and cost else state
    wait = 0
    if not fits:
        wait = NEVER if cost > policy.burst else first(lambda later: model.room(state, now + later, permit) >= cost)
    reset_after = first(lambda later: model.is_clear(after, now + later))
    return after, Verdict(fits, max(model.room(after, now), 0), wait, reset_after)


def first(holds: Callable[[int], bool]) -> int:
    """How many microseconds later something holds, that then goes on to hold."""
    return bisect_left(range(FOREVER), True, key=holds)


class Gcra:
    """A theoretical arrival time as a fraction of a microsecond, and the quota by which it was counted."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.unit = Fraction(policy.window, policy.quota)

    def tat(self, state: State, now: int) -> Fraction:
        if not state:
            return Fraction(now)
        return max(state[0] + Fraction(state[1], state[2]), Fraction(now))

    def taken(self, state: State, now: int) -> Fraction:
        """Units that are not worked off."""
        quota = state[2] if state else self.policy.quota
        return (self.tat(state, now) - now) / Fraction(self.policy.window, quota)

    def room(self, state: State, now: int, permit: int = 0) -> int:
        return floor(self.policy.burst - self.taken(state, now))

    def add(self, state: State, now: int, cost: int, permit: int) -> State:
        tat = now + self.taken(state, now) * self.unit
        for _ in range(min(cost, 1_000)):
            tat += self.unit
        tat += max(cost - 1_000, 0) * self.unit
        return floor(tat), floor((tat - floor(tat)) * self.policy.quota), self.policy.quota

    def is_clear(self, state: State, now: int) -> bool:
        return self.tat(state, now) <= now


class Units:
    """What fixed windows and logs have in common: the time of each single unit."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def units(self, state: State) -> list[int]:
        raise NotImplementedError

    def write(self, units: list[int], now: int) -> State:
        raise NotImplementedError

    def counted(self, units: list[int], now: int) -> list[int]:
        raise NotImplementedError

    def room(self, state: State, now: int, permit: int = 0) -> int:
        units = self.units(state)
        return self.policy.quota - len(self.counted(units, max([now, *units])))

    def add(self, state: State, now: int, cost: int, permit: int) -> State:
        units = self.units(state)
        now = max([now, *units])
        return self.write([*self.counted(units, now), *[now] * cost], now)

    def is_clear(self, state: State, now: int) -> bool:
        units = self.units(state)
        return not self.counted(units, max([now, *units]))


class FixedWindow(Units):
    """A unit counts in its own window, side by side with the others."""

    def units(self, state: State) -> list[int]:
        return [state[0]] * state[1] if state else []

    def counted(self, units: list[int], now: int) -> list[int]:
        return [unit for unit in units if unit // self.policy.window == now // self.policy.window]

    def write(self, units: list[int], now: int) -> State:
        return now // self.policy.window * self.policy.window, len(units)


class SlidingLog(Units):
    """A unit counts for a window from its time on."""

    def units(self, state: State) -> list[int]:
        return [time for time, cost in zip(state[::2], state[1::2], strict=True) for _ in range(cost)]

    def counted(self, units: list[int], now: int) -> list[int]:
        return [unit for unit in units if unit <= now < unit + self.policy.window]

    def write(self, units: list[int], now: int) -> State:
        return tuple(number for time in dict.fromkeys(units) for number in (time, units.count(time)))


class SlidingCounter:
    """Units by windows; those of the window before count by what is left of it."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def at(self, state: State, now: int) -> tuple[int, dict[int, int]]:
        """The window of *now*, and the units of each."""
        window = self.policy.window
        if not state:
            return now // window * window, {}
        start, current, previous = state
        return max(now // window * window, start), {start: current, start - window: previous}

    def room(self, state: State, now: int, permit: int = 0) -> int:
        window = self.policy.window
        start, units = self.at(state, now)
        part = (window - max(now - start, 0)) / window
        return self.policy.quota - units.get(start, 0) - floor(units.get(start - window, 0) * part)

    def add(self, state: State, now: int, cost: int, permit: int) -> State:
        start, units = self.at(state, now)
        return start, units.get(start, 0) + cost, units.get(start - self.policy.window, 0)

    def is_clear(self, state: State, now: int) -> bool:
        start, units = self.at(state, now)
        return not units.get(start, 0) and not units.get(start - self.policy.window, 0)


class Concurrency:
    """Who holds a permit, until when."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def held(self, state: State, now: int) -> list[tuple[int, int]]:
        return [(end, permit) for end, permit in zip(state[::2], state[1::2], strict=True) if now < end]

    def room(self, state: State, now: int, permit: int = 0) -> int:
        held = self.held(state, now)
        is_held = any(each == permit for _, each in held)
        return 1 if is_held else self.policy.quota - len(held)

    def add(self, state: State, now: int, cost: int, permit: int) -> State:
        others = [(end, each) for end, each in self.held(state, now) if each != permit]
        return tuple(number for pair in (*others, (now + self.policy.window, permit)) for number in pair)

    def is_clear(self, state: State, now: int) -> bool:
        return not self.held(state, now)


class Model(Protocol):
    """Room, what a call adds, and when nothing is left."""

    def room(self, state: State, now: int, permit: int = 0) -> int: ...
    def add(self, state: State, now: int, cost: int, permit: int) -> State: ...
    def is_clear(self, state: State, now: int) -> bool: ...


MODELS: dict[Algorithm, Callable[[Policy], Model]] = {
    Algorithm.GCRA: Gcra,
    Algorithm.FIXED_WINDOW: FixedWindow,
    Algorithm.SLIDING_LOG: SlidingLog,
    Algorithm.SLIDING_COUNTER: SlidingCounter,
    Algorithm.CONCURRENCY: Concurrency,
}
