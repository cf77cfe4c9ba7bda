"""Drivers and single flight: one reading for many waiters, and nobody harmed by another's misfortune."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import pytest

from payaid_entitlements.cache import driving
from payaid_entitlements.cache.driving import AsyncDriver, Driver
from payaid_entitlements.cache.steps import (
    Apply,
    Find,
    Join,
    Poll,
    Prepare,
    ReadAudit,
    ReadCatalog,
    ReadControls,
    ReadHost,
    ReadTenants,
)
from payaid_entitlements.errors import StoreUnavailable

STEPS = {
    "prepare": Prepare(),
    "read": ReadTenants(("acme",)),
    "changes_since": Poll(3),
    "catalog": ReadCatalog(),
    "controls": ReadControls(),
    "apply": Apply(None, 0, "actor", "because"),
    "audit": ReadAudit(tenant="acme"),
    "find": Find(module="crm"),
}


class Recording:
    """A store that answers each method with its name and what it was called with."""

    concerns = ("a concern",)

    def __getattr__(self, name):
        return lambda *args, **named: (name, args, named)


class AsyncRecording:
    """The same, awaited."""

    concerns = Recording.concerns

    def __getattr__(self, name):
        async def method(*args, **named):
            return (name, args, named)

        return method


def asking(*steps):
    """A flow that yields *steps* and returns their answers."""
    answers = []
    for step in steps:
        answers.append((yield step))
    return answers


@pytest.mark.parametrize("name", STEPS)
def test_both_drivers_ask_the_store_the_same(name):
    """Each step is one call of the port, in either colour with the same arguments."""
    step = STEPS[name]
    (sync,) = Driver(Recording()).run(asking(step))
    (awaited,) = asyncio.run(AsyncDriver(AsyncRecording()).run(asking(step)))

    assert sync == awaited
    assert sync == Recording.concerns if name == "prepare" else sync[0] == name


def test_a_step_that_no_driver_knows_is_a_mistake_of_ours():
    """It fails at once instead of answering None."""
    with pytest.raises(AssertionError):
        Driver(Recording()).run(asking("nothing"))
    with pytest.raises(AssertionError):
        asyncio.run(AsyncDriver(AsyncRecording()).run(asking("nothing")))


def test_the_host_may_answer_in_either_colour():
    """A plain function serves both; the asynchronous client also takes a coroutine function."""

    async def later(tenant):
        return f"{tenant} later"

    assert Driver(Recording(), lambda tenant: f"{tenant} now").run(asking(ReadHost("a"))) == ["a now"]
    assert asyncio.run(AsyncDriver(AsyncRecording(), lambda tenant: f"{tenant} now").run(asking(ReadHost("a")))) == [
        "a now"
    ]
    assert asyncio.run(AsyncDriver(AsyncRecording(), later).run(asking(ReadHost("a")))) == ["a later"]


def test_a_host_that_gives_no_answer_is_an_outage():
    """Its table is a store like ours: what is near and the fail policies decide, and the cause is kept."""

    def failing(tenant):
        raise OSError("connection refused")

    async def failing_later(tenant):
        failing(tenant)

    with pytest.raises(StoreUnavailable, match="'acme': OSError: connection refused") as caught:
        Driver(Recording(), failing).run(asking(ReadHost("acme")))
    assert isinstance(caught.value.__cause__, OSError)
    for host in (failing, failing_later):
        with pytest.raises(StoreUnavailable, match="'acme': OSError: connection refused") as caught:
            asyncio.run(AsyncDriver(AsyncRecording(), host).run(asking(ReadHost("acme"))))
        assert isinstance(caught.value.__cause__, OSError)


def test_a_transaction_of_the_host_is_read_in_alone():
    """What it has written is nobody else's to see."""
    tx = object()
    (found,) = Driver(Recording()).run(asking(ReadTenants(("acme",), tx)))
    assert found == ("read", (("acme",),), {"tx": tx})
    (found,) = asyncio.run(AsyncDriver(AsyncRecording()).run(asking(ReadTenants(("acme",), tx))))
    assert found == ("read", (("acme",),), {"tx": tx})


