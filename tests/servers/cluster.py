"""A real Redis Cluster: three masters for the session, empty for each test that asks; and clusters of a test's own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.process import LONGEST, free_port
from tests.servers.redis import Emptied, RedisServer

SLOTS = 16384


class RedisCluster:
    """
    Redis servers that share the slots among them.

    Args:
        folder: A folder for each server is made in it.
        replicas: How many of them copy each master.
        options: As for `RedisServer`.

    Attributes:
        masters: The servers that were made masters; a fail-over changes who is.
        replicas: Copies of them, in their order, when there are any.
        url: ``redis+cluster://127.0.0.1:port`` of the first of them.
    """

    def __init__(self, folder: Path, *, masters: int = 3, replicas: int = 0, **options: str) -> None:
        servers = [self._server(folder / str(number), options) for number in range(masters * (1 + replicas))]
        self.masters, self.replicas = servers[:masters], servers[masters:]
        self.url = self.masters[0].url.replace("redis:", "redis+cluster:")

    @staticmethod
    def _server(folder: Path, options: dict[str, str]) -> RedisServer:
        folder.mkdir()
        return RedisServer(
            folder,
            cluster_enabled="yes",
            cluster_port=str(free_port()),
            cluster_node_timeout="2000",
            **options,
        )

    @property
    def servers(self) -> list[RedisServer]:
        """All of them."""
        return self.masters + self.replicas

    def start(self) -> RedisCluster:
        """Start all servers, make them a cluster and wait until each of them knows it."""
        for server in self.servers:
            server.start()
        share = SLOTS // len(self.masters) + 1
        for number, server in enumerate(self.servers):
            with server.client() as client:
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
                if server in self.masters:
                    end = min((number + 1) * share, SLOTS) - 1
                    client.execute_command("CLUSTER ADDSLOTSRANGE", number * share, end)
                for other in self.servers[:number]:
                    bus = other.options["cluster-port"]
                    client.execute_command("CLUSTER MEET", "127.0.0.1", other.port, bus)
        self._wait_until_all_know(len(self.servers))
        for number, server in enumerate(self.replicas):
            master = self.masters[number % len(self.masters)]
            with server.client() as client:
                client.execute_command("CLUSTER REPLICATE", self.id_of(master))
        for server in self.replicas:
            self._wait(lambda server=server: self._info(server, "replication").get("master_link_status") == "up")
        # Nobody votes for a replica of which he does not know that it is one.
        self._wait(lambda: all(self._replicas_known_to(server) == len(self.replicas) for server in self.servers))
        return self

    def fail_over(self) -> None:
        """Let each replica take over from its master, as an operator does: it first has all that the master has."""
        for server in self.replicas:
            asked = 0.0

            def has_taken_over(server: RedisServer = server) -> bool:
                nonlocal asked
                with server.client() as client:
                    if client.info("replication")["role"] == "master":
                        return True
                    # One that is not done in 5 seconds is given up by the server.
                    if time.monotonic() - asked > 5.5:
                        client.execute_command("CLUSTER FAILOVER")
                        asked = time.monotonic()
                    return False

            self._wait(has_taken_over)

    @staticmethod
    def _replicas_known_to(server: RedisServer) -> int:
        with server.client() as client:
            nodes = client.execute_command("CLUSTER NODES")
        return sum("slave" in node["flags"] for node in nodes.values())

    @staticmethod
    def id_of(server: RedisServer) -> str:
        """How the cluster calls *server*."""
        with server.client() as client:
            return str(client.execute_command("CLUSTER MYID"))

    def _wait_until_all_know(self, count: int) -> None:
        def knows(server: RedisServer) -> bool:
            with server.client() as client:
                state = client.execute_command("CLUSTER INFO")
            return bool(state["cluster_state"] == "ok" and int(state["cluster_known_nodes"]) == count)

        self._wait(lambda: all(knows(server) for server in self.servers))

    @staticmethod
    def _info(server: RedisServer, section: str) -> dict[str, Any]:
        with server.client() as client:
            return dict(client.info(section))

    @staticmethod
    def _wait(is_so: Any) -> None:
        end = time.monotonic() + LONGEST
        while not is_so():
            assert time.monotonic() < end, "the cluster did not come together"
            time.sleep(0.05)

    def kill(self) -> None:
        """End all servers."""
        for server in self.servers:
            server.kill()


@pytest.fixture(scope="session")
def emptied_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RedisCluster, list[Emptied]]]:
    """The cluster of the session, and what empties it."""
    cluster = RedisCluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        yield cluster, [Emptied(server) for server in cluster.masters]
    finally:
        cluster.kill()


@pytest.fixture
def redis_cluster(emptied_cluster: tuple[RedisCluster, list[Emptied]]) -> RedisCluster:
    """An empty cluster of three masters, configured as at its start. Who was connected to it is not any more."""
    cluster, emptied = emptied_cluster
    for empty in emptied:
        empty()
    return cluster


@pytest.fixture
def redis_cluster_url(redis_cluster: RedisCluster) -> str:
    """The URL of `redis_cluster`."""
    return redis_cluster.url


@pytest.fixture
def redis_clusters(tmp_path: Path) -> Iterator[Any]:
    """A function that starts a cluster for this test alone: ``redis_clusters(replicas=1)``."""
    started: list[RedisCluster] = []

    def start(**options: Any) -> RedisCluster:
        folder = tmp_path / f"cluster-{len(started)}"
        folder.mkdir()
        started.append(RedisCluster(folder, **options))
        return started[-1].start()

    yield start
    for cluster in started:
        cluster.kill()
