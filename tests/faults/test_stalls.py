"""
A server that stands still costs a question a quarter of a second, in both colours, however many ask; then nothing.

Times are measured beside a slack for threads and tasks that a busy machine does not let run at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from contextlib import contextmanager

import psycopg

from payaid_entitlements import AsyncEntitlements, Catalog, Entitlements
from payaid_entitlements.core.decision import Reason
from payaid_entitlements.stores.hurry import GRACE, QUESTION
from payaid_entitlements.stores.sql import AsyncSQLStore, SQLStore

CATALOG = Catalog.load({"modules": {"crm": {}}, "plans": {"free": {"modules": ["crm"]}}, "default_plan": "free"})
BOUND = QUESTION + GRACE
#: Seconds: 50 threads on two cores that do much else.
SLACK = 0.35


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
