"""
What a client is made of in either colour: the cache, what it was opened with, and what it answers without I/O.
"""

from __future__ import annotations

import os
import secrets
import time
import weakref
from collections.abc import Callable, Collection
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING

from payaid_entitlements.answering import near_view
from payaid_entitlements.cache.listening import Listener
from payaid_entitlements.cache.local import LocalCache
from payaid_entitlements.cache.seen.sightings import Sightings, saw
from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.core.catalog.model import Catalog
from payaid_entitlements.core.controls import ENFORCE
from payaid_entitlements.core.decision import Decision
from payaid_entitlements.core.flags.exposures import Exposures, ExposureSink
from payaid_entitlements.core.flags.kills import flag_kills
from payaid_entitlements.core.flags.model import FlagSet
from payaid_entitlements.core.flags.shares import parts
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.identity import change_id, identify
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.observing import Observer, Tally, log
from payaid_entitlements.core.world import Modes
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.metering.counting import Counters, Counts
from payaid_entitlements.settings import Modal, modes_of
from payaid_entitlements.stores.activity import Seen
from payaid_entitlements.stores.channel import Channel
from payaid_entitlements.view import TenantView

if TYPE_CHECKING:
    from payaid_entitlements.cache.seen.telling import AsyncTelling, Telling
    from payaid_entitlements.cache.shared.asking import AsyncSharedRedis, SharedRedis
    from payaid_entitlements.cache.shared.sharing import Sharing
    from payaid_entitlements.cache.snapshot import Snapshot

#: The clients of this process that were not closed: a guard with ``tenant="argument"`` asks the only one.
OPENED: weakref.WeakSet[Client] = weakref.WeakSet()


