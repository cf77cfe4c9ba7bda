"""
PayAid in small: one FastAPI app, six modules, each sold on its own.

    pip install "payaid-entitlements[fastapi,sql]" uvicorn
    uvicorn app:app --app-dir examples/payaid

Everything about who may use what is in `catalog.yaml` and in the lines with `gate`.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from pathlib import Path
from typing import Annotated

from clock import demo_clock
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException
from login import Member, current_member, signed
from pydantic import BaseModel

from payaid_entitlements import AsyncEntitlements, TenantView
from payaid_entitlements.web import exempt
from payaid_entitlements.web.fastapi import Gate

CATALOG = Path(__file__).parent / "catalog.yaml"

# The URL is in PAYAID_URL; without it, a SQLite file here.
ent = AsyncEntitlements.open(catalog=CATALOG, clock=demo_clock())


def tenant_id(member: Annotated[Member, Depends(current_member)]) -> str:
    """The customer whose member this is: what *our* login verified."""
    return member.tenant


gate = Gate(ent, tenant=tenant_id)
Tenant = Annotated[TenantView, gate.tenant]

# -- six modules, each behind its own gate ----------------------------------------------------------------------

crm = APIRouter(prefix="/crm", tags=["CRM"], dependencies=[gate.require_module("crm")])
invoicing = APIRouter(prefix="/invoices", tags=["Invoicing"], dependencies=[gate.require_module("invoicing")])
accounting = APIRouter(prefix="/accounting", tags=["Accounting"], dependencies=[gate.require_module("accounting")])
hr = APIRouter(prefix="/hr", tags=["HR"], dependencies=[gate.require_module("hr")])
whatsapp = APIRouter(prefix="/whatsapp", tags=["WhatsApp"], dependencies=[gate.require_module("whatsapp")])
analytics = APIRouter(prefix="/analytics", tags=["Analytics"], dependencies=[gate.require_module("analytics")])


@crm.get("/contacts")
async def contacts() -> list[str]:
    """In every plan."""
    return ["Kaveri Traders", "Nilgiri Foods"]


@crm.get("/export", dependencies=[gate.require_feature("crm.export")])
async def export() -> str:
    """From starter on: a feature inside a module."""
    return "name\nKaveri Traders\nNilgiri Foods\n"


@invoicing.get("")
async def invoices() -> list[int]:
    """A GET only reads: it passes while a subscription is paused."""
    return [1001, 1002]


@invoicing.post("", status_code=201)
async def create_invoice() -> dict[str, int]:
    """Everything else writes: it needs full access."""
    return {"invoice": 1003}


@invoicing.post("/recurring", status_code=201, dependencies=[gate.require_feature("invoicing.recurring")])
async def create_recurring() -> dict[str, int]:
    """From professional on."""
    return {"schedule": 1}


@accounting.get("/ledgers")
async def ledgers(tenant: Tenant) -> dict[str, int]:
    """A feature with a value: how many ledgers the plan has."""
    return {"ledgers": tenant.value("accounting.ledgers", int)}


@accounting.post("/gst-filings", status_code=201, dependencies=[gate.require_feature("accounting.gst_filing")])
async def file_gst() -> dict[str, str]:
    """Module and feature, one after the other."""
    return {"filed": "GSTR-1"}


@hr.get("/payroll-runs")
async def payroll_runs() -> list[str]:
    """Sold with professional."""
    return ["2026-10"]


@whatsapp.post("/messages", status_code=202)
async def send_message() -> dict[str, str]:
    """Sold with enterprise, or as an add-on."""
    return {"queued": "1 message"}


@analytics.get("/dashboards")
async def dashboards(tenant: Tenant) -> dict[str, str]:
    """The same route shows more on a bigger plan."""
    return {"level": tenant.value("analytics.dashboards", str)}


# -- what the tenant sees about itself ----------------------------------------------------------------------------


@exempt
async def billing(tenant: Tenant) -> dict[str, object]:
    """All that the browser needs to draw menus: no actor, no internal reason."""
    return tenant.to_public()


@exempt
async def upgrade(tenant: Tenant, feature: str) -> dict[str, object]:
    """The page behind a locked menu entry: why, and what would open it, the cheapest first."""
    decision = tenant.check(feature)
    return {
        "feature": feature,
        "allowed": decision.allowed,
        "why": decision.reason.meaning,
        "remedies": [remedy.to_public() for remedy in tenant.remedies(decision)],
    }


# -- the payment provider -----------------------------------------------------------------------------------------


class Payment(BaseModel):
    """What the payment provider posts when an invoice was paid."""

    id: str
    tenant: str
    plan: str
    created_at: datetime


def verified(payment: Payment, signature: Annotated[str, Header()]) -> Payment:
    """Believe nothing that the provider did not sign."""
    if not hmac.compare_digest(signature, signed(payment.id)):
        raise HTTPException(401, "wrong signature")
    return payment


@exempt
async def paid(payment: Annotated[Payment, Depends(verified)]) -> dict[str, object]:
    """
    Change the plan. Providers post twice and out of order; `operation` and `as_of` make that harmless.

    When this returns, this process answers anew. Others follow by themselves.
    """
    admin = ent.admin("webhook:payments", because=payment.id)
    change = await admin.change_plan(payment.tenant, payment.plan, operation=payment.id, as_of=payment.created_at)
    return {"applied": change.applied, "reason": change.reason}


@exempt
async def health() -> dict[str, bool]:
    """Is it up? For the load balancer."""
    return {"ok": (await ent.health()).ok}


app = FastAPI(title="PayAid")
for module in (crm, invoicing, accounting, hr, whatsapp, analytics):
    app.include_router(module)
app.get("/billing", tags=["Billing"])(billing)
app.get("/billing/upgrade", tags=["Billing"])(upgrade)
app.post("/webhooks/payments", tags=["Billing"])(paid)
app.get("/health", include_in_schema=False)(health)
gate.init_app(app, unguarded="refuse")  # refusals, OpenAPI answers; an unguarded route does not start
