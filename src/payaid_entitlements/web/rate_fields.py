"""
From what a limit said to the fields of a response: ``RateLimit-Policy``, ``RateLimit`` and ``Retry-After``. Pure.

The first two are as in draft-ietf-httpapi-ratelimit-headers-11: lists of strings, each with parameters, as in RFC 9651.
A partition key is never sent: it would tell clients apart to whoever reads along.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from payaid_entitlements.core.ratelimit.policy import Algorithm
from payaid_entitlements.limiting.outcome import PolicyStanding, RateLimitOutcome

#: The problem type of what was limited, draft section 5.1.
QUOTA_EXCEEDED: Final = "https://iana.org/assignments/http-problem-types#quota-exceeded"
#: The fields of a refusal, for API descriptions.
FIELDS: Final = {
    "RateLimit-Policy": {
        "description": 'Quotas and windows in seconds: "export";q=30;w=60',
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": 'What is left, and seconds until there is more: "export";r=0;t=12',
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds after which the same request is let through.",
        "schema": {"type": "integer"},
    },
}
_SECOND: Final = timedelta(seconds=1)


def rate_fields(outcomes: Iterable[RateLimitOutcome], *, legacy: bool = False) -> dict[str, str]:
    """
    Say in fields of a response how limits stand.

    ``t`` and ``Retry-After`` are whole seconds, rounded up: whoever waits that long comes through, if nobody else has
    taken what became free. Where a call was refused only the policies that had no room are told, since no time may be
    named that is later than ``Retry-After`` (draft section 6).

    Args:
        outcomes: Of all limits that the request was held against, in their order. Where two of them count toward the
            same one, the later says how it stands.
        legacy: Also say ``X-RateLimit-Limit``, ``-Remaining`` and ``-Reset`` (seconds from now) of the tightest
            policy, for clients that know no other.

    Returns:
        Nothing of limits of which nobody could say how they stand, or that limit nothing: what is absent promises
        nothing.
    """
    policies: dict[str, str] = {}
    standings: dict[str, str] = {}
    tightest: tuple[int, int, int] | None = None
    after = 0
    for outcome in outcomes:
        wait = outcome.retry_after
        refusing = outcome.limited_by
        if wait is not None:
            after = max(after, _seconds(wait))
        for each in outcome.policies:
            policies[each.name] = _policy(each)
            if refusing and each.name not in refusing:
                continue
            seconds = None if refusing and wait is None else _seconds(each.resets_after if wait is None else wait)
            standings[each.name] = f'"{each.name}";r={each.remaining}' + ("" if seconds is None else f";t={seconds}")
            if tightest is None or each.remaining < tightest[1]:
                tightest = (each.quota, each.remaining, _seconds(each.resets_after) if seconds is None else seconds)
    fields: dict[str, str] = {}
    if policies:
        fields["RateLimit-Policy"] = ", ".join(policies.values())
        fields["RateLimit"] = ", ".join(standings.values())
    if after:
        fields["Retry-After"] = str(after)
    if legacy and tightest is not None:
        for name, number in zip(("Limit", "Remaining", "Reset"), tightest, strict=True):
            fields[f"X-RateLimit-{name}"] = str(number)
    return fields


def _policy(standing: PolicyStanding) -> str:
    """A quota policy item, draft section 3.1. Windows shorter than a second cannot be said there."""
    if standing.algorithm is Algorithm.CONCURRENCY:
        return f'"{standing.name}";q={standing.quota};qu="concurrent-requests"'
    window = "" if standing.window % _SECOND else f";w={standing.window // _SECOND}"
    return f'"{standing.name}";q={standing.quota}{window}'


def _seconds(time: timedelta) -> int:
    return -(-time // _SECOND)
