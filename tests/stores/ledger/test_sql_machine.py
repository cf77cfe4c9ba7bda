"""Acts in any order on SQL ledgers, against a ledger that counts everything anew and against the book."""

from __future__ import annotations

import pytest

from tests.core.metering.machine import run


def test_it_counts_as_the_naive_one_does(ledger):
    run(ledger, examples=4, steps=25)


@pytest.mark.soak
def test_it_counts_as_the_naive_one_does_for_long(ledger):
    run(ledger, examples=1000, steps=50)
