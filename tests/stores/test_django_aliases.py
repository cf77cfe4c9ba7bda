"""What ``DATABASES`` says, as a URL, and what we cannot follow; a store follows what changes there."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import make_url

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.opening import open_store
from payaid_entitlements.stores.sql import SQLStore
from payaid_entitlements.testing.contracts.writes import tenant_write
from tests.project.databases import databases, settings_for

POSTGRESQL = settings_for("postgresql://app:p%40w@db:6432/shop")
MYSQL = settings_for("mysql://app:p%40w@db/shop")


def _url(**said) -> str:
    from payaid_entitlements.stores.django.aliases import url_of, wrapper_of

    with databases(shop=said):
        return url_of(wrapper_of("shop")).render_as_string(hide_password=False)


def _place(**said) -> str:
    from payaid_entitlements.stores.django.aliases import address_of, wrapper_of

    with databases(shop=said):
        return address_of(wrapper_of("shop")).render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("said", "url"),
    [
        (POSTGRESQL, "postgresql://app:p%40w@db:6432/shop"),
        (POSTGRESQL | {"PORT": 5432, "USER": "", "PASSWORD": ""}, "postgresql://db:5432/shop"),
        (POSTGRESQL | {"OPTIONS": {"sslmode": "verify-full", "connect_timeout": 3}},
         "postgresql://app:p%40w@db:6432/shop?connect_timeout=3&sslmode=verify-full"),
        (POSTGRESQL | {"OPTIONS": {"isolation_level": 3, "pool": True, "server_side_binding": True}},
         "postgresql://app:p%40w@db:6432/shop"),
        (POSTGRESQL | {"OPTIONS": {"assume_role": "shop app", "options": "-c search_path=x"}},
         r"postgresql://app:p%40w@db:6432/shop?options=-c+search_path%3Dx+-c+role%3Dshop%5C+app"),
        (POSTGRESQL | {"HOST": "/run/pg", "PORT": ""}, "postgresql://app:p%40w@/shop?host=%2Frun%2Fpg&port=5432"),
        (POSTGRESQL | {"HOST": "", "PORT": "", "NAME": "", "OPTIONS": {"service": "shop"}},
         "postgresql://app:p%40w@?service=shop"),
        (MYSQL, "mysql://app:p%40w@db/shop"),
        (MYSQL | {"OPTIONS": {"charset": "utf8mb4", "ssl": {"ca": "/ca.pem", "key": "/k.pem"}, "connect_timeout": 3}},
         "mysql://app:p%40w@db/shop?connect_timeout=3&ssl_ca=%2Fca.pem&ssl_key=%2Fk.pem"),
        (MYSQL | {"HOST": "/run/my.sock"}, "mysql://app:p%40w@/shop?unix_socket=%2Frun%2Fmy.sock"),
        (MYSQL | {"HOST": "", "OPTIONS": {"unix_socket": "/run/my.sock"}},
         "mysql://app:p%40w@/shop?unix_socket=%2Frun%2Fmy.sock"),
        (settings_for("sqlite:////srv/shop.db") | {"NAME": Path("/srv/shop.db")}, "sqlite:////srv/shop.db"),
        (settings_for("sqlite:////srv/shop.db") | {"NAME": "file:/srv/shop.db?nolock=1"},
         "sqlite:///file:/srv/shop.db%3Fnolock=1?uri=true"),
    ],
)  # fmt: skip
def test_settings_are_a_url(said, url):
    assert make_url(_url(**said)) == make_url(url) or _url(**said) == url


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (MYSQL | {"OPTIONS": {"ssl_mode": "REQUIRED"}}, "has the option 'ssl_mode', of which"),
        (MYSQL | {"OPTIONS": {"ssl": {"check_hostname": True}}}, "has the option 'ssl', of which"),
        (MYSQL | {"OPTIONS": {"ssl": True}}, "has the option 'ssl', of which"),
        (settings_for("sqlite:///shop.db", key="of-sqlcipher"), "has the option 'key', of which"),
        (settings_for("sqlite:///shop.db") | {"NAME": ":memory:"}, "is in memory"),
        (settings_for("sqlite:///shop.db") | {"NAME": "file:x?mode=memory&cache=shared"}, "is in memory"),
        ({"ENGINE": "django.db.backends.dummy"}, "is not supported; use SQLite"),
    ],
)
def test_what_cannot_be_followed_is_refused(said, says):
    with databases(shop=said), pytest.raises(ConfigurationError, match=says):
        open_store("django://shop")


def test_an_option_that_is_not_understood_does_not_matter_to_a_transaction():
    """Where the database is is known in any case."""
    assert _place(**MYSQL | {"OPTIONS": {"ssl_mode": "REQUIRED"}}) == "mysql://db/shop"
    assert _place(**POSTGRESQL | {"HOST": "a,b"}) == "postgresql:///shop?host=a%2Cb&port=6432"


def test_another_driver_is_refused(monkeypatch):
    from payaid_entitlements.stores.django.aliases import wrapper_of

    with databases(shop=MYSQL):
        monkeypatch.setattr(type(wrapper_of("shop")), "Database", SimpleNamespace(__name__="MySQLdb"))
        with pytest.raises(ConfigurationError, match=r"is reached by MySQLdb, .* pymysql.install_as_MySQLdb\(\)"):
            open_store("django://shop")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("django://", "write django:// and a key of DATABASES"),
        ("django:shop", "write django:// and a key of DATABASES"),
        ("django://user:hunter2@shop", "write django:// and a key of DATABASES"),
        ("django://shop/x", "write django:// and a key of DATABASES"),
        ("django://shop?sslmode=require", "'sslmode' is not said here but in the OPTIONS"),
        ("django://elsewhere", "DATABASES has no 'elsewhere'; it has default, shop"),
        ("django://shop?payaid_keep=1", "no option of a database is called 'payaid_keep'"),
    ],
)
def test_a_url_that_names_no_database_is_refused(url, says, tmp_path):
    shop = settings_for(f"sqlite:///{tmp_path}/shop.db")
    with databases(shop=shop), pytest.raises(ConfigurationError, match=says) as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)


def test_settings_that_are_not_there_are_said(monkeypatch):
    """As where a program that is no project of Django's names the store."""
    from django.core.exceptions import ImproperlyConfigured
    from django.utils.connection import BaseConnectionHandler

    def fails(handler, alias):
        raise ImproperlyConfigured("settings are not configured")

    monkeypatch.setattr(BaseConnectionHandler, "__getitem__", fails)
    with pytest.raises(ConfigurationError, match="Django cannot say what its database 'shop' is: settings are not"):
        open_store("django://shop")


