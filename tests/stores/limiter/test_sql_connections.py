"""Whose connection it is, and how it is left behind: by those who got an answer and by those who did not."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from sqlalchemy import StaticPool, create_engine, text
from sqlalchemy.exc import OperationalError

from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores.hurry import within
from payaid_entitlements.stores.sql import AsyncSQLStore, SQLStore
from payaid_entitlements.stores.sql.limiter.sending import _USUAL, Alone
from payaid_entitlements.testing.contracts.limiter_calls import (
    FIVE,
    NOW,
    RATES,
    call,
    group,
)
from payaid_entitlements.testing.contracts.limiter_calls import remaining as left
from tests.stores.conftest import driven
from tests.stores.limiter.conftest import plain


def test_a_limiter_of_a_host_s_engine_counts_as_well(url, colour, open_sql):
    engine = create_engine(driven(url))
    store = SQLStore(engine)
    for _ in range(2):
        assert call(store.limiter, FIVE).is_allowed
        assert call(store.limiter, *RATES, owner="beta").is_allowed
    engine.dispose()
    opened = open_sql(url)
    assert left(plain(opened), FIVE) == [3]
    assert left(plain(opened), *RATES, owner="beta") == [3] * len(RATES)


def test_what_is_in_memory_is_for_one_process(sqlite_url):
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    store = SQLStore(engine)
    store.prepare()
    assert not store.limiter.is_shared
    assert store.limiter.concerns == ()
    assert [call(store.limiter, FIVE, cost=3).is_allowed for _ in range(2)] == [True, False]
    engine.dispose()
    other = AsyncSQLStore(sqlite_url)
    assert other.limiter.is_shared
    assert (other.limiter.name, other.limiter) == (other.name, other.limiter)


def test_a_connection_that_was_closed_meanwhile_costs_nobody_a_call(limited, made):
    call(limited.limiter, FIVE)
    _, engine = made
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite closes no connection")
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                    "AND datname = current_database() AND backend_type = 'client backend'"
                )
            )
        else:
            own = connection.scalar(text("SELECT CONNECTION_ID()"))
            for (number,) in connection.execute(text("SELECT id FROM information_schema.processlist")).all():
                if number != own:
                    connection.execute(text(f"KILL {number}"))
    assert call(limited.limiter, FIVE).is_allowed
    assert left(limited.limiter, FIVE) == [3]


def test_a_write_that_got_no_answer_is_not_sent_again(limited, monkeypatch):
    call(limited.limiter, FIVE)
    write, sent = Alone.write, []

    def cut_off(self, asked):
        write(self, asked)
        sent.append(asked)
        raise OperationalError("update", {}, Exception("gone"), connection_invalidated=True)

    with monkeypatch.context() as patch:
        patch.setattr(Alone, "write", cut_off)
        with pytest.raises(StoreUnavailable, match="gone"):
            call(limited.limiter, FIVE)
    assert len(sent) == 1
    assert left(limited.limiter, FIVE) == [3]


def test_whoever_waits_for_a_host_gives_up_and_others_find_connections_in_order(limited, made):
    call(limited.limiter, FIVE)
    call(limited.limiter, *RATES, owner="beta")
    with made[1].connect() as host:
        if host.dialect.name == "sqlite":
            host.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            host.execute(text("SELECT * FROM payaid_rates FOR UPDATE"))
        for policies, owner in (([FIVE], "acme"), (RATES, "beta")):
            with within(0.1), pytest.raises(StoreUnavailable):
                call(limited.limiter, *policies, owner=owner)
        assert left(limited.limiter, *RATES, owner="beta") == [4] * len(RATES)
        host.rollback()
    assert call(limited.limiter, FIVE).is_allowed


@pytest.mark.parametrize("policies", [[FIVE], [*RATES]], ids=["one", "four"])
def test_a_task_that_is_cancelled_leaves_others_their_connections(made, url, policies):
    """It waits for a host who has written the same counter, and not committed."""
    engine, started = made[1], []

    async def use():
        store = AsyncSQLStore(url)
        await store.limiter.prepare()
        with engine.connect() as host, within(1):
            if engine.dialect.name == "sqlite":
                host.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                wanted = group(*policies)
                host.execute(
                    text(f"INSERT INTO payaid_rates VALUES ('{wanted.owner}', '{wanted.counters[0].key}', '', 0)")
                )
            task = asyncio.create_task(store.limiter.hit(group(*policies), now=NOW))
            await asyncio.sleep(0.1)
            started.append(not task.done())
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            host.rollback()
        found = [await store.limiter.hit(group(*policies), now=NOW) for _ in range(3)]
        await store.aclose()
        return found

    found = asyncio.run(use())
    assert started == [True]
    assert all(ruling.is_allowed for ruling in found)


def settings(store):
    """How a connection of the store to SQLite writes and waits."""
    with store._engine.connect() as connection:
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("synchronous", "busy_timeout")]


def test_on_sqlite_a_connection_is_afterwards_as_it_was(sqlite_url):
    store = SQLStore(sqlite_url)
    store.prepare()
    usual = settings(store)
    assert usual == [2, 5000]
    call(store.limiter, FIVE)
    assert settings(store) == usual
    call(store.limiter, *RATES)
    assert settings(store) == usual
    with store._engine.connect() as connection:
        connection.info[_USUAL][0] = "PRAGMA none of ours"
    with pytest.raises(StoreUnavailable, match="syntax error"):
        call(store.limiter, FIVE)
    # That connection is no more.
    assert settings(store) == usual
    store.close()


def test_whoever_waits_for_a_connection_waits_no_longer_than_for_an_answer(made, url, colour):
    """All of them are lent out: in either colour."""
    if colour == "sync":
        store = SQLStore(url)
        store.prepare()
        with contextlib.ExitStack() as lent:
            for _ in range(15):
                lent.enter_context(store._engine.connect())
            with within(0.1), pytest.raises(StoreUnavailable):
                call(store.limiter, FIVE)
        assert call(store.limiter, FIVE).is_allowed
        store.close()
        return

    async def use():
        store = AsyncSQLStore(url)
        await store.prepare()
        async with contextlib.AsyncExitStack() as lent:
            for _ in range(15):
                await lent.enter_async_context(store._awaited.connect())
            with within(0.1), pytest.raises(StoreUnavailable, match=r"no answer within 0\.1 seconds"):
                await store.limiter.hit(group(FIVE), now=NOW)
        assert (await store.limiter.hit(group(FIVE), now=NOW)).is_allowed
        await store.aclose()

    asyncio.run(use())
