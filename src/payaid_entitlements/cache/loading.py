"""
The miss path, all of it policy: what is asked when nothing near may be believed, and what is done when nobody answers.

Fresh; then one caller reads again while the others keep the answer; then, without the store, the last
known one up to a bound; then the feature's fail policy. Nobody is turned away on a copy that was last
known to be true more than a second ago: a customer who has just paid is never locked out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from payaid_entitlements.cache.local import FOREVER, LEASE, NEVER, Entry, Later
from payaid_entitlements.cache.renewing import WORLD, begin, poll
from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.cache.steps import Flow, HostUnavailable, Join, ReadHost, ReadTenants
from payaid_entitlements.cache.unsold import say_unknown, unknown_offers
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.instant import MICROSECONDS
from payaid_entitlements.core.metering.meters import packed
from payaid_entitlements.core.outage import STALE_FOR
from payaid_entitlements.core.resolution import Segment, resolve
from payaid_entitlements.core.subscription import Subscription, Terms, terms_of
from payaid_entitlements.core.world import World
from payaid_entitlements.errors import StoreUnavailable

#: Seconds: a refusal is only given on what was known to be true less than this ago.
SURE_WITHIN: Final = 1.0
#: Key of single flight that no tenant can have, since ids are printable.
_POLL: Final = "\x00poll"


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
            say_unknown(setting, world, *unknown[0])
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
    horizon = at + int((near.fresh_for) * MICROSECONDS) + max(STALE_FOR, world.longest_outage)
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
