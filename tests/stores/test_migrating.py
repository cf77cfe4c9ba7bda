"""
Up and down, by one migrator at a time, on a database that is in use; what is interrupted is finished by the next one.

Most of this is shown on a version after the newest, which only these tests have.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import OperationalError

from payaid_entitlements.errors import ConfigurationError, SchemaOutOfDate, StoreUnavailable
from payaid_entitlements.stores.sql import SQLStore, alone, migrations, schema
from payaid_entitlements.stores.sql.tables import SCHEMA_VERSION, WORKS_FROM
from payaid_entitlements.testing.contracts.writes import everything, tenant_write
from tests.stores import later
from tests.stores.conftest import driven
from tests.stores.later import with_next_version

_ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def place(request):
    """The URL of an empty database of each kind, as SQLAlchemy wants it of a host, for an engine of the host."""
    name = {"sqlite": "sqlite_url", "postgresql": "postgres_url", "mariadb": "mariadb_url"}[request.param]
    return driven(request.getfixturevalue(name))


def known(store):
    """What a store of the first version can tell."""
    return store.find(), store.read(["acme"]), store.catalog(), store.controls(), store.audit(), store.outbox()


def dump(url):
    """Everything that a database says of its tables."""
    engine = create_engine(url)
    found = inspect(engine)
    tables = {
        name: (
            [(each["name"], repr(each["type"]), each["nullable"], each["default"]) for each in found.get_columns(name)],
            found.get_pk_constraint(name),
            sorted(map(repr, found.get_indexes(name))),
            sorted(map(repr, found.get_unique_constraints(name))),
            found.get_table_options(name),
        )
        for name in found.get_table_names()
    }
    engine.dispose()
    return tables


def store_on(url):
    """A store on an engine of ours that nobody has to close."""
    engine = create_engine(url)
    return SQLStore(engine), engine


@pytest.fixture
def migrated(place):
    """A store whose tables were migrated to."""
    store, engine = store_on(place)
    store.upgrade()
    yield store
    engine.dispose()


# -- what is there ---------------------------------------------------------------------------------------------------


def test_this_release_needs_the_newest_version():
    revisions = [each.revision for each in migrations.MIGRATIONS]
    assert [int(each.partition(".")[0]) for each in revisions] == list(range(1, SCHEMA_VERSION + 1))
    assert revisions[-1] == f"{SCHEMA_VERSION}.{WORKS_FROM}"
    assert [each.down_revision for each in migrations.MIGRATIONS] == [None, *revisions[:-1]]
    assert all(each.LOSES for each in migrations.MIGRATIONS)


def test_migrating_and_making_at_once_give_the_same_tables(place, migrated):
    by_migrating = dump(place)
    migrated.downgrade(0)
    assert dump(place) == {}
    with migrated._engine.begin() as connection:
        schema.create(connection, migrated._statements)
    assert dump(place) == by_migrating
    migrated.prepare()
    migrated.downgrade(0)
    assert dump(place) == {}


def test_the_printed_statements_give_the_same_tables(place, migrated):
    by_migrating = dump(place)
    migrated.downgrade(0)
    script = migrated.upgrade_script()
    with migrated._engine.begin() as connection:
        for statement in script.split(";\n"):
            if statement.strip() and statement.strip() not in {"BEGIN", "COMMIT"}:
                connection.exec_driver_sql(statement)
    assert {name: each[:-1] for name, each in dump(place).items()} == {
        name: each[:-1] for name, each in by_migrating.items()
    }
    migrated.prepare()
    assert migrated.upgrade_script() == ""


def test_the_printed_statements_begin_with_the_schema_that_was_named(migrated_url):
    store = SQLStore(f"{migrated_url}{'&' if '?' in migrated_url else '?'}payaid_schema=billing")
    script = store.upgrade_script()
    store.close()
    assert script.index("CREATE SCHEMA IF NOT EXISTS billing") < script.index("CREATE TABLE billing.payaid_")


def test_alembic_finds_no_difference(migrated):
    tables = migrated._statements.tables
    with migrated._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": tables.schema.name})
        assert compare_metadata(context, tables.metadata) == []


def test_a_store_works_on_what_was_migrated(migrated):
    migrated.prepare()
    migrated.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
    assert migrated.changes_since(0).position == 1


def test_whether_there_are_tables_is_one_select_where_there_are(migrated):
    from sqlalchemy import event

    seen = []
    event.listen(migrated._engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    assert migrated.current() == schema.Version(5, 1)
    assert len(seen) == 1


def test_a_hosts_own_alembic_is_left_alone(place):
    store, engine = store_on(place)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('abc')"))
    store.upgrade()
    store.downgrade(0)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "abc"
    assert list(dump(place)) == ["alembic_version"]
    engine.dispose()


# -- the ledger ------------------------------------------------------------------------------------------------------


def test_a_database_of_the_first_version_goes_on_while_the_ledger_and_the_flags_are_added_and_taken_away(place):
    store, engine = store_on(place)
    assert store.upgrade(1) == 1
    first = dump(place)
    with pytest.raises(SchemaOutOfDate, match=r"version 1, and this release needs version 5; run `payaid db upgrade`"):
        store.prepare()
    store.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
    before = known(store)
    with contextlib.ExitStack() as held:
        if not place.startswith("sqlite"):
            # Nothing that requests use is waited for, or locked.
            holder = held.enter_context(engine.connect())
            holder.execute(text("UPDATE payaid_tenants SET revision = revision"))
        began = time.monotonic()
        assert store.upgrade() == SCHEMA_VERSION
        assert time.monotonic() - began < alone.TRIES * alone.LOCK_TIMEOUT / 1000
    assert store.current().serves(1)
    store.prepare()
    assert known(store) == before
    made = dump(place)
    assert {name: made[name] for name in first} == first
    assert sorted(made.keys() - first) == [
        "payaid_activity",
        "payaid_flags",
        "payaid_rates",
        "payaid_tallies",
        *(f"payaid_usage_{name}" for name in ("accounts", "entries", "events", "holds", "slots")),
    ]
    assert store.downgrade(1) == 1
    assert dump(place) == first
    assert known(store) == before
    engine.dispose()


# -- the version after this ------------------------------------------------------------------------------------------


def test_up_and_down_keep_what_the_older_version_knows(migrated, place):
    migrated.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
    first, before = dump(place), everything(migrated)
    with with_next_version():
        assert migrated.upgrade(6) == 6
        assert migrated.upgrade(6) == 6
        assert migrated.current() == schema.Version(6, 1)
        second = dump(place)
        assert second != first
    # This release goes on working, and starts, on the later version: it serves it.
    migrated.prepare()
    assert everything(migrated) == before
    migrated.apply(tenant_write("beta"), expect=0, actor="asha", because=None)
    assert migrated.upgrade() == 6
    with pytest.raises(ConfigurationError, match="only a release that knows it brings them down"):
        migrated.downgrade(5)
    with with_next_version():
        assert migrated.downgrade(5) == 5
        assert dump(place) == first
        assert migrated.upgrade(6) == 6
        assert dump(place) == second
        assert migrated.downgrade(0) == 0
    assert dump(place) == {}


def test_a_later_version_that_does_not_serve_this_release_is_refused(migrated):
    with with_next_version(oldest=6):
        migrated.upgrade(6)
        with pytest.raises(ConfigurationError, match=r"have version 6, and 5 is older: .*downgrade --to 5"):
            migrated.upgrade(5)
    for act in (migrated.prepare, migrated.upgrade, migrated.upgrade_script, lambda: migrated.downgrade(0)):
        with pytest.raises(SchemaOutOfDate, match=r"version 6, .* needs version 5; install the release"):
            act()


def test_a_migration_that_fails_leaves_what_was_there_or_can_be_repeated(migrated, place):
    first = dump(place)
    with with_next_version(then=later.fail), pytest.raises(StoreUnavailable, match="no_such_table"):
        migrated.upgrade(6)
    if not place.startswith("mysql"):
        assert dump(place) == first
    assert migrated.current() == schema.Version(5, 1)
    with with_next_version():
        assert migrated.upgrade(6) == 6
        second = dump(place)
        migrated.downgrade(0)
        migrated.upgrade(6)
    assert dump(place) == second


# -- several at once, and the end in the middle ----------------------------------------------------------------------


def _migrator(url, pause="0"):
    command = [sys.executable, "-m", "tests.stores.later", url, pause]
    environment = os.environ | {"PYTHONPATH": f"{_ROOT / 'src'}{os.pathsep}{_ROOT}"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=_ROOT)


def test_of_several_migrators_one_acts(place):
    migrators = [_migrator(place) for _ in range(4)]
    said = [each.communicate(timeout=60)[0] for each in migrators]
    assert [each.returncode for each in migrators] == [0] * 4
    lines = [line for each in said for line in each.splitlines()]
    assert sorted(lines) == ["at 6"] * 4 + ["begins", "ends"]
    clean = dump(place)
    with with_next_version():
        store, engine = store_on(place)
        store.downgrade(0)
        store.upgrade(6)
        engine.dispose()
    assert dump(place) == clean


def test_a_migrator_that_is_killed_in_the_middle_is_followed_by_one_that_finishes(place):
    # Long enough to be killed in; a server that does not see that its client has gone waits for as long.
    killed = _migrator(place, pause="5")
    assert killed.stdout.readline() == "begins\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=10)
    after = _migrator(place)
    assert after.communicate(timeout=60)[0].splitlines() == ["begins", "ends", "at 6"]
    by_two = dump(place)
    with with_next_version():
        store, engine = store_on(place)
        store.downgrade(0)
        store.upgrade(6)
        engine.dispose()
    assert dump(place) == by_two


def test_a_reader_who_keeps_a_table_delays_the_migrator_and_nobody_else(postgres_url):
    """Without the limit everybody who comes behind the migrator would wait for as long as it does."""
    store, engine = store_on(driven(postgres_url))
    store.upgrade()
    holder = engine.connect()
    holder.execute(text("SELECT 1 FROM payaid_tenants"))
    stalls: list[float] = []
    over = threading.Event()

    def reads():
        while not over.is_set():
            began = time.monotonic()
            store.read(["acme"])
            stalls.append(time.monotonic() - began)
            time.sleep(0.005)

    def ends():
        time.sleep(1.2)
        holder.rollback()
        holder.close()

    threads = [threading.Thread(target=reads), threading.Thread(target=ends)]
    for each in threads:
        each.start()
    try:
        with with_next_version():
            began = time.monotonic()
            assert store.upgrade(6) == 6
            assert time.monotonic() - began > 1
    finally:
        over.set()
        for each in threads:
            each.join()
    assert max(stalls) < alone.LOCK_TIMEOUT / 1000 + 0.3
    engine.dispose()


def test_a_table_that_stays_locked_is_given_up_after_some_tries(place, monkeypatch):
    if place.startswith("sqlite"):
        pytest.skip("SQLite itself waits for the one writer")
    monkeypatch.setattr(alone, "TRIES", 2)
    monkeypatch.setattr(alone, "PAUSE", 0.01)
    store, engine = store_on(place)
    store.upgrade()
    with engine.connect() as holder:
        holder.execute(text("SELECT 1 FROM payaid_tenants"))
        with with_next_version(), pytest.raises(StoreUnavailable, match=r"(?i)lock"):
            store.upgrade(6)
    assert store.current() == schema.Version(5, 1)
    engine.dispose()


def test_a_migrator_that_does_not_come_to_an_end_is_waited_for_as_long_as_said(mariadb_url, monkeypatch):
    monkeypatch.setattr(alone, "TURN", 1)
    monkeypatch.setattr(alone, "TRIES", 1)
    store, engine = store_on(driven(mariadb_url))
    with monkeypatch.context() as patch:
        patch.setattr(alone, "_digest", lambda name: b"somebody")
        with engine.connect() as other:
            other.execute(text("SELECT GET_LOCK(:name, 0)"), {"name": b"somebody".hex()})
            with pytest.raises(StoreUnavailable, match="another process has been migrating"):
                store.upgrade()
    engine.dispose()


def test_a_connection_of_the_store_that_migrated_is_not_used_for_anything_else(postgres_url):
    store = SQLStore(postgres_url)
    store.upgrade()
    with store._engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver.longest is None
        assert connection.scalar(text("SHOW statement_timeout")) == "2s"
        assert connection.scalar(text("SHOW lock_timeout")) == "0"
    store.close()


def test_a_server_that_is_lost_is_not_taken_for_one_without_tables(postgres_url):
    store, engine = store_on(driven(postgres_url))
    store.upgrade()
    with engine.connect() as connection:
        connection.scalar(text("SELECT 1"))
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE backend_type = 'client backend' "
            "AND pid <> pg_backend_pid()"
        )
    with pytest.raises(StoreUnavailable) as caught:
        store.current()
    assert isinstance(caught.value.__cause__, OperationalError)
    assert store.current() == schema.Version(5, 1)
    engine.dispose()
