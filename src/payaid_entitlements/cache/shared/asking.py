"""
Asking the shared Redis, in either colour. It may be gone at any moment: then nobody is told but the flow that asked.

The driver leaves it alone for a moment after a failure: see `payaid_entitlements.cache.guarding`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payaid_entitlements.cache.steps import AskShared
from payaid_entitlements.stores.redis.clients import AsyncClient, Client
from payaid_entitlements.stores.redis.failing import answered

if TYPE_CHECKING:
    from payaid_entitlements.stores.redis.clients import AsyncHostClient, HostClient


class SharedRedis:
    """
    The shared Redis, asked in the thread that asks. Connects at the first use.

    Args:
        place: A URL (``redis://``, ``rediss://``, ``redis+cluster://`` ...), or a client of the host's.

    Raises:
        ConfigurationError: It is no Redis, or a client of the other colour.
    """

    def __init__(self, place: str | HostClient) -> None:
        self.client = Client(place)

    def ask(self, step: AskShared) -> Any:
        """
        Run the script of *step*.

        Raises:
            StoreUnavailable: There was no answer.
        """
        with answered():
            return self.client.run(step.script, step.keys, step.arguments)

    def close(self) -> None:
        """Let go of connections, unless they are the host's. It can be used again."""
        self.client.close()


class AsyncSharedRedis:
    """Same as `SharedRedis`, awaited."""

    def __init__(self, place: str | AsyncHostClient) -> None:
        self.client = AsyncClient(place)

    async def ask(self, step: AskShared) -> Any:
        """Same as `SharedRedis.ask`."""
        with answered():
            return await self.client.run(step.script, step.keys, step.arguments)

    async def aclose(self) -> None:
        """Same as `SharedRedis.close`."""
        await self.client.aclose()
