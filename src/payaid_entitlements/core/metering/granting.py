"""
Grants: lots of units that a tenant was given once, beside what it has each month.

A grant is a fact like any other: it is cached, explained, undone and audited as they are, and only what was used of it
is in the ledger. Its end is a fact too, so one that has expired leaves the document by itself.

An add-on may give grants (``grant:`` in the catalog). **Each unit of it gives its lot once**: how many units have given
theirs is noted, and more than that gives the difference. So a message may be repeated, or come late, and the sum is
the same; and whoever gives an add-on back and takes it again is given nothing a second time. Whose subscription had
lapsed, and who then begins anew, has bought it anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from payaid_entitlements.core import period
from payaid_entitlements.core.catalog.model import Kind
from payaid_entitlements.core.encoding import decode_value, encode_value
from payaid_entitlements.core.facts import NewFact, Subject, TenantDocument, Timeline, damaged
from payaid_entitlements.core.instant import EARLIEST, LATEST, Instant, moment
from payaid_entitlements.core.interval import Interval
from payaid_entitlements.core.metering.amounts import to_units
from payaid_entitlements.core.values import Amount
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ConfigurationError, UnknownFeature

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import AddOn, Catalog
    from payaid_entitlements.core.ground import Ground

#: The priorities that a grant may have: the smallest is burnt first.
PRIORITIES: Final = range(101)

#: That of what a plan gives, and of a grant that names none: then what expires first is burnt first.
PRIORITY: Final = 50


#: So many grants of one tenant may be in force: each is a lot that is looked at whenever something is used.
MOST_GRANTS: Final = 500


@dataclass(frozen=True, slots=True)
class Grant:
    """
    A lot of units that was given once.

    Attributes:
        id: That of the change which gave it by hand; of an add-on's one that follows from what it is for.
        feature: Key of a quota or a credit.
        since, expires: In force in between, half-open; None for no end.
        priority: Those of a smaller one are burnt first.
        promotional: Of two that are otherwise equal it is burnt before what was paid for.
        created: When it was said.
        source: ``by hand``, or the add-on that gave it: ``add-on ai_pack@1``.
        actor, because: Who gave it and why; empty for an add-on's.
    """

    id: str
    feature: str
    amount: Amount
    since: Instant
    expires: Instant | None
    priority: int
    promotional: bool
    created: Instant
    source: str
    actor: str = ""
    because: str = ""


def grant_subject(id: str) -> Subject:
    """What a grant is about."""
    return ("grant", id)


def grant(
    on: Ground,
    feature: str,
    amount: Amount,
    *,
    expires: Instant | Interval | None,
    priority: int,
    promotional: bool,
    because: str | None,
    actor: str,
) -> tuple[NewFact, ...]:
    """
    Give *amount* units of a quota or a credit once, beside what the tenant has.

    Args:
        expires: What is left is gone then; an interval counts from now, in the tenant's zone, as windows do.

    Raises:
        UnknownFeature: The catalog has no such feature.
        TypeError: It is no quota and no credit, or *amount* or *priority* no number of its kind.
        ConfigurationError: *amount* is nothing or too much, *priority* is out of bounds, or *expires* is over; or the
            tenant has `MOST_GRANTS`.
    """
    require_grantable(on.world.catalog, feature, amount)
    _require_priority(priority)
    since = on.at
    ends = period.add(since, expires, 1, _zone(on)) if isinstance(expires, Interval) else expires
    if ends is not None and ends <= max(since, on.now):
        raise ConfigurationError(f"expires={moment(ends)} is over already; a grant expires in the future, or never")
    if len(grants_at(on.document, on.now)) >= MOST_GRANTS:
        raise ConfigurationError(
            f"tenant {on.document.tenant!r} has {MOST_GRANTS} grants, each a lot of its own; give fewer and larger "
            "ones, with expires=, or void those that are used up"
        )
    given = Grant(
        on.id,
        feature,
        amount,
        since,
        ends,
        priority,
        promotional,
        since,
        "by hand",
        actor,
        because or "",
    )
    return tuple(_facts(given))


def given_by(
    on: Ground, name: str, held: Mapping[str, tuple[int, int]], since: Instant, *, anew: bool = False
) -> tuple[NewFact, ...]:
    """
    Give the lots of add-ons that are held now, as far as their units have not given theirs.

    Args:
        name: Of the subscription.
        held: Quantity and version by add-on.
        since: When the subscription begins; else now.
        anew: What units gave before does not count: they are bought anew, and what is not among *held* will be.
    """
    facts: list[NewFact] = []
    for key, (quantity, version) in held.items():
        facts += _given_by(on, name, on.world.add_on(key, version), quantity, max(since, on.at), anew=anew)
    if anew:
        marked = [path[3] for path in on.document.timelines if path[:3] == ("subscription", name, "given")]
        facts += (NewFact(given_subject(name, key), on.at, None) for key in marked if key not in held)
    return tuple(facts)


def _given_by(on: Ground, name: str, add_on: AddOn, quantity: int, since: Instant, *, anew: bool) -> Iterator[NewFact]:
    about = given_subject(name, add_on.key)
    line = on.document.timelines.get(about, Timeline())
    given = 0 if anew or not line.facts else _count(on.document.tenant, about, line.facts[-1].value)
    if not add_on.grant or quantity <= given:
        return
    # It is the last word, whatever was said when: what arrives late must not lower what was given.
    last = line.facts[-1].since if line.facts else on.at
    said = None if on.as_of is None else max(on.as_of, line.said)
    yield NewFact(about, max(on.at, last), {"units": quantity}, said)
    for feature, lot in add_on.grant.items():
        yield from _facts(
            Grant(
                # It follows from what it is for: a message that is worked out twice comes to one grant.
                _derived_id(name, add_on.key, feature, str(on.at), str(given)),
                feature,
                lot.amount * (quantity - given),
                since,
                None if lot.expires is None else min(since + lot.expires, LATEST),
                PRIORITY,
                promotional=False,
                created=on.at,
                source=f"add-on {add_on.key}@{add_on.version}",
            )
        )


def given_subject(name: str, add_on: str) -> Subject:
    """What is said of how many units of an add-on of the subscription *name* have given their lot."""
    return ("subscription", name, "given", add_on)


def _count(tenant: str, about: Subject, fact: object) -> int:
    match fact:
        case None:
            return 0
        case {"units": int(units)}:
            return units
    raise damaged(tenant, about, fact)


def _derived_id(*parts: str) -> str:
    return sha256(json.dumps(parts).encode()).hexdigest()[:26]


def void(on: Ground, id: str) -> tuple[NewFact, ...]:
    """
    Take back what is left of a grant; what was used of it stays used.

    Raises:
        ConfigurationError: The tenant was never given it, or it has ended so long ago that it is not known any more.
    """
    about = grant_subject(id)
    if about not in on.document.timelines:
        known = ", ".join(each.id for each in grants_at(on.document, on.now)) or "there are none"
        raise ConfigurationError(
            f"tenant {on.document.tenant!r} has no grant {id!r} (in force: {known}); it is the id of the change that "
            "granted it, and `explain` names those in force"
        )
    return (NewFact(about, on.at, None),)


def grants_at(document: TenantDocument, at: Instant) -> tuple[Grant, ...]:
    """
    Read the grants that are in force at *at*, by their ids.

    Raises:
        StoreDamaged: One cannot be read.
    """
    found = []
    for path, line in document.timelines.items():
        if path[0] == "grant":
            each = _read(document.tenant, path, line.at(at))
            if each is not None and (each.expires is None or at < each.expires):
                found.append(each)
    return tuple(sorted(found, key=lambda each: each.id))


def _facts(given: Grant) -> Iterator[NewFact]:
    about = grant_subject(given.id)
    value = {
        "feature": given.feature,
        "amount": encode_value(given.amount),
        # Said in the fact too: undone and redone it is the lot that it was.
        "since": given.since,
        "expires": given.expires,
        "priority": given.priority,
        "promotional": given.promotional,
        "created": given.created,
        "source": given.source,
        "actor": given.actor,
        "because": given.because,
    }
    yield NewFact(about, given.since, value)
    if given.expires is not None:
        yield NewFact(about, given.expires, None)


def _read(tenant: str, about: Subject, fact: object) -> Grant | None:
    match fact:
        case None:
            return None
        case {
            "feature": str(feature),
            "amount": written,
            "since": int(since),
            "expires": None | int() as expires,
            "priority": int(priority),
            "promotional": bool(promotional),
            "created": int(created),
            "source": str(source),
            "actor": str(actor),
            "because": str(because),
        } if EARLIEST <= (expires or 0) <= LATEST:
            amount = _amount(written)
            if amount is not None:
                return Grant(
                    about[1],
                    feature,
                    amount,
                    since,
                    expires,
                    priority,
                    promotional,
                    created,
                    source,
                    actor,
                    because,
                )
    raise damaged(tenant, about, fact)


def _amount(written: object) -> Amount | None:
    try:
        amount = decode_value(written)
    except ValueError:
        return None
    if isinstance(amount, int | Decimal) and not isinstance(amount, bool) and amount > 0:
        return amount
    return None


def require_grantable(catalog: Catalog, key: str, amount: object) -> None:
    """
    Pass for a quota or a credit, and an amount that there can be of it.

    Raises:
        UnknownFeature, TypeError, ConfigurationError: As for `grant`.
    """
    feature = catalog.features.get(key)
    if feature is None:
        raise UnknownFeature(f"the catalog has no feature {key!r}{did_you_mean(str(key), catalog.features)}")
    if feature.kind not in (Kind.QUOTA, Kind.CREDIT):
        way_out = "override its limit" if feature.kind is Kind.ALLOCATION else "override it"
        raise TypeError(f"{key!r} is a {feature.kind.value}; only units of a quota or a credit are granted: {way_out}")
    to_units(amount, feature)


def _require_priority(priority: object) -> None:
    if type(priority) is not int:
        raise TypeError(f"a priority is a whole number, not {priority!r}; smaller ones are burnt first")
    if priority not in PRIORITIES:
        raise ConfigurationError(f"priority={priority}; it is from {PRIORITIES[0]} to {PRIORITIES[-1]}")


def _zone(on: Ground) -> ZoneInfo:
    match on.document.value(("timezone",), on.at):
        case {"zone": str(name)}:
            return period.zone(name)
    return period.zone(on.world.catalog.timezone)
