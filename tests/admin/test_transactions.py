"""Changes inside the host's own transaction on SQLite: its rows and ours are there together, or neither is."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from payaid_entitlements.errors import ChangeConflict, ConfigurationError
from payaid_entitlements.stores.sql import AsyncSQLStore, SQLStore, begin_immediate
from tests.admin.conftest import Shop, edited, facts


def client(colour, url, runner=None):
    """A process of the host: a client with caches of its own."""
    return Shop(colour, store=SQLStore(url) if colour == "sync" else AsyncSQLStore(url), runner=runner)


def verb(shop, name, *arguments, **named):
    """A verb of the plain or the awaited admin, as a step of a transaction."""
    desk = shop.ent.admin("asha", because="a test")
    return lambda tx: getattr(desk, name)(*arguments, tx=tx, **named)


class Host:
    """An application with a table of its own in the same database, in one colour."""

    def __init__(self, colour, file):
        self.colour = colour
        self.url = f"sqlite:///{file}"
        self.shop = client(colour, self.url)
        self.admin = self.shop.admin()
        self.runner = self.shop.runner
        if colour == "sync":
            self.engine = create_engine(self.url)
            begin_immediate(self.engine)
        else:
            self.engine = create_async_engine(f"sqlite+aiosqlite:///{file}")
            begin_immediate(self.engine.sync_engine)
        self.session(lambda tx: tx.execute(text("create table invoice (number integer)")))

    def close(self):
        if self.colour == "sync":
            self.engine.dispose()
        else:
            self.runner.run(self.engine.dispose())
        self.shop.close()

    def session(self, *steps, fails=False):
        """Run *steps* in one transaction of the host's ORM; *fails* rolls it back."""
        if self.colour == "sync":
            return self._plainly(steps, fails)
        return self.runner.run(self._awaited(steps, fails))

    def _plainly(self, steps, fails):
        answers = []
        with Session(self.engine) as session:
            for step in steps:
                answers.append(step(session))
            session.rollback() if fails else session.commit()
        return answers

    async def _awaited(self, steps, fails):
        answers = []
        async with AsyncSession(self.engine) as session:
            for step in steps:
                answer = step(session)
                answers.append(await answer if asyncio.iscoroutine(answer) else answer)
            await (session.rollback() if fails else session.commit())
        return answers

    def invoice(self, tx):
        return tx.execute(text("insert into invoice values (7)"))

    def verb(self, name, *arguments, **named):
        return verb(self.shop, name, *arguments, **named)

    def invoices(self):
        (rows,) = self.session(lambda tx: tx.execute(text("select number from invoice")))
        return len(rows.all())


@pytest.fixture
def host(colour, tmp_path):
    opened = Host(colour, tmp_path / "app.db")
    yield opened
    opened.close()


def test_both_are_there_after_the_commit(host):
    """This process sees it at once when it asks for the revision, else at its next look at the change log."""
    assert not host.shop.check("acme", "books").allowed
    _, change = host.session(host.invoice, host.verb("subscribe", "acme", "pro", operation="evt_1"))
    assert (facts(change), change.revision, host.invoices()) == ((True, "change.applied"), 1, 1)
    assert host.shop.check("acme", "books", after=change.revision).allowed
    assert facts(host.admin.subscribe("acme", "pro", operation="evt_1")) == (False, "change.repeated")


def test_neither_is_there_after_a_rollback(host):
    """Nor the audit entry, nor the operation: the same one is applied the next time."""
    host.admin.subscribe("globex", "free")
    _, change = host.session(host.invoice, host.verb("subscribe", "acme", "pro", operation="evt_1"), fails=True)
    assert (change.applied, host.invoices()) == (True, 0)
    assert not host.shop.check("acme", "books", after=0).allowed
    assert host.shop.trail("acme") == []
    assert facts(host.admin.subscribe("acme", "pro", operation="evt_1")) == (True, "change.applied")


def test_what_is_not_committed_is_seen_by_nobody_else(host):
    """Not by this process outside of the transaction either."""
    host.admin.subscribe("acme", "free")
    seen = []

    def look(tx):
        outside = SQLStore(host.url)
        seen.append(outside.read(["acme"])["acme"].revision)
        outside.close()

    host.session(host.verb("change_plan", "acme", "pro"), look)
    assert seen == [1]
    assert host.shop.check("acme", "books", after=2).allowed


def test_several_changes_in_one_transaction_build_on_each_other(host):
    """Each reads what the transaction has written before it."""
    changes = host.session(
        host.verb("subscribe", "acme", "pro"),
        host.verb("set_add_on", "acme", "more_seats", 2),
        host.verb("override", "acme", "crm.contacts", 9),
        host.verb("set_timezone", "acme", "Asia/Kolkata"),
        host.verb("suspend", "acme"),
        host.verb("reinstate", "acme"),
        host.verb("invalidate", "acme"),
    )
    assert [change.revision for change in changes] == [1, 2, 3, 4, 5, 6, 7]
    assert "seats: 5 -> 15" in changes[1].gains
    assert [entry.revision for entry in host.shop.trail("acme")] == [1, 2, 3, 4, 5, 6, 7]
    host.session(host.verb("forget", "acme"))
    assert host.shop.check("acme", "books", after=8).plan == "free"


