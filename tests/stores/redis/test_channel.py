"""Redis tells of changes in the script that makes them, on a connection of the listener's own that hides nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import redis
import redis.asyncio
import redis.asyncio.sentinel
from redis.cluster import RedisCluster

from payaid_entitlements.errors import ConfigurationError, StoreUnavailable
from payaid_entitlements.stores.ports import LogEntry, Scope
from payaid_entitlements.stores.redis import AsyncRedisStore, RedisStore, listening
from payaid_entitlements.stores.redis.clients import AsyncClient, Client, Script
from payaid_entitlements.stores.redis.layout import channel_of
from payaid_entitlements.stores.redis.listening import Head, RedisChannel, log_end
from payaid_entitlements.testing.contracts.writes import (
    catalog_write,
    controls_write,
    forgetting,
    next_write,
    tenant_write,
)

LONGEST = 10.0
BY = {"actor": "test", "because": None}


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
def any_url(request: pytest.FixtureRequest) -> str:
    """One server, and a cluster."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def store_at() -> Iterator[Callable[..., RedisStore]]:
    """A function that opens and prepares a store; all are closed after the test."""
    opened: list[RedisStore] = []

    def store_at(place: Any, **options: Any) -> RedisStore:
        opened.append(RedisStore(place, **options))
        opened[-1].prepare()
        return opened[-1]

    yield store_at
    for store in opened:
        store.close()


@pytest.fixture
def listen() -> Iterator[Callable[..., Any]]:
    """A function that opens a wire of a channel; all are closed after the test."""
    wires: list[Any] = []

    def listen(channel: Any) -> Any:
        wires.append(channel.connect())
        return wires[-1]

    yield listen
    for wire in wires:
        wire.close()


def heard(wire: Any, count: int) -> list[LogEntry | None]:
    """The next messages, as many as are awaited."""
    found: list[LogEntry | None] = []
    end = time.monotonic() + LONGEST
    while len(found) < count:
        assert time.monotonic() < end, f"only {found}"
        found += wire.next(0.5)
    return found


def test_each_change_is_told_of_in_its_order(any_url, store_at, listen):
    store = store_at(any_url)
    wire = listen(store.channel)
    assert wire.head() == (0, 0.0)
    assert list(wire.next(0.0)) == []

    first = tenant_write("acme")
    second = tenant_write("acme", first.document)
    for write, expect in (
        (first, 0),
        (second, 1),
        (catalog_write(), 0),
        (controls_write(), 0),
        (forgetting(second.document), 2),
    ):
        store.apply(write, expect=expect, **BY)

    assert heard(wire, 5) == [
        LogEntry(1, Scope.TENANT, "acme", 1),
        LogEntry(2, Scope.TENANT, "acme", 2),
        LogEntry(3, Scope.CATALOG, None, 1),
        LogEntry(4, Scope.CONTROLS, None, 1),
        LogEntry(5, Scope.TENANT, "acme", 3),
    ]
    assert list(wire.next(0.0)) == []
    assert wire.head() == (5, 0.0)


def test_an_answer_comes_behind_all_that_was_told_before(any_url, store_at, listen):
    """So a line of which nobody told when the end of the log was read is lost, and not late."""
    store = store_at(any_url)
    wire = listen(store.channel)
    write = tenant_write("acme")
    for revision in range(50):
        store.apply(write, expect=revision, **BY)
        write = next_write(write)
        assert wire.head() == (revision + 1, 0.0)
        assert [each.position for each in wire.next(0.0)] == [revision + 1]


def test_odd_names_and_prefixes_are_told_apart(any_url, store_at, listen):
    names = ['"}{', "\N{GRINNING FACE}" * 255, "a\\b"]
    stores = [store_at(any_url, prefix=prefix) for prefix in ("one", "two")]
    wires = [listen(store.channel) for store in stores]
    for name in names:
        stores[0].apply(tenant_write(name), expect=0, **BY)
    assert [each.tenant for each in heard(wires[0], 3)] == names
    assert list(wires[1].next(0.05)) == []


def test_an_awaited_store_tells_and_hears_the_same_way(any_url, listen):
    store = AsyncRedisStore(any_url)

    async def writes() -> None:
        await store.prepare()
        nonlocal wire
        wire = listen(store.channel)
        await store.apply(tenant_write("acme"), expect=0, **BY)
        await store.aclose()

    wire: Any = None
    asyncio.run(writes())
    assert [each.tenant for each in heard(wire, 1)] == ["acme"]


