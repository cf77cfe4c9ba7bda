"""
Values of features as JSON data, and back, without loss.

The one place that decides how a value looks on the wire: the tenant document, the audit trail,
refusals and the command line all use it.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal, InvalidOperation

from payaid_entitlements.core.interval import parse_interval
from payaid_entitlements.core.values import DENY, UNLIMITED, Allowance, Deny, Unlimited, Value

_LONGEST = timedelta.max // timedelta(microseconds=1)


def encode_value(value: Value | Deny | None) -> object:
    """Write *value* as JSON data: plain where JSON has the type, else an object with one telling key."""
    match value:
        case None | bool() | int() | str():
            return value
        case Unlimited():
            return {"unlimited": True}
        case Deny():
            return {"deny": True}
        case Decimal():
            return {"decimal": str(value)}
        case timedelta():
            return {"microseconds": value // timedelta(microseconds=1)}
        case tuple():
            return list(value)
        case Allowance(limit, per):  # pragma: no branch - the types leave nothing else
            return {"limit": encode_value(limit), "per": None if per is None else str(per)}


def decode_value(data: object) -> Value | Deny | None:
    """
    Read what `encode_value` wrote.

    Raises:
        ValueError: *data* is nothing that `encode_value` writes.
    """
    match data:
        case None | bool() | int() | str():
            return data
        case list():
            return tuple(str(item) for item in data)
        case {"unlimited": True}:
            return UNLIMITED
        case {"deny": True}:
            return DENY
        case {"decimal": str(text)}:
            return _decimal(text)
        case {"microseconds": int(microseconds)} if abs(microseconds) <= _LONGEST:
            return timedelta(microseconds=microseconds)
        case {"limit": limit, "per": None | str() as per}:
            amount = decode_value(limit)
            if amount is UNLIMITED or (isinstance(amount, int | Decimal) and not isinstance(amount, bool)):
                return Allowance(amount, None if per is None else parse_interval(per))
    raise ValueError(f"{data!r} is not the written form of a value")


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is no number") from error
    if not number.is_finite():
        raise ValueError(f"{text!r} is not finite")
    return number