def test_an_error_of_a_step_belongs_to_the_flow():
    """It may go on with it, or let it pass."""

    class Failing:
        def catalog(self):
            raise StoreUnavailable("down")

    class AsyncFailing:
        async def catalog(self):
            raise StoreUnavailable("down")

    def surviving():
        try:
            yield ReadCatalog()
        except StoreUnavailable as error:
            return f"caught {error}"

    assert Driver(Failing()).run(surviving()) == "caught down"
    assert asyncio.run(AsyncDriver(AsyncFailing()).run(surviving())) == "caught down"
    with pytest.raises(StoreUnavailable):
        Driver(Failing()).run(asking(ReadCatalog()))
    with pytest.raises(StoreUnavailable):
        asyncio.run(AsyncDriver(AsyncFailing()).run(asking(ReadCatalog())))


def test_a_flow_that_asks_nothing_runs_anywhere():
    """Also where an event loop is running: nobody waits."""

    async def inside():
        return Driver(Recording()).run(asking())

    assert asyncio.run(inside()) == []


def test_waiting_where_an_event_loop_runs_is_refused():
    """It would stand still; the message says what to use."""

    async def inside(driver):
        return driver.run(asking(ReadCatalog()))

    with pytest.raises(TypeError, match="AsyncEntitlements"):
        asyncio.run(inside(Driver(Recording())))
    assert asyncio.run(inside(Driver(Recording(), never_waits=True)))[0][0] == "catalog"


class Gate:
    """Counts readings and holds each until it is opened."""

    def __init__(self):
        self.count = 0
        self.open = threading.Event()
        self.entered = threading.Event()

    def catalog(self):
        self.count += 1
        self.entered.set()
        assert self.open.wait(5)
        return self.count


def reading():
    return (yield ReadCatalog())


def joining(wait=True, key="k"):
    return (yield Join(key, reading, wait))


def test_many_threads_cause_one_reading():
    """C-1: the others wait for it and share its answer."""
    gate = Gate()
    driver = Driver(gate)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(driver.run(joining()))) for _ in range(20)]
    for thread in threads:
        thread.start()
    assert gate.entered.wait(5)
    while len(driver._flights) and threading.active_count() < 20:
        time.sleep(0.001)
    gate.open.set()
    for thread in threads:
        thread.join(5)

    assert len(answers) == 20
    assert gate.count <= 2  # a thread that starts after the first reading has landed begins another
    assert driver._flights == {}


def test_whoever_does_not_want_to_wait_goes_on_without_an_answer():
    """Stale while revalidate: one reads, the others keep what they have."""
    gate = Gate()
    driver = Driver(gate)
    leader = threading.Thread(target=lambda: driver.run(joining()))
    leader.start()
    assert gate.entered.wait(5)
    assert driver.run(joining(wait=False)) is None
    gate.open.set()
    leader.join(5)
    assert driver.run(joining(wait=False)) == 2


def test_the_failure_of_a_reading_is_shared_and_not_remembered():
    """C-2: it is nobody's value, and the next one tries again."""

    class Failing(Gate):
        def catalog(self):
            super().catalog()
            raise StoreUnavailable("down")

    gate = Failing()
    driver = Driver(gate)
    errors = []

    def ask():
        try:
            driver.run(joining())
        except StoreUnavailable as error:
            errors.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert gate.entered.wait(5)
    gate.open.set()
    for thread in threads:
        thread.join(5)
    assert errors == ["down"] * 5
    driver.store = Recording()
    assert driver.run(joining())[0] == "catalog"


def test_a_leader_that_is_interrupted_harms_nobody():
    """Somebody who waited takes over."""

    class Interrupted(Gate):
        def catalog(self):
            answer = super().catalog()
            if answer == 1:
                raise KeyboardInterrupt
            return answer

    gate = Interrupted()
    driver = Driver(gate)
    seen = []

    def lead():
        try:
            driver.run(joining())
        except KeyboardInterrupt:
            seen.append("interrupted")

    first = threading.Thread(target=lead)
    first.start()
    assert gate.entered.wait(5)
    second = threading.Thread(target=lambda: seen.append(driver.run(joining())))
    second.start()
    gate.open.set()
    first.join(5)
    second.join(5)
    assert sorted(map(str, seen)) == ["2", "interrupted"]


def test_waiting_for_somebody_elses_reading_is_bounded(monkeypatch):
    """A loader that hangs costs a waiter no more than its patience."""
    monkeypatch.setattr(driving, "PATIENCE", 0.01)
    gate = Gate()
    driver = Driver(gate)
    leader = threading.Thread(target=lambda: driver.run(joining()))
    leader.start()
    assert gate.entered.wait(5)
    with pytest.raises(StoreUnavailable, match="waited"):
        driver.run(joining())
    gate.open.set()
    leader.join(5)


