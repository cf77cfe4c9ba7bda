"""A real MariaDB: one server for the session, empty for each test that asks; and servers of a test's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.servers.process import LONGEST, Process, free_port, missing

#: What the account of the tests may do everything in: this database, and others whose names begin with it.
DATABASE = "payaid"
USER, PASSWORD = "app", "pw"


class MariaDBServer:
    """
    A MariaDB server on a port of the loopback address, with a folder of its own for what it keeps.

    Args:
        folder: Where its files are; a server that starts again finds there what it had kept.
        options: Options of mariadbd, as ``innodb_lock_wait_timeout="1"``.

    Attributes:
        url: ``mysql://user:password@127.0.0.1:port/database``; the same after it has started again.
    """

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"mysql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{DATABASE}"
        self.process: Process | None = None
        # Not in the folder: the path of a socket has at most 107 characters.
        self._socket = Path(tempfile.gettempdir()) / f"payaid-mariadb-{self.port}"
        self._options = {
            "datadir": str(folder / "data"),
            # A server that starts removes temporary tables from where it keeps its own, also those of others.
            "tmpdir": str(folder),
            "socket": str(self._socket),
            "pid-file": str(folder / "pid"),
            "bind-address": "127.0.0.1",
            "port": str(self.port),
            "skip-name-resolve": "1",
            # No test loses power, and none has much data.
            "innodb-flush-method": "nosync",
            "innodb-buffer-pool-size": "64M",
            "innodb-log-file-size": "16M",
        } | {name.replace("_", "-"): value for name, value in options.items()}

    def start(self) -> MariaDBServer:
        """Start it and wait until it answers; the first time, make its files, the account and the database."""
        is_new = not (self.folder / "data").exists()
        if is_new:
            self._install()
        self.process = Process(
            [
                _program("mariadbd"),
                "--no-defaults",
                *_as_root(),
                *(f"--{name}={value}" for name, value in self._options.items()),
            ],
            self.folder / "log",
        )
        self.process.wait_until(self.answers)
        if is_new:
            self.run(
                f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'",
                f"GRANT ALL ON `{DATABASE}%`.* TO {USER}@'127.0.0.1'",
                f"CREATE DATABASE {DATABASE}",
            )
        return self

    def _install(self) -> None:
        made = subprocess.run(
            [
                _program("mariadb-install-db"),
                "--no-defaults",
                *_as_root(),
                f"--datadir={self._options['datadir']}",
                f"--tmpdir={self._options['tmpdir']}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--innodb-flush-method=nosync",
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
        assert made.returncode == 0, made.stdout + made.stderr

    def answers(self) -> bool:
        """Is it there?"""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            try:
                probe.connect(str(self._socket))
                return bool(probe.recv(1))
            except OSError:
                return False

    def run(self, *statements: str) -> Sequence[Any]:
        """Run *statements* as an administrator, each committed; the rows of the last one."""
        import pymysql

        with (
            pymysql.connect(
                user="root", unix_socket=str(self._socket), autocommit=True, ssl_disabled=True, connect_timeout=5
            ) as connection,
            connection.cursor() as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall()

    def end_sessions(self) -> None:
        """End all sessions of the tests' account, as an administrator does."""
        self.run(f"KILL CONNECTION USER {USER}@'127.0.0.1'")

    def empty(self) -> None:
        """Make it as it was when it had just started. Who was connected is not any more."""
        self.end_sessions()
        for (name,) in self.run(
            f"SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE '{DATABASE}%'"
        ):
            self.run(f"DROP DATABASE `{name}`")
        self.run(f"CREATE DATABASE {DATABASE}")

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
        """End it as an operator does."""
        self._end("TERM")

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._end("KILL")

    def _end(self, how: str) -> None:
        if self.process is not None:
            self.process.end(how)
            self.process = None
            self._socket.unlink(missing_ok=True)


def _program(name: str) -> str:
    """A program of MariaDB; without it the test is skipped."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
    if found is None:
        missing("MariaDB", "apt-get install mariadb-server-core mariadb-client-core")
    return found


def _as_root() -> Sequence[str]:
    # It refuses to run as root unless it is told to.
    return ["--user=root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []


@pytest.fixture(scope="session")
def mariadb_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDBServer]:
    """The server of the session. It starts with the first test that needs it."""
    server = MariaDBServer(tmp_path_factory.mktemp("mariadb"))
    try:
        yield server.start()
    finally:
        server.kill()


@pytest.fixture
def mariadb_server(mariadb_of_the_session: MariaDBServer) -> MariaDBServer:
    """The server of the session, with an empty database. Who was connected to it is not any more."""
    mariadb_of_the_session.empty()
    return mariadb_of_the_session


@pytest.fixture
def mariadb_url(mariadb_server: MariaDBServer) -> str:
    """The URL of an empty database, as people write it: ``mysql://...``."""
    return mariadb_server.url


@pytest.fixture
def mariadb_servers(tmp_path: Path) -> Iterator[Any]:
    """A function that starts a server for this test alone: ``mariadb_servers(max_connections="5")``."""
    started: list[MariaDBServer] = []

    def start(**options: str) -> MariaDBServer:
        folder = tmp_path / f"mariadb-{len(started)}"
        folder.mkdir()
        started.append(MariaDBServer(folder, **options))
        return started[-1].start()

    yield start
    for server in started:
        server.kill()
