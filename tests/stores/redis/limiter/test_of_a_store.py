"""A limiter belongs to a store in Redis, with connections of its own."""

from __future__ import annotations

import pytest
import redis
import redis.asyncio

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.redis import AsyncRedisLimiter, AsyncRedisStore, RedisLimiter, RedisStore
from payaid_entitlements.testing.contracts.awaiting import LoopThread
from tests.stores.redis.conftest import PATIENT
from tests.stores.redis.limiter.calling import group, policy

ASKED = group("owner", policy(5))


def _connected(url):
    with redis.Redis.from_url(url) as client:
        return client.info("clients")["connected_clients"]


def test_a_store_has_one_limiter_that_ends_with_it(redis_url):
    before = _connected(redis_url)
    store = RedisStore(redis_url + PATIENT + "&payaid_prefix=app")
    assert store.limiter is store.limiter
    assert (store.limiter.name, store.limiter.is_shared) == (store.name, True)
    store.prepare()
    store.limiter.prepare()
    assert store.limiter.hit(ASKED).is_allowed
    with redis.Redis.from_url(redis_url) as client:
        assert client.exists("app:rl:{owner}:c0")
    assert _connected(redis_url) == before + 2
    store.close()
    assert _connected(redis_url) == before
    assert store.limiter.hit(ASKED, 0).verdicts[0].remaining == 4
    store.close()


def test_the_twin_has_one_too(redis_url):
    before = _connected(redis_url)
    with LoopThread() as loop:
        store = AsyncRedisStore(redis_url + PATIENT)
        assert store.limiter is store.limiter
        assert loop.run(store.limiter.hit(group("owner", policy(5)))).is_allowed
        loop.run(store.aclose())
    assert _connected(redis_url) == before


def test_a_store_whose_limiter_nobody_used_has_none_to_close(redis_url):
    RedisStore(redis_url).close()
    with LoopThread() as loop:
        loop.run(AsyncRedisStore(redis_url).aclose())


@pytest.mark.parametrize("url", ["redis://localhost", "redis://localhost?socket_timeout=3"])
def test_how_long_it_waits(url):
    store = RedisStore(url)
    stores = store._client.waits
    assert stores == (3 if "timeout" in url else 0.2)
    assert store.limiter._client.waits == (3 if "timeout" in url else 0.05)


def test_the_other_colour_is_refused(redis_url):
    with pytest.raises(ConfigurationError, match="other colour"):
        RedisLimiter(redis.asyncio.Redis.from_url(redis_url))
    with pytest.raises(ConfigurationError, match="other colour"):
        AsyncRedisLimiter(redis.Redis.from_url(redis_url))
