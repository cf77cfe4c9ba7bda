"""Both colours on one ledger in memory, and a catalog with what can be set aside, held and counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from payaid_entitlements import Catalog
from tests.entitlements.conftest import Stage, Told
from tests.stores.conftest import racers

__all__ = ["racers"]

CATALOG = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "modules": {
            "crm": {
                "features": {
                    "pages": {"kind": "quota", "unit": "page"},
                    "drafts": {"kind": "quota", "on_exceed": "soft"},
                    "hours": {"kind": "quota", "decimals": 2},
                    "summaries": {"kind": "quota"},
                    "contacts": {"kind": "allocation", "count": "host"},
                    "export": {"kind": "switch"},
                }
            },
            "hr": {"features": {"desks": {"kind": "allocation"}}},
        },
        "features": {
            "seats": {"kind": "allocation", "unit": "seat", "title": "Team members"},
            "ai_credits": {"kind": "credit", "pays_for": {"crm.summaries": 5}},
        },
        "plans": {
            "free": {"modules": ["crm"], "features": {"seats": 1}},
            "pro": {
                "extends": "free",
                "price": {"monthly": 5, "currency": "EUR"},
                "features": {
                    "crm.pages": "10/month",
                    "crm.drafts": "10/month",
                    "crm.hours": "2.50/month",
                    "crm.contacts": 3,
                    "seats": 3,
                    "ai_credits": "100/month",
                },
            },
            "all": {
                "extends": "pro",
                "price": {"monthly": 9, "currency": "EUR"},
                "modules": ["hr"],
                "features": {"seats": "unlimited", "crm.contacts": "unlimited", "crm.pages": "20/month"},
            },
        },
    }
)


class Holding(Stage):
    """A stage on which acme holds pro, and what is held is told of in one way."""

    def __init__(self, colour: str, runner: asyncio.Runner) -> None:
        super().__init__(colour, runner, CATALOG)
        self.elsewhere.subscribe("acme", "pro")

    def reserve(self, ent: Told, *args, **named) -> Told:
        """A reservation, told of as a client is."""
        return Told(ent.reserve(*args, **named), ent.run)

    def reservation(self, ent: Told, *args, **named) -> Told:
        return Told(ent.reservation(*args, **named), ent.run)

    def block(self, ent: Told, body: Callable[[object], object], *args, **named) -> object:
        """What *body* gives within the block of a new reservation; what can be awaited is."""
        return self._within(ent, body, lambda: ent.inner.reserve(*args, **named))

    def found(self, ent: Told, body: Callable[[object], object], *args) -> object:
        """Same as `block`, of one that is looked up."""
        return self._within(ent, body, lambda: self.reservation(ent, *args).inner)

    def _within(self, ent: Told, body: Callable[[object], object], begin: Callable[[], object]) -> object:
        if self.colour == "sync":
            with begin() as hold:
                return body(hold)
        # Looked up outside of the loop; a promise of one is awaited by the block.
        begun = begin()

        async def main() -> object:
            async with begun as hold:
                given = body(hold)
                return await given if hasattr(given, "__await__") else given

        return ent.run(main)


@pytest.fixture(params=["sync", "async"])
def stage(request) -> Iterator[Holding]:
    with asyncio.Runner() as runner:
        found = Holding(request.param, runner)
        yield found
        found.close()


@pytest.fixture
def ent(stage) -> Told:
    return stage.open()


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in ("PAYAID_URL", "PAYAID_ENFORCEMENT", "PAYAID_LEDGER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def left(ent) -> Callable[..., tuple[object, object]]:
    """What is used and what is held of a feature."""

    def look(feature: str = "crm.pages", tenant: str = "acme") -> tuple[object, object]:
        found = ent.usage(tenant, feature)[feature]
        return found.used, found.held

    return look
