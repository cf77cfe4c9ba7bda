"""What a client of a store that tells of changes sees, and when."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
import warnings

import psycopg
import pytest
from sqlalchemy import create_engine

from payaid_entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.cache import listening
from payaid_entitlements.cache.local import LEASE, NEVER, POLL_AFTER
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.stores.opening import open_store
from payaid_entitlements.stores.sql.notifying import NotifyChannel
from payaid_entitlements.testing import FakeClock, FaultyStore
from tests.channels.conftest import CATALOG, is_connected, listeners, prepared
from tests.entitlements.conftest import START
from tests.waiting import LONGEST, until


def test_a_change_ends_what_is_near_in_another_process_before_anybody_asks(url, open_client):
    ent, other = open_client(url), open_client(url)
    assert ent.check("acme", "crm.export").allowed
    until(lambda: is_connected(ent))
    assert ent.peek("acme", "crm.export") is not None
    change = other.admin("test", because="test").suspend("acme")
    until(lambda: ent.peek("acme", "crm.export") is None)
    assert ent._near.lease > ent._near.clock(), "only acme is read anew"
    assert not ent.check("acme", "crm.export").allowed
    assert ent.tenant("acme").revision == change.revision


def test_a_switch_and_a_publication_reach_all_tenants(url, open_client):
    ent, other = open_client(url), open_client(url)
    assert ent.check("acme", "crm.export").allowed
    until(lambda: is_connected(ent))
    other.admin("test", because="test").kill("crm")
    until(lambda: ent.peek("acme", "crm.export") is None)
    assert not ent.check("acme", "crm.export").allowed


def test_awaited_clients_hear_too(url):
    async def hears() -> None:
        async with AsyncEntitlements.open(url) as ent, AsyncEntitlements.open(url) as other:
            assert (await ent.check("acme", "crm.export")).allowed
            await asyncio.to_thread(until, lambda: is_connected(ent))
            await other.admin("test", because="test").suspend("acme")
            await asyncio.to_thread(until, lambda: ent.peek("acme", "crm.export") is None)
            assert not (await ent.check("acme", "crm.export")).allowed
            assert (await ent.health()).channel.connected
        assert not is_connected(ent)

    asyncio.run(hears())
    assert listeners() == []


def test_while_it_is_up_questions_pay_for_no_reading_of_the_log(one_url, monkeypatch):
    """And once it is down they pay for one every two seconds, as ever."""
    monkeypatch.setattr(listening, "BEAT", 0.005)
    clock, store = FakeClock(START), FaultyStore(open_store(one_url))
    with Entitlements(store, clock=clock) as ent:
        assert ent.check("acme", "crm.export").allowed
        until(lambda: is_connected(ent))
        store.faults.calls.clear()
        for _ in range(10):
            clock.advance(seconds=1)
            until(lambda: ent._near.lease == clock() + POLL_AFTER)
            assert ent.check("acme", "crm.export").allowed
        assert store.faults.calls == []

        ent._setting.listener.close()
        clock.advance(seconds=POLL_AFTER)
        assert ent.check("acme", "crm.export").allowed
        assert store.faults.calls == ["changes_since"]


def test_a_refusal_is_sure_without_asking_the_store(one_url, monkeypatch):
    """Nobody is turned away on what was true a second ago or more; a heartbeat says that it is true now."""
    monkeypatch.setattr(listening, "BEAT", 0.005)
    clock, store = FakeClock(START), FaultyStore(open_store(one_url))
    with Entitlements(store, clock=clock) as ent:
        assert not ent.check("initech", "hr.payroll").allowed
        until(lambda: is_connected(ent))
        store.faults.calls.clear()
        clock.advance(seconds=1.5)
        until(lambda: ent._near.confirmed == clock())
        assert not ent.check("initech", "hr.payroll").allowed
        assert store.faults.calls == []


def test_a_store_that_hangs_ends_answers_and_does_not_prolong_them(redis_servers):
    """The end of the log is read through the wire: when that says nothing, nothing is vouched for."""
    server = redis_servers()
    with Entitlements.open(prepared(server.url)) as ent:
        assert ent.check("acme", "crm.export").allowed
        until(lambda: is_connected(ent))
        server.pause()
        try:
            paused = time.monotonic()
            until(lambda: not is_connected(ent))
            until(lambda: time.monotonic() > ent._near.trusted)
            assert ent._near.trusted <= paused + LEASE
            assert ent.tenant("acme").stale
        finally:
            server.resume()
        until(lambda: is_connected(ent))
        until(lambda: not ent.tenant("acme").stale)


def test_a_peer_that_is_dead_and_closes_nothing_ends_answers_too(one_url, proxies):
    proxy = proxies(one_url)
    with Entitlements.open(proxy.url) as ent:
        assert ent.check("acme", "crm.export").allowed
        until(lambda: is_connected(ent))
        proxy.freeze()
        frozen = time.monotonic()
        until(lambda: not is_connected(ent))
        assert ent._near.trusted <= frozen + LEASE
        assert ent._near.lease == NEVER
        assert ent.counts["channel.disconnected",] == 1
        proxy.heal()
        until(lambda: is_connected(ent))


def test_a_listener_that_cannot_connect_changes_nothing_but_cost(one_url, monkeypatch):
    def refuses(self: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(NotifyChannel, "connect", refuses)
    clock, store = FakeClock(START), FaultyStore(open_store(one_url))
    with Entitlements(store, clock=clock) as ent, Entitlements.open(one_url) as other:
        assert ent.check("acme", "crm.export").allowed
        until(lambda: ent.counts.get(("channel.disconnected",)))
        other.admin("test", because="test").suspend("acme")
        clock.advance(seconds=POLL_AFTER)
        assert not ent.check("acme", "crm.export").allowed
        assert ent.health().ok
        assert not ent.health().channel.connected


def test_a_backup_that_was_restored_is_noticed(one_url, open_client):
    """The log ends before what is known here."""
    ent = open_client(one_url)
    for _ in range(3):
        ent.admin("test", because="test").suspend("acme")
        ent.admin("test", because="test").reinstate("acme")
    assert ent.check("acme", "crm.export").allowed
    until(lambda: is_connected(ent) and ent._near.position == ent.health().position)
    generation = ent._near.generation
    with psycopg.connect(one_url) as connection:
        connection.execute("DELETE FROM payaid_changes WHERE position > 3")
        connection.execute("UPDATE payaid_sequencer SET position = 3")
    until(lambda: ent._near.lease == NEVER)
    ent.check("acme", "crm.export")
    assert ent._near.position == 3
    assert ent._near.generation > generation


def test_a_host_that_holds_the_only_connection_hears_of_changes(one_url, open_client):
    """Nothing of the host's pool is taken, so a pool of one is enough."""
    engine = create_engine(one_url.replace("postgresql:", "postgresql+psycopg:"), pool_size=1, max_overflow=0)
    ent, other = open_client(engine), open_client(one_url)
    assert ent.check("acme", "crm.export").allowed
    until(lambda: is_connected(ent))
    with engine.connect():
        other.admin("test", because="test").suspend("acme")
        until(lambda: ent.peek("acme", "crm.export") is None)
    assert not ent.check("acme", "crm.export").allowed
    ent.close()
    engine.dispose()


