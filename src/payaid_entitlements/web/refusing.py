"""
From an error to what goes over the wire: a problem document as in RFC 9457, the same from every framework. Pure.

402 is what money fixes, 403 what policy forbids, 503 what an outage hides, 401 a request of nobody. Clients act on
`reason`, which is stable, and show the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.remedies import Remedy
from payaid_entitlements.errors import EntitlementError, Refused, StoreUnavailable, TenantUnidentified

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


def refusal(error: EntitlementError, *, remedies: Iterable[Remedy] = (), challenge: str = "Bearer") -> Refusal:
    """
    Say *error* to a client.

    Args:
        error: `Refused`, `StoreUnavailable` or `TenantUnidentified`; every other one is not for clients.
        remedies: What the tenant could do, the cheapest first.
        challenge: How to log in, for ``WWW-Authenticate`` (RFC 9110 section 11.6.1), on 401.

    Raises:
        EntitlementError: *error* itself, when it is not for clients: a mistake of the host.
    """
    match error:
        case Refused(decision=decision):
            reason = decision.reason
            body = _problem(status_of(reason), reason.value, reason.meaning, reason.way_out)
            body |= {"feature": decision.feature, "remedies": [remedy.to_public() for remedy in remedies]}
            if error.reference:
                body["reference"] = error.reference
            headers = {}
        case StoreUnavailable():
            reason = Reason.STORE_UNAVAILABLE
            body = _problem(503, reason.value, "This cannot be decided at the moment.", "Try again in a moment.")
            headers = {"Retry-After": str(RETRY_AFTER)}
        case TenantUnidentified():
            body = _problem(401, "tenant.unidentified", "The request names no tenant.", "Log in.")
            headers = {"WWW-Authenticate": challenge}
        case _:
            raise error
    # A stored refusal would outlive the purchase that turns it around.
    headers |= {"Content-Type": PROBLEM, "Cache-Control": "no-store"}
    return Refusal(int(str(body["status"])), headers, body)


def _problem(status: int, reason: str, title: str, detail: str) -> dict[str, object]:
    return {"type": f"{TYPE}{reason}", "title": title, "status": status, "detail": detail, "reason": reason}


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
    401: "The request names no tenant.",
    402: "The tenant's plan does not include it, or its subscription has lapsed; the body names what would open it.",
    403: "It is paused, suspended, killed or denied; paying does not change that.",
    503: "It cannot be decided at the moment; this says nothing about the tenant.",
}