def test_without_django_the_extra_is_named(monkeypatch):
    for name in [each for each in sys.modules if each.startswith("payaid_entitlements.stores.django")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "django.core.exceptions", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'payaid-entitlements\[django,sql\]'"):
        open_store("django://default")


def test_options_of_ours_stand_in_the_url(tmp_path):
    with databases(shop=settings_for(f"sqlite:///{tmp_path}/shop.db")):
        store = open_store("django://shop?payaid_prefix=app_&payaid_keep_operations=90d")
        store.prepare()
        assert store.name.endswith("/shop.db?payaid_prefix=app_")
        assert store.ledger.keeps_for == 90 * 24 * 3600 * 1_000_000
        store.close()
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert names and all(name.startswith("app_") for name in names)


def test_the_store_follows_settings_that_change(tmp_path, sqlite_url):
    """As a test runner changes them: what is asked from then on is asked of the other database."""
    other = f"sqlite:///{tmp_path}/test_shop.db"
    with databases(shop=settings_for(sqlite_url)):
        from django.db import connections

        store = open_store("django://shop")
        store.prepare()
        store.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
        connections["shop"].settings_dict["NAME"] = f"{tmp_path}/test_shop.db"
        beside = SQLStore(other)
        beside.prepare()
        assert store.name == beside.name
        assert store.read(["acme"]) == {}
        store.apply(tenant_write("beta"), expect=0, actor="asha", because=None)
        assert list(beside.read(["acme", "beta"])) == ["beta"]
        store.close()
        beside.close()


@pytest.mark.parametrize(
    ("said", "threshold"),
    [({}, 5), ({"DISABLE_SERVER_SIDE_CURSORS": True}, None), ({"OPTIONS": {"prepare_threshold": 7}}, 7)],
)
def test_statements_are_prepared_unless_there_is_a_pooler(migrated_url, said, threshold):
    """And roles, time zones and the like are as the project has them."""
    with databases(shop=settings_for(migrated_url) | said):
        store = open_store("django://shop")
        with store._reading.connect() as connection:
            assert connection.connection.driver_connection.prepare_threshold == threshold
        store.close()


def test_a_role_is_taken_on(migrated_url):
    with databases(shop=settings_for(migrated_url, assume_role="pg_monitor")):
        store = open_store("django://shop")
        with store._reading.connect() as connection:
            assert connection.exec_driver_sql("SELECT current_user").scalar_one() == "pg_monitor"
        store.close()
