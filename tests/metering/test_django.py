"""
In a transaction of Django's: the project's row and the usage commit together or not at all, on the databases that
Django and we know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import make_url

from payaid_entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import ConfigurationError, QuotaExceeded, StoreUnavailable
from payaid_entitlements.testing.contracts.joining import HostFailed
from tests.metering.conftest import CATALOG
from tests.project.databases import databases, settings_for

pytest.importorskip("django")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """A database of a project's. The contract of ledgers runs in Django's transactions on MariaDB too."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/project.db"
    return request.getfixturevalue({"postgresql": "postgres_url", "mysql": "mariadb_url"}[request.param])


@pytest.fixture
def project(url, tmp_path):
    with databases(shop=settings_for(url), other=settings_for(f"sqlite:///{tmp_path}/other.db")):
        yield


@pytest.fixture
def tx(project):
    """Django's connection to the database of the shop."""
    from django.db import connections

    with connections["shop"].cursor() as cursor:
        cursor.execute("CREATE TABLE invoices (id INTEGER)")
    return connections["shop"]


@pytest.fixture
def atomic(project):
    from django.db import transaction

    return lambda **named: transaction.atomic(using="shop", **named)


@pytest.fixture
def ent(tx):
    with Entitlements.open("django://shop", catalog=CATALOG) as found:
        found._store.upgrade() if tx.vendor != "sqlite" else found._store.prepare()
        found.admin("asha", because="a test").subscribe("acme", "pro")
        yield found


def invoice(tx, number):
    with tx.cursor() as cursor:
        cursor.execute("INSERT INTO invoices VALUES (%s)", [number])


def rows(tx):
    with tx.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM invoices")
        return cursor.fetchone()[0]


def used(ent, feature="crm.imports"):
    return ent.usage("acme", feature)[feature].used


def test_the_row_and_the_usage_commit_together_or_neither_does(ent, tx, atomic):
    """What was rolled back was never used, its operation is free; once committed it is a repetition."""
    with pytest.raises(HostFailed), atomic():
        invoice(tx, 1)
        assert ent.consume("acme", "crm.imports", 3, operation=("invoice", 1), tx=tx).used == 3
        raise HostFailed
    assert (rows(tx), used(ent)) == (0, 0)
    with atomic():
        invoice(tx, 1)
        assert not ent.consume("acme", "crm.imports", 3, operation=("invoice", 1), tx=tx).replayed
        assert used(ent) == 0
    assert (rows(tx), used(ent)) == (1, 3)
    with atomic():
        assert ent.consume("acme", "crm.imports", 3, operation=("invoice", 1), tx=tx).replayed
    assert used(ent) == 3


def test_a_savepoint_takes_its_usage_back_and_no_other(ent, tx, atomic):
    with atomic():
        ent.consume("acme", "crm.imports", operation="one", tx=tx)
        with pytest.raises(HostFailed), atomic():
            invoice(tx, 2)
            ent.consume("acme", "crm.imports", 10, operation="two", tx=tx)
            raise HostFailed
        with atomic():
            invoice(tx, 3)
            ent.consume("acme", "crm.imports", 5, operation="three", tx=tx)
    assert (rows(tx), used(ent)) == (1, 6)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_refusal_takes_the_row_along_and_as_a_value_leaves_the_transaction_usable(ent, tx, atomic):
    ent.consume("acme", "crm.imports", 99, operation="all")
    with pytest.raises(QuotaExceeded), atomic():
        invoice(tx, 1)
        ent.consume("acme", "crm.imports", 2, operation="two", tx=tx)
    with atomic():
        assert not ent.try_consume("acme", "crm.imports", 2, operation="two", tx=tx).allowed
        invoice(tx, 2)
        assert ent.consume("acme", "crm.imports", 1, operation="one", tx=tx).remaining == 0
    assert (rows(tx), used(ent)) == (1, 100)


def test_all_that_may_join_does(ent, tx, atomic):
    """Several features, slots, rows of the project's own, refunds, corrections and changes."""
    admin = ent.admin("asha", because="a test")

    @ent.counts("crm.contacts")
    def contacts(tenant, tx):
        return rows(tx)

    ent.consume("acme", "crm.imports", 10, operation="before")
    held = ent.reserve("acme", "crm.imports", 5, operation="hold")
    for fails in (True, False):
        with pytest.raises(HostFailed) if fails else atomic(savepoint=False), atomic():
            assert ent.require_room("acme", "crm.contacts", tx=tx).used == 0
            ent.consume_many("acme", {"crm.imports": 1, "crm.calls": 1}, operation="many", tx=tx)
            ent.assign("acme", "seats", "asha", tx=tx)
            ent.refund("acme", operation="before", tx=tx)
            admin.adjust("acme", "crm.calls", 5, operation="adjust", tx=tx)
            admin.override("acme", "crm.imports", "500/month", tx=tx)
            assert ent.usage("acme", "crm.calls", tx=tx)["crm.calls"].used == 6
            if fails:
                raise HostFailed
            held.settle(2, tx=tx)
        if fails:
            assert (used(ent), used(ent, "crm.calls"), used(ent, "seats")) == (10, 0, 0)
            assert ent.usage("acme", "crm.imports")["crm.imports"].limit == 100
    assert (used(ent), used(ent, "crm.calls"), used(ent, "seats")) == (3, 6, 1)
    assert ent.usage("acme", "crm.imports")["crm.imports"].limit == 500


