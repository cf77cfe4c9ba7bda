"""`lock`: hosts that count rows of their own one after the other never have more than there is room for."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from payaid_entitlements.errors import ChangeConflict, ConfigurationError
from payaid_entitlements.stores.sql import SQLStore, begin_immediate
from tests.stores.conftest import driven

HOSTS, ROOM, EACH = 6, 10, 4
COUNT = text("SELECT count(*) FROM contacts WHERE tenant = :tenant")
PUT = text("INSERT INTO contacts (tenant) VALUES (:tenant)")


@pytest.fixture
def contacts(host_engine):
    """An engine of a host that has a table of its own."""
    key = {"sqlite": "INTEGER PRIMARY KEY", "postgresql": "SERIAL PRIMARY KEY"}.get(
        host_engine.dialect.name, "INTEGER PRIMARY KEY AUTO_INCREMENT"
    )
    with host_engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE contacts (id {key}, tenant VARCHAR(40) NOT NULL)"))
    yield host_engine
    with host_engine.begin() as connection:
        connection.execute(text("DROP TABLE contacts"))


@pytest.fixture
def ledger(database_url):
    store = SQLStore(database_url)
    yield store.ledger
    store.close()


def levels(engine):
    """The levels of isolation that hosts use, of which some let a transaction see what is old."""
    return [None] if engine.dialect.name == "sqlite" else ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]


def _add(ledger, engine, *, level, reads_before):
    """Add a contact if there is room, as a host does; False where there is none, None where it was to begin again."""
    engine = engine if level is None else engine.execution_options(isolation_level=level)
    try:
        with Session(engine) as session, session.begin():
            if reads_before:
                session.execute(COUNT, {"tenant": "acme"})
            ledger.lock("acme", "contacts", tx=session)
            if session.execute(COUNT, {"tenant": "acme"}).scalar_one() >= ROOM:
                return False
            session.execute(PUT, {"tenant": "acme"})
            return True
    except ChangeConflict:
        return None


@pytest.mark.parametrize("reads_before", [False, True])
def test_hosts_that_count_at_once_never_exceed_what_there_is_room_for(ledger, contacts, reads_before):
    for level in levels(contacts):
        with contacts.begin() as connection:
            connection.execute(text("DELETE FROM contacts"))
        together = threading.Barrier(HOSTS)

        def host(level=level, together=together):
            together.wait(30)
            said = []
            while len(said) < EACH:
                added = _add(ledger, contacts, level=level, reads_before=reads_before)
                if added is not None:
                    said.append(added)
            return said

        with ThreadPoolExecutor(HOSTS) as pool:
            said = [each for host in [pool.submit(host) for _ in range(HOSTS)] for each in host.result(60)]
        with contacts.connect() as connection:
            assert connection.execute(COUNT, {"tenant": "acme"}).scalar_one() == ROOM
        assert said.count(True) == ROOM


def test_a_host_that_read_before_it_waited_is_told_to_begin_again_or_sees_what_is_new(ledger, contacts):
    if contacts.dialect.name == "sqlite":
        pytest.skip("a host's transaction has the whole database from its beginning")
    for level in levels(contacts):
        if (contacts.dialect.name, level) == ("mysql", "SERIALIZABLE"):
            continue  # what one has read there, nobody else changes
        engine = contacts.execution_options(isolation_level=level)
        with Session(engine) as late:
            late.execute(COUNT, {"tenant": level})
            with Session(contacts) as early, early.begin():
                ledger.lock(level, "contacts", tx=early)
                early.execute(PUT, {"tenant": level})
            if level == "READ COMMITTED":
                ledger.lock(level, "contacts", tx=late)
                assert late.execute(COUNT, {"tenant": level}).scalar_one() == 1
            else:
                with pytest.raises(ChangeConflict):
                    ledger.lock(level, "contacts", tx=late)


def test_who_passes_twice_or_passes_where_nobody_was_is_let_through(ledger, contacts):
    for level in levels(contacts):
        engine = contacts if level is None else contacts.execution_options(isolation_level=level)
        for _ in range(2):
            with Session(engine) as session, session.begin():
                session.execute(COUNT, {"tenant": "acme"})
                ledger.lock("acme", f"of {level}", tx=session)
                session.execute(PUT, {"tenant": "acme"})
                ledger.lock("acme", f"of {level}", tx=session)


def test_tenants_and_features_do_not_wait_for_each_other_and_a_lock_is_nothing_that_was_used(ledger, contacts):
    if contacts.dialect.name == "sqlite":
        pytest.skip("one writer at a time")
    with Session(contacts) as one, one.begin():
        ledger.lock("acme", "contacts", tx=one)
        for tenant, feature in (("beta", "contacts"), ("acme", "deals")):
            with Session(contacts) as other, other.begin():
                ledger.lock(tenant, feature, tx=other)
    assert ledger.tenants() == []
    assert ledger.book("acme").accounts == ()


def test_a_lock_ends_with_the_transaction_also_when_it_is_rolled_back(ledger, contacts):
    with Session(contacts) as session:
        ledger.lock("acme", "contacts", tx=session)
        session.rollback()
    with Session(contacts) as session, session.begin():
        ledger.lock("acme", "contacts", tx=session)


def test_there_is_no_lock_without_a_transaction(ledger, contacts):
    with contacts.connect() as connection, pytest.raises(ConfigurationError, match="tx is not in a transaction"):
        ledger.lock("acme", "contacts", tx=connection)


@pytest.mark.parametrize("colour", ["async"], indirect=True)
def test_asynchronous_hosts_count_one_after_the_other(opened, contacts, database_url):
    async def work():
        engine = create_async_engine(driven(database_url, is_async=True))
        if engine.dialect.name == "sqlite":
            begin_immediate(engine.sync_engine)

        async def add():
            async with AsyncSession(engine) as session, session.begin():
                await opened.own.ledger.lock("acme", "contacts", tx=session)
                if (await session.execute(COUNT, {"tenant": "acme"})).scalar_one() >= ROOM:
                    return False
                await session.execute(PUT, {"tenant": "acme"})
                return True

        async def host():
            said = []
            while len(said) < EACH:
                try:
                    said.append(await add())
                except ChangeConflict:
                    await asyncio.sleep(0)
            return said

        said = [each for host in await asyncio.gather(*(host() for _ in range(4))) for each in host]
        await engine.dispose()
        return said

    assert opened.run(work()).count(True) == ROOM
