"""
Usage: what of a feature is used and left, as people read it.

The formula, over the feature's own lots and, in *remaining* alone, the credits that pay for it::

    limit     = what its own lots hold, with what rolled over
    used      = what was used of them; less than 0 after a correction downwards
    held      = what is set aside by reservations
    remaining = for each lot max(0, what it holds - used - held), of credits divided by the cost; never less than 0
    overage   = for each of its own lots max(0, used - what it holds)
    fraction  = used / limit, rounded down; None without a limit and for a limit of 0

So ``remaining`` is not ``limit - used``: units are held, beyond a limit, or paid for by credits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal
from typing import Final, Literal, TypeAlias

from payaid_entitlements.core.encoding import encode_value
from payaid_entitlements.core.metering.amounts import to_amount
from payaid_entitlements.core.metering.lots import Metered
from payaid_entitlements.core.metering.posting import OPENED, Balance, Line
from payaid_entitlements.core.values import UNLIMITED, Amount, Unlimited

Limit: TypeAlias = Amount | Literal[Unlimited.UNLIMITED]

#: A hundredth of a percent: so exact is `Usage.fraction`.
_FINE: Final = 10_000
_FINE_DIGITS: Final = -4
_EXACT: Final = Context(prec=40)


@dataclass(frozen=True, slots=True)
class Usage:
    """
    How much of a feature is used; see the formula of this module.

    It is of the instant at which the ledger was asked: only `consume` decides. Amounts are ints, and Decimals where the
    feature has decimals.

    Attributes:
        feature, title, unit: Of the catalog; *unit* is None where it has none.
        limit: `UNLIMITED` where there is none.
        remaining: At least 0.
        overage: What is beyond the limit, at least 0.
        fraction: 1 is all of it; more where there is overage.
        resets_at: When it starts anew; None where it never does.
        replayed: This operation was carried out before; nothing was moved now.
        would_refuse: It was let pass though nothing was left, since the module is not enforced.
        taken: Units that this act has counted, given back or corrected by; 0 where it only asked.
    """

    feature: str
    title: str
    unit: str | None
    limit: Limit
    used: Amount
    held: Amount
    remaining: Limit
    overage: Amount
    fraction: Decimal | None
    resets_at: datetime | None
    replayed: bool = False
    would_refuse: bool = False
    taken: Amount = 0

    def to_json(self) -> dict[str, object]:
        """All of it as JSON data: no limit is ``{"unlimited": true}``, what has decimals ``{"decimal": "0.50"}``."""
        return {
            "feature": self.feature,
            "title": self.title,
            "unit": self.unit,
            "limit": encode_value(self.limit),
            "used": encode_value(self.used),
            "held": encode_value(self.held),
            "remaining": encode_value(self.remaining),
            "overage": encode_value(self.overage),
            "fraction": encode_value(self.fraction),
            "resets_at": None if self.resets_at is None else self.resets_at.isoformat(),
            "replayed": self.replayed,
            "would_refuse": self.would_refuse,
            "taken": encode_value(self.taken),
        }


def usage(
    metered: Metered,
    balances: Sequence[Balance],
    *,
    replayed: bool = False,
    would_refuse: bool = False,
    taken: int = 0,
) -> Usage:
    """
    Say how much is used.

    Args:
        balances: Of the lines, in their order; see `Metered.in_order`.
        taken: Smallest units that were counted just now.
    """
    feature = metered.feature
    limit: int | None = 0
    left: int | None = 0
    used = held = overage = 0
    for line, balance in zip(metered.lines, balances, strict=True):
        cap = cap_of(line, balance)
        left = None if left is None or cap is None else left + max(0, cap - balance.used - balance.held) // line.cost
        if line.meter == feature.key:
            limit = None if limit is None or cap is None else limit + cap
            used += balance.used
            held += balance.held
            overage += 0 if cap is None else max(0, balance.used - cap)
    return Usage(
        feature.key,
        feature.title,
        feature.unit,
        UNLIMITED if limit is None else to_amount(limit, feature),
        to_amount(used, feature),
        to_amount(held, feature),
        UNLIMITED if left is None else to_amount(left, feature),
        to_amount(overage, feature),
        Decimal(used * _FINE // limit).scaleb(_FINE_DIGITS, _EXACT) if limit else None,
        metered.resets_at,
        replayed,
        would_refuse,
        to_amount(taken, feature),
    )


def cap_of(line: Line, balance: Balance) -> int | None:
    """What a line holds; what has rolled over into a window that nobody has used yet is not known yet."""
    return (balance.cap or 0) if line.cap == OPENED else line.cap
