"""Groups of counters, and what processes do to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy
from payaid_entitlements.stores.limiter import Counter, Group
from payaid_entitlements.stores.redis import AsyncRedisLimiter, RedisLimiter

MINUTE = 60_000_000


def policy(quota: int, algorithm: Algorithm = Algorithm.GCRA, window: int = MINUTE, **more: Any) -> Policy:
    """So many units a minute, all of them at once if wanted."""
    return Policy("p", algorithm, quota, window, more.pop("burst", quota), **more)


def group(owner: str, *policies: Policy) -> Group:
    """A group of a counter for each of *policies*."""
    return Group(owner, [Counter(f"c{number}", each) for number, each in enumerate(policies)])


def groups(keys: int, quota: int) -> list[Group]:
    """One for each key; the algorithms by turns."""
    kinds = list(Algorithm)
    return [group(f"key{number}", policy(quota, kinds[number % len(kinds)])) for number in range(keys)]


def hit_all(racer: int, url: str, keys: int, quota: int, attempts: int, now: int | None, ahead: float) -> list[int]:
    """
    Attempt so often to take a unit of each key; every second racer's attempts travel together.

    Args:
        ahead: Seconds by which the clocks of every second racer are ahead, and the others' are behind.

    Returns:
        How many attempts each key let through.
    """
    asked = groups(keys, quota)
    permits = iter(range(1 + racer * keys * attempts, 1 + (racer + 1) * keys * attempts))
    with skewed(ahead if racer % 2 else -ahead):
        if racer % 2:
            return asyncio.run(_together(url, asked, attempts, now, permits))
        return _each(url, asked, attempts, now, permits)


def _each(url: str, asked: list[Group], attempts: int, now: int | None, permits: Iterator[int]) -> list[int]:
    limiter = RedisLimiter(url)
    passed = [0] * len(asked)
    for _ in range(attempts):
        for number, each in enumerate(asked):
            passed[number] += limiter.hit(each, permit=next(permits), now=now).is_allowed
    limiter.close()
    return passed


async def _together(url: str, asked: list[Group], attempts: int, now: int | None, permits: Iterator[int]) -> list[int]:
    limiter = AsyncRedisLimiter(url)
    passed = [0] * len(asked)
    for _ in range(attempts):
        rulings = await asyncio.gather(*(limiter.hit(each, permit=next(permits), now=now) for each in asked))
        passed = [before + ruling.is_allowed for before, ruling in zip(passed, rulings, strict=True)]
    await limiter.aclose()
    return passed


@contextmanager
def skewed(seconds: float) -> Iterator[None]:
    """Let the clocks that tell a process the time of day be wrong by *seconds*."""
    tell, tell_ns = time.time, time.time_ns
    time.time, time.time_ns = lambda: tell() + seconds, lambda: tell_ns() + int(seconds * 10**9)
    try:
        yield
    finally:
        time.time, time.time_ns = tell, tell_ns
