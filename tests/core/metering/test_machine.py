"""The book, over dictionaries, against a ledger that counts everything anew: any acts in any order."""

from __future__ import annotations

import pytest

from payaid_entitlements.stores.memory_ledger import MemoryLedger
from tests.core.metering.machine import run


def test_it_counts_as_the_naive_one_does():
    run(MemoryLedger(), examples=100, steps=40)


@pytest.mark.soak
def test_it_counts_as_the_naive_one_does_for_long():
    run(MemoryLedger(), examples=1000, steps=50)
