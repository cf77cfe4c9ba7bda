"""
Every public name as a user writes it. Read by mypy only, never run.

What must not type-check carries ``# type: ignore[code]``: mypy reports one that is not needed any more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, assert_never, assert_type
from uuid import UUID, uuid4

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.staticfiles import StaticFiles
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from sqlalchemy.orm import Session

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
    Health,
    Lease,
    Operation,
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
    require_feature,
    require_module,
)
from payaid_entitlements.core.values import Unlimited
from payaid_entitlements.errors import (
    BackupInvalid,
    CatalogInvalid,
    ChangeConflict,
    ConfigurationError,
    EntitlementError,
    NoCurrentTenant,
    NotEntitled,
    OperationConflict,
    OutcomeUnknown,
    QuotaExceeded,
    Refused,
    ReservationExpired,
    SchemaOutOfDate,
    SlotTaken,
    StoreDamaged,
    StoreIncomplete,
    StoreNotEmpty,
    StoreUnavailable,
    SubscriptionExpired,
    TenantSuspended,
    TenantUnidentified,
    UnknownFeature,
    UnknownOperation,
    UnknownPlan,
    UnknownTenant,
    ViewExpired,
)
from payaid_entitlements.stores.backup import Content, export_to, import_from, verify
from payaid_entitlements.stores.ledger import AsyncLedger, Ledger
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.stores.ports import AsyncStore, Store
from payaid_entitlements.testing import (
    AsyncLedgerContract,
    AsyncStoreContract,
    FakeClock,
    FaultyStore,
    JoiningContract,
    LedgerContract,
    LedgerJoiningContract,
    Sandbox,
    StoreContract,
    sandbox,
)
from payaid_entitlements.web import Refusal, exempt, refusal
from payaid_entitlements.web.fastapi import Gate

CATALOG = Path("catalog.yaml")


# -- opening ----------------------------------------------------------------------------------------------------------


def opening() -> None:
    assert_type(Entitlements.open(), Entitlements)
    assert_type(AsyncEntitlements.open("postgresql://app"), AsyncEntitlements)
    Entitlements.open(Redis.from_url("redis://one"))
    AsyncEntitlements.open(AsyncRedis.from_url("redis://one"))
    Entitlements.open("sqlite:///a.db", shared="redis://one")
    Entitlements.open("sqlite:///a.db", leases={"whatsapp.messages": Lease(100), "crm.calls": 10})
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
    admin.override("acme", "crm.contacts", Allowance(5))
    assert_type(admin.undo("01JD"), Change)

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
gate = Gate(ent, tenant=login, user=login, challenge="Basic")
router = APIRouter(dependencies=[gate.require_module("crm", access="read", legacy=old_answer)])


@router.get("/export", dependencies=[gate.require_feature("crm.export")])
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
    gate.init_app(app, unguarded="deny")  # type: ignore[arg-type]
    exempt(7)  # type: ignore[type-var]


def answering(error: Refused) -> Refusal:
    said = refusal(error, remedies=[Contact("Talk to us")], root=Reason.PLAN_ZERO)
    assert_type(said.status, int)
    assert_type(said.headers, dict[str, str])
    assert_type(said.content, bytes)

    refusal("no")  # type: ignore[arg-type]
    said.status = 200  # type: ignore[misc]
    return said


# -- backups ----------------------------------------------------------------------------------------------------------


def moving(source: Store, target: Store) -> str:
    content = export_to(source, Path("payaid.jsonl.gz"), told=lambda done, total: None)
    with Path("payaid.jsonl").open("rb") as stream:
        assert_type(import_from(target, stream), Content)
    export_to(source, "payaid.jsonl")  # type: ignore[arg-type]
    return f"{content.changes + content.tenants} {content.made} {content.source} {verify(Path('x')).sha256}"


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
    except CatalogInvalid as invalid:
        return [str(problem) for problem in invalid.problems]
    except (SchemaOutOfDate, BackupInvalid, StoreNotEmpty, ConfigurationError) as wrong:
        return isinstance(wrong, ValueError)
    except (UnknownTenant, UnknownPlan, UnknownFeature, UnknownOperation, NoCurrentTenant) as missing:
        return isinstance(missing, LookupError)
    except ReservationExpired as late:
        return assert_type(late.operation, str)
    except (OperationConflict, SlotTaken, ViewExpired, TenantUnidentified) as other:
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
        assert_type(inside.usage("acme", "crm.calls").used, int | Decimal)

    sandbox(client, clock=lambda: 0.0)  # type: ignore[arg-type]
    sandbox("app.main:ent")  # type: ignore[arg-type]


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


FaultyStore(MemoryStore())
FaultyStore("memory://")  # type: ignore[arg-type]
