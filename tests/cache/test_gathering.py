"""Gathering: many cold readings in few statements, and nobody harmed by those who go with him."""

from __future__ import annotations

import asyncio
import random

import pytest

from payaid_entitlements.cache.driving import AsyncDriver
from payaid_entitlements.cache.gathering import LANES, MOST_TOGETHER, Gathering
from payaid_entitlements.cache.steps import ReadTenants
from payaid_entitlements.errors import StoreDamaged, StoreUnavailable


class Database:
    """Answers each tenant with its name, when it is let; notes every statement."""

    def __init__(self) -> None:
        self.statements: list[tuple[str, ...]] = []
        self.open = asyncio.Event()
        self.damaged: set[str] = set()
        self.is_down = False

    async def __call__(self, tenants):
        self.statements.append(tenants)
        await self.open.wait()
        if self.is_down:
            raise StoreUnavailable("down")
        if self.damaged & set(tenants):
            raise StoreDamaged("a damaged document")
        return {tenant: tenant.upper() for tenant in tenants}

    async def read(self, tenants, *, tx):
        return await self(tenants)


async def begun(*work):
    """Tasks for *work*, each as far as it comes by itself."""
    tasks = [asyncio.create_task(each) for each in work]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


def names(count):
    return [f"t{number}" for number in range(count)]


def test_whoever_finds_a_free_lane_goes_alone_and_at_once():
    """A lone cold check is one primary-key read."""

    async def main():
        database = Database()
        database.open.set()
        gathering = Gathering(database)
        assert await gathering.read(("a",)) == {"a": "A"}
        assert database.statements == [("a",)]
        assert gathering.is_idle

    asyncio.run(main())


def test_those_who_wait_go_together_in_the_order_in_which_they_came():
    """Two lanes, then one statement for all the others; nobody is read twice."""

    async def main():
        database = Database()
        gathering = Gathering(database)
        tenants = [*names(20), "t5"]
        tasks = await begun(*(gathering.read((tenant,)) for tenant in tenants))
        assert database.statements == [(tenant,) for tenant in names(LANES)]
        database.open.set()
        found = await asyncio.gather(*tasks)
        assert database.statements[LANES:] == [tuple(names(20)[LANES:])]
        assert [each[tenant] for each, tenant in zip(found, tenants, strict=True)] == [name.upper() for name in tenants]
        assert gathering.is_idle

    asyncio.run(main())


def test_a_statement_has_a_most_of_tenants():
    """Databases bound how many values a statement has; who comes later waits for the next one."""

    async def main():
        database = Database()
        gathering = Gathering(database)
        tasks = await begun(*(gathering.read((tenant,)) for tenant in names(LANES + MOST_TOGETHER + 1)))
        database.open.set()
        await asyncio.gather(*tasks)
        assert [len(statement) for statement in database.statements] == [1] * LANES + [MOST_TOGETHER, 1]

    asyncio.run(main())


def test_a_reading_is_begun_after_it_was_asked_for():
    """The same tenant on its way already is asked again: what is on its way may be too old."""

    async def main():
        database = Database()
        gathering = Gathering(database)
        tasks = await begun(*(gathering.read(("a",)) for _ in range(LANES + 1)))
        database.open.set()
        await asyncio.gather(*tasks)
        assert database.statements == [("a",)] * (LANES + 1)

    asyncio.run(main())


def test_whoever_is_cancelled_while_waiting_is_not_read_and_harms_nobody():
    """His place goes to those behind him."""

    async def main():
        database = Database()
        gathering = Gathering(database)
        tasks = await begun(*(gathering.read((tenant,)) for tenant in names(LANES + 3)))
        tasks[LANES].cancel()
        database.open.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(found[LANES], asyncio.CancelledError)
        assert found[-1]["t4"] == "T4"
        assert database.statements[LANES:] == [("t3", "t4")]
        assert gathering.is_idle

    asyncio.run(main())


def test_whoever_is_cancelled_on_his_way_leaves_his_lane_to_the_others():
    """No lane is lost: after any number of cancelled readings as many go as before."""

    async def main():
        database = Database()
        gathering = Gathering(database)
        for _ in range(LANES * 2):
            tasks = await begun(*(gathering.read((tenant,)) for tenant in names(LANES)))
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        assert gathering.is_idle
        tasks = await begun(*(gathering.read((tenant,)) for tenant in names(LANES + 1)))
        tasks[0].cancel()
        database.open.set()
        assert (await tasks[-1])["t2"] == "T2"
        await asyncio.wait(tasks)
        assert gathering.is_idle

    asyncio.run(main())


