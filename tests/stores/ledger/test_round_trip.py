"""One statement that commits by itself: what came of it is known, or is said not to be. On a real PostgreSQL."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import greenlet_spawn

from payaid_entitlements.core.metering.posting import Debit, Line
from payaid_entitlements.errors import OutcomeUnknown
from payaid_entitlements.stores.sql import AsyncSQLStore, SQLStore
from payaid_entitlements.stores.sql.engines import async_engine, sync_engine
from payaid_entitlements.stores.sql.ledger.prepared import Asked, Written
from payaid_entitlements.stores.sql.ledger.round_trip import Unanswered, answered, can
from tests.stores.conftest import driven


@pytest.fixture(params=["sync", "async"])
def ask(request, postgres_url):
    """Ask in either colour, on an engine of our own; `ask.engine` is it."""
    if request.param == "sync":
        engine = sync_engine(make_url(postgres_url))

        def asks(statement: str, **values: str | None):
            return answered(engine, Asked(Written(statement), values), "op-1")

        asks.engine, asks.run = engine, lambda function: function()
        yield asks
        engine.dispose()
        return
    loop = asyncio.new_event_loop()
    awaited = async_engine(make_url(postgres_url))

    def asks(statement: str, **values: str | None):
        return loop.run_until_complete(
            greenlet_spawn(answered, awaited.sync_engine, Asked(Written(statement), values), "op-1")
        )

    asks.engine, asks.run = awaited.sync_engine, lambda function: loop.run_until_complete(greenlet_spawn(function))
    yield asks
    loop.run_until_complete(awaited.dispose())
    loop.close()


def _do(engine, statement):
    with engine.begin() as connection:
        connection.execute(text(statement))


def test_the_first_row_is_the_answer_and_no_row_is_none(ask):
    assert tuple(ask("SELECT %(one)s::bigint + 1", one="41")) == (42,)
    assert ask("SELECT 1 WHERE %(not)s::boolean", **{"not": "f"}) is None


def test_it_commits_by_itself_and_the_next_who_has_a_hosts_connection_does_not(postgres_url):
    engine = create_engine(driven(postgres_url))
    _do(engine, "CREATE TABLE kept (n bigint)")
    insert, total = (Written(text) for text in ("INSERT INTO kept VALUES (1) RETURNING n", "SELECT sum(n) FROM kept"))
    assert tuple(answered(engine, Asked(insert, {}), "op-1")) == (1,)
    with engine.connect() as connection, connection.begin() as transaction:
        connection.execute(text("INSERT INTO kept VALUES (2)"))
        transaction.rollback()
    assert tuple(answered(engine, Asked(total, {}), "op-1")) == (1,)
    engine.dispose()


def test_it_commits_by_itself_beside_transactions_of_ours(ask):
    ask.run(lambda: _do(ask.engine, "CREATE TABLE kept (n bigint)"))
    assert tuple(ask("INSERT INTO kept VALUES (1) RETURNING n")) == (1,)

    def roll_back():
        writing = ask.engine.execution_options(isolation_level="READ COMMITTED")
        with writing.connect() as connection, connection.begin() as transaction:
            connection.execute(text("INSERT INTO kept VALUES (2)"))
            transaction.rollback()

    ask.run(roll_back)
    assert tuple(ask("SELECT sum(n) FROM kept")) == (1,)


def test_what_the_server_refuses_is_an_error_and_was_not_done(ask):
    with pytest.raises(DBAPIError, match="division by zero") as refused:
        ask("SELECT 1 / %(zero)s::int", zero="0")
    assert not refused.value.connection_invalidated
    assert refused.value.params is None
    with pytest.raises(DBAPIError, match="statement timeout"):
        ask("SELECT set_config('statement_timeout', '200', false)")
        ask("SELECT pg_sleep(1)")


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_a_race_that_was_lost_is_left_to_the_general_path(ask, code):
    body = f"BEGIN RAISE EXCEPTION 'raced' USING ERRCODE = '{code}'; END"
    ask.run(lambda: _do(ask.engine, f"CREATE FUNCTION lose() RETURNS int LANGUAGE plpgsql AS $${body}$$"))
    assert ask("SELECT lose()") is None


def test_a_connection_that_was_closed_while_idle_is_said_to_be_and_all_others_are_given_up(ask, postgres_url):
    ask("SELECT 1")
    killer = create_engine(make_url(postgres_url).set(drivername="postgresql+psycopg"))
    with killer.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE backend_type = 'client backend' "
                "AND pid <> pg_backend_pid() AND datname = current_database()"
            )
        )
    killer.dispose()
    with pytest.raises(Unanswered):
        ask("SELECT 1")
    assert tuple(ask("SELECT 1")) == (1,)


def test_a_session_that_ends_in_the_middle_leaves_unknown_what_was_done(ask):
    with pytest.raises(OutcomeUnknown, match="repeat with the same operation") as unknown:
        # Not so soon that it may have been closed before.
        ask("SELECT pg_sleep(0.3), pg_terminate_backend(pg_backend_pid()), pg_sleep(1)")
    assert unknown.value.operation == "op-1"
    assert tuple(ask("SELECT 1")) == (1,)


def test_who_does_not_get_a_connection_has_done_nothing(ask):
    url = ask.engine.url.set(query={}, host="127.0.0.1", port=1)
    engine = sync_engine(url)
    with pytest.raises(DBAPIError) as absent:
        answered(engine, Asked(Written("SELECT 1"), {}), "op-1")
    assert absent.value.connection_invalidated
    engine.dispose()


def test_a_cancelled_task_leaves_no_connection_on_which_an_answer_is_still_to_come(postgres_url):
    async def main():
        engine = async_engine(make_url(postgres_url))
        whose = Asked(Written("SELECT pg_backend_pid()"), {})
        before = await greenlet_spawn(answered, engine.sync_engine, whose, "op-1")
        asking = asyncio.create_task(
            greenlet_spawn(answered, engine.sync_engine, Asked(Written("SELECT 1, pg_sleep(1)"), {}), "op-1")
        )
        await asyncio.sleep(0.3)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        after = await greenlet_spawn(answered, engine.sync_engine, whose, "op-1")
        assert tuple(before) != tuple(after)
        await engine.dispose()

    asyncio.run(main())


def test_only_a_driver_that_prepares_is_asked_so(postgres_url):
    assert can(sync_engine(make_url(postgres_url)))
    assert can(async_engine(make_url(postgres_url)).sync_engine)
    assert not can(create_engine("sqlite://"))


class Losing:
    """A PostgreSQL behind a proxy, with a ledger of either colour on it: answers to consumes are lost at will."""

    def __init__(self, url, colour, proxy):
        self.proxy, self._runner = proxy, asyncio.Runner() if colour == "async" else None
        self._store = AsyncSQLStore(proxy.url) if self._runner else SQLStore(proxy.url)
        self.consume("warm")

    def run(self, answer):
        return self._runner.run(_awaited(answer)) if self._runner else answer

    def consume(self, operation):
        debit = Debit("api", 1, (Line("api", "w1", 10),))
        return self.run(self._store.ledger.post("acme", [debit], operation=operation, digest="d"))

    def used(self):
        return self.run(self._store.ledger.balances("acme", [("api", "w1")]))["api", "w1"].used

    def close(self):
        self.run(self._store.aclose() if self._runner else self._store.close())
        if self._runner:
            self._runner.close()


async def _awaited(answer):
    return await answer


@pytest.fixture(params=["sync", "async"])
def losing(request, migrated_url, proxies):
    made = Losing(migrated_url, request.param, proxies(migrated_url))
    yield made
    made.close()


def test_who_loses_the_answer_is_not_told_that_it_was_done_before(losing):
    """It may have been by this very call: who takes it for a repetition would not do what belongs to it."""
    losing.proxy.drop_reply(b"op-1")
    with pytest.raises(OutcomeUnknown) as unknown:
        losing.consume("op-1")
    assert unknown.value.operation == "op-1"
    assert losing.consume("op-1").replayed
    assert losing.used() == 2


def test_who_loses_the_answer_and_then_the_server_is_not_told_that_nothing_was_done(losing):
    losing.proxy.drop_reply(b"op-1")
    losing.proxy._is_refused = True
    with pytest.raises(OutcomeUnknown):
        losing.consume("op-1")
    losing.proxy.heal()
    assert losing.consume("op-1").replayed
    assert losing.used() == 2


def test_a_connection_that_was_closed_while_idle_costs_nobody_an_error(losing):
    losing.proxy.cut()
    assert not losing.consume("op-1").replayed
    assert losing.used() == 2
