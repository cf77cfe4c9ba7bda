"""
PayAid in small: one FastAPI app, six modules, each sold on its own.

    pip install "payaid-entitlements[fastapi,sql]" uvicorn
    uvicorn app:app --app-dir examples/payaid

Everything about who may use what is in `catalog.yaml` and in the lines with `gate`.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from clock import demo_clock
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request, Response
from login import Denied, Member, current_member, signed
from pydantic import AwareDatetime, BaseModel
from records import Contact, Contacts, NewContact

from payaid_entitlements import AsyncEntitlements, TenantView, Usage
from payaid_entitlements.web import exempt
from payaid_entitlements.web.fastapi import Gate

CATALOG = Path(__file__).parent / "catalog.yaml"

# The URL is in PAYAID_URL; without it, a SQLite file in the current directory.
ent = AsyncEntitlements.open(catalog=CATALOG, clock=demo_clock())


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Opened connects to nothing yet; what was connected is closed with the app."""
    async with ent:
        yield


async def tenant_id(member: Annotated[Member, Depends(current_member)]) -> str:
    """The customer whose member this is: what *our* login verified."""
    return member.tenant


async def user_id(member: Annotated[Member, Depends(current_member)]) -> str:
    """Who asks: some rate limits count each user by themselves."""
    return member.user


app = FastAPI(title="PayAid", lifespan=lifespan, responses={400: {"model": Denied}, 401: {"model": Denied}})
gate = Gate(ent, tenant=tenant_id, user=user_id)
rows = Contacts()
Tenant = Annotated[TenantView, gate.tenant]

# -- six modules, each behind its own gate ----------------------------------------------------------------------

crm = APIRouter(prefix="/crm", tags=["CRM"], dependencies=[gate.require_module("crm")])
invoicing = APIRouter(prefix="/invoices", tags=["Invoicing"], dependencies=[gate.require_module("invoicing")])
accounting = APIRouter(prefix="/accounting", tags=["Accounting"], dependencies=[gate.require_module("accounting")])
hr = APIRouter(prefix="/hr", tags=["HR"], dependencies=[gate.require_module("hr")])
whatsapp = APIRouter(prefix="/whatsapp", tags=["WhatsApp"], dependencies=[gate.require_module("whatsapp")])
analytics = APIRouter(prefix="/analytics", tags=["Analytics"], dependencies=[gate.require_module("analytics")])


@crm.get("/contacts")
async def contacts(tenant: Tenant) -> list[Contact]:
    """In every plan."""
    return rows.of(tenant.tenant)


@crm.post("/contacts", status_code=201)
async def add_contact(tenant: Tenant, new: NewContact) -> Contact:
    """Only its own customer will find it."""
    return rows.add(tenant.tenant, new)


@crm.get("/contacts/{contact}", responses={404: {"model": Denied}})
async def contact(tenant: Tenant, contact: int) -> Contact:
    """One of somebody else's is a 404, as one that nobody has."""
    return rows.find(tenant.tenant, contact)


@crm.delete("/contacts/{contact}", status_code=204, responses={404: {"model": Denied}})
async def remove_contact(tenant: Tenant, contact: int) -> None:
    """The same for whoever wants to remove it."""
    rows.remove(tenant.tenant, contact)


@crm.get(
    "/export",
    dependencies=[gate.rate_limit("export"), gate.require_feature("crm.export")],
    responses={200: {"content": {"text/csv": {}}}},
)
async def export(tenant: Tenant) -> Response:
    """From starter on: a feature inside a module. How often is sold by the plan too, for each user."""
    lines = ("name", *(each.name for each in rows.of(tenant.tenant)))
    return Response("".join(f"{line}\n" for line in lines), media_type="text/csv")


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


@hr.post("/payroll-runs", status_code=201)
async def run_payroll(
    usage: Annotated[Usage, gate.consume_quota("hr.payroll_runs", operation=None)],
    idempotency_key: Annotated[str, Header()],
) -> dict[str, object]:
    """
    A quota, counted when it is used: one that is used up is refused, however many ask at once.

    The browser names the run by a key of its own, the same when it asks again; so a run is counted once, and not at all
    when it fails. Whether it was seen before is for us to know: we must not pay anybody twice.
    """
    return {"run": idempotency_key, "left": usage.remaining, "seen_before": usage.replayed}


@whatsapp.get("/messages")
async def messages() -> list[str]:
    """Sold with enterprise, or as an add-on."""
    return ["Your invoice 1001 is due on Friday."]


@analytics.get("/dashboards")
async def dashboards(tenant: Tenant) -> dict[str, str]:
    """The same route shows more on a bigger plan."""
    return {"level": tenant.value("analytics.dashboards", str)}


for module in (crm, invoicing, accounting, hr, whatsapp, analytics):
    app.include_router(module)

# -- what the tenant sees about itself --------------------------------------------------------------------------


@app.get("/billing", tags=["Billing"])
@exempt
async def billing(tenant: Tenant) -> dict[str, object]:
    """All that the browser needs to draw menus: no actor, no internal reason."""
    return tenant.to_public()


@app.get("/billing/usage", tags=["Billing"])
@exempt
async def usage_page(tenant: Tenant) -> list[dict[str, object]]:
    """What is used of everything that is metered, by one statement."""
    return [usage.to_json() for usage in (await ent.usage(tenant.tenant)).values()]


@app.get("/billing/upgrade", tags=["Billing"], responses={404: {"model": Denied}})
@exempt
async def upgrade(tenant: Tenant, feature: str) -> dict[str, object]:
    """The page behind a locked menu entry: why, and what would open it, the cheapest first."""
    sold = ent.catalog
    if sold is None or feature not in sold.modules.keys() | sold.features.keys():
        # A key in our code that is in no catalog is a mistake, and loud; one that a browser sends is not ours.
        raise HTTPException(404, "no such feature")
    decision = tenant.check(feature)
    return {
        "feature": feature,
        "allowed": decision.allowed,
        "why": decision.reason.meaning,
        "remedies": [remedy.to_public() for remedy in tenant.remedies(decision)],
    }


# -- the payment provider ---------------------------------------------------------------------------------------


class Purchase(BaseModel):
    """What the payment provider posts when somebody has bought a plan."""

    id: str
    tenant: str
    plan: str
    created_at: AwareDatetime


async def from_the_provider(request: Request, signature: Annotated[str, Header()]) -> None:
    """Believe nothing that the provider did not sign: all of the body, as it came."""
    if not hmac.compare_digest(signature.encode(), signed(await request.body()).encode()):
        raise HTTPException(401, "wrong signature")


@app.post("/webhooks/purchases", tags=["Billing"], dependencies=[Depends(from_the_provider)])
@exempt
async def purchased(purchase: Purchase) -> dict[str, object]:
    """
    Begin the subscription. Providers post twice and out of order; `operation` and `as_of` make that harmless.

    When this returns, this process answers anew. Others follow by themselves.
    """
    admin = ent.admin("webhook:payments", because=purchase.id)
    change = await admin.subscribe(purchase.tenant, purchase.plan, operation=purchase.id, as_of=purchase.created_at)
    return {"applied": change.applied, "reason": change.reason}


@app.get("/health", include_in_schema=False)
@exempt
async def health(response: Response) -> dict[str, bool]:
    """For the load balancer: 503 while the store gives no answer."""
    found = await ent.health()
    response.status_code = 200 if found.ok else 503
    return {"ok": found.ok}


gate.init_app(app, unguarded="refuse")  # refusals, OpenAPI answers; an unguarded route does not start
