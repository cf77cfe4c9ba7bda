"""From a URL or an engine to a store; what names no place is refused, and no password is ever shown."""

from __future__ import annotations

import builtins
import traceback

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool

from payaid_entitlements.errors import ConfigurationError, EntitlementError, StoreUnavailable
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.stores.opening import open_async_store, open_store
from payaid_entitlements.stores.sql import AsyncSQLStore, SQLStore
from payaid_entitlements.stores.sql.places import shown
from payaid_entitlements.stores.sql.tables import SCHEMA_VERSION, WORKS_FROM
from payaid_entitlements.testing.contracts.writes import tenant_write

SECRET = "hunter2"


def test_memory_is_a_place():
    assert isinstance(open_store("memory://"), MemoryStore)
    assert isinstance(open_async_store("memory://"), AsyncMemoryStore)
    assert open_store("memory://").name == "memory"
    assert not open_store("memory://").is_durable


@pytest.mark.parametrize("open_", [open_store, open_async_store])
@pytest.mark.parametrize("url", ["sqlite:///payaid.db", "postgresql://asha@db.example/payaid"])
def test_a_url_of_a_database_opens_a_sql_store_and_connects_to_nothing(open_, url):
    store = open_(url)
    assert isinstance(store, SQLStore | AsyncSQLStore)
    assert store.is_durable


def test_an_engine_of_the_host_is_a_place(engine_on, sqlite_url):
    engine = engine_on(sqlite_url)
    store = open_store(engine)
    store.prepare()
    store.close()
    with engine.connect() as connection:
        assert (
            connection.exec_driver_sql("SELECT version_num FROM payaid_schema").scalar_one()
            == f"{SCHEMA_VERSION}.{WORKS_FROM}"
        )


def test_an_engine_in_memory_works_and_does_not_claim_to_last():
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    store = SQLStore(engine)
    store.prepare()
    store.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
    assert store.read(["acme"])["acme"].revision == 1
    assert not store.is_durable
    engine.dispose()


@pytest.mark.parametrize("open_", [open_store, open_async_store])
@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "no URL of a database"),
        ("payaid.db", "no URL of a database"),
        (f"postgresql//asha:{SECRET}@db/payaid", "no URL of a database"),
        (f"postgresql://asha:{SECRET}@db:port/payaid", "no URL of a database"),
        (f"postgresql://asha:x@{SECRET}:{SECRET}@db/payaid", "no URL of a database"),
        (f"oracle://asha:{SECRET}@db/payaid", "'oracle' is not supported"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///file:x?mode=memory&cache=shared&uri=true", "names no file"),
        (f"sqlite://?password={SECRET}", "names no file"),
    ],
)
def test_what_names_no_place_is_refused_with_the_way_out(open_, url, says):
    with pytest.raises(ConfigurationError, match=says) as caught:
        open_(url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert "memory://" in str(caught.value)


@pytest.mark.parametrize("place", [None, 7, f"postgresql://asha:{SECRET}@db/payaid".encode()])
def test_what_is_no_place_at_all_is_refused(place):
    for open_, says in ((open_store, "SQLAlchemy Engine"), (open_async_store, "SQLAlchemy AsyncEngine")):
        with pytest.raises(ConfigurationError, match=says) as caught:
            open_(place)
        assert SECRET not in str(caught.value)


def test_an_engine_of_the_other_colour_is_refused(tmp_path):
    path = tmp_path / "host.db"
    with pytest.raises(ConfigurationError, match="AsyncEntitlements"):
        open_store(create_async_engine(f"sqlite+aiosqlite:///{path}"))
    with pytest.raises(ConfigurationError, match="Engine: Entitlements"):
        open_async_store(create_engine(f"sqlite:///{path}"))


def test_an_engine_of_another_database_is_refused():
    engine = create_engine("mssql+pymssql://db/payaid", module=_Driver())
    with pytest.raises(ConfigurationError, match="'mssql' is not supported"):
        SQLStore(engine)


class _Driver:
    """Stands for a driver that is not installed; an engine looks at it, and connects to nothing."""

    paramstyle = "format"
    __version__ = "1.4.6"
    VERSION = (1, 4, 6)


@pytest.mark.parametrize("open_", [open_store, open_async_store])
def test_without_the_driver_the_extra_is_named(open_, monkeypatch):
    real = builtins.__import__

    def bare(name, *args, **named):
        if name.partition(".")[0] == "sqlalchemy":
            raise ImportError(name)
        return real(name, *args, **named)

    monkeypatch.setattr(builtins, "__import__", bare)
    with pytest.raises(ConfigurationError, match=r"pip install 'payaid-entitlements\[sql\]'") as caught:
        open_(f"postgresql://asha:{SECRET}@db/payaid")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("open_", [open_store, open_async_store])
@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://asha:{SECRET}@db.example:5433/payaid",
        f"postgresql://db.example/payaid?user=asha&password={SECRET}",
        f"postgresql://db.example/payaid?sslkey=x&sslpassword={SECRET}",
    ],
)
def test_a_name_shows_where_it_is_and_no_password(open_, url):
    name = open_(url).name
    assert "db.example" in name
    assert "payaid" in name
    assert SECRET not in name


def test_what_is_shown_keeps_the_rest():
    url = make_url("postgresql+psycopg://asha:x@db/payaid?sslmode=require&PASSWORD=y&options=-csearch_path%3Da")
    assert shown(url) == "postgresql+psycopg://asha:***@db/payaid?options=-csearch_path%3Da&sslmode=require"


def test_an_error_of_the_driver_shows_no_password():
    store = open_store(f"postgresql://asha:{SECRET}@127.0.0.1:1/payaid?sslpassword={SECRET}")
    with pytest.raises(StoreUnavailable) as caught:
        store.prepare()
    assert isinstance(caught.value, EntitlementError)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
