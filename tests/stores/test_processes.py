"""Real processes: they race for the same rows, make one database ready, and fork with connections open."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any, cast

import pytest
from sqlalchemy import NullPool, create_engine

from payaid_entitlements.stores.ports import AsyncStore, LogEntry
from payaid_entitlements.stores.sql import AsyncSQLStore, SQLStore
from payaid_entitlements.stores.sql.tables import SCHEMA_VERSION
from payaid_entitlements.testing.contracts.awaiting import Awaited, LoopThread
from payaid_entitlements.testing.contracts.writes import whole_log
from tests.stores import racing
from tests.stores.conftest import RACERS, Racers


def _changed_many(racers: Racers, url: str, tenants: int, times: int) -> None:
    applied = racers.race(racing.change_many, url, tenants, times)
    operations = [operation for each in applied for operation in each]
    names = [f"tenant-{number}" for number in range(tenants)]
    expected = [f"{racer}/{time}/{name}" for racer in range(RACERS) for time in range(times) for name in names]
    assert sorted(operations) == sorted(expected)

    store = SQLStore(url)
    audit = store.audit(limit=100_000)
    assert sorted(entry.operation or "" for entry in audit) == sorted(expected)
    for name in names:
        mine = [entry for entry in audit if entry.tenant == name]
        assert [entry.revision for entry in mine] == list(range(1, RACERS * times + 1))
        # Each was worked out from what the one before had left: nothing was lost between reading and writing.
        assert [entry.facts[0].value for entry in mine] == [
            {"plan": str(count), "version": 1} for count in range(1, RACERS * times + 1)
        ]
    assert {name: document.revision for name, document in store.read(names).items()} == dict.fromkeys(
        names, RACERS * times
    )
    assert [entry.position for entry in whole_log(store)] == list(range(1, len(expected) + 1))
    assert [event.position for event in store.outbox(limit=100_000)] == list(range(1, len(expected) + 1))
    store.close()


def test_processes_that_race_lose_nothing_and_do_nothing_twice(racers: Racers, database_url: str) -> None:
    _changed_many(racers, database_url, tenants=5, times=2)


@pytest.mark.soak
def test_processes_that_race_for_long_lose_nothing_and_do_nothing_twice(racers: Racers, database_url: str) -> None:
    _changed_many(racers, database_url, tenants=20, times=25)


def test_what_all_processes_do_is_done_once(racers: Racers, database_url: str) -> None:
    outcomes = racers.race(racing.do_the_same, database_url, 25)
    for act in range(25):
        ids = {each[act][0] for each in outcomes}
        assert len(ids) == 1
        assert [each[act][1] for each in outcomes].count(True) == 1
    store = SQLStore(database_url)
    assert Counter(entry.operation for entry in store.audit()) == {f"act-{act}": 1 for act in range(25)}
    store.close()


def test_what_processes_tally_at_once_all_counts(racers: Racers, database_url: str) -> None:
    times = 10
    racers.race(racing.tally, database_url, times)
    store = SQLStore(database_url)
    assert store.tallies("flag:1") == racing.tallied(RACERS, times)
    store.close()


def test_of_processes_that_change_one_tenant_at_once_exactly_one_succeeds_each_time(
    racers: Racers, database_url: str
) -> None:
    times = 10
    ends = racers.race(racing.change_once, database_url, times)
    for time in range(times):
        assert sorted(each[time] for each in ends) == ["applied", *["conflict"] * (RACERS - 1)]
    store = SQLStore(database_url)
    assert [entry.revision for entry in store.audit()] == list(range(1, times + 1))
    assert store.find()[0].modules == (f"module-{store.audit()[-1].actor.removeprefix('process-')}",)
    store.close()


def _seen_while(racers: Racers, url: str, *, times: int, is_joined: bool) -> None:
    """A reader polls while processes write slowly: it must see each change that was committed, once, in its order."""
    store = SQLStore(url)
    writers = racers.start(racing.write_slowly, url, times, is_joined)
    seen: list[LogEntry] = []
    position, polls, is_last = 0, 0, False
    while not is_last:
        is_last = all(writer.done() for writer in writers)
        page = store.changes_since(position)
        assert not page.gap
        seen.extend(page.entries)
        position, polls = page.position, polls + 1
    written = [tenant for writer in writers for tenant in writer.result()]
    assert sorted(str(entry.tenant) for entry in seen) == sorted(written)
    assert [entry.position for entry in seen] == list(range(1, len(written) + 1))
    assert polls > 2
    store.close()


@pytest.mark.parametrize("is_joined", [False, True], ids=["ours", "of the host"])
def test_no_change_of_slow_processes_is_skipped(racers: Racers, database_url: str, is_joined: bool) -> None:
    _seen_while(racers, database_url, times=20, is_joined=is_joined)


@pytest.mark.soak
@pytest.mark.parametrize("is_joined", [False, True], ids=["ours", "of the host"])
def test_no_change_of_slow_processes_is_ever_skipped(racers: Racers, database_url: str, is_joined: bool) -> None:
    _seen_while(racers, database_url, times=500, is_joined=is_joined)


def test_processes_that_open_one_new_file_all_find_it_ready(racers: Racers, sqlite_url: str) -> None:
    for number in range(3):
        url = sqlite_url.replace(".db", f"-{number}.db")
        assert racers.race(racing.prepare, url) == ["ready"] * RACERS


@pytest.mark.parametrize("server", ["postgres_url", "mariadb_url"])
def test_processes_that_upgrade_one_database_all_succeed(
    racers: Racers, server: str, request: pytest.FixtureRequest
) -> None:
    url = str(request.getfixturevalue(server))
    assert racers.race(racing.upgrade, url) == [SCHEMA_VERSION] * RACERS
    assert racers.race(racing.prepare, url) == ["ready"] * RACERS


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.parametrize("is_async", [False, True])
def test_a_fork_with_connections_open_harms_neither_side(racers: Racers, database_url: str, is_async: bool) -> None:
    assert racers.alone(racing.fork_with_connections, database_url, is_async) == [0, 0, 0]
    store = SQLStore(database_url)
    revisions = Counter(row.revision for row in store.find(limit=1000))
    assert revisions == {30: 1, 10: 3}
    store.close()


@pytest.mark.parametrize("is_async", [False, True])
def test_nothing_of_an_sqlite_file_is_open_while_a_process_forks(sqlite_url: str, is_async: bool) -> None:
    """A child that knew a connection of its parent's would hold no locks of its own."""
    with LoopThread() as loop:
        inner = AsyncSQLStore(sqlite_url) if is_async else SQLStore(sqlite_url)
        store: Any = Awaited(cast("AsyncStore", inner), loop) if is_async else inner
        store.prepare()
        pools: list[Any] = [inner._engine.pool]
        assert pools[0].checkedin() == 1
        inner._close_idle_connections()
        inner._close_idle_connections()
        pools.append(inner._engine.pool)
        assert [pool.checkedin() for pool in pools] == [0, 0]
        assert store.read(["acme"]) == {}
        store.close()


def test_a_pool_that_keeps_nothing_open_has_nothing_to_close(sqlite_url: str) -> None:
    engine = create_engine(sqlite_url, poolclass=NullPool)
    store = SQLStore(engine)
    store.prepare()
    store._close_idle_connections()
    assert store.read(["acme"]) == {}
