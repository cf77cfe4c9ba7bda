"""Waiting on a socket, and ending that from another thread."""

from __future__ import annotations

import socket
import threading
import time

from payaid_entitlements.stores.waiting import Handle, is_readable


def test_there_is_something_to_read_or_there_is_not():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not is_readable(ours.fileno(), 0.0)
        assert not is_readable(ours.fileno(), -1.0)
        theirs.send(b"x")
        assert is_readable(ours.fileno(), 10.0)


def test_it_waits_no_longer_than_it_may():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        began = time.monotonic()
        assert not is_readable(ours.fileno(), 0.05)
        assert time.monotonic() - began >= 0.05


def test_who_hangs_up_ends_the_waiting_of_another_thread():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        handle = Handle(ours.fileno())
        threading.Timer(0.05, handle.hang_up).start()
        assert is_readable(ours.fileno(), 20.0)
        assert ours.recv(1) == b""
        handle.hang_up()
        handle.close()


def test_a_handle_that_was_closed_hangs_up_nobody():
    """Its number may have been given to somebody else's file by then."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        handle = Handle(ours.fileno())
        handle.close()
        handle.hang_up()
        theirs.send(b"x")
        assert ours.recv(1) == b"x"
