"""
The miss path, all of it policy: what is asked when nothing near may be believed, and what is done when nobody answers.

Fresh; then one caller reads again while the others keep the answer; then, without the store, the last
known one up to a bound; then the feature's fail policy. Nobody is turned away on a copy that was last
known to be true more than a second ago: a customer who has just paid is never locked out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from payaid_entitlements.cache.believing import believed
from payaid_entitlements.cache.local import FOREVER, LEASE, NEVER, Entry, Later, LocalCache
from payaid_entitlements.cache.steps import (
    Apply,
    Flow,
    HostUnavailable,
    Join,
    Poll,
    Prepare,
    ReadCatalog,
    ReadControls,
    ReadFlags,
    ReadHost,
    ReadTenants,
)
from payaid_entitlements.core.catalog.difference import difference
from payaid_entitlements.core.catalog.publishing import Published, publish
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.instant import MICROSECONDS, Instant, from_clock
from payaid_entitlements.core.metering.meters import packed
from payaid_entitlements.core.outage import STALE_FOR
from payaid_entitlements.core.resolution import Segment, resolve
from payaid_entitlements.core.subscription import Subscription, Terms, terms_of
from payaid_entitlements.core.world import Modes, World
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ChangeConflict, ConfigurationError, StoreUnavailable, UnknownPlan
from payaid_entitlements.forking import IMPORTING
from payaid_entitlements.stores.ports import LOST_WITH_THE_PROCESS, Applied, Concern, LogEntry, LogPage, Scope, Write

if TYPE_CHECKING:
    from payaid_entitlements.cache.listening import Listener
    from payaid_entitlements.cache.seen.sightings import Sightings
    from payaid_entitlements.cache.shared.sharing import Sharing
    from payaid_entitlements.cache.snapshot import Snapshot
    from payaid_entitlements.core.catalog.model import Catalog
    from payaid_entitlements.core.controls import Controls
    from payaid_entitlements.core.flags.model import FlagSet
    from payaid_entitlements.core.observing import Observer

#: Seconds: a refusal is only given on what was known to be true less than this ago.
SURE_WITHIN: Final = 1.0
#: Keys of single flight that no tenant can have, since ids are printable.
_POLL, WORLD = "\x00poll", "\x00world"


@dataclass(frozen=True, slots=True)
class Setting:
    """
    What a client was opened with, as far as misses need it.

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


@dataclass(frozen=True, slots=True)
class Found:
    """
    What is known of a tenant.

    Attributes:
        now: Reading of the clock for which it holds.
        age: Seconds since it was last known to be true, when the store did not answer; None when it is true.
        is_hosts: It was not the store that did not answer but the host's own table.
        is_from_snapshot: Nothing was near, and it came from the file.
    """

    entry: Entry
    now: float
    age: float | None = None
    is_hosts: bool = False
    is_from_snapshot: bool = False


def seen_at(setting: Setting, entry: Entry) -> float:
    """
    When *entry* was last known to be true, by the cache's clock.

    The change log, as far as it was read, vouches for what it has not contradicted; never for the host's own table.
    """
    confirmed = setting.near.confirmed
    if entry.read_at >= confirmed or setting.hosted:
        return entry.read_at
    return confirmed


def hold(setting: Setting, tenant: str, *, floor: int = 0, fresh: bool = False, sure: bool = False) -> Flow[Found]:
    """
    Find out what *tenant* holds, asking as little as possible.

    Args:
        floor: The answer must be of this revision or a later one.
        fresh: Ask the store, whatever is near.
        sure: Ask unless it was known to be true less than `SURE_WITHIN` seconds ago.

    Raises:
        StoreUnavailable: The store gave no answer, and nothing that would do is near.
    """
    near = setting.near
    if near.world is None:
        try:
            yield Join(WORLD, partial(begin, setting), begins=True)
        except StoreUnavailable as error:
            return (yield from _remembered(setting, tenant, floor, error))
    needed = near.clock() - SURE_WITHIN if sure else NEVER
    trouble = yield from (_polled(setting) if fresh else _keep_lease(setting, needed))
    now = near.clock()
    entry = near.current(tenant, now)
    if entry is not None and entry.revision < floor:
        entry = None
    if entry is not None:
        # Who had to be sure and could not be made so does not know: an outage is never a refusal.
        if trouble is not None and (fresh or sure or now >= near.trusted):
            return _old(setting, entry, now, trouble)
        if not fresh and now < near.trusted and seen_at(setting, entry) > needed:
            if now < entry.fresh:
                return Found(entry, now)
            if entry.fresh != NEVER:
                return (yield from _revalidated(setting, tenant, entry, now))
    loaded = yield from _loaded(setting, tenant, entry, floor, fresh, needed)
    now = near.clock()
    if setting.sharing is not None and loaded.age is None and now - seen_at(setting, loaded.entry) >= LEASE:
        # It came from a copy that others made, and nobody could be asked whether that is true still.
        return _old(setting, loaded.entry, now, trouble or StoreUnavailable("the change log could not be read"))
    return loaded


