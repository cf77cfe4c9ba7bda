"""
What lower floors tell upward: counts and warnings, through an `Observer` that is handed in, never by import.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

from payaid_entitlements.forking import after_fork

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: At most so many different things are logged "once" and counted apart; keys may come from callers.
MOST_NAMES = 10_000


class _Log:
    """
    The log of the host, by structlog, which is imported when first something is said.

    It takes longer to import than most of ours, above all where rich is installed, and a process that has nothing to
    complain of never needs it.
    """

    def info(self, event: str, **fields: object) -> None:
        """Say that *event* happened."""
        self._bound().info(event, **fields)

    def warning(self, event: str, **fields: object) -> None:
        """Say that *event* happened and that somebody should look at it."""
        self._bound().warning(event, **fields)

    def _bound(self) -> FilteringBoundLogger:
        import structlog

        # By the configuration of now: the host may set up its logging after it has imported us.
        logger: FilteringBoundLogger = structlog.get_logger("payaid_entitlements")
        return logger


log: Final = _Log()


class Observer(Protocol):
    """Is told what happens off the hot path. Must not raise and not block."""

    def count(self, name: str, *labels: str) -> None:
        """Count one occurrence of *name*, told apart by *labels* (feature, reason ...)."""
        ...

    def once(self, event: str, **fields: object) -> None:
        """Warn of something, the first time that just this is said in this process."""
        ...


class Tally:
    """
    The observer that every client has: counts in memory, warns through structlog.

    Exact under threads; it is only used on misses and on answers that are counted.
    """

    def __init__(self) -> None:
        self.unlock()
        after_fork(self.unlock)
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._said: set[str] = set()

    def unlock(self) -> None:
        """Wait for nobody, as after a fork: the thread that held the lock does not exist in the child."""
        self._lock = threading.Lock()

    def count(self, name: str, *labels: str) -> None:
        """Same as `Observer.count`."""
        key = (name, *labels)
        with self._lock:
            if key not in self._counts and len(self._counts) >= MOST_NAMES:
                key = (name, "(others)")
            self._counts[key] += 1

    def once(self, event: str, **fields: object) -> None:
        """Same as `Observer.once`."""
        # Without the text of an error, which may name the tenant: an outage is one thing, not one for each who asks.
        said = f"{event} {sorted(item for item in fields.items() if item[0] != 'store_error')!r}"
        with self._lock:
            if said in self._said or len(self._said) >= MOST_NAMES:
                return
            self._said.add(said)
        log.warning(event, **fields)

    def counts(self) -> Mapping[tuple[str, ...], int]:
        """What was counted so far, by name and labels."""
        with self._lock:
            return dict(self._counts)


#: Decisions that were used as a truth value in this process. Some frameworks swallow the TypeError; this does not.
MISREAD = Tally()
