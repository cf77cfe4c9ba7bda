"""
Asking the shared Redis, in either colour. It may be gone at any moment: then nobody is told but the flow that asked.

After a failure it is left alone for a moment, so that a server which stands still costs one wait and not one for each
question; then one caller tries.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from payaid_entitlements.cache.steps import AskShared
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores.redis.clients import AsyncClient, Client
from payaid_entitlements.stores.redis.failing import answered

if TYPE_CHECKING:
    from payaid_entitlements.stores.redis.clients import AsyncHostClient, HostClient

#: Seconds for which it is left alone after a failure; 25 % more or less, at random.
REST: Final = 1.0
#: Seconds within which whoever tries again has an answer or a failure.
TRIAL: Final = 0.5


class _Rest:
    """Whether it may be asked: not for a moment after a failure."""

    __slots__ = ("_clock", "_until")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: float | None = None

    @contextmanager
    def asking(self) -> Iterator[None]:
        """
        Ask inside the block.

        Raises:
            StoreUnavailable: It gave no answer, or a moment ago.
        """
        until = self._until
        if until is not None:
            if self._clock() < until:
                raise StoreUnavailable("the shared Redis gave no answer a moment ago")
            self._until = self._clock() + TRIAL
        try:
            with answered():
                yield
        except StoreUnavailable:
            self._until = self._clock() + REST * random.uniform(0.75, 1.25)
            raise
        self._until = None


class SharedRedis:
    """
    The shared Redis, asked in the thread that asks. Connects at the first use.

    Args:
        place: A URL (``redis://``, ``rediss://``, ``redis+cluster://`` ...), or a client of the host's.
        clock: Seconds, never running backwards.

    Raises:
        ConfigurationError: It is no Redis, or a client of the other colour.
    """

    def __init__(self, place: str | HostClient, clock: Callable[[], float] = time.monotonic) -> None:
        self.client = Client(place)
        self._rest = _Rest(clock)

    def ask(self, step: AskShared) -> Any:
        """
        Run the script of *step*.

        Raises:
            StoreUnavailable: There was no answer, or none a moment ago.
        """
        with self._rest.asking():
            return self.client.run(step.script, step.keys, step.arguments)

    def close(self) -> None:
        """Let go of connections, unless they are the host's. It can be used again."""
        self.client.close()


class AsyncSharedRedis:
    """Same as `SharedRedis`, awaited."""

    def __init__(self, place: str | AsyncHostClient, clock: Callable[[], float] = time.monotonic) -> None:
        self.client = AsyncClient(place)
        self._rest = _Rest(clock)

    async def ask(self, step: AskShared) -> Any:
        """Same as `SharedRedis.ask`."""
        with self._rest.asking():
            return await self.client.run(step.script, step.keys, step.arguments)

    async def aclose(self) -> None:
        """Same as `SharedRedis.close`."""
        await self.client.aclose()
