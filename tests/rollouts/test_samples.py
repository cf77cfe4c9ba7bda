"""From what is said of a request to the fields that it counts in."""

from __future__ import annotations

from datetime import timedelta

import pytest

from payaid_entitlements.core.flags.model import Guard, Metric
from payaid_entitlements.core.flags.rollouts.histogram import BUCKETS, bucket
from payaid_entitlements.core.flags.rollouts.measured import Arm, Measured, Rate
from payaid_entitlements.rollouts.samples import Sample, Value, fields

GUARD = Guard(
    (
        Metric("error_rate", None, 500, against_control=True),
        Metric("error_rate", None, 5_000, against_control=False),
        Metric("latency", 95_000, 1, against_control=True),
        Metric("empty", None, 1, against_control=True),
        Metric("rows", 50_000, 1, against_control=False),
    )
)
MS = timedelta(milliseconds=1)


def counted(
    guard: Guard = GUARD, *, failed: bool = False, latency: timedelta | None = None, **metrics: Value
) -> list[str]:
    return sorted(fields(guard, Arm.INSIDE, failed=failed, latency=latency, metrics=metrics))


def test_what_is_guarded_is_counted_once() -> None:
    assert counted(latency=5 * MS, empty=True, rows=3) == [
        *("in/empty/bad", "in/empty/of", "in/error_rate/of"),
        *(f"in/latency/le/{bucket(5_000)}", "in/rows/le/3", "in/samples"),
    ]
    assert counted(failed=True, empty=False) == [
        *("in/empty/of", "in/error_rate/bad", "in/error_rate/of", "in/samples"),
    ]


def test_what_is_counted_can_be_read() -> None:
    found = Measured.of(dict.fromkeys(counted(failed=True, latency=7 * MS, rows=2), 1))
    assert found.inside.samples == 1
    assert found.inside.rates == {"error_rate": Rate(1, 1)}
    assert found.inside.amounts == {"latency": {bucket(7_000): 1}, "rows": {2: 1}}


def test_what_nobody_guards_is_not_counted() -> None:
    assert counted(Guard(samples=5), failed=True, latency=MS, other=3) == ["in/samples"]
    assert counted(other=3) == ["in/error_rate/of", "in/samples"]


def test_what_is_of_the_other_kind_is_not_counted() -> None:
    assert counted(rows=True, empty=3) == ["in/error_rate/of", "in/samples"]


@pytest.mark.parametrize(
    ("rows", "number"),
    [(0, 0), (-3, 0), (2.0, 2), (2.1, 3), (10**30, BUCKETS - 1), (float("inf"), BUCKETS - 1), (float("-inf"), 0)],
)
def test_amounts_are_rounded_up_and_bounded(rows: float, number: int) -> None:
    assert f"in/rows/le/{number}" in counted(rows=rows)


def test_no_number_is_not_counted() -> None:
    assert counted(rows=float("nan")) == ["in/error_rate/of", "in/samples"]


def test_a_sample_says_what_a_metric_may_be() -> None:
    sample = Sample()
    sample.note(rows=3, empty=True)
    sample.note(rows=4)
    sample.fail()
    assert (sample.failed, sample.metrics) == (True, {"rows": 4, "empty": True})
    with pytest.raises(TypeError, match="rows='many': a metric is True or False"):
        sample.note(rows="many")  # type: ignore[arg-type] # that is what is tried
