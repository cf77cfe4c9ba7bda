"""
Debits, movements and answers as JSON data, and back: short lists, so that what one ledger wrote another one reads.

New fields are appended; what lacks them was written by an older release and has their defaults.
"""

from __future__ import annotations

from typing import Any

from payaid_entitlements.core.metering.posting import (
    Balance,
    Crossing,
    Debit,
    Filled,
    Line,
    Mark,
    Posted,
    Short,
    Take,
)


def take_data(take: Take) -> list[Any]:
    """``meter, lot, used, held, cost``."""
    return [take.meter, take.lot, take.used, take.held, take.cost]


def take_from(data: Any) -> Take:
    """The inverse of `take_data`."""
    return Take(*data)


def balance_data(balance: Balance) -> list[Any]:
    """``used, held, cap, is_opened, over_since``."""
    return [balance.used, balance.held, balance.cap, balance.is_opened, balance.over_since]


def debit_data(debit: Debit) -> list[Any]:
    """``feature, amount, lines, sink, beyond, grace, short, marks``; a line as ``meter, lot, cap, cost``."""
    return [
        debit.feature,
        debit.amount,
        [[line.meter, line.lot, line.cap, line.cost] for line in debit.lines],
        debit.sink,
        debit.beyond,
        debit.grace,
        debit.short.value,
        [[mark.meter, mark.at] for mark in debit.marks],
    ]


def debit_from(data: Any) -> Debit:
    """The inverse of `debit_data`."""
    feature, amount, lines, sink, beyond, grace, short, marks = data
    return Debit(
        feature,
        amount,
        tuple(Line(*line) for line in lines),
        sink,
        beyond,
        grace,
        Short(short),
        tuple(Mark(*mark) for mark in marks),
    )


def posted_data(posted: Posted) -> list[Any]:
    """``at, filled, crossings`` of what was done. What was short is not kept."""
    return [
        posted.at,
        [_filled_data(filled) for filled in posted.filled],
        [[crossing.mark.meter, crossing.mark.at, crossing.used] for crossing in posted.crossings],
    ]


def posted_from(data: Any, *, replayed: bool = True) -> Posted:
    """What was done, as a repetition gets it."""
    at, all_filled, crossings = data
    return Posted(
        tuple(_filled_from(*filled) for filled in all_filled),
        at,
        replayed,
        crossings=tuple(Crossing(Mark(meter, reached), used) for meter, reached, used in crossings),
    )


def _filled_data(filled: Filled) -> list[Any]:
    """``amount, overage, takes, balances, expires, feature``: acts that are about slots are not kept."""
    return [
        filled.amount,
        filled.overage,
        [take_data(take) for take in filled.takes],
        [*map(balance_data, filled.balances)],
        filled.expires,
        filled.feature,
    ]


def _filled_from(amount: int, overage: int, takes: Any, balances: Any, expires: int | None, feature: str) -> Filled:
    return Filled(
        amount,
        overage,
        tuple(map(take_from, takes)),
        tuple(Balance(*each) for each in balances),
        expires=expires,
        feature=feature,
    )
