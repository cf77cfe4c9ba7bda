"""
The stage of the demo: a SQLite file, a clock that can be moved, and two processes of the app.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from payaid_entitlements.cli.demo.calling import Caller
from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.cli.examples import example_directory

#: Seconds that a process has to start, and to leave before it is killed.
STARTING = 20.0
LEAVING = 3.0


class Clock:
    """
    The clock of the demo: the real one, and how far ahead of it the story is.

    The lead is eight bytes in a file that all processes map, so that moving it moves them all at once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(struct.pack("<d", 0.0))
        with path.open("r+b") as file:
            self._ahead = mmap.mmap(file.fileno(), 8)

    def __call__(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self.ahead

    @property
    def ahead(self) -> float:
        """Seconds ahead of the real time."""
        return float(struct.unpack_from("<d", self._ahead)[0])

    def advance(self, *, days: float = 0.0, hours: float = 0.0) -> None:
        """Move all clocks of the demo forward."""
        struct.pack_into("<d", self._ahead, 0, self.ahead + days * 86_400 + hours * 3_600)

    def close(self) -> None:
        """Let go of the file."""
        self._ahead.close()


class Worker:
    """
    One process of the app.

    Attributes:
        url: Where it listens.
        call: What talks to it.
    """

    def __init__(self, directory: Path, environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "payaid_entitlements.cli.demo.worker", str(directory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                text=True,
            )

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def listen(self, timings: list[float]) -> None:
        """
        Wait until it has a port, and connect.

        Raises:
            Ending: It did not start in time; the sentence has the end of its log.
        """
        assert self._process.stdout is not None  # it is a pipe
        # readline cannot be given a timeout; what is killed closes its end of the pipe.
        patience = threading.Timer(STARTING, self._process.kill)
        patience.daemon = True
        patience.start()
        try:
            port = self._process.stdout.readline().strip()
        finally:
            patience.cancel()
        if not port:
            tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-5:])
            raise Ending(f"the example app did not start:\n{tail}", code=1)
        self.url = f"http://127.0.0.1:{port}"
        self._place = int(port), timings
        self.call = self.caller()

    def caller(self) -> Caller:
        """Another browser, with a connection of its own; to be closed by whoever asks for it."""
        port, timings = self._place
        return Caller("127.0.0.1", port, timings)

    def ask_to_leave(self) -> None:
        """End it politely: by closing its stdin, and by SIGTERM."""
        if hasattr(self, "call"):
            self.call.close()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.terminate()

    def see_off(self, by: float) -> None:
        """Wait until it is gone; kill it where it is not *by* then, on the monotonic clock."""
        try:
            self._process.wait(max(0.0, by - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Stage:
    """
    Everything that the story needs, and its end.

    Attributes:
        url: Of the database.
        clock: Of all processes.
        timings: Milliseconds of each request that was sent.
        first, second: Two processes of the app on one file.
    """

    def __init__(self, directory: Path, database: Path) -> None:
        self.example = example_directory()
        self.url = f"sqlite:///{database}"
        self.clock = Clock(directory / "clock")
        self.timings: list[float] = []
        self._directory = directory
        self._workers: list[Worker] = []
        self._ending = threading.Lock()

    def open(self) -> Self:
        """Start the app twice. Both start at once, since most of it is waiting for imports."""
        environment = {
            # Whatever enforcement this shell sets is not what the story is about.
            **{name: value for name, value in os.environ.items() if not name.startswith(("PAYAID_", "FEATURE_"))},
            "PAYAID_URL": self.url,
            "PAYAID_DEMO_CLOCK": str(self.clock.path),
            "PYTHONUNBUFFERED": "1",
        }
        for name in ("first", "second"):
            self._workers.append(Worker(self.example, environment, self._directory / f"{name}.log"))
        for worker in self._workers:
            worker.listen(self.timings)
        self.first, self.second = self._workers
        return self

    def close(self) -> None:
        """End both processes. Repeating it is harmless."""
        with self._ending:  # the watchdog may come at the same time
            leaving, self._workers = self._workers, []
            for worker in leaving:
                worker.ask_to_leave()
            by = time.monotonic() + LEAVING
            for worker in leaving:
                worker.see_off(by)

    @contextmanager
    def bounded(self, seconds: float) -> Iterator[None]:
        """End both processes after *seconds*, whatever the story is waiting for: then it fails, and ends too."""
        watchdog = threading.Timer(seconds, self.close)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self.clock.close()
