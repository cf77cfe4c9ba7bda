"""A database is asked whether it keeps what it has acknowledged."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.pool import StaticPool

from payaid_entitlements.stores.ports import LOST_WITH_THE_PROCESS
from payaid_entitlements.stores.sql import SQLStore


def test_a_database_that_keeps_what_it_has_acknowledged_is_of_no_concern(opened):
    opened.store.prepare()
    assert opened.store.concerns == ()


@pytest.mark.parametrize("colour", ["sync", "async"], indirect=True)
def test_postgresql_without_synchronous_commit_is(open_sql, engine_on, migrated_url):
    engine = engine_on(migrated_url)
    with engine.begin() as connection:
        connection.execute(text("ALTER ROLE postgres SET synchronous_commit = off"))
    try:
        opened = open_sql(migrated_url)
        assert opened.store.concerns == ()
        opened.store.prepare()
        (concern,) = opened.store.concerns
        assert concern.found == "synchronous_commit is off"
        assert opened.store.is_durable
    finally:
        with engine.begin() as connection:
            connection.execute(text("ALTER ROLE postgres RESET synchronous_commit"))


def test_a_database_is_asked_once(engine_on, migrated_url):
    engine = engine_on(migrated_url)
    asked = []
    event.listen(engine, "before_cursor_execute", lambda c, cursor, statement, *rest: asked.append(statement))
    store = SQLStore(engine)
    for _ in range(3):
        store.prepare()
    assert len([statement for statement in asked if "fsync" in statement]) == 1


def test_a_database_in_memory_is_lost_with_the_process():
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    store = SQLStore(engine)
    store.prepare()
    assert store.concerns == (LOST_WITH_THE_PROCESS,)
    engine.dispose()


def test_a_mariadb_that_flushes_once_a_second_says_what_it_may_lose(open_sql, made_url, mariadb_of_the_session):
    name = "innodb_flush_log_at_trx_commit"
    mariadb_of_the_session.run(f"SET GLOBAL {name} = 2")
    try:
        opened = open_sql(made_url)
        opened.store.prepare()
        (concern,) = opened.store.concerns
        assert concern.found == f"{name} is 2"
        assert f"SET GLOBAL {name} = 1" in concern.way_out
    finally:
        mariadb_of_the_session.run(f"SET GLOBAL {name} = 1")
