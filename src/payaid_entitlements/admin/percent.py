"""A share as callers give it."""

from __future__ import annotations

from decimal import Decimal
from typing import TypeAlias

from payaid_entitlements.core.flags.shares import parts

#: ``"25%"``, 25 or ``Decimal("0.5")``. Never a float, which is rarely what was written.
Percent: TypeAlias = str | int | Decimal


def share(percent: object) -> int:
    """
    Read a percentage as parts of `PARTS`.

    Raises:
        TypeError: It is a float, or nothing that is a percentage.
        ValueError: It is not from 0 to 100, or finer than 0.001 %.
    """
    if isinstance(percent, str):
        return parts(percent)
    if isinstance(percent, bool) or not isinstance(percent, int | Decimal):
        raise TypeError(f"a percentage is '25%', 25 or Decimal('0.5'), not {percent!r}")
    # Compared first: writing out 10 ** 1_000_000 would take its time. What is no number compares with none.
    if not (isinstance(percent, int) or percent.is_finite()) or not 0 <= percent <= 100:
        raise ValueError(f"{percent} is not from 0 to 100 %")
    return parts(f"{percent:f}%" if isinstance(percent, Decimal) else f"{percent}%")
