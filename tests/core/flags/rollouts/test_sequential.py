"""Confidence sequences: exact values, coverage though one looks after every sample, and that they find something."""

from __future__ import annotations

from fractions import Fraction
from math import exp, inf, log
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.flags.rollouts.sequential import is_refuted, log_evidence, lower, upper


def exactly(bad: int, of: int, rate: Fraction) -> Fraction:
    """M in fractions, sample by sample: what Krichevsky and Trofimov's predictor says of each, by what *rate* says."""
    m = Fraction(1)
    for n in range(of):
        if n < bad:
            m *= (n + Fraction(1, 2)) / (n + 1) / rate
        else:
            m *= (n - bad + Fraction(1, 2)) / (n + 1) / (1 - rate)
    return m


@pytest.mark.parametrize(
    ("bad", "of", "rate"),
    [
        (0, 0, "1/2"),
        (0, 1, "1/2"),
        (1, 1, "1/2"),
        (3, 10, "1/10"),
        (0, 200, "1/50"),
        (61, 1000, "1/100"),
        (70, 70, "9/10"),
    ],
)
def test_evidence_is_that_of_an_exact_computation(bad: int, of: int, rate: str) -> None:
    expected = exactly(bad, of, Fraction(rate))
    found = log_evidence(bad, of, float(Fraction(rate)))
    assert found == pytest.approx(log(expected.numerator) - log(expected.denominator), abs=1e-9)


def test_what_cannot_be_is_refuted_by_one_sample() -> None:
    assert log_evidence(1, 10, 0.0) == log_evidence(9, 10, 1.0) == inf
    assert log_evidence(0, 10, 0.0) < 0 < log(2)
    assert log_evidence(10, 10, 1.0) < 0


@pytest.mark.parametrize(("bad", "of"), [(0, 50), (1, 50), (25, 50), (50, 50), (61, 1000), (1, 100_000)])
def test_bounds_are_where_exact_evidence_reaches_one_by_alpha(bad: int, of: int) -> None:
    low, high = lower(bad, of, 0.05), upper(bad, of, 0.05)
    assert low <= bad / of <= high
    for bound, inner in ((low, 1), (high, -1)):
        if 0 < bound < 1:
            assert log_evidence(bad, of, bound) >= log(20) - 1e-9
            assert log_evidence(bad, of, bound + inner * 1e-9) < log(20)
        else:
            assert bound == (0 if inner == 1 else 1)


def test_bounds_of_sixty_one_in_a_thousand() -> None:
    """Found with `exactly` by bisection in fractions, to eight digits."""
    low, high = Fraction(lower(61, 1000, 0.05)), Fraction(upper(61, 1000, 0.05))
    step = Fraction(1, 10**8)
    assert exactly(61, 1000, low - step) > 20 > exactly(61, 1000, low + step)
    assert exactly(61, 1000, high + step) > 20 > exactly(61, 1000, high - step)


def test_nothing_is_known_of_nothing() -> None:
    assert (lower(0, 0, 0.05), upper(0, 0, 0.05)) == (0.0, 1.0)


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.floats(1e-6, 0.5))
def test_bounds_hold_what_was_seen_and_more_confidence_is_wider(bad: int, good: int, alpha: float) -> None:
    low, high = lower(bad, bad + good, alpha), upper(bad, bad + good, alpha)
    assert 0 <= low <= high <= 1
    assert lower(bad, bad + good, alpha / 2) <= low
    assert upper(bad, bad + good, alpha / 2) >= high


@pytest.mark.parametrize("rate", [0.01, 0.3])
def test_the_true_rate_is_seldom_refuted_though_one_looks_after_every_sample(rate: float) -> None:
    """Of 600 runs of 1,000 samples; a test at 5 % for a fixed number would fail in about a third of them."""
    random, runs, alarms = Random(5), 600, 0
    for _ in range(runs):
        bad = 0
        for of in range(1, 1001):
            bad += random.random() < rate
            if is_refuted(bad, of, rate, 0.05):
                alarms += 1
                break
    assert alarms <= 0.05 * runs


def test_a_test_that_is_peeked_at_fails_by_the_same_measure() -> None:
    """So that the test above could fail: an interval of the normal approximation, looked at after every sample."""
    random, runs, alarms = Random(5), 200, 0
    for _ in range(runs):
        bad = 0
        for of in range(1, 1001):
            bad += random.random() < 0.3
            if of > 30 and abs(bad / of - 0.3) > 1.96 * (0.3 * 0.7 / of) ** 0.5:
                alarms += 1
                break
    assert alarms > 0.2 * runs


def test_evidence_is_a_martingale() -> None:
    """Its expectation over the next sample is what it is: exactly, which is all that Ville's inequality needs."""
    for bad, of, rate in ((0, 0, 0.2), (2, 9, 0.05), (40, 50, 0.5)):
        now = exp(log_evidence(bad, of, rate))
        following = rate * exp(log_evidence(bad + 1, of + 1, rate)) + (1 - rate) * exp(log_evidence(bad, of + 1, rate))
        assert following == pytest.approx(now, rel=1e-12)
