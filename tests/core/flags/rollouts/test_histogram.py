"""Buckets, and quantiles of what is in them."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.flags.rollouts.histogram import (
    BUCKETS,
    MOST,
    bucket,
    edge,
    quantile_above,
    quantile_within,
)


@given(st.integers(0, MOST))
def test_an_amount_is_in_its_bucket_and_that_is_narrow(amount: int) -> None:
    number = bucket(amount)
    below = edge(number - 1) if number else -1
    assert below < amount <= edge(number)
    assert edge(number) - below <= max(1, amount // 8)


def test_edges_are_what_they_ever_were() -> None:
    """Do not change these: processes of two releases add up what they count."""
    assert [edge(number) for number in (0, 1, 15, 16, 17, 23, 24, 31, 32, BUCKETS - 1)] == [
        *(0, 1, 15, 17, 19, 31, 35, 63, 71, MOST),
    ]
    assert BUCKETS == 304
    assert [bucket(amount) for amount in (-5, 0, MOST, MOST + 1, 10**30)] == [
        0,
        0,
        BUCKETS - 1,
        BUCKETS - 1,
        BUCKETS - 1,
    ]


def test_nothing_is_sure_of_nothing() -> None:
    assert quantile_above({}, 0.95, 0.05) == -1
    assert quantile_within({}, 0.95, 0.05) is None
    assert quantile_within({10: 3}, 0.95, 0.05) is None
    assert quantile_above({10: 3}, 0.5, 0.05) == -1


def test_a_quantile_of_many_is_known_to_a_bucket() -> None:
    counts = Counter(bucket(amount) for amount in range(1, 100_001))
    above, within = quantile_above(counts, 0.95, 0.05), quantile_within(counts, 0.95, 0.05)
    assert within is not None
    assert above < 95_000 <= within
    assert edge(bucket(95_000) - 1) >= above >= 85_000
    assert within <= 105_000


@pytest.mark.parametrize("quantile", [0.5, 0.95])
def test_a_quantile_is_seldom_missed_though_one_looks_again_and_again(quantile: float) -> None:
    random, runs, misses = Random(7), 120, 0
    truth = int(1_000_000 * quantile)
    for _ in range(runs):
        counts: Counter[int] = Counter()
        for of in range(1, 401):
            counts[bucket(random.randrange(1_000_000))] += 1
            if of % 10 == 0:
                within = quantile_within(counts, quantile, 0.05)
                if quantile_above(counts, quantile, 0.05) >= truth or (within is not None and within < truth):
                    misses += 1
                    break
    assert misses <= 0.05 * runs
