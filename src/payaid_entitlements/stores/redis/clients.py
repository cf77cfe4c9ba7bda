"""
Clients of Redis, of both colours, for one server and for a cluster: made from a URL, or the host's own.

They do what a script or a command says and nothing else. Those that we make have explicit timeouts and never repeat
by themselves what was sent: only whoever asked can know whether that is safe. What a cluster answers to a command that
it did *not* execute (MOVED, ASK, TRYAGAIN) is followed. Nothing connects before the first command.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeGuard, cast
from weakref import WeakKeyDictionary

from redis import Redis, RedisCluster
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio import RedisCluster as AsyncRedisCluster
from redis.asyncio.cluster import ClusterNode as AsyncClusterNode
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.client import NEVER_DECODE
from redis.cluster import ClusterNode
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.forking import after_fork
from payaid_entitlements.stores.keeping import KEPT
from payaid_entitlements.stores.redis.places import PATIENCE, PREFIX, Place, checked_prefix, place_of

if TYPE_CHECKING:
    #: What a host may hand in, by colour.
    HostClient = Redis | RedisCluster
    AsyncHostClient = AsyncRedis | AsyncRedisCluster

#: What a command is made of. Text is sent as UTF-8, whatever a host's client would do.
Part = str | bytes | int

# A host's client may decode what it reads, in whatever encoding: we are given the bytes.
_RAW: Final[dict[str, Any]] = {NEVER_DECODE: True}


class Script:
    """A script that the server runs as one: nobody sees its half."""

    __slots__ = ("sha", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


class NotConnectedError(RedisConnectionError):
    """There was no connection to send anything on."""


class Client:
    """
    A Redis, asked in the thread that asks.

    Args:
        place: A URL, or a client of the host's, which stays open and keeps its own timeouts and retries.
        prefix: For a host's client: what all keys begin with. A URL says it itself.
        patience: Seconds to connect, and to wait for an answer, where a URL does not say.

    Attributes:
        given: The *place*: who wants connections of his own makes another client of it.
        name: Where it is, for people.
        prefix: What all our keys begin with.
        number: Of the database on its server.
        repeats: May it send again what was not answered? A host's client may.
        is_cluster: Is it one? Then a script's keys must have one hash tag.
        keeps_for: Microseconds for which a ledger there remembers operations.
        waits: Seconds for which it waits for an answer; None where it is a host's.

    Raises:
        ConfigurationError: It is no Redis, of the other colour, or a client that reads from replicas.
    """

    def __init__(self, place: str | HostClient, *, prefix: str | None = None, patience: float = PATIENCE) -> None:
        self.given, self._patience = place, patience
        self._place: Place | None = None
        self._hosts: Any = None
        if isinstance(place, str):
            self._place = place_of(place, patience)
            self.name, self.prefix = self._place.name, _agreed(self._place.prefix, prefix)
            self.number = int(self._place.options.get("db") or 0)
            self.is_cluster, self.keeps_for = self._place.is_cluster, self._place.keeps_for
        else:
            self._hosts = _checked(place, Redis | RedisCluster, "Entitlements", "AsyncEntitlements")
            self.name, self.prefix = _name_of(place), checked_prefix(prefix or PREFIX)
            self.number = _number_of(place)
            self.is_cluster, self.keeps_for = isinstance(place, RedisCluster | AsyncRedisCluster), KEPT
        self.repeats = self._hosts is not None
        self.waits: float | None = None if self._place is None else self._place.options["socket_timeout"]
        self._forgotten: list[Any] = []
        self._made: Any = None
        self._begin_anew()
        after_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        # The child of a fork makes a client of its own: another thread may have held a lock of this one. It is kept,
        # since to let it go would close what the parent uses.
        self._lock = threading.Lock()
        if self._made is not None:
            self._forgotten.append(self._made)
        self._made = None

    @property
    def raw(self) -> Any:
        """The driver's client; a cluster's connects when it is made."""
        if self._place is None:
            return self._hosts
        made = self._made
        if made is None:
            # A cluster that does not answer is waited for by one thread after the other: not by all, for long.
            if not self._lock.acquire(timeout=2 * self._patience):
                raise RedisTimeoutError(f"{self.name} was not reached yet by another thread")
            try:
                made = self._made
                if made is None:
                    made = self._made = _make(self._place)
            finally:
                self._lock.release()
        return made

    def call(self, *command: Part) -> Any:
        """Send *command*; its first key says which server of a cluster gets it. Text in a reply is bytes."""
        return self.raw.execute_command(*_encoded(command), **_RAW)

    def call_at(self, key: str, *command: Part) -> Any:
        """Send *command*, which has no key, to the server that has *key*."""
        raw = self.raw
        if isinstance(raw, RedisCluster):
            node = raw.get_node_from_key(key)  # type: ignore[no-untyped-call] # the driver says no types
            raw = raw.get_redis_connection(node)
        return raw.execute_command(*_encoded(command), **_RAW)

    def run(self, script: Script, keys: Sequence[Part], arguments: Sequence[Part]) -> Any:
        """Run *script*, also on a server that does not have it (any more). All *keys* have one hash tag."""
        try:
            if self._place is None or self.is_cluster:
                return self.call("EVALSHA", script.sha, len(keys), *keys, *arguments)
            return self._ask_at_once(self.raw, "EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            # It was not run: nothing is done twice.
            return self.call("EVAL", script.source, len(keys), *keys, *arguments)

    def _ask_at_once(self, raw: Any, *command: Part) -> Any:
        """
        Same as `call`, for what has an answer that the driver's client makes nothing of, on one server of ours.

        What that client does besides, which is to measure and to repeat, takes longer than the server does.

        Args:
            raw: The driver's client of that server. Held to the end: another thread may close, and who lets go of it
                last ends all connections.
        """
        pool = raw.connection_pool
        try:
            connection = pool.get_connection()
        except (RedisConnectionError, RedisTimeoutError) as error:
            # Some say more than that, as where the password is wrong.
            if type(error) in (RedisConnectionError, RedisTimeoutError):
                raise NotConnectedError(str(error)) from error
            raise
        try:
            # A connection on which something fails closes itself.
            connection.send_packed_command(_packed(command), check_health=False)
            return connection.read_response(disable_decoding=True)
        finally:
            pool.release(connection)

    def close(self) -> None:
        """
        Let go of all connections, unless they are the host's. It can be used again.

        What another thread is asking is answered: its connection ends with the last that refers to it.
        """
        with self._lock:
            made, self._made = self._made, None
        for each in _servers_of(made):
            each.connection_pool.disconnect(inuse_connections=False)


class AsyncClient:
    """
    Same as `Client`, awaited. Each event loop has connections of its own.

    Args:
        slack: Seconds for which connections wait longer than `waits` says: for who keeps the time himself.
    """

    def __init__(
        self,
        place: str | AsyncHostClient,
        *,
        prefix: str | None = None,
        patience: float = PATIENCE,
        slack: float = 0.0,
    ) -> None:
        self.given, self._slack = place, slack
        self._place: Place | None = None
        self._hosts: Any = None
        if isinstance(place, str):
            self._place = place_of(place, patience)
            self.name, self.prefix = self._place.name, _agreed(self._place.prefix, prefix)
            self.number = int(self._place.options.get("db") or 0)
            self.is_cluster, self.keeps_for = self._place.is_cluster, self._place.keeps_for
        else:
            self._hosts = _checked(place, AsyncRedis | AsyncRedisCluster, "AsyncEntitlements", "Entitlements")
            self.name, self.prefix = _name_of(place), checked_prefix(prefix or PREFIX)
            self.number = _number_of(place)
            self.is_cluster, self.keeps_for = isinstance(place, RedisCluster | AsyncRedisCluster), KEPT
        self.repeats = self._hosts is not None
        self.waits: float | None = None if self._place is None else self._place.options["socket_timeout"]
        self._forgotten: list[Any] = []
        self._made: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()
        after_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        # Kept, as in `Client`: a loop's connections are also known to a selector that parent and child share.
        self._forgotten.append(self._made)
        self._made = WeakKeyDictionary()

    @property
    def raw(self) -> Any:
        """The driver's client of the running loop."""
        if self._place is None:
            return self._hosts
        loop = asyncio.get_running_loop()
        made = self._made.get(loop)
        if made is None:
            made = self._made[loop] = _make_async(self._place, self._slack)
        return made

    async def call(self, *command: Part) -> Any:
        """Same as `Client.call`."""
        return await self.raw.execute_command(*_encoded(command), **_RAW)

    async def call_at(self, key: str, *command: Part) -> Any:
        """Same as `Client.call_at`."""
        raw = self.raw
        if isinstance(raw, AsyncRedisCluster):
            raw = (await raw.initialize()).get_node_from_key(key)
        return await raw.execute_command(*_encoded(command), **_RAW)

    async def run(self, script: Script, keys: Sequence[Part], arguments: Sequence[Part]) -> Any:
        """Same as `Client.run`."""
        try:
            return await self.call("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return await self.call("EVAL", script.source, len(keys), *keys, *arguments)

    async def aclose(self) -> None:
        """Same as `Client.close`, for the connections of the running loop."""
        made = self._made.pop(asyncio.get_running_loop(), None)
        if made is not None:
            await made.aclose()


def is_client(place: object) -> TypeGuard[HostClient | AsyncHostClient]:
    """Is *place* a client of Redis, of either colour?"""
    return isinstance(place, Redis | RedisCluster | AsyncRedis | AsyncRedisCluster)


class _KeyComesFirst:
    """
    Where the key of a command is: in all that we send, behind its name.

    For a client of redis.asyncio that asks a server for the table of all commands, when it begins and after each
    failure, and reads it while the event loop stands still: for some 50 ms, just when everything is slow.
    """

    async def initialize(self, node: object = None) -> None:
        """There is nothing to ask."""

    async def get_keys(self, *command: Any) -> Sequence[Any]:
        """The key of *command*."""
        return command[1:2]


def _make(place: Place) -> HostClient:
    retry = Retry(NoBackoff(), 0)
    if place.is_cluster:
        nodes = [ClusterNode(*node) for node in place.nodes]  # type: ignore[no-untyped-call] # the driver says no types
        return RedisCluster(startup_nodes=nodes, retry=retry, **place.options)
    return Redis(**_address(place), retry=retry, **place.options)


def _make_async(place: Place, slack: float) -> AsyncHostClient:
    retry = AsyncRetry(NoBackoff(), 0)
    options = {**place.options, "socket_timeout": place.options["socket_timeout"] + slack}
    if place.is_cluster:
        nodes = [AsyncClusterNode(*node) for node in place.nodes]
        # By itself it ends all connections each fifth time that something has moved: also those on which others wait.
        cluster = AsyncRedisCluster(startup_nodes=nodes, retry=retry, reinitialize_steps=0, **options)
        cast("Any", cluster).commands_parser = _KeyComesFirst()
        return cluster
    return AsyncRedis(**_address(place), retry=retry, **options)


def _servers_of(made: Any) -> Sequence[Any]:
    """The clients of single servers that *made*, if it was made, consists of."""
    if isinstance(made, RedisCluster):
        return [
            node.redis_connection
            for node in made.nodes_manager.nodes_cache.values()
            if node.redis_connection is not None
        ]
    return [] if made is None else [made]


def _address(place: Place) -> dict[str, Any]:
    return {} if not place.nodes else dict(zip(("host", "port"), place.nodes[0], strict=True))


def _checked(client: object, colour: Any, mine: str, other: str) -> object:
    if not is_client(client):
        raise ConfigurationError(f"{type(client).__name__} is no client of Redis; pass a URL, Redis or RedisCluster")
    if not isinstance(client, colour):
        raise ConfigurationError(
            f"this Redis client is of the other colour: pass {type(client).__module__}.{type(client).__name__} to "
            f"{other}, or its twin to {mine}"
        )
    reading: Any = client
    if getattr(reading, "read_from_replicas", False) or getattr(reading, "load_balancing_strategy", None):
        raise ConfigurationError(
            "this RedisCluster reads from replicas, which may not know yet what was written: "
            "pass one without read_from_replicas and load_balancing_strategy"
        )
    return client


def _name_of(client: Any) -> str:
    if isinstance(client, RedisCluster | AsyncRedisCluster):
        return f"redis+cluster://{min(client.nodes_manager.startup_nodes)}"
    to = client.get_connection_kwargs()
    if "path" in to:
        return f"unix://{to['path']}"
    number = _number_of(client)
    return f"redis://{to.get('host', 'localhost')}:{to.get('port', 6379)}" + (f"/{number}" if number else "")


def _number_of(client: Any) -> int:
    is_cluster = isinstance(client, RedisCluster | AsyncRedisCluster)
    return 0 if is_cluster else int(client.get_connection_kwargs().get("db") or 0)


def _agreed(of_url: str, given: str | None) -> str:
    return of_url if given is None else checked_prefix(given)


def _encoded(command: Sequence[Part]) -> list[str | bytes]:
    name, *parts = command
    return [str(name), *(part if isinstance(part, bytes) else str(part).encode() for part in parts)]


def _packed(command: Sequence[Part]) -> list[bytes]:
    """A command as it is sent."""
    parts = [b"*%d\r\n" % len(command)]
    for part in command:
        data = part if isinstance(part, bytes) else str(part).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return [b"".join(parts)]