class AsyncGate:
    """Counts readings and holds each until it is opened."""

    def __init__(self):
        self.count = 0
        self.open = asyncio.Event()

    async def catalog(self):
        self.count += 1
        await self.open.wait()
        return self.count


def test_many_tasks_cause_one_reading():
    """C-1, asyncio: exactly one."""

    async def main():
        gate = AsyncGate()
        driver = AsyncDriver(gate)
        tasks = [asyncio.create_task(driver.run(joining())) for _ in range(64)]
        await asyncio.sleep(0)
        gate.open.set()
        assert await asyncio.gather(*tasks) == [1] * 64
        assert driver._flights == {}
        assert gate.count == 1

    asyncio.run(main())


def test_a_cancelled_leader_harms_no_waiter():
    """C-2: the reading lives in a task of its own."""

    async def main():
        gate = AsyncGate()
        driver = AsyncDriver(gate)
        leader = asyncio.create_task(driver.run(joining()))
        await asyncio.sleep(0)
        waiter = asyncio.create_task(driver.run(joining()))
        await asyncio.sleep(0)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        gate.open.set()
        assert await waiter == 1
        assert gate.count == 1

    asyncio.run(main())


def test_a_task_that_does_not_want_to_wait_goes_on():
    """Stale while revalidate, asyncio."""

    async def main():
        gate = AsyncGate()
        driver = AsyncDriver(gate)
        leader = asyncio.create_task(driver.run(joining()))
        await asyncio.sleep(0)
        assert await driver.run(joining(wait=False)) is None
        gate.open.set()
        assert await leader == 1

    asyncio.run(main())


def test_a_reading_that_fails_is_shared_and_not_remembered_in_asyncio():
    """C-2: also when nobody waits any more, no warning is left behind."""

    async def main():
        class Failing(AsyncGate):
            async def catalog(self):
                await super().catalog()
                raise StoreUnavailable("down")

        gate = Failing()
        driver = AsyncDriver(gate)
        tasks = [asyncio.create_task(driver.run(joining())) for _ in range(3)]
        await asyncio.sleep(0)
        gate.open.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [str(error) for error in found] == ["down"] * 3
        assert driver._flights == {}

    asyncio.run(main())


def test_waiting_is_bounded_in_asyncio_and_the_reading_goes_on(monkeypatch):
    """Whoever is impatient leaves; the reading still lands for others."""
    monkeypatch.setattr(driving, "PATIENCE", 0.01)

    async def main():
        gate = AsyncGate()
        driver = AsyncDriver(gate)
        with pytest.raises(StoreUnavailable, match="waited"):
            await driver.run(joining())
        gate.open.set()
        monkeypatch.setattr(driving, "PATIENCE", 2.0)
        assert await driver.run(joining()) == 1

    asyncio.run(main())


