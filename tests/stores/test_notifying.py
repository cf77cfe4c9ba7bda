"""PostgreSQL tells of changes when they are committed, on a connection of the listener's own."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL, create_engine, event, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from payaid_entitlements.errors import ConfigurationError, StoreUnavailable
from payaid_entitlements.stores.ports import LogEntry, Scope
from payaid_entitlements.stores.sql import SQLStore
from payaid_entitlements.stores.sql.notifying import NotifyChannel, _psycopg_engine
from payaid_entitlements.testing.contracts.writes import (
    catalog_write,
    controls_write,
    forgetting,
    next_write,
    tenant_write,
)
from tests.stores.conftest import driven

#: Seconds that a message may take on a machine that does much else.
LONGEST = 10.0
BY = {"actor": "test", "because": None}


@pytest.fixture
def listen() -> Iterator[Callable[..., Any]]:
    """A function that opens a wire of a channel; all are closed after the test."""
    wires: list[Any] = []

    def listen(channel: Any) -> Any:
        wires.append(channel.connect())
        return wires[-1]

    yield listen
    for wire in wires:
        wire.close()


def heard(wire: Any, count: int) -> list[LogEntry | None]:
    """The next messages, as many as are awaited."""
    found: list[LogEntry | None] = []
    end = time.monotonic() + LONGEST
    while len(found) < count:
        assert time.monotonic() < end, f"only {found}"
        found += wire.next(0.5)
    return found


def test_each_change_is_told_of_in_its_order(open_sql, migrated_url, listen):
    opened = open_sql(migrated_url)
    wire = listen(opened.own.channel)
    assert wire.head() == (0, 0.0)
    assert list(wire.next(0.0)) == []

    first = tenant_write("acme")
    second = tenant_write("acme", first.document)
    for write, expect in (
        (first, 0),
        (second, 1),
        (catalog_write(), 0),
        (controls_write(), 0),
        (forgetting(second.document), 2),
    ):
        opened.store.apply(write, expect=expect, **BY)

    assert heard(wire, 5) == [
        LogEntry(1, Scope.TENANT, "acme", 1),
        LogEntry(2, Scope.TENANT, "acme", 2),
        LogEntry(3, Scope.CATALOG, None, 1),
        LogEntry(4, Scope.CONTROLS, None, 1),
        LogEntry(5, Scope.TENANT, "acme", 3),
    ]
    assert heard(wire, 0) == list(wire.next(0.0)) == []
    assert wire.head() == (5, 0.0)


def test_what_comes_along_with_an_answer_is_not_lost(open_sql, migrated_url, listen):
    opened = open_sql(migrated_url)
    wire = listen(opened.own.channel)
    opened.store.apply(tenant_write("acme"), expect=0, **BY)
    time.sleep(0.05)
    assert wire.head() == (1, 0.0)
    assert [each.position for each in heard(wire, 1)] == [1]


def test_nothing_is_told_of_what_was_not_done(open_sql, migrated_url, listen):
    opened = open_sql(migrated_url)
    wire = listen(opened.own.channel)
    write = tenant_write("acme", detail={"asked": "once"})
    opened.store.apply(write, expect=0, operation="op", **BY)
    assert not opened.store.apply(write, expect=0, operation="op", **BY).applied
    with pytest.raises(Exception, match="revision"):
        opened.store.apply(tenant_write("acme"), expect=0, **BY)
    opened.store.apply(tenant_write("initech"), expect=0, **BY)
    assert [each.tenant for each in heard(wire, 2)] == ["acme", "initech"]


@pytest.mark.parametrize("colour", ["sync"])
def test_a_hosts_transaction_tells_when_it_commits(open_sql, migrated_url, engine_on, listen):
    engine = engine_on(migrated_url)
    opened = open_sql(engine)
    wire = listen(opened.own.channel)
    with engine.begin() as tx:
        opened.store.apply(tenant_write("acme"), expect=0, tx=tx, **BY)
        tx.rollback()
    with engine.begin() as tx:
        opened.store.apply(tenant_write("initech"), expect=0, tx=tx, **BY)
        with pytest.raises(Exception, match="revision"):
            opened.store.apply(tenant_write("initech"), expect=0, tx=tx, **BY)
        assert list(wire.next(0.1)) == []
        opened.store.apply(tenant_write("globex"), expect=0, tx=tx, **BY)
    assert [(each.position, each.tenant) for each in heard(wire, 2)] == [(1, "initech"), (2, "globex")]


@pytest.mark.parametrize("colour", ["sync"])
def test_a_transaction_of_two_phases_tells_nobody(open_sql, migrated_url, engine_on):
    """PostgreSQL refuses to prepare one that does. The change is found by reading the log."""
    engine = engine_on(migrated_url)
    opened = open_sql(engine)
    said: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _, __, statement, *rest: said.append(statement))
    with engine.connect() as connection:
        transaction = connection.begin_twophase()
        opened.store.apply(tenant_write("acme"), expect=0, tx=connection, **BY)
        transaction.rollback()
    assert any("INSERT INTO payaid_outbox" in each for each in said)
    assert not any("pg_notify" in each for each in said)

    with engine.begin() as connection:
        opened.store.apply(tenant_write("acme"), expect=0, tx=connection, **BY)
    assert any("pg_notify" in each for each in said)


def test_telling_costs_no_statement_of_its_own(open_sql, migrated_url):
    opened = open_sql(migrated_url)
    said: list[str] = []
    event.listen(opened.engine, "before_cursor_execute", lambda _, __, statement, *rest: said.append(statement))
    opened.store.apply(tenant_write("acme"), expect=0, **BY)
    assert [each.split()[0] for each in said] == ["INSERT", "UPDATE", "INSERT", "INSERT"]


def test_the_longest_names_fit(open_sql, migrated_url, listen):
    opened = open_sql(migrated_url)
    wire = listen(opened.own.channel)
    longest = "\N{GRINNING FACE}" * 255
    opened.store.apply(tenant_write(longest), expect=0, **BY)
    assert heard(wire, 1) == [LogEntry(1, Scope.TENANT, longest, 1)]


def test_two_stores_in_one_database_do_not_hear_of_each_other(migrated_url, listen):
    """By prefix, and by the search path that tells their tables apart."""
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA other")
    elsewhere = make_url(migrated_url).update_query_dict({"options": "-csearch_path=other"})
    other_url = elsewhere.render_as_string(hide_password=False)
    stores = [SQLStore(migrated_url), SQLStore(migrated_url, prefix="odd_name_"), SQLStore(other_url)]
    wires = []
    for store in stores:
        store.upgrade()
        wires.append(listen(store.channel))
    for number, store in enumerate(stores):
        store.apply(tenant_write(f"tenant-{number}"), expect=0, **BY)
    for number, wire in enumerate(wires):
        assert heard(wire, 1) == [LogEntry(1, Scope.TENANT, f"tenant-{number}", 1)]
        assert list(wire.next(0.05)) == []
    for store in stores:
        store.close()


def test_what_is_none_of_ours_says_that_something_was_missed(migrated_url, listen):
    store = SQLStore(migrated_url)
    wire = listen(store.channel)
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        (name,) = connection.execute("SELECT 'payaid_' || 'payaid_changes'::regclass::oid").fetchone()
        connection.execute("SELECT pg_notify(%s, 'nonsense')", [name])
    assert heard(wire, 1) == [None]
    store.close()


# -- whose connection it is -----------------------------------------------------------------------------------


def connections(url: str) -> int:
    """How many listen."""
    with psycopg.connect(url, autocommit=True) as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND query ~ '^(LISTEN|SELECT payaid_sequencer)'"
        ).fetchone()
        return int(count)


def test_it_takes_none_of_the_hosts_pool(migrated_url, engine_on, listen):
    engine = engine_on(migrated_url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    store = SQLStore(engine)
    with engine.connect():
        wire = listen(store.channel)
        assert wire.head() == (0, 0.0)
        assert engine.pool.checkedout() == 1
    assert engine.pool.checkedin() == 1
    assert connections(migrated_url) == 1
    wire.close()
    deadline = time.monotonic() + LONGEST
    while connections(migrated_url):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_connects_as_the_hosts_engine_does(migrated_url, listen):
    """By a creator, and with a statement that its connections begin with."""
    made: list[object] = []

    def creates() -> object:
        made.append(psycopg.connect(migrated_url))
        return made[-1]

    engine = create_engine("postgresql+psycopg://nowhere/", creator=creates)

    @event.listens_for(engine, "connect")
    def names(connection: Any, record: object) -> None:
        connection.execute("SET application_name = 'the host'")
        connection.commit()

    store = SQLStore(engine)
    wire = listen(store.channel)
    store.apply(tenant_write("acme"), expect=0, **BY)
    assert len(heard(wire, 1)) == 1
    with psycopg.connect(migrated_url) as connection:
        rows = connection.execute("SELECT state FROM pg_stat_activity WHERE application_name = 'the host'").fetchall()
    assert sorted(rows) == [("idle",), ("idle",)]
    engine.dispose()


def test_behind_an_asynchronous_engine_of_the_hosts_it_connects_by_its_url(migrated_url, listen):
    engine = create_async_engine(driven(migrated_url))
    wire = listen(NotifyChannel(engine.sync_engine, SQLStore(migrated_url)._statements))
    store = SQLStore(migrated_url)
    store.apply(tenant_write("acme"), expect=0, **BY)
    assert len(heard(wire, 1)) == 1
    store.close()


def test_what_other_drivers_say_otherwise_is_said_in_psycopgs_words():
    url = URL.create(
        "postgresql+asyncpg",
        "user",
        "p@ss",
        "db.example.com",
        5433,
        "app",
        query={"ssl": "require", "prepared_statement_cache_size": "0", "application_name": "host"},
    )
    found = _psycopg_engine(url).url
    assert found.drivername == "postgresql+psycopg"
    assert (found.username, found.password, found.host, found.port, found.database) == (
        "user",
        "p@ss",
        "db.example.com",
        5433,
        "app",
    )
    assert dict(found.query) == {"sslmode": "require", "application_name": "host"}


def test_without_psycopg_changes_are_not_heard_of(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match="needs psycopg"):
        _psycopg_engine(make_url("postgresql+asyncpg://host/app"))


def test_no_other_database_tells(sqlite_url):
    assert SQLStore(sqlite_url).channel is None


# -- when it fails --------------------------------------------------------------------------------------------


def test_a_store_without_tables_of_ours_cannot_be_listened_to(postgres_url):
    store = SQLStore(postgres_url)
    with pytest.raises(StoreUnavailable, match="payaid_changes"):
        store.channel.connect()
    assert connections(postgres_url) == 0
    store.close()


def test_an_answer_that_does_not_come_is_not_waited_for(migrated_url, listen, proxies):
    proxy = proxies(migrated_url)
    wire = listen(SQLStore(proxy.url).channel)
    assert wire.head() == (0, 0.0)
    proxy.freeze()
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="no answer within 1"):
        wire.head()
    assert 0.9 < time.monotonic() - began < LONGEST


def test_a_connection_that_ends_is_an_error(migrated_url, listen):
    store = SQLStore(migrated_url)
    wire = listen(store.channel)
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()"
        )
    with pytest.raises(psycopg.OperationalError):
        heard(wire, 1)
    store.close()


def test_another_thread_ends_the_waiting_at_once(migrated_url, listen):
    store = SQLStore(migrated_url)
    wire = listen(store.channel)
    threading.Timer(0.1, wire.interrupt).start()
    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError):
        while True:
            wire.next(60.0)
    assert time.monotonic() - began < LONGEST
    wire.close()
    wire.close()
    wire.interrupt()
    store.close()


def test_changes_of_many_are_told_of_without_a_hole(migrated_url, listen, racers):
    """Writers in several processes; positions come in their order, each once."""
    store = SQLStore(migrated_url)
    wire = listen(store.channel)
    found: list[int] = []

    def hears() -> None:
        while len(found) < 80:
            found.extend(each.position for each in wire.next(0.1))

    thread = threading.Thread(target=hears, daemon=True)
    thread.start()
    applied = racers.race(_changes, migrated_url)
    thread.join(LONGEST)
    assert applied == [20] * 4
    assert found == list(range(1, 81))
    store.close()


def _changes(number: int, url: str) -> int:
    store = SQLStore(url)
    write = tenant_write(f"tenant-{number}")
    for revision in range(20):
        store.apply(write, expect=revision, **BY)
        write = next_write(write)
    store.close()
    return 20
