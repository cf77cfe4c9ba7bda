"""A web server as people run one, with several workers, and many clients of it who remember what they were told."""

from __future__ import annotations

import http.client
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.process import Process, free_port

ROOT = Path(__file__).parents[2]

#: Another one may go to another worker.
PER_CONNECTION = 25

#: How servers are started, by the name that tests use; each has several workers.
COMMANDS: Mapping[str, Sequence[str]] = {
    "gunicorn": ("gunicorn", "--preload", "--workers=4", "tests.faults.apps:make_wsgi()"),
    "threads": ("gunicorn", "--preload", "--workers=2", "--threads=8", "tests.faults.apps:make_wsgi()"),
    "gevent": ("gunicorn", "--workers=2", "--worker-class=gevent", "tests.faults.apps:make_wsgi()"),
    "uvicorn": ("uvicorn", "--workers=2", "--factory", "tests.faults.asgi:make_asgi", "--log-level=warning"),
    "gated gunicorn": ("gunicorn", "--preload", "--workers=4", "tests.faults.gated:make_flask()"),
    "gated gevent": ("gunicorn", "--workers=2", "--worker-class=gevent", "tests.faults.gated:make_flask()"),
    "gated waitress": ("waitress", "--host=127.0.0.1", "--threads=8", "--call", "tests.faults.gated:make_flask"),
    "gated uvicorn": (
        "uvicorn",
        "--workers=2",
        "--factory",
        "tests.faults.gated_asgi:make_asgi",
        "--log-level=warning",
    ),
    "gated hypercorn": ("hypercorn", "--workers=2", "tests.faults.gated_asgi:make_asgi()"),
}
WORKERS = {
    "gunicorn": 4,
    "threads": 2,
    "gevent": 2,
    "uvicorn": 2,
    "gated gunicorn": 4,
    "gated gevent": 2,
    "gated waitress": 1,
    "gated uvicorn": 2,
    "gated hypercorn": 2,
}


class Served:
    """
    A web server that is running.

    Args:
        kind: One of `COMMANDS`.
        folder: For its log.
        environment: What the app is told, besides what we have.
    """

    def __init__(self, kind: str, folder: Path, **environment: str) -> None:
        self.kind, self.port = kind, free_port()
        name, *arguments = COMMANDS[kind]
        bind = ["--bind", f"127.0.0.1:{self.port}"] if name in ("gunicorn", "hypercorn") else ["--port", str(self.port)]
        told = {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), **environment}
        self.log = folder / f"{kind.replace(' ', '-')}-{self.port}.log"
        self.process = Process(
            [
                "/usr/bin/env",
                *(f"{key}={value}" for key, value in told.items()),
                sys.executable,
                "-m",
                name,
                *bind,
                *arguments,
            ],
            self.log,
        )
        self.process.wait_until(lambda: self.ask("/sockets") is not None)

    def ask(self, path: str, method: str = "GET") -> dict[str, Any] | None:
        """Ask once, on a connection of its own; None when there was no answer of success."""
        with (
            suppress(OSError, http.client.HTTPException),
            closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection,
        ):
            connection.request(method, path)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status < 300:
                return dict(json.loads(body))
        return None

    def each(self, path: str) -> dict[int, dict[str, Any]]:
        """What each worker answers."""
        found: dict[int, dict[str, Any]] = {}
        end = time.monotonic() + 30
        while len(found) < WORKERS[self.kind]:
            assert time.monotonic() < end, f"only {len(found)} workers answer: {self.log.read_text()[-2000:]}"
            answer = self.ask(path)
            if answer is not None:
                found[answer["pid"]] = answer
        return found

    def end(self, how: str = "TERM") -> float:
        """End it by this signal; how many seconds that took."""
        begun = time.monotonic()
        self.process.end(how)
        return time.monotonic() - begun


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody was told, and when, by this process's monotonic clock; *status* 0 when there was no answer."""

    path: str
    asked: float
    told: float
    status: int
    body: Mapping[str, Any]


@dataclass
class Crowd:
    """
    Clients that ask, each on a connection of its own that serves for `PER_CONNECTION` questions at most.

    Attributes:
        paths: Gives the next path and method to ask.
        answers: All that they were told.
    """

    served: Served
    paths: Callable[[], tuple[str, str]]
    size: int = 8
    answers: list[Answer] = field(default_factory=list)
    stops: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def asking(self, least: int = 0) -> Iterator[None]:
        """They ask while the block runs, and until there are *least* answers, whichever is later."""
        threads = [threading.Thread(target=self._ask, args=(least // self.size,)) for _ in range(self.size)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stops.set()
            for thread in threads:
                thread.join(120)

    def _ask(self, least: int) -> None:
        connection: http.client.HTTPConnection | None = None
        asked = 0
        while not self.stops.is_set() or asked < least:
            asked += 1
            if asked % PER_CONNECTION == 0 and connection is not None:
                connection.close()
                connection = None
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self.served.port, timeout=10)
            path, method = self.paths()
            begun = time.monotonic()
            status, body = 0, {}
            try:
                connection.request(method, path)
                answer = connection.getresponse()
                status, text = answer.status, answer.read()
                body = json.loads(text) if text.startswith(b"{") else {}
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = None
            self.answers.append(Answer(path, begun, time.monotonic(), status, body))
        if connection is not None:
            connection.close()

    def statuses(self) -> Counter[int]:
        """How often each status was answered."""
        return Counter(answer.status for answer in self.answers)


@dataclass
class Truth:
    """What was committed, by whom it concerns; and which answers contradict it."""

    commits: dict[str, list[tuple[float, int]]] = field(default_factory=dict)

    def now(self, tenant: str, value: int) -> None:
        """Note that *value* is committed, as of now."""
        self.commits.setdefault(tenant, []).append((time.monotonic(), value))

    def contradicted(self, answers: Sequence[Answer], bound: float) -> list[Answer]:
        """The answers that were asked for more than *bound* seconds after something newer was committed."""
        return [answer for answer in answers if answer.body.get("value", 1 << 60) < self._least(answer, bound)]

    def _least(self, answer: Answer, bound: float) -> int:
        known = self.commits.get(answer.path.rpartition("/")[2], ())
        return max((value for at, value in known if at <= answer.asked - bound), default=0)