class Client:
    """What both colours are made of: the cache, and what they were opened with. No I/O."""

    _telling: Telling | AsyncTelling | None = None

    def __init__(
        self,
        *,
        catalog: Catalog | str | PathLike[str] | None,
        mode: Modal,
        is_hosted: bool,
        strict: bool | None,
        clock: Callable[[], float],
        observer: Observer | None,
        cache_size: int,
        fresh_for: float,
        channel: Channel | None,
        shared: SharedRedis | AsyncSharedRedis | None,
        snapshot: str | PathLike[str] | None,
        store: str,
        awaits: bool,
        records: bool,
    ) -> None:
        self._observer = Tally() if observer is None else observer
        sold = catalog if isinstance(catalog, Catalog) or catalog is None else Catalog.load(catalog)
        modes, killed = modes_of(mode, os.environ, sold), flag_kills(os.environ)
        # A clock that is handed in drives both "now" and the age of what is near, so that time stands still in tests.
        steady = time.monotonic if clock is time.time else clock
        self._near = LocalCache(bound=cache_size, clock=steady, fresh_for=fresh_for)
        sharing = None
        if shared is not None:
            sharing, channel = _sharing(
                shared, self._near, str if clock is time.time else partial(_milliseconds, clock)
            )
        wall = _wall if clock is time.time else clock
        kept = None if snapshot is None else _snapshot(snapshot, store, self._near, wall, modes, killed, self._observer)
        self._setting = Setting(
            near=self._near,
            wall=wall,
            observer=self._observer,
            new_id=_new_id,
            catalog=sold,
            modes=modes,
            hosted=is_hosted,
            strict=strict,
            listener=None if channel is None else Listener(channel, self._near, self._observer),
            sharing=sharing,
            snapshot=kept,
            tells_time=clock is not time.time,
            own_flags=FlagSnapshot()
            if sold is None
            else FlagSnapshot.of(sold.flags, FlagSet(), (), killed, segments=sold.segments),
            killed=killed,
            sightings=Sightings(wall, self._observer, self._watch_activity) if records else None,
        )
        self._counters = Counters(sold, awaits=awaits)
        _say_when_not_enforced(modes)
        OPENED.add(self)

    @property
    def catalog(self) -> Catalog | None:
        """The catalog that the client was opened with: what this version of the code expects to be sold."""
        return self._setting.catalog

    def _watch_activity(self) -> None:
        """See to it that what was seen is told to the store."""
        if self._telling is not None:
            self._telling.watch()

    def saw(self, tenant: str, key: str, *, kind: Seen = Seen.MODULE) -> None:
        """
        Note that *tenant* has used something today. Guards, gates and `consume` do so by themselves.

        For what you let pass by `check`, and for versions of your API. It is told to the store some seconds later, once
        for each day; nothing that goes wrong there reaches you.

        Args:
            key: Of a module, or of a feature, for which its module is noted; what *kind* says otherwise.
        """
        if kind is Seen.MODULE and self._near.world is not None:
            key = self._near.world.module_of(key) or key
        saw(self._setting.sightings, tenant, kind, key)

    @property
    def observer(self) -> Observer:
        """What the client is told counts and warnings by; for what counts beside it, as the middleware for versions."""
        return self._observer

    @property
    def counts(self) -> Counts:
        """
        What was counted in this process: refusals, would-be refusals, differences from the host's old answer.

        Also a decorator: ``@ent.counts("crm.contacts")`` says how your own rows are counted for `require_room`.
        """
        return Counts(self._observer.counts() if isinstance(self._observer, Tally) else {}, self._counters)

    def on_exposure(
        self, sink: ExposureSink, *, flags: Collection[str] | None = None, sample: str = "100%", per: float = 3600.0
    ) -> None:
        """
        Tell *sink* who is shown which variant of a flag, for the analysis of experiments.

        Each exposure is told once in a while and not with each evaluation; a few are told again where there are more
        than 100,000 of them. Evaluating costs nothing more until this is called.

        Args:
            sink: Must not block; what it raises is counted and harms nobody.
            flags: Keys of the flags that it wants to hear of; None for all.
            sample: Of how many ids it hears: the same ones in every process.
            per: Seconds for which the same exposure is not told again.

        Raises:
            ConfigurationError: *sample* or *per* is none.
        """
        if isinstance(flags, str):
            raise TypeError(f"on_exposure(flags={flags!r}): give several keys, as a list")
        if not per > 0:
            raise ConfigurationError(f"per is {per!r}; it is a number of seconds, more than 0")
        try:
            share = parts(sample)
        except ValueError as error:
            raise ConfigurationError(f"sample: {error}") from None
        near = self._near
        near.listen(Exposures(sink, flags=flags, sample=share, per=per, clock=near.clock, observer=self._observer))

    def peek(self, tenant: str, feature: str) -> Decision | None:
        """
        Decide from what is near, or not at all: no I/O, ever, in any colour.

        Returns:
            None when nothing is near that may still be believed.
        """
        near = self._near
        held = near.held.get(tenant)
        if held is not None and held.until > near.clock() < near.lease:
            decision = held.table[feature]
            if decision.beneath is None:
                return decision
            view = near_view(self._setting, tenant, None)
            return None if view is None else view.decide(feature, "write")
        return None

    def peek_tenant(self, tenant: str, *, user: str | None = None) -> TenantView | None:
        """
        Take a view from what is near, or none at all: no I/O, ever, in any colour.

        Returns:
            None when nothing is near that may still be believed.
        """
        if user is not None:
            identify("user", user)
        return near_view(self._setting, tenant, user)


def _sharing(
    shared: SharedRedis | AsyncSharedRedis, near: LocalCache, says_now: Callable[[], str]
) -> tuple[Sharing, Channel]:
    from payaid_entitlements.cache.shared.channel import SharedChannel
    from payaid_entitlements.cache.shared.sharing import Sharing

    sharing = Sharing(shared.client.prefix, says_now)
    return sharing, SharedChannel(shared.client, sharing, near)


def _snapshot(
    path: str | PathLike[str],
    store: str,
    near: LocalCache,
    wall: Callable[[], float],
    modes: Modes,
    killed: frozenset[str],
    observer: Observer,
) -> Snapshot:
    from payaid_entitlements.cache.snapshot import Snapshot

    return Snapshot(path, store=store, near=near, wall=wall, modes=modes, observer=observer, killed=killed)


def _milliseconds(clock: Callable[[], float]) -> str:
    return str(int(clock() * 1000))


def _wall() -> float:
    # Looked up at each call, so that freezegun and time-machine work.
    return time.time()


def _new_id(at: Instant) -> str:
    return change_id(at, secrets.randbits(74))


def _say_when_not_enforced(modes: Modes) -> None:
    program, environment = (
        {scope: mode.value for scope, mode in said.items() if mode is not ENFORCE}
        for said in (modes.program, modes.environment)
    )
    if program or environment:
        log.warning(
            "enforcement.is_not_on",
            program=program,
            environment=environment,
            meaning="commercial refusals are not carried out there",
        )
