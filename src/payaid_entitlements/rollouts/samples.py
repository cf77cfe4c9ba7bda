"""From what a caller says of one request to the fields that it counts in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from math import isnan
from typing import TypeAlias

from payaid_entitlements.core.flags.model import Guard
from payaid_entitlements.core.flags.rollouts.histogram import MOST, bucket
from payaid_entitlements.core.flags.rollouts.measured import (
    BAD,
    ERROR_RATE,
    LATENCY,
    OF,
    SAMPLES,
    Arm,
    amount_field,
    count_field,
    rate_field,
)

#: What a metric of the host's own is of one request: bad or not, or an amount.
Value: TypeAlias = bool | int | float


class Sample:
    """
    What one request came to; what `measured` gives.

    Attributes:
        failed: It counts in the error rate. An exception that leaves the block says so too, but a refusal does not.
        metrics: Metrics of the host's own, by name.
    """

    __slots__ = ("failed", "metrics")

    def __init__(self) -> None:
        self.failed = False
        self.metrics: dict[str, Value] = {}

    def fail(self) -> None:
        """Say that it failed, though nothing was raised: a status of 500, say."""
        self.failed = True

    def note(self, **metrics: Value) -> None:
        """
        Say what metrics of your own were: True or False for a rate (True is bad), a number of its unit for an amount.

        Raises:
            TypeError: One is neither.
        """
        require_values(metrics)
        self.metrics.update(metrics)


def require_values(metrics: Mapping[str, object]) -> None:
    """
    Refuse what no metric can be.

    Raises:
        TypeError: A value is neither a truth value nor a number.
    """
    for name, value in metrics.items():
        if not isinstance(value, (int, float)):
            raise TypeError(f"{name}={value!r}: a metric is True or False for a rate, or a number for an amount")


def fields(
    guard: Guard, arm: Arm, *, failed: bool, latency: timedelta | None, metrics: Mapping[str, Value]
) -> Iterator[str]:
    """
    Name the fields in which one sample counts: those that *guard* looks at, and how many samples there are.

    A metric that nothing was said of, or something of the other kind, is not counted: the step waits for it.
    """
    yield count_field(arm, SAMPLES)
    said: dict[str, Value] = {**metrics, ERROR_RATE: failed}
    if latency is not None:
        said[LATENCY] = latency // timedelta(microseconds=1)
    yield from counted(guard, arm, said)


def happened(guard: Guard, arm: Arm, name: str, value: float | None) -> tuple[str, ...]:
    """
    Name the fields in which something counts that happened on its own, and is no request: there is no sample more.

    Args:
        name: Of the metric; none where *guard* does not look at it.
        value: Of an amount, in its unit; of a rate 0 is good, and everything else is bad, also None.
    """
    as_rate = counted(guard, arm, {name: value is None or value != 0})
    return (*as_rate, *(() if value is None else counted(guard, arm, {name: float(value)})))


def counted(guard: Guard, arm: Arm, said: Mapping[str, Value]) -> Iterator[str]:
    """Name the fields in which what was *said* of metrics counts: those that *guard* looks at."""
    # Several bounds of one metric count it once.
    for name, is_rate in {(metric.name, metric.quantile is None) for metric in guard.metrics}:
        value = said.get(name)
        if is_rate and isinstance(value, bool):
            yield rate_field(arm, name, OF)
            if value:
                yield rate_field(arm, name, BAD)
        elif not is_rate and value is not None and not isinstance(value, bool) and not isnan(value):
            # Rounded up to whole ones: more than a bound stays more. Infinity is the most, and NaN is nothing.
            yield amount_field(arm, name, bucket(-int(-min(max(value, 0), MOST) // 1)))
