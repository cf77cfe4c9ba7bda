"""
Eight threads on one object, which take turns after every few instructions: what they get is exact.

The interpreter switches threads every 5 ms by itself; then a race that needs two steps in a row between two threads
is seen once in a thousand runs. Here it switches as often as it can.
"""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from payaid_entitlements import Entitlements
from payaid_entitlements.cache.gathering import LANES
from payaid_entitlements.cache.local import FOREVER, NEVER, Entry, LocalCache
from payaid_entitlements.cache.taking_turns import TakingTurns
from payaid_entitlements.core.evaluation import Situation
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.metering.meters import Meters
from payaid_entitlements.core.observing import Tally
from payaid_entitlements.core.resolution import Standpoint, Table
from payaid_entitlements.core.world import World
from payaid_entitlements.errors import ChangeConflict
from payaid_entitlements.stores.opening import open_store
from payaid_entitlements.stores.ports import LogEntry, Scope
from payaid_entitlements.stores.redis.clients import Client, Script
from payaid_entitlements.testing.contracts.writes import first_write, next_write, whole_log
from tests.faults.apps import CATALOG

THREADS = 8
#: How much of it; the long run does so many times as much.
LONG = 20


@pytest.fixture(autouse=True)
def switching_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture(params=[1, pytest.param(LONG, marks=pytest.mark.soak)], ids=["short", "long"])
def much(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def hammer(work: Callable[[int], None], threads: int = THREADS) -> None:
    """Run *work* in so many threads that begin at once; every error of theirs is one of the test's."""
    errors: list[BaseException] = []
    begins = threading.Barrier(threads)

    def guarded(number: int) -> None:
        try:
            begins.wait(30)
            work(number)
        except BaseException as error:
            errors.append(error)

    running = [threading.Thread(target=guarded, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(300)
    assert not any(thread.is_alive() for thread in running)
    for error in errors:
        raise error


def entry(world: World, revision: int, read_at: float = 0.0) -> Entry:
    table = Table({}, world)
    standpoint = Standpoint(table, table, "now", None, frozenset(), Situation(()))
    return Entry(((FOREVER, None, standpoint, Meters(None, "UTC")),), revision=revision, read_at=read_at, fresh=FOREVER)


def test_what_is_kept_near_is_never_older_than_what_its_thread_has_heard(much: int):
    """Each thread has a tenant of its own, among others who fill, drop, evict, hear and read the log."""
    world: Any = None
    near = LocalCache(bound=THREADS, clock=lambda: 1.0, fresh_for=60.0)
    near.reach(0)

    def work(number: int) -> None:
        chance, mine = random.Random(number), f"mine-{number}"
        for revision in range(1, 150 * much):
            generation, as_of = near.generation, near.position
            near.put(mine, entry(world, revision), generation, as_of)
            held = near.current(mine, 1.0)
            # Evicted, or dropped; never an older one.
            assert held is None or held.revision == revision
            if chance.random() < 0.5:
                near.invalidate(mine, revision + 1, 0)
            else:
                near.hear(LogEntry(chance.randrange(1, 9), Scope.TENANT, mine, revision + 1))
            held = near.current(mine, 1.0)
            assert held is None or held.until == held.fresh == NEVER
            assert not near.put(mine, entry(world, revision, 2.0), near.generation, near.position)
            match chance.randrange(40):
                case 0:
                    near.drop()
                case 1:
                    another: Any = SimpleNamespace(tables={})
                    near.turn_to(another, FlagSnapshot(), (near.generation, near.turns))
                case 2:
                    near.doubt()
                case _:
                    near.extend(float(revision), near.doubts)

    hammer(work)
    assert len(near.held) <= THREADS
    assert near.held.keys() <= set(near._ring)
    assert len(near._ring) == len(set(near._ring)) <= THREADS


def test_positions_are_heard_in_order_or_doubted(much: int):
    """All threads tell of the same lines, each in an order of its own: no line is passed over."""
    last = 200 * much
    near = LocalCache(bound=4, clock=lambda: 1.0, fresh_for=60.0)
    near.reach(0)
    lines = [LogEntry(position, Scope.TENANT, f"t{position % 3}", position) for position in range(1, last + 1)]

    def work(number: int) -> None:
        chance = random.Random(number)
        for start in range(0, last, 20):
            part = lines[start : start + 20]
            for line in chance.sample(part, len(part)):
                near.hear(line)
                # All up to here are known, or somebody is still to read the log.
                assert near.position is not None
                assert near.position <= last

    hammer(work)
    assert near.position is not None
    assert all(near.floor(f"t{number}") >= last - 2 for number in range(3))
    assert near.position == last or near.lease == NEVER


def test_counts_are_exact(much: int):
    tally = Tally()

    def work(number: int) -> None:
        for _ in range(500 * much):
            tally.count("all")
            tally.count("mine", str(number))

    hammer(work)
    assert tally.counts() == {("all",): THREADS * 500 * much} | {
        ("mine", str(number)): 500 * much for number in range(THREADS)
    }


def test_who_takes_turns_gets_an_answer_of_his_own(much: int):
    turns, running, most = TakingTurns(30.0), Counter[str](), [0]

    def read(tenants: tuple[str, ...]) -> dict[str, object]:
        running["now"] += 1
        most.append(running["now"])
        running["now"] -= 1
        return {tenant: f"of {tenant}" for tenant in tenants}

    def work(number: int) -> None:
        for turn in range(100 * much):
            tenant = f"{number}-{turn}"
            assert turns.read((tenant,), read)[tenant] == f"of {tenant}"

    hammer(work)
    assert max(most) <= LANES
    assert (turns._lanes, turns._waiting) == ({}, [])


BACKENDS = ["memory", "sqlite", "postgresql", "redis"]


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Any) -> str:
    if request.param == "memory":
        return "memory://"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/payaid.db"
    return str(request.getfixturevalue("ready_url")(request.param))


def test_of_all_who_write_one_revision_exactly_one_does(url: str, much: int):
    """Each writes what it works out from what is there, and tries again when somebody was faster."""
    store = open_store(url)
    store.prepare()
    before = store.changes_since(None).position
    done, conflicts = Counter[int](), Counter[int]()
    each = 6 * much

    def work(number: int) -> None:
        while done[number] < each:
            known = store.read(["acme"]).get("acme")
            first = first_write(Scope.TENANT)
            assert first.document is not None
            write = first if known is None else next_write(replace(first, document=known))
            assert write.document is not None
            write = replace(write, id=f"{number}-{done[number]}", document=replace(write.document, tenant="acme"))
            try:
                applied = store.apply(
                    write, expect=0 if known is None else known.revision, actor=str(number), because=None
                )
            except ChangeConflict:
                conflicts[number] += 1
                continue
            assert applied.applied
            done[number] += 1

    hammer(work)
    total = THREADS * each
    assert store.read(["acme"])["acme"].revision == total
    log = [line for line in whole_log(store) if line.position > before]
    assert [line.revision for line in log] == list(range(1, total + 1))
    assert [line.position for line in log] == list(range(before + 1, before + total + 1))
    assert Counter(line.actor for line in store.audit(tenant="acme", limit=total + 1)) == {
        str(number): each for number in range(THREADS)
    }
    store.close()


def test_a_client_is_asked_changed_and_closed_by_all(url: str, much: int):
    """Whoever has changed something sees it at once; whoever closes harms nobody; one thread listens, and then none."""
    ent = Entitlements(open_store(url), catalog=CATALOG, cache_size=6)
    ent.check("acme", "crm.page_size")

    def work(number: int) -> None:
        chance, mine = random.Random(number), f"t{number}"
        admin = ent.admin("test", because="test")
        for value in range(1, 12 * much):
            change = admin.override(mine, "crm.page_size", value)
            assert ent.check(mine, "crm.page_size").value == value
            other = ent.check(f"t{chance.randrange(THREADS)}", "crm.page_size")
            assert isinstance(other.value, int)
            assert not other.degraded
            assert ent.tenant(mine, after=change.revision).revision == change.revision
            if number == 0 and value % 5 == 0 and url != "memory://":
                ent.close()

    hammer(work)
    assert all(ent.check(f"t{number}", "crm.page_size").value == 12 * much - 1 for number in range(THREADS))
    listening = [thread for thread in threading.enumerate() if thread.name == "payaid-channel"]
    assert len(listening) == (0 if ent._setting.listener is None else 1)
    ent.close()
    assert not any(thread.name == "payaid-channel" for thread in threading.enumerate())


def test_a_client_of_redis_is_made_once_and_shared(redis_url: str, much: int):
    client, add = Client(redis_url), Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    made: set[int] = set()

    def work(number: int) -> None:
        made.add(id(client.raw))
        for turn in range(40 * much):
            client.run(add, ["{t}count"], [2])
            if turn % 10 == number:
                client.call("SCRIPT", "FLUSH")

    hammer(work)
    assert len(made) == 1
    assert int(client.call("GET", "{t}count")) == 2 * THREADS * 40 * much
    client.close()
