"""A log that is another one than before makes readers forget."""

from __future__ import annotations

from payaid_entitlements import Entitlements, Reason
from payaid_entitlements.stores.ports import LogEntry, LogPage, Scope
from payaid_entitlements.stores.redis.histories import REMEMBERED, Histories
from payaid_entitlements.testing.contracts.writes import tenant_write
from tests.channels.conftest import CATALOG
from tests.stores.redis.conftest import PATIENT


def _change(store, *names):
    for name in names:
        store.apply(tenant_write(name), expect=0, actor="asha", because=None)


def test_a_server_that_came_back_with_less_and_went_on_is_noticed(open_redis, redis_servers):
    """As a replica that takes over: other changes are at the positions that were seen."""
    server = redis_servers()
    store = open_redis(server.url + PATIENT)
    _change(store, "a", "b")
    with server.client() as client:
        client.save()
    _change(store, "c", "d")
    seen = store.changes_since(None).position
    assert seen == 4
    server.kill()
    server.start()
    other = open_redis(server.url + PATIENT)
    _change(other, "e", "f", "g")
    assert store.changes_since(seen) == LogPage((), 5, gap=True)
    page = store.changes_since(5)
    assert (page.gap, page.entries) == (False, ())
    _change(other, "h")
    assert [entry.tenant for entry in store.changes_since(5).entries] == ["h"]


def test_each_client_of_one_store_notices_for_itself(open_redis, redis_servers, monkeypatch):
    """What both have heard of was lost, and something else is in its place by now: the first who asks hides nothing."""
    server = redis_servers()
    store = open_redis(server.url + PATIENT)
    # Messages come from the test.
    monkeypatch.setattr(store, "channel", None)
    ents = [Entitlements(store, catalog=CATALOG) for _ in range(2)]
    ents[0].admin("asha", because="a sale").subscribe("acme", "pro")
    assert [ent.tenant("acme", fresh=True).check("crm.export").allowed for ent in ents] == [True, True]
    with server.client() as client:
        client.save()
    _change(store, "zed")
    for ent in ents:
        ent._near.hear(LogEntry(3, Scope.TENANT, "zed", 1))
        assert ent._near.position == 3
    server.kill()
    server.start()
    with Entitlements(open_redis(server.url + PATIENT)) as other:
        assert other.admin("asha", because="unpaid").suspend("acme").revision == 2
    for ent in ents:
        ent._near.doubt()
        assert ent.check("acme", "crm.export").reason is Reason.SUBSCRIPTION_SUSPENDED
    for ent in ents:
        ent.close()


def test_a_store_that_was_emptied_and_filled_again_is_noticed(open_redis, redis_servers):
    server = redis_servers()
    store = open_redis(server.url + PATIENT)
    _change(store, "a", "b")
    seen = store.changes_since(None).position
    with server.client() as client:
        client.flushall()
    store.prepare()
    _change(store, "c", "d", "e")
    assert store.changes_since(seen).gap
    assert not store.changes_since(3).gap


def test_a_log_that_does_not_reach_back_is_a_gap(open_redis, redis_servers):
    server = redis_servers()
    store = open_redis(server.url + PATIENT)
    _change(store, "a", "b", "c")
    with server.client() as client:
        client.xtrim("{payaid}:log", maxlen=1, approximate=False)
    assert store.changes_since(1) == LogPage((), 3, gap=True)
    assert [entry.tenant for entry in store.changes_since(2).entries] == ["c"]
    assert store.changes_since(3) == LogPage((), 3)
    with server.client() as client:
        client.xtrim("{payaid}:log", maxlen=0, approximate=False)
        client.xadd("{payaid}:log", {"s": "tenant", "t": "d", "r": "1"}, id="9-0")
    assert store.changes_since(2).gap


def test_a_position_that_was_heard_of_is_of_the_history_that_was_seen_last():
    histories = Histories()
    assert not histories.is_another(b"one", 7)
    histories.given(b"one", LogPage((), 3))
    assert not histories.is_another(b"one", 7)
    assert histories.is_another(b"two", 7)
    assert histories.is_another(b"two", 3)


def test_two_readers_of_one_client_are_both_told():
    histories = Histories()
    for position in (3, 4):
        histories.given(b"one", LogPage((), position))
    assert histories.is_another(b"two", 3)
    histories.given(b"two", LogPage((), 9, gap=True))
    assert histories.is_another(b"two", 4)
    assert not histories.is_another(b"two", 9)


def test_few_positions_are_remembered():
    histories = Histories()
    for position in range(REMEMBERED * 3):
        histories.given(b"one", LogPage((), position))
        histories.given(b"one", LogPage((), position))
    assert len(histories._given) == REMEMBERED
    assert min(histories._given) == REMEMBERED * 2


def test_a_user_who_may_not_ask_for_the_server_still_reads_the_log(open_redis, redis_servers):
    server = redis_servers()
    with server.client() as client:
        client.execute_command("ACL SETUSER app on >secret ~* &* +@all -info -config")
    open_redis(server.url + PATIENT)
    store = open_redis(server.url.replace("//", "//app:secret@") + PATIENT, ready=False)
    _change(store, "a")
    assert store.changes_since(0).position == 1
