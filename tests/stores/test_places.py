"""Where our tables are: schema and prefix, as arguments and in the URL."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import create_engine, inspect, make_url

from payaid_entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.cli import main
from payaid_entitlements.errors import ConfigurationError, SchemaOutOfDate
from payaid_entitlements.stores.opening import open_async_store, open_store
from payaid_entitlements.stores.sql import SQLStore
from payaid_entitlements.stores.sql.tables import SCHEMA_VERSION
from payaid_entitlements.testing.contracts.writes import tenant_write

CATALOG = {"catalog": 1, "modules": {"crm": {"title": "CRM"}}, "plans": {"pro": {"modules": ["crm"]}}}


def _with(url: str, **options: str) -> str:
    return make_url(url).update_query_dict(options).render_as_string(hide_password=False)


@pytest.fixture(params=["postgresql", "mysql"])
def server_url(request) -> str:
    """The URL of an empty database of a server."""
    return str(request.getfixturevalue({"postgresql": "postgres_url", "mysql": "mariadb_url"}[request.param]))


@pytest.mark.parametrize("schema", ["payaid_Billing-EU", "payaid_größe"])
def test_tables_are_in_a_schema_of_their_own(open_sql, server_url, engine_on, schema):
    opened = open_sql(_with(server_url, payaid_schema=schema, payaid_prefix="app_"))
    with pytest.raises(SchemaOutOfDate, match="payaid_schema="):
        opened.store.prepare()
    upgrade = opened.own.upgrade()
    assert (upgrade if opened.run is None else opened.run(upgrade)) == SCHEMA_VERSION
    opened.store.prepare()
    first = tenant_write("acme", modules=["crm", "hr"])
    opened.store.apply(first, expect=0, actor="asha", because=None)
    opened.store.apply(tenant_write("acme", first.document, modules=["crm"]), expect=1, actor="asha", because=None)
    assert opened.store.read(["acme", "beta"])["acme"].revision == 2
    assert opened.store.find(module="crm")[0].modules == ("crm",)
    assert opened.store.changes_since(0).position == 2
    found = inspect(engine_on(server_url))
    assert [name for name in found.get_table_names() if name.startswith(("payaid_", "app_"))] == []
    assert "app_tenants" in found.get_table_names(schema=schema)


def test_stores_of_two_schemas_do_not_meet(server_url):
    stores = [SQLStore(_with(server_url, payaid_schema=f"payaid_{name}")) for name in ("one", "other")]
    stores.append(SQLStore(server_url, prefix="third_"))
    for number, store in enumerate(stores):
        store.upgrade()
        store.apply(tenant_write(f"tenant-{number}"), expect=0, actor="asha", because=None)
    for number, store in enumerate(stores):
        assert [row.tenant for row in store.find()] == [f"tenant-{number}"]
        store.close()


def test_a_host_says_it_of_its_engine(server_url, engine_on):
    store = SQLStore(engine_on(server_url), prefix="app_", schema="payaid_host")
    store.upgrade()
    with engine_on(server_url).begin() as tx:
        store.apply(tenant_write("acme"), expect=0, actor="asha", because=None, tx=tx)
    assert list(store.read(["acme"])) == ["acme"]
    assert "payaid_schema=payaid_host" in store.name
    assert "payaid_prefix=app_" in store.name


def test_what_is_said_as_an_argument_wins(sqlite_url):
    store = SQLStore(_with(sqlite_url, payaid_prefix="url_"), prefix="argument_")
    store.prepare()
    engine = create_engine(sqlite_url)
    assert "argument_tenants" in inspect(engine).get_table_names()
    engine.dispose()
    store.close()


def test_a_driver_never_sees_what_is_ours(sqlite_url):
    store = SQLStore(_with(sqlite_url, payaid_prefix="app_"))
    assert "payaid" not in "".join(store._engine.url.query)
    assert store.name == f"{sqlite_url}?payaid_prefix=app_"


@pytest.mark.parametrize("open_", [open_store, open_async_store])
@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:///a.db?payaid_schema=billing", "SQLite has no schemas; use prefix="),
        ("sqlite:///a.db?payaid_prefix=App_", "prefix='App_': at most 40 small letters"),
        ("sqlite:///a.db?payaid_prefix=1app", "prefix='1app'"),
        ("postgresql://db/app?payaid_prefix=a%22b", "prefix='a\"b'"),
        (f"postgresql://db/app?payaid_prefix={'a' * 41}", "at most 40"),
        ("mysql://db/app?payaid_schema=a&payaid_schema=b", "payaid_schema is given once"),
        ("mysql://db/app?payaid_schema=a.b", "schema='a.b': letters, digits"),
        ("mysql://db/app?payaid_schema=a%60b", "schema='a`b'"),
        (f"postgresql://db/app?payaid_schema={'a' * 64}", "at most 63"),
        ("mariadb://db/app?payaid_shema=a", "'payaid_shema'; there are payaid_schema, payaid_prefix and payaid_keep"),
    ],
)
def test_what_cannot_be_is_refused(open_, url, says):
    with pytest.raises(ConfigurationError, match=says.replace("(", r"\(")):
        open_(url)


def test_the_longest_names_are_names_everywhere(server_url):
    store = SQLStore(server_url, prefix="a" * 40, schema="payaid_" + "s" * 56)
    store.upgrade()
    store.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
    assert list(store.read(["acme"])) == ["acme"]
    store.close()


def test_applications_and_commands_open_the_same_place(server_url, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    url = _with(server_url, payaid_schema="payaid_app", payaid_prefix="lic_")
    monkeypatch.setenv("PAYAID_URL", url)
    assert (
        _run(monkeypatch, capsys, "db", "upgrade", "--because", "first", "--yes", "--json")["after"] == SCHEMA_VERSION
    )
    with Entitlements.open(url, catalog=CATALOG) as ent:
        ent.admin("docs", because="a test").subscribe("acme", "pro")
        assert ent.check("acme", "crm").allowed
    assert _run(monkeypatch, capsys, "check", "acme", "crm", "--json")["allowed"] is True
    assert _run(monkeypatch, capsys, "db", "check", "--json")["ok"] is True
    assert "payaid_schema=payaid_app" in _run(monkeypatch, capsys, "db", "check", "--json")["database"]


def _run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["payaid", *arguments])
    try:
        main()
    except SystemExit as ended:
        assert ended.code in {0, None}, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


async def _ask(url: str) -> bool:
    async with AsyncEntitlements.open(url, catalog=CATALOG) as ent:
        await ent.admin("docs", because="a test").subscribe("acme", "pro")
        return (await ent.check("acme", "crm")).allowed


def test_an_asynchronous_application_opens_it_too(server_url):
    import asyncio

    url = _with(server_url, payaid_schema="payaid_app")
    store = SQLStore(url)
    store.upgrade()
    store.close()
    assert asyncio.run(_ask(url)) is True
