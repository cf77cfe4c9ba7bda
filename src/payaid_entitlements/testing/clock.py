"""A clock for tests. Until it is moved it is the real one; from then on it stands where it was put."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from payaid_entitlements.core.instant import instant, moment


class FakeClock:
    """
    Seconds since the epoch, under the test's control.

    It looks at ``time.time`` at each call until it is first moved, so freezegun and time-machine work with it.

    Args:
        at: Where it stands; None to follow the real time until it is moved.
    """

    def __init__(self, at: datetime | None = None) -> None:
        self._at = None if at is None else instant(at)
        self._told: list[Callable[[], None]] = []

    def __call__(self) -> float:
        """Seconds since the epoch."""
        return time.time() if self._at is None else self._at / 1_000_000

    def now(self) -> datetime:
        """Where it stands, aware, in UTC."""
        return datetime.fromtimestamp(time.time(), UTC) if self._at is None else moment(self._at)

    def advance(
        self, by: timedelta | None = None, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0
    ) -> None:
        """Move on by a length of time; a negative one moves back."""
        length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        self.travel_to(self.now() + length + (by or timedelta()))

    def travel_to(self, at: datetime) -> None:
        """
        Stand at *at*.

        Raises:
            TypeError: *at* is naive.
        """
        before, self._at = self(), instant(at)
        if self() < before:
            for tell in tuple(self._told):
                tell()

    def when_put_back(self, tell: Callable[[], None]) -> None:
        """Call *tell* after each move into the past: what was read since then must not look fresh."""
        self._told.append(tell)

    def forget(self, tell: Callable[[], None]) -> None:
        """Do not call *tell* any more."""
        self._told.remove(tell)
