"""Ledgers in databases, against one that counts everything anew and against the book: any acts in any order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from payaid_entitlements.stores.ledger import Ledger
from payaid_entitlements.stores.sql import SQLStore
from tests.core.metering.machine import run


@pytest.fixture(params=["sqlite_url", "migrated_url", "made_url"])
def counting(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    """A ledger on each database."""
    store = SQLStore(request.getfixturevalue(request.param))
    store.prepare()
    yield store.ledger
    store.close()


def test_it_counts_as_the_naive_one_does(counting: Ledger):
    run(counting, examples=10, steps=40)


@pytest.mark.soak
def test_it_counts_as_the_naive_one_does_for_long(counting: Ledger):
    run(counting, examples=1000, steps=50)
