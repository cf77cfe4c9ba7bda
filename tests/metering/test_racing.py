"""Many at once, through the client: what is sold is never oversold, and whoever repeats it counts nothing twice."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from payaid_entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.testing import FakeClock
from tests.metering.conftest import CATALOG, START

THREADS = 8
#: On each store: in memory, in a file, on a server.
PLACES = ["memory", "sqlite", "postgres"]


@pytest.fixture(params=PLACES)
def url(request, tmp_path):
    if request.param == "memory":
        return "memory://"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/usage.db"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def ent(url):
    with Entitlements.open(url, catalog=CATALOG) as found:
        if url.startswith("postgres"):
            found._store.upgrade()
        found.admin("asha", because="a test").subscribe("acme", "pro")
        yield found


def crowd(work):
    """What *work* gave to each of many threads that begin together."""
    gate = threading.Barrier(THREADS)

    def begin(number):
        gate.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(begin, range(THREADS)))


def test_exactly_as_many_as_are_sold_are_used(ent):
    """20 each of 100 by 8: exactly 100 pass, and everybody else is refused."""

    def work(number):
        return sum(ent.try_consume("acme", "crm.imports", operation=(number, each)).allowed for each in range(20))

    assert sum(crowd(work)) == 100
    said = ent.usage("acme", "crm.imports")["crm.imports"]
    assert (said.used, said.remaining, said.overage) == (100, 0, 0)


def test_the_same_operation_of_many_counts_once(ent):
    """One has done it, and seven have repeated it."""
    said = crowd(lambda number: ent.consume("acme", "crm.imports", 3, operation="one"))
    assert sum(not each.replayed for each in said) == 1
    assert ent.usage("acme", "crm.imports")["crm.imports"].used == 3


def test_a_mark_is_told_once_whoever_reaches_it(ent):
    """Many reach it together, and each would tell it."""
    told, lock = [], threading.Lock()

    @ent.on("usage.threshold")
    def hears(event):
        with lock:
            told.append(event.id)

    crowd(lambda number: [ent.try_consume("acme", "crm.imports", operation=(number, each)) for each in range(13)])
    ent._handlers.looked_at = None
    ent.consume("acme", "crm.calls", operation="last")
    assert (len(told), len(set(told))) == (2, 2)


def test_several_features_and_refunds_end_as_they_must(ent):
    """In whichever order the features are given: nobody waits for ever, and all comes back."""

    def work(number):
        features = ["crm.imports", "crm.calls", "crm.hours"]
        if number % 2:
            features.reverse()
        for each in range(5):
            ent.consume_many("acme", dict.fromkeys(features, 1), operation=(number, each), when_short="overflow")
            ent.refund("acme", operation=(number, each))

    crowd(work)
    assert {key: each.used for key, each in ent.usage("acme", "crm.imports", "crm.calls", "crm.hours").items()} == {
        "crm.imports": 0,
        "crm.calls": 0,
        "crm.hours": 0,
    }


def test_what_rolls_over_is_fixed_once_by_many_who_come_first():
    """All want to open the window; what they may use afterwards is what it was opened with."""
    clock = FakeClock(START)
    with Entitlements.open("memory://", catalog=CATALOG, clock=clock) as ent:
        ent.admin("asha", because="a test").subscribe("acme", "pro")
        ent.consume("acme", "crm.texts", 80, operation="one")
        clock.advance(days=31)

        def work(number):
            return sum(ent.try_consume("acme", "crm.texts", operation=(number, each)).allowed for each in range(20))

        assert sum(crowd(work)) == 120


def test_tasks_of_one_loop_are_exact_too(url):
    """100 of 160 pass; a handler that consumes itself is no trouble."""
    told = []

    async def main():
        async with AsyncEntitlements.open(url.replace("sqlite:", "sqlite+aiosqlite:"), catalog=CATALOG) as aent:
            if url.startswith("postgres"):
                await aent._store.upgrade()
            await aent.admin("asha", because="a test").subscribe("acme", "pro")

            @aent.on("usage.threshold")
            async def hears(event):
                told.append(event.threshold)
                await aent.consume("acme", "crm.calls", operation=event.id)

            decisions = await asyncio.gather(
                *(aent.try_consume("acme", "crm.imports", operation=("task", number)) for number in range(160))
            )
            assert sum(decision.allowed for decision in decisions) == 100
            assert (await aent.usage("acme", "crm.calls"))["crm.calls"].used == 2

    asyncio.run(main())
    assert sorted(told) == [80, 100]
