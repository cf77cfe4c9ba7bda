"""Real processes on one Redis, also while its scripts are forgotten, it is killed and started again, or fails over."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter

import pytest
import redis

from payaid_entitlements.errors import OutcomeUnknown, StoreUnavailable
from payaid_entitlements.stores.messages import heard
from payaid_entitlements.stores.opening import open_store
from payaid_entitlements.stores.redis import RedisStore
from payaid_entitlements.stores.redis.layout import channel_of
from payaid_entitlements.testing.contracts.writes import (
    catalog_write,
    controls_write,
    forgetting,
    same_again,
    tenant_write,
    whole_log,
)
from tests.stores import racing
from tests.stores.conftest import RACERS, Racers
from tests.stores.redis.conftest import PATIENT


def _prepared(url: str) -> str:
    store = open_store(url + PATIENT)
    store.prepare()
    store.close()
    return url + PATIENT


def _exact(url: str, applied: list[list[str]], tenants: int, times: int) -> None:
    """Each of the racers has done each of its acts once, each worked out from what the one before had left."""
    operations = [operation for each in applied for operation in each]
    names = [f"tenant-{number}" for number in range(tenants)]
    expected = [f"{racer}/{time}/{name}" for racer in range(RACERS) for time in range(times) for name in names]
    assert sorted(operations) == sorted(expected)
    store = open_store(url)
    audit = store.audit(limit=100_000)
    assert sorted(entry.operation or "" for entry in audit) == sorted(expected)
    for name in names:
        mine = [entry for entry in audit if entry.tenant == name]
        assert [entry.revision for entry in mine] == list(range(1, RACERS * times + 1))
        assert [entry.facts[0].value for entry in mine] == [
            {"plan": str(count), "version": 1} for count in range(1, RACERS * times + 1)
        ]
    positions = list(range(1, len(expected) + 1))
    assert [entry.position for entry in whole_log(store)] == positions
    assert [event.position for event in store.outbox(limit=100_000)] == positions
    store.close()


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def test_what_processes_tally_at_once_all_counts(racers: Racers, url: str) -> None:
    racers.race(racing.tally, url, 10)
    store = open_store(url)
    assert store.tallies("flag:1") == racing.tallied(RACERS, 10)
    store.close()


def _race_while_scripts_are_forgotten(racers: Racers, servers, url: str, tenants: int, times: int) -> None:
    url = _prepared(url)
    futures = racers.start(racing.change_many, url, tenants, times)
    flushed = 0
    clients = [server.client() for server in servers]
    while not all(future.done() for future in futures):
        for client in clients:
            client.script_flush()
        flushed += 1
        time.sleep(0.002)
    for client in clients:
        client.close()
    _exact(url, [future.result(0) for future in futures], tenants, times)
    assert flushed > times


def test_scripts_that_are_forgotten_while_processes_write_cost_nobody_anything(
    racers: Racers, redis_cluster, emptied_redis, url: str
) -> None:
    servers = [emptied_redis[0], *redis_cluster.masters]
    _race_while_scripts_are_forgotten(racers, servers, url, tenants=4, times=6)


@pytest.mark.soak
def test_scripts_that_are_forgotten_for_long_cost_nobody_anything(
    racers: Racers, redis_cluster, emptied_redis, url: str
) -> None:
    servers = [emptied_redis[0], *redis_cluster.masters]
    _race_while_scripts_are_forgotten(racers, servers, url, tenants=10, times=60)


def test_what_all_processes_do_is_done_once(racers: Racers, url: str) -> None:
    url = _prepared(url)
    outcomes = racers.race(racing.do_the_same, url, 15)
    for act in range(15):
        assert len({each[act][0] for each in outcomes}) == 1
        assert [each[act][1] for each in outcomes].count(True) == 1
    store = open_store(url)
    assert Counter(entry.operation for entry in store.audit()) == {f"act-{act}": 1 for act in range(15)}
    store.close()


@pytest.mark.parametrize("is_async", [False, True])
def test_a_fork_with_connections_open_harms_neither_side(racers: Racers, url: str, is_async: bool) -> None:
    url = _prepared(url)
    assert racers.alone(racing.fork_with_connections, url, is_async) == [0, 0, 0]
    store = open_store(url)
    assert Counter(row.revision for row in store.find(limit=1000)) == {30: 1, 10: 3}
    store.close()


class Writers:
    """Threads that write, each its own tenant, until they are told to stop."""

    def __init__(self, url: str, count: int = 3) -> None:
        self.acknowledged: list[str] = []
        self.unknown: list = []
        self.failed: list[Exception] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(url, number)) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def _write(self, url: str, number: int) -> None:
        store = RedisStore(url)
        known = None
        while not self._stop.is_set():
            write = tenant_write(f"tenant-{number}", known)
            revision = 0 if known is None else known.revision
            operation = f"{number}/{revision}"
            try:
                store.apply(write, expect=revision, actor="asha", because=None, operation=operation)
            except OutcomeUnknown as error:
                assert error.operation == operation
                self.unknown.append((write, revision, operation))
                break
            except Exception as error:
                self.failed.append(error)
                break
            self.acknowledged.append(write.id)
            known = write.document
        store.close()

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert [error for error in self.failed if not isinstance(error, StoreUnavailable)] == []


def test_a_server_that_is_killed_and_started_again_has_lost_nothing_acknowledged(redis_servers) -> None:
    server = redis_servers(appendonly="yes", appendfsync="always")
    store = RedisStore(server.url + PATIENT)
    store.prepare()
    assert (store.is_durable, store.concerns) == (True, ())
    writers = Writers(server.url + PATIENT)
    end = time.monotonic() + 60
    while len(writers.acknowledged) < 100 and time.monotonic() < end:
        time.sleep(0.01)
    assert len(writers.acknowledged) >= 100
    server.kill()
    writers.end()
    server.start()
    kept = {entry.id for entry in store.audit(limit=100_000)}
    assert set(writers.acknowledged) <= kept
    # Of what nobody knows, it is found out by repeating it: it was done or it is done now, once.
    for write, expect, operation in writers.unknown:
        again = store.apply(same_again(write), expect=expect, actor="asha", because=None, operation=operation)
        assert again.applied is (write.id not in kept)
    audit = store.audit(limit=100_000)
    assert len({entry.operation for entry in audit}) == len(audit) == len(writers.acknowledged) + len(writers.unknown)
    assert [entry.position for entry in whole_log(store)] == list(range(1, len(audit) + 1))
    for number in range(3):
        revisions = [entry.revision for entry in audit if entry.tenant == f"tenant-{number}"]
        assert revisions == list(range(1, len(revisions) + 1))
    store.close()


def test_a_cluster_that_fails_over_goes_on_with_all_that_was_acknowledged(redis_clusters) -> None:
    """As an operator does it, by CLUSTER FAILOVER: the replica has all before it takes over, but not our scripts."""
    cluster = redis_clusters(replicas=1)
    store = RedisStore(cluster.url + PATIENT)
    store.prepare()
    for number in range(20):
        store.apply(tenant_write(f"before-{number}"), expect=0, actor="asha", because=None)
    seen = store.changes_since(None).position
    for replica in cluster.replicas:
        with replica.client() as client:
            client.script_flush()
    cluster.fail_over()
    for number in range(20):
        assert store.apply(tenant_write(f"after-{number}"), expect=0, actor="asha", because=None).applied
    assert len(store.find()) == 40
    # Nobody can know whether the new master had all that was seen: readers forget, once.
    assert store.changes_since(seen).gap
    assert not store.changes_since(store.changes_since(None).position).gap
    assert [entry.position for entry in whole_log(store)] == list(range(1, 41))
    store.close()


@pytest.mark.soak
def test_a_cluster_whose_master_is_killed_is_written_to_again(redis_clusters) -> None:
    cluster = redis_clusters(replicas=1)
    store = RedisStore(cluster.url)
    store.prepare()
    with redis.RedisCluster.from_url(cluster.url.replace("+cluster", "")) as client:
        port = client.get_node_from_key("{payaid}").port
    store.apply(tenant_write("before"), expect=0, actor="asha", because=None)
    next(server for server in cluster.masters if server.port == port).kill()
    end = time.monotonic() + 60
    while True:
        try:
            store.apply(tenant_write("after"), expect=0, actor="asha", because=None, operation="op-1")
            break
        except StoreUnavailable:
            assert time.monotonic() < end
            time.sleep(0.1)
    assert [row.tenant for row in store.find()] == ["after", "before"]
    store.close()


def test_each_change_is_published_by_the_script_that_makes_it(redis_url: str) -> None:
    """Also a name that JSON must write in another way; and nothing that was not applied."""
    store = RedisStore(redis_url + PATIENT)
    store.prepare()
    with redis.Redis.from_url(redis_url) as client, client.pubsub(ignore_subscribe_messages=True) as wire:
        wire.subscribe(channel_of("payaid"))
        wire.get_message(timeout=5)
        strange = 'ac"me\\{}:é\U0001d552'
        first = tenant_write(strange)
        store.apply(first, expect=0, actor="asha", because=None, operation="op-1")
        store.apply(same_again(first), expect=0, actor="asha", because=None, operation="op-1")
        store.apply(catalog_write(), expect=0, actor="asha", because=None)
        store.apply(controls_write(), expect=0, actor="asha", because=None)
        assert first.document is not None
        store.apply(forgetting(first.document), expect=1, actor="asha", because=None)
        messages = []
        while message := wire.get_message(timeout=0.5):
            messages.append(message["data"])
    assert [heard(message) for message in messages] == whole_log(store)
    assert json.loads(messages[0]) == [1, "tenant", strange, 1]
    assert len(messages) == 4
    store.close()
