"""Clients of Redis in both colours, on one server and on a cluster."""

from __future__ import annotations

import asyncio
import os
import time

import pytest
import redis
import redis.asyncio
import redis.asyncio.cluster
import redis.cluster

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.redis.clients import AsyncClient, Client, Script, is_client
from tests.stores.redis.conftest import PATIENT

ECHO = Script("return {KEYS[1], ARGV[1]}")


@pytest.fixture(params=["plain", "cluster"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("redis_url" if request.param == "plain" else "redis_cluster_url")) + PATIENT


@pytest.fixture
def client(url):
    client = Client(url)
    yield client
    client.close()


def _awaited(url, act, **options):
    async def main():
        client = AsyncClient(url, **options)
        try:
            return await act(client)
        finally:
            await client.aclose()

    return asyncio.run(main())


def test_commands_and_scripts_are_sent_and_answered_in_bytes(client):
    assert client.call("HSET", "{a}:key", "é", b"\xff\x00") == 1
    assert client.call("HMGET", "{a}:key", "é".encode(), "e") == [b"\xff\x00", None]
    assert client.run(ECHO, ["{a}:key"], ["é"]) == [b"{a}:key", "é".encode()]
    assert client.call_at("{a}:key", "PING")
    client.close()
    assert client.call("HLEN", "{a}:key") == 1


def test_asynchronous_commands_too(url):
    async def act(client):
        assert await client.call("HSET", "{a}:key", "é", b"\xff\x00") == 1
        assert await client.call("HMGET", "{a}:key", "é".encode(), "e") == [b"\xff\x00", None]
        assert await client.run(ECHO, ["{a}:key"], ["é"]) == [b"{a}:key", "é".encode()]
        await client.aclose()
        assert await client.call_at("{a}:key", "PING")
        return await client.call("HLEN", "{a}:key")

    assert _awaited(url, act) == 1


def test_a_script_is_run_where_it_was_forgotten(client, url):
    for key in ("{a}", "{b}", "{c}"):
        assert client.run(ECHO, [key], [1]) == [key.encode(), b"1"]
        client.call_at(key, "SCRIPT", "FLUSH")
        assert client.run(ECHO, [key], [2]) == [key.encode(), b"2"]
        client.call_at(key, "SCRIPT", "FLUSH")
        assert _awaited(url, lambda each, key=key: each.run(ECHO, [key], [3])) == [key.encode(), b"3"]


def test_a_server_that_hangs_costs_what_a_client_waits_for(redis_servers):
    server = redis_servers()
    client = Client(server.url)
    assert client.call("PING")
    server.pause()
    began = time.monotonic()
    for _ in range(3):
        with pytest.raises(redis.TimeoutError):
            client.call("PING")
    assert time.monotonic() - began < 2

    async def act(client):
        with pytest.raises(redis.TimeoutError):
            await client.call("PING")

    began = time.monotonic()
    _awaited(server.url, act)
    assert time.monotonic() - began < 2
    server.resume()
    client.close()


def test_what_was_sent_is_never_sent_again(redis_servers):
    """The server executes a command whose answer comes too late: once."""
    server = redis_servers()
    client = Client(server.url)
    client.call("INCR", "count")

    async def act(client):
        await client.call("INCR", "count")
        server.pause()
        try:
            with pytest.raises(redis.TimeoutError):
                await client.call("INCR", "count")
        finally:
            server.resume()

    server.pause()
    with pytest.raises(redis.TimeoutError):
        client.call("INCR", "count")
    server.resume()
    _awaited(server.url, act)
    assert client.call("GET", "count") == b"4"
    client.close()


def test_a_task_that_was_cancelled_leaves_nobody_its_answer(redis_servers):
    server = redis_servers()

    async def act(client):
        await client.call("SET", "mine", "1")
        await client.call("SET", "yours", "2")
        server.pause()
        task = asyncio.create_task(client.call("GET", "mine"))
        await asyncio.sleep(0.05)
        task.cancel()
        server.resume()
        with pytest.raises(asyncio.CancelledError):
            await task
        return [await client.call("GET", "yours") for _ in range(3)]

    assert _awaited(server.url, act) == [b"2", b"2", b"2"]


def test_a_slot_that_moves_is_followed(redis_cluster):
    """ASK while it moves, MOVED afterwards: neither was executed, so both are followed, without any retry."""
    client = Client(redis_cluster.url + PATIENT)
    client.call("SET", "{a}", "1")
    slot = int(client.call_at("{a}", "CLUSTER", "KEYSLOT", "{a}"))
    here = str(client.raw.get_node_from_key("{a}").port)
    source = next(server for server in redis_cluster.masters if str(server.port) == here)
    target = next(server for server in redis_cluster.masters if server is not source)
    ids = {server.port: redis_cluster.id_of(server) for server in redis_cluster.masters}

    def everywhere(owner):
        for server in redis_cluster.masters:
            with server.client() as each:
                each.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[owner.port])

    with source.client() as old, target.client() as new:
        new.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[source.port])
        old.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[target.port])
        old.execute_command("MIGRATE", "127.0.0.1", target.port, "{a}", 0, 2000)
    try:
        assert client.call("GET", "{a}") == b"1"
        assert client.run(ECHO, ["{a}"], [1]) == [b"{a}", b"1"]
        everywhere(target)
        assert client.call("INCR", "{a}") == 2
        assert client.run(ECHO, ["{a}"], [1]) == [b"{a}", b"1"]
        assert _awaited(redis_cluster.url + PATIENT, lambda each: each.call("INCR", "{a}")) == 3
    finally:
        client.call("DEL", "{a}")
        everywhere(source)
        client.close()


