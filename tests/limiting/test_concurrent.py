"""So many at once: a permit is held inside a block, waited for where that was said, and never lost."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta

import pytest

from payaid_entitlements import DENY, UNLIMITED, AsyncEntitlements, Entitlements, Reason
from payaid_entitlements.errors import RateLimited
from payaid_entitlements.limiting import permits
from payaid_entitlements.limiting.permits import draw, pauses
from payaid_entitlements.stores.memory import AsyncMemoryStore
from tests.limiting.conftest import CATALOG
from tests.limiting.holding import held


def test_a_permit_is_held_inside_the_block(ent):
    with held(ent, "acme", "jobs") as first:
        assert (first.allowed, first.limit, first.remaining) == (True, 2, 1)
        with held(ent, "acme", "jobs") as second:
            assert second.remaining == 0
            with pytest.raises(RateLimited) as raised, held(ent, "acme", "jobs"):
                pass
            assert raised.value.outcome.retry_after == timedelta(minutes=1)
        assert ent.rate_limit_status("acme", "jobs").remaining == 1
        assert ent.rate_limit_status("zoho", "jobs").remaining == 2
    assert ent.rate_limit_status("acme", "jobs").remaining == 2


def test_a_block_that_raises_gives_its_permit_back():
    ent = Entitlements.open("memory://", catalog=CATALOG)
    with pytest.raises(ZeroDivisionError), ent.concurrent("acme", "jobs"):
        raise ZeroDivisionError
    assert ent.rate_limit_status("acme", "jobs").remaining == 2


def test_a_permit_that_is_held_too_long_is_free_again(stage, ent):
    with held(ent, "acme", "jobs"), held(ent, "acme", "jobs"):
        stage.clock.advance(timedelta(minutes=1))
        with held(ent, "acme", "jobs") as outcome:
            assert outcome.remaining == 1


def test_each_verb_is_for_limits_of_its_kind(ent):
    with pytest.raises(TypeError, match=r"ent\.concurrent"):
        ent.rate_limit("acme", "jobs")
    with pytest.raises(TypeError, match="rate_limit"), held(ent, "acme", "api"):
        pass


def test_what_is_not_limited_or_denied(ent):
    ent.admin().override("acme", "rate_limits.jobs", UNLIMITED)
    with held(ent, "acme", "jobs") as outcome:
        assert outcome.policies == ()
    ent.admin().override("acme", "rate_limits.jobs", DENY)
    with pytest.raises(RateLimited) as raised, held(ent, "acme", "jobs", wait=timedelta(hours=1)):
        pass
    assert raised.value.decision.reason is Reason.OVERRIDE_DENIED


def test_a_thread_waits_for_a_permit_and_gets_it():
    ent = Entitlements.open("memory://", catalog=CATALOG)
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with ent.concurrent("acme", "jobs"), ent.concurrent("acme", "jobs"):
            entered.set()
            leave.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait(10)
    began = time.monotonic()
    with pytest.raises(RateLimited), ent.concurrent("acme", "jobs", wait=timedelta(seconds=0.05)):
        pass
    assert time.monotonic() - began >= 0.05
    threading.Timer(0.03, leave.set).start()
    with ent.concurrent("acme", "jobs", wait=timedelta(seconds=10)) as outcome:
        assert outcome.allowed
    holder.join(10)


def test_tasks_take_turns():
    async def main():
        async with AsyncEntitlements.open("memory://", catalog=CATALOG) as ent:
            at_once = most = done = 0

            async def work():
                nonlocal at_once, most, done
                async with ent.concurrent("acme", "jobs", wait=timedelta(seconds=30)):
                    at_once += 1
                    most = max(most, at_once)
                    await asyncio.sleep(0.002)
                    at_once -= 1
                    done += 1

            await asyncio.gather(*(work() for _ in range(8)))
            return most, done, (await ent.rate_limit_status("acme", "jobs")).remaining

    assert asyncio.run(main()) == (2, 8, 2)


def test_a_task_that_is_cancelled_anywhere_holds_nothing_afterwards():
    """While it asks, while it waits, in its block, and while it gives back."""

    async def main():
        store = AsyncMemoryStore()
        slow = Slow(store.limiter)
        async with AsyncEntitlements(store, limiter=slow, catalog=CATALOG) as ent:

            async def work():
                async with ent.concurrent("acme", "jobs", wait=timedelta(seconds=1)):
                    await asyncio.sleep(0.004)

            for turn in range(24):
                tasks = [asyncio.create_task(work()) for _ in range(4)]
                await asyncio.sleep(0.001 * turn)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                assert (await ent.rate_limit_status("acme", "jobs")).remaining == 2

    asyncio.run(main())


class Slow:
    """A limiter that takes some turns of the event loop for each call."""

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    async def hit(self, *args, **named):
        await asyncio.sleep(0.002)
        found = self.inner.hit(*args, **named)
        await asyncio.sleep(0.002)
        return await found

    async def give_back(self, *args):
        await asyncio.sleep(0.002)
        await self.inner.give_back(*args)


@pytest.mark.parametrize("answering", [0.0, 0.3])
def test_waiting_ends_by_the_clock_however_long_a_try_takes(monkeypatch, answering):
    now = 100.0
    monkeypatch.setattr(permits.time, "monotonic", lambda: now)
    for _ in range(20):
        began, given = now, []
        for pause in pauses(timedelta(seconds=1)):
            given.append(pause)
            now += pause + answering
        assert max(given) <= 0.1
        assert 1 <= round(now - began, 6) <= 1 + answering
    assert list(pauses(None)) == list(pauses(timedelta())) == []


def test_permits_are_numbers_that_limiters_count_with():
    drawn = {draw() for _ in range(1_000)}
    assert len(drawn) == 1_000
    assert min(drawn) >= 1
    assert max(drawn) <= 2**52
