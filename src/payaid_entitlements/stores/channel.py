"""
How a store tells of changes as they happen, where it can.

It makes answers fresh sooner, and never true: that is for the change log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from payaid_entitlements.stores.ports import LogEntry


class Wire(Protocol):
    """
    A connection on which changes are heard of, as they happen. One thread uses it; another may `interrupt` it.

    Nothing that it says is believed further than the change log bears it out: a wire that loses messages, repeats them
    or says nothing at all costs readings of the log, and never makes an answer older than 5 seconds.

    Every method but `interrupt` may raise any error. Then, and after `interrupt`, it is of no use but to be closed.
    """

    def next(self, timeout: float) -> Sequence[LogEntry | None]:
        """
        Wait until something is heard, for *timeout* seconds at most, and give all of it in its order.

        Returns:
            Empty when nothing came. None stands for a message that says only that something was missed, as one that
            cannot be read does.
        """
        ...

    def head(self) -> tuple[int, float] | None:
        """
        Read through this wire where the change log ends.

        Must give up within 2 seconds when no answer comes. Whoever is told of a change by this wire has been told of
        all up to that position within 0.2 seconds, or something was lost.

        Returns:
            The position, and how many seconds ago it was the end of the log. None when it cannot be known now.
        """
        ...

    def interrupt(self) -> None:
        """End a call that is waiting, at once, by an error; for the thread that wants the wire closed."""
        ...

    def close(self) -> None:
        """Let go of the connection. Does not wait and does not raise."""
        ...


class Channel(Protocol):
    """
    How a store tells of changes as they happen, where it can: its attribute ``channel``, None where it cannot.

    Nothing connects before `connect`, which is called in a thread of its own, again after each `Wire` that failed.
    """

    def connect(self) -> Wire:
        """
        Open a connection of its own, never one of those on which questions wait, and hear what is written from now on.

        Must give up within some seconds. May raise any error; then it is tried again later.

        Raises:
            ConfigurationError: It will never be possible; it is not tried again.
        """
        ...
