"""A client of each colour on one store in memory, with acme on pro, and a clock that stands still."""

from __future__ import annotations

import asyncio
import weakref

import pytest

from payaid_entitlements import Entitlements, client, entitlements
from payaid_entitlements.guards import whom
from tests.entitlements.conftest import CATALOG, Stage


@pytest.fixture
def stage(monkeypatch):
    with asyncio.Runner() as runner:
        found = Stage("async", runner)
        found.elsewhere.subscribe("acme", "pro")
        # A guard asks the only client that is open: here that is one which the test itself opens.
        opened = weakref.WeakSet()
        for module in (client, entitlements, whom):
            monkeypatch.setattr(module, "OPENED", opened)
        yield found
        found.close()


@pytest.fixture
def ent(stage):
    with Entitlements(stage.memory, catalog=CATALOG, clock=stage.clock) as client:
        yield client


@pytest.fixture
def aent(stage):
    return stage.open().inner