# -- threads and sockets --------------------------------------------------------------------------------------


def test_no_thread_and_no_socket_before_the_first_question(url, open_client, monkeypatch):
    def refuses(*args: object, **named: object) -> None:
        raise AssertionError("a connection was made")

    before = threading.active_count()
    with monkeypatch.context() as only_here:
        only_here.setattr(socket.socket, "connect", refuses)
        ent = open_client(url)
        assert ent.peek("acme", "crm.export") is None
        assert ent.counts == {}
    assert threading.active_count() == before
    ent.check("acme", "crm.export")
    assert len(listeners()) == 1
    for _ in range(3):
        ent.check("acme", "crm.export")
    assert len(listeners()) == 1


def test_closing_ends_the_thread_and_the_client_can_be_used_again(url, open_client):
    ent = open_client(url)
    ent.check("acme", "crm.export")
    until(lambda: is_connected(ent))
    (thread,) = listeners()
    began = time.monotonic()
    ent.close()
    assert time.monotonic() - began < 1.0
    assert not thread.is_alive()

    assert ent.check("acme", "crm.export").allowed
    until(lambda: is_connected(ent))


def test_a_client_that_nobody_closed_is_collected_with_its_thread(url):
    with warnings.catch_warnings():
        # Its connections are collected too, and say that nobody has closed them.
        warnings.simplefilter("ignore", ResourceWarning)
        ent = Entitlements.open(url)
        ent.check("acme", "crm.export")
        line = ent._setting.listener._line
        until(lambda: line.status.connected)
        del ent
        gc.collect()
        until(lambda: not listeners())
        gc.collect()


def test_a_store_that_cannot_tell_has_no_thread():
    with Entitlements(MemoryStore(), catalog=CATALOG) as ent:
        ent.check("acme", "crm.export")
        assert listeners() == []
        assert ent.health().channel is None


def test_health_says_how_it_goes(one_url, open_client):
    ent = open_client(one_url)
    assert ent.health().channel is not None
    until(lambda: is_connected(ent))
    found = ent.health().channel
    assert found.connected
    assert 0 <= found.heartbeat < LONGEST
    assert 0 <= found.seconds < LONGEST
    assert found.reconnects == 0


@pytest.mark.parametrize("is_up", [True, False])
def test_who_knows_the_revision_never_reads_what_was_before(url, open_client, is_up, monkeypatch):
    """Read-your-writes in any process, with the channel and without it."""
    if not is_up:
        monkeypatch.setattr(listening.Listener, "start", lambda self: None)
    ent, other = open_client(url), open_client(url)
    assert ent.check("acme", "crm.export").allowed
    admin = other.admin("test", because="test")
    for number in range(20):
        change = admin.suspend("acme") if number % 2 == 0 else admin.reinstate("acme")
        assert ent.tenant("acme", after=change.revision).revision == change.revision
        assert ent.check("acme", "crm.export", after=change.revision).allowed is (number % 2 == 1)
