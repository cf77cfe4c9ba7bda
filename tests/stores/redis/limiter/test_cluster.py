"""What only a cluster has: servers that say where else something is, that know no script, or that are gone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from payaid_entitlements.core.ratelimit.policy import Algorithm
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores.redis import AsyncRedisLimiter, RedisLimiter
from tests.stores.redis.conftest import PATIENT
from tests.stores.redis.limiter.calling import group, policy

OWNERS = [f"owner{number}" for number in range(24)]


def _run(url: str, test: Callable[[AsyncRedisLimiter], Awaitable[None]]) -> None:
    """Run *test* on an event loop, with a limiter that it ends."""

    async def run() -> None:
        limiter = AsyncRedisLimiter(url)
        try:
            await test(limiter)
        finally:
            await limiter.aclose()

    asyncio.run(run())


async def _hit_all(limiter: AsyncRedisLimiter, cost: int = 1) -> list[object]:
    a_day = policy(100, Algorithm.FIXED_WINDOW, window=86_400_000_000)
    asked = (limiter.hit(group(owner, a_day), cost) for owner in OWNERS)
    return await asyncio.gather(*asked, return_exceptions=True)


def _left(rulings):
    return [ruling.verdicts[0].remaining for ruling in rulings]


def _slots(limiter):
    """Of each owner: its slot, as the client believes that the cluster has them."""
    raw = limiter._client.raw
    return {owner: raw.keyslot(f"{{{owner}}}") for owner in OWNERS}, raw.nodes_manager.slots_cache


def test_scripts_that_were_forgotten_travel_along(redis_cluster_url, redis_cluster):
    async def test(limiter):
        for number in range(1, 10):
            for server in redis_cluster.masters:
                with server.client() as client:
                    client.script_flush()
            assert _left(await _hit_all(limiter)) == [100 - number] * len(OWNERS)

    _run(redis_cluster_url + PATIENT, test)


def test_what_is_elsewhere_is_asked_there(redis_cluster_url):
    async def test(limiter):
        await _hit_all(limiter)
        slots, believed = _slots(limiter)
        nodes = list({id(each[0]): each for each in believed.values()}.values())
        for owner in OWNERS[::2]:
            believed[slots[owner]] = next(each for each in nodes if each is not believed[slots[owner]])
        assert _left(await _hit_all(limiter)) == [98] * len(OWNERS)

    _run(redis_cluster_url + PATIENT, test)


def test_what_is_elsewhere_and_does_not_answer_there(redis_cluster_url, monkeypatch):
    async def test(limiter):
        await _hit_all(limiter)
        slots, believed = _slots(limiter)
        mine = slots[OWNERS[0]]
        believed[mine] = next(each for each in believed.values() if each[0] is not believed[mine][0])

        async def lost(*_):
            raise RedisConnectionError("lost")

        monkeypatch.setattr(limiter._client, "run", lost)
        rulings = await _hit_all(limiter)
        assert [type(each) for each in rulings].count(StoreUnavailable) == 1
        assert isinstance(rulings[0], StoreUnavailable)
        assert _left(rulings[1:]) == [98] * (len(OWNERS) - 1)

    _run(redis_cluster_url + PATIENT, test)


def test_what_nobody_has_fails_alone_and_is_looked_for(redis_cluster_url):
    async def test(limiter):
        await _hit_all(limiter)
        slots, believed = _slots(limiter)
        del believed[slots[OWNERS[0]]]
        rulings = await _hit_all(limiter)
        assert isinstance(rulings[0], StoreUnavailable)
        assert _left(rulings[1:]) == [98] * (len(OWNERS) - 1)
        await limiter._turns.settle()
        assert _left(await _hit_all(limiter, 0)) == [99] + [98] * (len(OWNERS) - 1)

    _run(redis_cluster_url + PATIENT, test)


@pytest.fixture
def limiter(redis_cluster_url):
    limiter = RedisLimiter(redis_cluster_url + PATIENT)
    yield limiter
    limiter.close()


def _hit_each(limiter, cost=1):
    a_day = policy(100, Algorithm.FIXED_WINDOW, window=86_400_000_000)
    return [limiter.hit(group(owner, a_day), cost) for owner in OWNERS]


def test_without_asyncio_too_what_is_elsewhere_is_asked_there(limiter, redis_cluster):
    assert _left(_hit_each(limiter)) == [99] * len(OWNERS)
    slots, believed = _slots(limiter)
    nodes = list({id(each[0]): each for each in believed.values()}.values())
    for owner in OWNERS[::2]:
        believed[slots[owner]] = next(each for each in nodes if each is not believed[slots[owner]])
    assert _left(_hit_each(limiter)) == [98] * len(OWNERS)
    for server in redis_cluster.masters:
        with server.client() as client:
            client.script_flush()
    assert _left(_hit_each(limiter)) == [97] * len(OWNERS)


def test_without_asyncio_too_what_nobody_has_is_looked_for_while_nobody_waits(limiter):
    _hit_each(limiter)
    slots, believed = _slots(limiter)
    del believed[slots[OWNERS[0]]]
    one = group(OWNERS[0], policy(100, Algorithm.FIXED_WINDOW, window=86_400_000_000))
    with limiter._client._looking:  # as while a thread looks
        with pytest.raises(StoreUnavailable):
            limiter.hit(one)
        assert slots[OWNERS[0]] not in limiter._client.raw.nodes_manager.slots_cache
    with pytest.raises(StoreUnavailable):
        limiter.hit(one)
    end = time.monotonic() + 20
    while slots[OWNERS[0]] not in limiter._client.raw.nodes_manager.slots_cache:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert _left(_hit_each(limiter)) == [98] * len(OWNERS)


@pytest.mark.alone
def test_a_server_that_is_gone_fails_those_it_has(redis_clusters):
    cluster = redis_clusters(cluster_require_full_coverage="no")
    server = cluster.masters[1]

    async def test(limiter):
        assert all(each.is_allowed for each in await _hit_all(limiter))
        server.kill()
        rulings = await _hit_all(limiter)
        failed = [place for place, each in enumerate(rulings) if isinstance(each, StoreUnavailable)]
        assert 0 < len(failed) < len(OWNERS)
        assert all(isinstance(rulings[place].__cause__, Exception) for place in failed)
        assert all(each.is_allowed for place, each in enumerate(rulings) if place not in failed)
        # There is no connection any more, and still nobody else who has them.
        await limiter._turns.settle()
        again = await _hit_all(limiter)
        assert [place for place, each in enumerate(again) if isinstance(each, StoreUnavailable)] == failed
        server.start()
        end = time.monotonic() + 20
        while any(isinstance(each, StoreUnavailable) for each in await _hit_all(limiter, 0)):
            assert time.monotonic() < end
            await asyncio.sleep(0.1)

    _run(cluster.url + PATIENT, test)


@pytest.mark.alone
@pytest.mark.soak
def test_a_server_that_is_replaced_is_not_noticed(redis_clusters):
    """RL-7: replicas take over from all masters while both colours count."""
    cluster = redis_clusters(replicas=1)
    done, failed, counted = threading.Event(), [], [0, 0]

    async def count(limiter):
        while not done.is_set():
            failed.extend(each for each in await _hit_all(limiter) if isinstance(each, BaseException))
            counted[0] += 1

    def count_alone():
        limiter = RedisLimiter(cluster.url + PATIENT)
        while not done.is_set():
            try:
                limiter.hit(group("owner", policy(10**6)))
                counted[1] += 1
            except StoreUnavailable as error:
                failed.append(error)
        limiter.close()

    threads = [threading.Thread(target=_run, args=(cluster.url + PATIENT, count)), threading.Thread(target=count_alone)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    cluster.fail_over()
    time.sleep(2)
    done.set()
    for thread in threads:
        thread.join(60)
    assert min(counted) > 10
    assert not failed, failed[:3]