def hold_world(setting: Setting) -> Flow[World | None]:
    """Find out what is sold, asking as little as possible and about nobody; None where nothing is known."""
    if setting.near.world is None:
        try:
            yield Join(WORLD, partial(begin, setting), begins=True)
        except StoreUnavailable:
            return world_known(setting)
    yield from _keep_lease(setting, NEVER)
    return setting.near.world


def _keep_lease(setting: Setting, needed: float) -> Flow[StoreUnavailable | None]:
    """
    Read the change log when it is time; the error when that failed.

    Args:
        needed: It must have been read to its end after this reading of the clock.
    """
    near = setting.near
    # Twice at most: a look at the log that somebody else had begun may have begun too early, the next one has not.
    for _ in range(2):
        now = near.clock()
        is_unsure = near.confirmed <= needed
        if now < near.lease and not is_unsure:
            break
        trouble = yield from _polled(
            setting, Join(_POLL, partial(_look, setting, needed), is_unsure or now >= near.trusted)
        )
        if trouble is not None or near.confirmed > needed:
            return trouble
    return None


def _look(setting: Setting, needed: float) -> Flow[None]:
    """Look at the change log, or at what others have seen of it."""
    if setting.sharing is None:
        yield from poll(setting)
    else:
        yield from setting.sharing.look(setting, needed)


def _polled(setting: Setting, look: Join | None = None) -> Flow[StoreUnavailable | None]:
    """Read the change log, by a *look* that may be shared or by one of our own; the error when that failed."""
    try:
        if look is None:
            yield from poll(setting)
        else:
            yield look
    except StoreUnavailable as error:
        return error
    return None


def _old(setting: Setting, entry: Entry, now: float, trouble: StoreUnavailable) -> Found:
    known = seen_at(setting, entry)
    # A copy that a change has contradicted is not old but wrong: a tenant whom this very process has suspended is not
    # let in because the store went down a moment later.
    if NEVER in (known, entry.fresh):
        raise trouble
    return Found(entry, now, age=now - known, is_hosts=isinstance(trouble, HostUnavailable))


def _revalidated(setting: Setting, tenant: str, entry: Entry, now: float) -> Flow[Found]:
    """One caller reads again; the change log vouches for the old answer meanwhile, and when that fails."""
    # For the host's own table nobody vouches: the old answer is good for a few seconds more, and old when that fails.
    wait = setting.hosted and now >= entry.fresh + LEASE
    try:
        loaded = yield Join(tenant, partial(load, setting, tenant), wait=wait)
    except StoreUnavailable as error:
        if setting.hosted:
            return _old(setting, entry, now, error)
        loaded = None
    if loaded is None:
        return Found(entry, now)
    return Found(cast("Entry", loaded), setting.near.clock())


def _loaded(setting: Setting, tenant: str, entry: Entry | None, floor: int, fresh: bool, needed: float) -> Flow[Found]:
    near = setting.near
    try:
        if fresh:
            # A reading that somebody else began may have begun too early.
            loaded = yield from load(setting, tenant, is_past=True)
        else:
            generation = near.generation
            loaded = cast("Entry", (yield Join(tenant, partial(load, setting, tenant, floor))))
            is_behind = loaded.revision < max(floor, near.floor(tenant)) or loaded.read_at <= needed
            if is_behind or generation != near.generation:
                loaded = yield from load(setting, tenant, is_past=True)
    except StoreUnavailable as error:
        if entry is None:
            return (yield from _remembered(setting, tenant, floor, error))
        return _old(setting, entry, near.clock(), error)
    if loaded.revision < floor:
        raise StoreUnavailable(
            f"revision {floor} of tenant {tenant!r} was asked for and the store has {loaded.revision}: "
            "it is behind, or the revision is of another store"
        )
    return Found(loaded, near.clock())


