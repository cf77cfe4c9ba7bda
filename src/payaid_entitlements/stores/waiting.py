"""Waiting on a socket that a driver has opened, from one thread, and ending that from another."""

from __future__ import annotations

import selectors
import socket
from contextlib import suppress


def is_readable(descriptor: int, seconds: float) -> bool:
    """Wait until there is something to read, or the other end has hung up; False when *seconds* pass before that."""
    # Looked up at each call: gevent puts its own in place, in which a greenlet waits and not the thread.
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        # The timeout of epoll is rounded up to milliseconds.
        return bool(selector.select(max(seconds, 0.0)))


class Handle:
    """
    A second handle on the same connection, by which another thread can end it.

    A descriptor's number may be given to the next file as soon as the driver closes its own; this one stays.
    """

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=socket.dup(descriptor))

    def hang_up(self) -> None:
        """Let whoever waits for something to read find that there is nothing more."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of this handle; the connection stays open."""
        self._socket.close()
