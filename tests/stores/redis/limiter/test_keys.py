"""What a limiter leaves in Redis: keys that say nothing of who is counted, that are small, and that do not stay."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import unicodedata

import pytest
import redis

from payaid_entitlements.core.ratelimit.policy import Algorithm
from payaid_entitlements.stores.limiter import Counter, Group
from payaid_entitlements.stores.redis import AsyncRedisLimiter, RedisLimiter
from payaid_entitlements.testing.contracts.awaiting import LoopThread
from tests.stores.redis.conftest import PATIENT
from tests.stores.redis.limiter.calling import MINUTE, group, policy

#: Windows of all that is counted here, in milliseconds.
WINDOW = MINUTE // 1000


@pytest.fixture
def limiter(redis_url):
    limiter = RedisLimiter(redis_url + PATIENT)
    yield limiter
    limiter.close()


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def test_a_key_is_its_owner_and_its_counter(limiter, client, redis_url):
    limiter.hit(group("owner", policy(5), policy(9)))
    assert sorted(client.keys()) == ["payaid:rl:{owner}:c0", "payaid:rl:{owner}:c1"]
    limiter.reset(group("owner", policy(5)))
    assert client.keys() == ["payaid:rl:{owner}:c1"]
    other = RedisLimiter(redis_url + PATIENT + "&payaid_prefix=app")
    other.hit(group("owner", policy(5)))
    assert "app:rl:{owner}:c0" in client
    other.close()


def _digest(*parts):
    """As groups are named: whatever a user has typed, behind its length."""
    text = b"".join(b"%d:%b" % (len(part.encode()), part.encode()) for part in parts)
    return base64.b32encode(hashlib.sha256(text).digest()).decode().lower()[:26]


def _pairs(count):
    """Pairs of names that are easily taken for each other."""
    odd = ["", "a", ":", "/", "{", "}", "}x", "{}", "*", "?", " ", "\0", "\n", "é", unicodedata.normalize("NFD", "é")]
    odd += ["x" * 10_240, "a:b", "a/b", "1:a"]
    made = [(one, another) for one in odd for another in odd]
    made += [(f"t{number}{one}", another) for number in range(count) for one, another in made[:17]]
    return list(dict.fromkeys(made))[:count]


@pytest.mark.parametrize(
    ("place", "count"),
    [
        ("redis_url", 300),
        ("redis_cluster_url", 100),
        pytest.param("redis_url", 5_000, marks=pytest.mark.soak),
        pytest.param("redis_cluster_url", 500, marks=pytest.mark.soak),
    ],
)
def test_no_two_names_share_a_counter(request, place, count):
    """RL-5: of a limit of one each is let through once, and all counters of a name are on one server."""
    names = _pairs(count)
    assert len(set(names)) == count

    async def use():
        limiter = AsyncRedisLimiter(str(request.getfixturevalue(place)) + PATIENT)
        asked = [
            Group(
                _digest(tenant), [Counter(_digest(tenant, name, window)[:16], policy(1)) for window in ("60", "3600")]
            )
            for tenant, name in names
        ]
        first = [await limiter.hit(each) for each in asked]
        second = [await limiter.hit(each) for each in asked]
        keys = [key for each in asked for key in limiter._made(each).keys]
        await limiter.aclose()
        return first, second, keys

    with LoopThread() as loop:
        first, second, keys = loop.run(use())
    assert all(each.is_allowed for each in first)
    assert not any(each.is_allowed for each in second)
    assert len(set(keys)) == 2 * count
    assert max(map(len, keys)) <= 200
    assert all(set(key) <= set(b"abcdefghijklmnopqrstuvwxyz234567:{}") for key in keys)


@pytest.mark.parametrize("keys", [2_000, pytest.param(200_000, marks=pytest.mark.soak)])
def test_a_flood_leaves_small_keys_that_do_not_stay(redis_servers, keys):
    """RL-6: at most 200 bytes for each, and no key lives for more than two windows."""
    server = redis_servers()

    async def flood(keys):
        limiter = AsyncRedisLimiter(server.url + PATIENT)
        one = policy(10, window=60 * MINUTE)  # longer than the flood
        for begin in range(0, keys, 500):
            asked = [Group(_digest(str(begin + n)), [Counter(_digest("export")[:16], one)]) for n in range(500)]
            await asyncio.gather(*(limiter.hit(each) for each in asked))
        await limiter.aclose()

    with server.client() as client:
        # What the script needs is there before the keys.
        asyncio.run(flood(500))
        client.flushall()
        before = client.info("memory")["used_memory"]
        asyncio.run(flood(keys))
        assert (client.info("memory")["used_memory"] - before) / keys <= 200
        assert client.dbsize() == client.info("keyspace")["db0"]["expires"] == keys
        for _ in range(50):
            assert 0 < client.pttl(client.randomkey()) <= 2 * 60 * WINDOW


@pytest.mark.parametrize("algorithm", Algorithm)
def test_each_key_lives_no_longer_than_it_counts(limiter, client, algorithm):
    asked = group("owner", policy(3, algorithm))
    for number in range(5):
        limiter.hit(asked, permit=1 + number)
        (key,) = client.keys()
        most = 2 * WINDOW if algorithm is Algorithm.SLIDING_COUNTER else WINDOW
        assert 0 < client.pttl(key) <= most + 1


def test_a_burst_is_remembered_until_it_is_worked_off(limiter, client):
    limiter.hit(group("owner", policy(1, burst=10)), 10)
    (key,) = client.keys()
    assert 9 * WINDOW < client.pttl(key) <= 10 * WINDOW + 1


@pytest.mark.parametrize("algorithm", Algorithm)
def test_who_stops_his_clock_is_counted_for_a_minute(limiter, client, algorithm):
    asked = group("owner", policy(3, algorithm, window=1_000))
    limiter.hit(asked, permit=1, now=1_790_000_000_000_000)
    (key,) = client.keys()
    assert 59_000 < client.pttl(key) <= 60_001


@pytest.mark.parametrize("algorithm", Algorithm)
def test_where_time_ran_backwards_nothing_stays_for_long(limiter, client, algorithm):
    asked = group("owner", policy(3, algorithm))
    limiter.hit(asked, permit=1, now=1_790_000_000_000_000)
    limiter.hit(asked, permit=2, now=1_780_000_000_000_000)
    (key,) = client.keys()
    assert client.pttl(key) <= 2 * WINDOW + 1


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_key_that_would_stay_gets_an_end(limiter, client, algorithm):
    asked = group("owner", policy(1, algorithm))
    limiter.hit(asked, permit=1)
    (key,) = client.keys()
    client.persist(key)
    assert not limiter.hit(asked, permit=2).is_allowed
    assert 0 < client.pttl(key) <= 2 * WINDOW + 1
    client.persist(key)
    assert limiter.hit(asked, 0, permit=2).is_allowed
    assert client.pttl(key) == -1  # who only asks changes nothing
    observed = group("owner", policy(1, algorithm, is_enforced=False))
    assert limiter.hit(observed, permit=2).is_allowed
    assert 0 < client.pttl(key) <= 2 * WINDOW + 1


def test_a_permit_that_is_given_back_leaves_the_others_their_time(limiter, client):
    asked = group("owner", policy(3), policy(3, Algorithm.CONCURRENCY))
    for permit in (1, 2):
        limiter.hit(asked, permit=permit)
    key = "payaid:rl:{owner}:c1"
    client.pexpire(key, 12_345)
    limiter.give_back(asked, 1)
    assert 0 < client.pttl(key) <= 12_345
    client.persist(key)
    limiter.give_back(asked, 7)  # nobody's
    limiter.hit(asked, permit=3)
    client.persist(key)
    limiter.give_back(asked, 3)
    assert 0 < client.pttl(key) <= 2 * WINDOW + 1
    limiter.give_back(asked, 2)
    assert client.keys() == ["payaid:rl:{owner}:c0"]
    for odd in ("x", "1 2 3"):
        client.set(key, odd)
        limiter.give_back(asked, 2)
        assert client.get(key) == odd
    client.delete(key)
    client.hset(key, "a", "1")
    limiter.give_back(asked, 2)
    assert client.type(key) == "hash"


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_key_of_another_type_is_written_over(limiter, client, algorithm):
    asked = group("owner", policy(2, algorithm), policy(1))
    key = "payaid:rl:{owner}:c0"
    client.hset(key, "a", "1")
    assert limiter.hit(asked, 0).verdicts[0].remaining == 2
    assert client.type(key) == "hash"
    assert limiter.hit(asked, permit=1).verdicts[0].remaining == 1
    assert client.type(key) == "string"
    client.delete(key)
    client.hset(key, "a", "1")
    # Where another policy refuses, it is left; not forever.
    assert not limiter.hit(asked, permit=2).is_allowed
    assert 0 < client.pttl(key) <= 2 * WINDOW + 1
