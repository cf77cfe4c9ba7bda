"""What the tests of the edge share: a client of each colour in a sandbox, tenants of many kinds, and a login."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from fastapi import Header
from fastapi.testclient import TestClient
from httpx2 import Response
from starlette.types import ASGIApp

from payaid_entitlements import DENY, AsyncEntitlements, Catalog, Entitlements
from payaid_entitlements.testing import FakeClock, Sandbox, sandbox
from payaid_entitlements.web.fastapi import Gate

NOW = datetime(2026, 9, 21, 14, tzinfo=UTC)

CATALOG = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "modules": {
            "crm": {"features": {"export": {"kind": "switch"}}},
            "hr": {"features": {"payroll": {"kind": "switch", "on_outage": "open"}}},
            "books": {"requires": ["crm"]},
        },
        "plans": {
            "free": {"modules": ["crm"]},
            "pro": {
                "extends": "free",
                "price": {"monthly": 5, "currency": "EUR"},
                "trial": "14 days",
                "modules": ["hr"],
                "features": {"crm.export": True, "hr.payroll": True},
            },
            "big": {"extends": "pro", "buy": "contact_us", "modules": ["books"]},
        },
        "lifecycle": {"past_due": ["full for 7 days", "none"], "paused": "read_only"},
    }
)


def login(x_tenant: Annotated[str | None, Header()] = None) -> str | None:
    """Stands in for what a host's login has verified."""
    return x_tenant


def ask(
    app: ASGIApp,
    method: str,
    path: str,
    tenant: str | None = "free",
    *,
    headers: dict[str, str] | None = None,
    **more: Any,
) -> Response:
    """One request, as *tenant*. What the app does not answer is a 500, as in production."""
    who = {} if tenant is None else {"x-tenant": tenant}
    client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
    return client.request(method, path, headers=who | (headers or {}), **more)


def asked(app: ASGIApp, method: str, path: str, tenant: str | None = "free", **more: Any) -> tuple[int, object]:
    """The status, and the reason of a refusal or what was answered."""
    response = ask(app, method, path, tenant, **more)
    body = response.json()
    return response.status_code, body["reason"] if isinstance(body, dict) and "reason" in body else body


def furnish(inside: Sandbox) -> None:
    """Tenants of each kind, named by what they are; who is not here has the free plan."""
    inside.subscribe("pro", "pro")
    inside.subscribe("big", "big")
    inside.subscribe("trial", "pro", trial=True)
    for tenant in ("paused", "late", "suspended", "denied"):
        inside.subscribe(tenant, "pro")
    inside.admin().pause("paused")
    inside.admin().past_due("late", NOW)
    inside.admin().suspend("suspended")
    inside.override("denied", "hr", DENY)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture(params=[Entitlements, AsyncEntitlements], ids=["sync", "async"])
def inside(request, clock):
    """A client of each colour, in a sandbox."""
    with sandbox(request.param.open("memory://", catalog=CATALOG), clock=clock) as found:
        furnish(found)
        yield found


@pytest.fixture
def ent(inside):
    return inside.client


@pytest.fixture
def gate(ent):
    return Gate(ent, tenant=login)
