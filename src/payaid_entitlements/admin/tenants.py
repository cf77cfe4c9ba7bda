"""
One flow for every change of one tenant: read, work out, compare, write; again when somebody was faster.

The working out is pure, so doing it anew on what the faster one left is safe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, cast

from payaid_entitlements.admin.change import Author, Change, ChangeReason
from payaid_entitlements.admin.exceeding import exceeding
from payaid_entitlements.cache.loading import hosted
from payaid_entitlements.cache.renewing import announce, begin, poll
from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.cache.steps import AfterCommit, Apply, Flow, Join, ReadAudit, ReadHost, ReadTenants
from payaid_entitlements.core.alterations import alterations, altered
from payaid_entitlements.core.comparison import gains_and_losses
from payaid_entitlements.core.earliest import counting
from payaid_entitlements.core.facts import NewFact, Outcome, Subject, TenantDocument, record
from payaid_entitlements.core.ground import MOST_AHEAD, Ground
from payaid_entitlements.core.instant import MINUTE, Instant, moment
from payaid_entitlements.core.licensed import licensed
from payaid_entitlements.core.resolution import Standpoint, situation, standpoint
from payaid_entitlements.core.subscription import Terms
from payaid_entitlements.core.world import World
from payaid_entitlements.errors import ChangeConflict, ConfigurationError
from payaid_entitlements.stores.ports import Applied, AuditEntry, Scope, Transaction, Write

#: How often a change is worked out anew because somebody was faster.
MOST_TRIES: Final = 10

#: How many entries of the audit trail are read at once.
PAGE: Final = 500

Work = Callable[[Ground], tuple[NewFact, ...]]


@dataclass(frozen=True, slots=True)
class Request:
    """
    What is to be changed about one tenant.

    Attributes:
        work: Works out the facts.
        arguments: What the caller asked, as JSON data: a repeated operation is known by it.
        notes: What an audit reader should see besides.
        user: Whose answers are compared; None for the tenant's.
        is_about_subscription: The host keeps those itself where it said so.
        is_forced: Written although it records nothing.
        erases: All that is known is forgotten.
        expect: Revision of the tenant that the caller looked at; None where it looked at none.
        check: Runs on what was read, before working out; raises to refuse.
        is_one_of_many: Nobody looks at what exceeds, so the ledger is not asked.
    """

    tenant: str
    verb: str
    work: Work
    arguments: Mapping[str, object]
    author: Author
    operation: str | None = None
    as_of: Instant | None = None
    tx: Transaction | None = None
    notes: Mapping[str, object] = field(default_factory=dict)
    user: str | None = None
    expect: int | None = None
    is_about_subscription: bool = False
    is_forced: bool = False
    erases: bool = False
    check: Callable[[TenantDocument], Flow[None]] | None = None
    is_one_of_many: bool = False

    @property
    def detail(self) -> dict[str, object]:
        """What is stored beside the facts."""
        return {"asked": dict(self.arguments), **self.notes}


def change_tenant(setting: Setting, request: Request) -> Flow[Change]:
    """
    Change one tenant.

    Raises:
        ConfigurationError: It is about a subscription, and the host keeps those itself.
        ChangeConflict: Others were faster each time, or once inside the host's transaction or since *expect*.
        OperationConflict: The operation was used for something else.
    """
    if request.is_about_subscription and setting.hosted:
        raise ConfigurationError(
            f"{request.verb}: this client was opened with subscriptions=, so your own table is the truth; "
            "change it there, then call invalidate(tenant, tx=...)"
        )
    world = yield from current_world(setting, is_joined=request.tx is not None)
    tries_left = MOST_TRIES
    while True:
        tries_left -= 1
        plan = yield from _worked_out(setting, request, world)
        if isinstance(plan, Change):
            return plan
        try:
            applied = cast("Applied", (yield plan.apply))
            break
        except ChangeConflict:
            if request.tx is not None or not tries_left:
                raise
    if not applied.applied:
        return repeated(applied.id, applied.revision, setting)
    if request.tx is not None:
        # Nobody may see it before the host's commit; and it may still be rolled back, so then the log is believed.
        yield AfterCommit(request.tx, partial(_catch_up, setting, applied.position))
    else:
        setting.near.invalidate(request.tenant, applied.revision, applied.position)
        yield from announce(setting, Scope.TENANT, request.tenant, applied)
    return replace(plan.change, id=applied.id, applied=True, reason=ChangeReason.APPLIED, revision=applied.revision)


def _catch_up(setting: Setting, position: int) -> Flow[None]:
    """Read the change log, unless that was done for a later line of the same transaction."""
    if (setting.near.position or 0) < position:
        yield from poll(setting)


def current_world(setting: Setting, *, is_joined: bool = False) -> Flow[World]:
    """
    Make sure that this process knows what is sold now: somebody may have published a moment ago.

    Args:
        is_joined: Inside a host's transaction another connection is only asked for when it must be.
    """
    near = setting.near
    world = near.world
    if world is not None and (not is_joined or near.clock() >= near.lease):
        yield from poll(setting)
        world = near.world
    if world is None:
        # The first of all, or the client was closed by another thread. It can be used again, so this is answered.
        world = cast("World", (yield Join("\x00world", partial(begin, setting))))
    return world


@dataclass(frozen=True, slots=True)
class _Plan:
    change: Change
    apply: Apply


def _worked_out(setting: Setting, request: Request, world: World) -> Flow[_Plan | Change]:
    """Read and work out; a `Change` where there is nothing to write."""
    tenant = request.tenant
    documents = cast("Mapping[str, TenantDocument]", (yield ReadTenants((tenant,), request.tx)))
    document = documents.get(tenant) or TenantDocument(tenant)
    host = hosted((yield ReadHost(tenant))) if setting.hosted else None
    now = setting.now()
    change_id = setting.new_id(now)
    try:
        _require_expected(request, document)
        if request.check is not None:
            yield from request.check(document)
        _require_not_ahead(request, now)
        outcome, reason = _outcome(request, Ground(document, world, now, request.as_of, change_id))
    except Exception:
        # What was right the first time may be refused now; a repeated message must not fail for that.
        first = yield from _first(request)
        if first is None:
            raise
        return repeated(first.id, first.revision, setting)
    if reason is not ChangeReason.APPLIED or request.author.is_dry:
        first = yield from _first(request)
        if first is not None:
            return repeated(first.id, first.revision, setting)
    change = _described(request, world, document, outcome, now, host)
    if outcome.recorded and not request.is_one_of_many:
        instants = sorted({now, max(effective_at(outcome, now), now)})
        exceeds = yield from exceeding(setting, world, document, outcome.document, instants, host, request.tx)
        change = replace(change, exceeds=exceeds)
    if reason is ChangeReason.SUPERSEDED or (reason is ChangeReason.UNCHANGED and request.operation is None):
        return replace(change, reason=reason)
    if request.author.is_dry:
        return change if reason is ChangeReason.APPLIED else replace(change, reason=reason)
    plan, modules = licensed(outcome.document, world, now, host)
    write = Write(
        change_id,
        request.verb,
        now,
        document=outcome.document,
        facts=outcome.recorded,
        plan=plan,
        modules=modules,
        erase=request.erases,
        detail=request.detail,
    )
    author = request.author
    return _Plan(
        change,
        Apply(write, document.revision, author.actor, author.because, request.operation, request.as_of, request.tx),
    )


def _require_expected(request: Request, document: TenantDocument) -> None:
    if request.expect is not None and request.expect != document.revision:
        raise ChangeConflict(
            f"{request.tenant!r} is at revision {document.revision}, and you looked at {request.expect}; look again "
            "and repeat",
            expected=request.expect,
            found=document.revision,
        )


def _require_not_ahead(request: Request, now: Instant) -> None:
    """Refuse a word of the future: until then it would win against all that its source goes on saying."""
    if request.as_of is not None and request.as_of > now + MOST_AHEAD:
        raise ConfigurationError(
            f"as_of={moment(request.as_of)} is {(request.as_of - now) // MINUTE} minutes ahead of this host's clock "
            f"({moment(now)}); as_of is when the source said it, not when it is to hold. Is it in another unit or "
            "zone, or is a clock wrong?"
        )


def _outcome(request: Request, ground: Ground) -> tuple[Outcome, ChangeReason]:
    document = ground.document
    if request.erases:
        empty = TenantDocument(document.tenant, document.revision + 1, document.generation + 1, forgotten=ground.now)
        is_known = bool(document.timelines)
        return Outcome(empty, ()), ChangeReason.APPLIED if is_known else ChangeReason.UNCHANGED
    if document.is_of_another(ground.as_of):
        return Outcome(document, ()), ChangeReason.SUPERSEDED
    wanted = request.work(ground)
    facts = wanted if ground.as_of is not None else _altering(document, wanted, ground.now)
    outcome = record(document, facts, recorded=ground.now, as_of=ground.as_of)
    if outcome.recorded:
        return outcome, ChangeReason.APPLIED
    # Nothing is recorded but the act itself: its operation, or that the host's own table has changed.
    bare = Outcome(replace(document, revision=document.revision + 1), ())
    if request.is_forced:
        return bare, ChangeReason.APPLIED
    return bare, ChangeReason.UNCHANGED if ground.as_of is None else ChangeReason.SUPERSEDED


def _altering(document: TenantDocument, facts: tuple[NewFact, ...], now: Instant) -> tuple[NewFact, ...]:
    """Nothing where all of *facts* is known already, for now and for later; else all, as what was said last."""
    after = record(document, facts, recorded=now).document
    subjects = {fact.subject for fact in facts}
    is_altering = any(_coming(document, each, now) != _coming(after, each, now) for each in subjects)
    return facts if is_altering else ()


def _coming(document: TenantDocument, subject: Subject, now: Instant) -> list[tuple[Instant, object]]:
    line = document.timelines.get(subject)
    coming: list[tuple[Instant, object]] = [(now, None if line is None else line.at(now))]
    for fact in () if line is None else line.facts:
        if fact.since > now and fact.value != coming[-1][1]:
            coming.append((fact.since, fact.value))
    return coming


def _described(
    request: Request,
    world: World,
    document: TenantDocument,
    outcome: Outcome,
    now: Instant,
    host: tuple[Terms, ...] | None,
) -> Change:
    """The change as it would be, with what it opens and closes now, and at the instant from which it holds."""
    effective = effective_at(outcome, now)
    world = world.for_tenant(request.tenant)

    def seen(known: TenantDocument, at: Instant) -> Standpoint:
        return standpoint(situation(known, world, at, user=request.user, host=host), world)

    # Also now, whenever it takes effect: what opens today and ends in a month would be no gain then.
    gains: dict[str, None] = {}
    losses: dict[str, None] = {}
    for at in sorted({now, max(effective, now)}):
        gained, lost = gains_and_losses(seen(document, at), seen(outcome.document, at))
        gains |= dict.fromkeys(gained)
        losses |= dict.fromkeys(lost)
    return Change(
        None,
        False,
        ChangeReason.DRY_RUN,
        document.revision,
        moment(effective),
        tuple(gains),
        tuple(losses),
        altered=altered(outcome.recorded),
    )


def effective_at(outcome: Outcome, now: Instant) -> Instant:
    """From when on what was recorded changes something: a cancellation is said now and is one later."""
    # What is only said again does not count.
    altering = [each.since for each in alterations(outcome.recorded)]
    effective = min(altering or (fact.since for fact in outcome.recorded), default=now)
    for fact in outcome.recorded:
        value = counting(fact.value)
        if fact.subject[-1] in ("cancel_at", "starts") and isinstance(value, int):
            effective = max(effective, value)
    return effective


def repeated(id: str, revision: int | None, setting: Setting) -> Change:
    """What a repeated operation comes to: nothing, and it names the change that it made the first time."""
    return Change(id, False, ChangeReason.REPEATED, revision, moment(setting.now()))


def _first(request: Request) -> Flow[AuditEntry | None]:
    return first_of(request.operation, request.verb, request.arguments, tenant=request.tenant)


def first_of(
    operation: str | None,
    verb: str,
    asked: Mapping[str, object],
    *,
    tenant: str | None,
    after: int = 0,
    scope: Scope = Scope.CONTROLS,
) -> Flow[AuditEntry | None]:
    """
    Find the change that this operation made before; for the cases in which the store is not asked to write.

    Args:
        tenant: None for what is about everybody.
        after: Position in the audit trail behind which it must be.
        scope: What is about everybody: the switches, or the flags.
    """
    if operation is None:
        return None
    # An operation is the tenant's own; what is about everybody shares theirs.
    about = scope if tenant is None else Scope.TENANT
    step = ReadAudit(tenant=tenant, scope=about, operation=operation, after=after, limit=1)
    for entry in cast("Sequence[AuditEntry]", (yield step)):
        if entry.verb == verb and entry.detail.get("asked") == asked:
            return entry
    return None
