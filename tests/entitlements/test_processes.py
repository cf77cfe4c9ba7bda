"""Several processes, threads and event loops on one store: each sees what the others change, and none stands still."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import threading
import time

import pytest

from payaid_entitlements import DENY, AsyncEntitlements, Entitlements, Reason
from payaid_entitlements.cache.local import LEASE, NEVER, POLL_AFTER
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.stores.sql import AsyncSQLStore
from payaid_entitlements.testing import FakeClock, FaultyStore
from tests.entitlements.conftest import CATALOG, START

#: Another process: does what it is told, a line of JSON each, and says what came of it.
WORKER = """
import datetime, json, sys
from payaid_entitlements import Entitlements
from payaid_entitlements.stores.sql import AsyncSQLStore
from payaid_entitlements.testing import FakeClock
clock = FakeClock(datetime.datetime.fromisoformat(sys.argv[2]))
ent = Entitlements.open(sys.argv[1], clock=clock)
for line in sys.stdin:
    verb, *arguments = json.loads(line)
    if verb == "check":
        decision = ent.check(*arguments)
        print(json.dumps([decision.allowed, decision.degraded]), flush=True)
    elif verb == "advance":
        clock.advance(seconds=arguments[0])
        print("null", flush=True)
    else:
        getattr(ent.admin("worker", because="told to"), verb)(*arguments)
        print("null", flush=True)
"""


class Worker:
    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORKER, url, START.isoformat()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *told):
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        self._process.stdin.close()
        assert self._process.wait(30) == 0
        self._process.stdout.close()


def test_two_processes_on_one_file_see_each_others_changes(tmp_path):
    """Within two seconds of theirs, five being the promise; the writer sees its own at once."""
    url = f"sqlite:///{tmp_path}/payaid.db"
    clock = FakeClock(START)
    with Entitlements.open(url, catalog=CATALOG, clock=clock) as ent:
        ent.admin("test", because="test").subscribe("acme", "pro")
        worker = Worker(url)
        try:
            assert worker("check", "acme", "crm.export") == [True, False]
            assert ent.check("acme", "crm.export").allowed

            ent.admin("test", because="test").override("acme", "crm.export", DENY)
            assert not ent.check("acme", "crm.export").allowed
            worker("advance", POLL_AFTER)
            assert worker("check", "acme", "crm.export") == [False, False]

            worker("subscribe", "acme", "all")
            assert worker("check", "acme", "hr.payroll") == [True, False]
            clock.advance(seconds=POLL_AFTER)
            assert ent.check("acme", "hr.payroll").allowed
        finally:
            worker.end()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_worker_believes_nothing_of_its_parent(tmp_path):
    """It asks by itself, on connections of its own, although locks were held and somebody was on his way."""
    url = f"sqlite:///{tmp_path}/payaid.db"
    with Entitlements.open(url, catalog=CATALOG) as ent:
        ent.admin("test", because="test").subscribe("acme", "pro")
        assert ent.check("acme", "crm.export").allowed
        with ent._near.lock, ent._driver._lock, ent._observer._lock:
            ent._driver._flights["acme"] = object()
            pid = os.fork()
            if pid == 0:  # pragma: no cover # the child is another process
                was_empty = ent._near.lease == NEVER and ent.peek("acme", "crm.export") is None
                answered = ent.check("acme", "crm.export").allowed and not ent.check("acme", "crm.exprot").allowed
                os._exit(0 if was_empty and answered else 1)
        assert os.waitpid(pid, 0)[1] == 0
        del ent._driver._flights["acme"]
        assert ent.check("acme", "crm.export").allowed


def hammer(count, work):
    """Run *work* in so many threads; every error of theirs is one of the test's."""
    errors = []

    def guarded(number):
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert errors == []


def test_threads_that_ask_and_change_never_read_their_own_past():
    """Eight threads, each with a tenant of its own among all: an answer after a change is the changed one."""
    with Entitlements(MemoryStore(), catalog=CATALOG, cache_size=6) as ent:

        def work(number):
            chance = random.Random(number)
            mine, admin = f"t{number}", ent.admin("test", because="test")
            for _ in range(60):
                to = chance.choice([True, DENY])
                change = admin.override(mine, "crm.export", to)
                assert ent.check(mine, "crm.export").allowed is (to is True)
                assert ent.check(f"t{chance.randrange(8)}", "crm").allowed
                assert ent.tenant(mine, after=change.revision).revision >= change.revision

        hammer(8, work)
        assert ent.health().tenants <= 6


def test_threads_that_turn_a_switch_never_see_it_turned_back():
    """Of two that read the world at once, the older reading is not what remains."""
    with Entitlements(MemoryStore(), catalog=CATALOG) as ent:
        ent.check("acme", "crm")
        turning = threading.Lock()

        def work(number):
            admin = ent.admin("test", because="test")
            for turn in range(25):
                if number % 2:
                    ent.check(f"t{turn}", "crm.export")
                    ent.tenant("acme", fresh=True)
                    continue
                with turning:
                    (admin.kill if turn % 2 else admin.restore)("crm.import")
                    decision = ent.check("acme", "crm.import")
                    assert (decision.reason is Reason.ENFORCEMENT_KILLED) is bool(turn % 2)

        hammer(6, work)


