"""
Subscriptions as times. The state is computed from them, never stored, so a trial ends with no webhook.

The boundaries are half-open like all intervals: at the instant of its end a trial is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from datetime import datetime
from enum import StrEnum
from typing import cast

from payaid_entitlements.core.catalog.model import WIDTHS, Access, Lifecycle
from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.earliest import EARLIEST_COUNTS, counting
from payaid_entitlements.core.facts import Subject, TenantDocument, damaged
from payaid_entitlements.core.instant import EARLIEST, LATEST, Instant, instant
from payaid_entitlements.core.period import zone
from payaid_entitlements.errors import ConfigurationError

#: From so long before its end on, what a trial or subscription gives carries the advisory `subscription.expiring`.
EXPIRING_WITHIN = 7 * 86_400_000_000

#: So many of an add-on may be held: beyond it is a mistake in counting, and its worth could not even be written.
MOST = 10**9

#: The name of a tenant's subscription where only one is wanted.
MAIN = "main"


@dataclass(frozen=True, slots=True)
class Subscription:
    """
    A subscription as a host that keeps plans in its own table describes it.

    All datetimes are aware; a naive one raises ``TypeError`` when it is used.

    Attributes:
        plan: Key of the plan.
        add_ons: Quantity by add-on.
        version: The plan's version that is held; None for the newest.
        add_on_versions: The version that is held of an add-on; the newest where it is left out.
        starts: Not in force before; None for always.
        anchor: Where billing periods are counted from; None for *starts*.
        timezone: IANA name of the zone of its periods; None for the catalog's.
        trial_end: It is a trial, which ends then.
        past_due_since: Payment is due since then; the catalog's stages count from here.
        paused_from, paused_until: Paused in between; without an end until it is changed.
        cancel_at: The tenant wants it to end then.
        ends: It ends then by contract.
    """

    plan: str
    add_ons: Mapping[str, int] = field(default_factory=dict, kw_only=True)
    version: int | None = field(default=None, kw_only=True)
    add_on_versions: Mapping[str, int] = field(default_factory=dict, kw_only=True)
    starts: datetime | None = field(default=None, kw_only=True)
    anchor: datetime | None = field(default=None, kw_only=True)
    timezone: str | None = field(default=None, kw_only=True)
    trial_end: datetime | None = field(default=None, kw_only=True)
    past_due_since: datetime | None = field(default=None, kw_only=True)
    paused_from: datetime | None = field(default=None, kw_only=True)
    paused_until: datetime | None = field(default=None, kw_only=True)
    cancel_at: datetime | None = field(default=None, kw_only=True)
    ends: datetime | None = field(default=None, kw_only=True)


class State(StrEnum):
    """What a subscription is at an instant."""

    SCHEDULED = "scheduled"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    PAUSED = "paused"
    TRIAL_ENDED = "trial_ended"
    CANCELLED = "cancelled"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Times:
    """The instants that describe one subscription; None where it has no such time."""

    starts: Instant | None = None
    trial_end: Instant | None = None
    past_due_since: Instant | None = None
    paused_from: Instant | None = None
    paused_until: Instant | None = None
    cancel_at: Instant | None = None
    ends: Instant | None = None


@dataclass(frozen=True, slots=True)
class HeldAddOn:
    """
    How many of an add-on are held, in which version.

    Attributes:
        quantity: At least 1, at most `MOST`.
        version: None for the newest.
    """

    key: str
    quantity: int
    version: int | None


@dataclass(frozen=True, slots=True)
class Terms:
    """
    What a subscription says at an instant, read from the facts or from the host.

    Attributes:
        name: Tells several subscriptions of one tenant apart.
        version: None for the newest version of the plan.
        add_ons: By their keys.
        anchor, timezone: Of its billing periods; None for the start and the catalog's zone.
    """

    name: str
    plan: str
    version: int | None
    add_ons: tuple[HeldAddOn, ...]
    times: Times
    anchor: Instant | None = None
    timezone: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """
    Where a subscription stands.

    Attributes:
        access: What it opens now.
        denial: Why what it would open is refused, for the part that *access* does not open.
        advisory: What is worth knowing though it is open.
    """

    state: State
    access: Access
    denial: Reason | None = None
    advisory: Reason | None = None


_LAPSED = {
    State.TRIAL_ENDED: Reason.SUBSCRIPTION_TRIAL_ENDED,
    State.CANCELLED: Reason.SUBSCRIPTION_CANCELLED,
    State.ENDED: Reason.SUBSCRIPTION_ENDED,
    State.SCHEDULED: Reason.SUBSCRIPTION_SCHEDULED,
}


def standing(times: Times, lifecycle: Lifecycle, at: Instant) -> Standing:
    """
    Compute where a subscription stands at *at*.

    Pure. What is over is over, whatever else holds; of a pause and an overdue payment the one that leaves less
    open decides. A trial that was not bought ends; buying it removes *trial_end*.
    """
    if times.starts is not None and at < times.starts:
        return _lapsed(State.SCHEDULED)
    if times.cancel_at is not None and times.cancel_at <= at:
        return _lapsed(State.CANCELLED)
    if times.ends is not None and times.ends <= at:
        return _lapsed(State.ENDED)
    if times.trial_end is not None and times.trial_end <= at:
        return _lapsed(State.TRIAL_ENDED)
    troubles = [trouble for trouble in (_paused(times, lifecycle, at), _past_due(times, lifecycle, at)) if trouble]
    if troubles:
        return min(troubles, key=lambda trouble: WIDTHS[trouble.access])
    last = [end for end in (times.cancel_at, times.ends, times.trial_end) if end is not None]
    expiring = bool(last) and min(last) - EXPIRING_WITHIN <= at
    return Standing(
        State.ACTIVE if times.trial_end is None else State.TRIALING,
        Access.FULL,
        advisory=Reason.SUBSCRIPTION_EXPIRING if expiring else None,
    )


def _lapsed(state: State) -> Standing:
    return Standing(state, Access.NONE, denial=_LAPSED[state])


def _paused(times: Times, lifecycle: Lifecycle, at: Instant) -> Standing | None:
    if times.paused_from is None or at < times.paused_from:
        return None
    if times.paused_until is not None and times.paused_until <= at:
        return None
    return Standing(State.PAUSED, lifecycle.paused, denial=Reason.SUBSCRIPTION_PAUSED)


def _past_due(times: Times, lifecycle: Lifecycle, at: Instant) -> Standing | None:
    if times.past_due_since is None or at < times.past_due_since:
        return None
    access = Access.NONE
    for begins, stage_access in _stages(times.past_due_since, lifecycle):
        if begins > at:
            break
        access = stage_access
    return Standing(
        State.PAST_DUE,
        access,
        denial=Reason.SUBSCRIPTION_PAST_DUE,
        advisory=Reason.SUBSCRIPTION_IN_GRACE,
    )


def _stages(since: Instant, lifecycle: Lifecycle) -> Iterator[tuple[Instant, Access]]:
    """When each stage of being past due begins; what follows the last bounded one is nothing."""
    begins = since
    for stage in lifecycle.past_due:
        yield begins, stage.access
        if stage.length is None:
            return
        begins += stage.length
    yield begins, Access.NONE


def opens_at(times: Times, lifecycle: Lifecycle, now: Standing) -> Instant | None:
    """
    Find when a subscription that stands so *now* opens in full by itself: it begins, or its pause ends.

    None where neither is decided, or where it is not open then: overdue, cancelled before it begins.
    """
    match now.state:
        case State.SCHEDULED:
            opens = times.starts
        case State.PAUSED:
            opens = times.paused_until
        case _:
            return None
    return opens if opens is not None and standing(times, lifecycle, opens).access is Access.FULL else None


def boundaries(times: Times, lifecycle: Lifecycle) -> Iterator[Instant]:
    """All instants at which the standing may change, in no order."""
    for end in (times.cancel_at, times.ends, times.trial_end):
        if end is not None:
            yield end
            yield end - EXPIRING_WITHIN
    for begin in (times.starts, times.paused_from, times.paused_until):
        if begin is not None:
            yield begin
    if times.past_due_since is not None:
        for begins, _ in _stages(times.past_due_since, lifecycle):
            yield begins


def subject(name: str, *what: str) -> Subject:
    """The subject of facts about the subscription *name*: a field, or ``"add_on", key``."""
    return ("subscription", name, *what)


def terms_at(document: TenantDocument, at: Instant) -> tuple[Terms, ...]:
    """
    Read what each of the tenant's subscriptions says at *at*, by name.

    Raises:
        StoreDamaged: A fact about one cannot be read. Left out, an end would be no end.
    """
    found: dict[str, dict[str, object]] = {}
    add_ons: dict[str, list[HeldAddOn]] = {}
    for path, line in document.timelines.items():
        if path[0] != "subscription":
            continue
        value = line.at(at)
        match path, value:
            case _, None:
                pass
            case (_, name, "add_on", key), _ if (held := add_on_in(key, value)) is not None:
                add_ons.setdefault(name, []).append(held)
            case (_, name, field), _ if field in _READ:
                if field in EARLIEST_COUNTS:
                    value = counting(value)
                if not _READ[field](value):
                    raise damaged(document.tenant, path, value)
                found.setdefault(name, {})[field] = value
            case (_, _, "add_on", *_), _:
                raise damaged(document.tenant, path, value)
    return tuple(
        _terms(name, fields, tuple(sorted(add_ons.get(name, ()), key=_key)))
        for name, fields in sorted(found.items())
        if "plan" in fields
    )


def add_on_in(key: str, value: object) -> HeldAddOn | None:
    """Read what a fact about an add-on says; None where that is nothing, or nothing that can be read."""
    match value:
        case {"quantity": int(quantity), "version": int(version)} if _is_count(quantity) and _is_count(version):
            return HeldAddOn(key, quantity, version)
    return None


def _is_count(number: object) -> bool:
    return type(number) is int and 1 <= number <= MOST


def _key(held: HeldAddOn) -> str:
    return held.key


_TIMES = tuple(each.name for each in dataclass_fields(Times))


def _is_plan(value: object) -> bool:
    match value:
        case {"plan": str(), "version": int()}:
            return True
    return False


def _is_instant(value: object) -> bool:
    return type(value) is int and EARLIEST <= value <= LATEST


def _is_text(value: object) -> bool:
    return isinstance(value, str)


#: The fields of a subscription that terms are made of, and what their values look like.
_READ: Mapping[str, Callable[[object], bool]] = {
    "plan": _is_plan,
    "timezone": _is_text,
    **dict.fromkeys(("anchor", *_TIMES), _is_instant),
}


def _terms(name: str, fields: Mapping[str, object], add_ons: tuple[HeldAddOn, ...]) -> Terms:
    held = cast("Mapping[str, object]", fields["plan"])
    at = cast("Mapping[str, Instant]", fields)
    return Terms(
        name,
        cast("str", held["plan"]),
        cast("int", held["version"]),
        add_ons,
        Times(*(at.get(each) for each in _TIMES)),
        anchor=at.get("anchor"),
        timezone=cast("str | None", fields.get("timezone")),
    )


def _require_version(version: object, what: str) -> None:
    if version is not None and type(version) is not int:
        raise TypeError(f"{what}={version!r}: a version is a whole number, or None for the newest")


def terms_of(subscription: Subscription, *, name: str = "host") -> Terms:
    """
    Read a subscription that the host describes.

    Raises:
        TypeError: One of its datetimes is naive, a quantity or version is no whole number, or the time zone no text.
        ConfigurationError: It has more of an add-on than anybody can, or less than none; or there is no such time zone.
    """
    _require_version(subscription.version, "version")
    for key, version in subscription.add_on_versions.items():
        _require_version(version, f"add_on_versions[{key!r}]")
    if subscription.timezone is not None:
        zone(subscription.timezone)
    for key, quantity in subscription.add_ons.items():
        if type(quantity) is not int:
            raise TypeError(f"a quantity is a whole number, not {quantity!r} of add-on {key!r}")
        if abs(quantity) > MOST:
            raise ConfigurationError(f"of add-on {key!r} at most {MOST:,} may be held")
        if quantity < 0:
            raise ConfigurationError(f"{quantity} of add-on {key!r} cannot be held; leave it out, or say 0, for none")

    def at(moment: datetime | None) -> Instant | None:
        return None if moment is None else instant(moment)

    return Terms(
        name,
        subscription.plan,
        subscription.version,
        tuple(
            HeldAddOn(key, quantity, subscription.add_on_versions.get(key))
            for key, quantity in sorted(subscription.add_ons.items())
            if quantity > 0
        ),
        Times(
            at(subscription.starts),
            at(subscription.trial_end),
            at(subscription.past_due_since),
            at(subscription.paused_from),
            at(subscription.paused_until),
            at(subscription.cancel_at),
            at(subscription.ends),
        ),
        anchor=at(subscription.anchor),
        timezone=subscription.timezone,
    )
