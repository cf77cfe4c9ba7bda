"""
From facts to answers: all joins, precedence and date arithmetic, done once, on a miss.

A tenant's facts and an instant make a `Situation`; equal situations share one table of prebuilt decisions, whoever
the tenant is. An override is a small overlay over the shared table. What the future already holds (a trial's end, a
scheduled plan) comes out as further segments, so crossing such an instant asks nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from sys import intern
from typing import TYPE_CHECKING, cast

from payaid_entitlements.core.catalog.model import Access, Lifecycle
from payaid_entitlements.core.decision import Decision, Intent, Reason
from payaid_entitlements.core.encoding import decode_value
from payaid_entitlements.core.evaluation import Evaluation, Held, Situation, Status
from payaid_entitlements.core.facts import Subject, TenantDocument, damaged
from payaid_entitlements.core.instant import EARLIEST, LATEST, Instant
from payaid_entitlements.core.merging import Source
from payaid_entitlements.core.metering.granting import grants_at
from payaid_entitlements.core.metering.meters import Meters, meters_at
from payaid_entitlements.core.ratelimit.holding import limits_held
from payaid_entitlements.core.subscription import (
    MAIN,
    Standing,
    State,
    Terms,
    Times,
    boundaries,
    opens_at,
    standing,
    terms_at,
)
from payaid_entitlements.core.values import DENY, Deny, Value

if TYPE_CHECKING:
    from payaid_entitlements.core.ratelimit.limits import Limit
    from payaid_entitlements.core.world import World

#: The subject of the fact about what was done to a tenant as a whole.
STATUS = ("status",)

#: What was granted to most tenants.
NOTHING_GRANTED: frozenset[str] = frozenset()

#: The name of the subscription that a host describes.
HOST = "host"

#: Shapes whose decisions are kept for the next tenant of the same shape: a table of twenty keys takes 6 kB.
MOST_TABLES = 2_000

#: At most so many segments are prepared; what lies behind them is a miss.
MOST_SEGMENTS = 8


class Table(dict[str, Decision]):
    """
    Decisions by key. Shared by all tenants of one shape, and never changed.

    An overlay holds only what differs and asks *base* for the rest; a key that nobody knows gets a refusal of its own.
    """

    __slots__ = ("base", "world")

    def __init__(self, decisions: Mapping[str, Decision], world: World, base: Table | None = None) -> None:
        super().__init__(decisions)
        self.world = world
        self.base = base

    def __missing__(self, key: str) -> Decision:
        if self.base is not None:
            return self.base[key]
        if not isinstance(key, str):
            raise TypeError(f"a feature's key is a str, not {type(key).__name__} ({key!r})")
        # Not remembered: keys come from callers, and there is no end of wrong ones.
        retired = key in self.world.catalog.retired
        return Decision(False, Reason.CATALOG_RETIRED if retired else Reason.CATALOG_UNKNOWN, key)


@dataclass(frozen=True, slots=True)
class Standpoint:
    """
    What holds from one instant to the next transition.

    Attributes:
        write, read: Decisions by key for the two intents; the same object where they do not differ.
        plan: Key of the highest plan in force, else of the default plan; None where there is neither.
        state: Of that plan's subscription; None without one.
        modules: Those that may be used, at least for reading.
        situation: What it was worked out from: remedies and explanations start there.
    """

    write: Table
    read: Table
    plan: str | None
    state: State | None
    modules: frozenset[str]
    situation: Situation

    @property
    def limits(self) -> Mapping[str, Limit]:
        """Rate limits by key. Not kept: there may be a hundred thousand standpoints, and few are asked."""
        return limits_held(self.write.world, self.situation)


@dataclass(frozen=True, slots=True)
class Segment:
    """A standpoint and the instant at which it ends; None when nothing is known to change it; and what meters need."""

    until: Instant | None
    standpoint: Standpoint
    meters: Meters


def resolve(
    document: TenantDocument,
    world: World,
    at: Instant,
    horizon: Instant,
    *,
    user: str | None = None,
    host: tuple[Terms, ...] | None = None,
) -> tuple[Segment, ...]:
    """
    Work out what a tenant holds from *at* until *horizon*.

    Pure: the same arguments always give equal answers, in every process.

    Args:
        document: The tenant's facts.
        at: From when on. Inclusive.
        horizon: Transitions after it are not looked for, except the first.
        user: Whose overrides apply besides the tenant's.
        host: Subscriptions that the host keeps; they replace those of the document. None where it keeps none.

    Returns:
        At least one segment; the first holds at *at*, each next one from where the one before ends.
    """
    segments: list[Segment] = []
    world = world.for_tenant(document.tenant)
    while len(segments) < MOST_SEGMENTS:
        # Read once for both.
        terms = terms_at(document, at) if host is None else host
        until = next_transition(document, world, at, user=user, host=terms)
        known = _with_what_comes(document, world, at, user, terms, host)
        meters = meters_at(document, world, at, known.held, terms)
        if segments and meters == segments[-1].meters:
            meters = segments[-1].meters
        segments.append(Segment(until, standpoint(known, world), meters))
        if until is None or until >= horizon:
            break
        at = until
    return tuple(segments)


def situation(
    document: TenantDocument,
    world: World,
    at: Instant,
    *,
    user: str | None = None,
    host: tuple[Terms, ...] | None = None,
) -> Situation:
    """
    Gather all that decisions at *at* depend on.

    Raises:
        StoreDamaged: A fact cannot be read. Left out, a suspension or an end would be none.
    """
    terms = terms_at(document, at) if host is None else host
    return _with_what_comes(document, world, at, user, terms, host)


def _with_what_comes(
    document: TenantDocument,
    world: World,
    at: Instant,
    user: str | None,
    terms: tuple[Terms, ...],
    host: tuple[Terms, ...] | None,
) -> Situation:
    now = _situation(document, world, at, user, terms)
    turns = set(_openings(terms, world, at))
    if host is None:
        turns.update(_changes(document, at))
    if not turns:
        return now
    coming = []
    for when in sorted(turns)[:MOST_SEGMENTS]:
        then = terms_at(document, when) if host is None else host
        coming.append((when, _situation(document, world, when, user, then)))
    return replace(now, coming=tuple(coming))


def _situation(
    document: TenantDocument, world: World, at: Instant, user: str | None, terms: tuple[Terms, ...]
) -> Situation:
    held = [held_of(each, world, at) for each in terms]
    held.sort(key=lambda one: -one.source.plan.rank)
    # One and the same for all who were granted nothing: an empty set of its own takes 216 bytes.
    granted = frozenset(each.feature for each in grants_at(document, at)) or NOTHING_GRANTED
    return Situation(tuple(held), _status(document, at), overrides_at(document, at, user) or None, granted=granted)


def _openings(terms: Iterable[Terms], world: World, at: Instant) -> Iterator[Instant]:
    """When a subscription begins, or its pause ends."""
    lifecycle = world.catalog.lifecycle
    for each in terms:
        opens = opens_at(each.times, lifecycle, standing(each.times, lifecycle, at))
        if opens is not None:
            yield opens


def _changes(document: TenantDocument, at: Instant) -> Iterator[Instant]:
    """When what was scheduled for a subscription takes effect."""
    for path, line in document.timelines.items():
        if path[0] == "subscription":
            yield from (fact.since for fact in line.facts if fact.since > at)


def _status(document: TenantDocument, at: Instant) -> Status | None:
    match document.value(STATUS, at):
        case None | "suspended" | "revoked" as status:
            return status
        case other:
            raise damaged(document.tenant, STATUS, other)


def held_of(terms: Terms, world: World, at: Instant) -> Held:
    """Look up what a subscription sells and where it stands at *at*. What was never published gives nothing."""
    lifecycle = world.catalog.lifecycle
    add_ons = [(world.add_on(held.key, held.version), held.quantity) for held in terms.add_ons]
    # In the order of the catalog: where it decides, the later one has more authority.
    add_ons.sort(key=lambda pair: (pair[0].rank, pair[0].key))
    source = Source(world.plan(terms.plan, terms.version), tuple(add_ons))
    now = standing(terms.times, lifecycle, at)
    besides = _besides(terms.times, lifecycle, now, at)
    return Held(source, now, besides, is_trial=terms.times.trial_end is not None, name=terms.name)


def _besides(times: Times, lifecycle: Lifecycle, now: Standing, at: Instant) -> Reason | None:
    match now:
        case Standing(State.PAST_DUE):
            then = standing(replace(times, past_due_since=None), lifecycle, at)
        case Standing(State.PAUSED):
            then = standing(replace(times, paused_from=None), lifecycle, at)
        case _:
            return None
    return None if then.access is Access.FULL else then.denial


def overrides_at(document: TenantDocument, at: Instant, user: str | None) -> dict[str, Value | Deny]:
    """
    The overrides in force at *at*, the user's joined with the tenant's.

    ``DENY`` at either level beats a value at the other; of two values the user's wins.
    """
    found: dict[str, Value | Deny] = {}
    for path, line in document.timelines.items():
        if path[0] != "override":
            continue
        match path:
            case (_, feature):
                is_users = False
            case (_, feature, whose) if whose == user:
                is_users = True
            case _:
                continue
        value = _said(document, path, line.at(at), at)
        known = found.get(feature)
        if value is not None and (known is None or value is DENY or (is_users and known is not DENY)):
            # One string for all tenants: each document brings its own.
            found[intern(feature)] = value
    return found


def _said(document: TenantDocument, about: Subject, fact: object, at: Instant) -> Value | Deny | None:
    """What an override says at *at*; None where it is cleared or over."""
    match fact:
        case None:
            return None
        case {"to": to, "until": None | int() as until} if to is not None and EARLIEST <= (until or 0) <= LATEST:
            if until is not None and until <= at:
                return None
            try:
                return decode_value(to)
            except ValueError as error:
                raise damaged(document.tenant, about, fact) from error
    raise damaged(document.tenant, about, fact)


def next_transition(
    document: TenantDocument,
    world: World,
    at: Instant,
    *,
    user: str | None = None,
    host: tuple[Terms, ...] | None = None,
) -> Instant | None:
    """The first instant after *at* at which something may change by itself; None when nothing is known to."""
    # What lies behind the last instant that there is (a grace that begins in 9999) never comes.
    found = (when for when in _transitions(document, world, at, user, host) if at < when <= LATEST)
    return min(found, default=None)


def _transitions(
    document: TenantDocument, world: World, at: Instant, user: str | None, host: tuple[Terms, ...] | None
) -> Iterator[Instant]:
    for path, line in document.timelines.items():
        for fact in line.facts:
            yield fact.since
        if path[0] == "override" and (len(path) == 2 or path[2] == user):
            match line.at(at):
                case {"until": int(until)}:
                    yield until
    for terms in terms_at(document, at) if host is None else host:
        yield from boundaries(terms.times, world.catalog.lifecycle)


def standpoint(at: Situation, world: World) -> Standpoint:
    """Find or build the decisions for a situation; situations without overrides share theirs."""
    # The shape, not the situation: it hashes in a microsecond where plans and add-ons would be walked through.
    shape = _shape(at)
    known = world.tables.get(shape)
    if known is None:
        if len(world.tables) >= MOST_TABLES:
            # Quantities of add-ons make shapes without end. Who is near keeps the table that it has.
            world.tables.clear()
        # Without what is only this tenant's: others get it too.
        known = world.tables[shape] = _build(Situation(tuple(_common(held) for held in at.held), at.status), world)
    shared = cast("Standpoint", known)
    if at.overrides is not None or at.granted:
        return _overlaid(at, world, shared)
    return shared if at == shared.situation else replace(shared, situation=at)


def _common(held: Held) -> Held:
    return replace(held, besides=None, is_trial=False, name=_common_name(held.name))


def _common_name(name: str) -> str:
    """Most have the one name, or the one that a host's own subscription has; others come from callers, without end."""
    return name if name == HOST else MAIN


