"""
The copy in this process. Reads take no lock; every change is made under one and published by one store.

Two promises end an answer's life, and a hit compares both with one clock:

- `Entry.until`: its freshness, or the next transition that the tenant's own facts foretell;
- `LocalCache.lease`: how long the change log, as last read, vouches for everything here. A dead poller,
  a fork or a gap ends answers; it never prolongs them.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from typing import Final

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.resolution import Standpoint, Table
from payaid_entitlements.core.world import World
from payaid_entitlements.forking import after_fork

#: Before everything: what was never confirmed.
NEVER: Final = float("-inf")
#: After everything: what nothing is known to end.
FOREVER: Final = float("inf")

#: Seconds after which the change log is looked at again, by whoever asks next.
POLL_AFTER: Final = 2.0
#: Seconds for which a look at the change log vouches for what is here.
LEASE: Final = 5.0
#: Invalidations that are remembered one by one; more, and everything is dropped.
MOST_FLOORS: Final = 10_000

#: The reading of the clock at which a standpoint ends, the instant that this is, and the standpoint.
Later = tuple[float, Instant | None, Standpoint]


class Entry:
    """
    What is known of one tenant. Small: there may be a hundred thousand.

    All times are readings of the cache's clock, in seconds.

    Attributes:
        until: The earlier of `fresh` and `ends`; the one thing a hit compares.
        table: Decisions for writing, of the standpoint that holds now.
        touched: Set by a hit; the eviction hand clears it.
        standpoint: What holds now; `ends` when it does not any more, which is the instant `transition`.
        later: The standpoints that follow.
        revision: Of the tenant's document.
        read_at: When it was asked for.
        fresh: From then on it should be read again.
        users: The same for users with overrides of their own; None where there are none.
    """

    __slots__ = (
        "ends",
        "fresh",
        "later",
        "read_at",
        "revision",
        "standpoint",
        "table",
        "touched",
        "transition",
        "until",
        "users",
    )

    def __init__(
        self,
        segments: tuple[Later, ...],
        *,
        revision: int,
        read_at: float,
        fresh: float,
        users: Mapping[str, tuple[Later, ...]] | None = None,
    ) -> None:
        self.ends, self.transition, self.standpoint = segments[0]
        self.later = segments[1:]
        self.revision = revision
        self.read_at = read_at
        self.fresh = fresh
        self.until = min(self.ends, fresh)
        self.table: Table = self.standpoint.write
        self.touched = 0
        self.users = users

    def at(self, now: float) -> Entry | None:
        """The entry with the standpoint that holds at *now*; None when what follows is not known."""
        if now < self.ends:
            return self
        rest = self.later
        while rest and rest[0][0] <= now:
            rest = rest[1:]
        if not rest:
            return None
        return Entry(rest, revision=self.revision, read_at=self.read_at, fresh=self.fresh, users=self.users)

    def for_user(self, user: str | None, now: float) -> tuple[Instant | None, Standpoint]:
        """The standpoint of *user* at *now*, and its transition; the tenant's where the user has no overrides."""
        if user is not None and self.users is not None:
            for ends, transition, standpoint in self.users.get(user, ()):
                if now < ends:
                    return transition, standpoint
        return self.transition, self.standpoint