# -- a host's clients -----------------------------------------------------------------------------------------


def test_a_hosts_client_tells_where_and_lends_nothing(redis_url, store_at, listen):
    with redis.Redis.from_url(redis_url, max_connections=1, decode_responses=True, socket_timeout=None) as client:
        store = store_at(client)
        wire = listen(store.channel)
        store.apply(tenant_write("acme"), expect=0, **BY)
        assert [each.tenant for each in heard(wire, 1)] == ["acme"]
        assert wire.head() == (1, 0.0)


def test_a_hosts_cluster_client_tells_where(redis_cluster_url, store_at, listen):
    with RedisCluster.from_url(redis_cluster_url.replace("redis+cluster:", "redis:")) as client:
        store = store_at(client)
        wire = listen(store.channel)
        store.apply(tenant_write("acme"), expect=0, **BY)
        assert [each.tenant for each in heard(wire, 1)] == ["acme"]


def test_a_hosts_awaited_clients_tell_where(redis_url, redis_cluster_url, listen):
    async def hears(client: Any) -> list[str]:
        store = AsyncRedisStore(client)
        await store.prepare()
        wire = listen(store.channel)
        await store.apply(tenant_write("acme"), expect=0, **BY)
        await client.aclose()
        return [each.tenant for each in heard(wire, 1)]

    plain = redis_cluster_url.replace("redis+cluster:", "redis:")
    assert asyncio.run(hears(redis.asyncio.Redis.from_url(redis_url))) == ["acme"]
    assert asyncio.run(hears(redis.asyncio.RedisCluster.from_url(plain))) == ["acme"]


def test_a_socket_and_an_encrypted_connection_are_made_as_the_client_makes_them():
    path = listening._how(AsyncClient(redis.asyncio.Redis(unix_socket_path="/run/redis.sock", password="secret")))
    assert path[0] is redis.UnixDomainSocketConnection
    assert (path[1]["path"], path[1]["password"], path[1]["protocol"]) == ("/run/redis.sock", "secret", 3)
    assert path[2] == [{}]

    encrypted = listening._how(AsyncClient(redis.asyncio.Redis.from_url("rediss://host:7/1?ssl_cert_reqs=none")))
    assert encrypted[0] is redis.SSLConnection
    assert (encrypted[1]["host"], encrypted[1]["port"], encrypted[1]["ssl_cert_reqs"]) == ("host", 7, "none")

    mine = listening._how(Client("rediss://:secret@host:7/1"))
    assert mine[0] is redis.SSLConnection
    assert mine[1]["db"] == 1
    assert mine[2] == [{"host": "host", "port": 7}]

    nodes = [redis.asyncio.cluster.ClusterNode("one", 1), redis.asyncio.cluster.ClusterNode("two", 2)]
    cluster = redis.asyncio.RedisCluster(startup_nodes=nodes, ssl=True, password="secret")
    made, options, servers = listening._how(AsyncClient(cluster))
    assert made is redis.SSLConnection
    assert options["password"] == "secret"
    assert servers == [{"host": "one", "port": 1}, {"host": "two", "port": 2}]
    # Whatever the host's client does about time and repetition, this connection has limits of its own.
    assert all(each[1]["socket_timeout"] == listening.LONGEST for each in (path, encrypted, mine))
    for each in (path, encrypted, mine):
        each[0](**{"host": "h", **each[1]} if "path" not in each[1] else each[1])


def test_who_asks_sentinels_by_asyncio_is_told_so():
    pool = redis.asyncio.sentinel.SentinelConnectionPool("main", redis.asyncio.sentinel.Sentinel([("127.0.0.1", 1)]))
    with pytest.raises(ConfigurationError, match="sentinels"):
        RedisChannel(AsyncClient(redis.asyncio.Redis(connection_pool=pool)), "k", "c", lambda wire: None).connect()