def _shape(of: Situation) -> object:
    return (
        of.status,
        tuple(
            (
                held.source.plan.key,
                held.source.plan.version,
                tuple((add_on.key, add_on.version, quantity) for add_on, quantity in held.source.add_ons),
                held.standing,
                _common_name(held.name),
            )
            for held in of.held
        ),
    )


def _build(of: Situation, world: World) -> Standpoint:
    write = _decide_all(of, world, "write")
    read = _decide_all(of, world, "read")
    tables = Table(write, world), Table(read, world)
    if write == read:
        tables = tables[0], tables[0]
    return _standpoint(of, world, *tables, read)


def _overlaid(of: Situation, world: World, shared: Standpoint) -> Standpoint:
    # Only what overrides and grants can reach is decided anew, and what comes out equal is shared again: there may be a
    # hundred thousand such tenants, and each is worked out on every miss.
    if of.held == shared.situation.held:
        of = replace(of, held=shared.situation.held)
    # In an order of its own: a set has another one in each process.
    said = (*(of.overrides or ()), *sorted(of.granted))
    keys = tuple(dict.fromkeys(key for changed in said for key in world.dependents.get(changed, ())))
    write, read = _decide(of, world, "write", keys), _decide(of, world, "read", keys)
    writes = _difference(write, shared.write)
    reads = writes if shared.read is shared.write and write == read else _difference(read, shared.read)
    if not writes and not reads:
        # Granted more of what is sold anyway: the tables say the same, only the lots do not.
        return replace(shared, situation=of)
    over = Table(writes, world, shared.write)
    return Standpoint(
        over,
        over if reads is writes else Table(reads, world, shared.read),
        shared.plan,
        shared.state,
        _with_changed(shared.modules, {key: read[key].allowed for key in keys if key in world.catalog.modules}),
        of,
    )


