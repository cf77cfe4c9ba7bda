"""
A stage on which calls are limited, in both colours: what is sold, one store with its limiter, and a clock that stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from payaid_entitlements import Catalog
from payaid_entitlements.errors import StoreUnavailable
from tests.entitlements.conftest import START, Stage, Told

__all__ = ["CATALOG", "START", "Stage", "Told"]

CATALOG = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "modules": {"crm": {"features": {"export": {"kind": "switch"}}}},
        "plans": {
            "free": {"modules": ["crm"]},
            "pro": {
                "extends": "free",
                "price": {"monthly": 5, "currency": "EUR"},
                "rate_limits": {"api": ["20/second", "600/minute"], "crm.export": "8/hour"},
            },
            "all": {"extends": "pro", "price": {"monthly": 9, "currency": "EUR"}, "rate_limits": {"api": "unlimited"}},
        },
        "rate_limits": {
            "api": {"default": "3/minute"},
            "crm.export": {"per": "user", "default": "2/hour", "counts_toward": ["api"], "on_outage": "closed"},
            "feed": {"default": "4/second", "on_outage": "open"},
            "hot": {"default": "100/minute", "on_outage": "open", "lease": 20},
            "jobs": {"default": "2 at once", "held": "1 minute"},
            "login": {"per": "address", "default": "3/minute"},
            "tried": {"default": "2/minute", "observe": True, "on_outage": "closed"},
        },
    }
)


class Limited(Stage):
    """Same as `Stage`, with calls that are limited."""

    def open(self, **named) -> Told:
        return super().open(**{"catalog": CATALOG, **named})

    @contextmanager
    def limiter_down(self) -> Iterator[None]:
        """The limiter gives no answer inside the block; the store does."""
        down = {"hit", "give_back", "reset"}

        def fail(name: str) -> None:
            if name in down:
                raise StoreUnavailable("the limiter is down (a test says so)")

        self.faults.before = fail
        try:
            yield
        finally:
            self.faults.before = None


@pytest.fixture(params=["sync", "async"])
def stage(request) -> Iterator[Limited]:
    with asyncio.Runner() as runner:
        found = Limited(request.param, runner, CATALOG)
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
    for name in ("PAYAID_URL", "PAYAID_LIMITER", "PAYAID_PROCESSES", "PAYAID_ENFORCEMENT"):
        monkeypatch.delenv(name, raising=False)