@pytest.mark.parametrize("is_hosts", [False, True])
def test_stores_in_two_databases_of_a_server_do_not_hear_each_other(redis_url, store_at, listen, is_hosts):
    """Channels, unlike keys, are not apart there: a line of the other log would stand for one of ours."""
    places = [redis_url, f"{redis_url}/1"]
    clients = [redis.Redis.from_url(place) for place in places]
    one, other = (store_at(place) for place in (clients if is_hosts else places))
    wire, others = listen(one.channel), listen(other.channel)
    other.apply(tenant_write("initech"), expect=0, **BY)
    one.apply(controls_write(), expect=0, **BY)
    assert [each.tenant for each in heard(others, 1)] == ["initech"]
    assert [each.scope for each in heard(wire, 1)] == [Scope.CONTROLS]
    assert list(wire.next(0.0)) == list(others.next(0.0)) == []
    for client in clients:
        client.close()


# -- when something is missed ---------------------------------------------------------------------------------


def publish(url: str, text: str | bytes, prefix: str = "payaid") -> None:
    with redis.Redis.from_url(url) as client:
        client.publish(channel_of(prefix), text)


def test_what_cannot_be_read_says_that_something_was_missed(redis_url, store_at, listen):
    wire = listen(store_at(redis_url).channel)
    publish(redis_url, b"\xff nonsense")
    assert heard(wire, 1) == [None]


def test_a_second_confirmation_says_that_something_was_missed(redis_url, store_at, listen):
    """As from a proxy that has connected to its server again."""
    wire = listen(store_at(redis_url).channel)
    wire._connection.send_command("SUBSCRIBE", channel_of("payaid"))
    assert heard(wire, 1) == [None]


def test_what_else_the_server_says_unasked_is_no_news(redis_url, store_at, listen):
    wire = listen(store_at(redis_url).channel)
    wire._connection.send_command("UNSUBSCRIBE", "something else")
    assert wire.head() == (0, 0.0)
    assert list(wire.next(0.0)) == []


def test_a_flood_is_given_in_parts(redis_url, store_at, listen, monkeypatch):
    monkeypatch.setattr(listening, "MOST", 3)
    wire = listen(store_at(redis_url).channel)
    for position in range(1, 8):
        publish(redis_url, f'[{position},"tenant","acme",{position}]')
    parts = [[each.position for each in wire.next(1.0)] for _ in range(3)]
    assert parts == [[1, 2, 3], [4, 5, 6], [7]]


def test_another_log_is_another_log(redis_url, store_at, listen):
    """Somebody has emptied Redis, and the next process made it ready: the numbers begin anew."""
    store = store_at(redis_url)
    wire = listen(store.channel)
    assert wire.head() == (0, 0.0)
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    with pytest.raises(StoreUnavailable, match="no log"):
        wire.head()
    store_at(redis_url)
    with pytest.raises(StoreUnavailable, match="another log"):
        wire.head()


def test_an_end_that_is_not_known_is_not_told(redis_url, listen):
    wire = listen(RedisChannel(Client(redis_url), "key", "channel", lambda wire: None))
    assert wire.head() is None


def test_a_script_may_read_the_end_also_where_it_was_forgotten(redis_url, listen):
    """As the shared layer does, whose stamp has an age."""
    script = Script("return {KEYS[1], ARGV[1]}")
    wire = listen(RedisChannel(Client(redis_url), "key", "channel", lambda wire: _read(wire, script)))
    for _ in range(2):
        assert wire.head() == (12, 0.25)
        with redis.Redis.from_url(redis_url) as client:
            client.script_flush()


def _read(wire: Any, script: Script) -> Head:
    key, age = wire.run(script, ["12"], ["0.25"])
    return Head(int(key), float(age), b"")


# -- when it fails --------------------------------------------------------------------------------------------


def test_a_server_that_hangs_is_not_waited_for(redis_servers, store_at, listen):
    server = redis_servers()
    store = store_at(server.url)
    wire = listen(store.channel)
    server.pause()
    try:
        began = time.monotonic()
        with pytest.raises(redis.TimeoutError):
            wire.head()
        with pytest.raises(StoreUnavailable, match="gave no answer"):
            store.channel.connect()
        assert time.monotonic() - began < LONGEST
    finally:
        server.resume()


def test_a_connection_that_ends_is_an_error_and_is_not_made_again_in_secret(redis_url, store_at, listen):
    wire = listen(store_at(redis_url).channel)
    with redis.Redis.from_url(redis_url) as client:
        client.client_kill_filter(_type="pubsub")
    with pytest.raises(redis.ConnectionError):
        heard(wire, 1)