def _with_changed(modules: frozenset[str], allowed: Mapping[str, bool]) -> frozenset[str]:
    gained = {key for key, is_allowed in allowed.items() if is_allowed and key not in modules}
    lost = {key for key, is_allowed in allowed.items() if not is_allowed and key in modules}
    return (modules | gained) - lost if gained or lost else modules


def _difference(decisions: Mapping[str, Decision], base: Table) -> dict[str, Decision]:
    return {key: decision for key, decision in decisions.items() if decision != base[key]}


def _decide_all(of: Situation, world: World, intent: Intent) -> dict[str, Decision]:
    return _decide(of, world, intent, (*world.catalog.modules, *world.catalog.features))


def _decide(of: Situation, world: World, intent: Intent, keys: Iterable[str]) -> dict[str, Decision]:
    evaluation = Evaluation(world, of, intent)
    decided = {key: evaluation.decide(key) for key in keys}
    for key in world.narrowed.intersection(decided):
        decided[key] = decided[key].narrowed()
    return decided


def _standpoint(
    of: Situation, world: World, write: Table, read: Table, decisions: Mapping[str, Decision]
) -> Standpoint:
    in_force = [held for held in of.held if held.standing.access is not Access.NONE]
    default = world.default_plan
    plan = in_force[0].source.plan.key if in_force else None if default is None else default.key
    state = in_force[0].standing.state if in_force else of.held[0].standing.state if of.held else None
    modules = frozenset(key for key in world.catalog.modules if decisions[key].allowed)
    return Standpoint(write, read, plan, state, modules, of)
