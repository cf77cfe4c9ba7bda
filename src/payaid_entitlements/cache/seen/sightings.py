"""
Who was seen to do what today, in this process: a bounded set of what is known to be told, and what waits for that.

Whoever serves a request only looks into a set, and mostly finds it there. No I/O, exact under threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date
from typing import Final

from payaid_entitlements.core.identity import identify
from payaid_entitlements.core.observing import Observer
from payaid_entitlements.core.world import World
from payaid_entitlements.forking import after_fork
from payaid_entitlements.stores.activity import LONGEST_KEY, MOST_SIGHTINGS, Seen, Sighting

#: Sightings of today that are known to be known. Where there are more, some are told again, which does no harm.
MOST_KNOWN: Final = 100_000
#: Sightings that wait for the store. There are more only while it does not answer.
MOST_WAITING: Final = 10_000

_DAY: Final = 86_400
_EPOCH: Final = date(1970, 1, 1).toordinal()


class Sightings:
    """
    What one client has seen.

    Args:
        wall: Seconds since the epoch, which say what day it is in UTC.
        begin: Is called, without a lock, when something waits: it has the store told some time.
    """

    def __init__(self, wall: Callable[[], float], observer: Observer, begin: Callable[[], object]) -> None:
        self._wall = wall
        self._observer = observer
        self._begin = begin
        self.reset()
        after_fork(self.reset)

    def reset(self) -> None:
        """Know nothing, as after a fork: what the parent has seen it tells itself."""
        self._lock = threading.Lock()
        self._known: set[tuple[str, Seen, str]] = set()
        self._waiting: set[Sighting] = set()
        self._today = date.min
        self._from, self._until = 0.0, 0.0

    @property
    def today(self) -> date:
        """The day that it is, in UTC."""
        return date.fromordinal(_EPOCH + int(self._wall() // _DAY))

    @property
    def is_idle(self) -> bool:
        """Is there nothing that waits?"""
        return not self._waiting

    def saw(self, tenant: str, kind: Seen, key: str) -> None:
        """Note that *tenant* did that today. Costs a look into a set where it is known. Never raises."""
        mark = (tenant, kind, key)
        if mark in self._known and self._from <= self._wall() < self._until:
            return
        if self._note(mark):
            self._begin()

    def _note(self, mark: tuple[str, Seen, str]) -> bool:
        tenant, kind, key = mark
        with self._lock:
            now = self._wall()
            if not self._from <= now < self._until:
                # Another day. A clock that was set back has one too.
                self._from = now // _DAY * _DAY
                self._until = self._from + _DAY
                self._today = self.today
                self._known.clear()
            elif mark in self._known:
                return False
            if len(self._waiting) >= MOST_WAITING or not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
                self._observer.count("activity.dropped", kind.value)
                return False
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known.add(mark)
            self._waiting.add(Sighting(tenant, self._today, kind, key))
            return True

    def take(self) -> tuple[Sighting, ...]:
        """Take as many as are told at once; they wait no more."""
        with self._lock:
            return tuple(self._waiting.pop() for _ in range(min(len(self._waiting), MOST_SIGHTINGS)))

    def give_back(self, taken: tuple[Sighting, ...]) -> None:
        """Let what was taken in vain wait again."""
        with self._lock:
            self._waiting.update(taken)

    def drop(self, taken: tuple[Sighting, ...]) -> None:
        """Give up what could not be told, and count it; who does it again today is seen again."""
        with self._lock:
            self._known.difference_update((each.tenant, each.kind, each.key) for each in taken)
        for each in taken:
            self._observer.count("activity.dropped", each.kind.value)

    def forget(self, tenant: str) -> None:
        """Know nothing of *tenant*."""
        with self._lock:
            self._waiting = {each for each in self._waiting if each.tenant != tenant}
            self._known = {mark for mark in self._known if mark[0] != tenant}


def saw(sightings: Sightings | None, tenant: str, kind: Seen, key: str) -> None:
    """
    Note what a caller says, where anything is noted.

    Raises:
        TypeError: An id identifies nobody, or the key nothing.
    """
    identify("tenant", tenant)
    identify("key", key)
    if sightings is not None:
        sightings.saw(tenant, kind, key)


def note_use(sightings: Sightings | None, world: World | None, tenant: str, key: str) -> None:
    """Note that *tenant* uses the module of *key* today, where both are known."""
    module = None if world is None else world.module_of(key)
    if sightings is not None and module is not None:
        sightings.saw(tenant, Seen.MODULE, module)
