"""From a URL or a client of the host's to a store on Redis."""

from __future__ import annotations

import asyncio
import builtins

import pytest
import redis
import redis.asyncio

from payaid_entitlements import AsyncEntitlements, Catalog, Entitlements
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.opening import open_async_store, open_store
from payaid_entitlements.stores.redis import AsyncRedisStore, RedisStore
from payaid_entitlements.testing import FakeClock
from payaid_entitlements.testing.contracts.writes import tenant_write
from tests.stores.redis.conftest import PATIENT


@pytest.mark.parametrize("open_", [open_store, open_async_store])
@pytest.mark.parametrize(
    "url",
    [
        "redis://one",
        "rediss://:hunter2@one:1/3",
        "redis+cluster://one",
        "REDISS+cluster://one,two",
        "unix:///run/r.sock",
    ],
)
def test_a_url_opens_a_store_and_connects_to_nothing(open_, url):
    store = open_(url)
    assert isinstance(store, RedisStore | AsyncRedisStore)
    assert "hunter2" not in store.name
    assert not store.is_durable
    assert store.concerns == ()


def test_a_client_of_the_host_is_a_place(redis_url):
    class Theirs(redis.Redis):
        """A class of their own."""

    with Theirs.from_url(redis_url) as hosts:
        store = open_store(hosts)
        store.prepare()
        store.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
        store.close()
        assert hosts.hlen("{payaid}:documents") == 4
        assert RedisStore(hosts, prefix="other").current() is None


@pytest.mark.parametrize(
    ("open_", "place", "way_out"),
    [
        (open_store, redis.asyncio.Redis(), "to AsyncEntitlements"),
        (open_async_store, redis.Redis(), "to Entitlements"),
    ],
)
def test_a_client_of_the_other_colour_is_refused(open_, place, way_out):
    with pytest.raises(ConfigurationError, match=way_out):
        open_(place)


@pytest.mark.parametrize("open_", [open_store, open_async_store])
def test_without_the_driver_the_extra_is_named(open_, monkeypatch):
    whole = builtins.__import__

    def without(name, *rest):
        if name == "payaid_entitlements.stores.redis":
            raise ImportError("No module named 'redis'")
        return whole(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match=r"payaid-entitlements\[redis\]"):
        open_("redis://one")


def test_two_prefixes_are_two_stores(redis_url):
    one, other = RedisStore(redis_url + PATIENT), RedisStore(redis_url + PATIENT + "&payaid_prefix=other")
    for store in (one, other):
        store.prepare()
    one.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
    assert other.read(["acme"]) == {}
    assert list(other.audit()) == []
    for store in (one, other):
        store.close()


CATALOG = {"catalog": 1, "default_plan": "free", "modules": {"crm": {}}, "plans": {"free": {"modules": ["crm"]}}}


@pytest.mark.parametrize("fixture", ["redis_url", "redis_cluster_url"])
def test_an_application_changes_only_its_url(request, fixture):
    url = request.getfixturevalue(fixture) + PATIENT
    with Entitlements.open(url, catalog=Catalog.load(CATALOG)) as ent:
        assert ent.check("acme", "crm").allowed
        ent.admin("asha", because="a test").suspend("acme")
        assert not ent.check("acme", "crm").allowed
        assert ent.health().ok

    async def main():
        async with AsyncEntitlements.open(url) as ent:
            return await ent.check("acme", "crm"), await ent.check("beta", "crm")

    acme, beta = asyncio.run(main())
    assert not acme.allowed
    assert beta.allowed


def test_nobody_gets_in_because_all_was_lost(redis_url):
    """A tenant of whom nothing is known holds the default plan; one whose suspension was lost must not."""
    clock = FakeClock()
    url = redis_url + PATIENT
    with (
        redis.Redis.from_url(redis_url) as client,
        Entitlements.open(url, catalog=Catalog.load(CATALOG), clock=clock) as ent,
        Entitlements.open(url, clock=clock) as other,
    ):
        ent.admin("asha", because="a test").suspend("acme")
        assert not ent.check("acme", "crm").allowed
        assert ent.check("beta", "crm").allowed
        assert other.check("beta", "crm").allowed
        client.flushall()
        clock.advance(minutes=10)
        # Who knew of the suspension still does; who did not knows that he knows nothing.
        assert not ent.check("acme", "crm").allowed
        for each, tenant in ((ent, "gamma"), (other, "gamma"), (other, "acme")):
            decision = each.check(tenant, "crm")
            assert (decision.allowed, decision.reason.value) == (False, "store.unavailable")
            assert not each.health().ok