def _remembered(setting: Setting, tenant: str, floor: int, trouble: StoreUnavailable) -> Flow[Found]:
    """
    Answer by the snapshot file, since nothing is near. It is never put near, so the store is asked each time.

    Raises:
        StoreUnavailable: It is *trouble*, when nothing that would do is in the file, or the host gave no answer.
    """
    if setting.snapshot is None or isinstance(trouble, HostUnavailable):
        # The store has answered, and the host is not asked twice.
        raise trouble
    near, world, kept = setting.near, world_known(setting), setting.snapshot.find(tenant)
    if kept is None or world is None or kept[0].revision < max(floor, near.floor(tenant)):
        raise trouble
    document, known_at = kept
    # The host's own table is another store, and may well answer.
    host = hosted((yield ReadHost(tenant))) if setting.hosted else None
    if unknown_offers(document, host, world.published):
        raise trouble
    entry = entry_of(setting, document, world, near.clock(), host)
    now = near.clock()
    return Found(entry, now, age=now - known_at, is_from_snapshot=True)


def world_known(setting: Setting) -> World | None:
    """What is sold and how the switches stand: as it is known near, else as the snapshot file says."""
    if setting.near.world is not None or setting.snapshot is None:
        return setting.near.world
    known = setting.snapshot.world()
    return None if known is None else known[0]


def flags_known(setting: Setting) -> FlagSnapshot:
    """
    All flags: as they are known near, else as the snapshot file says, else as the catalog does that was given.

    Without any of these there is no flag, and whoever asks for one gets his own default.
    """
    if setting.near.flags is not None:
        return setting.near.flags
    known = None if setting.snapshot is None else setting.snapshot.world()
    return known[1] if known is not None else setting.own_flags


