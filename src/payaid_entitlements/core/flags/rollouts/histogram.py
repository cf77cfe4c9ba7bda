"""
Amounts in buckets with fixed edges, which processes can add up, and how sure a quantile of them is.

Eight buckets to each doubling, as in HdrHistogram: up to 15 each number has its own, above that a bucket is at most an
eighth wide. The edges are the same for ever and everywhere, so that counts of different processes can be added.

The quantile's bounds are those of Howard and Ramdas (2022), "Sequential estimation of quantiles with applications to
A/B testing and best-arm identification", Bernoulli 28(3): "at most this edge" is a yes or no, and the edge is above the
quantile as soon as its rate is surely above that of the quantile. One event covers all edges, since counts only grow
from edge to edge, so nothing is lost for there being many.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from payaid_entitlements.core.flags.rollouts.sequential import is_refuted

#: What is more is counted as this: twelve days in microseconds.
MOST: Final = (1 << 40) - 1


def bucket(amount: int) -> int:
    """Find the number of the bucket of *amount*; less than nothing is nothing, and more than `MOST` is that."""
    amount = min(max(amount, 0), MOST)
    shift = max(amount.bit_length() - 4, 0)
    return shift * 8 + (amount >> shift)


def edge(number: int) -> int:
    """Give the greatest amount in a bucket."""
    shift = max(number // 8 - 1, 0)
    return ((number - shift * 8 + 1) << shift) - 1


#: Buckets are numbered from 0 to below this.
BUCKETS: Final = bucket(MOST) + 1


def quantile_above(counts: Mapping[int, int], quantile: float, alpha: float) -> int:
    """
    Find the greatest edge above which the quantile surely is; -1 where nothing is sure.

    Args:
        counts: How many amounts were in each bucket; no bucket is none.
        quantile: Between 0 and 1: 0.95 is p95.
        alpha: The probability, over all time, that this or `quantile_within` is ever wrong.
    """
    total, below, found = sum(counts.values()), 0, -1
    for number in range(max(counts, default=-1) + 1):
        below += counts.get(number, 0)
        if below >= quantile * total or not is_refuted(below, total, quantile, alpha):
            break
        found = edge(number)
    return found


def quantile_within(counts: Mapping[int, int], quantile: float, alpha: float) -> int | None:
    """Find the least edge that the quantile surely does not exceed; None where nothing is sure."""
    total, below = sum(counts.values()), 0
    for number, count in sorted(counts.items()):
        below += count
        if below > quantile * total and is_refuted(below, total, quantile, alpha):
            return edge(number)
    return None
