"""
A network that fails on demand: a proxy between a client and a server, on a port of the loopback address.

What a process that hangs (SIGSTOP) or dies (SIGKILL) cannot show is shown here: a reply that is lost although the
server has done what it was told, an answer that is late, a peer that says nothing more and closes nothing, half of a
connection. Everything may be changed while connections are open; `heal` takes it all back.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pytest

#: Bytes that are passed on at once. A reply of a test is shorter.
_MOST = 65536
#: Close without a goodbye: the peer's next call fails.
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """
    Passes on what a client and a server say to each other, until it is told otherwise.

    Args:
        url: Of the server: ``redis://``, ``mysql://``, or ``postgresql://`` with a host or the folder of a socket.

    Attributes:
        url: The same by way of the proxy.
        port: Where it listens.
        asked, answered: Bytes that were passed on to the server, and to clients.
        accepted: How many connections there ever were.
        dropped: How many replies were lost.
    """

    def __init__(self, url: str) -> None:
        self._server = _address(url)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.url = _by_way_of(url, self.port)
        self.asked = self.answered = self.accepted = self.dropped = 0
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._flows = threading.Event()
        self._is_closed = False
        self.heal()
        self._thread = threading.Thread(target=self._accept, name=f"proxy-{self.port}", daemon=True)
        self._thread.start()

    def heal(self) -> None:
        """Pass everything on again, also what was held back. Connections that were cut stay so."""
        self._seconds = 0.0
        self._is_refused = False
        self._to: bytes | None = None
        self._flows.set()

    def delay(self, seconds: float) -> None:
        """Let each reply come so much later."""
        self._seconds = seconds

    def freeze(self) -> None:
        """Pass nothing on, in either direction, and close nothing. New connections are taken and get no answer."""
        self._flows.clear()

    def drop_reply(self, to: bytes = b"") -> None:
        """
        Lose one reply, and the connection with it: that to the next request which has *to* in it.

        The server has got the request whole, and has answered.
        """
        self._to = to

    def refuse(self) -> None:
        """End new connections at once, and all that there are."""
        self._is_refused = True
        self.cut()

    def cut(self) -> None:
        """End all connections without a goodbye, as a host does that was switched off and on."""
        for link in self._open:
            link.cut()

    def half_close(self) -> None:
        """Tell clients that nothing more will come; what they say still reaches the server."""
        for link in self._open:
            link.half_close()

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._open)

    @property
    def _open(self) -> list[_Link]:
        with self._lock:
            return list(self._links)

    def close(self) -> None:
        """End it, its connections and its threads."""
        self._is_closed = True
        # Wakes the thread that waits for somebody to come; closing the socket would not.
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listening.close()
        self.heal()
        for link in self._open:
            link.cut(socket.SHUT_RDWR)
            link.join()

    # -- what threads do ------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self.accepted += 1
            if self._is_refused or self._is_closed:
                _reset(client)
                continue
            try:
                server = _connected(self._server)
            except OSError:
                _reset(client)  # nobody is there behind us
                continue
            link = _Link(self, client, server)
            with self._lock:
                self._links.add(link)
            link.start()

    def _forget(self, link: _Link) -> None:
        with self._lock:
            self._links.discard(link)

    def _is_lost(self, request: bytes) -> bool:
        """Is the reply to *request* the one to lose? Only one is."""
        with self._lock:
            if self._to is None or self._to not in request:
                return False
            self._to = None
            return True


class _Link:
    """One connection: two sockets, and a thread for each direction."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._loses = False
        self._ended = threading.Event()
        self._running = 2
        self._threads = [
            threading.Thread(target=self._run, args=(work,), daemon=True) for work in (self._ask, self._answer)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(10)

    def cut(self, what: int = socket.SHUT_RD) -> None:
        self._ended.set()
        for each in (self._client, self._server):
            with contextlib.suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                # Wakes the thread that reads, and says nothing to the peer: the last of the two closes.
                each.shutdown(what)

    def half_close(self) -> None:
        with contextlib.suppress(OSError):
            self._client.shutdown(socket.SHUT_WR)

    def _run(self, work: Callable[[], None]) -> None:
        with contextlib.suppress(OSError):
            work()
        with self._proxy._lock:
            self._running -= 1
            is_last = self._running == 0
        if is_last:
            self._client.close()
            self._server.close()
            self._proxy._forget(self)

    def _ask(self) -> None:
        while request := self._client.recv(_MOST):
            self._wait()
            if self._proxy._is_lost(request):
                self._loses = True
            # Counted first: who has the answer may ask at once how much it was.
            self._proxy.asked += len(request)
            self._server.sendall(request)
        self._wait()
        if not self._ended.is_set():
            self._server.shutdown(socket.SHUT_WR)

    def _answer(self) -> None:
        while reply := self._server.recv(_MOST):
            self._ended.wait(self._proxy._seconds)
            self._wait()
            if self._loses:
                self._proxy.dropped += 1
                self.cut()
                return
            self._proxy.answered += len(reply)
            self._client.sendall(reply)
        self._wait()
        if not self._ended.is_set():
            self._client.shutdown(socket.SHUT_WR)

    def _wait(self) -> None:
        """Until something is passed on again; not at all where the connection was cut meanwhile."""
        while not (self._ended.is_set() or self._proxy._flows.wait(0.05)):
            pass
        if self._ended.is_set():
            # What came after the cut can still be read from the socket.
            raise ConnectionError


def _address(url: str) -> tuple[str, int] | str:
    parts = urlsplit(url)
    folder = dict(parse_qsl(parts.query)).get("host")
    if folder is not None:
        return f"{folder}/.s.PGSQL.{parts.port or 5432}"
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def _by_way_of(url: str, port: int) -> str:
    parts = urlsplit(url)
    login, at, _ = parts.netloc.rpartition("@")
    query = urlencode([(name, value) for name, value in parse_qsl(parts.query) if name != "host"])
    return urlunsplit((parts.scheme, f"{login}{at}127.0.0.1:{port}", parts.path, query, ""))


def _connected(address: tuple[str, int] | str) -> socket.socket:
    if isinstance(address, tuple):
        made = socket.create_connection(address, 5)
        made.settimeout(None)
        return made
    made = socket.socket(socket.AF_UNIX)
    try:
        made.connect(address)
    except OSError:
        made.close()
        raise
    return made


def _reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    client.close()


@pytest.fixture
def proxies() -> Iterator[Callable[[str], Proxy]]:
    """A function that puts a proxy before the server at a URL: ``proxies(redis_url).url``."""
    made: list[Proxy] = []

    def start(url: str) -> Proxy:
        made.append(Proxy(url))
        return made[-1]

    yield start
    for proxy in made:
        proxy.close()