class LocalCache:
    """
    Bounded, versioned, fork-safe copies of what tenants hold.

    Args:
        bound: Most tenants that are kept. Eviction is CLOCK, so that a hit only sets a mark.
        clock: Seconds, never running backwards.
        fresh_for: Seconds after which an entry is read again although nothing has changed; 10 % are
            taken off at random, so that a crowd does not come back at once.
    """

    def __init__(self, *, bound: int, clock: Callable[[], float], fresh_for: float) -> None:
        self.bound = bound
        self.clock = clock
        self.fresh_for = fresh_for
        self.generation = 0
        self._hand = 0
        self.reset()
        after_fork(self.reset)

    def reset(self) -> None:
        """Forget everything, as after a fork: locks of the parent may be held by nobody any more."""
        self.lock = threading.Lock()
        self._forget()

    def clear(self) -> None:
        """Forget everything, as when the client is closed."""
        with self.lock:
            self._forget()

    def _forget(self) -> None:
        self.lease = NEVER
        self.trusted = NEVER
        self.confirmed = NEVER
        self.retry_at = NEVER
        self.position: int | None = None
        self.world: World | None = None
        self._drop()

    def extend(self, asked_at: float) -> None:
        """Note that the change log, asked at *asked_at*, was read to its end."""
        with self.lock:
            self.confirmed = asked_at
            self.lease = asked_at + POLL_AFTER
            self.trusted = asked_at + LEASE

    def fresh_until(self, now: float) -> float:
        """Until when an entry that is read now is fresh."""
        return now + self.fresh_for * (1 - 0.1 * random.random())

    def floor(self, tenant: str) -> int:
        """The lowest revision of *tenant* that may still be believed."""
        return self._floors.get(tenant, 0)

    def current(self, tenant: str, now: float) -> Entry | None:
        """The entry of *tenant*, moved on to the standpoint that holds at *now*; None when there is none."""
        held = self.held.get(tenant)
        if held is None or now < held.ends:
            return held
        with self.lock:
            # What is here now: it may have been read again meanwhile, or invalidated, and must not be revived.
            held = self.held.get(tenant)
            moved = None if held is None else held.at(now)
            if moved is not None and moved is not held:
                moved.touched = 1
                self.held[tenant] = moved
        return moved

    def put(self, tenant: str, entry: Entry, generation: int) -> bool:
        """
        Keep *entry*, unless something newer is already known.

        Args:
            generation: What `generation` was when the reading began; a drop since then makes it too old.

        Returns:
            Whether it was kept.
        """
        with self.lock:
            if generation != self.generation or entry.revision < self._floors.get(tenant, 0):
                return False
            known = self.held.get(tenant)
            if known is not None:
                # The same revision may have been joined with an older row of the host's.
                if (entry.revision, entry.read_at) < (known.revision, known.read_at):
                    return False
                entry.touched = known.touched
            else:
                self._make_room(tenant)
            self.held[tenant] = entry
            return True

    def _make_room(self, tenant: str) -> None:
        if len(self._ring) < self.bound:
            self._ring.append(tenant)
            return
        ring, held, hand = self._ring, self.held, self._hand
        while True:
            leaving = held.get(ring[hand])
            if leaving is None or not leaving.touched:
                break
            leaving.touched = 0
            hand = hand + 1 if hand + 1 < len(ring) else 0
        held.pop(ring[hand], None)
        ring[hand] = tenant
        self._hand = hand + 1 if hand + 1 < len(ring) else 0

    def invalidate(self, tenant: str, revision: int) -> None:
        """Believe nothing about *tenant* that is older than *revision*."""
        with self.lock:
            if len(self._floors) >= MOST_FLOORS and tenant not in self._floors:
                self._drop()
            self._floors[tenant] = max(revision, self._floors.get(tenant, 0))
            known = self.held.get(tenant)
            if known is not None and known.revision < revision:
                known.until = known.fresh = NEVER

    def drop(self) -> None:
        """Believe nothing that was read before now."""
        with self.lock:
            self._drop()

    def turn_to(self, world: World, generation: int) -> bool:
        """
        Believe nothing that was read before now; answers follow *world* from here on.

        Args:
            generation: What `generation` was when reading *world* began; a drop since then makes it too old.

        Returns:
            Whether it was new enough.
        """
        with self.lock:
            if generation != self.generation:
                return False
            self.world = world
            self._drop()
            return True

    def _drop(self) -> None:
        # Never back to a number that a reading under way may have seen.
        self.generation += 1
        self.held: dict[str, Entry] = {}
        self._ring: list[str] = []
        self._hand = 0
        self._floors: dict[str, int] = {}
