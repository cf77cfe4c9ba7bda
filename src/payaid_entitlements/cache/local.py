"""
The copy in this process. Reads take no lock; every change is made under one and published by one store.

Two promises end an answer's life, and a hit compares both with one clock:

- `Entry.until`: its freshness, or the next transition that the tenant's own facts foretell;
- `LocalCache.lease`: how long the change log, as last read, vouches for everything here. A dead poller,
  a fork or a gap ends answers; it never prolongs them.

Two threads may bring news at once: whoever asks and reads the change log, and the one that listens to a channel. What
either knows is only ever added to: positions and instants go forward, and a doubt outlives a reading that began
before it.
"""

from __future__ import annotations

import random
import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Final

from payaid_entitlements.core.flags.exposures import Exposures, exposing
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.lots import Metered
from payaid_entitlements.core.metering.meters import Packed
from payaid_entitlements.core.resolution import Standpoint, Table
from payaid_entitlements.core.world import World
from payaid_entitlements.forking import after_fork
from payaid_entitlements.stores.ports import LogEntry

#: Before everything: what was never confirmed.
NEVER: Final = float("-inf")
#: After everything: what nothing is known to end.
FOREVER: Final = float("inf")

#: Seconds after which the change log is looked at again, by whoever asks next.
POLL_AFTER: Final = 2.0
#: Seconds for which a look at the change log vouches for what is here.
LEASE: Final = 5.0
#: Invalidations that are remembered. Of older ones only that there were some: no reading from before them is kept.
MOST_FLOORS: Final = 10_000

#: The reading of the clock at which a standpoint ends, the instant that this is, the standpoint, and what meters need.
Later = tuple[float, Instant | None, Standpoint, Packed]


