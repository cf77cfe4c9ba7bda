"""Threads and tasks that call at once: exactly as many are let through as the limit says, and none harms another."""

from __future__ import annotations

import asyncio
import sys
import threading
from datetime import timedelta

import pytest

from payaid_entitlements import AsyncEntitlements, Catalog, Entitlements
from payaid_entitlements.stores.memory import AsyncMemoryStore
from payaid_entitlements.testing import FakeClock
from tests.limiting.conftest import START
from tests.limiting.test_breaker import Far

CATALOG = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "modules": {"crm": {}},
        "plans": {"free": {"modules": ["crm"]}},
        "rate_limits": {
            "api": {"default": "200/hour", "on_outage": "open"},
            "mine": {"per": "user", "default": "40/hour", "counts_toward": ["api"], "on_outage": "open"},
        },
    }
)


@pytest.fixture
def _often():
    """Threads yield many times within one call."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("_often")
def test_threads_get_exactly_what_the_limit_says():
    """Of the tenant 200, of each of eight users no more than 40, from the very first call on."""
    with Entitlements.open("memory://", catalog=CATALOG, clock=FakeClock(START)) as ent:
        passed = [0] * 8
        ready = threading.Barrier(8)

        def call(number):
            ready.wait(10)
            for _ in range(60):
                passed[number] += ent.try_rate_limit("acme", "mine", user=f"user-{number}").allowed

        threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sum(passed) == 200
        assert max(passed) <= 40
        assert ent.rate_limit_status("acme", "api").remaining == 0


def test_tasks_get_exactly_what_the_limit_says():
    async def main():
        async with AsyncEntitlements.open("memory://", catalog=CATALOG, clock=FakeClock(START)) as ent:
            calls = (ent.try_rate_limit("acme", "mine", user=f"user-{number % 8}") for number in range(400))
            return sum(outcome.allowed for outcome in await asyncio.gather(*calls))

    assert asyncio.run(main()) == 200


def test_a_task_that_is_cancelled_while_it_tries_for_all_lets_another_one_try():
    """The breaker is half open, and whoever was to find out does not live to see it."""

    async def main():
        clock = FakeClock(START)
        store = AsyncMemoryStore()
        far = Hanging(store.limiter)
        async with AsyncEntitlements(store, limiter=far, catalog=CATALOG, clock=clock) as ent:
            far.is_down = True
            for _ in range(6):
                assert (await ent.try_rate_limit("acme", "mine", user="asha")).on_outage == "open"
            far.is_down, far.hangs = False, asyncio.Event()
            clock.advance(timedelta(seconds=1))
            trying = asyncio.create_task(ent.try_rate_limit("acme", "mine", user="asha"))
            await asyncio.sleep(0.01)
            # Meanwhile nobody else waits.
            assert (await ent.try_rate_limit("acme", "mine", user="asha")).on_outage == "open"
            trying.cancel()
            await asyncio.gather(trying, return_exceptions=True)
            assert trying.cancelled()
            far.hangs.set()
            assert (await ent.try_rate_limit("acme", "mine", user="asha")).on_outage is None

    asyncio.run(main())


class Hanging(Far):
    """A limiter that answers when it is let."""

    hangs = None

    async def hit(self, *args, **named):
        if self.hangs is not None:
            await self.hangs.wait()
        return await self._asked("hit", self.inner.hit, *args, **named)
