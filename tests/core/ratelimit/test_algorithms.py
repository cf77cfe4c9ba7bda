"""Each algorithm against the model of `naive`, decision by decision, and against what it promises."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.ratelimit import concurrency
from payaid_entitlements.core.ratelimit.deciding import STEPS
from payaid_entitlements.core.ratelimit.policy import (
    LONGEST_DEBT,
    LONGEST_WINDOW,
    MOST_UNITS,
    NEVER,
    Algorithm,
    Policy,
    State,
    Verdict,
)
from tests.core.ratelimit import vectors
from tests.core.ratelimit.naive import judge
from tests.core.ratelimit.vectors import NOW, SECOND, Vector

#: The machine may be busy.
UNHURRIED = settings(deadline=None)
VECTORS = vectors.load()


def policy(
    algorithm: Algorithm = Algorithm.GCRA, quota: int = 10, window: int = SECOND, burst: int | None = None
) -> Policy:
    return Policy("export", algorithm, quota, window, quota if burst is None else burst)


def step(of: Policy, state: State, now: int, cost: int = 1, permit: int = 0) -> tuple[State, Verdict]:
    return STEPS[of.algorithm](of, state, now, cost, permit)


@st.composite
def policies(draw: st.DrawFn, algorithms: tuple[Algorithm, ...] = tuple(Algorithm)) -> Policy:
    algorithm = draw(st.sampled_from(algorithms))
    quota = draw(st.integers(1, 12))
    window = draw(st.integers(1, 200) | st.sampled_from([SECOND, 60 * SECOND, 86_400 * SECOND]))
    burst = draw(st.integers(1, 30)) if algorithm is Algorithm.GCRA else quota
    return policy(algorithm, quota, window, burst)


@st.composite
def calls(draw: st.DrawFn, of: Policy, backwards: bool = False) -> list[tuple[int, int, int]]:
    """Times, costs and permits of some calls."""
    least = -of.window if backwards else 0
    some = draw(
        st.lists(
            st.tuples(
                st.integers(least, of.window // of.quota + 2) | st.integers(least, 3 * of.window),
                st.integers(0, 3) | st.integers(0, of.burst + 1),
                st.integers(1, 6),
            ),
            max_size=16,
        )
    )
    times = accumulate((wait for wait, _, _ in some), initial=NOW)
    return [(now, cost, permit) for now, (_, cost, permit) in zip(times, some, strict=False)]


@pytest.mark.parametrize("number", range(0, len(VECTORS), 50))
def test_golden_vectors_hold(number: int) -> None:
    for vector in VECTORS[number : number + 50]:
        found = step(vector.policy, vector.state, vector.now, vector.cost, vector.permit)
        assert found == (vector.after, vector.verdict), vector


def test_golden_vectors_are_those_of_the_model() -> None:
    assert vectors.FILE.read_text(encoding="ascii") == vectors.written()


def test_golden_vectors_have_all_endings() -> None:
    def have(algorithm: Algorithm, **ending: object) -> list[Vector]:
        return [
            each
            for each in VECTORS
            if each.policy.algorithm is algorithm
            and all(getattr(each.verdict, name) == value for name, value in ending.items())
        ]

    for algorithm in Algorithm:
        assert len(have(algorithm, is_within=True)) > 10
        assert len(have(algorithm, is_within=False)) > 5
        assert bool(have(algorithm, retry_after=NEVER)) is (algorithm is not Algorithm.CONCURRENCY)


@UNHURRIED
@given(st.data())
def test_every_decision_is_that_of_the_model(data: st.DataObject) -> None:
    of = data.draw(policies())
    state: State = ()
    expected: State = ()
    for now, cost, permit in data.draw(calls(of, backwards=True)):
        expected, verdict = judge(of, expected, now, cost, permit)
        assert step(of, state, now, cost, permit) == (expected, verdict)
        state = expected


@UNHURRIED
@given(st.data())
def test_a_changed_quota_holds_at_once_against_what_was_taken(data: st.DataObject) -> None:
    of = data.draw(policies())
    state: State = ()
    for now, cost, permit in data.draw(calls(of)):
        quota, burst = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
        of = replace(of, quota=quota, burst=burst if of.algorithm is Algorithm.GCRA else quota)
        expected = judge(of, state, now, cost, permit)
        assert step(of, state, now, cost, permit) == expected
        state = expected[0]


@UNHURRIED
@given(st.data())
def test_a_limit_that_is_raised_refuses_nobody_whom_the_lower_one_lets_through(data: st.DataObject) -> None:
    of = data.draw(policies())
    state: State = ()
    for now, cost, permit in data.draw(calls(of)):
        more = data.draw(st.integers(0, 12) | st.integers(0, 1_000))
        raised = replace(of, quota=of.quota + more, burst=of.burst + (0 if of.algorithm is Algorithm.GCRA else more))
        after, verdict = step(of, state, now, cost, permit)
        better = step(raised, state, now, cost, permit)[1]
        assert better.is_within >= verdict.is_within
        assert verdict.retry_after == NEVER or better.retry_after <= verdict.retry_after
        assert step(raised, state, now, 0)[1].remaining >= step(of, state, now, 0)[1].remaining
        state = after


@UNHURRIED
@given(st.data())
def test_where_a_limit_changes_as_many_units_are_taken_as_before(data: st.DataObject) -> None:
    of = data.draw(policies(tuple(each for each in Algorithm if each is not Algorithm.CONCURRENCY)))
    state: State = ()
    for now, cost, permit in data.draw(calls(of)):
        state = step(of, state, now, cost, permit)[0]
        taken = of.burst - step(of, state, now, 0)[1].remaining
        quota, burst = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
        changed = replace(of, quota=quota, burst=burst if of.algorithm is Algorithm.GCRA else quota)
        assert step(changed, state, now, 0)[1].remaining == max(changed.burst - taken, 0)


def test_whoever_goes_up_and_down_takes_no_more_than_the_higher_limit_gives() -> None:
    """Two an hour are used up; for a moment it is five hundred, and one is taken of those."""
    low, high = policy(quota=2, window=3_600 * SECOND), policy(quota=500, window=3_600 * SECOND)
    state, _ = step(low, (), NOW, 2)
    state, verdict = step(high, state, NOW + SECOND)
    assert verdict.remaining == 497
    state, verdict = step(low, state, NOW + 2 * SECOND)
    assert not verdict.is_within
    # Three come back within 22 seconds at the rate of five hundred, and the first two of them before; a little has.
    assert verdict.retry_after == 13_396_000


@UNHURRIED
@given(st.data())
def test_exactly_when_it_says_it_passes_and_never_a_microsecond_before(data: st.DataObject) -> None:
    of = data.draw(policies())
    state: State = ()
    for now, cost, permit in data.draw(calls(of, backwards=True)):
        state, verdict = step(of, state, now, cost, permit)
        if not verdict.is_within and verdict.retry_after != NEVER:
            assert verdict.retry_after > 0
            assert step(of, state, now + verdict.retry_after, cost, permit)[1].is_within
            assert not step(of, state, now + verdict.retry_after - 1, cost, permit)[1].is_within


@UNHURRIED
@given(st.data())
def test_what_remains_can_be_taken_and_not_one_more(data: st.DataObject) -> None:
    of = data.draw(policies(tuple(each for each in Algorithm if each is not Algorithm.CONCURRENCY)))
    state: State = ()
    for now, cost, _ in data.draw(calls(of)):
        state, verdict = step(of, state, now, cost)
        assert verdict.remaining == 0 or step(of, state, now, verdict.remaining)[1].is_within
        assert not step(of, state, now, verdict.remaining + 1)[1].is_within


@UNHURRIED
@given(st.data())
def test_after_the_reset_it_is_as_new_and_before_it_is_not(data: st.DataObject) -> None:
    of = data.draw(policies())
    state: State = ()
    for now, cost, permit in data.draw(calls(of)):
        state, verdict = step(of, state, now, cost, permit)
        later = now + verdict.reset_after
        assert step(of, state, later, max(cost, 1), 9)[1] == step(of, (), later, max(cost, 1), 9)[1]
        assert step(of, state, later, 0)[1] == (True, of.burst, 0, 0)
        if verdict.reset_after:
            assert step(of, state, later - 1, 0)[1].reset_after == 1


@UNHURRIED
@given(st.data())
def test_a_question_writes_nothing_and_is_always_within(data: st.DataObject) -> None:
    of = data.draw(policies())
    state: State = ()
    for now, cost, permit in data.draw(calls(of, backwards=True)):
        after, verdict = step(of, state, now, 0)
        assert after == state
        assert verdict.is_within
        assert verdict.retry_after == 0
        state = step(of, state, now, cost, permit)[0]


@UNHURRIED
@given(st.data())
def test_gcra_is_a_bucket_that_leaks(data: st.DataObject) -> None:
    """The other way to tell the same: every unit is a drop, and the bucket of *burst* leaks at the rate."""
    of = data.draw(policies((Algorithm.GCRA,)))
    state: State = ()
    level, looked = Fraction(0), NOW
    for now, cost, _ in data.draw(calls(of)):
        level = max(Fraction(0), level - Fraction((now - looked) * of.quota, of.window))
        looked = now
        state, verdict = step(of, state, now, cost)
        assert verdict.is_within is (cost == 0 or level + cost <= of.burst)
        level += cost if verdict.is_within else 0
        assert verdict.remaining == int(of.burst - level)


def _admissions(of: Policy, chance: random.Random, operations: int) -> list[tuple[int, int]]:
    """Time and cost of all calls that are let through, of clients that mostly come as early as they may."""
    state: State = ()
    now, admitted = NOW + chance.randrange(10**9), []
    for _ in range(operations):
        cost = chance.choice((1, 1, 1, 2, of.burst))
        state, verdict = step(of, state, now, cost)
        if verdict.is_within:
            admitted.append((now, cost))
            now += chance.choice((0, 0, 0, chance.randrange(2 * of.window)))
        else:
            now += max(verdict.retry_after, 0) + chance.choice((-1, 0, 0, 1))
    return admitted


def _require_bound(of: Policy, admitted: list[tuple[int, int]]) -> None:
    """In any span W at most ``burst + rate * W``; of windows that slide exactly at most the quota in any one."""
    for place, (begin, _) in enumerate(admitted):
        units = 0
        for end, cost in admitted[place:]:
            units += cost
            if of.algorithm is Algorithm.GCRA:
                assert units * of.window <= of.burst * of.window + of.quota * (end - begin)
            else:
                assert units <= of.quota or end - begin >= of.window


def _sequences(count: int) -> None:
    chance = random.Random(count)
    for number in range(count):
        quota, window = chance.randrange(1, 100), chance.choice((10, 997, SECOND, 60 * SECOND + 1, 86_400 * SECOND))
        algorithm = (Algorithm.GCRA, Algorithm.GCRA, Algorithm.SLIDING_LOG)[number % 3]
        burst = chance.randrange(1, 200) if algorithm is Algorithm.GCRA else quota
        of = policy(algorithm, quota, window, burst)
        admitted = _admissions(of, chance, 60)
        assert len(admitted) > 10
        _require_bound(of, admitted)


def test_in_no_span_more_than_burst_and_rate() -> None:
    _sequences(60)


@pytest.mark.soak
def test_in_no_span_of_many_sequences_more_than_burst_and_rate() -> None:
    _sequences(3_000)


def test_a_rate_that_does_not_come_out_even_never_drifts() -> None:
    """7 in a second, each taken as early as possible: also after a thousand seconds every one is on time."""
    of = policy(Algorithm.GCRA, quota=7, burst=2)
    state: State = ()
    now = NOW
    for before in range(7_000):
        now += step(of, state, now)[1].retry_after
        state, verdict = step(of, state, now)
        assert verdict.is_within
        assert now - NOW == -(-max(before - 1, 0) * SECOND // 7)


@pytest.mark.parametrize(
    "of",
    [
        policy(quota=MOST_UNITS, window=LONGEST_WINDOW, burst=MOST_UNITS),
        policy(quota=MOST_UNITS - 1, window=LONGEST_WINDOW - 1, burst=MOST_UNITS),
        policy(quota=MOST_UNITS, window=1, burst=MOST_UNITS),
        policy(quota=1, window=LONGEST_DEBT // MOST_UNITS, burst=MOST_UNITS),
        policy(quota=1, window=LONGEST_WINDOW, burst=4),
        policy(Algorithm.FIXED_WINDOW, MOST_UNITS, LONGEST_WINDOW),
        policy(Algorithm.SLIDING_COUNTER, MOST_UNITS, LONGEST_WINDOW),
        policy(Algorithm.SLIDING_LOG, 1_000, LONGEST_WINDOW),
        policy(Algorithm.CONCURRENCY, 1_000, LONGEST_WINDOW),
    ],
    ids=lambda of: f"{of.algorithm}-{of.quota}-{of.window}",
)
@pytest.mark.parametrize("now", [NOW, 2**52 - 1])  # the latter is in 2112
def test_at_all_bounds_numbers_stay_below_2_to_the_53(of: Policy, now: int) -> None:
    state: State = ()
    for cost in (1, of.burst - 1, 1, of.burst, 0):
        state, verdict = step(of, state, now, cost, permit=2**52)
        assert max((*state, *verdict)) < 2**53
        now += 1


def test_the_sliding_counter_is_approximate() -> None:
    """What it says of itself: packed at the end of a window, almost two quotas pass within one window."""
    of = policy(Algorithm.SLIDING_COUNTER, quota=100, window=60 * SECOND)
    start = NOW // of.window * of.window
    state, verdict = step(of, (), start + of.window - 1, 100)
    assert verdict.is_within
    admitted = 100
    for second in range(60):
        state, verdict = step(of, state, start + of.window + second * SECOND, 1)
        while verdict.is_within:
            admitted += 1
            state, verdict = step(of, state, start + of.window + second * SECOND, 1)
    assert admitted == 199


def test_a_state_of_another_shape_counts_as_empty() -> None:
    """As of a counter that somebody damaged."""
    for algorithm in Algorithm:
        of = policy(algorithm)
        for damaged in ((1,), (1, 2, 3, 4, 5)):
            assert step(of, damaged, NOW, 1, 9)[1] == step(of, (), NOW, 1, 9)[1]


def test_a_permit_that_is_given_back_is_free() -> None:
    of = policy(Algorithm.CONCURRENCY, quota=2)
    state, _ = step(of, (), NOW, permit=11)
    state, _ = step(of, state, NOW + 1, permit=12)
    assert not step(of, state, NOW + 2, permit=13)[1].is_within
    assert concurrency.release(state, 13) == state
    state = concurrency.release(state, 11)
    assert state == (NOW + 1 + SECOND, 12)
    assert step(of, state, NOW + 2, permit=13)[1].is_within
    assert concurrency.release((), 11) == ()


def test_a_permit_is_extended_and_counts_once() -> None:
    of = policy(Algorithm.CONCURRENCY, quota=1)
    state, _ = step(of, (), NOW, permit=11)
    state, verdict = step(of, state, NOW + 5, permit=11)
    assert state == (NOW + 5 + SECOND, 11)
    assert verdict == (True, 0, 0, SECOND)
