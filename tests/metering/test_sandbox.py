"""Usage in a sandbox: a ledger in memory, on the test's clock, and quotas that are used up in one line."""

from __future__ import annotations

import asyncio
import inspect
from datetime import UTC, datetime

import pytest

from payaid_entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import ConfigurationError, StoreUnavailable, UnknownFeature
from payaid_entitlements.testing import FakeClock, sandbox
from tests.metering.conftest import CATALOG

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(params=[Entitlements, AsyncEntitlements], ids=["sync", "async"])
def inside(request):
    client = request.param.open("memory://", catalog=CATALOG)
    with sandbox(client, clock=FakeClock(NOON)) as found:
        found.subscribe("acme", "pro")
        yield found


def done(asked):
    """What either colour says."""
    if not inspect.isawaitable(asked):
        return asked

    async def awaited():
        return await asked

    return asyncio.run(awaited())


def try_one(inside, feature="crm.imports", operation="one"):
    return done(inside.client.try_consume("acme", feature, operation=operation)).allowed


def test_a_quota_is_used_up_in_one_line(inside):
    """And so that just so much is left, whatever was used before."""
    assert inside.exhaust("acme", "crm.imports").remaining == 0
    assert not try_one(inside)
    assert inside.exhaust("acme", "crm.imports", leave=1).remaining == 1
    assert try_one(inside)
    assert not try_one(inside, operation="two")
    assert inside.usage("acme", "crm.imports").used == 100
    assert inside.exhaust("acme", "crm.imports", leave=0).used == 100
    assert inside.exhaust("acme", "crm.imports", leave=100).used == 0


def test_what_is_beyond_the_limit_is_taken_back_too(inside):
    done(inside.client.consume("acme", "crm.calls", 15, operation="one"))
    assert inside.exhaust("acme", "crm.calls", leave=3).used == 7


def test_credits_are_used_up_as_well(inside):
    assert inside.exhaust("acme", "crm.drawings", leave=2).remaining == 2
    assert inside.usage("acme", "tokens").remaining == 20
    assert inside.exhaust("acme", "crm.drawings", leave=3).remaining == 3


def test_what_cannot_be_left_or_used_up_is_refused(inside):
    with pytest.raises(ConfigurationError, match="at most 100 can be left"):
        inside.exhaust("acme", "crm.imports", leave=101)
    inside.subscribe("big", "all")
    with pytest.raises(ConfigurationError, match="no limit"):
        inside.exhaust("big", "crm.imports")
    with pytest.raises(UnknownFeature):
        inside.exhaust("acme", "crm.importz")
    with pytest.raises(TypeError, match="slot"):
        inside.exhaust("acme", "seats")


def test_windows_follow_the_clock_of_the_test(inside):
    inside.exhaust("acme", "crm.imports")
    inside.clock.advance(days=31)
    assert try_one(inside)
    assert inside.usage("acme", "crm.imports").resets_at == datetime(2030, 7, 1, 12, tzinfo=UTC)


def test_an_outage_is_one_of_the_ledger_too(inside):
    assert try_one(inside)
    with inside.outage(is_warm=True), pytest.raises(StoreUnavailable):
        done(inside.client.consume("acme", "crm.imports", operation="two"))
    assert try_one(inside, operation="two")


@pytest.mark.parametrize("kind", [Entitlements, AsyncEntitlements])
def test_what_happens_inside_stays_inside(kind):
    """The app's own ledger never hears of it; its handlers do, for they are the app's."""
    client, told = kind.open("memory://", catalog=CATALOG), []
    client.on("usage.threshold")(told.append)
    with sandbox(client) as inside:
        inside.exhaust("acme", "crm.imports", leave=1)
        assert try_one(inside)
    assert [(event.threshold, event.used) for event in told] == [(80, 9), (100, 10)]
    assert done(client.usage("acme", "crm.imports"))["crm.imports"].used == 0