def test_the_hosts_own_client_is_used_as_it_is_and_stays_open(redis_url):
    with redis.Redis.from_url(redis_url, decode_responses=True, encoding="latin-1") as hosts:
        client = Client(hosts, prefix="app")
        assert (client.prefix, client.name) == ("app", redis_url)
        assert client.call("SET", "key", "é") in {b"OK", True}
        assert client.call("GET", "key") == "é".encode()
        client.close()
        assert client.raw is hosts
        assert hosts.ping()


def test_a_cluster_client_of_the_host_too(redis_cluster_url):
    with redis.RedisCluster.from_url(redis_cluster_url.replace("+cluster", ""), decode_responses=True) as hosts:
        client = Client(hosts)
        assert client.name.startswith("redis+cluster://127.0.0.1:")
        assert client.run(ECHO, ["{a}"], ["é"]) == [b"{a}", "é".encode()]

    async def main():
        async with redis.asyncio.RedisCluster.from_url(redis_cluster_url.replace("+cluster", "")) as hosts:
            client = AsyncClient(hosts)
            assert client.name.startswith("redis+cluster://127.0.0.1:")
            answer = await client.call_at("{a}", "PING")
            await client.aclose()
            assert client.raw is hosts
            return answer

    assert asyncio.run(main())


def test_an_asynchronous_client_of_the_host_too(redis_url):
    async def main():
        async with redis.asyncio.Redis.from_url(redis_url + "/1", decode_responses=True) as hosts:
            client = AsyncClient(hosts)
            assert client.name == redis_url + "/1"
            return await client.run(ECHO, ["a"], ["é"])

    assert asyncio.run(main()) == [b"a", "é".encode()]


def test_a_client_on_a_socket_is_named_by_it():
    assert Client(redis.Redis(unix_socket_path="/run/redis.sock")).name == "unix:///run/redis.sock"


def test_a_client_of_the_other_colour_is_refused(redis_url):
    with redis.Redis.from_url(redis_url) as plain:
        with pytest.raises(ConfigurationError, match="to Entitlements"):
            AsyncClient(plain)  # type: ignore[arg-type]
        assert is_client(plain)
    with pytest.raises(ConfigurationError, match="to AsyncEntitlements"):
        Client(redis.asyncio.Redis.from_url(redis_url))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="object is no client of Redis"):
        Client(object())  # type: ignore[arg-type]


