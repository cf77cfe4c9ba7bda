"""What the tests of Redis as a store share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from payaid_entitlements.stores.ports import AsyncStore, Store
from payaid_entitlements.stores.redis import AsyncRedisStore, RedisStore
from payaid_entitlements.testing.contracts.awaiting import Awaited, LoopThread

#: For tests that ask what is true, not how long it takes: two cores are shared by all of them.
PATIENT = "?socket_timeout=20&socket_connect_timeout=20"


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> str:
    """The colour of a store: ``sync`` or ``async``."""
    return str(request.param)


@pytest.fixture
def open_redis(colour: str) -> Iterator[Callable[..., Store]]:
    """A function that opens a store of the colour by URL, as plain calls; all are closed after the test."""
    opened: list[Store] = []

    def open_(url: str, *, ready: bool = True) -> Store:
        if colour == "sync":
            opened.append(RedisStore(url))
        else:
            opened.append(cast("Store", Awaited(cast("AsyncStore", cast("Any", AsyncRedisStore(url))), loop)))
        if ready:
            opened[-1].prepare()
        return opened[-1]

    with LoopThread() as loop:
        yield open_
        for each in opened:
            each.close()
