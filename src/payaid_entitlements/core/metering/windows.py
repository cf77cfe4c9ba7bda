"""The windows in which usage is counted: where one begins and ends for a tenant, at an instant."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.catalog.model import Access
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.interval import Interval, Unit
from payaid_entitlements.core.merging import is_held
from payaid_entitlements.core.metering.meters import Billing, Meters, ZoneNames
from payaid_entitlements.core.period import HORIZON, Window, Zones, calendar_window, window, zone
from payaid_entitlements.core.subscription import State

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Feature
    from payaid_entitlements.core.evaluation import Situation

#: The window in which what has no limit is counted.
MONTH: Final = Interval(1, Unit.MONTH)

# Everybody who is metered asks for the same window again and again, and one takes many steps of the calendar.
_found: dict[tuple[Instant | None, Interval, ZoneNames], Window] = {}
_MOST: Final = 10_000


def usage_window(feature: Feature, per: Interval, billing: Billing, at: Instant) -> Window:
    """
    Find the window of *feature* that contains *at*.

    Anchored windows are counted from the anchor of *billing*; without one, and where the feature says so, they are
    those of the calendar.

    Raises:
        ConfigurationError: This machine knows one of the zones no more, or *at* is outside of `HORIZON`.
    """
    anchor = billing.anchor if feature.window == "anchored" else None
    about = (anchor, per, billing.zones)
    known = _found.get(about)
    if known is not None and at in known:
        return known
    if len(_found) >= _MOST:
        _found.clear()
    zones = _zones(billing.zones)
    if anchor is None:
        found = calendar_window(per, zones, at)
    else:
        found = window(min(max(anchor, HORIZON.start), HORIZON.end - 1), per, zones, at)
    _found[about] = found
    return found


@lru_cache(maxsize=1024)
def _zones(names: ZoneNames) -> Zones:
    if isinstance(names, str):
        return zone(names)
    return [(since, zone(name)) for since, name in names]


def billing_of(feature: Feature, meters: Meters, situation: Situation) -> Billing:
    """
    Say by which of the tenant's subscriptions the windows of *feature* are counted.

    By the first that sells it, paid before on trial, the highest plan first; where none does, or there is one, by the
    one to the highest plan.
    """
    if meters.others:
        first = next(_sellers(feature, situation), None)
        for other in meters.others:
            if other.name == first:
                return other
    return Billing("", meters.anchor, meters.zones, meters.begun, meters.unchanged, meters.extended)


def _sellers(feature: Feature, situation: Situation) -> Iterator[str]:
    """Names of the subscriptions that sell *feature* and are open, in the order in which the rules ask them."""
    is_open = [held for held in situation.held if held.standing.access is Access.FULL]
    is_open.sort(key=lambda held: held.standing.state is State.TRIALING)
    for held in is_open:
        if is_held(feature, held.source.value(feature)):
            yield held.name
