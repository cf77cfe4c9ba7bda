"""What goes wrong in a database is told by our errors, within a bound, and leaves nothing halfway."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.util.concurrency import greenlet_spawn

from payaid_entitlements.errors import OutcomeUnknown, StoreUnavailable
from payaid_entitlements.stores.ports import Applied
from payaid_entitlements.stores.sql import AsyncSQLStore, SQLStore, deadline
from payaid_entitlements.stores.sql.tables import tables
from payaid_entitlements.testing.contracts.writes import everything, same_again, tenant_write

CALLS = {
    "prepare": lambda store: store.prepare(),
    "read": lambda store: store.read(["acme"]),
    "read many": lambda store: store.read(["acme", "beta"]),
    "catalog": lambda store: store.catalog(),
    "controls": lambda store: store.controls(),
    "flags": lambda store: store.flags(),
    "add_tallies": lambda store: store.add_tallies("flag:1", {"n": 1}),
    "tallies": lambda store: store.tallies("flag:1"),
    "drop_tallies": lambda store: store.drop_tallies("flag:1"),
    "apply": lambda store: store.apply(tenant_write("acme"), expect=0, actor="asha", because=None),
    "changes_since": lambda store: store.changes_since(0),
    "changes_since None": lambda store: store.changes_since(None),
    "find": lambda store: store.find(module="crm"),
    "audit": lambda store: store.audit(),
    "outbox": lambda store: store.outbox(),
}


def _put(store, write=None, *, operation=None):
    return store.apply(write or tenant_write("acme"), expect=0, actor="asha", because=None, operation=operation)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_database_that_is_not_there_is_an_outage(open_sql, tmp_path, kind, call):
    url = {"sqlite": f"sqlite:///{tmp_path}/nowhere/payaid.db", "postgresql": "postgresql://127.0.0.1:1/payaid"}[kind]
    with pytest.raises(StoreUnavailable, match="the database gave no answer") as caught:
        CALLS[call](open_sql(url).store)
    assert not isinstance(caught.value, OutcomeUnknown)
    assert isinstance(caught.value.__cause__, SQLAlchemyError)


@pytest.mark.parametrize("call", CALLS)
def test_a_file_that_is_no_database_is_an_outage(open_sql, tmp_path, call):
    path = tmp_path / "payaid.db"
    path.write_bytes(b"This is not a database. " * 500)
    with pytest.raises(StoreUnavailable, match="file is not a database") as caught:
        CALLS[call](open_sql(f"sqlite:///{path}").store)
    assert isinstance(caught.value.__cause__, SQLAlchemyError)


@pytest.mark.parametrize("call", [call for call in CALLS if call != "prepare"])
def test_tables_that_vanished_are_an_outage(opened, engine_on, database_url, call):
    with engine_on(database_url).begin() as connection:
        for table in tables(connection.dialect.name).metadata.sorted_tables:
            if not table.name.endswith("schema"):
                connection.execute(text(f"DROP TABLE {table.name}"))
    with pytest.raises(StoreUnavailable) as caught:
        CALLS[call](opened.store)
    assert isinstance(caught.value.__cause__, SQLAlchemyError)


#: How many statements a write to a new tenant is, with an operation.
STATEMENTS = {"postgresql": 5, "sqlite": 6, "mysql": 7}


@pytest.mark.parametrize("at", range(max(STATEMENTS.values()) + 1))
def test_a_write_that_fails_at_any_statement_leaves_nothing(opened, at):
    _put(opened.store, tenant_write("beta"))
    before = everything(opened.store)
    count = -1

    def fail(connection, cursor, statement, *rest):
        nonlocal count
        if not statement.startswith(("BEGIN", "SET", "START", "ROLLBACK")):
            count += 1
            if count == at:
                raise _error(opened.engine, "the disk is full")

    event.listen(opened.engine, "before_cursor_execute", fail)
    write = tenant_write("acme", modules=["crm", "hr"])
    if at < STATEMENTS[opened.engine.dialect.name]:
        with pytest.raises(StoreUnavailable, match="the disk is full") as caught:
            _put(opened.store, write, operation="call-1")
        assert not isinstance(caught.value, OutcomeUnknown)
    event.remove(opened.engine, "before_cursor_execute", fail)
    assert everything(opened.store) == before
    assert _put(opened.store, same_again(write), operation="call-1").applied


def _error(engine, message):
    return engine.dialect.loaded_dbapi.OperationalError(message)


@contextmanager
def _reply_lost(opened, *, committed):
    """The answer to a commit is lost: the database did it, or did not."""
    dialect = opened.engine.dialect
    commit, rollback = dialect.do_commit, dialect.do_rollback

    def lose(connection):
        (commit if committed else rollback)(connection)
        raise _error(opened.engine, "server closed the connection unexpectedly")

    dialect.do_commit = lose
    try:
        yield
    finally:
        dialect.do_commit = commit


@pytest.mark.parametrize("committed", [True, False])
def test_a_lost_reply_to_a_commit_is_resolved_by_repeating(opened, committed):
    write = tenant_write("acme")
    with (
        _reply_lost(opened, committed=committed),
        pytest.raises(OutcomeUnknown, match="repeat with the same operation") as caught,
    ):
        _put(opened.store, write, operation="call-1")
    assert caught.value.operation == "call-1"
    assert isinstance(caught.value.__cause__, SQLAlchemyError)
    again = same_again(write)
    applied = _put(opened.store, again, operation="call-1")
    assert (applied.applied, applied.id) == ((False, write.id) if committed else (True, again.id))
    assert [entry.id for entry in opened.store.audit()] == [applied.id]


def test_a_server_that_ends_the_session_at_the_commit_leaves_the_outcome_unknown(open_sql, migrated_url):
    opened = open_sql(migrated_url)

    def kill(connection):
        pid = connection.connection.driver_connection.info.backend_pid
        with psycopg.connect(migrated_url, autocommit=True) as other:
            assert other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,)).fetchone() == (True,)

    event.listen(opened.engine, "commit", kill)
    with pytest.raises(OutcomeUnknown) as caught:
        _put(opened.store, operation="call-1")
    assert caught.value.operation == "call-1"
    with pytest.raises(OutcomeUnknown):
        opened.store.add_tallies("flag:1", {"n": 1})
    event.remove(opened.engine, "commit", kill)
    assert opened.store.tallies("flag:1") == {}
    assert everything(opened.store)[5:] == ([], [], [])
    assert _put(opened.store, operation="call-1").applied


def test_a_connection_that_the_server_ended_costs_no_answer(open_sql, migrated_url):
    opened = open_sql(migrated_url)
    assert opened.store.read(["acme"]) == {}
    with psycopg.connect(migrated_url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert opened.store.read(["acme"]) == {}
    assert _put(opened.store).applied


@pytest.mark.parametrize("call", ["read", "apply"])
def test_a_server_that_has_stopped_costs_a_caller_a_bounded_time(open_sql, migrated_url, monkeypatch, call):
    opened = open_sql(migrated_url)
    opened.store.read(["acme"])
    with psycopg.connect(migrated_url) as other:
        pids = other.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        ).fetchall()
    assert len(pids) == 1
    # The kernel goes on to take what is sent to a process that has stopped: no time-out of TCP would ever end this.
    os.kill(pids[0][0], signal.SIGSTOP)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(deadline, "LONGEST", 0.3)
            with pytest.raises(StoreUnavailable, match=r"no answer within 0\.3 seconds"):
                CALLS[call](opened.store)
        # That connection is given up; another one is served.
        assert opened.store.read(["acme"]) == {}
    finally:
        os.kill(pids[0][0], signal.SIGCONT)
    assert everything(opened.store)[0] == []


def test_our_own_deadline_comes_after_that_of_the_server():
    assert deadline.LONGEST > 2


def test_a_write_that_waits_too_long_for_another_is_an_outage(open_sql, host_engine, database_url, colour):
    first = tenant_write("acme")
    seeding = open_sql(database_url)
    _put(seeding.store, first)
    if host_engine.dialect.name == "postgresql":
        opened = open_sql(f"{database_url}&options=-cstatement_timeout%3D150")
    elif host_engine.dialect.name == "mysql":
        opened = open_sql(f"{database_url}?init_command=SET%20max_statement_time%3D0.15")
    else:
        opened = seeding
        _shorten(opened, 0.1)
    with host_engine.begin() as connection:
        connection.execute(text("UPDATE payaid_tenants SET plan = 'held'"))
        begun = monotonic()
        with pytest.raises(StoreUnavailable):
            opened.store.apply(tenant_write("acme", first.document), expect=1, actor="asha", because=None)
        assert monotonic() - begun < 4
        connection.rollback()
    assert opened.store.apply(tenant_write("acme", first.document), expect=1, actor="asha", because=None).applied


def _shorten(opened, seconds):
    """Let connections of an SQLite store wait for *seconds* only, from now on."""

    def shorten(connection, record):
        connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")

    opened.store.close()
    event.listen(opened.engine, "connect", shorten)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_pool_without_a_free_connection_is_an_outage(engine_on, sqlite_url, migrated_url, kind):
    url = {"sqlite": sqlite_url, "postgresql": migrated_url}[kind]
    engine = engine_on(url, pool_size=1, max_overflow=0, pool_timeout=0.05)
    store = SQLStore(engine)
    store.prepare()
    with engine.connect(), pytest.raises(StoreUnavailable, match="QueuePool limit"):
        store.read(["acme"])
    assert store.read(["acme"]) == {}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_nobody_waits_long_for_a_free_connection(open_sql, kind):
    url = {"sqlite": "sqlite:///payaid.db", "postgresql": "postgresql://db/payaid"}[kind]
    assert open_sql(url).engine.pool._timeout == {"sqlite": 5.0, "postgresql": 2}[kind]


@pytest.mark.parametrize("at", range(7))
@pytest.mark.parametrize("colour", ["async"], indirect=True)
def test_a_write_that_is_cancelled_leaves_nothing_and_holds_up_nobody(opened, at):
    if at >= STATEMENTS[opened.engine.dialect.name]:
        return  # it has ended before
    store: AsyncSQLStore = opened.own

    async def cancelled():
        task, count = asyncio.current_task(), -1

        def cancel(connection, cursor, statement, *rest):
            nonlocal count
            count += 1
            if count == at:
                task.cancel()

        event.listen(opened.engine, "before_cursor_execute", cancel)
        try:
            await store.apply(tenant_write("acme"), expect=0, actor="asha", because=None, operation="call-1")
        finally:
            event.remove(opened.engine, "before_cursor_execute", cancel)

    with pytest.raises(BaseException) as caught:
        opened.run(cancelled())
    assert type(caught.value).__name__ == "CancelledError"
    assert everything(opened.store)[0] == []
    # The error, with all that its traceback refers to, is still there: it must not keep the database locked.
    assert _put(opened.store, operation="call-1").applied
    assert caught.value is not None


def test_a_host_that_swallows_our_failure_commits_nothing_of_ours(host_engine):
    """A change is whole also where the host goes on after it failed in the middle."""
    host = SQLStore(host_engine)
    with host_engine.begin() as tx:
        tx.execute(text("CREATE TABLE host (id INTEGER)"))

    def fail(connection, cursor, statement, *rest):
        if "payaid_sequencer" in statement:
            raise _error(host_engine, "the disk is full")

    with host_engine.begin() as tx:
        tx.execute(text("INSERT INTO host VALUES (1)"))
        event.listen(host_engine, "before_cursor_execute", fail)
        with pytest.raises(StoreUnavailable):
            host.apply(tenant_write("acme"), expect=0, actor="asha", because=None, tx=tx)
        event.remove(host_engine, "before_cursor_execute", fail)
        tx.execute(text("INSERT INTO host VALUES (2)"))
    with host_engine.connect() as connection:
        assert connection.execute(text("SELECT id FROM host ORDER BY id")).scalars().all() == [1, 2]
    assert host.read(["acme"]) == {}
    assert host.changes_since(None).position == 0


def test_a_write_is_atomic_also_on_an_engine_that_commits_each_statement(engine_on, database_url):
    engine = engine_on(database_url, isolation_level="AUTOCOMMIT")
    store = SQLStore(engine)

    def fail(connection, cursor, statement, *rest):
        if "INSERT INTO payaid_changes" in statement:
            raise _error(engine, "the disk is full")

    event.listen(engine, "before_cursor_execute", fail)
    with pytest.raises(StoreUnavailable):
        _put(store)
    event.remove(engine, "before_cursor_execute", fail)
    assert store.read(["acme"]) == {}
    assert store.changes_since(None).position == 0
    applied = _put(store)
    assert applied == Applied(applied.id, True, 1, 1)


def test_a_store_that_was_closed_opens_its_file_anew(sqlite_url, tmp_path: Path):
    store = SQLStore(sqlite_url)
    store.prepare()
    _put(store)
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["payaid.db"]
    with sqlite3.connect(tmp_path / "payaid.db") as plain:
        assert plain.execute("SELECT tenant FROM payaid_tenants").fetchall() == [("acme",)]
    plain.close()
    assert list(store.read(["acme"])) == ["acme"]
    store.close()


def test_an_engine_of_the_host_stays_open(engine_on, database_url):
    engine = engine_on(database_url)
    store = SQLStore(engine)
    store.read(["acme"])
    pool = engine.pool
    store.close()
    assert engine.pool is pool
    assert pool.checkedin() == 1


def test_a_child_leaves_the_connections_of_its_parent_alone(opened):
    """What a fork does, seen from inside; real forks are in test_processes."""
    opened.store.read(["acme"])
    parents = opened.engine.pool
    assert parents.checkedin() == 1
    opened.own._forget_connections()
    assert opened.engine.pool is not parents
    assert opened.engine.pool.checkedin() == 0
    assert parents.checkedin() == 1
    assert opened.store.read(["acme"]) == {}
    # Only in this test both are one process, which has to close them itself.
    opened.run(_disposed(parents)) if opened.run else parents.dispose()


async def _disposed(pool):
    await greenlet_spawn(pool.dispose)
