"""
Amounts: what a caller says, as whole numbers of a feature's smallest unit, and back.

A feature with ``decimals: 2`` is counted in hundredths. Nothing is rounded: what does not fit is refused.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.metering.posting import MOST
from payaid_entitlements.errors import ConfigurationError

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Feature
    from payaid_entitlements.core.values import Amount

#: The most digits behind the point that a feature can have.
MOST_DECIMALS: Final = 6

# Not that of the thread, which a host may have made narrow: 16 digits of `MOST`, moved by no more than the decimals.
_EXACT: Final = Context(prec=60)


def to_units(amount: object, feature: Feature, *, least: int = 1) -> int:
    """
    Read a caller's amount of *feature*.

    Args:
        amount: An int, or a Decimal with no more digits behind the point than the feature has.
        least: The smallest that may be, in smallest units: 0 where nothing is an answer, below for corrections.

    Returns:
        Smallest units, from *least* to `MOST`.

    Raises:
        TypeError: It is neither int nor Decimal. A bool or a float is none.
        ConfigurationError: It is no number, too small, too large or too fine.
    """
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        raise TypeError(
            f"{amount!r} of {feature.key!r}: an amount is an int or a Decimal, not {type(amount).__name__}"
            + ("; a float is not exact" if isinstance(amount, float) else "")
        )
    units = _whole(amount, feature) if isinstance(amount, Decimal) else int(amount) * _scale(feature)
    if units < least:
        raise ConfigurationError(
            f"{_shown(amount)} of {feature.key!r}: an amount is at least {to_amount(least, feature)}"
        )
    if units > MOST:
        raise _too_large(amount, feature)
    return units


def to_amount(units: int, feature: Feature) -> Amount:
    """Show smallest units of *feature*: an int, or a Decimal with as many digits behind the point as it has."""
    return Decimal(units).scaleb(-feature.decimals, _EXACT) if feature.decimals else units


def floored(limit: Amount, feature: Feature) -> int:
    """
    Show a limit in smallest units, never more than what it says, and at most `MOST`.

    Catalog and overrides only have limits that fit; what other releases have written may not.
    """
    if isinstance(limit, int):
        return min(limit * _scale(feature), MOST)
    if limit.adjusted() > _DIGITS:
        return MOST
    return min(int(limit.scaleb(feature.decimals, _EXACT).to_integral_value(ROUND_FLOOR)), MOST)


#: No amount has so many digits before the point.
_DIGITS: Final = 20


def cost_in_units(cost: Amount, credit: Feature, paid: Feature) -> Fraction:
    """Smallest units of *credit* that one smallest unit of *paid* costs, where one whole unit costs *cost*."""
    return Fraction(cost) * _scale(credit) / _scale(paid)


def fits(amount: Amount, decimals: int) -> bool:
    """Has *amount* no more than *decimals* digits behind the point, and does it stay below `MOST`?"""
    number = Decimal(amount)
    if number.adjusted() > _DIGITS:
        return False
    moved = number.scaleb(decimals, _EXACT)
    return moved == moved.to_integral_value() and moved.copy_abs() <= MOST


def _whole(amount: Decimal, feature: Feature) -> int:
    if not amount.is_finite():
        raise ConfigurationError(f"{amount} of {feature.key!r}: that is no amount")
    if amount.adjusted() > _DIGITS:
        raise _too_large(amount, feature)
    # By its digits: arithmetic would round them as the thread's context says, or lose what is very small.
    sign, digits, exponent = amount.as_tuple()
    places = -(int(exponent) + feature.decimals)
    if places > 0:
        digits, rest = digits[:-places], digits[-places:]
        if any(rest):
            counted = f"has {feature.decimals} decimals" if feature.decimals else "is counted in whole units"
            raise ConfigurationError(f"{_shown(amount)} of {feature.key!r}: it {counted}; round the amount yourself")
    units = int("".join(map(str, digits)) or "0") * int(10 ** max(-places, 0))
    return -units if sign else units


def _scale(feature: Feature) -> int:
    return int(10**feature.decimals)


def _too_large(amount: int | Decimal, feature: Feature) -> ConfigurationError:
    return ConfigurationError(f"{_shown(amount)} of {feature.key!r}: an amount is at most {to_amount(MOST, feature)}")


def _shown(amount: int | Decimal) -> str:
    """Python refuses to write whole numbers of very many digits."""
    shown = str(amount) if isinstance(amount, Decimal) or abs(amount) < 10**40 else "a number of more than 40 digits"
    return shown if len(shown) <= 60 else f"{shown[:60]}..."