def test_a_client_that_reads_from_replicas_is_refused(redis_cluster_url):
    url = redis_cluster_url.replace("+cluster", "")
    hosts = redis.RedisCluster.from_url(url, load_balancing_strategy=redis.cluster.LoadBalancingStrategy.ROUND_ROBIN)
    with hosts, pytest.raises(ConfigurationError, match="reads from replicas"):
        Client(hosts)


def test_a_child_of_a_fork_has_a_client_of_its_own(client):
    client.call("SET", "{a}", "0")
    of_parent = client.raw
    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                client.raw.get_encoder()
                fresh = client.raw is not of_parent
                for _ in range(50):
                    client.call("INCR", "{a}")
                os._exit(0 if fresh else 2)
            except BaseException:
                os._exit(1)
        children.append(pid)
    for _ in range(50):
        client.call("INCR", "{a}")
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0, 0, 0]
    assert client.call("GET", "{a}") == b"200"


def test_a_loop_in_a_child_of_a_fork_has_connections_of_its_own(url):
    async def act(client):
        await client.call("SET", "{a}", "0")
        pid = os.fork()
        if pid == 0:
            try:
                asyncio.set_event_loop(None)
                asyncio._set_running_loop(None)
                asyncio.run(client.call("INCR", "{a}"))
                os._exit(0)
            except BaseException:
                os._exit(1)
        await client.call("INCR", "{a}")
        end = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return end, await client.call("GET", "{a}")

    assert _awaited(url, act) == (0, b"2")


def test_many_threads_make_one_client(url):
    from concurrent.futures import ThreadPoolExecutor

    client = Client(url)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: client.raw, range(64)))
    assert {id(each) for each in made} == {id(client.raw)}
    client.close()


def test_many_questions_at_once_open_as_many_connections(redis_url):
    async def act(client):
        return await asyncio.gather(*(client.call("ECHO", number) for number in range(300)))

    assert _awaited(redis_url + "?socket_timeout=20&socket_connect_timeout=20", act) == [
        str(number).encode() for number in range(300)
    ]


def test_a_cluster_that_hangs_is_not_waited_for_by_one_thread_after_the_other(redis_clusters):
    from concurrent.futures import ThreadPoolExecutor

    cluster = redis_clusters()
    for server in cluster.masters:
        server.pause()
    client = Client(cluster.url)

    def ask(number):
        began = time.monotonic()
        with pytest.raises((redis.TimeoutError, redis.exceptions.RedisClusterException)):
            client.call("GET", "{a}")
        return time.monotonic() - began

    with ThreadPoolExecutor(16) as pool:
        longest = max(pool.map(ask, range(16)))
    for server in cluster.masters:
        server.resume()
    assert longest < 2
    assert client.call("GET", "{a}") is None
    client.close()


def test_a_cluster_of_which_one_server_hangs_is_used_by_asyncio_without_the_loop_standing_still(redis_clusters):
    cluster = redis_clusters()

    async def act(client):
        assert await client.call("SET", "{a}", "1")
        port = client.raw.get_node_from_key("{a}").port
        server = next(server for server in cluster.masters if server.port == port)
        server.pause()
        took = []
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(redis.TimeoutError):
                await client.call("GET", "{a}")
            took.append(time.monotonic() - began)
        server.resume()
        assert await client.call("GET", "{a}") == b"1"
        return took

    assert max(_awaited(cluster.url, act)) < 2
    # To read the table of all commands is what takes the loop's time.
    for server in cluster.masters:
        with server.client() as each:
            assert "cmdstat_command" not in each.info("commandstats")


def test_a_client_whose_maker_hangs_is_not_waited_for_for_long(redis_url):
    client = Client(redis_url)
    with client._lock, pytest.raises(redis.TimeoutError, match="another thread"):
        client.call("PING")
    assert client.call("PING")
    client.close()


def test_who_had_to_wait_takes_what_another_thread_has_made(redis_url):
    client, made = Client(redis_url), object()

    class Waited:
        """A lock that another thread holds, which meanwhile makes the client."""

        def acquire(self, timeout):
            client._made = made
            return True

        def release(self):
            pass

    client._lock = Waited()
    assert client.raw is made
