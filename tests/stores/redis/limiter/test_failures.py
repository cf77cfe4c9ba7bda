"""What goes wrong with a limiter's Redis: nobody waits for long, and nothing is counted twice."""

from __future__ import annotations

import threading
import time

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from payaid_entitlements.core.ratelimit.policy import Algorithm
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores.redis import RedisLimiter
from payaid_entitlements.stores.redis.limiter.script import HIT
from tests.stores.redis.conftest import PATIENT
from tests.stores.redis.limiter.calling import group, policy

ASKED = group("owner", policy(1_000))


def _left(limiter):
    return limiter.hit(ASKED, 0).verdicts[0].remaining


def _every_call(limiter):
    permits = group("owner", policy(5, Algorithm.CONCURRENCY))
    return (lambda: limiter.hit(ASKED), lambda: limiter.reset(ASKED), lambda: limiter.give_back(permits, 1))


def test_where_there_is_nothing_nothing_is_asked(open_limiter, redis_url, proxies):
    proxy = proxies(redis_url)
    limiter = open_limiter(proxy.url)
    limiter.give_back(ASKED, 1)  # it has no permits
    limiter.reset(group("owner"))
    assert proxy.accepted == 0


def test_a_script_that_was_forgotten_is_sent_again(open_limiter, redis_url):
    limiter = open_limiter(redis_url + PATIENT)
    with redis.Redis.from_url(redis_url) as client:
        for number in range(1, 201):
            client.script_flush()
            assert limiter.hit(group("owner", policy(200))).verdicts[0].remaining >= 200 - number
            assert client.script_exists(HIT.sha) == [True]
        assert client.info("commandstats")["cmdstat_eval"]["calls"] == 200


def test_a_lost_answer_is_not_asked_for_again(open_limiter, redis_url, proxies):
    """RL-4: what was counted is what was asked, or less by what never arrived."""
    proxy = proxies(redis_url)
    limiter, direct = open_limiter(proxy.url + PATIENT), open_limiter(redis_url + PATIENT)
    limiter.hit(ASKED)
    for lost in range(1, 6):
        proxy.drop_reply(to=b"EVALSHA")
        with pytest.raises(StoreUnavailable) as caught:
            limiter.hit(ASKED)
        assert isinstance(caught.value.__cause__, redis.RedisError)
        assert proxy.dropped == lost
    fixed = group("owner", policy(1_000, Algorithm.FIXED_WINDOW, window=86_400_000_000))
    with pytest.raises(StoreUnavailable):
        proxy.drop_reply(to=b"EVALSHA")
        limiter.hit(fixed)
    assert direct.hit(fixed, 0).verdicts[0].remaining in {999, 1_000}


