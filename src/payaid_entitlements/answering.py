"""
From a question to a decision, off the hot path: what a hit could not answer comes here, in either colour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Final, Literal, cast

from payaid_entitlements.cache.breaker import Breaker
from payaid_entitlements.cache.counting import PrepareLedger
from payaid_entitlements.cache.guarding import Breakers
from payaid_entitlements.cache.listening import Listening
from payaid_entitlements.cache.loading import SURE_WITHIN, Found, flags_known, hold, hosted, seen_at, world_known
from payaid_entitlements.cache.local import Entry
from payaid_entitlements.cache.renewing import WORLD, begin, read_world
from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.cache.steps import Flow, HostUnavailable, Join, Poll, ReadAudit, ReadHost, ReadTenants
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.decision import Decision, Intent, Reason
from payaid_entitlements.core.explanation import Explanation, explain
from payaid_entitlements.core.facts import KEPT_BEHIND, TenantDocument, replay
from payaid_entitlements.core.flags.asking import Asker, narrowed, narrowing, read_attributes, refusal
from payaid_entitlements.core.flags.flag_set import WAY_OUT
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.identity import identify
from payaid_entitlements.core.instant import Instant, instant
from payaid_entitlements.core.observing import Observer
from payaid_entitlements.core.resolution import situation, standpoint
from payaid_entitlements.core.world import World
from payaid_entitlements.errors import ConfigurationError, StoreUnavailable
from payaid_entitlements.stores.ledger import AsyncLedger, Ledger
from payaid_entitlements.stores.limiter import AsyncLimiter, Limiter
from payaid_entitlements.stores.ports import AsyncStore, AuditEntry, Concern, Scope, Store
from payaid_entitlements.view import TenantView, require_key

#: How many entries of the audit trail are read at once.
PAGE: Final = 500
#: Flags that cannot be read are named one by one up to this many.
_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Health:
    """
    Is this process able to answer? For readiness probes.

    Attributes:
        ok: The store answered just now, and something is sold.
        store: Where it is, for people; never with a password.
        is_durable: What is written survives this process.
        catalog: Hash of what is sold; None when it is not known.
        position: Of the change log, as far as it was read.
        tenants: How many are held near.
        detail: Why not ok.
        channel: How hearing of changes goes; None where the store cannot tell of them, and its change log is read.
            A process that is not connected is ready nevertheless.
        concerns: What breaks a promise about this store, as it is configured; empty until it was first asked. Flags
            that cannot be read are among them, the first few; a process that cannot read one is ready nevertheless.
        breaker: ``"open"`` while questions do not ask the store, since it gave no answer a moment ago.
        lease: Seconds for which the change log still vouches for what is near; 0 when it does not, as in an outage
            and in a process that is well and was not asked for a while.
        shared: Did the Redis that processes share answer when it was last asked? None where there is none. A process
            without it is ready: the store is asked instead.
        snapshot: Could the snapshot file be used when it was last needed? None where there is none.
        ledger: Where usage is counted, for people; None where nothing can be. What breaks a promise about it is in
            *concerns* too.
        ledger_answers: Did it answer just now? None where there is none. A process without it is ready: what needs no
            counting is answered.
        limiter: Where calls are counted for rate limits, for people; None where none can be, and where the catalog
            has no rate limit. What breaks a promise about it is in *concerns* too.
        limiter_answers: Did it answer just now? None where there is none. A process without it is ready: each limit
            says what holds meanwhile.
    """

    ok: bool
    store: str
    is_durable: bool
    catalog: str | None
    position: int | None
    tenants: int
    detail: str = ""
    channel: Listening | None = None
    concerns: tuple[Concern, ...] = ()
    breaker: Literal["closed", "open"] = "closed"
    lease: float = 0.0
    shared: bool | None = None
    snapshot: bool | None = None
    ledger: str | None = None
    ledger_answers: bool | None = None
    limiter: str | None = None
    limiter_answers: bool | None = None

    def limited_by(self, limiter: Limiter | AsyncLimiter, *, answers: bool) -> Health:
        """Give the same with what is known of *limiter*."""
        concerns = tuple(dict.fromkeys((*self.concerns, *limiter.concerns)))
        return replace(self, concerns=concerns, limiter=limiter.name, limiter_answers=answers)


def answer(
    setting: Setting,
    tenant: str,
    feature: str,
    *,
    access: Intent,
    user: str | None,
    legacy: bool | None,
    after: int | None,
) -> Flow[Decision]:
    """
    Decide one feature for one tenant.

    Raises:
        TypeError: The tenant or the user is identified by nothing.
        UnknownFeature: The key is in no catalog, and the client is strict.
    """
    require_key(feature)
    if legacy is not None and type(legacy) is not bool:
        raise TypeError(f"legacy={legacy!r}: give the host's old answer as True or False")
    view = yield from look(setting, tenant, user=user, after=after)
    decision = view.decide(feature, access)
    if not decision.allowed and decision.reason is not Reason.CATALOG_UNKNOWN and not view.is_sure(SURE_WITHIN):
        if not view.stale:
            view = yield from look(setting, tenant, user=user, after=after, sure=True)
            decision = view.decide(feature, access)
    if legacy is not None:
        decision = view.against_legacy(decision, is_legacy_allowed=legacy)
    if decision.noteworthy:
        view.note(decision)
    return decision


def look(
    setting: Setting,
    tenant: str,
    *,
    user: str | None = None,
    attributes: Mapping[str, object] | None = None,
    after: int | None = None,
    fresh: bool = False,
    sure: bool = False,
) -> Flow[TenantView]:
    """
    Make the view of *tenant*. Never raises for an outage: the view then answers by the fail policies, and says so.

    Args:
        attributes: What flags may look at besides.
        after: Never older than this revision, as a change returned it.
        fresh: Past every cache.
        sure: Known to be true less than a second ago.
    """
    identify("tenant", tenant)
    if user is not None:
        identify("user", user)
    if after is not None and (type(after) is not int or after < 0):
        raise TypeError(f"after={after!r}: give the revision that a change returned")
    if attributes is not None:
        attributes = read_attributes(attributes)
    try:
        found = yield from hold(setting, tenant, floor=after or 0, fresh=fresh, sure=sure)
    except StoreUnavailable as error:
        _say_unavailable(setting.observer, error)
        return blind_view(setting, tenant, user, attributes)
    if found.is_from_snapshot:
        setting.observer.count("snapshot.used")
    elif found.age is not None:
        if found.is_hosts:
            setting.observer.count("host.stale")
        else:
            setting.observer.count("store.stale")
    return view_of(setting, tenant, user, found, attributes)


def near_view(setting: Setting, tenant: str, user: str | None) -> TenantView | None:
    """The view of what is near and may still be believed, without asking anybody; None where nothing is."""
    near = setting.near
    held = near.held.get(tenant)
    if held is not None and held.until > (now := near.clock()) < near.lease:
        held.touched = 1
        return view_of(setting, tenant, user, Found(held, now))
    return None


def near_narrowed(
    setting: Setting, held: Entry, decision: Decision, tenant: str, user: str | None, now: float
) -> Decision | None:
    """
    Ask the flags that narrow *decision*, which is of what is *held* near, and may be believed *now*.

    Returns:
        None where that is not all that is to be done.
    """
    key, world = decision.feature, held.table.world
    asker = Asker(tenant, user, setting.now(), held.for_user(user, now)[1])
    refused = refusal(narrowing(flags_known(setting), world, key), key, asker)
    if refused is None:
        found = decision.beneath
        return None if found is None or found.noteworthy else found
    return refused if now - seen_at(setting, held) < SURE_WITHIN else None


def _say_unavailable(observer: Observer, error: StoreUnavailable) -> None:
    cause = None if error.__cause__ is None else type(error.__cause__).__name__
    if isinstance(error, HostUnavailable):
        observer.count("host.unavailable")
        observer.once("host.unavailable", cause=cause, store_error=str(error))
    else:
        observer.count("store.unavailable")
        observer.once("store.unavailable", kind=type(error).__name__, cause=cause, store_error=str(error))


def view_of(
    setting: Setting,
    tenant: str,
    user: str | None,
    found: Found,
    attributes: Mapping[str, object] | None = None,
) -> TenantView:
    """The view that shows what was found."""
    near, entry = setting.near, found.entry
    until, standpoint = entry.for_user(user, found.now)
    return TenantView(
        tenant,
        user=user,
        at=setting.now(),
        until=until,
        standpoint=standpoint,
        entry=entry,
        revision=entry.revision,
        # Not that of the cache, which may have turned to another one meanwhile.
        world=entry.table.world,
        flags=flags_known(setting),
        attributes=attributes,
        age=found.age,
        now=found.now,
        seen_at=seen_at(setting, entry) if found.age is None else found.now - found.age,
        clock=near.clock,
        observer=setting.observer,
        is_strict=bool(setting.strict),
        for_user=None if entry.users is None else partial(entry.for_user, now=found.now),
        sightings=setting.sightings,
    )


def blind_view(
    setting: Setting, tenant: str, user: str | None, attributes: Mapping[str, object] | None = None
) -> TenantView:
    """The view of a tenant about whom nothing is known, because the store gave no answer."""
    now, world = setting.near.clock(), world_known(setting)
    return TenantView(
        tenant,
        user=user,
        at=setting.now(),
        until=None,
        standpoint=None,
        entry=None,
        revision=0,
        world=None if world is None else world.for_tenant(tenant),
        flags=flags_known(setting),
        attributes=attributes,
        age=0.0,
        now=now,
        seen_at=now,
        clock=setting.near.clock,
        observer=setting.observer,
        is_strict=bool(setting.strict),
        for_user=None,
    )


def confirm(setting: Setting, view: TenantView) -> Flow[TenantView]:
    """
    Give a view to turn somebody away by: *view* itself when it was true a second ago, else one that is.

    A web gate asks this before it refuses, so that a customer who has just paid is not locked out by a copy.
    """
    if view.stale or view.is_sure(SURE_WITHIN):
        return view
    return (yield from look(setting, view.tenant, user=view.user, attributes=view.attributes, sure=True))


def explained(
    setting: Setting, tenant: str, feature: str, *, at: datetime | None, user: str | None
) -> Flow[Explanation]:
    """
    Explain a decision at any instant, past every cache.

    The past is rebuilt from the change history, as it is known today: facts, kill switches and modes. What is sold is
    that of today, but for the versions of plans, which never change; and so are flags. The future is what is already
    decided.

    Raises:
        TypeError: *at* is naive.
        StoreUnavailable: The store gave no answer.
    """
    identify("tenant", tenant)
    if user is not None:
        identify("user", user)
    require_key(feature)
    now = setting.now()
    when: Instant = now if at is None else instant(at)
    if setting.near.world is None:
        yield Join(WORLD, partial(begin, setting), begins=True)
    known = yield from read_world(setting)
    world, flags = known.world, known.flags
    documents = cast("Mapping[str, TenantDocument]", (yield ReadTenants((tenant,))))
    document = documents.get(tenant) or TenantDocument(tenant)
    if when < now - KEPT_BEHIND:
        document = yield from history(tenant, document.generation)
    if when < now:
        controls = yield from _controls_at(world.controls, when)
        flags = FlagSnapshot.of(
            world.catalog.flags, known.flag_set, controls.killed, setting.killed, segments=world.catalog.segments
        )
        world = World.of(world.published, controls, setting.modes, flags.narrowing)
    world = world.for_tenant(tenant)
    host = hosted((yield ReadHost(tenant))) if setting.hosted else None
    found = explain(document, world, feature, when, user=user, host=host)
    if feature not in world.narrowed:
        return found
    holds = standpoint(situation(document, world, when, user=user, host=host), world)
    return narrowed(found, narrowing(flags, world, feature), Asker(tenant, user, when, holds))


def _controls_at(controls: Controls, when: Instant) -> Flow[Controls]:
    """The switches as they stood at *when*: all that was turned since, turned back, the last one first."""
    turns = yield from _pages(ReadAudit(scope=Scope.CONTROLS, since=when + 1))
    for entry in reversed(turns):
        match entry.detail:
            case {"about": ["killed" | "mode" as kind, str(key)], "was": None | bool() | str() as was}:
                controls = controls.turned((kind, key), was)
    return controls


def history(tenant: str, generation: int) -> Flow[TenantDocument]:
    """Rebuild all that was ever known about *tenant* in this generation."""
    changes = [each for each in (yield from _pages(ReadAudit(tenant=tenant))) if each.generation == generation]
    return replay(tenant, [(entry.revision, entry.recorded, entry.facts) for entry in changes], generation)


def _pages(first: ReadAudit) -> Flow[list[AuditEntry]]:
    """All that *first* asks of the audit trail, page by page."""
    found: list[AuditEntry] = []
    while True:
        after = found[-1].position if found else 0
        page = cast("Sequence[AuditEntry]", (yield replace(first, after=after, limit=PAGE)))
        found += page
        if len(page) < PAGE:
            return found


def health(
    setting: Setting, store: Store | AsyncStore, ledger: Ledger | AsyncLedger | None, breakers: Breakers
) -> Flow[Health]:
    """Ask the store whether it answers, and whether there is something to answer by."""
    near = setting.near
    detail = ""
    try:
        if near.world is None:
            # A probe waits no longer than any other question for what somebody else has begun.
            yield Join(WORLD, partial(begin, setting))
        else:
            yield Poll(near.position)
    except (StoreUnavailable, ConfigurationError) as error:
        # A store in which nothing was published yet is not ready either.
        detail = str(error)
    does_count: bool | None = None
    if ledger is not None:
        try:
            yield PrepareLedger()
            does_count = True
        except (StoreUnavailable, ConfigurationError):
            does_count = False
    world = near.world
    return Health(
        ok=not detail,
        store=store.name,
        is_durable=store.is_durable,
        catalog=None if world is None else world.catalog.hash,
        position=near.position,
        tenants=len(near.held),
        detail=detail,
        channel=None if setting.listener is None else setting.listener.status,
        # What is said of both, which are in one place mostly, is said once.
        concerns=tuple(
            dict.fromkeys((*store.concerns, *(() if ledger is None else ledger.concerns), *_flag_concerns(near.flags)))
        ),
        breaker=_seen(breakers.store),
        lease=max(0.0, near.trusted - near.clock()),
        shared=None if setting.sharing is None else _seen(breakers.shared) == "closed",
        snapshot=None if setting.snapshot is None else setting.snapshot.is_usable,
        ledger=None if ledger is None else ledger.name,
        ledger_answers=does_count,
    )


def _flag_concerns(flags: FlagSnapshot | None) -> Iterator[Concern]:
    if flags is None:
        return
    if flags.flag_set.damage is not None:
        why = f"the stored flag set cannot be read: {flags.flag_set.damage.why}"
        yield Concern("flags are as they were last changed", why, WAY_OUT)
    broken = (each.flag for each in flags.flags.values() if each.flag.broken)
    for flag in islice(broken, _NAMED):
        yield Concern(f"flag {flag.key!r} has an answer", flag.broken, "define it anew")


def _seen(breaker: Breaker) -> Literal["closed", "open"]:
    return "closed" if breaker.state == "closed" else "open"
