"""
The channel of a Redis: pub/sub, on a connection of its own to the server that publishes.

On it questions are asked too (RESP3, which Redis has since version 6): an answer comes behind all that was published
before, so that what was told and where the log ends can be compared. The client library's own subscriptions connect
again by themselves and say nothing of it, which would hide that something was missed; here a connection that fails is
given up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from redis import Connection, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio import RedisCluster as AsyncRedisCluster
from redis.asyncio.connection import SSLConnection as AsyncSSLConnection
from redis.asyncio.connection import UnixDomainSocketConnection as AsyncUnixDomainSocketConnection
from redis.asyncio.sentinel import SentinelConnectionPool as AsyncSentinelConnectionPool
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import MovedError, NoScriptError, RedisError
from redis.retry import Retry

from payaid_entitlements.errors import ConfigurationError, StoreUnavailable
from payaid_entitlements.stores.messages import heard
from payaid_entitlements.stores.ports import LogEntry
from payaid_entitlements.stores.redis.clients import AsyncClient, Client, Part, Script
from payaid_entitlements.stores.waiting import Handle

#: Seconds that the server may take to connect, or to answer on this connection.
LONGEST: Final = 1.0
#: Messages that are given at once; whoever listens has other things to do too.
MOST: Final = 1_000
#: Servers of a cluster that are asked one after the other who publishes.
MOST_MOVES: Final = 8

#: What of a client's configuration says how to connect. All else is about how it pools, repeats and decodes.
_ABOUT_CONNECTING: Final = frozenset({
    "client_name", "connection_pool", "credential_provider", "db", "driver_info", "host", "password", "path", "port",
    "redis_connect_func", "socket_keepalive", "socket_keepalive_options", "socket_type", "username",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Head:
    """
    Where a log ended.

    Attributes:
        position: Of its newest line.
        age: How many seconds ago that was so.
        history: Which log this is: positions of another one say nothing about this one.
    """

    position: int
    age: float
    history: bytes


class RedisChannel:
    """
    Same as `Channel`, for what is published under *name*.

    Args:
        client: Tells where the server is. None of its connections is used.
        key: The server of a cluster that has it is listened to; it must be the one that publishes.
        name: Of the channel.
        head: Reads through a wire where the log ends; None when that is not known now.
    """

    def __init__(
        self, client: Client | AsyncClient, key: str, name: str, head: Callable[[RedisWire], Head | None]
    ) -> None:
        self._client = client
        self._key = key
        self._name = name
        self._head = head

    def connect(self) -> RedisWire:
        """Same as `Channel.connect`."""
        make, options, servers = _how(self._client)
        trouble: RedisError | None = None
        for server in servers:
            try:
                return self._at(make, options | server)
            except RedisError as error:
                trouble = error
        raise StoreUnavailable(f"{self._client.name} gave no answer: {trouble}") from trouble

    def _at(self, make: Callable[..., Any], options: Mapping[str, Any]) -> RedisWire:
        for _ in range(MOST_MOVES):
            wire = RedisWire(make(**options), self._name, self._head)
            try:
                wire.subscribe(self._key)
            except MovedError as moved:
                wire.close()
                # A server that does not know under which name it is reached leaves that out: it is where we are.
                options = {**options, "host": moved.host or options["host"], "port": moved.port}
            except BaseException:
                wire.close()
                raise
            else:
                return wire
        raise StoreUnavailable(f"{self._client.name}: each server says that another one has {self._key!r}")


class RedisWire:
    """Same as `Wire`, on a connection of the driver that nobody else uses."""

    def __init__(self, connection: Any, name: str, head: Callable[[RedisWire], Head | None]) -> None:
        self._connection = connection
        self._name = name
        self._read_head = head
        self._handle: Handle | None = None
        self._found: list[LogEntry | None] = []
        self._confirmed = 0
        self._history: bytes | None = None

    def subscribe(self, key: str) -> None:
        """
        Hear what is published from now on.

        Raises:
            MovedError: Another server of the cluster has *key*.
        """
        self._connection.connect()
        self._handle = Handle(self._connection._sock.fileno())
        self._connection._parser.set_pubsub_push_handler(self._told)
        # Whichever type it has: a server that has not got the key says who has.
        self.call("EXISTS", key)
        self._connection.send_command("SUBSCRIBE", self._name)
        while not self._confirmed:
            self._read()

    def next(self, timeout: float) -> Sequence[LogEntry | None]:
        """Same as `Wire.next`."""
        while len(self._found) < MOST and self._connection.can_read(0.0 if self._found else timeout):
            self._read()
        found, self._found = self._found, []
        return found

    def head(self) -> tuple[int, float] | None:
        """Same as `Wire.head`."""
        head = self._read_head(self)
        if head is None:
            return None
        if self._history not in {None, head.history}:
            # As after a fail-over, where the new master may not have all that the old one had.
            raise StoreUnavailable("this is another log than the one that was listened to")
        self._history = head.history
        return head.position, head.age

    def run(self, script: Script, keys: Sequence[Part], arguments: Sequence[Part]) -> Any:
        """Same as `Client.run`, on this connection."""
        try:
            return self.call("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return self.call("EVAL", script.source, len(keys), *keys, *arguments)

    def call(self, *command: Part) -> Any:
        """Same as `Client.call`, on this connection."""
        self._connection.send_command(*command)
        while (answer := self._read()) is _TOLD:
            pass
        return answer

    def _read(self) -> Any:
        return self._connection.read_response(disable_decoding=True, push_request=True)

    def _told(self, message: list[Any]) -> object:
        """Note what the server says unasked."""
        match message:
            case [b"message", _, text]:
                self._found.append(heard(text))
            case [b"subscribe", *_]:
                self._confirmed += 1
                if self._confirmed > 1:
                    # Somebody between us and the server has connected again: what was told meanwhile is missing.
                    self._found.append(None)
        return _TOLD

    def interrupt(self) -> None:
        """Same as `Wire.interrupt`."""
        if self._handle is not None:
            self._handle.hang_up()

    def close(self) -> None:
        """Same as `Wire.close`."""
        if self._handle is not None:
            self._handle.close()
        with suppress(Exception):
            self._connection.disconnect()


def log_end(documents: str, wire: RedisWire) -> Head:
    """
    Read where the log of a store ends, whose documents are under that key.

    Another run of the server is another connection, so its number need not be asked for each time.
    """
    position, origin = wire.call("HMGET", documents, "position", "origin")
    if position is None:
        raise StoreUnavailable("there is no log")
    return Head(int(position), 0.0, origin or b"")


#: In the place of an answer, when the server has said something unasked.
_TOLD: Final = object()


def _how(client: Client | AsyncClient) -> tuple[Callable[..., Any], dict[str, Any], list[dict[str, Any]]]:
    """What makes a connection, its options, and those that name each server that may be asked first."""
    place = client._place
    if place is None:
        make, options, servers = _as_hosts(client._hosts)
    else:
        pool = Redis(**place.options).connection_pool
        make, options = pool.connection_class, pool.connection_kwargs
        servers = [{"host": host, "port": port} for host, port in place.nodes]
    options = {
        name: value for name, value in options.items() if name in _ABOUT_CONNECTING or name.startswith("ssl_")
    } | {
        "health_check_interval": 0,
        "protocol": 3,
        "retry": Retry(NoBackoff(), 0),
        "socket_connect_timeout": LONGEST,
        "socket_timeout": LONGEST,
    }
    return make, options, servers or [{}]


def _as_hosts(raw: Any) -> tuple[Callable[..., Any], Mapping[str, Any], list[dict[str, Any]]]:
    """The same of a host's client; for one that is awaited, what its twin would have."""
    if isinstance(raw, RedisCluster | AsyncRedisCluster):
        options = raw.get_connection_kwargs()
        nodes = raw.nodes_manager.nodes_cache or raw.nodes_manager.startup_nodes
        servers = [{"host": node.host, "port": node.port} for node in nodes.values()]
        made: Any = options.get("connection_class", Connection)
        is_encrypted = options.get("ssl") or issubclass(made, SSLConnection | AsyncSSLConnection)
        return SSLConnection if is_encrypted else Connection, options, servers
    pool: Any = raw.connection_pool
    make = pool.connection_class
    if isinstance(raw, AsyncRedis):
        if isinstance(pool, AsyncSentinelConnectionPool):
            raise ConfigurationError(
                "who asks Redis' sentinels by asyncio does not hear of changes; give a URL instead"
            )
        if issubclass(make, AsyncUnixDomainSocketConnection):
            make = UnixDomainSocketConnection
        else:
            make = SSLConnection if issubclass(make, AsyncSSLConnection) else Connection
    return make, pool.connection_kwargs, []