def test_many_threads_that_miss_the_same_tenant_cause_one_reading():
    """Single flight: the store is asked once, however many wait."""
    store = FaultyStore(MemoryStore())
    with Entitlements(store, catalog=CATALOG) as ent:
        ent.check("warm", "crm")
        waiting = threading.Barrier(16)
        entered, go = threading.Event(), threading.Event()

        def hold(name):
            if name == "read":
                entered.set()
                assert go.wait(30)

        def work(number):
            waiting.wait(30)
            assert ent.check("cold", "crm").allowed

        store.faults.before, store.faults.calls[:] = hold, []
        release = threading.Thread(target=lambda: (entered.wait(30), time.sleep(0.05), go.set()))
        release.start()
        hammer(16, work)
        release.join(30)
        # A thread that is started late finds the answer near.
        assert store.faults.calls.count("read") == 1


def test_several_event_loops_share_one_client():
    """A thread with a loop each, as test runners and some servers have: nobody awaits what belongs to another loop."""
    memory = MemoryStore()
    ent = AsyncEntitlements(AsyncMemoryStore(memory), catalog=CATALOG, cache_size=8)

    async def ask(number):
        admin = ent.admin("test", because="test")
        for turn in range(15):
            await admin.override(f"t{number}", "crm.export", turn % 2 == 0)
            assert (await ent.check(f"t{number}", "crm.export")).allowed is (turn % 2 == 0)
            cold = (ent.check(f"cold-{turn}-{each}", "crm") for each in range(6))
            assert all(decision.allowed for decision in await asyncio.gather(*cold))

    hammer(4, lambda number: asyncio.run(ask(number)))
    assert ent._driver._flights == {}
    assert ent._driver._gatherings == {}


def test_a_reading_that_is_overtaken_by_a_change_is_thrown_away(stage):
    """The store answers before the change and is heard after it: the answer is the new one, and so is what is kept."""
    overtaken = []

    class Overtaken(FaultyStore):
        """Lets somebody change the tenant between the reading and its arrival."""

        def __getattr__(self, name):
            found = super().__getattr__(name)
            if name != "read" or overtaken:
                return found

            if stage.colour == "sync":

                def read(*args, **named):
                    answer = found(*args, **named)
                    change()
                    return answer
            else:

                async def read(*args, **named):
                    answer = await found(*args, **named)
                    change()
                    return answer

            return read

    def change():
        if not overtaken:
            overtaken.append(True)
            applied = stage.elsewhere.subscribe("acme", "pro")
            ent.inner._near.invalidate("acme", applied.revision, ent.inner._near.position + 1)

    stage.store = Overtaken(stage.store.inner)
    ent = stage.open()
    assert ent.check("acme", "crm.export").allowed
    assert ent.peek("acme", "crm.export").allowed


def test_a_cancelled_leader_harms_nobody(stage):
    """The first of many who miss the same tenant gives up: the others get the answer of the same reading."""

    async def main():
        store = FaultyStore(AsyncMemoryStore(stage.memory))
        ent = AsyncEntitlements(store, catalog=CATALOG, clock=stage.clock)
        await ent.check("warm", "crm")
        store.faults.calls.clear()
        leader = asyncio.ensure_future(ent.check("cold", "crm"))
        others = [asyncio.ensure_future(ent.check("cold", "crm")) for _ in range(10)]
        await asyncio.sleep(0)
        leader.cancel()
        found = await asyncio.gather(leader, *others, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert [decision.allowed for decision in found[1:]] == [True] * 10
        assert store.faults.calls == ["read"]

    asyncio.run(main())


def test_a_poller_that_dies_ends_answers(ent, stage):
    """Nobody reads the log any more, whatever the reason: within five seconds no answer is plain."""
    ent.check("acme", "crm.export")

    def dead(name):
        if name == "changes_since":
            raise StoreUnavailable("the log cannot be read")

    stage.faults.before = dead
    stage.clock.advance(seconds=POLL_AFTER)
    assert not ent.check("acme", "crm.export").degraded
    stage.clock.advance(seconds=LEASE - POLL_AFTER)
    assert ent.check("acme", "crm.export").degraded


def test_a_crowd_of_cold_questions_is_answered_by_the_store(postgres_url):
    """64 tasks over tenants that are not near: they fight for no connection, and none is told that nobody answers."""

    async def main():
        store = AsyncSQLStore(postgres_url)
        await store.upgrade()
        async with AsyncEntitlements(store, catalog=CATALOG) as ent:
            await ent.admin("test", because="test").subscribe("acme", "pro")

            async def ask(task):
                found = [await ent.check(f"t{task}-{number}", "crm") for number in range(10)]
                return [*found, await ent.check("acme", "crm.export")]

            found = await asyncio.gather(*(ask(task) for task in range(64)))
        assert {(each.allowed, each.degraded) for decisions in found for each in decisions} == {(True, False)}

    asyncio.run(main())
