"""Many first calls make the limiter ready once, and a call that goes away takes nothing from the others."""

from __future__ import annotations

import asyncio

import pytest

from payaid_entitlements import AsyncEntitlements
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores.memory_limiter import AsyncMemoryLimiter
from tests.limiting.conftest import CATALOG


class Slow(AsyncMemoryLimiter):
    """One that takes a while to be ready."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0
        self.fails = False

    async def prepare(self) -> None:
        self.times += 1
        await asyncio.sleep(0.01)
        if self.fails:
            raise StoreUnavailable("not ready (a test says so)")


@pytest.fixture
def limiter():
    return Slow()


def opened(limiter):
    return AsyncEntitlements.open("memory://", catalog=CATALOG, limiter=limiter)


async def calls(ent, many):
    return await asyncio.gather(*(ent.try_rate_limit("acme", "feed") for _ in range(many)))


def test_many_first_calls_prepare_once(limiter):
    async def main():
        async with opened(limiter) as ent:
            outcomes = await calls(ent, 100)
            assert sum(each.allowed for each in outcomes) == 4
            assert {each.on_outage for each in outcomes} == {None}

    asyncio.run(main())
    assert limiter.times == 1


def test_one_that_is_cancelled_takes_nothing_from_the_others(limiter):
    async def main():
        async with opened(limiter) as ent:
            first = asyncio.create_task(ent.try_rate_limit("acme", "feed"))
            others = asyncio.create_task(calls(ent, 3))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            first.cancel()
            assert [each.on_outage for each in await others] == [None] * 3
            with pytest.raises(asyncio.CancelledError):
                await first

    asyncio.run(main())
    assert limiter.times == 1


def test_what_failed_is_tried_again(limiter):
    async def main():
        async with opened(limiter) as ent:
            limiter.fails = True
            assert {each.on_outage for each in await calls(ent, 3)} == {"open"}
            limiter.fails = False
            assert {each.on_outage for each in await calls(ent, 3)} == {None}

    asyncio.run(main())
    assert limiter.times == 2


def test_another_event_loop_does_not_wait_for_the_first(limiter):
    ent, loop = opened(limiter), asyncio.new_event_loop()

    async def begin():
        task = asyncio.create_task(ent.try_rate_limit("acme", "feed"))
        for _ in range(1_000):
            await asyncio.sleep(0)
            if limiter.times:
                break
        return task

    task = loop.run_until_complete(begin())
    assert asyncio.run(calls(ent, 2))[0].on_outage is None
    assert limiter.times == 2
    assert loop.run_until_complete(task).allowed
    loop.run_until_complete(ent.aclose())
    loop.close()
