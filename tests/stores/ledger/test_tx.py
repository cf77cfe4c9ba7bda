"""Posting in the host's transaction: the host's rows and the usage are there together, or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from payaid_entitlements.core.metering.posting import Assign, Balance, Debit, Hold, Line, Mark, Refund, Settle
from payaid_entitlements.errors import ChangeConflict, ConfigurationError, OperationConflict, UnknownOperation
from payaid_entitlements.stores.ledger import Book
from payaid_entitlements.stores.sql import SQLStore, begin_immediate
from tests.stores.conftest import driven

A, B = ("api", "w1"), ("credits", "g1")


def debit(amount=1, account=A, cap=10, **named):
    return Debit("api", amount, (Line(*account, cap),), **named)


@pytest.fixture
def ledger(database_url):
    store = SQLStore(database_url)
    yield store.ledger
    store.close()


@pytest.fixture
def calls(host_engine):
    """An engine of a host that has a table of its own."""
    with host_engine.begin() as connection:
        connection.execute(text("CREATE TABLE calls (id INTEGER PRIMARY KEY)"))
    yield host_engine
    with host_engine.begin() as connection:
        connection.execute(text("DROP TABLE calls"))


def count(engine):
    with engine.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM calls")).scalar_one()


def levels(engine):
    return [None] if engine.dialect.name == "sqlite" else ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]


def at(engine, level):
    return engine if level is None else engine.execution_options(isolation_level=level)


def test_the_hosts_rows_and_the_usage_are_committed_together(ledger, calls):
    with Session(calls) as session:
        session.execute(text("INSERT INTO calls VALUES (1)"))
        posted = ledger.post("acme", [debit()], operation="op", digest="d", tx=session)
        assert posted.filled[0].amount == 1
        assert ledger.balances("acme", [A], tx=session) == {A: Balance(1, 0, 10)}
        if calls.dialect.name != "mysql":
            assert ledger.balances("acme", [A]) == {}
        session.commit()
    assert count(calls) == 1
    assert ledger.balances("acme", [A]) == {A: Balance(1, 0, 10)}


def test_nothing_of_ours_remains_when_the_host_rolls_back(ledger, calls):
    for level in levels(calls):
        with Session(at(calls, level)) as session:
            session.execute(text("INSERT INTO calls VALUES (1)"))
            ledger.post("acme", [debit(9, marks=(Mark("api", 8),))], operation="op", digest="d", tx=session)
            ledger.post("acme", [Hold(debit(1), 10**9)], operation="hold", digest="d", tx=session)
            ledger.post("acme", [Assign("seats", "asha", 1)], tx=session)
            session.rollback()
        assert count(calls) == 0
        assert (ledger.tenants(), ledger.entries("acme"), ledger.book("acme")) == ([], [], Book())
        assert ledger.claim_events(10, 1) == []


def test_a_savepoint_of_the_host_takes_the_usage_back_with_it(ledger, calls):
    with Session(calls) as session, session.begin():
        ledger.post("acme", [debit(1)], operation="op-1", digest="d", tx=session)
        nested = session.begin_nested()
        ledger.post("acme", [debit(2)], operation="op-2", digest="d", tx=session)
        nested.rollback()
        ledger.post("acme", [debit(4)], operation="op-3", digest="d", tx=session)
    assert ledger.balances("acme", [A]) == {A: Balance(5, 0, 10)}
    assert [entry.operation for entry in ledger.entries("acme")] == ["op-1", "op-3"]


def test_what_is_refused_leaves_the_hosts_transaction_as_it_was(ledger, calls):
    with Session(calls) as session, session.begin():
        session.execute(text("INSERT INTO calls VALUES (1)"))
        assert ledger.post("acme", [debit(11)], operation="op-1", digest="d", tx=session).short.room == 10
        with pytest.raises(UnknownOperation):
            ledger.post("acme", [Settle("nothing")], tx=session)
        ledger.post("acme", [debit(1)], operation="op-2", digest="d", tx=session)
        with pytest.raises(OperationConflict):
            ledger.post("acme", [debit(1)], operation="op-2", digest="other", tx=session)
        session.execute(text("INSERT INTO calls VALUES (2)"))
    assert count(calls) == 2
    assert ledger.balances("acme", [A]) == {A: Balance(1, 0, 10)}


@pytest.mark.parametrize("reads_before", [False, True])
def test_two_hosts_never_take_more_than_there_is_whatever_they_have_read_before(ledger, calls, reads_before):
    """Where a transaction sees what is old, what is counted is new, or the host is told to begin again."""
    for number, level in enumerate(levels(calls)):
        if (calls.dialect.name, level) == ("mysql", "SERIALIZABLE"):
            continue  # what one has read there, nobody else changes
        account = "api", f"w{number}"
        with Session(at(calls, level)) as late:
            if reads_before and calls.dialect.name != "sqlite":
                late.execute(text("SELECT count(*) FROM calls"))
                ledger.balances("acme", [account], tx=late)
            if calls.dialect.name != "sqlite":
                ledger.post("acme", [debit(8, account)], operation=f"early {level}", digest="d")
            taken = 0 if calls.dialect.name == "sqlite" else 8
            try:
                posted = ledger.post("acme", [debit(3, account)], operation=f"late {level}", digest="d", tx=late)
                assert (posted.short is None) is (taken + 3 <= 10)
                late.commit()
            except ChangeConflict:
                assert (calls.dialect.name, reads_before) == ("postgresql", True)
                late.rollback()
        assert ledger.balances("acme", [account])[account].used in {8, 3}


@pytest.mark.parametrize("reads_before", [False, True])
def test_an_act_that_was_done_elsewhere_is_not_done_again_by_who_sees_what_is_old(ledger, calls, reads_before):
    if calls.dialect.name == "sqlite":
        pytest.skip("a host's transaction has the whole database from its beginning")
    for level in levels(calls):
        operation = f"op {level}"
        with Session(at(calls, level)) as late:
            if reads_before:
                late.execute(text("SELECT count(*) FROM calls"))
            ledger.post("acme", [debit(1, A, None)], operation=operation, digest="d")
            for postings in ([debit(1, A, None)], [debit(1, B, None)]):
                try:
                    posted = ledger.post("acme", postings, operation=operation, digest="d", tx=late)
                except ChangeConflict:
                    assert calls.dialect.name == "postgresql"
                    late.rollback()
                else:
                    assert posted.replayed
    assert ledger.balances("acme", [B]) == {}
    assert ledger.balances("acme", [A])[A].used == len(levels(calls))


def test_what_was_held_before_is_settled_and_given_back_in_a_transaction(ledger, calls):
    for level in levels(calls):
        operation = f"op {level}"
        ledger.post("acme", [Hold(debit(5), 10**9)], operation=operation, digest="d")
        with Session(at(calls, level)) as session, session.begin():
            assert ledger.post("acme", [Settle(operation, 4)], tx=session).filled[0].amount == 4
            assert ledger.post("acme", [Refund(operation)], tx=session).filled[0].amount == 4
        assert ledger.balances("acme", [A]) == {A: Balance(0, 0, 10)}


def test_a_hold_that_was_made_after_the_host_read_first_can_be_settled_where_that_is_seen(ledger, calls):
    if calls.dialect.name == "sqlite":
        pytest.skip("a host's transaction has the whole database from its beginning")
    for level in levels(calls):
        with Session(at(calls, level)) as late, late.begin():
            late.execute(text("SELECT count(*) FROM calls"))
            ledger.post("acme", [Hold(debit(5), 10**9)], operation=f"op {level}", digest="d")
            if calls.dialect.name == "mysql" or level == "READ COMMITTED":
                ledger.post("acme", [Settle(f"op {level}", 0)], tx=late)
            else:
                with pytest.raises((UnknownOperation, ChangeConflict)):
                    ledger.post("acme", [Settle(f"op {level}", 0)], tx=late)
                late.rollback()
                ledger.post("acme", [Settle(f"op {level}", 0)])
    assert ledger.balances("acme", [A]) == {A: Balance(0, 0, 10)}


def test_another_database_autocommit_and_what_is_no_transaction_are_refused(ledger, calls, tmp_path):
    other = create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    begin_immediate(other)
    with other.begin() as tx, pytest.raises(ConfigurationError, match="two databases do not commit together"):
        ledger.post("acme", [debit()], operation="op", digest="d", tx=tx)
    other.dispose()
    with calls.connect() as connection, pytest.raises(ConfigurationError, match="tx is not in a transaction"):
        ledger.post("acme", [debit()], operation="op", digest="d", tx=connection)
    with pytest.raises(ConfigurationError, match="tx=object"):
        ledger.balances("acme", [A], tx=object())


def test_of_two_hosts_who_wait_for_each_other_one_is_told_to_begin_again(ledger, calls):
    """A deadlock of the hosts' own making ends one of the two transactions, whole."""
    if calls.dialect.name == "sqlite":
        pytest.skip("one writer at a time")
    both_have_one = Barrier(2)

    def host(number):
        with Session(calls) as session:
            try:
                ledger.post("acme", [debit(1, (A, B)[number])], operation=f"{number}/1", digest="d", tx=session)
                both_have_one.wait(30)
                ledger.post("acme", [debit(1, (B, A)[number])], operation=f"{number}/2", digest="d", tx=session)
            except ChangeConflict:
                session.rollback()
                return "told"
            session.commit()
            return "done"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(host, (0, 1))) == ["done", "told"]
    assert {account: each.used for account, each in ledger.balances("acme", [A, B]).items()} == {A: 1, B: 1}


@pytest.mark.parametrize("colour", ["async"], indirect=True)
@pytest.mark.parametrize("commits", [True, False])
def test_asynchronous_forms(opened, database_url, commits):
    own = opened.own.ledger

    async def work():
        engine = create_async_engine(driven(database_url, is_async=True))
        if engine.dialect.name == "sqlite":
            begin_immediate(engine.sync_engine)
        for number, make in enumerate((lambda: AsyncSession(engine), engine.connect)):
            async with make() as tx:
                begun = await tx.begin()
                await own.post("acme", [debit(1)], operation=f"op {number}", digest="d", tx=tx)
                assert (await own.balances("acme", [A], tx=tx))[A].used == (number + 1 if commits else 1)
                await own.forget("beta", tx=tx)
                await (begun.commit() if commits else begun.rollback())
        await engine.dispose()
        return await own.balances("acme", [A])

    assert opened.run(work()) == ({A: Balance(2, 0, 10)} if commits else {})
