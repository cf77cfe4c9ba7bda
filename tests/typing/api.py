"""
Every public name as a user writes it. Read by mypy only, never run.

What must not type-check carries ``# type: ignore[code]``: mypy reports one that is not needed any more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Annotated, Any, Literal, assert_never, assert_type
from uuid import UUID, uuid4

import pytest
from django.contrib.admin import AdminSite
from django.http import HttpResponse
from django.views.generic import View
from fastapi import APIRouter, Depends, FastAPI
from fastapi.staticfiles import StaticFiles
from flask import Flask
from openfeature.contrib.tools.flagd.api import Evaluator
from openfeature.provider import FeatureProvider
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from rest_framework.permissions import IsAuthenticated
from rest_framework.viewsets import ViewSet
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route as StarletteRoute

from payaid_entitlements import (
    DENY,
    ENFORCE,
    OBSERVE,
    OFF,
    UNLIMITED,
    AddAddOn,
    Admin,
    Allowance,
    Assignment,
    AsyncAdmin,
    AsyncEntitlements,
    AsyncReservation,
    Catalog,
    Change,
    ChangePlan,
    Comparison,
    Contact,
    Decision,
    Enforcement,
    Entitlements,
    Event,
    Explanation,
    Exposure,
    ExposureSink,
    FlagDetails,
    Health,
    Lease,
    Operation,
    PolicyStanding,
    RateLimitOutcome,
    Reason,
    ReleaseSlots,
    Remedy,
    Reservation,
    State,
    Subscription,
    TenantView,
    Usage,
    WaitUntil,
    assign_slot,
    compare,
    consume_quota,
    current_tenant,
    current_tenant_async,
    rate_limit,
    require_feature,
    require_flag,
    require_module,
)
from payaid_entitlements.admin import RolloutStep
from payaid_entitlements.core.flags.flagd import FlagDocument, dump, load, validate
from payaid_entitlements.core.flags.forecasting import Forecast
from payaid_entitlements.core.flags.routing import Route, needed, promoted, switched_back, version
from payaid_entitlements.core.values import Unlimited
from payaid_entitlements.errors import (
    BackupInvalid,
    CatalogInvalid,
    ChangeConflict,
    ConfigurationError,
    EntitlementError,
    FlagsInvalid,
    ModuleFailed,
    ModuleUnavailable,
    NoCurrentTenant,
    NotEntitled,
    NotReleased,
    OperationConflict,
    OperationUnnamed,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
    Refused,
    ReservationExpired,
    RouteUnknown,
    SchemaOutOfDate,
    SlotTaken,
    StoreDamaged,
    StoreIncomplete,
    StoreNotEmpty,
    StoreUnavailable,
    SubscriptionExpired,
    TenantConflict,
    TenantSuspended,
    TenantUnidentified,
    UnknownApiVersion,
    UnknownFeature,
    UnknownFlag,
    UnknownOperation,
    UnknownPlan,
    UnknownRateLimit,
    UnknownTenant,
    ViewExpired,
)
from payaid_entitlements.logs import Redact, add_tenant, redact
from payaid_entitlements.openfeature import (
    NO_LIMIT,
    EntitlementProvider,
    FlagdEvaluator,
    FlagProvider,
    Tracked,
    TrackingSink,
)
from payaid_entitlements.rollouts.samples import Sample
from payaid_entitlements.stores.activity import Activity, AsyncActivity, Seen, Sighting
from payaid_entitlements.stores.backup import Content, export_to, import_from, verify
from payaid_entitlements.stores.ledger import AsyncLedger, Ledger
from payaid_entitlements.stores.limiter import AsyncLimiter, Limiter
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.stores.memory_limiter import AsyncMemoryLimiter, MemoryLimiter
from payaid_entitlements.stores.ports import AsyncStore, Store
from payaid_entitlements.testing import (
    ActivityContract,
    AsyncActivityContract,
    AsyncLedgerContract,
    AsyncLimiterContract,
    AsyncStoreContract,
    FakeClock,
    FaultyStore,
    JoiningContract,
    LedgerContract,
    LedgerJoiningContract,
    LimiterContract,
    Sandbox,
    StoreContract,
    sandbox,
)
from payaid_entitlements.web import (
    Answers,
    Failure,
    ModuleBoundary,
    Page,
    Pages,
    Refusal,
    Words,
    client_address,
    exempt,
    module_boundary,
    ofrep,
    on_failure,
    rate_fields,
    refusal,
)
from payaid_entitlements.web.asgi import EntitlementsMiddleware as AsgiMiddleware
from payaid_entitlements.web.django import EntitlementsMiddleware as DjangoMiddleware
from payaid_entitlements.web.django import FeatureRequiredMixin, entitlements
from payaid_entitlements.web.django.models import Tenant as DjangoTenant
from payaid_entitlements.web.django.rest import EntitlementThrottle, HasEntitlement
from payaid_entitlements.web.django.tenants.pages import TenantPages
from payaid_entitlements.web.fastapi import Gate
from payaid_entitlements.web.flask import Gate as FlaskGate
from payaid_entitlements.web.isolating import IsolatedASGI, IsolatedWSGI
from payaid_entitlements.web.needs import Needs
from payaid_entitlements.web.request import EnvironRequest, ScopeRequest
from payaid_entitlements.web.routing import Routes, needs
from payaid_entitlements.web.sentry import PayaidIntegration
from payaid_entitlements.web.starlette import Gate as StarletteGate
from payaid_entitlements.web.tenancy import (
    Source,
    Tenancy,
    api_key,
    by,
    claim,
    environ,
    finder_of,
    header,
    mtls,
    path,
    session,
    shared_secret,
    state,
    subdomain,
    trusted_networks,
    user,
)
from payaid_entitlements.web.versions import (
    ApiVersions,
    Chosen,
    Place,
    Range,
    Version,
    current_version,
    media_type,
    query,
)
from payaid_entitlements.web.versions import header as version_header
from payaid_entitlements.web.versions import path as version_path
from payaid_entitlements.web.versions.asgi import VersionsMiddleware as AsgiVersions
from payaid_entitlements.web.versions.wsgi import VersionsMiddleware as WsgiVersions
from payaid_entitlements.web.wsgi import EntitlementsMiddleware as WsgiMiddleware

CATALOG = Path("catalog.yaml")


# -- opening ----------------------------------------------------------------------------------------------------------


def opening() -> None:
    assert_type(Entitlements.open(), Entitlements)
    assert_type(AsyncEntitlements.open("postgresql://app"), AsyncEntitlements)
    Entitlements.open(Redis.from_url("redis://one"))
    AsyncEntitlements.open(AsyncRedis.from_url("redis://one"))
    Entitlements.open("sqlite:///a.db", shared="redis://one")
    Entitlements.open("sqlite:///a.db", leases={"whatsapp.messages": Lease(100), "crm.calls": 10})
    Entitlements.open("sqlite:///a.db", limiter="redis://one", processes=8)
    AsyncEntitlements.open("sqlite:///a.db", limiter=AsyncRedis.from_url("redis://one"))
    Entitlements(MemoryStore(), limiter=MemoryLimiter(), processes=2)
    Entitlements(MemoryStore(), activity=MemoryStore().activity)
    seen = MemoryStore().activity.of("acme", date(2026, 1, 1), date(2026, 2, 1))
    assert_type(seen, Sequence[Sighting])
    Entitlements.open("sqlite:///a.db", snapshot="known.db")
    AsyncEntitlements.open("sqlite:///a.db", snapshot=Path("known.db"))
    AsyncEntitlements.open("sqlite:///a.db", shared=AsyncRedis.from_url("redis://one"))
    Entitlements.open("sqlite:///payaid.db", catalog=CATALOG, enforcement="observe", strict=True)
    Entitlements.open("memory://", catalog=Catalog.load({"catalog": 1}), enforcement=OBSERVE, clock=FakeClock())
    Entitlements.open("memory://", subscriptions=lambda tenant: Subscription(plan="pro", add_ons={"seats": 2}))
    Entitlements(MemoryStore(), enforcement=OFF, cache_size=1000)
    AsyncEntitlements(AsyncMemoryStore(), enforcement=ENFORCE)

    modes: list[Enforcement] = [OFF, OBSERVE, ENFORCE]
    assert modes

    Entitlements.open(7)  # type: ignore[arg-type]
    Entitlements.open(AsyncRedis())  # type: ignore[arg-type]
    Entitlements.open("memory://", shared=AsyncRedis())  # type: ignore[arg-type]
    Entitlements.open("memory://", enforcement=False)  # type: ignore[arg-type]
    Entitlements.open("memory://", CATALOG)  # type: ignore[call-arg, arg-type]
    Entitlements.open("memory://", subscriptions=lambda tenant: "pro")  # type: ignore[arg-type, return-value]
    Entitlements(AsyncMemoryStore())  # type: ignore[arg-type]
    Subscription("pro", datetime.now(UTC))  # type: ignore[call-arg, arg-type]


# -- counting ---------------------------------------------------------------------------------------------------------


def counting(ent: Entitlements, db: Session) -> None:
    said = ent.consume("acme", "crm.calls", Decimal("0.5"), operation=("invoice", 7), tx=db, when_short="cap")
    assert_type(said, Usage)
    assert_type(said.used, int | Decimal)
    assert_type(said.remaining, int | Decimal | Literal[Unlimited.UNLIMITED])
    assert_type(said.resets_at, datetime | None)
    assert_type(said.replayed, bool)
    assert_type(ent.try_consume("acme", "crm.calls", operation=UUID(int=1), occurred_at=datetime.now(UTC)), Decision)
    assert_type(ent.try_consume("acme", "crm.calls", operation="a", user="asha", legacy=True).usage, Usage | None)
    assert_type(ent.consume_many("acme", {"crm.calls": 1, "crm.mails": 2}, operation="a"), dict[str, Usage])
    assert_type(ent.usage("acme"), dict[str, Usage])
    assert_type(ent.usage("acme", "crm.calls", "crm.mails", user="asha"), dict[str, Usage])
    assert_type(ent.refund("acme", operation="a", amounts={"crm.calls": 1}), dict[str, Usage])
    assert_type(ent.check("acme", "crm.calls", amount=5), Decision)
    assert_type(ent.require("acme", "crm.calls", amount=5), Decision)

    ent.consume("acme", "crm.calls")  # type: ignore[call-arg]
    ent.consume("acme", "crm.calls", operation=None)  # type: ignore[arg-type]
    ent.consume("acme", "crm.calls", operation=("invoice", None))  # type: ignore[arg-type]
    ent.consume("acme", "crm.calls", 0.5, operation="a")  # type: ignore[arg-type]
    ent.consume("acme", "crm.calls", operation="a", when_short="maybe")  # type: ignore[arg-type]
    ent.consume_many("acme", ["crm.calls"], operation="a")  # type: ignore[arg-type]
    ent.usage("acme", ["crm.calls"])  # type: ignore[arg-type]
    if ent.try_consume("acme", "crm.calls", operation="a"):  # type: ignore[truthy-bool]
        pass


def hearing(ent: Entitlements, aent: AsyncEntitlements) -> None:
    @ent.on("usage.threshold")
    def hears(event: Event) -> None:
        assert_type(event.threshold, int | None)
        assert_type(event.used, int | Decimal)
        assert_type(event.at, datetime)

    hears(Event("usage.threshold", "1", "acme", "crm.calls", 80, 8, 8, "a", datetime.now(UTC)))

    @aent.on("usage.threshold")
    async def awaited(event: Event) -> None:
        await aent.usage(event.tenant, event.feature)

    @ent.on("usage.threshold")  # type: ignore[type-var]
    def wrong(event: str) -> None: ...


async def counting_awaited(aent: AsyncEntitlements) -> None:
    assert_type(await aent.consume("acme", "crm.calls", operation="a"), Usage)
    assert_type(await aent.try_consume("acme", "crm.calls", operation="a"), Decision)
    assert_type(await aent.consume_many("acme", {"crm.calls": 1}, operation="a"), dict[str, Usage])
    assert_type(await aent.usage("acme"), dict[str, Usage])
    assert_type(await aent.refund("acme", operation="a"), dict[str, Usage])
    assert_type(await aent.check("acme", "crm.calls", amount=5), Decision)
    assert aent.consume("acme", "crm.calls", operation="a").used  # type: ignore[attr-defined]
    if aent.try_consume("acme", "crm.calls", operation="a"):  # type: ignore[truthy-bool]
        pass


# -- asking -----------------------------------------------------------------------------------------------------------


def asking(ent: Entitlements) -> None:
    decision = ent.check("acme", "crm.export", access="read", user="asha", legacy=True, after=7)
    assert_type(decision, Decision)
    assert_type(decision.allowed, bool)
    assert_type(decision.reason, Reason)
    assert_type(decision.advisories, tuple[Reason, ...])
    assert_type(decision.reason.family, str)
    assert_type(ent.require("acme", "crm"), Decision)
    assert_type(ent.check_many("acme", ["crm", "hr"]), dict[str, Decision])
    assert_type(ent.peek("acme", "crm"), Decision | None)
    assert_type(ent.value("acme", "accounting.ledgers", int), int)
    assert_type(ent.value("acme", "invoicing.reminder_every", timedelta), timedelta)
    assert_type(ent.explain("acme", "crm", at=datetime.now(UTC)), Explanation)
    assert_type(ent.remedies("acme", "crm"), tuple[Remedy, ...])
    assert_type(ent.health(), Health)
    ent.saw("acme", "crm")
    ent.saw("acme", "2026-01", kind=Seen.API_VERSION)
    with ent.bind("acme", user="asha") as view:
        assert_type(view, TenantView)

    if ent.check("acme", "crm"):  # type: ignore[truthy-bool]
        pass
    if not decision:  # type: ignore[truthy-bool]
        pass
    while decision and True:  # type: ignore[truthy-bool]
        pass
    assert decision.remaining  # type: ignore[attr-defined]
    decision.allowed = True  # type: ignore[misc]
    assert ent.check("acme", "crm").or_raise().allowd  # type: ignore[attr-defined]
    ent.check(None, "crm")  # type: ignore[arg-type]
    ent.check(4711, "crm")  # type: ignore[arg-type]
    ent.check("acme")  # type: ignore[call-arg]
    ent.check("acme", "crm", "read")  # type: ignore[arg-type]
    ent.check("acme", "crm", access="rw")  # type: ignore[arg-type]
    ent.check("acme", "crm", legacy="yes")  # type: ignore[arg-type]
    ent.explain("acme", "crm", at="yesterday")  # type: ignore[arg-type]
    ledgers: str = ent.value("acme", "accounting.ledgers", int)  # type: ignore[assignment]
    assert ledgers


async def asking_awaited(ent: AsyncEntitlements) -> None:
    decision = await ent.check("acme", "crm.export")
    assert_type(decision, Decision)
    assert_type(await ent.require("acme", "crm"), Decision)
    assert_type(await ent.check_many("acme", ["crm"]), dict[str, Decision])
    assert_type(ent.peek("acme", "crm"), Decision | None)
    assert_type(await ent.value("acme", "analytics.dashboards", str), str)
    assert_type(await ent.explain("acme", "crm"), Explanation)
    assert_type(await ent.remedies("acme", "crm"), tuple[Remedy, ...])
    assert_type(await ent.tenant("acme", fresh=True), TenantView)
    assert_type(await ent.health(), Health)
    async with ent.bind("acme") as view:
        assert_type(view, TenantView)

    assert ent.check("acme", "crm").allowed  # type: ignore[attr-defined]
    if ent.check("acme", "crm"):  # type: ignore[truthy-bool]
        pass
    if ent.require("acme", "crm"):  # type: ignore[truthy-bool]
        pass
    if await ent.check("acme", "crm"):  # type: ignore[truthy-bool]
        pass
    ent.tenant("acme").check("crm")  # type: ignore[attr-defined]
    with ent.bind("acme"):  # type: ignore[attr-defined]
        pass


def looking(view: TenantView) -> None:
    assert_type(view.check("crm", access="read"), Decision)
    assert_type(view.value("accounting.ledgers", int), int)
    assert_type(view.remedies(view.require("crm")), tuple[Remedy, ...])
    assert_type(view.explain("crm").to_text(), str)
    assert_type(view.modules, frozenset[str])
    assert_type(view.rate_limits["api"].policies[0].quota, int)
    assert_type(view.state, State | None)
    assert_type(view.for_user("asha"), TenantView)
    assert_type(view.to_public(), dict[str, object])
    assert_type(view.valid_until, datetime | None)

    if view.check("crm"):  # type: ignore[truthy-bool]
        pass
    view.revision = 7  # type: ignore[misc]


def values(decision: Decision, remedy: Remedy) -> str:
    match decision.value:
        case Allowance(limit=limit) if limit is UNLIMITED:
            return "as many as you like"
        case Allowance(limit=limit, per=per):
            return f"{limit} each {per}"
    match remedy:
        case ChangePlan(plan=plan, prices=prices):
            return f"{plan} {[price.amount for price in prices]}"
        case AddAddOn(add_on=add_on, quantity=quantity):
            return f"{quantity} {add_on}"
        case ReleaseSlots(feature=slots, amount=to_free):
            return f"{to_free} of {slots}"
        case WaitUntil(at=at):
            return at.isoformat()
        case Contact(title=title):
            return title
        case _:
            assert_never(remedy)


def measuring(ent: Entitlements, view: TenantView) -> None:
    with ent.measured(view, "look") as sample:
        sample.fail()
        sample.note(empty_cart=True, rows=7)
    assert_type(sample, Sample)
    ent.measure(view, "look", failed=True, latency=timedelta(seconds=1), rows=2.5)
    ent.measure(view, "look", rows="many")  # type: ignore[arg-type]


async def measuring_awaited(ent: AsyncEntitlements, view: TenantView) -> None:
    async with ent.measured(view, "look") as sample:
        assert_type(sample, Sample)
    await ent.measure(view, "look", failed=True)


def routed(at: int) -> str:
    route = promoted(Route("crm", "1.4", canaries=(("1.5", 5_000),)), "1.5", at)
    assert_type(needed(route, at), frozenset[str])
    return version(switched_back(route, at), "acme")


# -- changing ---------------------------------------------------------------------------------------------------------


def changing(ent: Entitlements) -> None:
    admin = ent.admin("webhook:payments", because="paid", dry_run=True)
    assert_type(admin, Admin)
    operations: list[Operation] = ["evt_1", uuid4(), ("invoice", 7)]
    change = admin.change_plan("acme", "pro", operation=operations[0], as_of=datetime.now(UTC))
    assert_type(change, Change)
    assert_type(change.gains, tuple[str, ...])
    admin.subscribe("acme", "pro", trial=True, add_ons={"seats": 1}, operation=("order", 7))
    admin.override("acme", "hr", DENY)
    admin.override("acme", "seats", UNLIMITED, until=datetime.now(UTC))
    admin.override("acme", "crm.contacts", Allowance(5), expect=3)
    assert_type(admin.undo("01JD"), Change)
    assert_type(admin.define_flag("look", {"rollout": "5%"}, operation="a"), Change)
    assert_type(admin.rollout("look", "25%", rule="rollout", expect=3), Change)
    assert_type(admin.rollout("look", Decimal("0.5")), Change)
    assert_type(admin.set_enforcement("crm", "enforce", percent=5, because="week 1"), Change)
    admin.set_enforcement("crm", "enforce", percent=0.5)  # type: ignore[arg-type]
    assert_type(admin.set_flag("look", None), Change)
    assert_type(admin.remove_flag("look"), Change)
    assert_type(admin.define_segment("near", {"country": "IN"}), Change)
    assert_type(admin.remove_segment("near"), Change)
    assert_type(admin.import_flags(Path("flags.yaml"), replace=True), Change)
    assert_type(admin.import_flags("flagd.json", fractional="v2"), Change)
    forecast = admin.forecast("look", 50, progress=print)
    assert_type(forecast, Forecast)
    assert_type(forecast.enter, int)
    admin.rollout("look", 0.5)  # type: ignore[arg-type]
    assert_type(admin.step_rollouts(["look"]), list[RolloutStep])
    assert_type(admin.approve_rollout("look", operation="b"), Change)
    admin.pause_rollout("look", because="INC-1")
    admin.resume_rollout("look")
    admin.roll_back("look", "INC-1")
    admin.restart_rollout("look")
    admin.roll_back("look")  # type: ignore[call-arg]

    ent.admin()  # type: ignore[call-arg]
    admin.subscribe("acme", "pro", operation=("invoice", None))  # type: ignore[arg-type]
    admin.override("acme", "hr", None)  # type: ignore[arg-type]
    admin.change_plan("acme", "pro", usage="carry_balance")
    granted = admin.grant("acme", "ai_credits", Decimal("2.5"), expires="1 month", operation=("order", 7))
    assert_type(granted, Change)
    admin.void("acme", granted.id or "", operation="void-1")
    assert_type(admin.adjust("acme", "crm.calls", -3, operation=("ticket", 7), because="counted twice"), Change)
    admin.adjust("acme", "crm.calls", -3)  # type: ignore[call-arg]
    admin.grant("acme", "ai_credits", 5)  # type: ignore[call-arg]
    admin.change_plan("acme", "pro", usage="keep")  # type: ignore[arg-type]
    admin.change_plan("acme", "pro", when="later")  # type: ignore[arg-type]
    admin.pause("acme", until="friday")  # type: ignore[arg-type]


async def changing_awaited(ent: AsyncEntitlements) -> None:
    admin = ent.admin("asha", because="INC-4711")
    assert_type(admin, AsyncAdmin)
    assert_type(await admin.step_rollouts(), list[RolloutStep])
    assert_type(await admin.subscribe("acme", "pro"), Change)
    async for entry in admin.audit("acme"):
        assert_type(entry.actor, str)

    assert admin.subscribe("acme", "pro").revision  # type: ignore[attr-defined]


def comparing(old: Catalog, new: Catalog) -> None:
    comparison = compare(old, new, {"acme": Subscription("pro")})
    assert_type(comparison, Comparison)
    assert_type([effect.losses for effect in comparison.losers], list[tuple[str, ...]])

    compare(old, new)  # type: ignore[call-arg]


# -- holding and counting ----------------------------------------------------------------------------------------------


def holding(ent: Entitlements, db: object) -> None:
    with ent.reserve("acme", "crm.ai_summaries", 8, operation=("summary", 7), expires_in=timedelta(hours=1)) as hold:
        assert_type(hold, Reservation)
        assert_type(hold.settle(3, tx=db), Usage)
    found = ent.reservation("acme", ("summary", 7))
    found.extend(timedelta(minutes=5))
    found.release()
    assert_type(found.hand_over(), str)
    assert_type(found.expires_at, datetime)

    ent.reserve("acme", "crm.ai_summaries", 8)  # type: ignore[call-arg]
    ent.reserve("acme", "crm.ai_summaries", 8, operation="op", tx=db)  # type: ignore[call-arg]
    ent.reserve("acme", "crm.ai_summaries", 0.5, operation="op")  # type: ignore[arg-type]
    ent.reserve("acme", "crm.ai_summaries", 8, operation="op", expires_in=5)  # type: ignore[arg-type]
    hold.settle("3")  # type: ignore[arg-type]
    hold.extend(60)  # type: ignore[arg-type]
    hold.amount = 9  # type: ignore[misc]


async def holding_awaited(ent: AsyncEntitlements, db: object) -> None:
    async with ent.reserve("acme", "crm.ai_summaries", 8, operation=("summary", 7)) as hold:
        assert_type(hold, AsyncReservation)
        assert_type(await hold.settle(3), Usage)
    assert_type(await ent.reserve("acme", "crm.ai_summaries", 8, operation="op"), AsyncReservation)
    found = await ent.reservation("acme", "op")
    await found.extend(timedelta(minutes=5))
    await found.release()

    ent.reserve("acme", "crm.ai_summaries", 8, operation="op").settle(3)  # type: ignore[attr-defined]
    assert found.settle(3).used  # type: ignore[attr-defined]
    with ent.reserve("acme", "crm.ai_summaries", 8, operation="op"):  # type: ignore[attr-defined]
        pass


def seats(ent: Entitlements, db: object) -> None:
    seat = ent.assign("acme", "seats", "member:7", expires_in=timedelta(days=7), tx=db)
    assert_type(seat, Assignment)
    assert_type(seat.since, datetime)
    assert_type(seat.expires_at, datetime | None)
    assert_type(ent.try_assign("acme", "seats", "member:7"), Decision)
    assert_type(ent.reassign("acme", "seats", "invite:9", "member:7", tx=db), Assignment)
    ent.unassign("acme", "seats", "member:7", tx=db)
    assert_type([each.holder for each in ent.assignments("acme", "seats")], list[str])
    assert_type(ent.require_room("acme", "crm.contacts", 2, tx=db), Usage)
    assert_type(ent.admin("asha").reconcile("acme", "seats", ["member:7"]).freed, tuple[str, ...])

    @ent.counts("crm.contacts")
    def contacts(tenant: str, tx: object) -> int:
        return len(tenant)

    assert_type(contacts("acme", db), int)
    assert_type(ent.counts["usage.refused", "seats", "allocation.full"], int)

    ent.assign("acme", "seats")  # type: ignore[call-arg]
    ent.assign("acme", "seats", 7)  # type: ignore[arg-type]
    ent.unassign("acme", "seats")  # type: ignore[call-arg]
    ent.require_room("acme", "crm.contacts", 2)  # type: ignore[call-arg]
    ent.counts("crm.contacts")(len)  # type: ignore[type-var]
    seat.holder = "member:8"  # type: ignore[misc]
    if ent.try_assign("acme", "seats", "member:7"):  # type: ignore[truthy-bool]
        pass


async def seats_awaited(ent: AsyncEntitlements, db: object) -> None:
    assert_type(await ent.assign("acme", "seats", "member:7", tx=db), Assignment)
    assert_type(await ent.try_assign("acme", "seats", "member:7"), Decision)
    assert_type(await ent.reassign("acme", "seats", "invite:9", "member:7"), Assignment)
    assert_type(await ent.assignments("acme", "seats"), list[Assignment])
    assert_type(await ent.require_room("acme", "crm.contacts", tx=db), Usage)

    @ent.counts("crm.contacts")
    async def contacts(tenant: str, tx: object) -> int:
        return len(tenant)

    assert_type(await contacts("acme", db), int)

    assert ent.assign("acme", "seats", "member:7").since  # type: ignore[attr-defined]


# -- guards keep signatures -------------------------------------------------------------------------------------------


@require_feature("crm.export")
def export(rows: int, *, title: str = "") -> str:
    return title * rows


@require_module("crm", access="read", legacy=lambda: True)
async def contacts(page: int) -> list[str]:
    return [str(page)]


def old_search(query: str) -> list[str]:
    return [query]


@require_flag("new-search", otherwise=old_search)
def search(query: str) -> list[str]:
    return [query]


@require_flag("new-search")
async def search_later(query: str) -> list[str]:
    return [query]


def flags(view: TenantView) -> None:
    assert_type(search("a"), list[str])
    assert_type(view.flag("new-search", user="mia", attributes={"country": "IN"}), bool)
    assert_type(view.explain_flag("new-search", user="mia").to_text(), str)
    details = view.flag_details("colour", "red")
    assert_type(details, FlagDetails)
    assert_type(details.variant, str | None)
    assert_type(view.for_user("mia", {"country": "IN"}), TenantView)
    assert_type(view.attributes, Mapping[str, object] | None)
    view.flag("new-search", "yes")  # type: ignore[arg-type]
    view.flag("new-search", user=7)  # type: ignore[arg-type]
    require_flag("new-search", otherwise="old")  # type: ignore[arg-type]
    require_flag("new-search", attributes={"country": "IN"})
    require_flag("new-search", attributes=lambda query: {"words": len(query)})
    require_flag("new-search", attributes="IN")  # type: ignore[arg-type]


def flag_errors(view: TenantView) -> None:
    try:
        view.require("crm.export")
    except NotReleased as kept_back:
        assert_type(kept_back.decision.source, str)
    except UnknownFlag:
        pass


@require_module("crm", tenant="org")
def job(org: str) -> Iterator[int]:
    yield len(org)


@require_feature("crm.export")
@require_module("crm")
async def rows(count: int) -> AsyncIterator[int]:
    yield count


@consume_quota("crm.ai_summaries", "pages", operation="summary:{job_id}")
@assign_slot("seats", holder="robot", tenant="org")
def summarize(org: str, job_id: int, pages: int = 1) -> str:
    return org * pages


class Reports:
    @require_feature("crm.export")
    def monthly(self, month: int) -> str:
        return str(month)

    @classmethod
    @require_module("crm")
    def latest(cls) -> Reports:
        return cls()

    @property
    @require_module("crm")
    def title(self) -> str:
        return "reports"


async def guarded() -> None:
    assert_type(export(7, title="x"), str)
    assert_type(await contacts(1), list[str])
    assert_type(job("acme"), Iterator[int])
    assert_type(rows(3), AsyncIterator[int])
    assert_type(Reports().monthly(9), str)
    assert_type(Reports.latest(), Reports)
    assert_type(Reports().title, str)
    assert_type(current_tenant(), TenantView)
    assert_type(await current_tenant_async(), TenantView)

    assert_type(summarize("acme", 7), str)

    summarize("acme")  # type: ignore[call-arg]
    consume_quota("crm.ai_summaries")  # type: ignore[call-arg]
    consume_quota("crm.ai_summaries", 0.5, operation="{a}")  # type: ignore[arg-type]
    assign_slot("seats", "member")  # type: ignore[call-arg]
    export("7")  # type: ignore[arg-type]
    export(7, "x")  # type: ignore[call-arg]
    contacts(1).sort()  # type: ignore[attr-defined]
    Reports().monthly()  # type: ignore[call-arg]
    require_module("crm", legacy=True)  # type: ignore[arg-type]
    require_module("crm", access="none")  # type: ignore[arg-type]
    require_module(7)  # type: ignore[arg-type]
    require_module("crm")(7)  # type: ignore[arg-type]


# -- web --------------------------------------------------------------------------------------------------------------


async def login() -> str | None:
    return "acme"


async def old_answer() -> bool:
    return True


ent = AsyncEntitlements.open("memory://")
gate = Gate(ent, tenant=login, user=login, challenge="Basic", proxies=1, legacy_fields=True)
router = APIRouter(dependencies=[gate.require_module("crm", access="read", legacy=old_answer)])


@router.get("/export", dependencies=[gate.rate_limit("api", cost=2), gate.require_feature("crm.export")])
@require_feature("crm.export")
async def route(tenant: Annotated[TenantView, gate.tenant]) -> str:
    return assert_type(tenant, TenantView).tenant


@router.get("/health")
@exempt
async def health(up: Annotated[bool, Depends(old_answer)]) -> bool:
    return up


def web(app: FastAPI) -> None:
    gate.init_app(app, unguarded="refuse")
    app.mount("/static", exempt(StaticFiles(directory="static")))
    Gate(Entitlements.open("memory://"), tenant=lambda: "acme")

    Gate(ent)  # type: ignore[call-arg]
    Gate(ent, tenant="acme")  # type: ignore[arg-type]
    Gate("memory://", tenant=login)  # type: ignore[arg-type]
    gate.require_module(module="crm")  # type: ignore[call-arg]
    gate.require_module("crm", access="rw")  # type: ignore[arg-type]
    gate.require_feature("crm", legacy=True)  # type: ignore[arg-type]
    gate.rate_limit("sign_in", before_login=True)
    gate.consume_quota("crm.pages", 4, operation=None)
    gate.consume_quota("crm.pages", login, operation=login, failing=lambda status: status >= 500)
    gate.consume_quota("crm.pages", 4)  # type: ignore[call-arg]
    gate.consume_quota("crm.pages", operation="import")  # type: ignore[arg-type]
    gate.rate_limit(limit="api")  # type: ignore[call-arg]
    gate.rate_limit("api", cost="2")  # type: ignore[arg-type]
    outcome = Entitlements.open("memory://").rate_limit_status("acme", "api")
    assert_type(rate_fields([outcome], legacy=True), dict[str, str])
    assert_type(client_address("192.0.2.1", ["203.0.113.5"], proxies=1), str)
    gate.init_app(app, unguarded="deny")  # type: ignore[arg-type]
    exempt(7)  # type: ignore[type-var]


routes = Routes(
    {
        "/crm/*": "crm",
        "/both": ("crm", "crm.export"),
        "POST /crm/{deal}/send": needs("crm", access="write", limits=["calls"], flags=["mail"]),
        "/health": exempt,
    },
    unmapped="refuse",
)
starlette_gate = StarletteGate(
    AsyncEntitlements.open("memory://"), tenant=lambda connection: connection.user.username, proxies=1
)


async def page(request: Request) -> PlainTextResponse:
    return PlainTextResponse("page")


starlette_app = Starlette(
    routes=[
        StarletteRoute("/a", page, middleware=[starlette_gate.require_module("crm", access="read")]),
        StarletteRoute("/b", page, middleware=[starlette_gate.require_feature("crm.export")]),
        StarletteRoute("/c", page, middleware=[starlette_gate.require_flag("beta", attributes={})]),
        StarletteRoute("/d", page, middleware=[starlette_gate.rate_limit("calls", cost=2)]),
        StarletteRoute("/e", page, middleware=[starlette_gate.consume_quota("crm.pages", 2)]),
    ]
)
starlette_gate.init_app(starlette_app, unguarded="refuse")
asgi_app = AsgiMiddleware(
    starlette_app, AsyncEntitlements.open("memory://"), tenant=lambda scope: None, routes=routes, answers=Answers()
)
assert_type(routes.match("GET", "/crm/1"), Needs | None)


class DjangoReport(FeatureRequiredMixin, View):
    required_feature = "crm.export"
    required_module = ("crm", "hr")
    required_flag = 7  # type: ignore[assignment]


class DjangoInvoices(ViewSet):
    permission_classes = (IsAuthenticated, HasEntitlement, HasEntitlement.of("crm"))
    throttle_classes = (EntitlementThrottle,)


class DjangoTenants(TenantPages):
    def client(self) -> Entitlements:
        return Entitlements.open("django://default")


def django_views() -> None:
    DjangoTenants(DjangoTenant, AdminSite())
    assert_type(entitlements(), Entitlements)
    DjangoMiddleware(lambda request: HttpResponse())
    DjangoMiddleware()  # type: ignore[call-arg]
    HasEntitlement.of(7)  # type: ignore[arg-type]


flask_gate = FlaskGate(Entitlements.open("memory://"), tenant=lambda: "acme", user=lambda: None, proxies=1)


@flask_gate.require_feature("crm.export", legacy=lambda: True)
@flask_gate.consume_quota("crm.pages", lambda: 2, operation=None)
@flask_gate.rate_limit("api", cost=2)
def flask_view(page: int) -> str:
    assert_type(flask_gate.usage("crm.pages"), Usage)
    return assert_type(flask_gate.tenant(), TenantView).tenant


def flask_app(app: Flask) -> None:
    app.before_request(flask_gate.require_module("crm", access="read"))
    app.before_request(flask_gate.require_flag("beta", attributes=lambda: {"country": "IN"}))
    assert_type(flask_view(1), str)
    flask_gate.init_app(app, unguarded="refuse", static="open")
    app.wsgi_app = WsgiMiddleware(app.wsgi_app, Entitlements.open("memory://"), tenant=lambda environ: None)  # type: ignore[method-assign]

    FlaskGate(AsyncEntitlements.open("memory://"), tenant=lambda: "acme")  # type: ignore[arg-type]
    FlaskGate(Entitlements.open("memory://"), tenant="acme")  # type: ignore[arg-type]
    flask_gate.require_module(module="crm")  # type: ignore[call-arg]
    flask_gate.consume_quota("crm.pages")  # type: ignore[call-arg]
    flask_gate.init_app(app, unguarded="deny")  # type: ignore[arg-type]
    flask_view("one")  # type: ignore[arg-type]
    WsgiMiddleware(app, Entitlements.open("memory://"))  # type: ignore[call-arg]


def answering(error: Refused) -> Refusal:
    said = refusal(error, remedies=[Contact("Talk to us")], root=Reason.PLAN_ZERO)
    assert_type(said.status, int)
    assert_type(said.headers, dict[str, str])
    assert_type(said.content, bytes)

    refusal("no")  # type: ignore[arg-type]
    said.status = 200  # type: ignore[misc]
    return said


def page_of(page: Page) -> str | None:
    assert_type(page.remedies, tuple[Mapping[str, Any], ...])
    return None if page.status == 401 else f"<h1>{escape(page.title)}</h1>"


def worded(error: Refused) -> Refusal:
    answers = Answers(
        challenge='Bearer realm="api"',
        legacy_fields=True,
        pages=Pages({"402": "<h1>$title</h1>"}),
        words=Words({"fr": {"plan.zero": {"title": "Rien", "detail": "Changez."}}}, default="fr"),
        vary=("X-Api-Key",),
    )
    Answers(pages=page_of)
    Answers(pages=None, words=Words("translations"))
    Pages("templates")

    Answers(pages="templates")  # type: ignore[arg-type]
    Answers("Bearer")  # type: ignore[call-arg]
    Words(["fr"])  # type: ignore[arg-type]
    return answers.say(error, accept="text/html", language="fr")


# -- what a store keeps of flags --------------------------------------------------------------------------------------


def flags_of(store: Store) -> int:
    store.add_tallies("new-checkout:1:in", {"n": 1, "failed": 0})
    assert_type(store.tallies("new-checkout:1:in"), Mapping[str, int])
    store.drop_tallies("new-checkout:1:in")
    return store.flags().revision


# -- backups ----------------------------------------------------------------------------------------------------------


def moving(source: Store, target: Store) -> str:
    content = export_to(source, Path("payaid.jsonl.gz"), told=lambda done, total: None)
    with Path("payaid.jsonl").open("rb") as stream:
        assert_type(import_from(target, stream), Content)
    export_to(source, "payaid.jsonl")  # type: ignore[arg-type]
    return f"{content.changes + content.tenants} {content.made} {content.source} {verify(Path('x')).sha256}"


# -- limiting ---------------------------------------------------------------------------------------------------------


def limiting(ent: Entitlements) -> None:
    outcome = ent.rate_limit("acme", "api", cost=5, user="asha", address="192.0.2.1")
    assert_type(outcome, RateLimitOutcome)
    assert_type(outcome.allowed, bool)
    assert_type((outcome.key, outcome.reason, outcome.cost), tuple[str, Reason, int])
    assert_type((outcome.limit, outcome.remaining), tuple[int | None, int | None])
    assert_type((outcome.retry_after, outcome.retry_at), tuple[timedelta | None, datetime | None])
    assert_type(outcome.resets_at, datetime | None)
    assert_type(outcome.policies, tuple[PolicyStanding, ...])
    assert_type((outcome.limited_by, outcome.would_be_limited_by), tuple[tuple[str, ...], tuple[str, ...]])
    assert_type(outcome.on_outage, Literal["open", "closed", "local_share"] | None)
    assert_type(outcome.decision(), Decision)
    assert_type(outcome.or_raise(tenant="acme"), RateLimitOutcome)
    for each in outcome.policies:
        assert_type((each.name, each.quota, each.burst, each.remaining), tuple[str, int, int, int])
        assert_type((each.window, each.resets_after), tuple[timedelta, timedelta])
    assert_type(ent.try_rate_limit(None, "login", address="192.0.2.1"), RateLimitOutcome)
    assert_type(ent.rate_limit_status("acme", "api"), RateLimitOutcome)
    ent.reset_rate_limit("acme", "crm.export", user="asha")
    with ent.concurrent("acme", "jobs", wait=timedelta(seconds=5)) as held:
        assert_type(held, RateLimitOutcome)
    try:
        ent.rate_limit("acme", "api")
    except RateLimited as refused:
        assert_type(refused.outcome, RateLimitOutcome)
    except UnknownRateLimit as unknown:
        assert_type(unknown, UnknownRateLimit)

    ent.rate_limit("acme")  # type: ignore[call-arg]
    ent.rate_limit("acme", "api", 5)  # type: ignore[call-arg]
    ent.rate_limit("acme", "api", cost=0.5)  # type: ignore[arg-type]
    if ent.try_rate_limit("acme", "api"):  # type: ignore[truthy-bool]
        pass


async def limiting_awaited(aent: AsyncEntitlements) -> None:
    assert_type(await aent.rate_limit("acme", "api"), RateLimitOutcome)
    assert_type(await aent.try_rate_limit("acme", "api"), RateLimitOutcome)
    assert_type(await aent.rate_limit_status("acme", "api"), RateLimitOutcome)
    await aent.reset_rate_limit("acme", "api")
    async with aent.concurrent("acme", "jobs", user="asha") as held:
        assert_type(held, RateLimitOutcome)
    async with aent.bind("acme", address="192.0.2.1") as view:
        assert_type(view, TenantView)
    if aent.try_rate_limit("acme", "api"):  # type: ignore[truthy-bool]
        pass


@rate_limit("crm.export", cost=5, wait=timedelta(seconds=1))
async def limited(count: int) -> list[int]:
    return [count]


@rate_limit("crm.export", tenant="org")
def limited_job(org: str) -> str:
    return org


async def limited_calls() -> None:
    assert_type(await limited(7), list[int])
    assert_type(limited_job("acme"), str)
    limited_job(7)  # type: ignore[arg-type]
    rate_limit("crm.export", wait=5)  # type: ignore[arg-type]


# -- errors -----------------------------------------------------------------------------------------------------------


def errors(act: Callable[[], None]) -> object:
    try:
        act()
    except (NotEntitled, SubscriptionExpired, TenantSuspended, QuotaExceeded) as refused:
        return assert_type(refused.decision, Decision).reason, refused.tenant, refused.reference
    except Refused as refused:
        return refused.decision
    except OutcomeUnknown as unknown:
        return assert_type(unknown.operation, str | None)
    except (StoreDamaged, StoreIncomplete) as damaged:
        return damaged
    except StoreUnavailable as down:
        return down.__cause__
    except ChangeConflict as conflict:
        return assert_type(conflict.expected, int) < conflict.found
    except (CatalogInvalid, FlagsInvalid) as invalid:
        return [str(problem) for problem in invalid.problems]
    except (SchemaOutOfDate, BackupInvalid, StoreNotEmpty, ConfigurationError) as wrong:
        return isinstance(wrong, ValueError)
    except (UnknownTenant, UnknownPlan, UnknownFeature, UnknownOperation, NoCurrentTenant) as missing:
        return isinstance(missing, LookupError)
    except ReservationExpired as late:
        return assert_type(late.operation, str)
    except (
        OperationConflict,
        SlotTaken,
        ViewExpired,
        TenantUnidentified,
        TenantConflict,
        OperationUnnamed,
        RouteUnknown,
    ) as other:
        return other
    except EntitlementError as anything:
        return anything
    return None


def raising(decision: Decision) -> None:
    Refused(decision, tenant="acme", reference="7F3K")

    Refused(decision)  # type: ignore[call-arg]
    Refused("no", tenant="acme")  # type: ignore[arg-type]


# -- tests of a host --------------------------------------------------------------------------------------------------


@pytest.mark.override("acme", "crm", True)
def test_sold(entitlements: Sandbox, clock: FakeClock) -> None:
    assert_type(entitlements.client, Entitlements | AsyncEntitlements)
    assert_type(entitlements.subscribe("acme", "pro", trial=True), Change)
    with entitlements.override("acme", "crm.export", True, user="asha"), entitlements.outage(is_warm=True) as faults:
        faults.loses_replies = True
    clock.advance(days=15)
    clock.travel_to(clock.now() + timedelta(hours=1))
    assert_type(clock(), float)
    assert_type(entitlements.admin(), Admin)

    entitlements.override("acme", "crm", None)  # type: ignore[arg-type]
    clock.travel_to("tomorrow")  # type: ignore[arg-type]
    clock.now + timedelta(days=1)  # type: ignore[operator]
    clock.advance(15)  # type: ignore[arg-type]


def without_pytest(client: AsyncEntitlements) -> None:
    with sandbox(client, clock=FakeClock(datetime.now(UTC))) as inside:
        assert_type(inside, Sandbox)
        assert_type(inside.exhaust("acme", "crm.calls", leave=1), Usage)
        assert_type(inside.exhaust_rate_limit("acme", "crm.export", leave=1, user="asha"), RateLimitOutcome)
        assert_type(inside.usage("acme", "crm.calls").used, int | Decimal)
        with inside.flag("new-search", True):
            assert_type(client.peek_tenant("acme"), TenantView | None)

    sandbox(client, clock=lambda: 0.0)  # type: ignore[arg-type]
    sandbox("app.main:ent")  # type: ignore[arg-type]


class Warehouse:
    """A sink of exposures, and of what is tracked."""

    def expose(self, exposure: Exposure) -> None:
        assert_type(exposure.flag, str)
        assert_type(exposure.rule, str | None)
        assert_type(exposure.attempt, int)
        assert_type(exposure.at, datetime)

    def track(self, tracked: Tracked) -> None:
        assert_type(tracked.value, float | None)
        assert_type(tracked.tenant, str | None)


def exposures(ent: Entitlements, client: AsyncEntitlements) -> None:
    sink: ExposureSink = Warehouse()
    assert_type(ent.on_exposure(sink), None)
    client.on_exposure(Warehouse(), flags=["new-checkout"], sample="10%", per=60)

    ent.on_exposure(print)  # type: ignore[arg-type]
    ent.on_exposure(sink, sample=10)  # type: ignore[arg-type]


def flags_of_flagd() -> list[str]:
    evaluator: Evaluator = FlagdEvaluator(fractional="v2", clock=lambda: 0.0)
    assert_type(evaluator.resolve_boolean_value("look", False).value, bool)
    FlagdEvaluator(fractional="v1")  # type: ignore[arg-type]
    document = assert_type(load('{"flags": {}}', fractional=None, flag_set="web", strict=True), FlagDocument)
    assert_type(dump(document.flags, segments={}, metadata={"flagSetId": "web"}, targeting_key="user"), str)
    return [str(problem) for problem in validate({"flags": {}})] + evaluator.set_flags_and_get_changed_keys({})


async def flags_by_openfeature(ent: Entitlements, client: AsyncEntitlements) -> None:
    sink: TrackingSink = Warehouse()
    provider: FeatureProvider = FlagProvider(ent)
    FlagProvider(client, tenant="org_id", tracking=sink, hooks=[])
    EntitlementProvider(client, tenant="org_id", hooks=[])
    assert_type(EntitlementProvider(ent).resolve_integer_details("crm.calls", 0).value, int)
    assert_type((await provider.resolve_boolean_details_async("new-checkout", False)).value, bool)
    limit: int = NO_LIMIT
    assert limit

    FlagProvider("memory://")  # type: ignore[arg-type]


def plain_login(scope: MutableMapping[str, Any]) -> ofrep.Caller | None:
    return ofrep.Caller("acme", user="ann", attributes={"country": "IN"}) if scope["headers"] else None


async def slow_login(scope: MutableMapping[str, Any]) -> str:
    return "acme"


def flags_over_the_wire(ent: Entitlements, client: AsyncEntitlements, api: FastAPI) -> None:
    api.mount("/flags", ofrep.app(ent, authenticate=plain_login))
    ofrep.app(client, authenticate=slow_login, flags={"new-checkout"}, strict_reasons=True, max_bytes=10_000)
    ofrep.app(client, authenticate=lambda scope: ("acme", None))

    ofrep.app(ent)  # type: ignore[call-arg]
    ofrep.app(ent, authenticate="acme")  # type: ignore[arg-type]


async def whose_key(key: str) -> str | None:
    return None


def who_asks(native: Any) -> str | None:
    return None


tenancy = Tenancy(
    claim("org_id", state("claims")),
    session("org_id", of=lambda request: request.session),
    api_key(whose_key, header="Authorization", scheme="Bearer", prefix="sk_"),
    by(user("org_id"), name="user"),
    by(environ("myapp.org")),
    mtls("CN", header="X-Subject", behind=shared_secret("X-Secret", "s" * 22, networks=["10.0.0.0/8"])),
    header("X-Tenant-Id", behind=trusted_networks("10.0.0.0/8", drops_underscores=True)),
    beside=[subdomain(of="example.com", tenant=whose_key), path(prefix="/t/"), Source("mine", who_asks, None)],
)
Tenancy(claim("org_id"))  # type: ignore[call-arg]
header("X-Tenant-Id", behind="10.0.0.0/8")  # type: ignore[arg-type]


async def whose_request(incoming: ScopeRequest, environ_: EnvironRequest) -> None:
    assert_type(tenancy.find(environ_), str | None)
    assert_type(await tenancy.find_async(incoming), str | None)
    assert_type(tenancy.dependency, Callable[[Any], Awaitable[str | None]])
    assert_type(finder_of(tenancy, ScopeRequest), Callable[..., object])
    FlaskGate(Entitlements.open("memory://"), tenant=tenancy)
    WsgiMiddleware(lambda environ, start_response: [], Entitlements.open("memory://"), tenant=tenancy)


api_versions = ApiVersions(
    [Version("1", deprecated=date(2026, 1, 1), sunset=datetime(2027, 1, 1, tzinfo=UTC), notes="/move"), Version("2")],
    default="oldest",
    by=[version_header(), media_type("application/vnd.example"), version_path(), query("v")],
    pinned=whose_key,
)
ApiVersions([Version("1")])  # type: ignore[call-arg]
ApiVersions(["1"], default="1")  # type: ignore[list-item]


@api_versions.since("2")
def newer(count: int) -> str:
    return current_version().name


@api_versions.between("1", "2")
async def older(count: int) -> str:
    return "1"


async def which_version(incoming: ScopeRequest, app: Any, ent: Entitlements) -> None:
    chosen: Chosen = api_versions.choose(incoming, tenant="acme")
    assert_type(newer(1), str)
    assert_type(await older(1), str)
    within: Range = api_versions.until("2")
    assert_type(version_header("X-Version"), Place)
    assert chosen.version in within
    AsgiVersions(app, api_versions, tenant=tenancy, observer=ent.observer)
    WsgiVersions(app, api_versions, tenant=lambda environ: None)
    newer("1")  # type: ignore[arg-type]
    try:
        within.require()
    except UnknownApiVersion as error:
        kind: str = error.kind
        versions: tuple[str, ...] = error.versions
        assert kind or versions


class TestMine(StoreContract, JoiningContract):
    @pytest.fixture
    def new_store(self) -> Callable[[], Store]:
        return MemoryStore


class TestMineToo(AsyncStoreContract):
    @pytest.fixture
    def new_store(self) -> Callable[[], AsyncStore]:
        return AsyncMemoryStore


class TestMyLedger(LedgerContract, LedgerJoiningContract):
    @pytest.fixture
    def new_ledger(self) -> Callable[[], Ledger]:
        return lambda: MemoryStore().ledger


class TestMyLedgerToo(AsyncLedgerContract):
    @pytest.fixture
    def new_ledger(self) -> Callable[[], AsyncLedger]:
        return lambda: AsyncMemoryStore().ledger


class TestMyLimiter(LimiterContract):
    @pytest.fixture
    def new_limiter(self) -> Callable[[], Limiter]:
        return MemoryLimiter


class TestMyLimiterToo(AsyncLimiterContract):
    @pytest.fixture
    def new_limiter(self) -> Callable[[], AsyncLimiter]:
        return AsyncMemoryLimiter


class TestMyActivity(ActivityContract):
    @pytest.fixture
    def new_activity(self) -> Callable[[], Activity]:
        return lambda: MemoryStore().activity


class TestMyActivityToo(AsyncActivityContract):
    @pytest.fixture
    def new_activity(self) -> Callable[[], AsyncActivity]:
        return lambda: AsyncMemoryStore().activity


FaultyStore(MemoryStore())
FaultyStore("memory://")  # type: ignore[arg-type]


@module_boundary("invoicing")
def totals(lines: list[int]) -> int:
    """A wall keeps the types of what is inside."""
    return sum(lines)


@module_boundary("invoicing", passes=(ArithmeticError,))
async def totals_awaited(lines: list[int]) -> int:
    """Also of a coroutine."""
    return sum(lines)


@on_failure
def tell(failure: Failure) -> None:
    """What failed, and for whom."""
    assert_type(failure.tenant, str | None)
    assert_type(failure.error, Exception)


async def walls() -> None:
    """As blocks, and as middleware."""
    assert_type(totals([1]), int)
    assert_type(await totals_awaited([1]), int)
    with module_boundary("crm") as wall:
        assert_type(wall, ModuleBoundary)
    async with module_boundary("crm"):
        pass
    try:
        totals([])
    except ModuleFailed as failed:
        assert_type((failed.module, failed.reference), tuple[str, str])
    except ModuleUnavailable as unavailable:
        assert_type(unavailable.module, str)
    assert_type(PayaidIntegration(send_tenant=False).send_tenant, bool)
    IsolatedASGI, IsolatedWSGI, Redact, add_tenant, redact  # noqa: B018 # named: their types are those of others
