"""
From an error to what goes over the wire: a problem document as in RFC 9457, the same from every framework. Pure.

402 is what money fixes, 403 what policy forbids, 503 what an outage hides, 401 a request of nobody. Clients act on
`reason`, which is stable, and show the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import format_datetime
from typing import Final

from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.remedies import Remedy, WaitUntil
from payaid_entitlements.errors import EntitlementError, OutcomeUnknown, Refused, StoreUnavailable, TenantUnidentified

#: Media type of problem documents, RFC 9457 section 3.
PROBLEM: Final = "application/problem+json"
#: What `type` begins with; the reason follows. It names the kind of problem and is not to be opened.
TYPE: Final = "urn:problem-type:payaid:"
#: Seconds after which asking again may help, in an outage.
RETRY_AFTER: Final = 2

#: What paying, buying or renewing turns around. Everything else that is refused is forbidden by somebody.
_MONEY: Final = frozenset(
    {
        Reason.PLAN_MODULE_ABSENT,
        Reason.PLAN_FEATURE_ABSENT,
        Reason.PLAN_ZERO,
        Reason.DEPENDENCY_MISSING,
        Reason.SUBSCRIPTION_NONE,
        Reason.SUBSCRIPTION_TRIAL_ENDED,
        Reason.SUBSCRIPTION_ENDED,
        Reason.SUBSCRIPTION_CANCELLED,
        Reason.SUBSCRIPTION_PAST_DUE,
        Reason.QUOTA_EXHAUSTED,
        Reason.QUOTA_GRACE_ENDED,
        Reason.CREDIT_EXHAUSTED,
        Reason.ALLOCATION_FULL,
        Reason.ALLOCATION_NO_ROOM,
    }
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    A response that refuses.

    Attributes:
        status: 401, 402, 403 or 503.
        headers: Names and values; the media type is among them.
        body: The problem document, as JSON data.
    """

    status: int
    headers: dict[str, str]
    body: dict[str, object]

    @property
    def content(self) -> bytes:
        """The body as it goes over the wire."""
        return json.dumps(self.body, ensure_ascii=False).encode()


def status_of(reason: Reason) -> int:
    """The status that a refusal for *reason* has."""
    if reason is Reason.STORE_UNAVAILABLE:
        return 503
    return 402 if reason in _MONEY else 403


def refusal(
    error: EntitlementError,
    *,
    remedies: Iterable[Remedy] = (),
    root: Reason | None = None,
    challenge: str = "Bearer",
) -> Refusal:
    """
    Say *error* to a client.

    Args:
        error: `Refused`, `StoreUnavailable` or `TenantUnidentified`; every other one is not for clients.
        remedies: What the tenant could do, the cheapest first.
        root: Why what is required is missing, where the reason is that something is: the status follows it.
        challenge: How to log in, for ``WWW-Authenticate`` (RFC 9110 section 11.6.1), on 401.

    Raises:
        EntitlementError: *error* itself, when it is not for clients: a mistake of the host.
    """
    match error:
        case Refused(decision=decision):
            offers = tuple(remedies)
            reason = decision.reason
            more: dict[str, object] = {"feature": decision.feature, "remedies": [each.to_public() for each in offers]}
            if error.reference:
                more["reference"] = error.reference
            return _said(status_of(root or reason), reason, reason.meaning, reason.way_out, _opening(offers), more)
        case OutcomeUnknown():
            # Without Retry-After: clients that obey it by themselves would do it twice.
            return _said(503, "store.outcome_unknown", "It is not known whether this has happened.", "Look first.")
        case StoreUnavailable():
            after = {"Retry-After": str(RETRY_AFTER)}
            return _said(503, Reason.STORE_UNAVAILABLE, "This cannot be decided at the moment.", _AGAIN, after)
        case TenantUnidentified():
            return _said(401, "tenant.unidentified", ANSWERS[401], "Log in.", {"WWW-Authenticate": challenge})
        case _:
            raise error


_AGAIN: Final = "Try again in a moment."


def _said(
    status: int,
    reason: str,
    title: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, object] | None = None,
) -> Refusal:
    body = {"type": f"{TYPE}{reason}", "title": title, "status": status, "detail": detail, "reason": str(reason)}
    # A stored refusal would outlive the purchase that turns it around.
    always = {"Content-Type": PROBLEM, "Cache-Control": "no-store"}
    return Refusal(status, {**(headers or {}), **always}, {**body, **(more or {})})


def _opening(remedies: Iterable[Remedy]) -> dict[str, str]:
    """When it opens by itself, as RFC 9110 section 10.2.3 writes it: to the full second, never too early."""
    for remedy in remedies:
        if isinstance(remedy, WaitUntil):
            at = remedy.at.astimezone(UTC)
            whole = at.replace(microsecond=0) + timedelta(seconds=1 if at.microsecond else 0)
            return {"Retry-After": format_datetime(whole, usegmt=True)}
    return {}


#: The schema of a problem document, for API descriptions.
PROBLEM_SCHEMA: Final[dict[str, object]] = {
    "title": "Problem",
    "description": "Why a request was refused, as in RFC 9457.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "reason"],
    "properties": {
        "type": {"type": "string", "description": "Kind of the problem; ends with the reason."},
        "title": {"type": "string", "description": "The kind of the problem in words."},
        "status": {"type": "integer", "description": "The HTTP status again."},
        "detail": {"type": "string", "description": "The way out, in words."},
        "reason": {"type": "string", "description": "Stable code: family.word. Treat an unknown one as its family."},
        "feature": {"type": "string", "description": "Key of the module or feature that was refused."},
        "reference": {"type": "string", "description": "To quote to support: it says what was answered, and when."},
        "remedies": {
            "type": "array",
            "description": "What would turn it around, the cheapest first.",
            "items": {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}}},
        },
    },
}
#: What each guarded route may answer besides its own, for API descriptions.
ANSWERS: Final = {
    401: "The request does not say for whom it is.",
    402: "The tenant's plan does not include it, or its subscription has lapsed; the body names what would open it.",
    403: "It is paused, suspended, killed or denied; paying does not change that.",
    503: "It cannot be decided at the moment; this says nothing about the tenant.",
}
