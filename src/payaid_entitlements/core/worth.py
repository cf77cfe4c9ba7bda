"""
Is it more, or is it less? What a customer would say who gets one value of a feature instead of another.

Where nobody can say (another text, a list with other items) it may be both, or neither.
"""

from __future__ import annotations

from datetime import timedelta

from payaid_entitlements.core.catalog.model import Feature, Merge
from payaid_entitlements.core.interval import format_duration
from payaid_entitlements.core.merging import size
from payaid_entitlements.core.values import UNLIMITED, Allowance, Unlimited, Value


def is_less(feature: Feature, before: Value, after: Value) -> bool:
    """
    May somebody who had *before* miss something that *after* does not give?

    Of values that merge by their minimum (a reminder every so many hours) more is less. A list is less when
    an item is gone. Another text is never less: texts have no order. Allowances with different windows are
    compared by what they give in the long run; one that never comes anew is less than any that does.
    """
    match before, after:
        case tuple(), tuple():
            return not set(before) <= set(after)
        case _ if feature.merge is Merge.MIN:
            return size(feature, before) < size(feature, after)
    return size(feature, after) < size(feature, before)


def is_more(feature: Feature, before: Value, after: Value) -> bool:
    """Does *after* give something that *before* did not?"""
    return is_less(feature, after, before)


def told(value: Value) -> str:
    """A value in the words of the catalog: ``100/month``, ``unlimited``, ``24 hours``, ``basic``."""
    match value:
        case Unlimited():
            return "unlimited"
        case Allowance(limit, per):
            return told(limit) if per is None or limit is UNLIMITED else f"{limit}/{per}"
        case timedelta() if value >= timedelta():
            return format_duration(value // timedelta(microseconds=1))
        case tuple():
            return ", ".join(value) or "nothing"
        case bool():
            return str(value).lower()
    return str(value)
