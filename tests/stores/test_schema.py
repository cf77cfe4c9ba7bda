"""The tables: made where that is safe, checked elsewhere, by a version that they carry."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect, make_url, text

from payaid_entitlements.errors import SchemaOutOfDate, StoreUnavailable
from payaid_entitlements.stores.sql.schema import Version
from payaid_entitlements.stores.sql.tables import SCHEMA_VERSION, tables
from payaid_entitlements.testing.contracts.writes import everything, tenant_write


def _set_version(engine, version):
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM payaid_schema"))
        if version is not None:
            connection.execute(text(f"INSERT INTO payaid_schema (version_num) VALUES ('{version}.{version}')"))


def _call(opened, name, *arguments):
    answer = getattr(opened.own, name)(*arguments)
    answer = answer if opened.run is None else opened.run(answer)
    return answer.number if isinstance(answer, Version) else answer


def test_postgresql_without_tables_is_out_of_date_and_stays_empty(open_sql, engine_on, postgres_url):
    opened = open_sql(postgres_url)
    with pytest.raises(SchemaOutOfDate, match=r"has no tables of ours.*needs version 5; run `payaid db upgrade`"):
        opened.store.prepare()
    assert _call(opened, "current") is None
    assert inspect(engine_on(postgres_url)).get_table_names() == []


def test_sqlite_makes_its_tables(open_sql, sqlite_url):
    opened = open_sql(sqlite_url)
    assert _call(opened, "current") is None
    opened.store.prepare()
    assert _call(opened, "current") == SCHEMA_VERSION


def test_upgrading_makes_the_tables_and_repeating_it_changes_nothing(open_sql, postgres_url):
    opened = open_sql(postgres_url)
    assert _call(opened, "upgrade") == SCHEMA_VERSION
    opened.store.prepare()
    opened.store.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
    before = everything(opened.store)
    assert _call(opened, "upgrade") == SCHEMA_VERSION
    assert everything(opened.store) == before
    assert _call(opened, "current") == SCHEMA_VERSION


def test_all_tables_are_as_this_release_needs_them(opened, engine_on, database_url):
    found = inspect(engine_on(database_url))
    for table in tables(make_url(database_url).get_backend_name()).metadata.sorted_tables:
        assert [column["name"] for column in found.get_columns(table.name)] == [column.name for column in table.columns]
        names = {str(index.name) for index in table.indexes}
        assert names <= {index["name"] for index in found.get_indexes(table.name)}


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION + 1])
def test_tables_of_another_version_are_refused(opened, engine_on, database_url, version):
    _set_version(engine_on(database_url), version)
    with pytest.raises(SchemaOutOfDate, match=f"has tables of version {version}, and this release needs version 5"):
        opened.store.prepare()
    assert _call(opened, "current") == version


def test_tables_of_a_later_release_ask_for_that_release_and_are_not_touched(opened, engine_on, database_url):
    _set_version(engine_on(database_url), SCHEMA_VERSION + 1)
    for name in ("prepare", "upgrade"):
        with pytest.raises(SchemaOutOfDate, match="install the release of payaid_entitlements that made them"):
            _call(opened, name)
    assert _call(opened, "current") == SCHEMA_VERSION + 1


def test_tables_that_were_made_halfway_are_completed(opened, engine_on, database_url):
    _set_version(engine_on(database_url), None)
    assert _call(opened, "current") is None
    assert _call(opened, "upgrade") == SCHEMA_VERSION
    opened.store.prepare()


def test_a_role_that_may_not_make_tables_is_told_so(open_sql, engine_on, postgres_url):
    engine = engine_on(postgres_url)
    with engine.begin() as connection:
        connection.execute(text("REVOKE CREATE ON SCHEMA public FROM PUBLIC"))
        connection.execute(text("CREATE ROLE reader LOGIN"))
    try:
        opened = open_sql(postgres_url.replace("postgres:", "reader:", 1).replace("readerql:", "postgresql:"))
        with pytest.raises(StoreUnavailable, match="permission denied for schema public"):
            _call(opened, "upgrade")
        opened.store.close()
    finally:
        with engine.begin() as connection:
            connection.execute(text("DROP OWNED BY reader"))
            connection.execute(text("DROP ROLE reader"))


def test_ids_are_compared_by_bytes_whatever_the_servers_locale(engine_on, migrated_url):
    with engine_on(migrated_url).connect() as connection:
        rows = connection.execute(
            text(
                "SELECT attname, collname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid "
                "JOIN pg_collation ON pg_collation.oid = attcollation WHERE relname LIKE 'payaid%' AND relkind = 'r' "
                "AND attname IN ('tenant', 'plan', 'modules', 'operation', 'id', 'meter', 'lot', 'feature', 'holder')"
            )
        ).all()
    assert len(rows) == 24
    assert {collation for _, collation in rows} == {"C"}


def test_ids_are_bytes_on_mariadb(engine_on, made_url):
    with engine_on(made_url).connect() as connection:
        rows = connection.execute(
            text(
                "SELECT column_name, column_type FROM information_schema.columns WHERE table_schema = DATABASE() "
                "AND column_name IN "
                "('tenant', 'plan', 'module', 'operation', 'id', 'meter', 'lot', 'feature', 'holder')"
            )
        ).all()
        texts = connection.execute(
            text(
                "SELECT DISTINCT data_type, character_set_name FROM information_schema.columns "
                "WHERE table_schema = DATABASE() AND character_set_name IS NOT NULL"
            )
        ).all()
        strict = connection.execute(text("SELECT @@sql_mode")).scalar_one()
    assert len(rows) == 25
    assert {kind for _, kind in rows} == {f"varbinary({4 * length})" for length in (255, 128, 40, 26)}
    assert set(texts) == {("longtext", "utf8mb4"), ("varchar", "utf8mb4")}
    assert "STRICT" in strict


def test_a_word_that_is_too_long_is_refused_and_never_cut_off(open_sql, made_url):
    """Cut off, it would be another tenant's."""
    store = open_sql(made_url).store
    long = "x" * 256
    with pytest.raises(StoreUnavailable, match="256 characters"):
        store.apply(tenant_write(long), expect=0, actor="asha", because=None)
    with pytest.raises(StoreUnavailable, match="256 characters"):
        store.read([long])
    assert everything(store)[0] == []


def test_tables_of_another_prefix_are_others(sqlite_url):
    from payaid_entitlements.stores.sql import SQLStore

    one, other = SQLStore(sqlite_url), SQLStore(sqlite_url, prefix="other_")
    for store in (one, other):
        store.prepare()
    one.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
    assert other.read(["acme"]) == {}
    for store in (one, other):
        store.close()


def test_an_empty_mariadb_is_migrated_in_both_colours(open_sql, mariadb_url):
    opened = open_sql(mariadb_url)
    assert _call(opened, "upgrade") == SCHEMA_VERSION
    opened.store.prepare()
    assert _call(opened, "upgrade_script") == ""
    assert _call(opened, "downgrade", 0) == 0
    assert _call(opened, "current") is None
