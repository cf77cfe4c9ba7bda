"""
A stage for clients of both colours: one store that fails on demand, one clock that stands until it is moved.

A test that takes `stage` runs twice, and says everything in one way: `Told` awaits where the client must be awaited.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from payaid_entitlements import AsyncEntitlements, Catalog, Entitlements
from payaid_entitlements.cache.driving import Driver
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.testing import FakeClock, FaultyStore

START = datetime(2030, 5, 1, 12, tzinfo=UTC)
CATALOG = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "modules": {
            "crm": {
                "features": {
                    "export": {"kind": "switch"},
                    "import": {"kind": "switch", "on_outage": "open"},
                    "report": {"kind": "switch", "on_outage": "last_known_good 10 minutes"},
                    "page_size": {"kind": "config", "type": "int", "merge": "max", "on_outage": "open"},
                    "colours": {"kind": "config", "type": "list", "merge": "priority"},
                }
            },
            "hr": {"features": {"payroll": {"kind": "switch"}}},
        },
        "plans": {
            "free": {"modules": ["crm"], "features": {"crm.page_size": 10}},
            "pro": {
                "extends": "free",
                "price": {"monthly": 5, "currency": "EUR"},
                "trial": "14 days",
                "features": {
                    "crm.export": True,
                    "crm.import": True,
                    "crm.report": True,
                    "crm.page_size": 50,
                    "crm.colours": ["red", "green"],
                },
            },
            "all": {
                "extends": "pro",
                "price": {"monthly": 9, "currency": "EUR"},
                "modules": ["hr"],
                "features": {"hr.payroll": True},
            },
        },
    }
)

#: What is not awaited in either colour.
PLAIN = {"peek", "peek_tenant", "on", "counts"}


class Told:
    """A client, or its admin, of either colour, told what to do in one way."""

    def __init__(self, inner: object, run: Callable[..., object]) -> None:
        self.inner = inner
        self.run = run

    def __getattr__(self, name):
        found = getattr(self.inner, name)
        if name in PLAIN or not callable(found):
            return found
        return lambda *args, **named: self.run(found, *args, **named)

    def admin(self, actor="test", *, because="a test says so"):
        return Told(self.inner.admin(actor, because=because), self.run)

    def dry_admin(self):
        return Told(self.inner.admin("test", because="a test says so", dry_run=True), self.run)

    def close(self):
        self.run(getattr(self.inner, "aclose", None) or self.inner.close)

    def within(self, body, *args, **named):
        """What *body* gives, called with the view where it is bound."""
        bind = self.inner.bind(*args, **named)
        if not hasattr(bind, "__aenter__"):
            with bind as view:
                return body(view)

        async def main():
            async with bind as view:
                return body(view)

        return self.run(main)


class Stage:
    """Where clients of one colour are opened on one store."""

    def __init__(self, colour: str, runner: asyncio.Runner, catalog: Catalog = CATALOG) -> None:
        self.colour = colour
        self.catalog = catalog
        self.memory = MemoryStore()
        self.clock = FakeClock(START)
        store = self.memory if colour == "sync" else AsyncMemoryStore(self.memory)
        self.store = FaultyStore(store)
        self.faults = self.store.faults
        self._runner = runner
        self._opened: list[Told] = []
        #: Changes things as another process would: nobody here hears of it but by the change log.
        other = Entitlements(self.memory, catalog=catalog, clock=self.clock)
        # Memory never waits: tests may change things where an event loop runs.
        other._driver = Driver(self.memory, ledger=other._ledger, never_waits=True)
        self.elsewhere = other.admin("other", because="there")

    def open(self, **named) -> Told:
        kind = Entitlements if self.colour == "sync" else AsyncEntitlements
        opened = Told(kind(self.store, **{"catalog": self.catalog, "clock": self.clock, **named}), self._run)
        self._opened.append(opened)
        return opened

    def clock_now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)

    def host(self, function):
        """*function* as a host of this colour would write it."""
        if self.colour == "sync":
            return function

        async def awaited(tenant):
            return function(tenant)

        return awaited

    def _run(self, method, *args, **named):
        if self.colour == "sync":
            return method(*args, **named)

        async def main():
            answer = method(*args, **named)
            return await answer if inspect.isawaitable(answer) else answer

        return self._runner.run(main())

    def close(self) -> None:
        for opened in self._opened:
            opened.close()


@pytest.fixture(params=["sync", "async"])
def stage(request) -> Iterator[Stage]:
    with asyncio.Runner() as runner:
        found = Stage(request.param, runner)
        yield found
        found.close()


@pytest.fixture
def ent(stage) -> Told:
    """A client, with acme on pro, before it was asked anything."""
    stage.elsewhere.subscribe("acme", "pro")
    stage.faults.calls.clear()
    return stage.open()


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    """What the machine that runs the tests has set is nobody's business."""
    for name in ("PAYAID_URL", "PAYAID_ENFORCEMENT", "FEATURE_LICENSING", "FEATURE_MODULE_GATING"):
        monkeypatch.delenv(name, raising=False)
