"""
From what a limit said to the fields of a response: ``RateLimit-Policy``, ``RateLimit`` and ``Retry-After``. Pure.

The first two are as in draft-ietf-httpapi-ratelimit-headers-11: lists of strings, each with parameters, as in RFC 9651.
A partition key is never sent: it would tell clients apart to whoever reads along.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
_NO_TIME: Final = timedelta()


def rate_fields(outcomes: Iterable[RateLimitOutcome], *, legacy: bool = False) -> dict[str, str]:
    """
    Say in fields of a response how limits stand.

    ``t`` says when all has come back; or, where there is no room for another such call, when there is: a client that
    sleeps until ``t`` when nothing is left must not sleep for a day when one unit comes back sooner. It and
    ``Retry-After`` are whole seconds, rounded up: whoever waits that long comes through, if nobody else has taken what
    became free.

    Where a call was refused only the policies are told that have no room for another one, since no time may be named
    that is later than ``Retry-After`` (draft section 6). Some may be of limits that let it through and have counted it,
    before another one refused it.

    Args:
        outcomes: Of all limits that the request was held against, in their order. Where two of them count toward the
            same one, the later says how it stands.
        legacy: Also say ``X-RateLimit-Limit``, ``-Remaining`` and ``-Reset`` (seconds from now) of the tightest
            policy, for clients that know no other.

    Returns:
        Nothing of limits of which nobody could say how they stand, or that limit nothing: what is absent promises
        nothing.
    """
    outcomes = tuple(outcomes)
    is_refused = not all(outcome.allowed for outcome in outcomes)
    policies: dict[str, str] = {}
    standings: dict[str, str] = {}
    tightest: tuple[int, int, int] | None = None
    for outcome in outcomes:
        refusing = outcome.limited_by
        for each in outcome.policies:
            policies[each.name] = _policy(each)
            time = outcome.retry_after if each.name in refusing else _wait(each, outcome.cost)
            if time == _NO_TIME:
                if is_refused:
                    continue
                time = each.resets_after
            until = "" if time is None else f";t={_seconds(time)}"
            standings[each.name] = f'"{each.name}";r={each.remaining}{until}'
            if tightest is None or each.remaining < tightest[1]:
                tightest = (each.quota, each.remaining, _seconds(each.resets_after if time is None else time))
    fields: dict[str, str] = {}
    if policies:
        fields["RateLimit-Policy"] = ", ".join(policies.values())
    if standings:
        fields["RateLimit"] = ", ".join(standings.values())
    if any(outcome.retry_after is not None for outcome in outcomes):
        fields["Retry-After"] = str(_retry_after(outcomes))
    if legacy and tightest is not None:
        for name, number in zip(("Limit", "Remaining", "Reset"), tightest, strict=True):
            fields[f"X-RateLimit-{name}"] = str(number)
    return fields


def fields_beside(
    there: Mapping[str, str], outcomes: Sequence[RateLimitOutcome], *, legacy: bool = False
) -> dict[str, str]:
    """
    Say what a response does not say yet.

    What it says stands: a refusal says what refused. But it knows nothing of the limits before that have counted the
    request as well. Where they take longer to let another one through, ``Retry-After`` says so, whatever has refused.

    Args:
        there: Fields of the response, by names in lower case.
        outcomes: As for `rate_fields`.
    """
    fields = {} if "ratelimit" in there else rate_fields(outcomes, legacy=legacy)
    fields = {name: value for name, value in fields.items() if name.lower() not in there}
    said = there.get("retry-after", "")
    if said.isdecimal():
        after = _retry_after(outcomes)
        if int(said) < after:
            fields["Retry-After"] = str(after)
    return fields


def _retry_after(outcomes: Iterable[RateLimitOutcome]) -> int:
    """Seconds until all of these limits let the same request through, as far as they ever do."""
    waits = [outcome.retry_after or _NO_TIME for outcome in outcomes]
    waits += [_wait(each, outcome.cost) for outcome in outcomes if outcome.allowed for each in outcome.policies]
    return _seconds(max(waits, default=_NO_TIME))


def _wait(standing: PolicyStanding, cost: int) -> timedelta:
    """How long until there is room for *cost* units behind a call that was let through, at most."""
    if cost <= standing.remaining or standing.algorithm is Algorithm.CONCURRENCY:
        return _NO_TIME
    if standing.algorithm is Algorithm.GCRA:
        # The last units to come back are not needed for it.
        spare = max(standing.burst - cost, 0)
        return standing.resets_after - spare * standing.window // standing.quota
    return standing.resets_after


def _policy(standing: PolicyStanding) -> str:
    """A quota policy item, draft section 3.1. Windows shorter than a second cannot be said there."""
    if standing.algorithm is Algorithm.CONCURRENCY:
        return f'"{standing.name}";q={standing.quota};qu="concurrent-requests"'
    window = "" if standing.window % _SECOND else f";w={standing.window // _SECOND}"
    return f'"{standing.name}";q={standing.quota}{window}'


def _seconds(time: timedelta) -> int:
    return -(-time // _SECOND)
