"""`manage.py`: the command line on the store of the settings, and our tables, which are no models of Django's."""

from __future__ import annotations

import os
import sys
import time
from io import StringIO

import pytest
from django.core.checks import Tags, run_checks
from django.core.management import CommandError, ManagementUtility, call_command
from django.test import override_settings

from payaid_entitlements import Entitlements
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores.sql import SQLStore
from tests.project.databases import databases, settings_for
from tests.web.django.conftest import CATALOG, tenant_of


def said(command: str, *arguments: str, **named) -> str:
    """What a command writes."""
    out = StringIO()
    call_command(command, *arguments, stdout=out, **named)
    return out.getvalue()


@pytest.fixture
def url(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/shop.db"


@pytest.fixture
def shop(url):
    """A project whose entitlements are in its default database."""
    payaid = {"URL": "django://default", "CATALOG": CATALOG, "TENANT": tenant_of}
    with databases(default=settings_for(url)), override_settings(PAYAID=payaid):
        yield


def version(url: str) -> int | None:
    store = SQLStore(url)
    try:
        found = store.current()
        return None if found is None else found.number
    finally:
        store.close()


def published(url: str) -> bool:
    store = SQLStore(url)
    try:
        return store.catalog() is not None
    finally:
        store.close()


# -- tables ---------------------------------------------------------------------------------------------------------


def test_tables_are_brought_up_and_repeating_it_is_harmless(shop, url):
    with pytest.raises(CommandError, match="payaid_migrate") as caught:
        said("payaid_migrate", check=True)
    assert (caught.value.returncode, version(url)) == (1, None)
    assert "CREATE TABLE payaid_" in said("payaid_migrate", sql=True)
    assert version(url) is None
    assert "shop.db: version " in said("payaid_migrate")
    assert version(url) is not None
    assert published(url)
    assert said("payaid_migrate") == said("payaid_migrate", check=True)


def test_djangos_migrate_brings_up_what_is_in_its_own_databases(shop, url):
    """Test databases are made by it, so they have our tables too."""
    out = StringIO()
    call_command("migrate", "payaid", verbosity=1, stdout=out)
    assert "Tables of payaid_entitlements in " in out.getvalue()
    found = version(url)
    assert published(url)
    call_command("migrate", "payaid", verbosity=0)
    assert version(url) == found is not None


def test_nothing_of_ours_stays_open_behind_djangos_migrate(postgres_url):
    """A test runner clones the database next, and PostgreSQL wants nobody else in it then."""
    payaid = {"URL": "django://default", "CATALOG": CATALOG, "TENANT": tenant_of}
    with databases(default=settings_for(postgres_url)), override_settings(PAYAID=payaid):
        from django.db import connection

        call_command("migrate", "payaid", verbosity=0)
        with connection.cursor() as cursor:
            # A server tells of a connection until it has tidied up behind it, a moment after its client has left.
            for _ in range(100):
                cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
                there = cursor.fetchone()
                if there == (1,):
                    break
                time.sleep(0.05)
            assert there == (1,)
            cursor.execute("SELECT count(*) FROM payaid_catalog")
            assert cursor.fetchone() == (1,)


def test_djangos_migrate_leaves_alone_what_is_elsewhere(url, tmp_path):
    other = f"sqlite:///{tmp_path}/other.db"
    payaid = {"URL": other, "TENANT": tenant_of}
    with databases(default=settings_for(url)), override_settings(PAYAID=payaid):
        call_command("migrate", "payaid", verbosity=0)
        assert (version(url), version(other)) == (None, None)
    with databases(default=settings_for(url)), override_settings(PAYAID=None):
        call_command("migrate", "payaid", verbosity=0)


def test_django_has_nothing_to_make_of_our_model(shop):
    """No migration is missing, and the one that there is makes no table."""
    call_command("makemigrations", "payaid", check=True, dry_run=True, verbosity=0)
    assert "CREATE TABLE" not in said("sqlmigrate", "payaid", "0001")


def test_a_check_says_what_is_to_be_run(shop, url):
    (found,) = run_checks(tags=[Tags.database], databases=["default"])
    assert found.id == "payaid.W002"
    assert found.hint.startswith("run `manage.py payaid_migrate`;")
    call_command("payaid_migrate", stdout=StringIO())
    assert run_checks(tags=[Tags.database], databases=["default"]) == []
    assert run_checks(tags=[Tags.database]) == []


def test_a_check_says_that_a_store_cannot_be_opened(url):
    payaid = {"URL": "django://elsewhere", "TENANT": tenant_of}
    with databases(default=settings_for(url)), override_settings(PAYAID=payaid):
        (found,) = run_checks(tags=[Tags.database], databases=["default"])
        assert "DATABASES has no 'elsewhere'" in found.msg
        with pytest.raises(CommandError, match="DATABASES has no 'elsewhere'"):
            said("payaid_migrate")


def test_a_store_that_gives_no_answer_is_said(shop, monkeypatch):
    """The tables are there, and what is sold is not published."""

    def fails(*_):
        raise StoreUnavailable("it is at lunch")

    monkeypatch.setattr(SQLStore, "catalog", fails)
    with pytest.raises(CommandError, match="it is at lunch"):
        said("payaid_migrate")


def test_every_place_of_the_settings_is_looked_at_once(url, tmp_path):
    """Facts in one database, usage in another, calls counted in memory."""
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    payaid = {"URL": url, "LEDGER": ledger, "LIMITER": "memory://", "TENANT": tenant_of}
    with override_settings(PAYAID=payaid):
        assert said("payaid_migrate").count("version") == 2
    assert version(url) == version(ledger) is not None
    with override_settings(PAYAID={"URL": "memory://", "TENANT": tenant_of}):
        assert "there are no tables" in said("payaid_migrate")


def test_a_client_of_the_hosts_own_has_its_places(url, tmp_path):
    client = Entitlements.open(url, ledger=f"sqlite:///{tmp_path}/ledger.db", catalog=CATALOG)
    with client, override_settings(PAYAID={"CLIENT": client, "TENANT": tenant_of}):
        assert said("payaid_migrate").count("version") == 2


# -- the command line -----------------------------------------------------------------------------------------------


def manage(*arguments: str) -> int:
    """The exit code of ``manage.py payaid``, as a terminal calls it."""
    with pytest.raises(SystemExit) as caught:
        ManagementUtility(["manage.py", "payaid", *arguments]).execute()
    return int(caught.value.code or 0)


@pytest.fixture
def sold(shop):
    call_command("payaid_migrate", stdout=StringIO())
    with Entitlements.open("django://default", catalog=CATALOG) as client:
        client.admin("asha", because="a test").subscribe("acme", "pro")
        yield client


def test_the_command_line_is_about_the_store_of_the_settings(sold, capsys):
    """With its own exit codes; what Django reads of the line is not handed on."""
    assert manage("check", "acme", "crm.export", "--settings", "tests.project.settings") == 0
    assert manage("check", "acme", "books", "--pythonpath=.") == 1
    assert manage("explain", "acme", "books") == 0
    assert "plan.module_absent" in capsys.readouterr().out
    assert manage("override", "set", "acme", "books", "true", "--forever", "--because", "t", "--yes") == 0
    assert sold.tenant("acme", fresh=True).check("books").allowed
    assert manage("usage", "show", "acme") == 0
    with pytest.raises(SystemExit) as caught:
        call_command("payaid", "check", "acme", "nothing")
    assert caught.value.code == 2


def test_what_else_the_settings_name_is_said_too(sold, tmp_path, capsys, monkeypatch):
    """In the environment of the command, and only there."""
    monkeypatch.setenv("PAYAID_LIMITER", "memory://")
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    payaid = {"URL": "django://default", "LEDGER": ledger, "LIMITER": ledger, "TENANT": tenant_of}
    with override_settings(PAYAID=payaid):
        call_command("payaid_migrate", stdout=StringIO())
        sold.consume("acme", "crm.mails", operation="elsewhere")
        assert manage("usage", "show", "acme", "--json") == 0
    assert '"used": 1' not in capsys.readouterr().out
    assert (os.environ.get("PAYAID_LEDGER"), os.environ["PAYAID_LIMITER"]) == (None, "memory://")


def test_settings_without_a_url_are_said(sold, capsys, monkeypatch):
    monkeypatch.delenv("PAYAID_URL", raising=False)
    with override_settings(PAYAID={"CLIENT": sold, "TENANT": tenant_of}):
        assert manage("check", "acme", "crm") == 1
    assert "opens a store by its URL, and PAYAID of the settings has none (URL)" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "error"), [("typer", SystemExit), ("structlog", ModuleNotFoundError)])
def test_without_the_extra_it_is_named(shop, monkeypatch, capsys, name, error):
    for each in [each for each in sys.modules if each.startswith("payaid_entitlements.cli.program")]:
        monkeypatch.delitem(sys.modules, each)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(error):
        ManagementUtility(["manage.py", "payaid", "check", "acme", "crm"]).execute()
    if error is SystemExit:
        assert "pip install 'payaid-entitlements[cli]'" in capsys.readouterr().err
