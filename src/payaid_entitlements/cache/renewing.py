"""
What changes for everybody: the change log is followed, and what is the same for every tenant is read anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from payaid_entitlements.cache.believing import believed
from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.cache.steps import Apply, Flow, Join, Poll, Prepare, ReadCatalog, ReadControls, ReadFlags
from payaid_entitlements.core.catalog.difference import difference
from payaid_entitlements.core.catalog.publishing import Published, publish
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.world import World
from payaid_entitlements.errors import ChangeConflict, ConfigurationError
from payaid_entitlements.forking import IMPORTING
from payaid_entitlements.stores.ports import LOST_WITH_THE_PROCESS, Applied, Concern, LogEntry, LogPage, Scope, Write

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Catalog
    from payaid_entitlements.core.controls import Controls
    from payaid_entitlements.core.flags.model import FlagSet


#: Key of single flight that no tenant can have, since ids are printable.
WORLD: Final = "\x00world"


def poll(setting: Setting) -> Flow[bool]:
    """
    Read the change log to its end and believe nothing that it contradicts.

    Returns:
        Whether there was a gap in it.
    """
    near = setting.near
    more, has_gap = True, False
    while more:
        asked_at, doubts = near.clock(), near.doubts
        page = cast("LogPage", (yield Poll(near.position)))
        is_cut = page.gap or near.is_another(page.history)
        if is_cut:
            has_gap = True
            near.restart(page.position, page.history)
            if setting.snapshot is not None:
                setting.snapshot.forget()
        scopes = {entry.scope for entry in page.entries}
        if is_cut or not scopes.isdisjoint((Scope.CATALOG, Scope.CONTROLS)):
            yield from renew(setting)
        elif Scope.FLAGS in scopes:
            yield from renew_flags(setting)
        for entry in page.entries:
            if entry.tenant is not None:
                near.invalidate(entry.tenant, entry.revision, entry.position)
        near.reach(page.position, page.history)
        more = page.more
    near.extend(asked_at, doubts)
    if setting.snapshot is not None:
        setting.snapshot.flush()
    return has_gap


def announce(setting: Setting, scope: Scope, tenant: str | None, applied: Applied) -> Flow[None]:
    """Tell other processes of a change, once it is committed and not before; where nobody is told, the log is read."""
    if setting.snapshot is not None:
        setting.snapshot.flush()
    if setting.sharing is not None:
        line = LogEntry(applied.position, scope, tenant, applied.revision)
        yield from setting.sharing.announce(setting, line)


@dataclass(frozen=True, slots=True)
class Known:
    """What is the same for every tenant: the world, and all flags with the set that they were made of."""

    world: World
    flags: FlagSnapshot
    flag_set: FlagSet


def read_world(setting: Setting) -> Flow[Known]:
    """
    Read what is published, how the switches stand, and how the flags do.

    Raises:
        ConfigurationError: Nothing was ever published.
    """
    published = cast("Published | None", (yield ReadCatalog()))
    if published is None:
        raise ConfigurationError(
            "nothing is published in this store; open with catalog='catalog.yaml', or run `payaid catalog publish`"
        )
    controls = cast("Controls", (yield ReadControls()))
    flag_set = cast("FlagSet", (yield ReadFlags()))
    if strays := setting.modes.unknown(published.catalog):
        # Not an error here: a module that is retired must not stop processes that still name it.
        setting.observer.once(
            "enforcement.unknown_module", modules=strays, way_out="correct enforcement= and PAYAID_ENFORCEMENT_*"
        )
    if lax := {
        scope: str(controls.position(("mode", scope))) for scope in controls.modes if not controls.is_enforced(scope)
    }:
        setting.observer.once(
            "enforcement.is_not_on", store=lax, meaning="commercial refusals are not carried out there"
        )
    flag_set = believed(setting, published.catalog, flag_set)
    flags = FlagSnapshot.of(
        published.catalog.flags, flag_set, controls.killed, setting.killed, segments=published.catalog.segments
    )
    return Known(World.of(published, controls, setting.modes, flags.narrowing), flags, flag_set)


def renew(setting: Setting) -> Flow[World]:
    """
    Read the world anew, drop what was worked out under the old one, and answer by the new one from here on.

    Of two that do so at once, the one that read earlier reads again: nobody goes back behind what was seen.
    """
    near = setting.near
    while True:
        since, asked_at = (near.generation, near.turns), near.clock()
        known = yield from read_world(setting)
        world = known.world.after(near.world)
        if near.turn_to(world, known.flags, since):
            if setting.snapshot is not None:
                setting.snapshot.keep_world(world, known.flag_set, asked_at)
            return world


def renew_flags(setting: Setting) -> Flow[FlagSnapshot]:
    """
    Read the flags anew. What tenants hold stays near, but where flags narrow other keys than before.

    Of two that do so at once, the one that read earlier reads again, as in `renew`.
    """
    near = setting.near
    while True:
        since, asked_at, world = (near.generation, near.turns), near.clock(), near.world
        if world is None:
            # The client was closed meanwhile, or nobody has asked it yet: then all of it is read.
            yield Join(WORLD, partial(begin, setting), begins=True)
            return cast("FlagSnapshot", near.flags)
        flag_set = believed(setting, world.catalog, cast("FlagSet", (yield ReadFlags())))
        flags = FlagSnapshot.of(
            world.catalog.flags, flag_set, world.controls.killed, setting.killed, segments=world.catalog.segments
        )
        if near.turn_to(world.narrowed_by(flags.narrowing), flags, since):
            if setting.snapshot is not None:
                setting.snapshot.keep_flags(flag_set, asked_at)
            return flags


def begin(setting: Setting) -> Flow[World]:
    """Make the store ready, publish into an empty one, and read the world."""
    near = setting.near
    for concern in cast("Sequence[Concern]", (yield Prepare())):
        if concern == LOST_WITH_THE_PROCESS:
            continue
        setting.observer.once("store.concern", promise=concern.promise, found=concern.found, way_out=concern.way_out)
    if setting.catalog is not None:
        yield from _publish_if_empty(setting, setting.catalog)
    stamp = None if setting.sharing is None else (yield from setting.sharing.enter(setting))
    # Where the log ends, before what it led to: nothing that changes in between is missed.
    asked_at, doubts = near.clock(), near.doubts
    head = cast("LogPage", (yield Poll(None)))
    world = yield from renew(setting)
    near.reach(head.position, head.history)
    near.extend(asked_at, doubts)
    if setting.sharing is not None:
        yield from setting.sharing.settle(setting, stamp, head.position)
    if setting.listener is not None:
        setting.listener.start()
    return world


def _publish_if_empty(setting: Setting, catalog: Catalog) -> Flow[None]:
    published = cast("Published | None", (yield ReadCatalog()))
    if published is None:
        # Once in the life of a store.
        with IMPORTING:
            from payaid_entitlements.core.catalog.flags.publishing import require_small
        require_small(None, catalog)
        first, publication = publish(None, catalog)
        at = setting.now()
        write = Write(
            setting.new_id(at), "publish", at, published=first, detail={"difference": list(publication.lines())}
        )
        try:
            yield Apply(write, expect=0, actor="payaid", because="opened with an empty store")
        except ChangeConflict:
            # Another process opened the same empty store at the same time; what it published is compared below.
            published = cast("Published | None", (yield ReadCatalog()))
    if published is not None and published.catalog.hash != catalog.hash:
        # A starting process never changes what is sold: an old worker that restarts would undo a publication.
        setting.observer.once(
            "catalog.differs",
            published=published.catalog.hash[:12],
            given=catalog.hash[:12],
            difference="; ".join(str(line) for line in difference(published.catalog, catalog)),
            way_out="run `payaid catalog publish` to sell what the file says",
        )
