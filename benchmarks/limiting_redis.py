"""
What a limited call costs on Redis: over the least that anybody could send, a fixed window in a script of two commands.

The driver sends that by itself, as people write it; ours takes turns with it, call by call. Calls of one turn of an
event loop are compared with as many of it, one after the other: that is what they spare. Everything is on one
processor, so that what the server does for a turn counts as much as what we do.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final

import psutil  # type: ignore[import-untyped] # it says no types
import redis
import redis.asyncio

from benchmarks.measuring import Effort, Measured, alternate, alternate_awaited
from benchmarks.reporting import Row, row_of
from benchmarks.stage import Absent, Benchmark, Stage
from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy
from payaid_entitlements.stores.limiter import Counter, Group, Ruling
from payaid_entitlements.stores.redis import AsyncRedisLimiter, RedisLimiter

#: Over one EVALSHA by redis-py: what is promised for one limit, and for three limits in one call.
ONE: Final = 1.15
THREE: Final = 1.3
#: Of one synchronous EVALSHA, for each of 32 concurrent calls; on a cluster, where each is a script of its own.
TOGETHER: Final = {"redis": 0.4, "cluster": 0.6}
#: Over one asynchronous EVALSHA, for a call that is alone in its turn.
ALONE: Final = 1.7
#: Calls of a turn.
CALLS: Final = 32
#: Pairs of calls in a repeat.
PAIRS: Final = 150
#: So many units a minute that none is refused.
PLENTY: Final = 10**6

#: A fixed window by hand: a key, its milliseconds, its quota, a cost.
BY_HAND: Final = """
local used = redis.call('INCRBY', KEYS[1], ARGV[3])
if used == tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
if used > tonumber(ARGV[2]) then return {0, 0} end
return {1, tonumber(ARGV[2]) - used}
"""
_SENT: Final = (1, "by-hand", 3_600_000, 10**12, 1)

#: Our calls may wait for a processor that others use too.
PATIENT: Final = "?socket_timeout=5"


def group(owner: str, limits: int = 1) -> Group:
    """So many limits of one owner; their names are as long as real ones."""
    policy = Policy("benchmark", Algorithm.GCRA, PLENTY, 60_000_000, PLENTY)
    return Group(f"{owner:x>26}", [Counter(f"{number:c>16}", policy) for number in range(limits)])


def one(stage: Stage) -> Sequence[Row]:
    """A call of one limit, and one of three that are all or nothing."""
    url = stage.redis()
    with _on_one_processor(), _by_hand(url) as by_hand, closing(RedisLimiter(url + PATIENT)) as limiter:
        return [
            row_of(
                f"{name} in one call, redis, over one EVALSHA",
                alternate(partial(_allowed, limiter, group(name, limits)), by_hand, _effort(stage), stage.tick),
                budget,
            )
            for name, limits, budget in (("1 limit", 1, ONE), ("3 limits", 3, THREE))
        ]


def together(place: str, stage: Stage) -> Sequence[Row]:
    """Calls of one turn of an event loop, and one that is alone in it."""
    url = stage.redis() if place == "redis" else stage.cluster()
    with _on_one_processor(), _by_hand(url) as by_hand:
        return asyncio.run(_together(place, url, by_hand, stage))


async def _together(place: str, url: str, by_hand: Callable[[], object], stage: Stage) -> Sequence[Row]:
    bare: Any = _client_of(url, redis.asyncio)
    async with aclosing(AsyncRedisLimiter(url + PATIENT)) as limiter, aclosing(bare):
        asked = [group(f"together{number}") for number in range(CALLS)]
        sha = await bare.script_load(BY_HAND)

        async def turn() -> None:
            rulings = await asyncio.gather(*(limiter.hit(each) for each in asked))
            if not all(each.is_allowed for each in rulings):
                raise RuntimeError("a call was refused: nothing comparable was measured")

        async def alone() -> None:
            await limiter.hit(asked[0])

        async def by_hand_now() -> None:
            by_hand()

        async def by_hand_awaited() -> None:
            await bare.evalsha(sha, *_SENT)

        measured = await _alternate(turn, by_hand_now, stage)
        each = Measured(measured.ratio / CALLS, measured.noise / CALLS, measured.samples)
        rows = [row_of(f"each of {CALLS} calls of one turn, {place}, over one EVALSHA", each, TOGETHER[place])]
        measured = await _alternate(alone, by_hand_awaited, stage)
        name = f"a call that is alone in its turn, {place}, over one asynchronous EVALSHA"
        return [*rows, row_of(name, measured, ALONE)]


def _alternate(
    operation: Callable[[], Awaitable[object]], baseline: Callable[[], Awaitable[object]], stage: Stage
) -> Awaitable[Measured]:
    return alternate_awaited(operation, baseline, _effort(stage), stage.tick)


def _allowed(limiter: RedisLimiter, asked: Group) -> Ruling:
    ruling = limiter.hit(asked)
    if not ruling.is_allowed:
        raise RuntimeError("a call was refused: nothing comparable was measured")
    return ruling


def peers(stage: Stage) -> Sequence[Row]:
    """
    What others do, each by the script it brings, over the same.

    Raises:
        Absent: One of them is not installed.
    """
    rows = []
    url = stage.redis()
    with _on_one_processor(), _by_hand(url) as by_hand, redis.Redis.from_url(url) as client:
        for name, hit in _peers(url, client).items():
            measured = alternate(hit, by_hand, _effort(stage), stage.tick)
            rows.append(row_of(f"1 limit by {name}, redis, over one EVALSHA", measured, None))
    return rows


def _peers(url: str, client: Any) -> dict[str, Callable[[], object]]:
    try:
        from limits import RateLimitItemPerMinute
        from limits.storage import storage_from_string
        from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter
        from pyrate_limiter import Duration, Limiter, Rate, RedisBucket
        from throttled import Throttled, per_min
        from throttled.store import RedisStore
    except ImportError as error:
        raise Absent(f"{error.name} is not installed") from error
    storage = storage_from_string(url.replace("unix://", "redis+unix://"))
    item = RateLimitItemPerMinute(PLENTY)
    throttled = Throttled(key="peer", using="gcra", quota=per_min(PLENTY, PLENTY), store=RedisStore(url))
    bucket = Limiter(RedisBucket.init([Rate(PLENTY, Duration.MINUTE)], client, "pyrate"))
    return {
        "limits (fixed window)": partial(FixedWindowRateLimiter(storage).hit, item, "peer"),
        "limits (moving window)": partial(MovingWindowRateLimiter(storage).hit, item, "peer-moving"),
        "throttled-py (GCRA)": throttled.limit,
        "pyrate-limiter (log)": partial(bucket.try_acquire, "peer", blocking=False),
    }


@contextmanager
def _by_hand(url: str) -> Iterator[Callable[[], object]]:
    """What sends the script by hand."""
    client = _client_of(url, redis)
    sha = client.script_load(BY_HAND)

    def by_hand() -> None:
        if client.evalsha(sha, *_SENT)[0] != 1:
            raise RuntimeError("a call was refused: nothing comparable was measured")

    try:
        yield by_hand
    finally:
        client.close()


def _client_of(url: str, colour: Any) -> Any:
    if url.startswith("redis+cluster:"):
        return colour.RedisCluster.from_url(url.replace("+cluster", ""))
    return colour.Redis.from_url(url)


@contextmanager
def _on_one_processor() -> Iterator[None]:
    """Us and the servers that we have started: where there are others, what a server does would seem to cost less."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    family = [os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))]
    free = os.sched_getaffinity(0)
    for pid in family:
        os.sched_setaffinity(pid, {min(free)})
    try:
        yield
    finally:
        for pid in family:
            os.sched_setaffinity(pid, free)


def _effort(stage: Stage) -> Effort:
    return replace(stage.effort, pairs=min(stage.effort.pairs, PAIRS))


BENCHMARKS = (
    Benchmark("limiting_redis.one", one),
    Benchmark("limiting_redis.together", partial(together, "redis")),
    Benchmark("limiting_redis.cluster", partial(together, "cluster")),
    Benchmark("limiting_redis.peers", peers),
)
