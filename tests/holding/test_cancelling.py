"""Whatever is cancelled in the middle is neither half done nor lost: asyncio's tasks and timeouts."""

from __future__ import annotations

import asyncio
import gc

import pytest

from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.metering.cancelling import begun, ended
from tests.holding.conftest import Holding

PAGES = ("acme", "crm.pages", 8)


@pytest.fixture
def stage():
    with asyncio.Runner() as runner:
        found = Holding("async", runner)
        yield found
        found.close()


@pytest.fixture
def aent(stage, ent):
    return ent.inner


class Slow:
    """Holds up the ledger's calls until it is let go, and says when one has begun."""

    def __init__(self, aent, monkeypatch, name="post"):
        self.begun, self.go = asyncio.Event(), asyncio.Event()
        ledger = aent._driver.ledger
        call = getattr(ledger, name)

        async def slowly(*args, **named):
            self.begun.set()
            await self.go.wait()
            return await call(*args, **named)

        monkeypatch.setattr(type(ledger), name, lambda _, *args, **named: slowly(*args, **named), raising=False)


async def cancelled(task: asyncio.Task, slow: Slow) -> None:
    """Cancel *task* while the ledger works, again and again, and let the ledger end."""
    await slow.begun.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    slow.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_cancelled_in_the_block_gives_all_back(stage, aent, left):
    """A client that hangs up pays nothing."""

    async def work():
        async with aent.reserve(*PAGES, operation="op"):
            await asyncio.sleep(60)

    async def main():
        task = asyncio.create_task(work())
        while (await aent.usage("acme", "crm.pages"))["crm.pages"].held == 0:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert left() == (0, 0)


@pytest.mark.parametrize("was_there", [False, True])
def test_cancelled_while_it_is_set_aside_nothing_is(stage, aent, left, monkeypatch, was_there):
    """But for what was there already, which may be somebody else's."""

    async def main():
        if was_there:
            (await aent.reserve(*PAGES, operation="op")).hand_over()
        slow = Slow(aent, monkeypatch)

        async def reserve():
            await aent.reserve(*PAGES, operation="op")

        await cancelled(asyncio.create_task(reserve()), slow)

    asyncio.run(main())
    assert left() == (0, 8 if was_there else 0)


def test_cancelled_while_it_is_settled_it_is_settled(stage, aent, left, monkeypatch):
    """It was used."""

    async def main():
        hold = await aent.reserve(*PAGES, operation="op")
        slow = Slow(aent, monkeypatch)

        async def settle():
            async with hold:
                await hold.settle(3)

        await cancelled(asyncio.create_task(settle()), slow)

    asyncio.run(main())
    assert left() == (3, 0)


def test_cancelled_while_it_is_released_it_is_released(stage, aent, left, monkeypatch):
    """Also by a timeout, which is told of as ever."""

    async def main():
        hold = await aent.reserve(*PAGES, operation="op")
        slow = Slow(aent, monkeypatch)

        async def release():
            async with asyncio.timeout(None) as limit, hold:
                asyncio.get_running_loop().call_soon(limit.reschedule, 0)
                await asyncio.sleep(60)

        task = asyncio.create_task(release())
        await slow.begun.wait()
        slow.go.set()
        with pytest.raises(TimeoutError):
            await task

    asyncio.run(main())
    assert left() == (0, 0)


# -- promises ----------------------------------------------------------------------------------------------------------


def test_a_forgotten_await_is_loud(stage, aent):
    """It is neither yes nor no, and warns when it is dropped; nothing was set aside."""

    async def main():
        pending = aent.reserve(*PAGES, operation="op")
        with pytest.raises(TypeError, match="await it"):
            bool(pending)
        with pytest.warns(RuntimeWarning, match=r"reserve\('acme', 'crm.pages'\) was never awaited"):
            del pending
            gc.collect()
        hold = await aent.reserve(*PAGES, operation="op")
        settling = hold.settle(3)
        with pytest.raises(TypeError, match="await it"):
            bool(settling)
        await settling

    asyncio.run(main())


# -- what carries it ---------------------------------------------------------------------------------------------------


def test_what_has_ended_gives_what_it_gives_and_raises_what_it_raises():
    """Where nobody cancels."""

    async def good():
        return 7

    async def bad():
        raise StoreUnavailable("gone")

    async def undo(given):
        raise AssertionError(given)

    async def main():
        assert await ended(good()) == await begun(good(), undo) == 7
        for act in (ended(bad()), begun(bad(), undo)):
            with pytest.raises(StoreUnavailable, match="gone"):
                await act

    asyncio.run(main())


@pytest.mark.parametrize("fails", [False, True])
def test_cancelled_what_was_begun_is_undone_as_far_as_it_can_be(fails):
    """Nothing is undone of what has failed; that undoing fails is not raised."""
    undone = []

    async def act(is_good):
        await asyncio.sleep(0.01)
        if not is_good:
            raise StoreUnavailable("gone")
        return 7

    async def undo(given):
        undone.append(given)
        if fails:
            raise StoreUnavailable("gone too")

    async def main():
        for is_good in (True, False):
            task = asyncio.create_task(begun(act(is_good), undo))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert undone == [7]
