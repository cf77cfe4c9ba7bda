"""
Ratios that a busy machine does not bend.

Operation and baseline take turns, so whatever slows the machine slows both: what is answered from memory in rounds of
half a millisecond, since one call is shorter than reading a clock, and something else that runs for its slice of time
spoils few such rounds; what asks a store call by call. A repeat is the median ratio of its rounds; the figure is the
median of the repeats, and how far the middle half of the repeats lies apart is the noise, or `BETWEEN_RUNS` where that
is more. A budget counts as missed only when it is missed by more.

Garbage is collected throughout, as in life. What was there before measuring is frozen, as servers do before they fork:
a full collection of everything that the host has loaded takes 60 ms here, stops everybody, and says nothing of us.
"""

from __future__ import annotations

import gc
import statistics
import time
import timeit
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

#: Does something so many times and says how many seconds that took.
Timed = Callable[[int], float]

#: Is told that a piece of the work is done.
Tick = Callable[[], None]

#: Part of a ratio by which it differs from process to process, however often it is repeated in one: where code and
#: data happen to lie in memory. Measured; see docs/explanation/performance.md.
BETWEEN_RUNS: Final = 0.10


@dataclass(frozen=True, slots=True)
class Effort:
    """
    How much is measured.

    Attributes:
        repeats: Independent figures of which the spread is the noise; at least 4.
        rounds: Turns of operation and baseline in one repeat, for what is answered from memory.
        seconds: Length of one side of such a turn.
        samples: Calls from memory that are timed one by one, for percentiles.
        pairs: Calls of operation and baseline by turns in one repeat, for what asks a store; all are samples too.
        checks: Checks of each load.
        starts: Fresh interpreters for each side of a comparison of imports, in one repeat.
        tenants: Of the largest database.
    """

    repeats: int
    rounds: int
    seconds: float
    samples: int
    pairs: int
    checks: int
    starts: int
    tenants: int = 1_000_000


#: Less of everything but of loads: of fewer checks, a hundredth would be the first ones, which open connections.
QUICK: Final = Effort(
    repeats=7, rounds=60, seconds=0.0005, samples=5_000, pairs=400, checks=40_000, starts=1, tenants=200_000
)
FULL: Final = Effort(repeats=11, rounds=240, seconds=0.0005, samples=20_000, pairs=1_000, checks=40_000, starts=3)


@dataclass(frozen=True, slots=True)
class Measured:
    """
    A ratio and how sure it is.

    Attributes:
        ratio: Median of the repeats.
        noise: Distance between the first and the third quartile of the repeats, or what runs differ by if that is
            more; in the same unit as *ratio*.
        samples: Milliseconds of single calls of the operation; empty where calls were not timed one by one.
    """

    ratio: float
    noise: float
    samples: Sequence[float] = ()

    @staticmethod
    def of(repeats: Sequence[float], samples: Sequence[float] = ()) -> Measured:
        """Summarise at least two repeats."""
        low, middle, high = statistics.quantiles(repeats, n=4, method="inclusive")
        return Measured(middle, max(high - low, middle * BETWEEN_RUNS), samples)


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
    with frozen():
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
    """
    Find how many times fill *seconds*; doing it warms up as well.

    By the fastest of three: one during which something else ran would seem to be long enough with a few calls, and
    then what is around the loop would be measured.
    """
    times = 1
    while (spent := min(timed(times) for _ in range(3))) < seconds / 2:
        times = max(times * 2, min(times * 10, int(times * seconds / max(spent, 1e-9))))
    return max(1, int(times * seconds / spent))


def alternate(operation: Callable[[], object], baseline: Callable[[], object], effort: Effort, tick: Tick) -> Measured:
    """
    Compare *operation* with *baseline*, one call of each by turns; for what takes much longer than reading a clock.

    Nobody asks a store in a tight loop, so neither side has the processor's caches to itself.

    Args:
        tick: Called after each repeat.
    """
    clock = time.perf_counter_ns
    operation(), baseline()
    repeats: list[float] = []
    samples: list[float] = []
    with frozen():
        for _ in range(effort.repeats):
            ours, theirs = [], []
            for _ in range(effort.pairs):
                begun = clock()
                operation()
                between = clock()
                baseline()
                theirs.append((clock() - between) / 1e6)
                ours.append((between - begun) / 1e6)
            repeats.append(statistics.median(ours) / statistics.median(theirs))
            samples += ours
            tick()
    return Measured.of(repeats, samples)


async def alternate_awaited(
    operation: Callable[[], Awaitable[object]], baseline: Callable[[], Awaitable[object]], effort: Effort, tick: Tick
) -> Measured:
    """Same as `alternate`, awaited."""
    clock = time.perf_counter_ns
    await operation()
    await baseline()
    repeats: list[float] = []
    samples: list[float] = []
    with frozen():
        for _ in range(effort.repeats):
            ours, theirs = [], []
            for _ in range(effort.pairs):
                begun = clock()
                await operation()
                between = clock()
                await baseline()
                theirs.append((clock() - between) / 1e6)
                ours.append((between - begun) / 1e6)
            repeats.append(statistics.median(ours) / statistics.median(theirs))
            samples += ours
            tick()
    return Measured.of(repeats, samples)


@contextmanager
def frozen() -> Iterator[None]:
    """Spare the garbage collector what was there before the block."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


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
