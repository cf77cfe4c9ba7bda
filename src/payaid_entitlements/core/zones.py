"""
Zones of a tenant: in which one its billing periods begin, now and before it moved.

A change of zone keeps the history, since the window that is running ends in the old zone and windows are counted
from their first anchor: see `payaid_entitlements.core.period.window`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, cast

from payaid_entitlements.core.facts import Subject, TenantDocument, damaged
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.interval import Interval, Unit
from payaid_entitlements.core.period import Zones, window, zone
from payaid_entitlements.core.subscription import Terms, subject

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Plan
    from payaid_entitlements.core.world import World

#: The subject of the fact about a tenant's own zones.
TIMEZONE: Final = ("timezone",)

#: Zones by name, each with the instant since when, oldest first; as JSON data, hence lists.
History = list[list[object]]


def history(document: TenantDocument, world: World, at: Instant, terms: Terms | None = None) -> History:
    """
    Read which zones were ever in force; the first one also holds before its instant.

    Args:
        terms: For the periods of this subscription, which may name a zone of its own; None for the tenant's.

    Raises:
        StoreDamaged: The fact about it cannot be read.
    """
    if terms is not None and terms.timezone is not None:
        about = zones_subject(terms.name)
        own = document.value(about, at)
        return [[0, terms.timezone]] if own is None else _history(document, about, own)
    moves = document.value(TIMEZONE, at)
    return [[0, world.catalog.timezone]] if moves is None else _history(document, TIMEZONE, moves)


def _history(document: TenantDocument, about: Subject, fact: object) -> History:
    found = fact["history"] if isinstance(fact, dict) and "history" in fact else fact
    match found:
        case [_, *_] if all(_is_stretch(each) for each in found):
            return cast("History", found)
    raise damaged(document.tenant, about, fact)


def _is_stretch(data: object) -> bool:
    match data:
        case [int(), str()]:
            return True
    return False


def zones_subject(name: str) -> Subject:
    """The subject of the history of zones of the subscription *name*."""
    return subject(name, "zones")


def moved(known: Sequence[Sequence[object]], to: str, at: Instant) -> History:
    """The history when the zone is *to* from *at* on; the same where it is that already."""
    if known[-1][1] == to:
        return [list(each) for each in known]
    return [*(list(each) for each in known if cast("int", each[0]) < at), [at, to]]


def zones(document: TenantDocument, world: World, at: Instant, terms: Terms | None = None) -> Zones:
    """The zones that `payaid_entitlements.core.period.window` takes for a tenant's periods."""
    found = history(document, world, at, terms)
    return [(cast("int", since), zone(cast("str", name))) for since, name in found]


def billing_interval(plan: Plan) -> Interval:
    """How long a billing period of *plan* is: a year where it is only sold by the year, else a month."""
    sold = {price.interval for price in plan.prices} - {"once"}
    return Interval(1, Unit.YEAR if sold == {"year"} else Unit.MONTH)


def period_end(document: TenantDocument, world: World, terms: Terms, at: Instant) -> Instant:
    """
    Find when what runs at *at* ends: the trial, else the billing period, counted from the subscription's anchor.

    For a subscription that has not begun it is the end of its first period.
    """
    times = terms.times
    if times.trial_end is not None and at < times.trial_end:
        return times.trial_end
    running = at if times.starts is None else max(at, times.starts)
    anchor = next(each for each in (terms.anchor, times.starts, at) if each is not None)
    every = billing_interval(world.plan(terms.plan, terms.version))
    return window(anchor, every, zones(document, world, running, terms), running).end
