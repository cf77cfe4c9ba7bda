"""What ends a rollout, as people write it."""

# ruff: noqa: E501 - tables of cases

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.flags.bounds import bound, written_bound
from payaid_entitlements.core.flags.model import PARTS, Metric
from payaid_entitlements.core.flags.shares import parts, percent

# fmt: off
BOUNDS = [
    ("error_rate > 2%", Metric("error_rate", None, 2_000, False)),
    ("error_rate>control+0.5%", Metric("error_rate", None, 500, True)),
    ("  error_rate  >  control  +  100%  ", Metric("error_rate", None, 100_000, True)),
    ("latency p95 > 500 ms", Metric("latency", 95_000, 500_000, False)),
    ("latency p99.9 > control + 50ms", Metric("latency", 99_900, 50_000, True)),
    ("latency p50 > 250 us", Metric("latency", 50_000, 250, False)),
    ("latency p50 > 1.5 seconds", Metric("latency", 50_000, 1_500_000, False)),
    ("latency p50 > 2 minutes", Metric("latency", 50_000, 120_000_000, False)),
    ("refunds > control + 1%", Metric("refunds", None, 1_000, True)),
    ("basket p50 > 1200", Metric("basket", 50_000, 1_200, False)),
]
NONE = [
    ("", "is no bound"), ("error_rate", "is no bound"), ("error_rate < 2%", "is no bound"), ("error_rate >= 2%", "is no bound"),
    ("Error > 2%", "is no bound"), ("error_rate > 2", "such as 2%"), ("error_rate p95 > 2%", "a rate has no quantile"),
    ("latency > 500 ms", "`latency p95 > 500 ms`"), ("latency p95 > 500", "'500 ms'"), ("latency p95 > 5%", "'500 ms'"),
    ("latency p0 > 5 ms", "between p0 and p100"), ("latency p100 > 5 ms", "is no bound"), ("latency p95 > 5 months", "no fixed length"),
    ("basket p50 > 5%", "a whole number"), ("basket p50 > \u0665", "a whole number"), ("basket p50 > -5", "a whole number"),
    ("error_rate > 200%", "more than 100%"), ("error_rate > 0.00001%", "finer"), ("error_rate > control - 1%", "`25%`"),
    ("latency p95 > 13 days", "counted up to 12 days, so that this is never broken"), ("basket p50 > 1099511627775", "up to 1,099,511,627,775"),
]
# fmt: on


@pytest.mark.parametrize(("text", "metric"), BOUNDS)
def test_a_bound_is_read_and_written(text: str, metric: Metric) -> None:
    """Spaces do not matter, and what is written is read as the same."""
    assert bound(text) == metric
    assert bound(written_bound(metric)) == metric


@pytest.mark.parametrize(("text", "says"), NONE)
def test_what_is_no_bound_says_what_to_write(text: str, says: str) -> None:
    """A bound that is misread would roll nothing back."""
    with pytest.raises(ValueError, match=r".") as error:
        bound(text)
    assert says in str(error.value)


@given(
    st.sampled_from(["error_rate", "latency", "basket"]),
    st.integers(1, PARTS - 1),
    st.integers(0, PARTS),
    st.integers(0, 10**12),
    st.booleans(),
)
def test_every_metric_can_be_written(name: str, quantile: int, share: int, amount: int, control: bool) -> None:
    """Exactly, whatever its numbers are."""
    metric = Metric(name, None, share, control) if name == "error_rate" else Metric(name, quantile, amount, control)
    assert bound(written_bound(metric)) == metric


@given(st.integers(0, PARTS))
def test_every_share_can_be_written(share: int) -> None:
    """In the fewest digits."""
    text = percent(share)
    assert parts(text) == share
    assert not text.removesuffix("%").endswith(".")
    assert "." not in text or not text.removesuffix("%").endswith("0")
