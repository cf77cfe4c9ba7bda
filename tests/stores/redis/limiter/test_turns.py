"""What is asked within one turn of an event loop travels together, and stays independent."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import time

import pytest
import redis
import redis.asyncio

from payaid_entitlements.core.ratelimit.policy import Algorithm
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores.redis import AsyncRedisLimiter
from payaid_entitlements.stores.redis.limiter import turns
from tests.stores.redis.conftest import PATIENT
from tests.stores.redis.limiter.calling import group, policy


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def servers(url, emptied_redis, request):
    """A client of each server that is asked."""
    if "cluster" in url:
        found = [server.client() for server in request.getfixturevalue("redis_cluster").masters]
    else:
        found = [emptied_redis[0].client()]
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(each) for each in found]


def _asked(servers, command="evalsha"):
    """How often the script was run, and how often a server was read from for it."""
    return sum(each.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"] for each in servers)


def _counted(servers):
    """The keys that count something."""
    return sorted(key for each in servers for key in each.keys("*:rl:*"))


def _alone(owner, quota=5):
    return group(owner, policy(quota))


def awaited(test):
    """Run *test*, a coroutine, on an event loop of its own."""

    @functools.wraps(test)
    def run(**given):
        asyncio.run(test(**given))

    return run


@contextlib.asynccontextmanager
async def _opened(url):
    limiter = AsyncRedisLimiter(url + PATIENT)
    try:
        yield limiter
    finally:
        await limiter.aclose()


@awaited
async def test_calls_of_one_turn_share_a_round_trip(url, servers):
    async with _opened(url) as limiter:
        await asyncio.gather(*(limiter.hit(_alone(f"first{number}")) for number in range(20)))
        before, reads = _asked(servers), sum(each.info("stats")["total_reads_processed"] for each in servers)
        rulings = await asyncio.gather(*(limiter.hit(_alone(f"o{number % 8}", 3)) for number in range(32)))
        reads = sum(each.info("stats")["total_reads_processed"] for each in servers) - reads
        assert [sum(each.is_allowed for each in rulings[number::8]) for number in range(8)] == [3] * 8
        is_cluster = len(servers) > 1
        assert _asked(servers) - before == (32 if is_cluster else 1)
        # On a cluster, a pipeline for each server. What we ask here is read too.
        assert reads <= (12 if is_cluster else 4)


@awaited
async def test_groups_are_independent_and_each_all_or_nothing(url, servers):
    async with _opened(url) as limiter:
        tight, wide = policy(1), policy(9, Algorithm.FIXED_WINDOW)
        asked = [group("one", wide, tight), group("two", wide, tight, policy(2)), group("three", wide)]
        first = await asyncio.gather(*(limiter.hit(each) for each in asked))
        second = await asyncio.gather(*(limiter.hit(each) for each in asked))
        assert [each.is_allowed for each in first + second] == [True, True, True, False, False, True]
        assert [[verdict.remaining for verdict in each.verdicts] for each in second] == [[8, 0], [8, 0, 1], [7]]


@awaited
async def test_a_key_that_somebody_has_spoilt_harms_nobody(url, servers):
    async with _opened(url) as limiter:
        keys = [limiter._made(_alone(f"o{number}")).keys[0] for number in range(3)]
        await limiter._client.call("HSET", keys[0], "a", "1")
        await limiter._client.call("SET", keys[1], "9" * 1_000)
        rulings = await asyncio.gather(*(limiter.hit(_alone(f"o{number}")) for number in range(3)))
        assert [(each.is_allowed, each.verdicts[0].remaining) for each in rulings] == [(True, 4)] * 3
        assert [await limiter._client.call("TYPE", key) for key in keys] == [b"string"] * 3


@awaited
async def test_who_is_cancelled_before_is_neither_sent_nor_counted(url, servers):
    async with _opened(url) as limiter:
        tasks = [asyncio.create_task(limiter.hit(_alone(f"o{number}"))) for number in range(4)]
        await asyncio.sleep(0)  # all have asked, and nothing was sent
        tasks[1].cancel()
        rulings = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(rulings[1], asyncio.CancelledError)
        assert [ruling.is_allowed for place, ruling in enumerate(rulings) if place != 1] == [True] * 3
        assert [key.split("{")[1] for key in _counted(servers)] == ["o0}:c0", "o2}:c0", "o3}:c0"]
        # Where all are, nothing is asked.
        before = _asked(servers)
        alone = asyncio.create_task(limiter.hit(_alone("o4")))
        await asyncio.sleep(0)
        alone.cancel()
        await asyncio.sleep(0.01)
        assert _asked(servers) == before


@awaited
async def test_who_is_cancelled_under_way_is_counted_and_harms_no_other(redis_servers):
    server = redis_servers()
    async with _opened(server.url) as limiter:
        await limiter.hit(_alone("first"))
        server.pause()
        tasks = [asyncio.create_task(limiter.hit(_alone(f"o{number}"))) for number in range(4)]
        await asyncio.sleep(0.05)
        tasks[1].cancel()
        await asyncio.sleep(0)
        server.resume()
        rulings = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(rulings[1], asyncio.CancelledError)
        assert [ruling.is_allowed for place, ruling in enumerate(rulings) if place != 1] == [True] * 3
        with server.client() as client:
            assert len(client.keys("*{o?}*")) == 4


@awaited
async def test_so_many_travel_together_and_no_more(url, servers, monkeypatch):
    monkeypatch.setattr(turns, "MOST", 10)
    async with _opened(url) as limiter:
        await limiter.hit(_alone("o", 20), 0)
        before = _asked(servers)
        rulings = await asyncio.gather(*(limiter.hit(_alone("o", 20)) for _ in range(35)))
        assert sum(each.is_allowed for each in rulings) == 20
        assert _asked(servers) - before == (35 if len(servers) > 1 else 4)


@awaited
async def test_a_server_that_does_not_answer_fails_all_of_a_turn(redis_servers):
    server = redis_servers()
    limiter = AsyncRedisLimiter(server.url)
    with contextlib.suppress(StoreUnavailable):  # a slow machine may take more than 50 ms
        await limiter.hit(_alone("first"))
    server.pause()
    tasks = [asyncio.create_task(limiter.hit(_alone(f"o{number}"))) for number in range(5)]
    await asyncio.sleep(0.01)
    tasks.pop().cancel()
    rulings = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in rulings] == [StoreUnavailable] * 4
    assert len(set(map(id, rulings))) == 4
    assert all(isinstance(each.__cause__, redis.RedisError) for each in rulings)
    server.resume()
    await limiter.aclose()


@pytest.mark.parametrize("answers", [True, False])
@awaited
async def test_a_loop_that_stands_still_is_not_taken_for_a_server_that_does(redis_servers, answers):
    server = redis_servers()
    limiter = AsyncRedisLimiter(server.url + "?socket_timeout=0.4")
    with contextlib.suppress(StoreUnavailable):
        await limiter.hit(_alone("first"))
    if not answers:
        server.pause()
    asked = asyncio.create_task(limiter.hit(_alone("o")))
    for _ in range(5):
        await asyncio.sleep(0)
    time.sleep(0.6)  # longer than it waits, and shorter than its connections do
    if answers:
        assert (await asked).is_allowed
    else:
        with pytest.raises(StoreUnavailable, match="in time"):
            await asked
        server.resume()
        # What comes now is read, and no one waits for it.
        await limiter._turns.settle()
        assert (await limiter.hit(_alone("o"))).verdicts[0].remaining == 3
    await limiter.aclose()


@awaited
async def test_who_closes_waits_for_what_is_under_way(url):
    limiter = AsyncRedisLimiter(url + PATIENT)
    asked = asyncio.create_task(limiter.hit(_alone("o")))
    await asyncio.sleep(0)
    await limiter.aclose()
    assert (await asked).is_allowed
    await limiter.aclose()


def test_each_event_loop_has_turns_of_its_own(url):
    limiter = AsyncRedisLimiter(url + PATIENT)

    async def use():
        rulings = await asyncio.gather(*(limiter.hit(_alone("o")) for _ in range(4)))
        await limiter.aclose()
        return sum(each.is_allowed for each in rulings)

    assert asyncio.run(use()) == 4
    assert asyncio.run(use()) == 1
    gc.collect()
    assert len(limiter._turns._turns) == 0


def test_a_loop_that_ends_leaves_nobody_waiting(redis_servers):
    server = redis_servers()
    limiter = AsyncRedisLimiter(server.url + PATIENT)
    ended = []

    async def wait():
        try:
            await limiter.hit(_alone("o"))
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def end():
        await limiter.hit(_alone("first"))
        server.pause()
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0.05)
        (sending,) = limiter._turns._turns[asyncio.get_running_loop()].sending
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        server.resume()
        await limiter.aclose()

    asyncio.run(end())
    assert ended == ["cancelled"]


@awaited
async def test_a_mistake_of_ours_is_no_outage(redis_url, monkeypatch):
    limiter = AsyncRedisLimiter(redis_url + PATIENT)

    async def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(limiter._client, "run", broken)
    with pytest.raises(ZeroDivisionError) as caught:
        await limiter.hit(_alone("o"))
    assert caught.value.__cause__ is None
    await limiter.aclose()


@pytest.mark.parametrize("kind", ["one", "cluster"])
@awaited
async def test_a_client_of_the_host_may_decode_and_stays_open(request, kind):
    if kind == "one":
        hosts = redis.asyncio.Redis.from_url(request.getfixturevalue("redis_url"), decode_responses=True)
    else:
        url = request.getfixturevalue("redis_cluster_url").replace("redis+cluster", "redis")
        hosts = redis.asyncio.RedisCluster.from_url(url, decode_responses=True)
    limiter = AsyncRedisLimiter(hosts, prefix="app")
    rulings = await asyncio.gather(*(limiter.hit(_alone("o")) for _ in range(6)))
    assert sum(each.is_allowed for each in rulings) == 5
    await limiter.aclose()
    assert await hosts.get("app:rl:{o}:c0")
    await hosts.aclose()
