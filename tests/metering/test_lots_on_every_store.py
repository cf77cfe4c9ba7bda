"""One story of lots, on every store with its own ledger: granted, rolled over, upgraded, undone, bought."""

from __future__ import annotations

from pathlib import Path

import pytest

from payaid_entitlements import AddAddOn, Entitlements, Reason
from payaid_entitlements.testing import FakeClock
from tests.metering.test_edge_cases import CATALOG, JUNE, START


@pytest.fixture(params=["memory", "sqlite", "postgres_url", "mariadb_url", "redis_url"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "memory":
        return "memory://"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'app.db'}"
    found = str(request.getfixturevalue(request.param))
    if request.param != "redis_url":
        from payaid_entitlements.stores.sql import SQLStore

        store = SQLStore(found)
        store.upgrade()
        store.close()
    return found


def test_lots_are_counted_alike(url):
    """What is left is the same number on all of them, and so is what exceeds."""
    clock = FakeClock(START)
    with Entitlements.open(url, catalog=CATALOG, clock=clock) as ent:
        admin = ent.admin("test", because="a test")

        def left(feature: str) -> object:
            return ent.usage("acme", feature)[feature].remaining

        admin.subscribe("acme", "pro", add_ons={"pack": 1})
        ent.consume("acme", "calls", 60, operation="may")
        admin.grant("acme", "calls", 7, expires="2 months", operation="bonus")
        clock.travel_to(JUNE)
        assert left("calls") == 40 + 100 + 7
        assert ent.consume("acme", "calls", 45, operation="june").remaining == 102
        clock.advance(days=1)
        upgrade = admin.change_plan("acme", "all", usage="carry_balance")
        assert left("calls") == 95 + 7 + 300
        ent.consume("acme", "calls", 200, operation="more")
        assert admin.undo(upgrade.id).exceeds == ()
        # The old month's 100 were used up; what was used of the new plan's lot is out of use; the grant comes last.
        assert left("calls") == 7
        ent.consume("acme", "summaries", 4, operation="credits")
        decision = ent.try_consume("acme", "summaries", operation="one more")
        assert decision.reason is Reason.CREDIT_EXHAUSTED
        assert ent.tenant("acme").remedies(decision)[0] == AddAddOn("pack", "pack", 1)
        admin.set_add_on("acme", "pack", 2)
        assert left("summaries") == 4
        admin.change_plan("acme", "all")
        for holder in ("a", "b", "c"):
            ent.assign("acme", "seats", holder)
        assert admin.change_plan("acme", "pro").exceeds == ("seats: 3 used, 2 allowed",)
