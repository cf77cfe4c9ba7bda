"""What the tests of the cache share: a small world, a clock that only they move, and documents."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from payaid_entitlements.cache.local import LocalCache
from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.catalog.publishing import Published, publish
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.facts import NewFact, TenantDocument, record
from payaid_entitlements.core.observing import Tally
from payaid_entitlements.core.subscription import subject
from payaid_entitlements.core.world import World

CATALOG = {
    "catalog": 1,
    "default_plan": "free",
    "modules": {
        "crm": {
            "features": {
                "export": {"kind": "switch"},
                "import": {"kind": "switch", "on_outage": "open"},
                "report": {"kind": "switch", "on_outage": "last_known_good 10 minutes"},
            }
        }
    },
    "plans": {
        "free": {"modules": ["crm"]},
        "pro": {
            "extends": "free",
            "trial": "14 days",
            "features": {"crm.export": True, "crm.import": True, "crm.report": True},
        },
    },
}
SECOND = 1_000_000


class Hand:
    """A clock that stands until it is moved."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def published_of(catalog: Mapping[str, object] = CATALOG) -> Published:
    return publish(None, Catalog.load(catalog))[0]


def document(tenant: str, *, revision: int = 1, plan: str | None = "pro", **times: int) -> TenantDocument:
    """A tenant who holds *plan* since the beginning of time, at the given revision."""
    known = TenantDocument(tenant, revision - 1)
    facts = [NewFact(subject("main", name), 0, at) for name, at in times.items()]
    if plan is not None:
        facts.append(NewFact(subject("main", "plan"), 0, {"plan": plan, "version": 1}))
    return record(known, facts or [NewFact(("status",), 0, None)], recorded=0).document


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def world() -> World:
    return World.of(published_of(), Controls())


@pytest.fixture
def near(hand: Hand) -> LocalCache:
    return LocalCache(bound=3, clock=hand, fresh_for=60.0)


@pytest.fixture
def setting(near: LocalCache, hand: Hand) -> Setting:
    return Setting(near=near, wall=hand, observer=Tally(), new_id=lambda at: f"change-{at}")
