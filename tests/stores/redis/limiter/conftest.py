"""What the tests of limiters on Redis share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from payaid_entitlements.stores.limiter import Limiter
from payaid_entitlements.stores.redis import AsyncRedisLimiter, RedisLimiter
from payaid_entitlements.testing.contracts.awaiting import Awaited, LoopThread


@pytest.fixture
def open_limiter(colour: str) -> Iterator[Callable[..., Limiter]]:
    """A function that opens a limiter of the colour, as plain calls; all are closed after the test."""
    opened: list[Limiter] = []

    def open_(place: Any, **options: Any) -> Limiter:
        if colour == "sync":
            opened.append(RedisLimiter(place, **options))
        else:
            opened.append(cast("Limiter", Awaited(cast("Any", AsyncRedisLimiter(place, **options)), loop)))
        return opened[-1]

    with LoopThread() as loop:
        yield open_
        for each in opened:
            each.close()
