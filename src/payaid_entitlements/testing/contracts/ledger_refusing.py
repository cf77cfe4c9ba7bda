"""Contract: what cannot be counted is refused, and nothing is written."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from payaid_entitlements.core.metering.posting import (
    MOST,
    Adjust,
    Assign,
    Hold,
    Line,
    Open,
    Posting,
    Refund,
    Settle,
    Short,
)
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.ledger import Book, Ledger
from payaid_entitlements.testing.contracts.ledger_postings import NOW, debit, everything, used

#: Amounts that are none, and how they are refused.
NO_AMOUNTS: list[tuple[Any, type[Exception]]] = [
    (0, ConfigurationError),
    (-1, ConfigurationError),
    (-(2**31), ConfigurationError),
    (2**53, ConfigurationError),
    (2**63, ConfigurationError),
    (2**64 + 1, ConfigurationError),
    (10**400, ConfigurationError),
    (1.0, TypeError),
    (0.5, TypeError),
    (float("nan"), TypeError),
    (float("inf"), TypeError),
    (True, TypeError),
    (Decimal(1), TypeError),
    ("1", TypeError),
    (None, TypeError),
    (Short.REJECT, TypeError),
]

#: Amounts of which every bit must be kept.
EDGES = (1, 2**31 - 1, 2**31, 2**32, 2**52 + 1, MOST - 1, MOST)


class Refusing:
    """`Ledger.post` with what is no posting."""

    @pytest.mark.parametrize(("amount", "error"), NO_AMOUNTS, ids=lambda value: repr(value)[:20])
    def test_what_is_no_amount_is_refused(self, ledger: Ledger, amount: Any, error: type[Exception]) -> None:
        postings: list[Posting] = [
            debit(amount),
            debit(1, Line("calls", "w0", 10, cost=amount)),
            Hold(debit(amount), 1),
            Hold(debit(1), amount),
            Refund("op-1", (("calls", amount),)),
        ]
        if amount not in (0, None):
            postings += [debit(1, cap=amount), Open(("calls", "w0"), amount), Assign("seats", "asha", amount)]
            postings += [Settle("op-1", amount)]
        if amount not in (-1, -(2**31)):
            postings += [Adjust(Line("calls", "w0", 10), amount)]
        for posting in postings:
            with pytest.raises(error) as raised:
                ledger.post("acme", [posting], operation="op-1", now=NOW)
            assert type(raised.value) is error
        assert everything(ledger) == (Book(), [])

    @pytest.mark.parametrize("amount", EDGES)
    def test_every_bit_is_kept(self, ledger: Ledger, amount: int) -> None:
        ledger.post("acme", [Hold(debit(amount, cap=MOST), 1)], operation="hold-1", now=NOW)
        assert used(ledger) == (0, amount)
        settled = ledger.post("acme", [Settle("hold-1")], now=NOW)
        assert settled.filled[0].amount == settled.filled[0].takes[0].used == amount
        short = ledger.post("acme", [debit(MOST, cap=MOST)], operation="op-1", now=NOW).short
        assert short is not None
        assert short.room == MOST - amount
        assert ledger.post("acme", [Refund("hold-1", (("calls", amount),))], now=NOW).filled[0].amount == amount
        ledger.post("acme", [Adjust(Line("calls", "w0", MOST), -amount)], operation="op-2", now=NOW)
        assert used(ledger) == (-amount, 0)

    def test_what_does_not_go_together_is_refused(self, ledger: Ledger) -> None:
        twice = Line("calls", "w0", 10)
        apart: list[tuple[list[Posting], str | None]] = [
            ([], "op-1"),
            ([debit(1)], None),
            ([Hold(debit(1), 1)], None),
            ([Adjust(twice, 1)], None),
            ([debit(1), debit(1)], "op-1"),
            ([debit(1, twice, twice)], "op-1"),
            ([debit(1), Adjust(Line("mails", "w0", 10), 1)], "op-1"),
            ([debit(1, Line("seats", "slots", 10))], "op-1"),
            ([debit(1, sink=1)], "op-1"),
            ([Refund("op-1", ())], None),
        ]
        for postings, operation in apart:
            with pytest.raises(ConfigurationError):
                ledger.post("acme", postings, operation=operation, now=NOW)
        assert everything(ledger) == (Book(), [])

    def test_what_is_no_transaction_is_refused(self, ledger: Ledger) -> None:
        tx: Any = object()
        with pytest.raises(ConfigurationError, match="transaction"):
            ledger.post("acme", [debit(1)], operation="op-1", now=NOW, tx=tx)
        with pytest.raises(ConfigurationError, match="transaction"):
            ledger.balances("acme", [("calls", "w0")], now=NOW, tx=tx)
        with pytest.raises(ConfigurationError, match="transaction"):
            ledger.lock("acme", "projects", tx=tx)
        with pytest.raises(ConfigurationError, match="transaction"):
            ledger.forget("acme", tx=tx)
        assert everything(ledger) == (Book(), [])
