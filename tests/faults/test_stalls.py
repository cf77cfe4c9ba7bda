"""
A server that stands still costs a question a quarter of a second, in both colours, however many ask; then nothing.

Times are measured beside a slack for threads and tasks that a busy machine does not let run at once.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from contextlib import contextmanager

import psycopg
import pytest

from payaid_entitlements import AsyncEntitlements, Catalog, Entitlements
from payaid_entitlements.core.decision import Reason
from payaid_entitlements.stores.hurry import GRACE, QUESTION
from payaid_entitlements.stores.sql import AsyncSQLStore, SQLStore

CATALOG = Catalog.load({"modules": {"crm": {}}, "plans": {"free": {"modules": ["crm"]}}, "default_plan": "free"})
BOUND = QUESTION + GRACE
#: Seconds: 50 threads or 200 tasks on two cores that do much else.
SLACK = 0.35


@pytest.fixture(autouse=True)
def _frozen():
    """To collect all that a suite has made stops everybody for half a second, and says nothing of a server."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@contextmanager
def _standing_still(url):
    """All sessions of the server stop, and the one that accepts new ones."""
    with psycopg.connect(url, autocommit=True) as other:
        own = other.info.backend_pid
        (first,) = other.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'").fetchone()
        sessions = [
            pid
            for (pid,) in other.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
            if pid != own
        ]
    with open(f"/proc/{first}/stat") as stat:
        postmaster = int(stat.read().rpartition(")")[2].split()[1])
    stopped = [postmaster, *sessions]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def _timed(ent, tenant, taken):
    began = time.monotonic()
    decision = ent.check(tenant, "crm")
    taken.append((time.monotonic() - began, decision.reason))


