"""What the tests of SQL ledgers share: a ledger on each database in each colour, called in one way."""

from __future__ import annotations

from typing import Any, cast

import pytest

from payaid_entitlements.stores.ledger import Ledger
from payaid_entitlements.testing.contracts.awaiting import Awaited
from tests.stores.conftest import Opened


def plain(opened: Opened) -> Ledger:
    """The ledger of a store, as plain calls."""
    if opened.run is None:
        return cast("Ledger", opened.own.ledger)
    loop: Any = opened.run.__self__  # type: ignore[attr-defined] # it is a method of the loop's thread
    return cast("Ledger", Awaited(opened.own.ledger, loop))


@pytest.fixture
def ledger(opened: Opened) -> Ledger:
    """A ledger on each database in each colour, as plain calls."""
    return plain(opened)
