"""
Sixty errors, and what a client must be told of each: status and reason are written here by hand, in no way by the code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from payaid_entitlements import DENY, Catalog, Decision, Entitlements, Reason
from payaid_entitlements.core.ratelimit.policy import NEVER, Algorithm, Policy, Verdict
from payaid_entitlements.errors import (
    ChangeConflict,
    EntitlementError,
    ModuleFailed,
    ModuleUnavailable,
    NotEntitled,
    NotReleased,
    OperationConflict,
    OperationUnnamed,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
    ReservationExpired,
    RouteUnknown,
    SlotTaken,
    StoreDamaged,
    StoreIncomplete,
    StoreUnavailable,
    SubscriptionExpired,
    TenantConflict,
    TenantSuspended,
    TenantUnidentified,
    UnknownApiVersion,
)
from payaid_entitlements.limiting.outcome import RateLimitOutcome, Terms
from payaid_entitlements.stores.limiter import Ruling
from payaid_entitlements.testing import FakeClock, sandbox

NOW: Final = datetime(2026, 9, 21, 14, tzinfo=UTC)
BROWSER: Final = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
REFERENCE: Final = "G8NK-788M-X8DC-3KVJ-R000-0Y55-V2"
_SECOND: Final = 1_000_000

CATALOG: Final = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "modules": {
            "crm": {"features": {"export": {"kind": "switch"}, "seats": {"kind": "allocation", "unit": "seat"}}},
            "hr": {"features": {"payslips": {"kind": "quota", "unit": "payslip"}}},
            "books": {"requires": ["hr"]},
        },
        "plans": {
            "free": {"modules": ["crm"], "features": {"crm.seats": 1}, "rate_limits": {"api": "2/minute"}},
            "pro": {
                "title": "Pro & Partner <GmbH>",
                "extends": "free",
                "price": {"monthly": 5, "yearly": Decimal("49.90"), "currency": "EUR"},
                "url": "https://shop.example/buy?plan=pro&from=app",
                "trial": "14 days",
                "modules": ["hr"],
                "features": {"crm.export": True, "crm.seats": 5, "hr.payslips": "100/month"},
                "rate_limits": {"api": "100/minute"},
            },
            "big": {"title": "बड़ा प्लान", "extends": "pro", "buy": "contact_us", "modules": ["books"]},
        },
        "add_ons": {
            "more-seats": {
                "title": "More seats",
                "price": {"monthly": 1, "currency": "EUR"},
                "url": "/seats",
                "increment": {"crm.seats": 5},
            }
        },
        "rate_limits": {"api": {"default": "1/minute"}},
        "lifecycle": {"past_due": ["full for 7 days", "none"], "paused": "read_only"},
    }
)


@dataclass(frozen=True, slots=True)
class Case:
    """
    A request that ends in an error, and what must become of it.

    Attributes:
        make: Makes the error, which nobody else raises.
        status: What the client must get.
        reason: The same.
        tenant: Who asks; each has what its name says.
        accept: The request's field; empty for none.
        language: The same.
        answered_in: The language that it must be answered in.
    """

    make: Callable[[], EntitlementError]
    status: int
    reason: str
    tenant: str = "free"
    accept: str = ""
    language: str = ""
    answered_in: str = "en"


def _refused(
    kind: type[NotEntitled | NotReleased | QuotaExceeded | SubscriptionExpired | TenantSuspended],
    reason: Reason,
    feature: str,
    tenant: str = "free",
    source: str = "",
) -> Callable[[], EntitlementError]:
    decision = Decision(False, reason, feature, source)
    return lambda: kind(decision, tenant=tenant, reference=REFERENCE)


def _limited(*verdicts: Verdict, is_denied: bool = False, key: str = "api") -> Callable[[], EntitlementError]:
    names = [key] if len(verdicts) < 2 else [f"{key}.{number}" for number in range(len(verdicts))]
    policies = tuple(Policy(name, Algorithm.GCRA, 2, 60 * _SECOND, 2) for name in names[: len(verdicts)])
    now = int(NOW.timestamp()) * _SECOND
    return lambda: RateLimited(
        RateLimitOutcome(Terms(key, policies, is_denied), Ruling(False, now, verdicts), 1), tenant="free"
    )


_MODULE = _refused(NotEntitled, Reason.PLAN_MODULE_ABSENT, "hr")
_FULL = Verdict(False, 0, 30 * _SECOND, 60 * _SECOND)
_SOON = Verdict(False, 0, 1, 60 * _SECOND)
_ROOM = Verdict(True, 1, 0, 30 * _SECOND)
_NEVER = Verdict(False, 2, NEVER, 0)
_EVIL = "<script>alert(1)</script>\r\nSet-Cookie: a=b"


def _cases() -> Iterator[tuple[str, Case]]:
    yield "module absent", Case(_MODULE, 402, "plan.module_absent")
    yield (
        "module absent, on a plan of a price",
        Case(_refused(NotEntitled, Reason.PLAN_MODULE_ABSENT, "books", "pro"), 402, "plan.module_absent", "pro"),
    )
    yield (
        "feature absent",
        Case(_refused(NotEntitled, Reason.PLAN_FEATURE_ABSENT, "crm.export"), 402, "plan.feature_absent"),
    )
    yield "an allowance of nothing", Case(_refused(NotEntitled, Reason.PLAN_ZERO, "hr.payslips"), 402, "plan.zero")
    yield (
        "what is needed is missing",
        Case(
            _refused(NotEntitled, Reason.DEPENDENCY_MISSING, "books", source="requires hr"), 402, "dependency.missing"
        ),
    )
    yield (
        "what is needed was taken away",
        Case(
            _refused(NotEntitled, Reason.DEPENDENCY_MISSING, "books", "denied", "requires hr"),
            403,
            "dependency.missing",
            "denied",
        ),
    )
    yield "no subscription", Case(_refused(NotEntitled, Reason.SUBSCRIPTION_NONE, "crm"), 402, "subscription.none")
    for name, reason, status in (
        ("scheduled", Reason.SUBSCRIPTION_SCHEDULED, 403),
        ("trial ended", Reason.SUBSCRIPTION_TRIAL_ENDED, 402),
        ("ended", Reason.SUBSCRIPTION_ENDED, 402),
        ("cancelled", Reason.SUBSCRIPTION_CANCELLED, 402),
    ):
        yield name, Case(_refused(SubscriptionExpired, reason, "hr"), status, reason.value)
    yield (
        "past due",
        Case(
            _refused(SubscriptionExpired, Reason.SUBSCRIPTION_PAST_DUE, "hr", "late"),
            402,
            "subscription.past_due",
            "late",
        ),
    )
    yield (
        "paused until a day",
        Case(
            _refused(SubscriptionExpired, Reason.SUBSCRIPTION_PAUSED, "hr", "paused"),
            403,
            "subscription.paused",
            "paused",
        ),
    )
    yield (
        "suspended",
        Case(
            _refused(TenantSuspended, Reason.SUBSCRIPTION_SUSPENDED, "crm", "suspended"),
            403,
            "subscription.suspended",
            "suspended",
        ),
    )
    yield "revoked", Case(_refused(TenantSuspended, Reason.SUBSCRIPTION_REVOKED, "crm"), 403, "subscription.revoked")
    yield (
        "taken away by hand",
        Case(_refused(NotEntitled, Reason.OVERRIDE_DENIED, "hr", "denied"), 403, "override.denied", "denied"),
    )
    yield "killed", Case(_refused(NotEntitled, Reason.ENFORCEMENT_KILLED, "crm"), 403, "enforcement.killed")
    yield (
        "refused by the old rule",
        Case(_refused(NotEntitled, Reason.ENFORCEMENT_LEGACY, "crm"), 403, "enforcement.legacy"),
    )
    yield "unknown", Case(_refused(NotEntitled, Reason.CATALOG_UNKNOWN, "crm.exprot"), 403, "catalog.unknown_feature")
    yield "retired", Case(_refused(NotEntitled, Reason.CATALOG_RETIRED, "crm.export"), 403, "catalog.retired")
    yield (
        "not rolled out",
        Case(
            _refused(NotReleased, Reason.FLAG_ROLLOUT_EXCLUDED, "crm", source="flag new"), 403, "flag.rollout_excluded"
        ),
    )
    yield "flag off", Case(_refused(NotReleased, Reason.FLAG_OFF, "crm", source="flag new"), 403, "flag.off")
    yield (
        "quota used up",
        Case(_refused(QuotaExceeded, Reason.QUOTA_EXHAUSTED, "hr.payslips", "pro"), 402, "quota.exhausted", "pro"),
    )
    yield (
        "grace over",
        Case(_refused(QuotaExceeded, Reason.QUOTA_GRACE_ENDED, "hr.payslips", "pro"), 402, "quota.grace_ended", "pro"),
    )
    yield (
        "no credits",
        Case(_refused(QuotaExceeded, Reason.CREDIT_EXHAUSTED, "hr.payslips", "pro"), 402, "credit.exhausted", "pro"),
    )
    yield "no slot", Case(_refused(QuotaExceeded, Reason.ALLOCATION_FULL, "crm.seats"), 402, "allocation.full")
    yield "no room", Case(_refused(QuotaExceeded, Reason.ALLOCATION_NO_ROOM, "crm.seats"), 402, "allocation.no_room")
    yield "too fast", Case(_limited(_FULL), 429, "rate.limited")
    yield "too fast by a microsecond", Case(_limited(_SOON), 429, "rate.limited")
    yield "too fast for one of two", Case(_limited(_ROOM, _FULL), 429, "rate.limited")
    yield "a module is left alone", Case(lambda: ModuleUnavailable("crm"), 503, "module.unavailable")
    yield "too much at once", Case(_limited(_NEVER), 429, "rate.limited")
    yield "no call at all", Case(_limited(is_denied=True), 403, "override.denied")
    yield "nobody", Case(lambda: TenantUnidentified("no token of key sk_live_1"), 401, "tenant.unidentified")
    yield "two tenants", Case(lambda: TenantConflict({"token": "acme", "host": "umbrella"}), 403, "tenant.conflict")
    yield "no such route", Case(lambda: RouteUnknown("//admin"), 404, "route.unknown")
    yield "unnamed", Case(lambda: OperationUnnamed("no Idempotency-Key"), 400, "operation.unnamed")
    yield "same operation", Case(lambda: OperationConflict("order-7"), 409, "operation.conflict")
    yield "hold expired", Case(lambda: ReservationExpired("x", operation="order-7"), 409, "reservation.expired")
    yield "overtaken", Case(lambda: ChangeConflict("revision 7", expected=7, found=8), 409, "change.conflict")
    yield "slot taken", Case(lambda: SlotTaken("seat of umbrella"), 409, "slot.taken")
    yield "outage", Case(lambda: StoreUnavailable("postgresql://u:secret@db.internal/app"), 503, "store.unavailable")
    yield (
        "no answer to a write",
        Case(lambda: OutcomeUnknown("lost", operation="order-7"), 503, "store.outcome_unknown"),
    )
    yield "restoring", Case(lambda: StoreIncomplete("/var/lib/backup.jsonl"), 503, "store.unavailable")
    yield "damaged", Case(lambda: StoreDamaged("row 7 of table tenants"), 503, "store.unavailable")
    for name, make, status, reason in (
        ("module absent", _MODULE, 402, "plan.module_absent"),
        ("too fast", _limited(_FULL), 429, "rate.limited"),
        ("nobody", lambda: TenantUnidentified("x"), 401, "tenant.unidentified"),
        ("outage", lambda: StoreUnavailable("x"), 503, "store.unavailable"),
        ("slot taken", lambda: SlotTaken("x"), 409, "slot.taken"),
    ):
        yield f"{name}, in a browser", Case(make, status, reason, accept=BROWSER)
    paused = _refused(SubscriptionExpired, Reason.SUBSCRIPTION_PAUSED, "hr", "paused")
    yield (
        "paused, in a browser in Hindi",
        Case(paused, 403, "subscription.paused", "paused", BROWSER, "hi-IN,hi;q=0.9,en;q=0.8", "hi"),
    )
    yield (
        "module absent, in German",
        Case(_MODULE, 402, "plan.module_absent", language="fr;q=0.9, de-AT, *;q=0.1", answered_in="de"),
    )
    yield "in a language that is not there", Case(_MODULE, 402, "plan.module_absent", language="fr-CA, ja")
    yield "in no language that is one", Case(_MODULE, 402, "plan.module_absent", language="de_DE;q=x, <script>")
    yield "a module failed", Case(lambda: ModuleFailed("crm", reference=REFERENCE), 500, "module.failed")
    yield "as a page or a document", Case(_MODULE, 402, "plan.module_absent", accept="text/html, application/json")
    yield (
        "no such version",
        Case(lambda: UnknownApiVersion("unknown", ("2024-01", "2025-06")), 400, "version.unknown"),
    )
    yield (
        "a key of the client's own",
        Case(_refused(NotEntitled, Reason.CATALOG_UNKNOWN, _EVIL), 403, "catalog.unknown_feature"),
    )
    yield (
        "a key of the client's own, in a browser",
        Case(_refused(NotEntitled, Reason.CATALOG_UNKNOWN, _EVIL), 403, "catalog.unknown_feature", accept=BROWSER),
    )
    yield "half a letter", Case(_refused(NotEntitled, Reason.CATALOG_UNKNOWN, "\ud800"), 403, "catalog.unknown_feature")


CASES: Final = dict(_cases())


@contextmanager
def furnished() -> Iterator[Entitlements]:
    """A client with the tenants of the cases. Nothing in it changes by itself."""
    with sandbox(Entitlements.open("memory://", catalog=CATALOG), clock=FakeClock(NOW)) as inside:
        for tenant in ("pro", "late", "paused", "suspended", "denied"):
            inside.subscribe(tenant, "pro")
        admin = inside.admin()
        admin.past_due("late", datetime(2026, 9, 10, tzinfo=UTC))
        admin.pause("paused", until=datetime(2026, 10, 1, 8, 30, tzinfo=UTC))
        admin.suspend("suspended")
        inside.override("denied", "hr", DENY)
        yield inside.client
