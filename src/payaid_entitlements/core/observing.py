"""
What lower floors tell upward: counts and warnings, through an `Observer` that is handed in, never by import.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Final, Protocol

from payaid_entitlements.core.redacting import masked_lines, without_secrets
from payaid_entitlements.forking import after_fork

#: By this name the host finds what we say, in structlog and in `logging`.
LOGGER: Final = "payaid_entitlements"
#: At most so many different things are logged "once" and counted apart; keys may come from callers.
MOST_NAMES = 10_000


class _Log:
    """
    The log of the host: structlog where it has set that up, else the standard library's; secrets are masked in both.

    Nothing is configured here, which is the host's to do. Where it uses `logging` alone, an event is one line and its
    fields are in ``record.payaid``.
    """

    def info(self, event: str, **fields: object) -> None:
        """Say that *event* happened."""
        self._say(logging.INFO, event, None, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Say that *event* happened and that somebody should look at it."""
        self._say(logging.WARNING, event, None, fields)

    def error(self, event: str, *, error: BaseException, **fields: object) -> None:
        """
        Say that something failed by *error*, which is handed on with its traceback. What `logging` writes of that is
        masked; what structlog makes of it is for `payaid_entitlements.logs.redact`.
        """
        self._say(logging.ERROR, event, error, fields)

    def _say(self, level: int, event: str, error: BaseException | None, fields: Mapping[str, object]) -> None:
        # By the configuration of now: the host may set up its logging after it has imported us. What it has not
        # imported it has not configured; to do that here takes longer than all of ours.
        structlog = sys.modules.get("structlog")
        if structlog is not None and structlog.is_configured():
            said = without_secrets(fields)
            if error is not None:
                said["exc_info"] = error
            # By its level, since not every logger that can be configured has a method of each name.
            getattr(structlog.get_logger(LOGGER), logging.getLevelName(level).lower())(event, **said)
            return
        logger = logging.getLogger(LOGGER)
        # Before what is said is masked, which takes longer than most of what it is about.
        if logger.isEnabledFor(level):
            said = without_secrets(fields)
            line = " ".join((event, *(f"{name}={value!r}" for name, value in said.items())))
            extra = {"payaid": {"event": event, **said}}
            if error is None:
                logger.log(level, "%s", line, extra=extra)
                return
            raised = type(error), error, error.__traceback__
            record = logger.makeRecord(LOGGER, level, __file__, 0, "%s", (line,), raised, extra=extra)
            # A formatter uses the text as it is when it is there.
            record.exc_text = masked_lines(logging.Formatter().formatException(raised))
            logger.handle(record)


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
