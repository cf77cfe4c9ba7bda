"""
What goes over the wire: a problem document as in RFC 9457, or a page that says the same, the same from every framework.

Pure. Clients act on `reason`, which is stable, and show the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.remedies import Remedy
from payaid_entitlements.errors import EntitlementError
from payaid_entitlements.web.problems import Problem, problem_of
from payaid_entitlements.web.words import Said, Words, shipped_words

#: Media type of problem documents, RFC 9457 section 3.
PROBLEM: Final = "application/problem+json"
#: What `type` begins with; the reason follows. It names the kind of problem and is not to be opened.
TYPE: Final = "urn:problem-type:payaid:"
#: What a refusal depends on: on how it was asked for, and on who is asking (RFC 9110 section 12.5.5).
VARY: Final = ("Accept", "Accept-Language", "Authorization", "Cookie")


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    A response that refuses.

    Attributes:
        status: 400 or more, mostly 401, 402, 403, 409, 429 or 503.
        headers: Names and values; the media type is among them.
        body: The problem document, as JSON data.
        page: What is sent in its place to who would rather have a page; None for all others.
    """

    status: int
    headers: dict[str, str]
    body: dict[str, object]
    page: str | None = None

    @property
    def content(self) -> bytes:
        """What goes over the wire, in UTF-8."""
        text = json.dumps(self.body, ensure_ascii=False) if self.page is None else self.page
        # Half a surrogate pair, which a client may put into a key, is no text; nobody is let in for it.
        return text.encode(errors="replace")


def refusal(
    error: EntitlementError,
    *,
    remedies: Iterable[Remedy] = (),
    root: Reason | None = None,
    challenge: str = "Bearer",
    legacy: bool = False,
    language: str = "",
) -> Refusal:
    """
    Say *error* to a client, as a problem document; `Answers` knows pages, and your own words, too.

    Args:
        error: What clients are told: `Refused`, `StoreUnavailable`, `TenantUnidentified`, `TenantConflict`, a conflict
            of operations, holds, changes or slots, `OperationUnnamed`, `RouteUnknown` or `UnknownApiVersion`.
        remedies: What the tenant could do, the cheapest first.
        root: Why what is required is missing, where the reason is that something is: the status follows it.
        challenge: How to log in, for ``WWW-Authenticate`` (RFC 9110 section 11.6.1), on 401.
        legacy: Of what came too fast also say ``X-RateLimit-*``, for clients that know no other fields.
        language: The request's ``Accept-Language``, or the tag of a language.

    Raises:
        EntitlementError: *error* itself, when it is not for clients: a mistake of the host.
    """
    problem = problem_of(error, remedies=remedies, root=root, challenge=challenge, legacy=legacy)
    return written(problem, worded(problem, shipped_words(), language))


def worded(problem: Problem, words: Words, language: str) -> Said:
    """The words for *problem* in the first language of *language*, an ``Accept-Language``, that has any."""
    return words.of(problem.words or problem.reason, language, str(problem.members.get("feature", "")))


def written(problem: Problem, said: Said, vary: Iterable[str] = VARY) -> Refusal:
    """Write *problem* as a document."""
    body: dict[str, object] = {
        "type": f"{TYPE}{problem.reason}",
        "title": said.title,
        "status": problem.status,
        "detail": said.detail,
        "reason": problem.reason,
        **problem.members,
    }
    headers = {
        **problem.headers,
        "Content-Type": PROBLEM,
        "Content-Language": said.language,
        # A stored refusal would outlive the purchase that turns it around, or be read by somebody else.
        "Cache-Control": "no-store",
        "Vary": ", ".join(vary),
    }
    return Refusal(problem.status, headers, body)


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
        "feature": {"type": "string", "description": "Key of the module, feature or rate limit that refused."},
        "violated-policies": {
            "type": "array",
            "description": "Of what came too fast: names of the policies without room, as in RateLimit-Policy.",
            "items": {"type": "string"},
        },
        "reference": {"type": "string", "description": "To quote to support: it says what was answered, and when."},
        "upgrade_url": {
            "type": "string",
            "description": "Where to go: of the cheapest remedy that has one; http, https or relative.",
        },
        "versions": {
            "type": "array",
            "description": "Versions of the API that can be asked for, the oldest first, where the request did not.",
            "items": {"type": "string"},
        },
        "remedies": {
            "type": "array",
            "description": "What would turn it around, the cheapest first.",
            "items": {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}}},
        },
    },
}
#: What each guarded route may answer besides its own, for API descriptions.
ANSWERS: Final = {
    400: "The request does not say by which key it is known when it is repeated.",
    401: "The request does not say for whom it is.",
    402: "The tenant's plan does not include it, or its subscription has lapsed; the body names what would open it.",
    403: "It is paused, suspended, killed or denied; paying does not change that.",
    404: "There is nothing at this address.",
    409: "It contradicts what was done before, or by others: it comes twice, too late, or was overtaken.",
    429: "More requests were made than a rate limit lets through; Retry-After says when there is room.",
    503: "It cannot be decided at the moment; this says nothing about the tenant.",
}
