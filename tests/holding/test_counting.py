"""Limits over the host's own rows: counted live, under a lock, so there are exactly as many as are sold."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from sqlalchemy import text

from payaid_entitlements import UNLIMITED, Entitlements, Reason
from payaid_entitlements.errors import (
    ConfigurationError,
    NotEntitled,
    QuotaExceeded,
    StoreUnavailable,
    TenantSuspended,
)
from tests.holding import racing
from tests.holding.conftest import CATALOG
from tests.holding.hosts import Host, rows, rows_later
from tests.stores.conftest import RACERS

CONTACTS = ("acme", "crm.contacts")


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path / 'app.db'}"


@pytest.fixture(params=["sync", "async"])
def opened(request, sqlite_url):
    """A function that opens a host on SQLite."""
    hosts = []

    def open_one(**named):
        hosts.append(Host(request.param, sqlite_url, **named))
        return hosts[-1]

    yield open_one
    for host in hosts:
        host.close()


@pytest.fixture
def host(opened):
    return opened()


# -- room --------------------------------------------------------------------------------------------------------------


def test_there_are_as_many_as_are_sold(host):
    """Said without those that are about to be added; one more is refused, and what was deleted is no more counted."""
    assert [host.add().used for _ in range(3)] == [0, 1, 2]
    with pytest.raises(QuotaExceeded) as caught:
        host.add()
    decision = caught.value.decision
    assert (decision.reason, decision.usage.used, decision.usage.limit, decision.usage.remaining) == (
        Reason.ALLOCATION_NO_ROOM,
        3,
        3,
        0,
    )
    assert (caught.value.tenant, bool(caught.value.reference)) == ("acme", True)
    assert host.ent.counts["usage.refused", "crm.contacts", "allocation.no_room"] == 1
    with host.engine.begin() as db:
        db.execute(text("DELETE FROM contacts"))
    assert (host.add(3).remaining, host.there()) == (3, 3)


def test_several_are_added_together_or_not_at_all(host):
    """Four of three are refused although there is room for some."""
    with pytest.raises(QuotaExceeded):
        host.add(4)
    host.add(2)
    with pytest.raises(QuotaExceeded):
        host.add(2)
    assert host.there() == 2


def test_what_is_rolled_back_is_not_counted(host):
    """There is no counter that could drift."""
    host.add(3, fails=True)
    assert host.add(3).used == 0


def test_who_has_just_paid_adds(host):
    """The copy that is near is a second old: the store is asked before anybody is refused."""
    host.add(3)
    host.elsewhere.admin("other").change_plan("acme", "all")
    host.clock.advance(seconds=1)
    assert host.add().limit is UNLIMITED


def test_who_was_suspended_meanwhile_adds_none(host):
    """Found out when it was made sure of."""
    host.add(3)
    host.elsewhere.admin("other").suspend("acme")
    host.clock.advance(seconds=1)
    with pytest.raises(TenantSuspended):
        host.add()


def test_what_is_not_sold_is_refused(host):
    """Before anything is locked or counted."""
    with pytest.raises(NotEntitled):
        host.add(tenant="other")
    assert host.store.faults.calls.count("lock") == 0


def test_where_it_is_not_enforced_it_is_counted_and_let_pass(opened):
    """And said what would have been."""
    host = opened(enforcement="observe")
    host.add(3)
    assert (host.add().would_refuse, host.there()) == (True, 4)
    assert host.add(tenant="other").would_refuse
    assert host.ent.counts["usage.would_refuse", "crm.contacts"] == 2


def test_in_an_outage_nobody_adds(host):
    """Who cannot count lets nobody pass."""
    host.add()
    host.store.faults.is_down = True
    with pytest.raises(StoreUnavailable):
        host.add()
    assert host.there() == 1


# -- usage -------------------------------------------------------------------------------------------------------------


def test_usage_counts_the_rows_in_a_transaction(host):
    """Among all others, or asked for by name; without a transaction the others are said."""
    host.add(2)
    found = host.usage()
    assert {"crm.contacts", "crm.pages", "seats"} <= set(found)
    assert (found["crm.contacts"].used, found["crm.contacts"].remaining) == (2, 1)
    assert host.usage("crm.contacts")["crm.contacts"] == found["crm.contacts"]
    ask = host.ent.usage if host.colour == "sync" else lambda *args: host.runner.run(host.ent.usage(*args))
    assert "crm.contacts" not in ask("acme")
    with pytest.raises(TypeError, match="tx="):
        ask(*CONTACTS)


# -- mistakes ----------------------------------------------------------------------------------------------------------


def test_what_cannot_be_counted_says_what_to_do(host):
    """A feature of the ledger, one that has no room, one that nobody counts, no transaction, no number."""
    with pytest.raises(ConfigurationError, match="assign"):
        host.add(feature="seats")
    for feature, way_out in (("crm.pages", r"consume\(\)"), ("crm.export", r"check\(\)")):
        with pytest.raises(TypeError, match=way_out):
            host.add(feature=feature)
    for amount in (0, -1):
        with pytest.raises(ConfigurationError):
            host.ent.require_room(*CONTACTS, amount, tx=object()) if host.colour == "sync" else host.runner.run(
                host.ent.require_room(*CONTACTS, amount, tx=object())
            )
    for tx in (None, object()):
        with pytest.raises(ConfigurationError, match="tx"):
            host.ent.require_room(*CONTACTS, tx=tx) if host.colour == "sync" else host.runner.run(
                host.ent.require_room(*CONTACTS, tx=tx)
            )
    host.ent._counters._by_feature.clear()
    with pytest.raises(ConfigurationError, match=r"@ent\.counts\('crm\.contacts'\)"):
        host.add()


@pytest.mark.parametrize("given", [None, True, -1, 1.5, "3"])
def test_a_counter_that_gives_no_number_lets_nobody_pass(host, given):
    """It says which function it was."""
    host.ent._counters._by_feature.clear()

    @host.ent.counts("crm.contacts")
    def wrong(tenant, tx):
        return given

    with pytest.raises(TypeError, match=r"wrong, which counts 'crm\.contacts', gave"):
        host.add()


def test_a_plain_client_awaits_nothing(opened, sqlite_url):
    """A coroutine function is refused when it is given, and one in disguise when it is called."""

    class Counter:
        async def __call__(self, tenant, tx):
            return 0

    ent = Entitlements.open(sqlite_url, catalog=CATALOG)
    with ent, pytest.raises(ConfigurationError, match="AsyncEntitlements"):
        ent.counts("crm.contacts")(rows_later)
    host = opened()
    if host.colour == "sync":
        host.ent._counters._by_feature.clear()
        host.ent.counts("crm.contacts")(Counter())
        with pytest.raises(TypeError, match="gave <coroutine"):
            host.add()


def test_who_counts_what_is_said_once_and_when_the_process_starts():
    """A second function, a key that is no such allocation, and what is no function are mistakes."""
    with Entitlements.open("memory://", catalog=CATALOG) as ent:
        assert ent.counts("crm.contacts")(rows) is rows
        assert ent.counts("crm.contacts")(rows) is rows
        with pytest.raises(ConfigurationError, match="counted already, by rows"):
            ent.counts("crm.contacts")(lambda tenant, tx: 0)
        for key in ("seats", "crm.pages", "crm.contact"):
            with pytest.raises(ConfigurationError, match="count: host"):
                ent.counts(key)(rows)
        with pytest.raises(TypeError, match="goes on a function"):
            ent.counts("crm.contacts")(7)
        with pytest.raises(TypeError, match="str"):
            ent.counts(7)(rows)
        ent.admin("test").subscribe("acme", "pro")
        with pytest.raises(ConfigurationError, match="memory"):
            ent.require_room(*CONTACTS, tx=object())
    with Entitlements.open("memory://") as ent:
        assert ent.counts("anything")(rows) is rows


# -- races -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", ["sqlite_url", "postgres_url", "mariadb_url"])
def test_of_processes_who_race_exactly_as_many_add_as_are_sold(request, server, racers):
    """Each tries four times; nobody waits for ever."""
    url = request.getfixturevalue(server)
    host = Host("sync", url)
    try:
        found = sum(racers.race(racing.add_rows, url, 4), Counter())
        assert (host.there(), found["added"]) == (3, 3)
        assert found.total() == 4 * RACERS
    finally:
        host.close()


def test_tasks_who_race_add_exactly_as_many(postgres_url):
    """In one event loop."""
    host = Host("async", postgres_url)

    async def main():
        adding = [host._add_later(1, "acme", "crm.contacts", False) for _ in range(10)]
        return await asyncio.gather(*adding, return_exceptions=True)

    try:
        outcomes = host.runner.run(main())
        assert sum(isinstance(each, QuotaExceeded) for each in outcomes) == 7
        assert host.there() == 3
    finally:
        host.close()
