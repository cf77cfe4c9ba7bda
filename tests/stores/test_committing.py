"""What is done after the host's commit: once, and never after a rollback."""

from __future__ import annotations

import asyncio
import sys

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from payaid_entitlements.cache.driving import AsyncDriver, Driver
from payaid_entitlements.cache.steps import AfterCommit, CallHost
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.stores.sql.committing import after_commit


@pytest.fixture
def engine(tmp_path):
    found = create_engine(f"sqlite:///{tmp_path}/host.db")
    with found.begin() as connection:
        connection.execute(text("CREATE TABLE rows (id INTEGER)"))
    yield found
    found.dispose()


def write(session):
    session.execute(text("INSERT INTO rows VALUES (1)"))


def count(engine):
    with engine.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM rows")).scalar_one()


def test_it_is_done_once_and_when_the_row_is_there(engine):
    """Also where a session is used on, and for each that asked, in their order."""
    told = []
    with Session(engine) as session:
        for number in (1, 2):
            write(session)
            assert after_commit(session, lambda number=number: told.append((number, "a", count(engine))))
            assert after_commit(session, lambda number=number: told.append((number, "b", count(engine))))
            assert len(told) == 2 * (number - 1)
            session.commit()
        write(session)
        session.commit()
    assert told == [(1, "a", 1), (1, "b", 1), (2, "a", 2), (2, "b", 2)]


def test_a_rollback_forgets_it(engine):
    """The next commit of the same session is another one."""
    told = []
    with Session(engine) as session:
        write(session)
        after_commit(session, lambda: told.append(1))
        session.rollback()
        write(session)
        session.commit()
    assert told == []


def test_a_savepoint_is_no_commit(engine):
    """Nor is going back to one the end of what was asked before it."""
    told = []
    with Session(engine) as session:
        write(session)
        after_commit(session, lambda: told.append(count(engine)))
        with session.begin_nested():
            write(session)
        assert told == []
        with pytest.raises(ZeroDivisionError), session.begin_nested():
            write(session)
            raise ZeroDivisionError
        assert told == []
        session.commit()
    assert told == [2]


def test_where_nobody_tells_of_the_commit_that_is_said(engine):
    """A connection, and a session within the transaction of one, whose commit commits nothing."""
    told = []
    with engine.begin() as connection:
        assert not after_commit(connection, lambda: told.append(1))
        with Session(bind=connection, join_transaction_mode="create_savepoint") as session:
            write(session)
            assert not after_commit(session, lambda: told.append(1))
            session.commit()
    assert told == []


def test_nobody_tells_of_a_transaction_that_is_not_of_a_database_we_know(engine, monkeypatch):
    """Also where SQLAlchemy is not installed: a store of somebody's own may take transactions of its own."""
    told = []
    monkeypatch.delitem(sys.modules, "sqlalchemy")
    assert Driver(MemoryStore()).run(asking(object(), lambda: told.append(1))) is False
    assert told == []


def asking(tx, function):
    def begin():
        yield CallHost(function)

    return (yield AfterCommit(tx, begin))


def test_a_flow_runs_after_the_commit_and_its_errors_are_nobodys(engine):
    """The host has committed: that must not seem to have failed."""
    told = []

    def fails():
        told.append(count(engine))
        raise ZeroDivisionError

    with Session(engine) as session:
        write(session)
        assert Driver(MemoryStore()).run(asking(session, fails)) is True
        session.commit()
    assert told == [1]


def test_in_a_loop_it_is_a_task_of_its_own(tmp_path):
    """Awaited functions too; one that fails is nobody's."""
    told = []

    async def hears():
        await asyncio.sleep(0)
        told.append("awaited")

    async def fails():
        told.append("failed")
        raise ZeroDivisionError

    async def main():
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/host.db")
        driver = AsyncDriver(AsyncMemoryStore())
        async with AsyncSession(engine) as session:
            await session.execute(text("CREATE TABLE rows (id INTEGER)"))
            for function in (hears, fails, lambda: told.append("plain")):
                assert await driver.run(asking(session, function))
            assert told == []
            await session.commit()
        await asyncio.gather(*driver._loose, return_exceptions=True)
        assert driver._loose == set()
        await engine.dispose()

    asyncio.run(main())
    assert sorted(told) == ["awaited", "failed", "plain"]


def test_a_loop_that_ends_takes_it_along(tmp_path):
    """What was not told by then is told by somebody else: nothing complains."""

    async def main():
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/host.db")
        driver = AsyncDriver(AsyncMemoryStore())
        async with AsyncSession(engine) as session:
            await session.execute(text("SELECT 1"))
            await driver.run(asking(session, lambda: asyncio.sleep(60)))
            await session.commit()
        await asyncio.sleep(0)
        await engine.dispose()
        return driver

    assert asyncio.run(main())._loose == set()