def hold_flags(setting: Setting) -> Flow[tuple[FlagSnapshot, bool]]:
    """
    All flags, for those of whom no tenant is known, asking as little as possible.

    Returns:
        Them, and whether they are only those that were last known, since the store gave no answer.

    Raises:
        ConfigurationError: Nothing was ever published.
    """
    near = setting.near
    if near.world is None:
        trouble = yield from _polled(setting, Join(WORLD, partial(begin, setting), begins=True))
    else:
        trouble = yield from _keep_lease(setting, NEVER)
    return flags_known(setting), trouble is not None and near.clock() >= near.trusted


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What was read about a tenant.

    Attributes:
        document: None when nothing is known.
        as_of: All lines of the change log up to this position are in it.
        known_at: It was true then, by the cache's clock.
        is_copy: It came from other processes, not from the store.
    """

    document: TenantDocument | None
    as_of: int | None
    known_at: float
    is_copy: bool = False


def read_store(setting: Setting, tenant: str) -> Flow[Reading]:
    """Read *tenant* from the store."""
    near = setting.near
    as_of, asked_at = near.position, near.clock()
    documents = cast("Mapping[str, TenantDocument]", (yield ReadTenants((tenant,))))
    return Reading(documents.get(tenant), as_of, asked_at)


def load(setting: Setting, tenant: str, floor: int = 0, *, is_past: bool = False) -> Flow[Entry]:
    """
    Read *tenant* and work out what it holds; keep it unless something newer is known by then.

    Args:
        floor: What others have read will do from this revision on.
        is_past: Nothing that others have read will do.
    """
    near, sharing = setting.near, setting.sharing
    is_again = False
    while True:
        generation, asked_at, world = near.generation, near.clock(), near.world
        if world is None:
            # The client was closed meanwhile, by another thread. It can be used again, so this question is answered.
            world = cast("World", (yield Join(WORLD, partial(begin, setting), begins=True)))
            generation = near.generation
        life = near.life
        if sharing is None:
            reading = yield from read_store(setting, tenant)
        else:
            reading = yield from sharing.read(setting, tenant, floor, is_past)
        document = reading.document or TenantDocument(tenant)
        host: tuple[Terms, ...] | None = None
        if setting.hosted:
            # After the document: whoever changes the host's row invalidates afterwards, so a document of the
            # newer revision is never joined with an older row.
            host = hosted((yield ReadHost(tenant)))
        unknown = unknown_offers(document, host, world.published)
        if unknown and is_again:
            _say_unknown(setting, world, *unknown[0])
        elif unknown:
            # Somebody has published since the log was read: what is held is newer than what is known to be sold.
            # Judged by the old catalog, all who were migrated would be turned away.
            is_again = True
            yield from poll(setting)
            continue
        entry = entry_of(setting, document, world, asked_at, host)
        entry.read_at = min(asked_at, reading.known_at)
        is_kept = near.put(tenant, entry, generation, reading.as_of)
        if is_kept and setting.snapshot is not None:
            setting.snapshot.keep((document,), entry.read_at, life)
        if is_kept or not reading.is_copy:
            return entry
        # It may contradict what was heard of meanwhile.
        is_past = True


#: A plan, or an add-on (True), with the version that is held.
_Offer: TypeAlias = tuple[bool, str, int | None]


def unknown_offers(document: TenantDocument, host: tuple[Terms, ...] | None, published: Published) -> list[_Offer]:
    """What a tenant holds, or will hold by a scheduled change, and was never published as far as is known."""
    return [
        (is_add_on, key, version)
        for is_add_on, key, version in _held_by(document, host)
        if not (published.has_add_on if is_add_on else published.has)(key, version)
    ]


def _held_by(document: TenantDocument, host: tuple[Terms, ...] | None) -> Iterator[_Offer]:
    for terms in host or ():
        yield False, terms.plan, terms.version
        yield from ((True, held.key, held.version) for held in terms.add_ons)
    for path, line in document.timelines.items() if host is None else ():
        for fact in line.facts if path[0] == "subscription" else ():
            match path[2:], fact.value:
                case ("plan",), {"plan": str(plan), "version": int(version)}:
                    yield False, plan, version
                case ("add_on", add_on), {"version": int(version)}:
                    yield True, add_on, version


def _say_unknown(setting: Setting, world: World, is_add_on: bool, key: str, version: int | None) -> None:
    """
    Be loud about a plan or an add-on that was never published: who holds it holds nothing by it.

    Raises:
        UnknownPlan: The host says so, and the client is strict.
    """
    if setting.hosted and setting.strict:
        what = "add-on" if is_add_on else "plan"
        hint = did_you_mean(key, world.published.add_on_versions if is_add_on else world.published.versions)
        which = key if version is None else f"{key}@{version}"
        raise UnknownPlan(f"subscriptions= returned {what} {which!r}, which was never published{hint}")
    setting.observer.once(
        "plan.unknown",
        **{"add_on" if is_add_on else "plan": key},
        version=version,
        way_out="correct what subscriptions= returns" if setting.hosted else "publish the catalog that sold it",
    )


def hosted(answer: object) -> tuple[Terms, ...]:
    """What the host says about a tenant, as terms."""
    match answer:
        case None:
            return ()
        case Subscription():
            return (terms_of(answer),)
    raise TypeError(f"subscriptions= returned {type(answer).__name__}; it must return a Subscription or None")


def entry_of(
    setting: Setting, document: TenantDocument, world: World, asked_at: float, host: tuple[Terms, ...] | None
) -> Entry:
    """Resolve *document* for as long as it may be of use, also without the store."""
    near = setting.near
    fresh = near.fresh_until(asked_at)
    at = setting.now()
    horizon = at + int((near.fresh_for) * MICROSECONDS) + max(STALE_FOR, _longest_bound(world))
    # The wall clock says when a trial ends; the cache's clock, which never jumps, is told how long that is from now.
    offset = near.clock() - at / MICROSECONDS

    def later(segments: Sequence[Segment]) -> tuple[Later, ...]:
        return tuple(
            (
                FOREVER if each.until is None else each.until / MICROSECONDS + offset,
                each.until,
                each.standpoint,
                packed(each.meters, world),
            )
            for each in segments
        )

    segments = later(resolve(document, world, at, horizon, host=host))
    names = {path[2] for path in document.timelines if path[0] == "override" and len(path) > 2}
    users = {user: later(resolve(document, world, at, horizon, user=user, host=host)) for user in names}
    # Nothing is known of the tenant once nothing is known of one of its users, who would lose his overrides, and a
    # refusal with them.
    known = min((each[-1][0] for each in users.values()), default=FOREVER)
    return Entry(
        tuple((min(ends, known), transition, standpoint, meters) for ends, transition, standpoint, meters in segments),
        revision=document.revision,
        read_at=asked_at,
        fresh=fresh,
        users=users or None,
    )


def _longest_bound(world: World) -> int:
    catalog = world.catalog
    bounds = [feature.on_outage.bound for feature in catalog.features.values()]
    return max([*bounds, *(module.on_outage.bound for module in catalog.modules.values())], default=0)


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
