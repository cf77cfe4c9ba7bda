"""What the tests of ledgers on Redis share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from payaid_entitlements.stores.ledger import Ledger
from payaid_entitlements.stores.redis.ledger import AsyncRedisLedger, RedisLedger
from payaid_entitlements.testing.contracts.awaiting import Awaited, LoopThread


@pytest.fixture
def open_ledger(colour: str) -> Iterator[Callable[[Any], Ledger]]:
    """A function that opens a ledger of the colour by URL, as plain calls; all are closed after the test."""
    opened: list[Ledger] = []

    def open_(url: str) -> Ledger:
        if colour == "sync":
            opened.append(RedisLedger(url))
        else:
            opened.append(cast("Ledger", Awaited(cast("Any", AsyncRedisLedger(url)), loop)))
        return opened[-1]

    with LoopThread() as loop:
        yield open_
        for each in opened:
            each.close()
