"""
How long a question waits for a store that says nothing: a quarter of a second.

It goes with the context, so that it reaches a driver through everything between, in threads and in tasks. Outside a
question, for changes and for listings, the driver's own limits hold. It bounds each exchange; that a question with
several waits only once for a server which stands still is done by the circuit breaker.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Final

#: Seconds that a question waits, and how much later whoever waits for a driver that does not look at the time gives
#: up: together a quarter of a second, the most that a server which stands still may cost. A read of 0.2 s is answered.
QUESTION: Final = 0.22
GRACE: Final = 0.03
#: Seconds that others wait while the first question connects, looks at the schema and reads what is sold.
BEGINNING: Final = 2.0

_patience: ContextVar[float | None] = ContextVar("payaid_patience", default=None)


def is_question() -> bool:
    """Does a question wait?"""
    return _patience.get() is not None


def silence(otherwise: float) -> float:
    """
    Seconds that one exchange with a server may take.

    Args:
        otherwise: Outside a question.
    """
    seconds = _patience.get()
    return otherwise if seconds is None else seconds


class Within:
    """Same as `within`."""

    # No generator: that would cost more than all else around a step that counts.
    __slots__ = ("_seconds", "_token")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._token: Token[float | None] = _patience.set(self._seconds)

    def __exit__(self, *failure: object) -> None:
        _patience.reset(self._token)


def within(seconds: float | None) -> Within:
    """Wait for at most so long inside the block; None for the driver's own limits."""
    return Within(seconds)
