"""
A stage on which usage is counted, in both colours: what is sold, one store with its ledger, and a clock that stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from payaid_entitlements import Catalog
from tests.entitlements.conftest import START, Stage, Told

__all__ = ["CATALOG", "START", "Stage", "Told"]

CATALOG = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "timezone": "UTC",
        "modules": {
            "crm": {
                "features": {
                    "export": {"kind": "switch"},
                    "page": {"kind": "config", "type": "int", "merge": "max"},
                    "imports": {"kind": "quota", "unit": "import"},
                    "calls": {"kind": "quota", "on_exceed": "soft"},
                    "mails": {"kind": "quota", "on_exceed": "soft_until 120%"},
                    "files": {"kind": "quota", "on_exceed": "grace_then_block 2 days"},
                    "notes": {"kind": "quota", "on_exceed": "warn"},
                    "hours": {"kind": "quota", "decimals": 2},
                    "summaries": {"kind": "quota"},
                    "drawings": {"kind": "quota"},
                    "texts": {"kind": "quota", "rollover": {"max": 50}},
                    "contacts": {"kind": "allocation", "count": "host"},
                }
            },
            "hr": {"features": {"runs": {"kind": "quota"}}},
        },
        "features": {
            "seats": {"kind": "allocation"},
            "tokens": {"kind": "credit", "pays_for": {"crm.summaries": 5, "crm.drawings": 10}},
        },
        "plans": {
            "free": {"modules": ["crm"], "features": {"crm.imports": "10/month", "seats": 2}},
            "pro": {
                "extends": "free",
                "price": {"monthly": 5, "currency": "EUR"},
                "features": {
                    "crm.export": True,
                    "crm.page": 5,
                    "crm.imports": "100/month",
                    "crm.calls": "10/month",
                    "crm.mails": "10/month",
                    "crm.files": "10/month",
                    "crm.notes": "10/month",
                    "crm.hours": "10/month",
                    "crm.texts": "100/month",
                    "crm.contacts": 100,
                    "tokens": "50/month",
                },
            },
            "all": {
                "extends": "pro",
                "price": {"monthly": 9, "currency": "EUR"},
                "modules": ["hr"],
                "features": {"hr.runs": "2/month", "crm.imports": "unlimited", "crm.summaries": "3/month"},
            },
        },
    }
)


class Counting(Stage):
    """Same as `Stage`, with features that are counted."""

    def open(self, **named) -> Told:
        return super().open(**{"catalog": CATALOG, **named})


@pytest.fixture(params=["sync", "async"])
def stage(request) -> Iterator[Counting]:
    with asyncio.Runner() as runner:
        found = Counting(request.param, runner, CATALOG)
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
    for name in ("PAYAID_URL", "PAYAID_LEDGER", "PAYAID_ENFORCEMENT", "FEATURE_LICENSING", "FEATURE_MODULE_GATING"):
        monkeypatch.delenv(name, raising=False)
