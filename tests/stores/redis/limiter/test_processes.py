"""Real processes on one limiter: exactly what there is passes, whatever their clocks say."""

from __future__ import annotations

import time

import pytest

from payaid_entitlements.core.ratelimit.policy import Algorithm
from payaid_entitlements.stores.redis import RedisLimiter
from tests.stores.conftest import Racers
from tests.stores.redis.conftest import PATIENT
from tests.stores.redis.limiter.calling import MINUTE, groups, hit_all, skewed

BEGIN = 1_790_000_000_000_000


@pytest.fixture
def eight():
    racers = Racers(8)
    yield racers
    racers.close()


def _exact(taken: list[list[int]], keys: int, quota: int) -> None:
    assert [sum(each) for each in zip(*taken, strict=True)] == [quota] * keys


@pytest.mark.parametrize("place", ["redis_url", "redis_cluster_url"])
def test_exactly_what_there_is_passes(racers: Racers, request: pytest.FixtureRequest, place: str) -> None:
    """RL-1, in short: each key is wanted by all processes at once, far more often than it lets through."""
    url = str(request.getfixturevalue(place)) + PATIENT
    _exact(racers.race(hit_all, url, 20, 5, 5, BEGIN, 0.0), 20, 5)


@pytest.mark.soak
@pytest.mark.alone
@pytest.mark.parametrize("place", ["redis_url", "redis_cluster_url"])
def test_exactly_what_there_is_passes_of_32_000_attempts(
    eight: Racers, request: pytest.FixtureRequest, place: str
) -> None:
    """RL-1: 200 keys of 5, 8 processes with 20 attempts each on every key; three rounds."""
    for turn in range(3):
        url = str(request.getfixturevalue(place)) + PATIENT + f"&payaid_prefix=turn{turn}"
        _exact(eight.race(hit_all, url, 200, 5, 20, BEGIN, 0.0), 200, 5)


@pytest.mark.parametrize("attempts", [10, pytest.param(50, marks=pytest.mark.soak)])
def test_clocks_that_are_wrong_change_nothing(racers: Racers, redis_url: str, attempts: int) -> None:
    """RL-8: the clocks of half of the processes are five minutes ahead, those of the others as much behind."""
    for ahead in (0.0, 300.0):
        into = time.time() % 60
        # Not over the end of a window, which would let as many pass again.
        time.sleep(60.1 - into if into > 55 else 0)
        url = redis_url + PATIENT + f"&payaid_prefix=ahead{ahead:g}"
        _exact(racers.race(hit_all, url, len(Algorithm), 7, attempts, None, ahead), len(Algorithm), 7)


def test_whose_clock_is_wrong_is_counted_by_the_servers(redis_url: str) -> None:
    """RL-8: who is ahead does not get units of later, and who is behind none of before."""
    limiter = RedisLimiter(redis_url + PATIENT)
    for asked in groups(len(Algorithm), 3):
        passed = 0
        for turn in range(6):
            with skewed(300 if turn % 2 else -300):
                ruling = limiter.hit(asked, permit=1 + turn)
            passed += ruling.is_allowed
            assert abs(ruling.now - time.time() * 1_000_000) < MINUTE
        assert passed == 3, asked.counters[0].policy
    limiter.close()
