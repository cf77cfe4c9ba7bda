"""
Golden vectors: one call each, and what must become of it, for every implementation in whatever language.

``python -m tests.core.ratelimit.vectors`` writes them anew, by the model in `naive` and by nothing that is tested.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from payaid_entitlements.core.ratelimit.policy import (
    LONGEST_DEBT,
    LONGEST_WINDOW,
    MOST_UNITS,
    Algorithm,
    Policy,
    State,
    Verdict,
)
from tests.core.ratelimit.naive import judge

FILE = Path(__file__).with_name("vectors.json")

#: The middle of 2027.
NOW = 1_813_000_000_123_457
SECOND = 1_000_000


@dataclass(frozen=True)
class Vector:
    """One call on one counter."""

    policy: Policy
    state: State
    now: int
    cost: int
    permit: int
    after: State
    verdict: Verdict


def load() -> list[Vector]:
    """Read the vectors."""
    return [
        Vector(
            Policy("vector", Algorithm(row[0]), *row[1:4]),
            _state(row[4]),
            now=row[5],
            cost=row[6],
            permit=row[7],
            after=_state(row[8]),
            verdict=Verdict(row[9] == 1, *row[10:]),
        )
        for row in json.loads(FILE.read_text(encoding="ascii"))["vectors"]
    ]


def _state(text: str) -> State:
    return tuple(map(int, text.split()))


_Call = tuple[Policy, State, int, int, int]


def calls() -> Iterator[_Call]:
    """The calls of which there are vectors: edges that somebody thought of, then chains by a die."""
    yield from _gcra()
    yield from _windows()
    yield from _counters()
    yield from _permits()
    chance = random.Random(20_26)
    for algorithm in Algorithm:
        for _ in range(12):
            yield from _chain(algorithm, chance)


def _gcra() -> Iterator[_Call]:
    def call(quota: int, window: int, burst: int, state: State, cost: int = 1, counted: int | None = None) -> _Call:
        # *state* without the quota by which it was *counted*: mostly the same.
        whole = (*state, counted or quota) if state else ()
        return Policy("vector", Algorithm.GCRA, quota, window, burst), whole, NOW, cost, 0

    # Rests carry: 3 in 10 microseconds are 3 1/3 each.
    yield call(3, 10, 3, ())
    yield call(3, 10, 3, (NOW + 3, 1))
    yield call(3, 10, 3, (NOW + 6, 2))
    yield call(3, 10, 3, (NOW + 6, 2), 2)
    yield call(3, 10, 3, (NOW, 1), 2)
    yield call(3, 10, 3, (NOW, 1), 3)
    yield call(3, 10, 3, (NOW, 2), 0)
    yield call(7, SECOND, 7, (NOW + 857_142, 6))
    yield call(7, SECOND, 7, (NOW + 857_143, 0))
    # A rest that is over with its microsecond.
    yield call(7, SECOND, 7, (NOW - 1, 6), 7)
    # Counted by another quota, higher or lower: as many units are taken, which come back as fast as they would have.
    for quota, burst in ((500, 500), (500, 2), (3, 3), (1, 9), (1, 1)):
        for counted, taken in ((2, (5 * SECOND, 0)), (2, (7 * SECOND, 1)), (7, (2 * SECOND, 6)), (999, (9_000, 998))):
            state = NOW + taken[0], taken[1]
            for cost in (0, 1, 2, burst):
                yield call(quota, 10 * SECOND, burst, state, cost, counted)
    most = MOST_UNITS
    for quota, counted in ((most, most - 1), (most - 1, most), (most, 1), (1, most), (most, 7), (7, most)):
        for window, burst in ((LONGEST_WINDOW, 1), (LONGEST_WINDOW - 1, 4), (3, most)):
            for ahead in (0, 1, 2, window // counted, window - 1, window, 3 * window, LONGEST_DEBT):
                yield call(quota, window, burst, (NOW + ahead, counted - 1), 1, counted)
    # Exactly full, one microsecond before and after, and over the burst.
    for off in (-1, 0, 1):
        yield call(10, 10 * SECOND, 5, (NOW + 4 * SECOND + off, 0))
        yield call(10, 10 * SECOND, 5, (NOW + 5 * SECOND + off, 0))
        yield call(10, 10 * SECOND, 5, (NOW + off, 0), 5)
    yield call(10, 10 * SECOND, 5, (NOW + 9 * SECOND, 4), 0)
    yield call(10, 10 * SECOND, 5, (NOW + 9 * SECOND, 4), 6)
    yield call(10, 10 * SECOND, 5, (), 6)
    # The bounds.
    yield call(MOST_UNITS, LONGEST_WINDOW, MOST_UNITS, (), MOST_UNITS)
    yield call(MOST_UNITS, LONGEST_WINDOW, MOST_UNITS, (NOW + 1, MOST_UNITS - 1), MOST_UNITS - 1)
    yield call(MOST_UNITS - 1, LONGEST_WINDOW - 1, MOST_UNITS, (NOW + 5, MOST_UNITS - 2), MOST_UNITS - 3)
    yield call(MOST_UNITS - 1, 3, MOST_UNITS, (NOW, MOST_UNITS - 2), MOST_UNITS - 3)
    yield call(MOST_UNITS - 1, 3, MOST_UNITS, (NOW + 3, MOST_UNITS - 2))
    yield call(1, LONGEST_DEBT // MOST_UNITS, MOST_UNITS, (), MOST_UNITS)
    yield call(1, LONGEST_DEBT // MOST_UNITS, MOST_UNITS, (NOW + LONGEST_DEBT - LONGEST_DEBT // MOST_UNITS, 0))
    yield call(1, LONGEST_DEBT // MOST_UNITS, MOST_UNITS, (NOW + LONGEST_DEBT - LONGEST_DEBT // MOST_UNITS + 1, 0))
    yield call(1, 1, MOST_UNITS, (2**53 - 1, 0), MOST_UNITS)


def _windows() -> Iterator[_Call]:
    def call(algorithm: Algorithm, quota: int, window: int, state: State, now: int = NOW, cost: int = 1) -> _Call:
        return Policy("vector", algorithm, quota, window, quota), state, now, cost, 0

    fixed, log = Algorithm.FIXED_WINDOW, Algorithm.SLIDING_LOG
    # Where remainders of doubles are delicate: windows that divide the time, nearly divide it, tiny and huge ones.
    for now in (NOW, 2**52 - 1, 2**52, 2**52 + 1, 3 * 5 * 7 * 11 * 10**11):
        for window in (1, 2, 3, 7, 10, 999_983, SECOND, 86_400 * SECOND, LONGEST_WINDOW - 1, LONGEST_WINDOW):
            yield call(fixed, 5, window, (), now)
            yield call(fixed, 5, window, (now // window * window, 5), now)
    for window in (3, 7, 999_983):
        for off in (-1, 0, 1):
            yield call(fixed, 1, window, (NOW // window * window, 1), (NOW // window + 1) * window + off)
    yield call(fixed, 3, SECOND, (NOW // SECOND * SECOND, 5))  # the quota was 5
    yield call(fixed, 3, SECOND, (NOW // SECOND * SECOND, 2), cost=0)
    yield call(fixed, 3, SECOND, (NOW // SECOND * SECOND, 2), cost=2)
    yield call(fixed, 3, SECOND, (), cost=4)
    yield call(fixed, 3, SECOND, (NOW // SECOND * SECOND + 5 * SECOND, 2))  # time ran backwards
    yield call(fixed, 3, SECOND, (NOW // SECOND * SECOND + 5 * SECOND, 3))
    for off in (-1, 0, 1):
        yield call(log, 3, SECOND, (NOW, 1, NOW + 10, 2), NOW + SECOND + off)
        yield call(log, 3, SECOND, (NOW, 1, NOW + 10, 2), NOW + SECOND + off, 2)
        yield call(log, 3, SECOND, (NOW, 1, NOW + 10, 2), NOW + SECOND + 10 + off, 3)
    yield call(log, 3, SECOND, (NOW, 1))  # the same microsecond is one entry
    yield call(log, 3, SECOND, (NOW, 1, NOW + 7, 1), NOW + 3)  # time ran backwards
    yield call(log, 2, SECOND, (NOW, 1, NOW + 7, 1), NOW + 3)
    yield call(log, 2, 5, (NOW, 1, NOW + 7, 1), NOW + 3)
    yield call(log, 2, SECOND, (NOW, 1, NOW + 7, 3), NOW + 9)  # the quota was 4
    yield call(log, 2, SECOND, (NOW, 1), NOW + 9, 3)
    yield call(log, 2, SECOND, (NOW, 1, NOW + 7, 1), NOW + 9, 0)
    yield call(log, 1_000, LONGEST_WINDOW, (), NOW, 1_000)


def _counters() -> Iterator[_Call]:
    def call(quota: int, window: int, state: State, now: int, cost: int = 1) -> _Call:
        return Policy("vector", Algorithm.SLIDING_COUNTER, quota, window, quota), state, now, cost, 0

    start = NOW // SECOND * SECOND
    # Parts of a window that no double holds exactly, at and around where the estimate steps.
    for previous, window in ((10, 10), (10, 3), (7, 49), (100, 1_000), (49, 49), (3, 1), (MOST_UNITS, LONGEST_WINDOW)):
        begun = NOW // window * window
        for elapsed in sorted({0, 1, window // 10, window // 7, window // 3, window // 2, window - 1}):
            if elapsed < window:
                yield call(previous, window, (begun, 0, previous), begun + elapsed)
                yield call(previous, window, (begun, 1, previous - 1), begun + elapsed, previous // 2)
    for now in (start - 1, start, start + SECOND - 1, start + SECOND, start + 2 * SECOND, start + 2 * SECOND + 1):
        yield call(10, SECOND, (start, 10, 3), now)
        yield call(10, SECOND, (start, 4, 10), now, 5)
    yield call(10, SECOND, (start, 7, 7), start + 5, 0)
    yield call(10, SECOND, (start, 0, 0), start + 5, 0)
    yield call(10, SECOND, (start, 20, 0), start + 5)  # the quota was 20
    yield call(10, SECOND, (), NOW, 11)
    yield call(100, 10, (NOW // 10 * 10, 100, 0), NOW, 100)  # full again only two windows later


def _permits() -> Iterator[_Call]:
    def call(quota: int, state: State, permit: int, cost: int = 1, now: int = NOW) -> _Call:
        return Policy("vector", Algorithm.CONCURRENCY, quota, 5 * SECOND, quota), state, now, cost, permit

    two = (NOW + SECOND, 11, NOW + 3 * SECOND, 12)
    yield call(2, (), 11)
    yield call(2, two, 13)
    yield call(2, two, 11)
    yield call(2, two, 0, 0)
    yield call(1, two, 13)  # the quota was 2
    yield call(1, two, 12)
    yield call(2, two, 13, 9)
    yield call(2, (NOW + 3 * SECOND, 12, NOW + SECOND, 2**52), 13)  # time ran backwards between them
    for off in (-1, 0, 1):
        yield call(2, two, 13, now=NOW + SECOND + off)
        yield call(1, two, 13, now=NOW + 3 * SECOND + off)


def _chain(algorithm: Algorithm, chance: random.Random) -> Iterator[_Call]:
    quota = chance.choice((1, 2, 3, 5, 7, 10, 60))
    window = chance.choice((10, 97, SECOND, 3 * SECOND, 60 * SECOND, 3_600 * SECOND))
    burst = chance.choice((1, quota, 2 * quota, 13)) if algorithm is Algorithm.GCRA else quota
    policy = Policy("vector", algorithm, quota, window, burst)
    state: State = ()
    now = NOW + chance.randrange(10**12)
    for _ in range(12):
        now += chance.choice((0, 1, window // (2 * quota), window // quota, window // 3, window, 2 * window))
        now -= chance.randrange(20) == 0 and window // 3
        cost = chance.choice((0, 1, 1, 1, 1, 2, 3, burst + 1))
        call = policy, state, now, cost, chance.randrange(1, 9)
        yield call
        state = judge(*call)[0]


def written() -> str:
    """The file's text."""
    rows = []
    for policy, state, now, cost, permit in calls():
        after, verdict = judge(policy, state, now, cost, permit)
        said = [policy.algorithm, policy.quota, policy.window, policy.burst, " ".join(map(str, state))]
        rows.append(json.dumps([*said, now, cost, permit, " ".join(map(str, after)), *map(int, verdict)]))
    fields = "algorithm quota window burst state now cost permit after is_within remaining retry_after reset_after"
    head = json.dumps({"fields": fields.split()})[:-1]
    return head + ', "vectors": [\n' + ",\n".join(rows) + "\n]}\n"


if __name__ == "__main__":
    FILE.write_text(written(), encoding="ascii")
