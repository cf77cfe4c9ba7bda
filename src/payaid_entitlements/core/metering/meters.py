"""
What metering needs of a tenant's facts: when its windows begin, what it was granted, what a change of plan left it.

It lives in each cached entry, so it is small: names of zones instead of zones, one anchor instead of a subscription.
Nothing is worked out here that only metering asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from sys import intern
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.subscription import Terms
from payaid_entitlements.core.zones import history

if TYPE_CHECKING:
    from payaid_entitlements.core.evaluation import Held
    from payaid_entitlements.core.world import World

#: The name of the one zone that was ever in force; or of each, with the instant since when, oldest first.
ZoneNames: TypeAlias = str | tuple[tuple[Instant, str], ...]

#: What a change of plan does with what was used in the window that is running.
CarryMode = Literal["carry_usage", "carry_balance", "fresh"]

#: When what a plan gives is burnt, among grants of 0 to 100: what is lower is burnt first.
PLAN_PRIORITY: Final = 50


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
class Carry:
    """
    What a change of plan at *at* did with the window of *feature* that was running then.

    With ``fresh`` and ``carry_balance`` the window that runs at *at* under the new plan has a lot of its own, whose
    name ends in ``.<at>``; with ``carry_balance`` what was left of *lot* can be used besides until its window ends.
    With ``carry_usage`` the new plan counts on *lot* until then.

    Attributes:
        lot: In which was counted when the plan changed.
        until: When the window of *lot* ends; None where it has no window.
        cap: For ``carry_balance``: what *lot* holds, in the smallest units of *feature*.
    """

    at: Instant
    mode: CarryMode
    feature: str
    lot: str
    until: Instant | None
    cap: int = 0


@dataclass(frozen=True, slots=True)
class Billing:
    """
    When the windows of one subscription begin.

    Attributes:
        name: Of the subscription.
        anchor: Start of some window; None where nothing says so, and windows are those of the calendar.
        zones: Where it is midnight.
    """

    name: str
    anchor: Instant | None
    zones: ZoneNames


@dataclass(frozen=True, slots=True)
class Meters:
    """
    What metering needs of one tenant's facts.

    Attributes:
        anchor, zones: As in `Billing`, of the subscription to the highest plan: in force, or else any.
        others: Of the other subscriptions, where there are several.
        facts: Grants that may be used now or later, and what changes of plan left.
    """

    anchor: Instant | None
    zones: ZoneNames
    others: tuple[Billing, ...] = ()
    facts: tuple[Lot | Carry, ...] = ()

    @property
    def lots(self) -> tuple[Lot, ...]:
        """The grants."""
        return tuple(fact for fact in self.facts if isinstance(fact, Lot))

    @property
    def carries(self) -> tuple[Carry, ...]:
        """What changes of plan left, the oldest first."""
        return tuple(fact for fact in self.facts if isinstance(fact, Carry))


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
    if not terms:
        return _without_anchor(_zone_names(document, world, at, None))
    by_name = {each.name: each for each in terms}
    # Those in force come first; sorting keeps the order of the plans.
    first, *others = sorted(held, key=_is_over)
    billing = _billing(document, world, at, by_name[first.name])
    if len(terms) == 1:
        return Meters(billing.anchor, billing.zones)
    return Meters(
        billing.anchor,
        billing.zones,
        tuple(_billing(document, world, at, by_name[each.name]) for each in others),
    )


@lru_cache(maxsize=1024)
def _without_anchor(zones: ZoneNames) -> Meters:
    """One for all who have no subscription."""
    return Meters(None, zones)


def _is_over(held: Held) -> bool:
    return held.standing.access == "none"


def _billing(document: TenantDocument, world: World, at: Instant, terms: Terms) -> Billing:
    anchor = terms.times.starts if terms.anchor is None else terms.anchor
    return Billing(terms.name, anchor, _zone_names(document, world, at, terms))


def _zone_names(document: TenantDocument, world: World, at: Instant, terms: Terms | None) -> ZoneNames:
    found = [(cast("int", since), intern(cast("str", name))) for since, name in history(document, world, at, terms)]
    # The first zone holds also before its instant. One text for all tenants: each document brings its own.
    return found[0][1] if len(found) == 1 else tuple(found)
