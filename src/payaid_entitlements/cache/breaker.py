"""
A circuit breaker: whoever gives no answer is left alone for a moment, and then asked by one before all others.

Closed, everybody asks. It opens after one wait that was long, or after a few failures in a row that were quick; then
everybody is told so at once. When it has been open for a while one caller tries: an answer closes it, none opens it
for twice as long. The longest pause is two seconds, so that a recovery is seen within two.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal

from payaid_entitlements.errors import EntitlementError, SchemaOutOfDate, StoreDamaged, StoreUnavailable

#: Seconds for which it is open at first and at most; up to a quarter is taken off at random, so that many processes do
#: not try at once.
SHORTEST: Final = 0.5
LONGEST: Final = 2.0
#: Seconds after which a failure was a wait, and costs too much to be repeated.
STALLED: Final = 0.1
#: Quick failures in a row: one may be a connection that was closed while it was idle.
QUICK: Final = 3
#: Seconds after which a trial that has not ended counts no more: another caller may try.
TRIAL: Final = 2.0

#: What can be seen of it; at half-open one caller is trying.
State = Literal["closed", "open", "half-open"]


class Breaker:
    """
    Guards what may give no answer. Safe to share between threads and tasks.

    Args:
        what: Its name, for the error.
        clock: Seconds, never running backwards: how long it is open.
        quick: Quick failures in a row that open it; None when only a wait does, since a failure says nothing about
            the next question.
        longest: Seconds for which it is open at most.
        unavailable: What is raised while it is open.
        failure: What counts as one.
        tell: Is told when it opens and when it closes; must not raise.
        stopwatch: Seconds, never running backwards: how long an answer took.
        luck: Draws a number of the half-open interval from 0 to 1.
    """

    def __init__(
        self,
        what: str,
        clock: Callable[[], float],
        *,
        quick: int | None = QUICK,
        longest: float = LONGEST,
        unavailable: Callable[[str], EntitlementError] = StoreUnavailable,
        failure: type[Exception] = StoreUnavailable,
        tell: Callable[[Literal["closed", "open"]], None] = lambda state: None,
        stopwatch: Callable[[], float] = time.monotonic,
        luck: Callable[[], float] = random.random,
    ) -> None:
        self._what = what
        self._clock = clock
        self._quick = quick
        self._longest = longest
        self._unavailable = unavailable
        self._failure = failure
        self._tell = tell
        self._stopwatch = stopwatch
        self._luck = luck
        self._lock = threading.Lock()
        self._failures = 0
        self._pause = 0.0
        #: When the next caller may try; None while it is closed.
        self._until: float | None = None
        self._is_tried = False

    @property
    def state(self) -> State:
        """How it stands."""
        if self._until is None:
            return "closed"
        return "half-open" if self._is_tried else "open"

    def asking(self, *, is_patient: bool = False) -> Asking:
        """
        Ask inside the block.

        Args:
            is_patient: It may have to wait, and that it waited long says no more than that it failed.

        Only what is a *failure* counts. What is damaged or out of date was answered; what was cancelled, and a mistake
        in a program, say nothing.

        Raises:
            StoreUnavailable: It gave no answer, or none a moment ago: then the block is not entered.
        """
        return Asking(self, is_patient)

    def enter(self) -> tuple[bool, float]:
        """Let a caller in. It is told whether it is to try for all others, and when it began."""
        return self._enter(), self._stopwatch()

    def leave(self, error: BaseException | None, is_trial: bool, began: float, is_patient: bool) -> None:
        """Learn what became of a caller."""
        match error:
            case None | StoreDamaged() | SchemaOutOfDate():
                self._close()
            case _ if isinstance(error, self._failure):
                self._fail(is_trial, 0.0 if is_patient else self._stopwatch() - began)
            case _ if is_trial:
                self._give_back()

    def _enter(self) -> bool:
        if self._until is None:
            return False
        with self._lock:
            now = self._clock()
            if self._until is None:
                return False
            if now < self._until:
                raise self._unavailable(f"{self._what} gave no answer a moment ago")
            self._until, self._is_tried = now + TRIAL, True
            return True

    def _close(self) -> None:
        if self._until is None and not self._failures:
            return
        with self._lock:
            was_open = self._until is not None
            self._until, self._is_tried = None, False
            self._failures, self._pause = 0, 0.0
        if was_open:
            self._tell("closed")

    def _fail(self, is_trial: bool, seconds: float) -> None:
        with self._lock:
            was_open = self._until is not None
            # Who began before it opened adds nothing to what is known.
            if was_open and not is_trial:
                return
            self._failures += 1
            is_enough = self._quick is not None and self._failures >= self._quick
            if is_trial or seconds >= STALLED or is_enough:
                self._pause = min(max(SHORTEST, 2 * self._pause), self._longest)
                self._until = self._clock() + self._pause * (1 - self._luck() / 4)
                self._is_tried = False
            is_open = self._until is not None
        if is_open and not was_open:
            self._tell("open")

    def _give_back(self) -> None:
        with self._lock:
            if self._until is not None:
                self._until, self._is_tried = self._clock(), False


class Asking:
    """A block in which somebody is asked: see `Breaker.asking`."""

    # No generator: that would cost more than all else around a step that counts.
    __slots__ = ("_began", "_breaker", "_is_patient", "_is_trial")

    def __init__(self, breaker: Breaker, is_patient: bool) -> None:
        self._breaker = breaker
        self._is_patient = is_patient

    def __enter__(self) -> None:
        self._is_trial, self._began = self._breaker.enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._breaker.leave(error, self._is_trial, self._began, self._is_patient)
