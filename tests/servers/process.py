"""A server as a process that ends when these tests end, however they end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

#: Seconds that a server may take to begin or to end, on a machine that does much else.
LONGEST = 60.0

# The shell waits for a word from us, or for our end: a pipe closes also with a process that was killed. What the server
# has started itself and left behind is in the same group.
_WATCHED = '"$@" >>"$0" 2>&1 & echo $!; read -r how; kill -s "${how:-KILL}" $! 2>/dev/null; wait $!; kill -s KILL 0'


class Process:
    """
    A running server.

    Attributes:
        pid: Its own process id, not that of the shell that watches it.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._log = log
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHED, str(log), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # Ctrl-C ends the tests, and they end their servers.
            start_new_session=True,
        )
        assert self._shell.stdout is not None
        self.pid = int(self._shell.stdout.readline())

    def wait_until(self, is_ready: Callable[[], bool]) -> None:
        """Wait for the server to be of use; an error with the end of its log if it is not in time."""
        end = time.monotonic() + LONGEST
        while not is_ready():
            if self.has_ended() or time.monotonic() > end:
                self.end("KILL")
                raise RuntimeError(f"the server did not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.02)

    def has_ended(self) -> bool:
        """Is it no more? Its watcher keeps it as a zombie until `end`."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
        except FileNotFoundError:
            return True

    def pause(self) -> None:
        """Let it hang: connections stay open, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def end(self, how: str) -> None:
        """End it by the signal of this name and wait until it is gone."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.communicate(f"{how}\n", timeout=LONGEST)


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def missing(server: str, way_out: str) -> NoReturn:
    """
    Skip the test that needs *server*; where all servers must be there, as in continuous integration, fail it.

    Args:
        way_out: What would bring it.
    """
    said = f"needs {server}: {way_out}"
    if os.environ.get("PAYAID_REQUIRE_SERVERS") == "1":
        pytest.fail(f"{said} (PAYAID_REQUIRE_SERVERS is 1)")
    pytest.skip(said)
