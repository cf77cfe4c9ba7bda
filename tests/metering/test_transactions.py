"""
In the host's transaction: its row and the usage commit together or not at all, on the databases that a host has.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from payaid_entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import ConfigurationError, QuotaExceeded
from payaid_entitlements.stores.sql import begin_immediate
from payaid_entitlements.testing import FakeClock
from tests.metering.conftest import CATALOG

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    """A database of a host, with a table of its own."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/host.db"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def engine(url):
    made = create_engine(url)
    if made.dialect.name == "sqlite":
        begin_immediate(made)
    yield made
    made.dispose()


@pytest.fixture
def ent(url, engine):
    with Entitlements.open(url, catalog=CATALOG) as found:
        if engine.dialect.name == "postgresql":
            found._store.upgrade()
        found.admin("asha", because="a test").subscribe("acme", "pro")
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE invoices (id INTEGER)"))
        yield found


def rows(engine):
    with engine.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM invoices")).scalar_one()


def used(ent, feature="crm.imports"):
    return ent.usage("acme", feature)[feature].used


def invoice(db, number):
    db.execute(text("INSERT INTO invoices VALUES (:id)"), {"id": number})


def test_both_commit_or_neither_does(ent, engine):
    """By a session and by a connection; what was rolled back was never used, and its operation is free."""
    with Session(engine) as db:
        invoice(db, 1)
        assert ent.consume("acme", "crm.imports", 3, operation=("invoice", 1), tx=db).used == 3
        db.rollback()
    assert (rows(engine), used(ent)) == (0, 0)
    with Session(engine) as db, db.begin():
        invoice(db, 1)
        assert not ent.consume("acme", "crm.imports", 3, operation=("invoice", 1), tx=db).replayed
    assert (rows(engine), used(ent)) == (1, 3)
    with engine.begin() as connection:
        invoice(connection, 2)
        ent.consume_many("acme", {"crm.imports": 1, "crm.calls": 1}, operation=("invoice", 2), tx=connection)
    assert (rows(engine), used(ent), used(ent, "crm.calls")) == (2, 4, 1)


def test_an_error_of_the_host_takes_the_usage_along(ent, engine):
    with pytest.raises(ZeroDivisionError), Session(engine) as db, db.begin():
        invoice(db, 1)
        ent.consume("acme", "crm.imports", 3, operation=("invoice", 1), tx=db)
        raise ZeroDivisionError
    assert (rows(engine), used(ent)) == (0, 0)


def test_a_refusal_takes_the_row_along(ent, engine):
    """Nobody has to undo the row by hand."""
    ent.consume("acme", "crm.imports", 100, operation="all")
    with pytest.raises(QuotaExceeded), Session(engine) as db, db.begin():
        invoice(db, 1)
        ent.consume("acme", "crm.imports", operation=("invoice", 1), tx=db)
    assert (rows(engine), used(ent)) == (0, 100)


def test_a_refusal_that_is_a_value_leaves_the_transaction_usable(ent, engine):
    """The host goes on in it, also with a repetition and with what is not sold."""
    ent.consume("acme", "crm.imports", 99, operation="all")
    with Session(engine) as db, db.begin():
        assert not ent.try_consume("acme", "crm.imports", 2, operation="two", tx=db).allowed
        assert not ent.try_consume("acme", "hr.runs", operation="three", tx=db).allowed
        assert ent.try_consume("acme", "crm.imports", 99, operation="all", tx=db).usage.replayed
        invoice(db, 1)
        assert ent.consume("acme", "crm.imports", 1, operation="four", tx=db).remaining == 0
    assert (rows(engine), used(ent)) == (1, 100)


def test_what_comes_back_and_what_is_corrected_joins_too(ent, engine):
    ent.consume("acme", "crm.imports", 10, operation="one")
    with Session(engine) as db:
        assert ent.refund("acme", operation="one", tx=db)["crm.imports"].used == 0
        ent.admin("asha", because="a test").adjust("acme", "crm.calls", 5, operation="two", tx=db)
        db.rollback()
    assert (used(ent), used(ent, "crm.calls")) == (10, 0)
    with Session(engine) as db, db.begin():
        ent.refund("acme", operation="one", tx=db)
        ent.admin("asha", because="a test").adjust("acme", "crm.calls", 5, operation="two", tx=db)
    assert (used(ent), used(ent, "crm.calls")) == (0, 5)


