"""
Rollover: what of an unused allowance moves to the next window.

``rolled(k) = min(max, max(min, ending(k-1)))``, where ``ending = allowance + rolled - used - held`` of the window
before. It lives for one window, in a lot of its own (``r<start>``), which is opened once, by whoever uses the window
first. Nothing has to run at the end of a window: windows in which nobody used anything are counted through then, and
since those who come first to a window all find the same balances of windows that are over, they all find the same.

What was used beyond all caps is forgiven: it lowers what rolls over, and never what comes after that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.amounts import floored
from payaid_entitlements.core.metering.lots import carried, carries_of, name_in, own_allowance
from payaid_entitlements.core.metering.posting import MOST, AccountId, Balance, Open
from payaid_entitlements.core.metering.windows import billing_of, usage_window
from payaid_entitlements.core.period import HORIZON
from payaid_entitlements.core.values import UNLIMITED, Allowance

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Feature
    from payaid_entitlements.core.interval import Interval
    from payaid_entitlements.core.metering.meters import Billing, Meters
    from payaid_entitlements.core.resolution import Standpoint

#: So many windows are looked back at most: what nobody used for longer than that does not grow any more.
MOST_WINDOWS: Final = 60

_NOTHING: Final = Balance()


@dataclass(frozen=True, slots=True)
class Past:
    """
    A window that is over.

    Attributes:
        own, rolled: Where its allowance, and what had rolled over into it, was counted.
        cap: What its allowance was, in smallest units, where the ledger does not know since nothing was used; None
            where another plan was held then, and nobody knows.
    """

    own: AccountId
    rolled: AccountId
    cap: int | None


@dataclass(frozen=True, slots=True)
class Rolling:
    """
    What is needed to open a window of one feature.

    Attributes:
        opens: The account that is to be opened.
        least, most: Of the feature's rule, in smallest units.
        past: The windows before it, the newest first; none from before the subscription began.
    """

    opens: AccountId
    least: int
    most: int
    past: tuple[Past, ...]

    @property
    def accounts(self) -> tuple[AccountId, ...]:
        """Whose balances `opened` needs."""
        return tuple(account for each in self.past for account in (each.own, each.rolled))

    def opened(self, balances: Mapping[AccountId, Balance]) -> Open:
        """Say what rolled over, from the *balances* of `accounts`; those that are absent were never used."""
        units = 0
        for each in reversed(self._since_known(balances)):
            own, before = balances.get(each.own), balances.get(each.rolled, _NOTHING)
            allowance = each.cap if own is None or own.cap is None else own.cap
            if allowance is None:
                units = 0
                continue
            # What is used before anything rolls over (the rule is a new one) leaves no room for more.
            had = (before.cap or 0) if before.is_opened else units if own is None else 0
            used = own or _NOTHING
            ending = allowance + had - used.used - used.held - before.used - before.held
            units = min(self.most, max(self.least, ending))
        return Open(self.opens, units)

    def _since_known(self, balances: Mapping[AccountId, Balance]) -> Sequence[Past]:
        """As far back as nothing is known: the newest window that was opened says all about those before it."""
        for index, each in enumerate(self.past):
            if each.rolled in balances and balances[each.rolled].is_opened:
                return self.past[: index + 1]
        return self.past


def rolling(feature: Feature, at: Instant, *, standpoint: Standpoint, meters: Meters) -> Rolling | None:
    """
    Say what opening the window of *feature* that contains *at* needs; None where nothing rolls over into it.
    """
    own = own_allowance(feature, at, standpoint=standpoint, meters=meters)
    rule = feature.rollover
    if own is None or not own.rolls or own.window is None or own.per is None or own.cap is None or rule is None:
        return None
    return Rolling(
        (feature.key, f"r{own.window.start}"),
        floored(rule.min, feature),
        MOST if rule.max is None else floored(rule.max, feature),
        tuple(_past(feature, own.window.start, standpoint, meters, own.per, own.cap)),
    )


def _past(
    feature: Feature, start: Instant, standpoint: Standpoint, meters: Meters, per: Interval, cap: int
) -> Iterator[Past]:
    """The windows before the one that begins at *start*, the newest first, as long as the subscription has been."""
    billing = billing_of(feature, meters, standpoint.situation)
    begun = max(billing.begun or HORIZON.start, HORIZON.start)
    for _ in range(MOST_WINDOWS):
        if start <= begun:
            return
        window = usage_window(feature, per, billing, start - 1)
        lot, _ = carried(name_in(window), window, carries_of(feature, meters, start - 1))
        known = _known(feature, window.end, billing, standpoint, cap)
        yield Past((feature.key, lot), (feature.key, f"r{window.start}"), known)
        start = window.start


def _known(feature: Feature, end: Instant, billing: Billing, standpoint: Standpoint, cap: int) -> int | None:
    """
    Say what a window that nobody used held when it ended.

    What was bought, or given by hand, since then did not enlarge it: of such a tenant only the plan itself counts.
    """
    if billing.unchanged is not None and billing.unchanged >= end:
        return None
    is_extended = billing.extended is not None and billing.extended >= end
    if not is_extended and feature.key not in (standpoint.situation.overrides or ()):
        return cap
    plans = (held.source.plan.features.get(feature.key) for held in standpoint.situation.held)
    bases = [each.limit for each in plans if isinstance(each, Allowance) and each.limit is not UNLIMITED]
    return min(cap, *(floored(base, feature) for base in bases)) if bases else None
