"""
What ends a rollout, as people write it: ``error_rate > control + 0.5%``, ``latency p95 > 500 ms``.

A rate has no quantile and a bound in percent. An amount has a quantile; that of ``latency`` is bound by a time, any
other by a whole number in its own unit.
"""

from __future__ import annotations

import re
from typing import Final

from payaid_entitlements.core.flags.model import Metric
from payaid_entitlements.core.flags.rollouts.histogram import MOST
from payaid_entitlements.core.flags.shares import parts, percent
from payaid_entitlements.core.instant import MICROSECONDS
from payaid_entitlements.core.interval import format_duration, parse_duration
from payaid_entitlements.errors import ConfigurationError

_BOUND: Final = re.compile(
    r"(?P<name>[a-z][a-z0-9_-]{0,63})(?:\s+p(?P<quantile>[0-9]{1,2}(?:\.[0-9]{1,3})?))?\s*>\s*"
    r"(?P<control>control\s*\+\s*)?(?P<bound>[^\s=].{0,40})"
)
_SHORT: Final = re.compile(r"([0-9]{1,12})\s*(ms|us)")
_MILLISECOND: Final = 1_000
_EXAMPLES: Final = "`error_rate > control + 0.5%`, `error_rate > 2%` or `latency p95 > 500 ms`"


def bound(text: str) -> Metric:
    """
    Read one bound.

    Raises:
        ValueError: It is none; the message says what to write.
    """
    found = _BOUND.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no bound; write {_EXAMPLES}")
    name, limit = found["name"], found["bound"]
    quantile = None if found["quantile"] is None else parts(f"{found['quantile']}%")
    if quantile == 0:
        raise ValueError(f"{text!r}: a quantile is between p0 and p100, such as p95")
    if name == "latency" and quantile is None:
        raise ValueError(f"{text!r}: say which latency: `latency p95 > {limit}`")
    if name == "error_rate" and quantile is not None:
        raise ValueError(f"{text!r}: a rate has no quantile; write `error_rate > {limit}`")
    is_against_control = found["control"] is not None
    if quantile is None:
        return Metric(name, None, _rate(limit, text), is_against_control)
    amount = _time(limit) if name == "latency" else _whole(limit, text)
    if amount >= MOST:
        most = "12 days" if name == "latency" else f"{MOST:,}"
        raise ValueError(f"{text!r}: amounts are counted up to {most}, so that this is never broken")
    return Metric(name, quantile, amount, is_against_control)


def _rate(limit: str, text: str) -> int:
    if not limit.endswith("%"):
        raise ValueError(
            f"{text!r}: a rate is bound by a percentage, such as 2%; an amount has a quantile, such as p50"
        )
    return parts(limit)


def _whole(limit: str, text: str) -> int:
    if limit.isascii() and limit.isdigit():
        return int(limit)
    raise ValueError(f"{text!r}: write a whole number, in the unit that is measured, not {limit!r}")


def _time(limit: str) -> int:
    short = _SHORT.fullmatch(limit)
    if short is not None:
        return int(short[1]) * (_MILLISECOND if short[2] == "ms" else 1)
    try:
        return parse_duration(limit)
    except ConfigurationError as error:
        raise ValueError(f"{error}, '500 ms'") from None


def written_bound(metric: Metric) -> str:
    """Write *metric*; `bound` reads it back."""
    control = "control + " if metric.against_control else ""
    if metric.quantile is None:
        return f"{metric.name} > {control}{percent(metric.bound)}"
    quantile = percent(metric.quantile).removesuffix("%")
    if metric.name != "latency":
        limit = str(metric.bound)
    elif metric.bound % _MILLISECOND:
        limit = f"{metric.bound} us"
    elif metric.bound < MICROSECONDS:
        limit = f"{metric.bound // _MILLISECOND} ms"
    else:
        limit = format_duration(metric.bound)
    return f"{metric.name} p{quantile} > {control}{limit}"