def test_a_window_is_opened_in_the_transaction_that_uses_it_first(ent, engine, url):
    """What rolled over is fixed with it, or not at all."""
    clock = FakeClock(datetime.now(UTC))
    with Entitlements.open(url, catalog=CATALOG, clock=clock) as later:
        later.consume("acme", "crm.texts", 70, operation="one")
        clock.advance(days=32)
        for is_kept in (False, True):
            with Session(engine) as db:
                said = later.consume("acme", "crm.texts", 10, operation="two", tx=db)
                assert (said.limit, said.used) == (130, 10)
                (db.commit if is_kept else db.rollback)()
        assert later.usage("acme", "crm.texts")["crm.texts"].remaining == 120


def test_forgetting_joins_too(ent, engine):
    ent.consume("acme", "crm.imports", 10, operation="one")
    for is_kept in (False, True):
        with Session(engine) as db:
            ent.admin("asha", because="a test").forget("acme", tx=db)
            (db.commit if is_kept else db.rollback)()
        assert used(ent) == (0 if is_kept else 10)


# -- what was reached is told after the commit -----------------------------------------------------------------------


def test_a_mark_is_told_after_the_commit_and_never_after_a_rollback(ent, engine):
    """By whom it was reached, at once; where nobody tells of the commit, when it is next metered."""
    told = []
    ent.on("usage.threshold")(lambda event: told.append((event.threshold, rows(engine))))
    with Session(engine) as db:
        invoice(db, 1)
        ent.consume("acme", "crm.imports", 80, operation="one", tx=db)
        db.rollback()
    assert told == []
    with Session(engine) as db:
        invoice(db, 1)
        ent.consume("acme", "crm.imports", 80, operation="one", tx=db)
        assert told == []
        db.commit()
    assert told == [(80, 1)]
    with engine.begin() as connection:
        invoice(connection, 2)
        ent.consume("acme", "crm.imports", 20, operation="two", tx=connection)
    assert told == [(80, 1)]
    ent.consume("acme", "crm.calls", operation="three")
    assert told == [(80, 1), (100, 2)]


def test_in_a_loop_the_same_holds(ent, engine, url):
    """An `AsyncSession`, and handlers that are awaited."""
    told = []

    async def main():
        awaited = create_async_engine(_awaited(url))
        if awaited.dialect.name == "sqlite":
            begin_immediate(awaited.sync_engine)
        async with AsyncEntitlements.open(_awaited(url), catalog=CATALOG) as aent:

            @aent.on("usage.threshold")
            async def hears(event):
                await asyncio.sleep(0)
                told.append(event.threshold)

            async with AsyncSession(awaited) as db:
                invoice_id = {"id": 1}
                await db.execute(text("INSERT INTO invoices VALUES (:id)"), invoice_id)
                await aent.consume("acme", "crm.imports", 80, operation="one", tx=db)
                await db.rollback()
            assert (rows(engine), (await aent.usage("acme"))["crm.imports"].used) == (0, 0)
            async with AsyncSession(awaited) as db, db.begin():
                await db.execute(text("INSERT INTO invoices VALUES (:id)"), invoice_id)
                await aent.consume("acme", "crm.imports", 80, operation="one", tx=db)
            await asyncio.gather(*aent._driver._loose)
        await awaited.dispose()

    asyncio.run(main())
    assert (rows(engine), used(ent), told) == (1, 80, [80])


def _awaited(url):
    return url.replace("sqlite://", "sqlite+aiosqlite://").replace("postgresql://", "postgresql+psycopg://")


# -- what is no transaction of this ledger ----------------------------------------------------------------------------


def test_another_database_is_refused_before_anything_is_counted(ent, engine, tmp_path):
    """Never almost atomic: two databases do not commit together."""
    other = create_engine(f"sqlite:///{tmp_path}/other.db")
    begin_immediate(other)
    with Session(other) as db, pytest.raises(ConfigurationError, match="two databases"):
        ent.consume("acme", "crm.imports", operation="one", tx=db)
    with engine.connect() as connection, pytest.raises(ConfigurationError, match="not in a transaction"):
        ent.consume("acme", "crm.imports", operation="one", tx=connection)
    with (
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        connection.begin(),
        pytest.raises(ConfigurationError, match="AUTOCOMMIT"),
    ):
        ent.consume("acme", "crm.imports", operation="one", tx=connection)
    with pytest.raises(ConfigurationError, match="pass a SQLAlchemy"):
        ent.consume("acme", "crm.imports", operation="one", tx=object())
    assert used(ent) == 0
    other.dispose()
