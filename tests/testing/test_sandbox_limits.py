"""Rate limits in a sandbox: counted in memory on the test's clock, and used up in one line."""

from __future__ import annotations

import asyncio
import inspect
from datetime import UTC, datetime, timedelta

import pytest

from payaid_entitlements import UNLIMITED, AsyncEntitlements, Entitlements
from payaid_entitlements.errors import ConfigurationError, RateLimited
from payaid_entitlements.testing import FakeClock, sandbox
from tests.limiting.conftest import CATALOG

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(params=[Entitlements, AsyncEntitlements], ids=["sync", "async"])
def client(request):
    return request.param.open("memory://", catalog=CATALOG)


@pytest.fixture
def inside(client):
    with sandbox(client, clock=FakeClock(NOON)) as found:
        yield found


def done(asked):
    """What either colour says."""
    if not inspect.isawaitable(asked):
        return asked

    async def awaited():
        return await asked

    return asyncio.run(awaited())


def test_a_limit_is_used_up_in_one_line(inside):
    assert inside.exhaust_rate_limit("acme", "api", leave=1).remaining == 1
    assert done(inside.client.rate_limit("acme", "api")).remaining == 0
    with pytest.raises(RateLimited):
        done(inside.client.rate_limit("acme", "api"))
    inside.clock.advance(timedelta(minutes=1))
    assert inside.exhaust_rate_limit("acme", "api").remaining == 0
    assert not done(inside.client.try_rate_limit("acme", "api")).allowed
    assert inside.counts[("rate_limit.refused", "api")] == 2


def test_permits_are_used_up_too(inside):
    assert inside.exhaust_rate_limit("acme", "jobs", leave=1).remaining == 1
    assert inside.exhaust_rate_limit("acme", "jobs").remaining == 0
    assert done(inside.client.rate_limit_status("acme", "jobs")).remaining == 0


def test_those_of_users_and_addresses(inside):
    assert inside.exhaust_rate_limit("acme", "crm.export", user="asha").remaining == 0
    assert not done(inside.client.try_rate_limit("acme", "crm.export", user="asha")).allowed
    assert inside.exhaust_rate_limit("acme", "login", address="192.0.2.1").remaining == 0
    with pytest.raises(TypeError):
        inside.exhaust_rate_limit("acme", "login")


def test_what_cannot_be_used_up(inside):
    with pytest.raises(ConfigurationError, match="3 are left"):
        inside.exhaust_rate_limit("acme", "api", leave=4)
    inside.override("acme", "rate_limits.api", UNLIMITED)
    with pytest.raises(ConfigurationError, match="all are left"):
        inside.exhaust_rate_limit("acme", "api")


def test_the_limiter_is_down_with_the_store(inside):
    """Each limit says what holds then; afterwards all is as it was."""
    inside.exhaust_rate_limit("acme", "api")
    with inside.outage(is_warm=True):
        assert done(inside.client.rate_limit("acme", "feed")).on_outage == "open"
        for _ in range(7):
            assert not done(inside.client.try_rate_limit("acme", "crm.export", user="asha")).allowed
    assert done(inside.client.rate_limit("acme", "feed")).on_outage is None
    assert not done(inside.client.try_rate_limit("acme", "api")).allowed


def test_what_was_counted_in_a_sandbox_stays_there(client):
    with sandbox(client) as inside:
        inside.exhaust_rate_limit("acme", "api")
    assert done(client.rate_limit("acme", "api")).remaining == 2
