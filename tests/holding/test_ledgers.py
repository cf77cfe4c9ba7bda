"""Holds and slots on each ledger there is, from reserving to settling late: the same in every place."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from payaid_entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import (
    ConfigurationError,
    OperationConflict,
    QuotaExceeded,
    ReservationExpired,
    SlotTaken,
    UnknownOperation,
)
from payaid_entitlements.stores.sql import SQLStore
from payaid_entitlements.testing import FakeClock
from tests.entitlements.conftest import START, Told
from tests.holding.conftest import CATALOG

SEATS = ("acme", "seats")


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path / 'payaid.db'}"


@pytest.fixture(params=["sqlite_url", "postgres_url", "mariadb_url", "redis_url", "redis_cluster_url"])
def url(request):
    found = request.getfixturevalue(request.param)
    if not found.startswith("redis"):
        store = SQLStore(found)
        store.upgrade()
        store.close()
    return found


@pytest.fixture(params=[Entitlements, AsyncEntitlements])
def ent(request, url):
    with asyncio.Runner() as runner:

        def run(method, *args, **named):
            if request.param is Entitlements:
                return method(*args, **named)

            async def main():
                given = method(*args, **named)
                return await given if hasattr(given, "__await__") else given

            return runner.run(main())

        told = Told(request.param.open(url, catalog=CATALOG, clock=FakeClock(START)), run)
        told.admin().subscribe("acme", "pro")
        yield told
        told.close()


def test_holds_are_the_same_everywhere(ent):
    """Set aside, found, extended, settled, settled again, refunded, released, expired, begun anew."""

    def reserve(operation, amount=4):
        return Told(ent.reserve("acme", "crm.pages", amount, operation=operation), ent.run)

    def left():
        found = ent.usage("acme", "crm.pages")["crm.pages"]
        return found.used, found.held

    clock = ent.inner._setting.wall
    reserve(("job", 1)).hand_over()
    assert left() == (0, 4)
    hold = Told(ent.reservation("acme", ("job", 1)), ent.run)
    assert (hold.feature, hold.amount, hold.expires_at) == ("crm.pages", 4, clock.now() + timedelta(minutes=5))
    hold.extend(timedelta(minutes=5))
    clock.advance(minutes=9)
    assert (hold.settle(3).used, left()) == (3, (3, 0))
    assert hold.settle(3).replayed
    for act in (lambda: hold.settle(2), hold.release, lambda: hold.extend(timedelta(minutes=1))):
        with pytest.raises(OperationConflict):
            act()
    again = reserve(("job", 1))
    assert (again.replayed, again.settle(3).replayed, left()) == (True, True, (3, 0))
    ent.refund("acme", operation=("job", 1))
    assert left() == (0, 0)
    for _ in range(2):
        failing = reserve(("job", 2), 10)
        with pytest.raises(QuotaExceeded):
            reserve("other", 1)
        failing.release()
        failing.release()
        with pytest.raises(ReservationExpired):
            failing.settle(1)
    late = reserve(("job", 2), 10)
    clock.advance(minutes=5)
    with pytest.raises(ReservationExpired):
        late.settle()
    with pytest.raises(ReservationExpired):
        Told(ent.reservation("acme", ("job", 2)), ent.run).settle()
    assert (reserve(("job", 2), 10).settle(11).overage, left()) == (1, (11, 0))
    with pytest.raises(UnknownOperation):
        ent.reservation("acme", ("job", 3))


def test_slots_are_the_same_everywhere(ent):
    """Given, given again, refused, handed over, freed, expired, brought in line."""
    clock = ent.inner._setting.wall
    for holder in ("a", "A", "é"):
        assert ent.assign(*SEATS, holder, expires_in=timedelta(days=1)).replayed is False
    assert ent.assign(*SEATS, "a").expires_at is None
    with pytest.raises(QuotaExceeded) as caught:
        ent.assign(*SEATS, "b")
    assert caught.value.decision.usage.used == 3
    assert ent.try_assign(*SEATS, "b").allowed is False
    assert ent.reassign(*SEATS, "A", "b").expires_at is None
    assert ent.reassign(*SEATS, "A", "b").replayed
    with pytest.raises(SlotTaken):
        ent.reassign(*SEATS, "a", "b")
    clock.advance(days=1)
    assert sorted(each.holder for each in ent.assignments(*SEATS)) == ["a", "b"]
    said = ent.try_assign(*SEATS, "c")
    assert (said.usage.used, said.usage.remaining) == (3, 0)
    ent.unassign(*SEATS, "c")
    ent.unassign(*SEATS, "c")
    found = ent.admin().reconcile(*SEATS, ["a", "d"])
    assert (found.assigned, found.freed) == (("d",), ("b",))
    assert ent.usage(*SEATS)["seats"].used == 2


@pytest.mark.parametrize("url", ["redis_url"], indirect=True)
def test_a_redis_joins_no_transaction(ent):
    """What it has counted would not be rolled back."""
    for act in (
        lambda: ent.assign(*SEATS, "a", tx=object()),
        lambda: ent.unassign(*SEATS, "a", tx=object()),
        lambda: ent.require_room("acme", "crm.contacts", tx=object()),
    ):
        with pytest.raises(ConfigurationError):
            act()
