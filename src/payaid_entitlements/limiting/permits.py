"""Permits of limits of so many at once: drawn, waited for, and which verb is for them."""

from __future__ import annotations

import random
import secrets
import time
from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from payaid_entitlements.errors import StoreUnavailable
    from payaid_entitlements.limiting.groups import Course
    from payaid_entitlements.stores.limiter import Group

#: A permit is a number from 1 to this: the largest that limiters count with exactly.
_MOST: Final = 2**52
#: Seconds between two tries: at first and at most. Up to a half is taken off at random, so that those who wait take
#: turns.
_SHORTEST: Final = 0.01
_LONGEST: Final = 0.1
#: Permits that are remembered after an outage; of more than these each is free when its time is over.
_MOST_DUE: Final = 4_096
#: So many are given back by one call that is answered: it is not to wait for all of them.
FEW: Final = 8


class Due:
    """
    Permits that nobody needs and that may be held: of calls that the limiter did not answer.

    A server that stood still counts afterwards whatever it was sent. Without these an outage of seconds would leave
    permits that are held until their time is over, and nobody would get one for as long.
    """

    __slots__ = ("_due", "_unsure")

    def __init__(self) -> None:
        # Each is used by one operation of a set or a deque at a time: threads need no lock.
        self._unsure: set[int] = set()
        self._due: deque[tuple[Group, int]] = deque()

    def __len__(self) -> int:
        return len(self._due)

    def doubt(self, permit: int, error: StoreUnavailable) -> None:
        """Note that it is not known whether *permit* was taken; it is, where nothing was sent: that has no cause."""
        if permit and error.__cause__ is not None:
            self._unsure.add(permit)

    def is_doubted(self, permit: int) -> bool:
        """Is it so? It is asked once, when whoever drew *permit* needs it no more."""
        if permit not in self._unsure:
            return False
        self._unsure.remove(permit)
        return True

    def add(self, group: Group, permit: int) -> None:
        """Let *permit* be given back when there is an answer again."""
        if len(self._due) < _MOST_DUE:
            self._due.append((group, permit))

    def take(self) -> tuple[Group, int] | None:
        """One that is to be given back now; None where there is none."""
        try:
            return self._due.popleft()
        except IndexError:
            return None


def draw() -> int:
    """Draw a permit that nobody else holds: among a million that are held, by a chance of 2 in 10^10."""
    return secrets.randbelow(_MOST) + 1


def pauses(wait: timedelta | None) -> Iterator[float]:
    """Give seconds to sleep between tries, until *wait* has gone by, tries and all; none where that is None."""
    if wait is None:
        return
    end = time.monotonic() + wait.total_seconds()
    pause = _SHORTEST
    while (left := end - time.monotonic()) > 0:
        yield min(left, pause * (1 - random.random() / 2))
        pause = min(2 * pause, _LONGEST)


def require_held(course: Course) -> None:
    """
    Let only limits pass of which permits are held.

    Raises:
        TypeError: It is of another kind.
    """
    if not course.is_held and course.group is not None:
        raise TypeError(f"{course.terms.key!r} limits how often, not how many at once: use rate_limit() for it")


def no_permit(course: Course) -> TypeError:
    """The error of a call that does not hold the permit that it takes."""
    return TypeError(
        f"{course.terms.key!r} limits how many run at once, and a permit of it is given back: "
        f"use `with ent.concurrent(tenant, {course.terms.key!r}):`"
    )
