"""What a client was opened with, as all that works for it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payaid_entitlements.cache.local import LocalCache
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.instant import Instant, from_clock
from payaid_entitlements.core.world import Modes

if TYPE_CHECKING:
    from payaid_entitlements.cache.listening import Listener
    from payaid_entitlements.cache.seen.sightings import Sightings
    from payaid_entitlements.cache.shared.sharing import Sharing
    from payaid_entitlements.cache.snapshot import Snapshot
    from payaid_entitlements.core.catalog.model import Catalog
    from payaid_entitlements.core.observing import Observer


@dataclass(frozen=True, slots=True)
class Setting:
    """
    What a client was opened with, as far as those need it who work for it.

    Attributes:
        wall: Seconds since the epoch: what "now" means to trials and ends.
        catalog: To be published into an empty store.
        hosted: The host keeps subscriptions itself.
        listener: Hears of changes, once the first question was asked; None where the change log is only polled.
        sharing: What is known of the Redis that is shared with other processes; None where there is none.
        snapshot: What was last known, in a file, for when nothing is near; None where there is none.
        strict: Unknown keys raise. None where nobody said: then they are refused, and raise in tests.
        own_flags: Those of *catalog*, for when nothing else is known.
        killed: Flags that the environment of this process switches off, as `flag_kills` names them.
        new_id: Makes an id for a change from an instant.
        sightings: What tenants were seen to do; None where nobody records it.
        tells_time: *wall* is a clock that the caller handed in: the ledger is told what time it is.
    """

    near: LocalCache
    wall: Callable[[], float]
    observer: Observer
    new_id: Callable[[Instant], str]
    catalog: Catalog | None = None
    modes: Modes = field(default_factory=Modes)
    hosted: bool = False
    strict: bool | None = None
    listener: Listener | None = None
    sharing: Sharing | None = None
    snapshot: Snapshot | None = None
    tells_time: bool = False
    own_flags: FlagSnapshot = field(default_factory=FlagSnapshot)
    killed: frozenset[str] = frozenset()
    sightings: Sightings | None = None

    def now(self) -> Instant:
        """The instant that it is, for facts."""
        return from_clock(self.wall())

    def told_time(self) -> Instant | None:
        """The instant for a ledger; None where its own clock is right."""
        return from_clock(self.wall()) if self.tells_time else None
