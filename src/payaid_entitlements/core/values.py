"""
The values that a feature can have: what is sold, in which unit, without a limit or not at all.

``UNLIMITED`` and ``DENY`` are values of their own. ``None`` never stands for either.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from payaid_entitlements.core.interval import Interval


class Unlimited(Enum):
    """The type of `UNLIMITED`; an enum, so that it stays one object through copy and pickle."""

    UNLIMITED = "unlimited"

    def __repr__(self) -> str:
        return "UNLIMITED"


class Deny(Enum):
    """The type of `DENY`, the override that takes something away."""

    DENY = "deny"

    def __repr__(self) -> str:
        return "DENY"


UNLIMITED: Final = Unlimited.UNLIMITED
DENY: Final = Deny.DENY

Amount = int | Decimal


@dataclass(frozen=True, slots=True)
class Allowance:
    """
    How much of a quota, an allocation or a credit is sold.

    Attributes:
        limit: Units, at least 0; 0 is "listed, but none"; or `UNLIMITED`.
        per: The window after which usage starts anew; None for what is held rather than used up, for
            nothing and `UNLIMITED`, and for an allowance that never comes anew (``100/lifetime``).
    """

    limit: Amount | Literal[Unlimited.UNLIMITED]
    per: Interval | None = None


#: What a feature can be worth. Durations are timedelta, sizes are integer bytes, lists are tuples of str.
Value = bool | int | Decimal | str | timedelta | tuple[str, ...] | Allowance | Literal[Unlimited.UNLIMITED]
