"""A ledger belongs to a store in Redis, stands beside a store of another kind, or is used by itself."""

from __future__ import annotations

import pytest
import redis
import redis.asyncio

from payaid_entitlements.core.metering.posting import Assign, Debit, Line
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.opening import find_ledger, open_store
from payaid_entitlements.stores.redis import AsyncRedisLedger, AsyncRedisStore, RedisLedger, RedisStore
from payaid_entitlements.testing.contracts.awaiting import LoopThread
from tests.stores.redis.conftest import PATIENT

ONE = [Debit("api", 1, (Line("api", "w1", 5),))]


def test_a_store_has_one_ledger_with_its_own_client(redis_url):
    store = RedisStore(redis_url + PATIENT)
    assert store.ledger is store.ledger
    store.prepare()
    store.ledger.prepare()
    store.ledger.post("acme", ONE, operation="op-1", digest="1")
    # Whose connections are the store's.
    store.ledger.close()
    with redis.Redis.from_url(redis_url) as client:
        before = client.info("clients")["connected_clients"]
        assert store.read(["acme"]) == {}
        assert client.info("clients")["connected_clients"] == before
    store.close()


def test_the_twin_has_one_too(redis_url):
    with LoopThread() as loop:
        store = AsyncRedisStore(redis_url + PATIENT)
        assert store.ledger is store.ledger
        loop.run(store.ledger.post("acme", ONE, operation="op-1", digest="1"))
        loop.run(store.ledger.aclose())
        assert loop.run(store.ledger.tenants()) == ["acme"]
        loop.run(store.aclose())


def test_beside_another_store(redis_url):
    store = open_store("memory://")
    ledger, opened = find_ledger(store, redis_url + PATIENT)
    assert isinstance(ledger, RedisLedger)
    ledger.post("acme", ONE, operation="op-1", digest="1")
    assert RedisLedger(redis_url + PATIENT).tenants() == ["acme"]
    assert opened is not None
    opened.close()
    assert find_ledger(store, RedisLedger(redis_url))[1] is None


def test_two_that_share_a_redis_have_nothing_in_common(redis_url):
    one, two = RedisLedger(redis_url + PATIENT), RedisLedger(redis_url + PATIENT + "&payaid_prefix=billing")
    for number, ledger in enumerate((one, two), 1):
        ledger.post("acme", ONE * 1, operation="op-1", digest=str(number))
        assert ledger.balances("acme", [("api", "w1")])["api", "w1"].used == 1
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        keys = {key.split(":u:")[0] for key in client.scan_iter()}
    assert keys == {"{payaid", "{billing"}
    one.close()
    two.close()


def test_a_client_of_the_host_stays_open_and_decodes_as_it_likes(redis_url):
    with redis.Redis.from_url(redis_url, decode_responses=True) as hosts:
        ledger = RedisLedger(hosts, prefix="app")
        ledger.prepare()
        assert ledger.keeps_for == 35 * 24 * 3600 * 1_000_000
        posted = ledger.post("acmé", ONE, operation="öp-1", digest="1")
        assert ledger.post("acmé", ONE, operation="öp-1", digest="1").filled == posted.filled
        ledger.post("acmé", [Assign("seats", "ásha", 3)])
        assert [slot.holder for slot in ledger.slots("acmé")] == ["ásha"]
        assert [each.operation for each in ledger.entries("acmé")] == ["öp-1"]
        assert ledger.tenants() == ["acmé"]
        assert len(ledger.book("acmé").accounts) == 2
        ledger.close()
        assert hosts.ping()


def test_how_long_operations_are_kept(redis_url):
    ledger = RedisLedger(redis_url + PATIENT + "&payaid_keep_operations=90d")
    assert ledger.keeps_for == 90 * 24 * 3600 * 1_000_000
    with pytest.raises(ConfigurationError, match="at least 32"):
        RedisLedger(redis_url + "?payaid_keep_operations=1d")


def test_the_other_colour_is_refused(redis_url):
    with pytest.raises(ConfigurationError, match="other colour"):
        AsyncRedisLedger(redis.Redis.from_url(redis_url))


def test_a_transaction_cannot_be_joined(open_ledger, redis_url):
    ledger = open_ledger(redis_url + PATIENT)
    for act in (
        lambda: ledger.post("acme", ONE, operation="op-1", tx=object()),
        lambda: ledger.balances("acme", [("api", "w1")], tx=object()),
        lambda: ledger.forget("acme", tx=object()),
        lambda: ledger.lock("acme", "api", tx=object()),
    ):
        with pytest.raises(ConfigurationError, match=r"ledger='postgresql://"):
            act()
    assert ledger.tenants() == []


def test_what_is_wrong_with_how_the_server_keeps_it_is_said(open_ledger, redis_servers):
    server = redis_servers(appendonly="yes", maxmemory="100mb", maxmemory_policy="allkeys-lru")
    ledger = open_ledger(server.url + PATIENT)
    assert (ledger.is_durable, ledger.concerns) == (False, ())
    ledger.prepare()
    assert not ledger.is_durable
    assert [each.found.split(":")[0] for each in ledger.concerns] == [
        "appendfsync is everysec",
        "maxmemory-policy is allkeys-lru",
    ]
    with server.client() as client:
        client.execute_command("ACL SETUSER default -config")
    plain = open_ledger(server.url + PATIENT)
    plain.prepare()
    assert len(plain.concerns) == 1