def test_nobody_is_there(redis_servers, store_at):
    server = redis_servers()
    store = store_at(server.url)
    server.kill()
    with pytest.raises(StoreUnavailable, match="gave no answer"):
        store.channel.connect()


def test_who_may_not_subscribe_is_told_so(redis_url, store_at):
    store = store_at(redis_url)
    with redis.Redis.from_url(redis_url) as client:
        client.acl_setuser("reader", enabled=True, nopass=True, categories=["+@all", "-@pubsub"], keys=["*"])
        try:
            channel = RedisChannel(Client(redis_url.replace("://", "://reader:x@")), "key", "channel", log_end)
            with pytest.raises(StoreUnavailable, match="permission"):
                channel.connect()
        finally:
            client.acl_deluser("reader")
    assert store.name


def test_another_thread_ends_the_waiting_at_once(redis_url, store_at, listen):
    wire = listen(store_at(redis_url).channel)
    threading.Timer(0.1, wire.interrupt).start()
    began = time.monotonic()
    with pytest.raises(redis.ConnectionError):
        wire.next(60.0)
    assert time.monotonic() - began < LONGEST
    wire.close()
    wire.close()
    wire.interrupt()


def test_a_wire_that_was_never_connected_is_closed_as_well():
    wire = listening.RedisWire(redis.Connection(), "channel", lambda wire: None)
    wire.interrupt()
    wire.close()


def test_a_server_of_the_cluster_that_is_gone_is_passed_over(redis_clusters, store_at):
    """Any other knows who publishes."""
    cluster = redis_clusters()
    store = store_at(cluster.url)
    names = ",".join(url.url.removeprefix("redis://") for url in cluster.masters)
    dead = "127.0.0.1:1," + names
    channel = RedisChannel(
        Client(f"redis+cluster://{dead}"),
        store._questions.keys.documents,
        channel_of("payaid"),
        partial(log_end, store._questions.keys.documents),
    )
    wire = channel.connect()
    store.apply(tenant_write("acme"), expect=0, **BY)
    assert [each.tenant for each in heard(wire, 1)] == ["acme"]
    wire.close()


def test_servers_that_send_each_other_round_are_given_up(redis_cluster_url, store_at, monkeypatch):
    monkeypatch.setattr(listening, "MOST_MOVES", 0)
    with pytest.raises(StoreUnavailable, match="another one has"):
        store_at(redis_cluster_url).channel.connect()


def test_a_server_that_does_not_know_its_name_is_asked_where_it_is(redis_cluster, store_at, listen, monkeypatch):
    """It then answers MOVED with a port alone."""
    store = store_at(redis_cluster.url)
    for server in redis_cluster.masters:
        with server.client() as client:
            client.config_set("cluster-preferred-endpoint-type", "unknown-endpoint")
    for server in redis_cluster.masters:
        channel = RedisChannel(
            Client(server.url.replace("redis:", "redis+cluster:")),
            store._questions.keys.documents,
            channel_of("payaid"),
            partial(log_end, store._questions.keys.documents),
        )
        assert listen(channel).head() == (0, 0.0)


def test_a_fail_over_is_an_error_of_the_wire(redis_clusters, store_at, listen):
    """The old master has become a replica, and says who has the log now."""
    cluster = redis_clusters(replicas=1)
    store = store_at(cluster.url)
    store.apply(tenant_write("acme"), expect=0, **BY)
    wire = listen(store.channel)
    assert wire.head() == (1, 0.0)
    (number,) = (n for n, server in enumerate(cluster.masters) if server.port == wire._connection.port)
    with cluster.replicas[number].client() as client:
        client.execute_command("CLUSTER FAILOVER")
    end = time.monotonic() + 60
    with pytest.raises(redis.RedisError):
        while time.monotonic() < end:
            wire.head()
            time.sleep(0.01)
    end = time.monotonic() + 60
    while True:
        try:
            again = listen(store.channel)
            break
        except StoreUnavailable:
            assert time.monotonic() < end
            time.sleep(0.05)
    assert again.head() == (1, 0.0)
    assert again._connection.port == cluster.replicas[number].port