@pytest.mark.alone
@pytest.mark.parametrize("stalls", [3, pytest.param(50, marks=pytest.mark.soak)])
def test_a_server_that_stands_still_is_not_waited_for(open_limiter, redis_servers, stalls):
    """RL-4: so many stalls, and so many calls were counted."""
    server = redis_servers()
    limiter, patient = open_limiter(server.url), open_limiter(server.url + PATIENT)
    asked = group("owner", policy(1_000, Algorithm.FIXED_WINDOW, window=86_400_000_000))
    patient.hit(asked)
    waited = []
    for _ in range(stalls):
        patient.hit(asked, 0)
        server.pause()
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            limiter.hit(asked)
        waited.append(time.monotonic() - begun)
        server.resume()
    # A new connection, and the answer: each for 50 ms at most; a busy machine is given some more.
    assert sorted(waited)[len(waited) // 2] < 0.5
    used = 1_000 - patient.hit(asked, 0).verdicts[0].remaining
    assert 1 <= used <= 1 + stalls


def test_a_server_that_was_started_again(open_limiter, redis_servers):
    """RL-7: with it all is forgotten, also the scripts and the connections; nothing else is."""
    server = redis_servers()
    limiter = open_limiter(server.url + PATIENT)
    assert limiter.hit(ASKED).is_allowed
    server.kill()
    for call in _every_call(limiter):
        with pytest.raises(StoreUnavailable) as caught:
            call()
        assert isinstance(caught.value.__cause__, Exception)
    server.start()
    for call in _every_call(limiter):
        call()
    assert _left(limiter) == 1_000


def test_while_scripts_are_forgotten_nobody_notices(redis_url):
    """RL-7: several clients, and an operator who empties the server's memory of scripts, 200 times."""
    limiters = [RedisLimiter(redis_url + PATIENT) for _ in range(3)]
    asked = [group(f"owner{number}", policy(10**6)) for number in range(3)]
    done, failed = threading.Event(), []
    counted = [0, 0, 0]

    def use(number):
        try:
            while not done.is_set():
                limiters[number].hit(asked[number])
                counted[number] += 1
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    with redis.Redis.from_url(redis_url) as client:
        for _ in range(200):
            client.script_flush()
            time.sleep(0.001)
    done.set()
    for thread in threads:
        thread.join(30)
    assert not failed
    assert min(counted) > 0
    for limiter in limiters:
        limiter.close()


def test_a_server_without_memory_refuses_to_count(open_limiter, redis_servers):
    server = redis_servers(maxmemory_policy="noeviction")
    limiter = open_limiter(server.url + PATIENT)
    limiter.hit(ASKED)
    with server.client() as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(StoreUnavailable, match="no memory"):
            limiter.hit(ASKED)
        client.config_set("maxmemory", "0")
    assert limiter.hit(ASKED).is_allowed


def test_who_may_not_run_scripts_is_told(open_limiter, redis_servers):
    server = redis_servers()
    with server.client() as client:
        client.execute_command("ACL SETUSER default -evalsha -eval")
    with pytest.raises(StoreUnavailable, match="may not"):
        open_limiter(server.url + PATIENT).hit(ASKED)


def test_what_breaks_a_promise_is_said(open_limiter, redis_servers):
    server = redis_servers(maxmemory="100mb", maxmemory_policy="allkeys-lru")
    limiter = open_limiter(server.url + PATIENT)
    assert limiter.concerns == ()
    limiter.prepare()
    assert [each.found.split(":")[0] for each in limiter.concerns] == [
        "socket_timeout is 20",
        "maxmemory-policy is allkeys-lru",
    ]
    with server.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
    limiter.prepare()
    assert len(limiter.concerns) == 1


def test_by_itself_it_waits_for_50_ms(colour, open_limiter, redis_url):
    limiter = open_limiter(redis_url)
    for _ in range(20):
        try:
            limiter.prepare()
        except StoreUnavailable:  # as a busy machine does
            continue
        break
    assert limiter.concerns == ()
    assert limiter._client.waits == 0.05
    assert not limiter._client.repeats


@pytest.mark.parametrize("decodes", [False, True])
def test_a_client_of_the_host_keeps_its_own_time(redis_url, decodes):
    retry = Retry(NoBackoff(), 1)
    with redis.Redis.from_url(redis_url, decode_responses=decodes, retry=retry, socket_timeout=20) as hosts:
        limiter = RedisLimiter(hosts, prefix="app")
        limiter.prepare()
        assert [each.found.split(",")[0] for each in limiter.concerns] == ["the client is yours"]
        assert limiter.hit(ASKED).is_allowed
        limiter.close()
        assert hosts.exists("app:rl:{owner}:c0")


@pytest.mark.parametrize("place", ["redis_servers", pytest.param("redis_clusters", marks=pytest.mark.soak)])
def test_what_a_user_of_its_own_needs(open_limiter, request, place):
    """As the guide says it."""
    started = request.getfixturevalue(place)()
    granted = "~app:rl:* +@read +@write +@connection +eval +evalsha +time +info"
    granted += " +cluster +command +script|load" if place == "redis_clusters" else ""
    for server in getattr(started, "masters", [started]):
        with server.client() as client:
            client.execute_command(f"ACL SETUSER limits on >secret {granted}")
    url = started.url.replace("://", "://limits:secret@")
    limiter = open_limiter(url + PATIENT + "&payaid_prefix=app")
    limiter.prepare()
    asked = group("owner", policy(5), policy(5, Algorithm.CONCURRENCY))
    assert limiter.hit(asked, permit=1).is_allowed
    limiter.give_back(asked, 1)
    limiter.reset(asked)
    assert limiter.hit(asked, 0).verdicts[0].remaining == 5
