"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds that something may take which happens at once on a quiet machine.
LONGEST = 30.0


def until(is_so: Callable[[], object], seconds: float = LONGEST) -> None:
    """Wait until *is_so* says yes; fail when it has not after so many *seconds*."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)
