"""How connections begin: SQLite in WAL with BEGIN IMMEDIATE, PostgreSQL with limits, and what a URL says wins."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import Engine, event, make_url, text

from payaid_entitlements import Entitlements
from payaid_entitlements.stores.sql import SQLStore, begin_immediate, engines
from payaid_entitlements.stores.sql.engines import is_immediate
from payaid_entitlements.stores.sql.tables import SCHEMA_VERSION
from payaid_entitlements.testing.contracts.writes import tenant_write
from tests.core.conftest import SMALL


def _statements(engine):
    """What is sent on *engine* from now on, in its order."""
    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda c, cursor, statement, *rest: sent.append(statement))
    return sent


def sync_engine(url: str) -> Engine:
    return engines.sync_engine(make_url(url))


def _put(store, tenant="acme"):
    return store.apply(tenant_write(tenant), expect=0, actor="asha", because=None)


def test_an_sqlite_file_is_in_wal_and_survives_losing_power(open_sql, engine_on, sqlite_url):
    open_sql(sqlite_url).store.prepare()
    with engine_on(sqlite_url).connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    engine = sync_engine(sqlite_url)
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
    engine.dispose()


@pytest.mark.parametrize("whose", ["ours", "the host's", "the host's, made immediate"])
def test_a_write_on_sqlite_begins_at_once_and_a_read_begins_nothing(engine_on, sqlite_url, whose):
    engine = sync_engine(sqlite_url) if whose == "ours" else engine_on(sqlite_url)
    if whose.endswith("immediate"):
        begin_immediate(engine)
    store = SQLStore(engine)
    store.prepare()
    sent = _statements(engine)
    _put(store)
    assert sent[0] == "BEGIN IMMEDIATE"
    assert sent.count("BEGIN IMMEDIATE") == 1
    sent.clear()
    store.read(["acme"])
    store.catalog()
    store.controls()
    store.changes_since(0)
    store.find(module="crm")
    store.audit()
    store.outbox()
    assert [statement.split()[0] for statement in sent] == ["SELECT"] * 7
    engine.dispose()


def test_each_transaction_of_the_hosts_engine_begins_at_once_when_that_was_asked(engine_on, sqlite_url):
    engine = engine_on(sqlite_url)
    assert not is_immediate(engine)
    begin_immediate(engine)
    begin_immediate(engine)
    assert is_immediate(engine)
    assert is_immediate(engine.execution_options(logging_token="web"))
    sent = _statements(engine)
    with engine.begin() as connection:
        connection.execute(text("SELECT 1"))
    assert sent == ["BEGIN IMMEDIATE", "SELECT 1"]


def test_a_writer_who_is_at_work_in_the_old_journal_keeps_nobody_from_connecting(tmp_path):
    path = tmp_path / "host.db"
    old = sqlite3.connect(path, isolation_level=None)
    old.execute("CREATE TABLE host (id INTEGER)")
    old.execute("BEGIN IMMEDIATE")
    old.execute("INSERT INTO host VALUES (1)")
    engine = sync_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "delete"
        assert connection.exec_driver_sql("SELECT count(*) FROM host").scalar_one() == 0
    old.execute("COMMIT")
    old.close()
    engine.dispose()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    engine.dispose()


def test_readers_go_on_while_somebody_writes(opened, host_engine):
    _put(opened.store, "beta")
    with host_engine.begin() as connection:
        connection.execute(text("UPDATE payaid_tenants SET plan = 'other'"))
        assert opened.store.read(["beta"])["beta"].revision == 1
        assert opened.store.find(plan="pro")[0].tenant == "beta"


def test_a_read_on_postgresql_is_one_statement_without_a_transaction(migrated_url):
    store = SQLStore(migrated_url)
    _put(store)
    sent = _statements(store._engine)
    with store._reading.connect() as connection:
        assert connection.connection.dbapi_connection.autocommit
    store.read(["acme"])
    store.read(["acme", "beta"])
    store.changes_since(0)
    assert len(sent) == 3
    assert store._engine.pool.checkedout() == 0
    store.close()


def _setting(url, name):
    engine = sync_engine(url)
    with engine.connect() as connection:
        value = connection.exec_driver_sql(f"SHOW {name}").scalar_one()
    engine.dispose()
    return value


def test_a_server_ends_a_statement_that_takes_too_long(postgres_url):
    assert _setting(postgres_url, "statement_timeout") == "2s"
    assert _setting(postgres_url, "idle_in_transaction_session_timeout") == "1min"


def test_what_the_url_says_wins(engine_on, postgres_url):
    with engine_on(postgres_url).begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA ours")
    url = f"{postgres_url}&options=-c%20statement_timeout%3D300%20-c%20search_path%3Dours&connect_timeout=7"
    assert _setting(url, "statement_timeout") == "300ms"
    assert _setting(url, "search_path") == "ours"
    assert _setting(url, "idle_in_transaction_session_timeout") == "1min"
    twice = f"{postgres_url}&options=-csearch_path%3Dours&options=-cstatement_timeout%3D400"
    assert _setting(twice, "statement_timeout") == "400ms"
    assert _setting(twice, "search_path") == "ours"
    store = SQLStore(url)
    assert store.upgrade() == SCHEMA_VERSION
    store.prepare()
    _put(store)
    store.close()
    elsewhere = SQLStore(postgres_url)
    assert elsewhere.current() is None
    elsewhere.close()


def test_a_write_on_postgresql_is_all_or_nothing_though_our_engine_commits_by_itself(migrated_url):
    """What stops it at its last statement takes back the three before."""
    with Entitlements.open(migrated_url, catalog=SMALL) as ent:
        admin = ent.admin("tests", because="a fault")
        admin.subscribe("acme", "pro")
        held, written = ent.tenant("acme", fresh=True), []

        def stop(connection, cursor, statement, *rest):
            written.append(statement.split()[0])
            if "payaid_outbox" in statement:
                raise RuntimeError("stopped")

        engine = ent._store._engine
        event.listen(engine, "before_cursor_execute", stop)
        with pytest.raises(RuntimeError, match="stopped"):
            admin.change_plan("acme", "big")
        event.remove(engine, "before_cursor_execute", stop)
        assert "UPDATE" in written
        now = ent.tenant("acme", fresh=True)
        assert (now.plan, now.revision) == ("pro", held.revision)