def test_a_process_may_begin_with_a_change_inside_a_transaction(host):
    """Finding out what is sold needs no lock that the host's transaction holds, once somebody has published."""
    host.admin.subscribe("acme", "free")
    fresh = client(host.colour, host.url, host.runner)
    _, change = host.session(host.invoice, verb(fresh, "change_plan", "acme", "pro"))
    assert change.revision == 2
    assert fresh.check("acme", "books", after=2).allowed
    fresh.run(fresh.ent.close() if host.colour == "sync" else fresh.ent.aclose())


def test_a_repeated_operation_inside_a_transaction(host):
    """It finds the first one, whether that is committed or was made a moment ago in the same transaction."""
    subscribe = host.verb("subscribe", "acme", "pro", operation="evt_1")
    first, again = host.session(subscribe, subscribe)
    (later,) = host.session(subscribe)
    assert [facts(each) for each in (first, again, later)] == [
        (True, "change.applied"),
        (False, "change.repeated"),
        (False, "change.repeated"),
    ]
    assert first.id == again.id == later.id


def test_a_conflict_inside_a_transaction_is_the_hosts_to_solve(host, monkeypatch):
    """What was read is read: trying again inside the same transaction could not see anything else."""
    host.admin.subscribe("acme", "free")
    store = host.shop.ent._store
    read = store.read
    calls = []

    def stale(answer):
        calls.append(1)
        return {tenant: type(known)(tenant, known.revision - 1) for tenant, known in answer.items()}

    if host.colour == "sync":
        monkeypatch.setattr(store, "read", lambda tenants, tx=None: stale(read(tenants, tx=tx)))
    else:

        async def stale_read(tenants, tx=None):
            return stale(await read(tenants, tx=tx))

        monkeypatch.setattr(store, "read", stale_read)
    with pytest.raises(ChangeConflict):
        host.session(host.verb("subscribe", "acme", "pro"))
    assert len(calls) == 1


def test_a_transaction_of_something_else_is_refused(host, tmp_path):
    """Another database, no transaction, another kind of object: it would not commit together."""
    other = create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    begin_immediate(other)
    host.admin.subscribe("acme", "free")
    for wrong in (object(), "tx", other):
        with pytest.raises(ConfigurationError):
            host.admin.subscribe("acme", "pro", tx=wrong)
    with other.begin() as connection, pytest.raises(ConfigurationError):
        host.admin.subscribe("acme", "pro", tx=connection)
    other.dispose()
    assert host.shop.check("acme", "seats").plan == "free"


def test_memory_joins_no_transaction(shop, admin):
    """It says so instead of writing at once."""
    with pytest.raises(ConfigurationError, match="cannot join a transaction"):
        admin.subscribe("acme", "pro", tx=object())
    assert shop.memory.read(["acme"]) == {}


def test_a_dry_run_inside_a_transaction_writes_nothing(host):
    """And sees what the transaction has written."""
    host.admin.publish(edited(pro={"seats": 7}))
    dry = host.shop.ent.admin("asha", dry_run=True)
    _, tried = host.session(
        host.verb("subscribe", "acme", "pro"), lambda tx: dry.set_add_on("acme", "more_seats", 1, tx=tx)
    )
    assert tried.gains == ("seats: 7 -> 12",)
    assert host.shop.worth("acme", "seats").limit == 7


@pytest.mark.parametrize("fails", [False, True])
def test_a_downgrade_in_a_transaction_sees_who_was_seated_in_it(host, fails):
    """What exceeds is read where the change is made; undone together with it, nobody sits there."""
    host.admin.subscribe("acme", "pro")
    ent = host.shop.ent
    seats = [lambda tx, holder=holder: ent.assign("acme", "seats", holder, tx=tx) for holder in ("a", "b", "c")]
    *_, change = host.session(*seats, host.verb("change_plan", "acme", "free"), fails=fails)
    assert change.exceeds == ("seats: 3 used, 1 allowed",)
    held = host.shop.run(ent.assignments("acme", "seats"))
    assert [each.holder for each in held] == ([] if fails else ["a", "b", "c"])


def test_a_grant_is_given_with_the_hosts_row_or_not_at_all(host):
    """Paid for in the same transaction."""
    assert not host.shop.check("acme", "crm.calls").allowed
    grant = host.verb("grant", "acme", "crm.calls", 5, operation="order-1")
    host.session(host.invoice, grant, fails=True)
    assert not host.shop.check("acme", "crm.calls").allowed
    (_, change) = host.session(host.invoice, host.verb("grant", "acme", "crm.calls", 5, operation="order-1"))
    assert facts(change) == (True, "change.applied")
    assert host.shop.check("acme", "crm.calls", after=change.revision).allowed
    assert host.invoices() == 1
