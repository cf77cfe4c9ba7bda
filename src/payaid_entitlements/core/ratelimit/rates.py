"""Rates as people write them become the policies that are counted, where they can be counted exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payaid_entitlements.core.catalog.quantities import rates as read_rates
from payaid_entitlements.core.instant import MICROSECONDS
from payaid_entitlements.core.interval import format_duration
from payaid_entitlements.core.ratelimit.policy import (
    LONGEST_DEBT,
    LONGEST_WINDOW,
    MOST_ENTRIES,
    MOST_UNITS,
    Algorithm,
    Policy,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payaid_entitlements.core.catalog.model import Rate, RateLimit

#: What remembers each call.
_LOGS = (Algorithm.SLIDING_LOG, Algorithm.CONCURRENCY)


def policies(limit: RateLimit, rates: Sequence[Rate]) -> tuple[Policy, ...]:
    """
    Write *rates* as policies of *limit*.

    One is named as the limit; several by their windows too: ``api.1s``, ``api.60s``. The limit's burst is for the
    shortest window: a longer one is there to hold in the long run.
    """
    shortest = min((rate.window or 0 for rate in rates), default=0)
    return tuple(
        Policy(
            limit.key if len(rates) == 1 else f"{limit.key}.{_length(rate.window or 0)}",
            limit.algorithm,
            rate.limit,
            limit.held if rate.window is None else rate.window,
            rate.limit if limit.burst is None or rate.window != shortest else limit.burst,
            not limit.is_observed,
        )
        for rate in rates
    )


def _length(window: int) -> str:
    seconds, rest = divmod(window, MICROSECONDS)
    return f"{window}us" if rest else f"{seconds}s"


def fitting(limit: RateLimit, rates: tuple[Rate, ...]) -> tuple[Rate, ...]:
    """
    Pass for rates that *limit* can have.

    Raises:
        ValueError: They are of the other kind, or cannot be counted exactly.
    """
    for rate in rates:
        if limit.is_at_once and rate.window is not None:
            raise ValueError(f"it limits what runs at once; write `{rate.limit} at once`, not {told(rate)}")
        if not limit.is_at_once and rate.window is None:
            raise ValueError(f"it limits calls in a window; write `{rate.limit}/minute`, not {told(rate)}")
        most = MOST_ENTRIES if limit.algorithm in _LOGS else MOST_UNITS
        if rate.limit > most:
            shorter = "" if limit.is_at_once else ", over a shorter window"
            other = " or `algorithm: gcra`" if limit.algorithm is Algorithm.SLIDING_LOG else ""
            raise ValueError(f"{told(rate)} is more than can be counted; write at most {most:,}{shorter}{other}")
    for policy, rate in zip(policies(limit, rates), rates, strict=True):
        if policy.window > LONGEST_WINDOW:
            raise ValueError(f"{told(rate)}: the longest window is {LONGEST_WINDOW // MICROSECONDS // 86_400} days")
        if policy.burst * policy.window > LONGEST_DEBT * policy.quota:
            raise ValueError(
                f"{told(rate)}: a burst of {policy.burst:,} would take more than "
                f"{LONGEST_DEBT // MICROSECONDS // 86_400} days to come anew; write a smaller `burst`"
            )
    return rates


def rates_of(limit: RateLimit, texts: list[str]) -> tuple[Rate, ...]:
    """
    Read rates in place of the default of *limit*.

    Raises:
        ValueError: They are none that it can have.
    """
    return fitting(limit, read_rates(texts))


def told(rate: Rate) -> str:
    """Write a rate as in the catalog: ``30/minute``, ``100/15 minutes``, ``5 at once``."""
    if rate.window is None:
        return f"{rate.limit} at once"
    return f"{rate.limit}/{format_duration(rate.window).removeprefix('1 ')}"
