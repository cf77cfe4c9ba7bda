"""
Ratios that a busy machine does not bend.

Operation and baseline take turns in rounds of a few milliseconds, so whatever slows the machine slows both. A repeat
is the median ratio of its rounds; the figure is the median of the repeats, and how far the middle half of the repeats
lies apart is the noise. A budget counts as missed only when it is missed by more than that.
"""

from __future__ import annotations

import gc
import statistics
import time
import timeit
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

#: Does something so many times and says how many seconds that took.
Timed = Callable[[int], float]

#: Is told that a piece of the work is done.
Tick = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Effort:
    """
    How much is measured.

    Attributes:
        repeats: Independent figures of which the spread is the noise; at least 4.
        rounds: Turns of operation and baseline in one repeat.
        seconds: Length of one side of a turn.
        samples: Calls that are timed one by one, for percentiles.
        checks: Checks of each load.
        starts: Fresh interpreters for each side of a comparison of imports.
    """

    repeats: int
    rounds: int
    seconds: float
    samples: int
    checks: int
    starts: int


QUICK: Final = Effort(repeats=5, rounds=9, seconds=0.004, samples=2_000, checks=8_000, starts=8)
FULL: Final = Effort(repeats=9, rounds=25, seconds=0.01, samples=20_000, checks=40_000, starts=25)


@dataclass(frozen=True, slots=True)
class Measured:
    """
    A ratio and how sure it is.

    Attributes:
        ratio: Median of the repeats.
        noise: Distance between the first and the third quartile of the repeats; in the same unit as *ratio*.
    """

    ratio: float
    noise: float

    @staticmethod
    def of(repeats: Sequence[float]) -> Measured:
        """Summarise at least two repeats."""
        low, middle, high = statistics.quantiles(repeats, n=4, method="inclusive")
        return Measured(middle, high - low)


_KEYS = {f"key-{number}": number for number in range(1000)}


def _call(key: str) -> int | None:
    return _KEYS.get(key)


def looped(statement: str, **names: object) -> Timed:
    """Time *statement*, written into the loop itself: a lambda around it would cost as much as what is measured."""
    return timeit.Timer(statement, globals=names).timeit


#: One Python call around one ``dict.get``: the unit of everything that is answered from memory.
UNIT: Final[Timed] = looped("call('key-7')", call=_call)


def measure(operation: Timed, baseline: Timed, effort: Effort, tick: Tick) -> Measured:
    """
    Compare *operation* with *baseline*, each by the cost of doing it once.

    Args:
        tick: Called after each repeat.
    """
    operations, baselines = _calibrated(operation, effort.seconds), _calibrated(baseline, effort.seconds)
    repeats: list[float] = []
    with no_collection():
        for _ in range(effort.repeats):
            ratios: list[float] = []
            before = baseline(baselines)
            for _ in range(effort.rounds):
                spent = operation(operations)
                after = baseline(baselines)
                # Between two baselines: a machine that is getting slower or faster bends neither way.
                ratios.append(spent / operations * baselines * 2 / (before + after))
                before = after
            repeats.append(statistics.median(ratios))
            tick()
    return Measured.of(repeats)


def _calibrated(timed: Timed, seconds: float) -> int:
    """Find how many times fill *seconds*; doing it warms up as well."""
    times = 1
    while (spent := timed(times)) < seconds / 2:
        times = max(times * 2, min(times * 10, int(times * seconds / max(spent, 1e-9))))
    return max(1, int(times * seconds / spent))


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep the garbage collector out of the block."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def sampled(call: Callable[[], object], times: int) -> list[float]:
    """Time *times* calls one by one, in milliseconds, with reading the clock; garbage is collected as in life."""
    clock, found = time.perf_counter_ns, []
    for _ in range(times):
        begun = clock()
        call()
        found.append((clock() - begun) / 1e6)
    return found


def percentile(values: Sequence[float], percent: int) -> float:
    """Give the smallest of *values* that *percent* of them do not exceed; *values* is not empty."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
