"""
How something is counted that was counted before: it can be closed in an outage of the store, and when it is sold no
more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payaid_entitlements.core.catalog.model import Feature, Kind
from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.metering.lots import UNSOLD, Metered
from payaid_entitlements.core.metering.posting import Line
from payaid_entitlements.errors import StoreUnavailable, UnknownFeature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payaid_entitlements.view import TenantView


def remembered(view: TenantView, key: str, lines: Sequence[Line] = ()) -> Metered:
    """
    Say how *key* is counted now; where the facts do not say it, by *lines* and what the catalog says of its units.

    Args:
        lines: Where it was counted, if that is known.

    Raises:
        StoreUnavailable: Not even the catalog is known. To guess how many decimals the feature has would be to charge a
            hundred times too much, or too little.
    """
    try:
        return view.metering(key)
    except (StoreUnavailable, UnknownFeature, TypeError):
        # What is in no catalog any more is counted in its smallest units.
        feature = view.definitions().get(key) or Feature(key, None, Kind.QUOTA, key)
        decision = Decision(True, Reason.QUOTA_GRANTED, key)
        return Metered(feature, decision, tuple(lines) or (Line(key, UNSOLD, 0),), 0, None, None, (), 0, None)