def test_a_flight_that_is_cancelled_with_its_loop_leaves_nothing():
    """At the end of a loop its tasks are cancelled; the next loop begins anew."""
    gate = None

    async def main(driver):
        task = asyncio.create_task(driver.run(joining()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        (flight,) = driver._flights.values()
        flight.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert driver._flights == {}

    async def both():
        await main(AsyncDriver(AsyncGate()))

    assert gate is None
    asyncio.run(both())


def test_a_forked_child_waits_for_no_flight_of_its_parent():
    """Its threads do not exist there."""
    driver, awaited = Driver(Recording()), AsyncDriver(AsyncRecording())
    driver._flights["k"] = driving._Flight()
    driver.reset()
    awaited.reset()
    assert driver.run(joining())[0] == "catalog"


@pytest.mark.parametrize("step", [ReadCatalog(), ReadHost("acme")])
def test_a_store_that_hangs_is_given_up_in_asyncio_and_then_left_alone(step):
    """For any store, also one whose driver looks at no time; the host's table has a breaker of its own."""

    async def hang(*_):
        await asyncio.sleep(60)

    async def main():
        store = AsyncRecording()
        store.catalog = hang
        driver = AsyncDriver(store, hang)
        with pytest.raises(StoreUnavailable, match=r"no answer within 0\.25 s"):
            await driver.ask(asking(step))
        with pytest.raises(StoreUnavailable, match="a moment ago"):
            await driver.ask(asking(step))
        states = driver.breakers.store.state, driver.breakers.host.state
        assert states == (("open", "closed") if isinstance(step, ReadCatalog) else ("closed", "open"))

    asyncio.run(main())


def test_a_stores_own_timeout_is_not_taken_for_ours():
    async def slow():
        raise TimeoutError("its own")

    async def main():
        store = AsyncRecording()
        store.catalog = slow
        with pytest.raises(TimeoutError, match="its own"):
            await AsyncDriver(store).ask(asking(ReadCatalog()))

    asyncio.run(main())


# -- C-2: whoever reads for others cannot harm them -------------------------------------------------------------------

#: Seconds that a reading hangs, and for which anybody may have waited for it: a quarter, and what a busy machine adds.
HANGS, BOUND = 10.0, 1.5


class Trouble:
    """A store whose first reading of the catalog goes wrong, in one way or another."""

    def __init__(self, how):
        self.how = how
        self.count = 0
        self.entered, self.open = threading.Event(), threading.Event()

    def catalog(self):
        self.count += 1
        if self.count > 1:
            return "well"
        self.entered.set()
        if self.how == "hangs":
            self.open.wait(HANGS)
            return "late"
        assert self.open.wait(5)
        raise {"raises": StoreUnavailable("down"), "is interrupted": KeyboardInterrupt()}[self.how]


@pytest.mark.parametrize(
    ("how", "others"),
    [
        ("raises", "down"),
        ("is interrupted", "well"),
        ("hangs", "waited 0.25 s for the store to answer somebody else"),
    ],
)
def test_threads_that_wait_for_a_reading_in_trouble_are_not_harmed(how, others):
    """C-2: they are told within the deadline, the error is nobody's value, and another tenant is not concerned."""
    store = Trouble(how)
    driver = Driver(store)
    seen = []

    def lead():
        with contextlib.suppress(KeyboardInterrupt, StoreUnavailable):
            driver.ask(joining())

    def wait():
        began = time.monotonic()
        try:
            found = driver.ask(joining())
        except StoreUnavailable as error:
            found = str(error)
        seen.append((found, time.monotonic() - began))

    leader = threading.Thread(target=lead)
    leader.start()
    assert store.entered.wait(5)
    waiting = [threading.Thread(target=wait) for _ in range(8)]
    for thread in waiting:
        thread.start()
    assert driver.ask(joining(key="another")) == "well"
    if how != "hangs":
        time.sleep(0.05)
        store.open.set()
    for thread in waiting:
        thread.join(5)
    assert {found for found, _ in seen} == {others}
    assert len(seen) == 8
    assert max(seconds for _, seconds in seen) < BOUND
    store.open.set()
    leader.join(5)
    assert driver.ask(joining()) == "well"
    assert driver._flights == {}


@pytest.mark.parametrize(
    ("how", "others"),
    [("raises", "down"), ("is cancelled", "well"), ("hangs", "waited 0.25 s for the store to answer")],
)
def test_tasks_that_wait_for_a_reading_in_trouble_are_not_harmed(how, others):
    """C-2, asyncio: a caller that is cancelled cancels no reading; one that hangs is given up for all."""

    async def main():
        went_on, count = asyncio.Event(), 0

        class Store(AsyncRecording):
            async def catalog(self):
                nonlocal count
                count += 1
                if count > 1:
                    return "again"
                if how == "hangs":
                    await asyncio.sleep(HANGS)
                await went_on.wait()
                if how == "raises":
                    raise StoreUnavailable("down")
                return "well"

        driver = AsyncDriver(Store())

        async def ask():
            began = time.monotonic()
            try:
                found = await driver.ask(joining())
            except StoreUnavailable as error:
                found = str(error)
            return found, time.monotonic() - began

        leader = asyncio.create_task(ask())
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(ask()) for _ in range(8)]
        await asyncio.sleep(0)
        assert await driver.ask(joining(key="another")) == "again"
        if how == "is cancelled":
            leader.cancel()
        if how != "hangs":
            went_on.set()
        seen = await asyncio.gather(*waiting)
        assert {found for found, _ in seen} <= {others, "no answer within 0.25 s"}
        assert max(seconds for _, seconds in seen) < BOUND
        await asyncio.gather(leader, return_exceptions=True)
        # The flight that hung is given up as well, at the same moment: its error is not kept for those who come later.
        while driver._flights:
            await asyncio.sleep(0.01)
        driver.reset()
        assert await driver.ask(joining()) == "again"

    asyncio.run(main())
