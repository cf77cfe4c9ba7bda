"""
Servers that stand still for 300 ms, and answers that get lost: a call is counted once where it came to be, and no more.

Whoever sends again what got no answer in time counts twice; redis-py does by itself, unless it is told not to.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores.hurry import within
from payaid_entitlements.stores.limiter import Counter, Group
from tests.faults.limiting import HOUR, NOW, open_empty
from tests.faults.metering import PATIENCE, known

#: Seconds for which a server stands still.
STALL = 0.3
#: More than any test takes.
MANY = 100_000
POLICY = Policy("all", Algorithm.FIXED_WINDOW, MANY, HOUR, MANY)

stalls = pytest.mark.parametrize("stalls", [3, pytest.param(50, marks=pytest.mark.soak)])


@dataclass
class Asked:
    """A limiter of which one thing is asked, on a way on which answers may be late or get lost."""

    limiter: Any
    proxy: Any
    group: Group = field(default_factory=lambda: Group("owner", [Counter("key", POLICY)]))

    def hit(self) -> bool:
        """Does one call pass?"""
        return bool(self.limiter.hit(self.group, now=NOW).is_allowed)

    def counted(self) -> int:
        """How many calls were counted, as soon as somebody says."""
        return MANY - int(known(lambda: self.limiter.hit(self.group, 0, now=NOW)).verdicts[0].remaining)

    def stand_still(self) -> None:
        """Ask while each answer is later than a limiter waits."""
        self.proxy.delay(STALL)
        with pytest.raises(StoreUnavailable):
            self.hit()
        self.proxy.heal()


@pytest.fixture
def opened(proxies):
    """A function that opens a limiter by way of a proxy; all are closed after the test."""
    stores = []

    def opened(url: str) -> Asked:
        proxy = proxies(url)
        stores.append(open_empty(proxy.url))
        known(stores[-1].limiter.prepare)
        return Asked(stores[-1].limiter, proxy)

    yield opened
    for store in stores:
        store.close()


@pytest.fixture(params=["postgres_url", "mariadb_url"])
def database(request, opened):
    """A limiter on a database of each kind."""
    return opened(request.getfixturevalue(request.param))


@stalls
def test_what_a_redis_that_stands_still_was_asked_is_counted_once(opened, redis_url, stalls):
    """The call comes to it, and its answer too late."""
    asked = opened(redis_url)
    for number in range(stalls):
        assert asked.counted() == number
        asked.stand_still()
    assert asked.counted() == stalls
    assert known(asked.hit)
    assert asked.counted() == stalls + 1


def test_a_client_that_sends_again_would_be_found_out(proxies, redis_url):
    proxy = proxies(redis_url)
    direct = redis.Redis.from_url(redis_url)
    client = redis.Redis.from_url(proxy.url, socket_timeout=STALL / 2, retry=Retry(NoBackoff(), 5))
    client.ping()
    proxy.freeze()
    moving_again = threading.Timer(STALL, proxy.heal)
    moving_again.start()
    client.incr("calls")
    moving_again.join()
    assert int(direct.get("calls") or 0) > 1
    client.close()
    direct.close()


@stalls
def test_what_a_database_that_stands_still_was_asked_is_not_counted(database, stalls):
    """The call reads before it writes, and nothing was read in time."""
    for _ in range(stalls):
        assert database.counted() == 0
        database.stand_still()
    assert known(database.hit)
    assert database.counted() == 1


@stalls
def test_what_a_database_has_written_is_counted_once_though_its_answer_is_lost(database, stalls):
    with within(PATIENCE):
        assert database.hit()
        for number in range(1, stalls + 1):
            assert database.counted() == number
            # Only what writes has the state in it that comes next.
            database.proxy.drop_reply(to=f"{NOW // HOUR * HOUR} {number + 1}".encode())
            with pytest.raises(StoreUnavailable):
                database.hit()
            assert database.proxy.dropped == number
        assert database.counted() == stalls + 1