def test_a_server_that_stands_still_costs_threads_a_quarter_of_a_second_and_then_nothing(postgres_url):
    store = SQLStore(postgres_url)
    store.upgrade()
    store.channel = None
    with Entitlements(store, catalog=CATALOG) as ent:
        ent.check("acme", "crm")
        with _standing_still(postgres_url):
            taken = []
            threads = [threading.Thread(target=_timed, args=(ent, f"t{number}", taken)) for number in range(50)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(10)
            assert {reason for _, reason in taken} == {Reason.STORE_UNAVAILABLE}
            assert max(seconds for seconds, _ in taken) < BOUND + SLACK
            assert len(taken) == 50
            assert ent._driver.breakers.store.state == "open"
            _timed(ent, "late", taken)
            assert taken[-1][0] < 0.1
        end = time.monotonic() + 2 + SLACK
        while ent.check("acme", "crm").degraded or ent.check("new", "crm").degraded:
            assert time.monotonic() < end
            time.sleep(0.02)


def test_a_server_that_stands_still_costs_tasks_a_quarter_of_a_second_and_then_nothing(postgres_url):
    async def main():
        store = AsyncSQLStore(postgres_url)
        await store.upgrade()
        store.channel = None
        async with AsyncEntitlements(store, catalog=CATALOG) as ent:

            async def timed(tenant):
                began = time.monotonic()
                decision = await ent.check(tenant, "crm")
                return time.monotonic() - began, decision.reason

            await timed("acme")
            with _standing_still(postgres_url):
                taken = await asyncio.gather(*(timed(f"t{number}") for number in range(200)))
                assert {reason for _, reason in taken} == {Reason.STORE_UNAVAILABLE}
                assert max(seconds for seconds, _ in taken) < BOUND + SLACK
                assert (await timed("late"))[0] < 0.1
            end = time.monotonic() + 2 + SLACK
            while (await ent.check("acme", "crm")).degraded or (await ent.check("new", "crm")).degraded:
                assert time.monotonic() < end
                await asyncio.sleep(0.02)

    asyncio.run(main())


def test_the_first_question_of_a_process_waits_no_longer(postgres_url):
    store = SQLStore(postgres_url)
    store.upgrade()
    store.close()
    with _standing_still(postgres_url), Entitlements.open(postgres_url) as ent:
        taken = []
        _timed(ent, "acme", taken)
    assert taken[0][1] is Reason.STORE_UNAVAILABLE
    assert taken[0][0] < BOUND + SLACK


class Server:
    """One that can be stopped: where it is, and how an asynchronous client writes that."""

    def __init__(self, url, process):
        self.url, self._process = url, process

    @contextmanager
    def standing_still(self):
        self._process.pause()
        try:
            yield
        finally:
            self._process.resume()


@pytest.fixture(params=["mariadb", "redis"])
def server(request):
    if request.param == "mariadb":
        started = request.getfixturevalue("mariadb_servers")()
        store = SQLStore(started.url)
        store.upgrade()
        store.close()
    else:
        started = request.getfixturevalue("redis_servers")()
    return Server(started.url, started)


def _is_back(ent):
    return not (ent.check("acme", "crm").degraded or ent.check("new", "crm").degraded)


def test_threads_wait_a_quarter_of_a_second_for_mariadb_and_for_redis(server):
    with Entitlements.open(server.url, catalog=CATALOG) as ent:
        ent.check("acme", "crm")
        with server.standing_still():
            taken = []
            threads = [threading.Thread(target=_timed, args=(ent, f"t{number}", taken)) for number in range(50)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(10)
            assert {reason for _, reason in taken} == {Reason.STORE_UNAVAILABLE}
            assert max(seconds for seconds, _ in taken) < BOUND + SLACK
            assert len(taken) == 50
            _timed(ent, "late", taken)
            assert taken[-1][0] < 0.1
            began = time.monotonic()
            assert not ent.health().ok
            assert time.monotonic() - began < BOUND + SLACK
        end = time.monotonic() + 2 + SLACK
        while not _is_back(ent):
            assert time.monotonic() < end
            time.sleep(0.02)


def test_tasks_wait_a_quarter_of_a_second_for_mariadb_and_for_redis(server):
    async def main():
        async with AsyncEntitlements.open(server.url, catalog=CATALOG) as ent:

            async def timed(tenant):
                began = time.monotonic()
                decision = await ent.check(tenant, "crm")
                return time.monotonic() - began, decision.reason

            await timed("acme")
            with server.standing_still():
                taken = await asyncio.gather(*(timed(f"t{number}") for number in range(200)))
                assert {reason for _, reason in taken} == {Reason.STORE_UNAVAILABLE}
                assert max(seconds for seconds, _ in taken) < BOUND + SLACK
                assert (await timed("late"))[0] < 0.1
                began = time.monotonic()
                assert not (await ent.health()).ok
                assert time.monotonic() - began < BOUND + SLACK
            end = time.monotonic() + 2 + SLACK
            while (await ent.check("acme", "crm")).degraded or (await ent.check("new", "crm")).degraded:
                assert time.monotonic() < end
                await asyncio.sleep(0.02)

    asyncio.run(main())


def test_the_first_question_waits_no_longer_in_either_colour(server):
    taken = []
    with server.standing_still(), Entitlements.open(server.url) as ent:
        _timed(ent, "acme", taken)

    async def main():
        async with AsyncEntitlements.open(server.url) as ent:
            began = time.monotonic()
            decision = await ent.check("acme", "crm")
            taken.append((time.monotonic() - began, decision.reason))

    with server.standing_still():
        asyncio.run(main())
    assert [reason for _, reason in taken] == [Reason.STORE_UNAVAILABLE] * 2
    assert max(seconds for seconds, _ in taken) < BOUND + SLACK


def test_a_shared_redis_that_stands_still_costs_one_wait_and_the_store_answers(redis_servers, tmp_path):
    place, shared = f"sqlite:///{tmp_path}/payaid.db", redis_servers()
    with Entitlements.open(place, catalog=CATALOG, shared=shared.url) as ent:
        ent.check("acme", "crm")
        assert ent.health().shared is True
        taken = []
        with Server(shared.url, shared).standing_still():
            for number in range(20):
                _timed(ent, f"t{number}", taken)
            assert ent.health().ok
            assert ent.health().shared is False
        assert {reason for _, reason in taken} == {Reason.PLAN_DEFAULT}
        assert max(seconds for seconds, _ in taken) < BOUND + SLACK
        assert sum(seconds > BOUND / 2 for seconds, _ in taken) <= 1
        assert ent.counts["breaker", "shared", "open"] == 1
        end = time.monotonic() + 2 + SLACK
        while ent.health().shared is False:
            ent.check(f"at-{time.monotonic()}", "crm")
            assert time.monotonic() < end
            time.sleep(0.02)


def test_tasks_in_front_of_a_shared_redis_that_stands_still_are_answered_by_the_store(redis_servers, tmp_path):
    place, shared = f"sqlite:///{tmp_path}/payaid.db", redis_servers()

    async def main():
        async with AsyncEntitlements.open(place, catalog=CATALOG, shared=shared.url) as ent:

            async def timed(tenant):
                began = time.monotonic()
                decision = await ent.check(tenant, "crm")
                return time.monotonic() - began, decision.reason

            await timed("acme")
            with Server(shared.url, shared).standing_still():
                taken = await asyncio.gather(*(timed(f"t{number}") for number in range(50)))
                late = await timed("late")
                assert (await ent.health()).shared is False
            assert {reason for _, reason in (*taken, late)} == {Reason.PLAN_DEFAULT}
            assert max(seconds for seconds, _ in taken) < BOUND + SLACK
            assert late[0] < 0.1
            end = time.monotonic() + 2 + SLACK
            while (await ent.health()).shared is False:
                await ent.check(f"at-{time.monotonic()}", "crm")
                assert time.monotonic() < end
                await asyncio.sleep(0.02)

    asyncio.run(main())


def test_a_task_that_is_cancelled_leaves_a_server_that_stands_still_at_once(postgres_url):
    """The driver would first ask the server to cancel, and wait for that."""

    async def main():
        store = AsyncSQLStore(postgres_url)
        await store.upgrade()
        assert await store.read(["acme"]) == {}
        with _standing_still(postgres_url):
            reading = asyncio.create_task(store.read(["acme"]))
            await asyncio.sleep(0.05)
            began = time.monotonic()
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            assert time.monotonic() - began < SLACK
        assert await store.read(["acme"]) == {}
        await store.aclose()

    asyncio.run(main())


def _spoil(cluster):
    """Let nobody serve one slot, which is not ours: then the whole cluster says that it is down."""
    for server in cluster.masters:
        with server.client() as client:
            client.execute_command("CLUSTER DELSLOTS", 0)
    for server in cluster.masters:
        with server.client() as client:
            end = time.monotonic() + 10
            while client.execute_command("CLUSTER INFO")["cluster_state"] != "fail":
                assert time.monotonic() < end
                time.sleep(0.02)


def test_a_cluster_that_says_that_it_is_down_is_waited_for_no_longer(redis_clusters):
    """The driver sleeps for a quarter of a second, and would then ask again."""
    cluster = redis_clusters()
    taken = []

    async def main():
        async with AsyncEntitlements.open(cluster.url) as ent:
            await ent.check("acme", "crm")
            _spoil(cluster)
            for tenant in ("t1", "t2"):
                began = time.monotonic()
                decision = await ent.check(tenant, "crm")
                taken.append((time.monotonic() - began, decision.reason))

    with Entitlements.open(cluster.url, catalog=CATALOG) as ent:
        ent.check("acme", "crm")
        asyncio.run(main())
        for tenant in ("t3", "t4"):
            _timed(ent, tenant, taken)
    assert {reason for _, reason in taken} == {Reason.STORE_UNAVAILABLE}
    assert max(seconds for seconds, _ in taken) < BOUND + SLACK
    assert taken[1][0] < 0.1
    assert taken[3][0] < 0.1