class Entry:
    """
    What is known of one tenant. Small: there may be a hundred thousand.

    All times are readings of the cache's clock, in seconds.

    Attributes:
        until: The earlier of `fresh` and `ends`; the one thing a hit compares.
        table: Decisions for writing, of the standpoint that holds now.
        touched: Set by a hit; the eviction hand clears it.
        standpoint: What holds now; `ends` when it does not any more, which is the instant `transition`.
        meters: What metering needs now.
        later: The standpoints that follow.
        revision: Of the tenant's document.
        read_at: When it was asked for.
        fresh: From then on it should be read again.
        users: The same for users with overrides of their own; None where there are none.
        counted: How features are counted now, by key, as far as somebody has asked; None where nobody has.
    """

    __slots__ = (
        "counted",
        "ends",
        "fresh",
        "later",
        "meters",
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
        self.ends, self.transition, self.standpoint, self.meters = segments[0]
        self.later = segments[1:]
        self.revision = revision
        self.read_at = read_at
        self.fresh = fresh
        self.until = min(self.ends, fresh)
        self.table: Table = self.standpoint.write
        self.touched = 0
        self.users = users
        self.counted: dict[str, Metered] | None = None

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

    def keep_counted(self, feature: str, counted: Metered) -> None:
        """Remember how *feature* is counted, for those who ask next. It is worked out from what is here alone."""
        if self.counted is None:
            self.counted = {}
        self.counted[feature] = counted

    def for_user(self, user: str | None, now: float) -> tuple[Instant | None, Standpoint]:
        """The standpoint of *user* at *now*, and its transition; the tenant's where the user has no overrides."""
        if user is not None and self.users is not None:
            for ends, transition, standpoint, _ in self.users.get(user, ()):
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
        #: Grows with each swap of `flags`.
        self.turns = 0
        self._hand = 0
        self._told: Callable[[], None] | None = None
        self._watching: tuple[Callable[[FlagSnapshot | None, FlagSnapshot], None], ...] = ()
        self._listening: tuple[Exposures, ...] = ()
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
        self.doubts = self._settled = 0
        self.position: int | None = None
        #: Changes when the log is lost track of: what one life vouches for, the next one does not.
        self.life = secrets.token_hex(8)
        #: Revisions of the tenants that the log told of, since they were taken last; empty where nobody takes them.
        self.contradicted: dict[str, int] = {}
        #: Which log `position` is of; None where the store cannot tell.
        self.history: bytes | None = None
        self.world: World | None = None
        #: All flags as they stand in `world`; None before they were first read. Swapped as a whole.
        self.flags: FlagSnapshot | None = None
        self._forget_floors(0)
        self._drop()

    def _forget_floors(self, position: int) -> None:
        # The highest revision of each tenant that a line of the log told of, and the highest position of such a line;
        # what was told of last is the last.
        self._floors: dict[str, tuple[int, int]] = {}
        self._forgotten = 0
        #: Each line of the log behind this position, up to `position`, is among the floors.
        self.known_from = position

    def extend(self, asked_at: float, doubts: int | None = None) -> None:
        """
        Note that everything that was in the change log at *asked_at* is known here.

        Args:
            doubts: What `doubts` was before the log was asked; one that arose since then has still to be settled.
        """
        with self.lock:
            self._extend(asked_at, doubts)

    def _extend(self, asked_at: float, doubts: int | None) -> None:
        self.confirmed = max(self.confirmed, asked_at)
        self.trusted = max(self.trusted, asked_at + LEASE)
        if doubts is None or doubts == self.doubts:
            self._settled = self.doubts
            self.lease = max(self.lease, asked_at + POLL_AFTER)

    def extend_at(self, position: int, asked_at: float) -> bool:
        """
        Do as `extend` does, if all up to *position*, where the log ended at *asked_at*, is known here.

        While there is a doubt nothing is done: the same position of another log, as after a backup was restored or a
        server was replaced, proves nothing. Only a reading of the log settles a doubt.

        Returns:
            False when something is missing of which nobody knew.
        """
        with self.lock:
            if self.position is None or self.doubts != self._settled:
                return True
            if self.position < position:
                return False
            self._extend(asked_at, None)
            return True

    def doubt(self) -> None:
        """Let the next question look at the change log: something may have been missed."""
        with self.lock:
            self._doubt()

    def _doubt(self) -> None:
        self.doubts += 1
        self.lease = NEVER

    def hear(self, entry: LogEntry | None) -> None:
        """
        Take in a line of the change log that a channel told of, in whatever order, however often.

        The next one in order, about a tenant, is all that there is to know. Anything else is a reason to look at the
        log: a line behind a hole, a line about all tenants, None for what could not be understood.
        """
        with self.lock:
            position = self.position
            if position is None:
                return
            if entry is None:
                self._doubt()
                return
            if entry.tenant is not None:
                # Also behind a hole, and when it was known: it is true in any case.
                self._invalidate(entry.tenant, entry.revision, entry.position)
            if entry.tenant is None or entry.position > position + 1:
                if entry.position > position:
                    self._doubt()
            else:
                self.position = max(position, entry.position)
        if self._told is not None:
            self._told()

    def heed(self, told: Callable[[], None]) -> None:
        """Collect which tenants the log contradicts, and call *told*, without the lock, when a channel tells of one."""
        self._told = told

    def take_contradicted(self) -> tuple[str, dict[str, int], float]:
        """Take `contradicted`, with `life`, and `confirmed`: they are all up to there."""
        with self.lock:
            taken, self.contradicted = self.contradicted, {}
            return self.life, taken, self.confirmed

    def give_back(self, taken: Mapping[str, int]) -> None:
        """Collect again what was taken in vain."""
        with self.lock:
            for tenant, revision in taken.items():
                self.contradicted[tenant] = max(revision, self.contradicted.get(tenant, 0))

    def is_another(self, history: bytes | None) -> bool:
        """Is *history* that of another log than was read before, so that its positions say nothing about ours?"""
        known = self.history
        return known is not None and history is not None and known != history

    def reach(self, position: int, history: bytes | None = None) -> None:
        """Note that all lines of the log *history* up to *position* are known here; some more may be."""
        with self.lock:
            # Also where somebody has moved on to another log meanwhile: then the next reading finds that out.
            self.history = history
            if self.position is None:
                self.known_from = position
            if self.position is None or self.position < position:
                self.position = position

    def remember_from(self, position: int, known_from: int) -> None:
        """
        Note that all lines from *position* on were read again.

        Args:
            known_from: What `known_from` was when that began; if it was moved since then, it is not moved back.
        """
        with self.lock:
            if self.known_from == known_from:
                self.known_from = max(position, self._forgotten)

    def fresh_until(self, now: float) -> float:
        """Until when an entry that is read now is fresh."""
        return now + self.fresh_for * (1 - 0.1 * random.random())

    def floor(self, tenant: str) -> int:
        """The lowest revision of *tenant* that may still be believed."""
        return self._floors.get(tenant, (0, 0))[0]

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

    def put(self, tenant: str, entry: Entry, generation: int, as_of: int | None) -> bool:
        """
        Keep *entry*, unless something newer is already known, or may have been.

        Args:
            generation: What `generation` was when the reading began; a drop since then makes it too old.
            as_of: All lines of the change log up to this position are in it; what `position` was when the reading of
                the store began. The lines behind it are remembered, or it is too old.

        Returns:
            Whether it was kept.
        """
        with self.lock:
            if generation != self.generation or (as_of or 0) < self.known_from or entry.revision < self.floor(tenant):
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

    def invalidate(self, tenant: str, revision: int, position: int) -> None:
        """Believe nothing about *tenant* that is older than *revision*, as the line at *position* of the log says."""
        with self.lock:
            self._invalidate(tenant, revision, position)

    def _invalidate(self, tenant: str, revision: int, position: int) -> None:
        floors = self._floors
        floor, told = floors.pop(tenant, (0, 0))
        if len(floors) >= MOST_FLOORS:
            _, forgotten = floors.pop(next(iter(floors)))
            self._forgotten = max(self._forgotten, forgotten)
            self.known_from = max(self.known_from, forgotten)
        floors[tenant] = max(floor, revision), max(told, position)
        if self._told is not None:
            self.contradicted[tenant] = max(revision, self.contradicted.get(tenant, 0))
        known = self.held.get(tenant)
        if known is not None and known.revision < revision:
            known.until = known.fresh = NEVER

    def drop(self) -> None:
        """Believe nothing that was read before now."""
        with self.lock:
            self._drop()

    def restart(self, position: int, history: bytes | None = None) -> None:
        """Believe nothing that was read before now; the log has a hole, or is another: it goes on behind *position*."""
        with self.lock:
            self._drop()
            self._forget_floors(position)
            self.position, self.history = position, history

    def turn_to(self, world: World, flags: FlagSnapshot, since: tuple[int, int]) -> bool:
        """
        Answers follow *world* and *flags* from here on; nothing that was read under another world is believed.

        Who asks a view finds that world in its entry: a key that flags narrow is marked in none that is older.

        Args:
            since: What `generation` and `turns` were when reading them began; a drop or a turn since then makes what
                was read too old.

        Returns:
            Whether it was new enough.
        """
        with self.lock:
            if since != (self.generation, self.turns):
                return False
            before, self.flags = self.flags, self._listened(flags)
            self.turns += 1
            known, self.world = self.world, world
            # Worlds that share their tables decide alike: what was read under the one holds under the other.
            if known is None or known.tables is not world.tables:
                self._drop()
        for told in self._watching:
            told(before, flags)
        return True

    def watch_flags(self, told: Callable[[FlagSnapshot | None, FlagSnapshot], None]) -> Callable[[], None]:
        """
        Call *told*, without the lock, with the flags before and after each swap; before the first there are none.

        It must not raise and not block: whoever has heard of the change calls it.

        Returns:
            What ends it.
        """
        # A new tuple each time: it may be run through meanwhile.
        self._watching = (*self._watching, told)

        def end() -> None:
            self._watching = tuple(each for each in self._watching if each is not told)

        return end

    def listen(self, exposures: Exposures) -> None:
        """Tell *exposures* of what flags show from here on, also of those that are near now."""
        with self.lock:
            self._listening = (*self._listening, exposures)
            if self.flags is not None:
                self.flags = self._listened(self.flags.origin or self.flags)

    def _listened(self, flags: FlagSnapshot) -> FlagSnapshot:
        return exposing(flags, self._listening) if self._listening else flags

    def _drop(self) -> None:
        # Never back to a number that a reading under way may have seen.
        self.generation += 1
        self.held: dict[str, Entry] = {}
        self._ring: list[str] = []
        self._hand = 0
