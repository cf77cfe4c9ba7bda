"""
What a counter is held against, and what it says: the words that all limiters share.

A counter's state is a tuple of whole numbers, empty for one that nothing was counted on; each algorithm says what they
mean. All of them are below 2**53, so that Lua, which knows only doubles, counts as exactly as Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

#: Most units of a policy: with it, and the bound below, no sum of an algorithm reaches 2**53.
MOST_UNITS: Final = 2**26
#: Microseconds for which a full burst may be in debt at most: some 142 years.
LONGEST_DEBT: Final = 2**52
#: Microseconds of a window at most: some 35 years.
LONGEST_WINDOW: Final = 2**50
#: Most entries of a sliding log or a semaphore: each call reads all of them.
MOST_ENTRIES: Final = 1_000

#: What is remembered of a counter.
State: TypeAlias = tuple[int, ...]


class Algorithm(StrEnum):
    """How calls are counted."""

    GCRA = "gcra"
    SLIDING_LOG = "sliding_log"
    SLIDING_COUNTER = "sliding_counter"
    FIXED_WINDOW = "fixed_window"
    CONCURRENCY = "concurrency"


@dataclass(frozen=True, slots=True)
class Policy:
    """
    So many units in so long, counted in one way.

    Attributes:
        name: As clients see it: ``export``, ``api.60s``.
        algorithm: How it is counted.
        quota: Units in each window; of concurrency: permits at once. From 1 to `MOST_UNITS`.
        window: Microseconds of a window; of concurrency: after which a permit that was not given back is free again.
        burst: Of GCRA: most units at once. Elsewhere the same as *quota*.
        is_enforced: False where it is only counted: it refuses nobody, and what exceeds it is not counted.
    """

    name: str
    algorithm: Algorithm
    quota: int
    window: int
    burst: int
    is_enforced: bool = True


class Verdict(NamedTuple):
    """
    What one policy says to one call.

    Attributes:
        is_within: There was room for the call's cost.
        remaining: Units that could be taken at once now: after the call where it was let through.
        retry_after: Microseconds until there is room for the cost; 0 when there was, `NEVER` when there never is.
        reset_after: Microseconds until all is as if nothing had been counted.
    """

    is_within: bool
    remaining: int
    retry_after: int
    reset_after: int


#: The cost is more than is ever let through at once.
NEVER: Final = -1
