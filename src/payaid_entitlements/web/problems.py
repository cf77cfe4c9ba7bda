"""
From an error to what is wrong in HTTP's terms: a status, a stable reason, fields and members. Pure, and without words.

402 is what money fixes, 403 what policy forbids, 409 what contradicts what was done before, 429 what came too fast, 503
what an outage hides, 401 a request of nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final

from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.remedies import Remedy, WaitUntil
from payaid_entitlements.errors import (
    ChangeConflict,
    EntitlementError,
    ModuleFailed,
    ModuleUnavailable,
    OperationConflict,
    OperationUnnamed,
    OutcomeUnknown,
    RateLimited,
    Refused,
    ReservationExpired,
    RouteUnknown,
    SlotTaken,
    StoreUnavailable,
    TenantConflict,
    TenantUnidentified,
    UnknownApiVersion,
)
from payaid_entitlements.limiting.outcome import RateLimitOutcome
from payaid_entitlements.web.rate_fields import QUOTA_EXCEEDED, rate_fields

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
#: What is said by its kind alone. Nothing that the error carries is told: which operation and which revision may be of
#: the host's inside, and the client knows what it asked for.
BY_KIND: Final[Mapping[type[EntitlementError], tuple[int, str]]] = {
    OperationUnnamed: (400, "operation.unnamed"),
    TenantConflict: (403, "tenant.conflict"),
    RouteUnknown: (404, "route.unknown"),
    OperationConflict: (409, "operation.conflict"),
    ReservationExpired: (409, "reservation.expired"),
    ChangeConflict: (409, "change.conflict"),
    SlotTaken: (409, "slot.taken"),
}

#: By `UnknownApiVersion.kind`.
_VERSIONS: Final = {"unknown": 400, "conflict": 400, "missing": 400, "retired": 410, "absent": 404}


@dataclass(frozen=True, slots=True)
class Problem:
    """
    What is wrong with a request.

    Attributes:
        status: Of HTTP, 400 or more.
        reason: Stable code, ``family.word``; `payaid_entitlements.web.words` has a title and a detail for it.
        headers: Fields that this problem has besides those of all.
        members: Of the document, besides those of all; ``type`` takes the place of the usual one.
        words: What is said in place of the words for *reason*; empty for those.
    """

    status: int
    reason: str
    headers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, object] = field(default_factory=dict)
    words: str = ""


def status_of(reason: Reason) -> int:
    """The status that a refusal for *reason* has."""
    if reason is Reason.STORE_UNAVAILABLE:
        return 503
    if reason is Reason.RATE_LIMITED:
        return 429
    return 402 if reason in _MONEY else 403


def problem_of(
    error: EntitlementError,
    *,
    remedies: Iterable[Remedy] = (),
    root: Reason | None = None,
    challenge: str = "Bearer",
    legacy: bool = False,
) -> Problem:
    """
    Say what *error* is to a client.

    Args:
        error: Of a kind that is for clients.
        remedies: What the tenant could do, the cheapest first.
        root: Why what is required is missing, where the reason is that something is: the status follows it.
        challenge: How to log in, for ``WWW-Authenticate`` (RFC 9110 section 11.6.1), on 401.
        legacy: Of what came too fast also say ``X-RateLimit-*``, for clients that know no other fields.

    Raises:
        EntitlementError: *error* itself, when it is not for clients: a mistake of the host.
    """
    match error:
        case RateLimited(outcome=outcome) if error.decision.reason is Reason.RATE_LIMITED:
            return _too_fast(outcome, tuple(remedies), legacy=legacy)
        case Refused(decision=decision):
            offers = tuple(remedies)
            more: dict[str, object] = {"feature": decision.feature, **_offered(offers)}
            if error.reference:
                more["reference"] = error.reference
            status = status_of(root or decision.reason)
            # Whoever is told to buy what was switched off has been sent the wrong way.
            words = "dependency.forbidden" if decision.reason is Reason.DEPENDENCY_MISSING and status == 403 else ""
            return Problem(status, decision.reason.value, _opening(offers), more, words)
        case OutcomeUnknown():
            # Without Retry-After: clients that obey it by themselves would do it twice.
            return Problem(503, "store.outcome_unknown")
        case StoreUnavailable():
            return Problem(503, Reason.STORE_UNAVAILABLE.value, {"Retry-After": str(RETRY_AFTER)})
        case TenantUnidentified():
            return Problem(401, "tenant.unidentified", {"WWW-Authenticate": challenge})
        case ModuleFailed(module=module, reference=reference):
            return Problem(500, "module.failed", members={"module": module, "reference": reference})
        case ModuleUnavailable(module=module):
            return Problem(503, "module.unavailable", {"Retry-After": str(RETRY_AFTER)}, {"module": module})
        case UnknownApiVersion(kind=what, versions=versions, fields=fields):
            return Problem(_VERSIONS[what], f"version.{what}", fields, {"versions": list(versions)})
    for kind, (status, reason) in BY_KIND.items():
        if isinstance(error, kind):
            return Problem(status, reason)
    raise error


def _too_fast(outcome: RateLimitOutcome, remedies: tuple[Remedy, ...], *, legacy: bool) -> Problem:
    """429 (RFC 6585 section 4): to wait is cheaper than all else, where that helps."""
    at = outcome.retry_at
    offers = remedies if at is None else (WaitUntil(at), *remedies)
    # The problem type of the draft, which clients know that know nothing of us; `reason` is as everywhere.
    more: dict[str, object] = {
        "type": QUOTA_EXCEEDED,
        "feature": outcome.key,
        "violated-policies": list(outcome.limited_by),
        **_offered(offers),
    }
    words = "" if at is not None else "rate.never"
    return Problem(429, outcome.reason.value, rate_fields((outcome,), legacy=legacy), more, words)


def _offered(remedies: tuple[Remedy, ...]) -> dict[str, object]:
    offers: dict[str, object] = {"remedies": [each.to_public() for each in remedies]}
    for remedy in remedies:
        url = followable(getattr(remedy, "url", None))
        if url is not None:
            return {**offers, "upgrade_url": url}
    return offers


def _opening(remedies: Iterable[Remedy]) -> dict[str, str]:
    """When it opens by itself, as RFC 9110 section 10.2.3 writes it: to the full second, never too early."""
    for remedy in remedies:
        if isinstance(remedy, WaitUntil):
            return {"Retry-After": format_datetime(rounded_up(remedy.at, _SECOND), usegmt=True)}
    return {}


def rounded_up(at: datetime, unit: timedelta) -> datetime:
    """*at* in UTC to the full second or minute: never too early, but for the end of all time, which is not passed."""
    whole = at.astimezone(UTC).replace(microsecond=0)
    if unit > _SECOND:
        whole = whole.replace(second=0)
    return whole if whole == at or whole > _LAST - unit else whole + unit


_SECOND: Final = timedelta(seconds=1)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


#: What a scheme is, RFC 3986 section 3.1.
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
#: What no address has. Browsers leave out line ends and tabs before they look at the scheme.
_NOT_IN_ADDRESSES: Final = re.compile(r"[\x00-\x20\x7f-\x9f\\<>\"\ud800-\udfff]")


def followable(url: object) -> str | None:
    """
    Give *url* where a link may lead there: of ``http`` or ``https``, or relative; else None.

    Whoever opens ``javascript:`` runs it in the page that has the link.
    """
    if not isinstance(url, str) or not url or _NOT_IN_ADDRESSES.search(url):
        return None
    if _SCHEME.match(url) and not url.lower().startswith(("http://", "https://")):
        return None
    return url
