"""What was measured in this process and not told to the store yet. Bounded, exact under threads, no I/O."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from payaid_entitlements.core.flags.rollouts.measured import IDS, PROCESSES, Arm, count_field
from payaid_entitlements.forking import after_fork

#: Of so many tenants or users it is known in each step that they were counted; of more, nothing is.
MOST_IDS: Final = 4_096
#: So many steps may wait for the store. There are more only when it does not answer while many rollouts go on.
MOST_WAITING: Final = 256


class Tallies:
    """
    Counts by name of a tally and field.

    What several fields say of one sample is added at once, so that nobody takes a half of it.
    """

    def __init__(self) -> None:
        self.reset()
        after_fork(self.reset)

    def reset(self) -> None:
        """Know nothing, as after a fork: what the parent counted it tells itself."""
        self._lock = threading.Lock()
        self._waiting: defaultdict[str, Counter[str]] = defaultdict(Counter)
        #: By flag: the tally of its running step, and whom this process has counted in it.
        self._seen: dict[str, tuple[str, set[int]]] = {}

    def add(self, flag: str, tally: str, arm: Arm, whose: str, fields: Iterable[str]) -> bool:
        """
        Count one sample of *whose* arm: one in each of *fields*, and its id where that is new.

        Returns:
            Whether it was counted: not where too much waits for the store already.
        """
        with self._lock:
            if tally not in self._waiting and len(self._waiting) >= MOST_WAITING:
                return False
            counts = self._waiting[tally]
            counts.update(fields)
            named, seen = self._seen.get(flag, ("", set()))
            if named != tally:
                seen = set()
                self._seen[flag] = (tally, seen)
                counts[PROCESSES] += 1
            if len(seen) < MOST_IDS and (hashed := hash(whose)) not in seen:
                seen.add(hashed)
                counts[count_field(arm, IDS)] += 1
            return True

    def names(self) -> list[str]:
        """Say which tallies wait."""
        with self._lock:
            return list(self._waiting)

    def take(self, tally: str) -> Mapping[str, int]:
        """Give what waits of a tally; it waits no more."""
        with self._lock:
            return self._waiting.pop(tally, {})