def test_what_was_committed_is_true_in_this_process_at_once(ent, tx, atomic):
    """Django tells of its commit, and of savepoints that never were."""
    admin = ent.admin("asha", because="a test")
    assert ent.check("acme", "crm.imports").allowed
    with atomic(), pytest.raises(HostFailed), atomic():
        admin.suspend("acme", tx=tx)
        raise HostFailed
    assert ent.check("acme", "crm.imports").allowed
    with atomic():
        admin.override("acme", "crm.imports", "500/month", tx=tx)
        admin.suspend("acme", tx=tx)
        assert ent.check("acme", "crm.imports").allowed
    assert ent.check("acme", "crm.imports").reason == "subscription.suspended"


def test_of_many_who_want_the_last_units_exactly_so_many_get_one(ent, tx, atomic):
    """Threads have connections of their own. Each writes a row with what it got, and some fail behind that."""
    from django.db import connections

    def buy(number):
        mine = connections["shop"]
        try:
            with atomic():
                invoice(mine, number)
                ent.consume("acme", "crm.imports", 10, operation=("invoice", number), tx=mine)
                if number % 4 == 0:
                    raise HostFailed
            return "bought"
        except HostFailed:
            return "failed"
        except QuotaExceeded:
            return "refused"
        finally:
            mine.close()

    ent.consume("acme", "crm.imports", 50, operation="before")
    with ThreadPoolExecutor(4) as threads:
        ends = list(threads.map(buy, range(12)))
    assert ends.count("bought") == 5
    assert (rows(tx), used(ent)) == (5, 100)


# -- what cannot be joined ------------------------------------------------------------------------------------------


def _refused(ent: Entitlements, tx: object, says: str, error: Callable[..., object] = ConfigurationError) -> None:
    with pytest.raises(error, match=says):
        ent.consume("acme", "crm.imports", operation="never", tx=tx)


def test_without_a_transaction_there_is_nothing_to_join(ent, tx, atomic):
    _refused(ent, tx, r"nothing would be rolled back with yours: `with transaction.atomic\(using='shop'\):`")
    assert used(ent) == 0


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_another_database_is_refused(ent, project):
    from django.db import connections, transaction

    with transaction.atomic(using="other"):
        _refused(ent, connections["other"], "two databases do not commit together")
    assert used(ent) == 0


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_transaction_that_can_only_be_rolled_back_is_refused(ent, tx, atomic):
    with pytest.raises(HostFailed), atomic():
        tx.set_rollback(True)
        _refused(ent, tx, "it can only be rolled back")
        raise HostFailed


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_connection_of_another_thread_is_refused(ent, tx, atomic):
    with atomic(), ThreadPoolExecutor(1) as threads:
        threads.submit(_refused, ent, tx, "a connection of another thread").result()


@pytest.mark.parametrize("url", ["postgresql", "mysql"], indirect=True)
def test_a_connection_that_ends_in_the_middle_takes_all_along(ent, tx, atomic):
    """Nobody knows what of ours is in the transaction, so Django does not commit it."""
    kill = {"postgresql": "SELECT pg_terminate_backend(%s)", "mysql": "KILL %s"}[tx.vendor]
    with atomic():
        invoice(tx, 1)
        with tx.cursor() as cursor:
            cursor.execute("SELECT " + {"postgresql": "pg_backend_pid()", "mysql": "connection_id()"}[tx.vendor])
            (number,) = cursor.fetchone()
        with ent._store._reading.connect() as other:
            other.exec_driver_sql(kill % number)
        _refused(ent, tx, "no answer", StoreUnavailable)
        assert tx.needs_rollback
    assert (rows(tx), used(ent)) == (0, 0)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_sqlite_must_begin_at_once(url):
    with databases(shop=settings_for(url, transaction_mode=None)):
        from django.db import connections, transaction

        with Entitlements.open("django://shop", catalog=CATALOG) as ent:
            ent.admin("asha", because="a test").subscribe("acme", "pro")
            with transaction.atomic(using="shop"):
                _refused(ent, connections["shop"], '"OPTIONS": {"transaction_mode": "IMMEDIATE"}')


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_who_awaits_is_told_what_django_can(ent, tx, url, atomic):
    """A transaction of Django's is one thread's: the function that has it is what is awaited."""
    from asgiref.sync import sync_to_async

    with pytest.raises(ConfigurationError, match="await functions that use it by sync_to_async"):
        AsyncEntitlements.open("django://shop")

    async def ask():
        async with AsyncEntitlements.open(url) as other:
            await other.consume("acme", "crm.imports", operation="never", tx=tx)

    with pytest.raises(ConfigurationError, match="in a function that you await by sync_to_async"):
        asyncio.run(ask())

    @sync_to_async
    def buy():
        from django.db import connections

        mine = connections["shop"]
        with atomic():
            invoice(mine, 1)
            ent.consume("acme", "crm.imports", operation=("invoice", 1), tx=mine)
        mine.close()

    asyncio.run(buy())
    assert (rows(tx), used(ent)) == (1, 1)


def test_a_store_by_url_joins_too_where_it_is_the_same_database(ent, tx, url, atomic):
    with Entitlements.open(url, catalog=CATALOG) as other:
        with atomic():
            other.consume("acme", "crm.imports", 2, operation="one", tx=tx)
        assert used(other) == used(ent) == 2
    assert make_url(url).get_backend_name().startswith(tx.vendor[:5])
