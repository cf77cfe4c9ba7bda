"""What the tests of Flask share: a client in a sandbox, a gate, and apps of few lines."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, request

from payaid_entitlements import Catalog, Entitlements
from payaid_entitlements.binding import CURRENT
from payaid_entitlements.testing import sandbox
from payaid_entitlements.web.flask import Gate

FLAGS: dict[str, Any] = {
    "beta": {"rollout": "0%"},
    "checkout": {
        "variants": {"on": True, "off": False},
        "default": "off",
        "targeting": {"if": [{"==": [{"var": "country"}, "IN"]}, "on", "off"]},
    },
}


#: That of the edge's tests, with limits, a quota and flags.
RICHER = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "modules": {
            "crm": {"features": {"export": {"kind": "switch"}, "pages": {"kind": "quota", "unit": "page"}}},
            "hr": {"features": {"payroll": {"kind": "switch"}}},
        },
        "rate_limits": {
            "api": {"default": "2/minute"},
            "mine": {"per": "user", "default": "2/minute"},
            "sign_in": {"per": "address", "default": "2/minute"},
            "jobs": {"default": "2 at once"},
        },
        "plans": {
            "free": {"modules": ["crm"], "features": {"crm.pages": "10/month"}},
            "pro": {
                "extends": "free",
                "price": {"monthly": 5, "currency": "EUR"},
                "modules": ["hr"],
                "features": {"crm.export": True, "hr.payroll": True},
            },
        },
        "lifecycle": {"paused": "read_only"},
        "flags": FLAGS,
    }
)


@pytest.fixture
def inside(clock):
    with sandbox(Entitlements.open("memory://", catalog=RICHER), clock=clock) as found:
        found.subscribe("pro", "pro")
        found.subscribe("paused", "pro")
        found.admin().pause("paused")
        yield found
    assert CURRENT.get() is None


def login() -> str | None:
    """Stands in for what a host's login has verified."""
    return request.headers.get("X-Tenant")


@pytest.fixture
def gate(ent):
    return Gate(ent, tenant=login)


@pytest.fixture
def app():
    return Flask(__name__, static_folder=None)


def ask(app: Flask, path: str, tenant: str | None = "free", method: str = "GET", **more: Any) -> Any:
    """One request, as *tenant*. What the app does not answer is a 500, as in production."""
    headers = {} if tenant is None else {"X-Tenant": tenant}
    answer = app.test_client().open(path, method=method, headers=headers | more.pop("headers", {}), **more)
    assert CURRENT.get() is None
    return answer


def asked(app: Flask, path: str, tenant: str | None = "free", method: str = "GET", **more: Any) -> tuple[int, object]:
    """The status, and the reason of a refusal or what was answered."""
    answer = ask(app, path, tenant, method, **more)
    said = answer.get_json(silent=True)
    return answer.status_code, said["reason"] if isinstance(said, dict) and "reason" in said else answer.text
