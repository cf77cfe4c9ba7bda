"""
What metering needs of a tenant's facts: when its windows begin, what it was granted, what a change of plan left it.

It lives in each cached entry, so it is small: names of zones instead of zones, one anchor instead of a subscription,
and for most tenants nothing else. Nothing is worked out here that only metering asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from sys import intern
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar, cast

from payaid_entitlements.core.facts import TenantDocument, Timeline
from payaid_entitlements.core.instant import EARLIEST, Instant
from payaid_entitlements.core.metering.amounts import floored
from payaid_entitlements.core.metering.carrying import Carry, carries_at
from payaid_entitlements.core.metering.granting import PRIORITY, grants_at
from payaid_entitlements.core.subscription import Terms, subject
from payaid_entitlements.core.zones import history

if TYPE_CHECKING:
    from payaid_entitlements.core.evaluation import Held
    from payaid_entitlements.core.world import World

#: The name of the one zone that was ever in force; or of each, with the instant since when, oldest first.
ZoneNames: TypeAlias = str | tuple[tuple[Instant, str], ...]

#: When what a plan gives is burnt, among grants of 0 to 100: what is lower is burnt first.
PLAN_PRIORITY: Final = PRIORITY


@dataclass(frozen=True, slots=True)
class Lot:
    """
    A grant: units of a quota or of a credit that were given once.

    Attributes:
        id: Of the grant.
        amount: In the smallest units of *feature*.
        priority: From 0 to 100; lower is burnt first.
        since, until: When it may be used; *until* is exclusive, and None where it never expires.
        is_promotional: It was given, not paid for; burnt first of what expires together.
        created: When it was recorded.
    """

    id: str
    feature: str
    amount: int
    priority: int
    since: Instant
    until: Instant | None
    is_promotional: bool
    created: Instant


@dataclass(frozen=True, slots=True)
class Billing:
    """
    When the windows of one subscription begin.

    Attributes:
        name: Of the subscription.
        anchor: Start of some window; None where nothing says so, and windows are those of the calendar.
        zones: Where it is midnight.
        begun, unchanged: Since when it holds, and since when the plan that it sells now; None where nothing says so.
        extended: Since when its add-ons are what they are, where that is later than *unchanged*.
    """

    name: str
    anchor: Instant | None
    zones: ZoneNames
    begun: Instant | None = None
    unchanged: Instant | None = None
    extended: Instant | None = None


@dataclass(frozen=True, slots=True)
class Meters:
    """
    What metering needs of one tenant's facts.

    Attributes:
        anchor, zones, begun, unchanged, extended: As in `Billing`, of the subscription to the highest plan: in force,
            or any.
        others: Of the other subscriptions, where there are several.
        facts: Grants that may be used now, and what changes of plan left.
    """

    anchor: Instant | None
    zones: ZoneNames
    others: tuple[Billing, ...] = ()
    facts: tuple[Lot | Carry, ...] = ()
    begun: Instant | None = None
    unchanged: Instant | None = None
    extended: Instant | None = None

    @property
    def lots(self) -> tuple[Lot, ...]:
        """The grants."""
        return tuple(fact for fact in self.facts if isinstance(fact, Lot))

    @property
    def carries(self) -> tuple[Carry, ...]:
        """What changes of plan left, the oldest first."""
        return tuple(fact for fact in self.facts if isinstance(fact, Carry))


#: Meters as they are kept near: most tenants have one subscription, in the catalog's zone, whose plan never changed,
#: and were granted nothing. Of those it is the anchor.
Packed: TypeAlias = Meters | Instant


def packed(meters: Meters, world: World) -> Packed:
    """Write *meters* as small as they can be."""
    anchor = meters.anchor
    return meters if anchor is None or meters != unpacked(anchor, world) else anchor


def unpacked(small: Packed, world: World) -> Meters:
    """Read what `packed` wrote with the same *world*."""
    if isinstance(small, Meters):
        return small
    return Meters(small, world.catalog.timezone, begun=small, unchanged=small)


def meters_at(
    document: TenantDocument, world: World, at: Instant, held: Sequence[Held], terms: Sequence[Terms]
) -> Meters:
    """
    Read what metering needs at *at*.

    Args:
        held: The tenant's subscriptions, the highest plan first.
        terms: What they say.

    Raises:
        StoreDamaged: A fact cannot be read.
    """
    facts: tuple[Lot | Carry, ...] = (*_lots(document, world, at), *carries_at(document, _in_force(held), at))
    if not terms:
        found = _without_anchor(_zone_names(document, world, at, None))
        return replace(found, facts=facts) if facts else found
    by_name = {each.name: each for each in terms}
    # Those in force come first; sorting keeps the order of the plans.
    first, *others = sorted(held, key=_is_over)
    billing = _billing(document, world, at, by_name[first.name])
    return Meters(
        billing.anchor,
        billing.zones,
        tuple(_billing(document, world, at, by_name[each.name]) for each in others),
        facts,
        billing.begun,
        billing.unchanged,
        billing.extended,
    )


def _lots(document: TenantDocument, world: World, at: Instant) -> Iterator[Lot]:
    """Grants in force, of what the catalog still counts; what it does not have any more waits."""
    for each in grants_at(document, at):
        feature = world.catalog.features.get(each.feature)
        if feature is not None and feature.kind.is_metered:
            yield Lot(
                each.id,
                feature.key,
                floored(each.amount, feature),
                each.priority,
                each.since,
                each.expires,
                each.promotional,
                each.created,
            )


def _in_force(held: Sequence[Held]) -> Iterator[str]:
    """What is left of a plan ends with its subscription."""
    yield from (each.name for each in held if not _is_over(each))


@lru_cache(maxsize=1024)
def _without_anchor(zones: ZoneNames) -> Meters:
    """One for all who have no subscription."""
    return Meters(None, zones)


def _is_over(held: Held) -> bool:
    return held.standing.access == "none"


def _billing(document: TenantDocument, world: World, at: Instant, terms: Terms) -> Billing:
    starts = terms.times.starts
    anchor = starts if terms.anchor is None else terms.anchor
    plans = document.timelines.get(subject(terms.name, "plan"), Timeline())
    # A host that keeps subscriptions itself does not say when the plan was changed.
    unchanged = _last(plans, at, starts)
    add_ons = (line for path, line in document.timelines.items() if path[:3] == ("subscription", terms.name, "add_on"))
    extended = max((_last(line, at, EARLIEST) for line in add_ons), default=EARLIEST)
    return Billing(
        terms.name,
        anchor,
        _zone_names(document, world, at, terms),
        starts,
        unchanged,
        extended if unchanged is None or extended > unchanged else None,
    )


_N = TypeVar("_N", Instant, Instant | None)


def _last(line: Timeline, at: Instant, default: _N) -> Instant | _N:
    """When what *line* says at *at* began."""
    return max((fact.since for fact in line.facts if fact.since <= at), default=default)


def _zone_names(document: TenantDocument, world: World, at: Instant, terms: Terms | None) -> ZoneNames:
    found = [(cast("int", since), intern(cast("str", name))) for since, name in history(document, world, at, terms)]
    # The first zone holds also before its instant. One text for all tenants: each document brings its own.
    return found[0][1] if len(found) == 1 else tuple(found)
