"""
A Django site for each test: views of its own, settings of its own, behind both of Django's handlers.

Django's settings are of the process: they are set up once, and `override_settings` puts back what a test has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import URLPattern, URLResolver

from payaid_entitlements import Catalog, Entitlements
from payaid_entitlements.testing import FakeClock, Sandbox, sandbox
from tests.project import begun
from tests.web.conftest import NOW, furnish

begun()

OURS = "payaid_entitlements.web.django.EntitlementsMiddleware"
CATALOG = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "modules": {
            "crm": {"features": {"export": {"kind": "switch"}, "mails": {"kind": "quota", "window": "calendar"}}},
            "hr": {"features": {"payroll": {"kind": "switch", "on_outage": "open"}}},
            "books": {"requires": ["crm"]},
        },
        "flags": {"new-ui": {"targeting": {"if": [{"==": [{"var": "plan"}, "pro"]}, "on", "off"]}}},
        "rate_limits": {
            "api": {"per": "tenant", "default": "2/minute"},
            "login": {"per": "address", "default": "2/minute"},
            "clicks": {"per": "user", "default": "2/minute"},
        },
        "plans": {
            "free": {"modules": ["crm"], "features": {"crm.mails": "3/month"}},
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


def tenant_of(request: HttpRequest) -> str | None:
    """Stands in for what a host's login has verified."""
    return request.headers.get("x-tenant")


def user_of(request: HttpRequest) -> str | None:
    return request.headers.get("x-user")


Patterns = Sequence[URLPattern | URLResolver]


class Site:
    """A Django site as one handler of Django serves it."""

    def __init__(self, inside: Sandbox, colour: str, stack: ExitStack) -> None:
        self.inside = inside
        self.colour = colour
        self._stack = stack
        self._client = None

    def serve(self, *patterns: URLPattern | URLResolver, middleware: Sequence[str] = (OURS,), **more: Any) -> Site:
        """Serve views; *more* goes into ``PAYAID``, and into the settings where its name begins with ``set_``."""
        payaid = {"CLIENT": self.inside.client, "TENANT": tenant_of}
        payaid |= {name: value for name, value in more.items() if not name.startswith("set_")}
        self._stack.enter_context(
            override_settings(
                PAYAID={name: value for name, value in payaid.items() if value is not None},
                ROOT_URLCONF=patterns,
                MIDDLEWARE=list(middleware),
                **{name.removeprefix("set_"): value for name, value in more.items() if name.startswith("set_")},
            )
        )
        self._client = None
        return self

    def ask(self, method: str, path: str, tenant: str | None = "free", **headers: str) -> HttpResponse:
        """One request, as *tenant*. What the site does not answer is a 500, as in production."""
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        if tenant is not None:
            said["x-tenant"] = tenant
        if self.colour == "wsgi":
            self._client = self._client or Client(raise_request_exception=False)
            return self._client.generic(method, path, headers=said)
        client = self._client = self._client or AsyncClient(raise_request_exception=False)
        return asyncio.run(client.generic(method, path, headers=said))

    def asked(self, method: str, path: str, tenant: str | None = "free", **headers: str) -> tuple[int, str]:
        """The status, and the reason of a refusal or what was answered."""
        response = self.ask(method, path, tenant, **headers)
        if response.headers.get("content-type", "").startswith("application/problem+json"):
            return response.status_code, response.json()["reason"]
        return response.status_code, b"".join(response).decode() if response.streaming else response.content.decode()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def inside(clock) -> Iterator[Sandbox]:
    with sandbox(Entitlements.open("memory://", catalog=CATALOG), clock=clock) as found:
        furnish(found)
        yield found


@pytest.fixture(params=["wsgi", "asgi"])
def site(request, inside) -> Iterator[Site]:
    """Behind each of Django's handlers."""
    with ExitStack() as stack:
        yield Site(inside, request.param, stack)


@pytest.fixture
def wsgi_site(inside) -> Iterator[Site]:
    """Where the colour of the handler changes nothing."""
    with ExitStack() as stack:
        yield Site(inside, "wsgi", stack)


def plain(text: str = "in") -> Callable[..., HttpResponse]:
    def view(request: HttpRequest, **_: object) -> HttpResponse:
        return HttpResponse(text)

    return view