def test_all_who_go_together_may_be_cancelled_on_their_way():
    """The statement ends for nobody, and leaves nothing behind."""

    async def main():
        database = Database()
        gathering = Gathering(database)
        tasks = await begun(*(gathering.read((tenant,)) for tenant in names(LANES + 2)))
        tasks[0].cancel()
        await begun()
        assert database.statements[LANES:] == [("t2", "t3")]
        for task in tasks:
            task.cancel()
        database.open.set()
        await asyncio.wait(tasks)
        await begun()
        assert gathering.is_idle
        database.is_down = True
        tasks = await begun(*(gathering.read((tenant,)) for tenant in names(2)))
        await asyncio.wait(tasks)
        assert [str(task.exception()) for task in tasks] == ["down"] * 2

    asyncio.run(main())


def test_an_error_for_those_who_have_left_is_nobodys():
    """A waiter that was cancelled is not told of a failure, and the others are."""

    async def main():
        database = Database()
        gathering = Gathering(database)
        tasks = await begun(*(gathering.read((tenant,)) for tenant in names(LANES + 2)))
        tasks[0].cancel()
        await begun()
        tasks[LANES].cancel()
        database.is_down = True
        database.open.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each).__name__ for each in found] == [
            "CancelledError",
            "StoreUnavailable",
            "CancelledError",
            "StoreUnavailable",
        ]
        assert gathering.is_idle

    asyncio.run(main())


def test_one_damaged_document_harms_nobody_else():
    """It is found by halves: all others get their answers."""

    async def main():
        database = Database()
        database.damaged = {"t7"}
        gathering = Gathering(database)
        tasks = await begun(*(gathering.read((tenant,)) for tenant in names(LANES + 64)))
        database.open.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [number for number, each in enumerate(found) if isinstance(each, ValueError)] == [7]
        assert len(database.statements) == LANES + 1 + 2 * 6
        assert gathering.is_idle

    asyncio.run(main())


def test_an_outage_is_told_to_all_at_once():
    """A store that is down is not asked again for each."""

    async def main():
        database = Database()
        database.is_down = True
        gathering = Gathering(database)
        tasks = await begun(*(gathering.read((tenant,)) for tenant in names(LANES + 10)))
        database.open.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [str(each) for each in found] == ["down"] * (LANES + 10)
        assert len(database.statements) == LANES + 1

    asyncio.run(main())


def test_a_lane_that_is_cancelled_lets_nobody_wait_for_ever():
    """Somebody cancels all tasks of the loop, as servers do when they stop."""

    async def main():
        database = Database()
        gathering = Gathering(database)
        tasks = await begun(*(gathering.read((tenant,)) for tenant in names(LANES + 2)))
        tasks[0].cancel()
        await begun()
        (lane,) = gathering._lanes
        lane.cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[-1]
        database.open.set()
        await asyncio.wait(tasks)
        assert gathering.is_idle

    asyncio.run(main())


def test_a_loop_that_ends_in_the_middle_leaves_nothing_behind():
    """All its tasks are cancelled; the next loop begins anew, on the same driver."""
    database = Database()
    driver = AsyncDriver(database)

    def asking(tenant):
        return (yield ReadTenants((tenant,)))

    async def abandoned():
        await begun(*(driver.run(asking(tenant)) for tenant in names(LANES + 2)))

    async def answered():
        database.open = asyncio.Event()
        database.open.set()
        return await driver.run(asking("a"))

    asyncio.run(abandoned())
    assert driver._gatherings == {}
    assert asyncio.run(answered()) == {"a": "A"}
    assert driver._gatherings == {}


@pytest.mark.parametrize("seed", range(5))
def test_whatever_is_cancelled_or_fails_everybody_else_is_answered(seed):
    """Hundreds come, some leave, some statements fail: no lane is lost, and nobody waits for ever."""
    chance = random.Random(seed)

    async def read(tenants):
        await asyncio.sleep(chance.choice([0, 0, 0.0005]))
        if chance.random() < 0.1:
            raise StoreUnavailable("down for a moment")
        if any(tenant.endswith("7") for tenant in tenants):
            raise ValueError("damaged")
        return {tenant: tenant.upper() for tenant in tenants}

    async def main():
        gathering = Gathering(read)
        tasks = []
        for number in range(400):
            tasks.append(asyncio.create_task(gathering.read((f"t{number}",))))
            if chance.random() < 0.1:
                chance.choice(tasks).cancel()
            if chance.random() < 0.2:
                await asyncio.sleep(0)
        await asyncio.wait(tasks, timeout=30)
        assert all(task.done() for task in tasks)
        await begun()
        assert gathering.is_idle
        for number, task in enumerate(tasks):
            if not task.cancelled() and task.exception() is None:
                assert task.result()[f"t{number}"] == f"T{number}"
            elif not task.cancelled() and isinstance(task.exception(), ValueError):
                assert number % 10 == 7

    asyncio.run(main())
