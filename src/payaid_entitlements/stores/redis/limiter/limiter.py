"""
Calls that are counted in Redis, alone or in a cluster: one script, in one round trip, for all limits of an owner.

A limiter has connections of its own, which wait for 50 ms and repeat nothing: an answer that came late would help
nobody, and a call that is sent twice may count twice. What got no answer may have been counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.stores.limiter import Group, Ruling
from payaid_entitlements.stores.ports import Concern
from payaid_entitlements.stores.redis.clients import AsyncClient, Client
from payaid_entitlements.stores.redis.failing import FAILURES, answered, unavailable
from payaid_entitlements.stores.redis.limiter.concerns import INFO, PATIENCE, SLACK, concerns_of
from payaid_entitlements.stores.redis.limiter.packing import Packed
from payaid_entitlements.stores.redis.limiter.prompt import PromptClient
from payaid_entitlements.stores.redis.limiter.script import GIVE_BACK, HIT
from payaid_entitlements.stores.redis.limiter.turns import Turns

if TYPE_CHECKING:
    from payaid_entitlements.stores.redis.clients import AsyncHostClient, HostClient


class _Common:
    """What both colours are made of."""

    def __init__(self, client: Client | AsyncClient) -> None:
        # What all its keys begin with.
        self._at = f"{client.prefix}:rl:"
        self.name = client.name
        #: Same as `Limiter.is_shared`.
        self.is_shared = True
        #: Same as `Limiter.concerns`: complete after `prepare`.
        self.concerns: Sequence[Concern] = ()

    def _made(self, group: Group) -> Packed:
        made = group.made
        # It may have been used with another limiter, against the rule: then it would be counted there.
        if not isinstance(made, Packed) or made.at != self._at:
            made = group.made = Packed(group, self._at)
        return made


class RedisLimiter(_Common):
    """
    Same as `Limiter`, in Redis. Connects at the first use.

    Args:
        place: A URL as people write it (``redis://host:6379/0``, ``redis+cluster://host:7000``), which may say
            ``?socket_timeout=``; or a client of yours, which keeps its own timeouts and retries.
        prefix: What all keys begin with; a URL says it by ``?payaid_prefix=``.
    """

    def __init__(self, place: str | HostClient | Client, *, prefix: str | None = None) -> None:
        if isinstance(place, Client):
            prefix, place = place.prefix, place.given
        self._client = PromptClient(place, prefix=prefix, patience=PATIENCE)
        super().__init__(self._client)

    def prepare(self) -> None:
        """Same as `Limiter.prepare`: there is nothing to migrate."""
        with answered():
            info = self._client.call_at(self._at, *INFO)
        self.concerns = concerns_of(info, waits=self._client.waits)

    def hit(self, group: Group, cost: int = 1, *, permit: int = 0, now: Instant | None = None) -> Ruling:
        """Same as `Limiter.hit`."""
        made = self._made(group)
        asked = made.once if cost == 1 and not permit and now is None else made.asked(cost, permit, now)
        try:
            answer = self._client.run(HIT, made.keys, (asked,))
        except FAILURES as error:
            raise unavailable(error) from error
        return made.ruling(answer, cost, permit)

    def give_back(self, group: Group, permit: int) -> None:
        """Same as `Limiter.give_back`."""
        if permits := self._made(group).permits:
            keys, lives = zip(*permits, strict=True)
            with answered():
                self._client.run(GIVE_BACK, keys, (permit, *lives))

    def reset(self, group: Group) -> None:
        """Same as `Limiter.reset`."""
        if keys := self._made(group).keys:
            with answered():
                self._client.call("DEL", *keys)

    def close(self) -> None:
        """Same as `Limiter.close`. A client of yours stays open."""
        self._client.close()


class AsyncRedisLimiter(_Common):
    """
    Same as `RedisLimiter`, awaited.

    What is asked within one turn of an event loop travels together: see `Turns`.
    """

    def __init__(self, place: str | AsyncHostClient | AsyncClient, *, prefix: str | None = None) -> None:
        if isinstance(place, AsyncClient):
            prefix, place = place.prefix, place.given
        self._client = AsyncClient(place, prefix=prefix, patience=PATIENCE, slack=SLACK)
        super().__init__(self._client)
        self._turns = Turns(self._client)

    async def prepare(self) -> None:
        """Same as `Limiter.prepare`: there is nothing to migrate."""
        with answered():
            info = await self._client.call_at(self._at, *INFO)
        self.concerns = concerns_of(info, waits=self._client.waits)

    async def hit(self, group: Group, cost: int = 1, *, permit: int = 0, now: Instant | None = None) -> Ruling:
        """Same as `Limiter.hit`. Who is cancelled before it was sent is not counted; afterwards he may be."""
        made = self._made(group)
        asked = made.once if cost == 1 and not permit and now is None else made.asked(cost, permit, now)
        return made.ruling(await self._turns.ask(made.keys, asked), cost, permit)

    async def give_back(self, group: Group, permit: int) -> None:
        """Same as `Limiter.give_back`."""
        if permits := self._made(group).permits:
            keys, lives = zip(*permits, strict=True)
            with answered():
                async with asyncio.timeout(self._client.waits):
                    await self._client.run(GIVE_BACK, keys, (permit, *lives))

    async def reset(self, group: Group) -> None:
        """Same as `Limiter.reset`."""
        if keys := self._made(group).keys:
            with answered():
                async with asyncio.timeout(self._client.waits):
                    await self._client.call("DEL", *keys)

    async def aclose(self) -> None:
        """Same as `Limiter.close`. A client of yours stays open."""
        await self._turns.settle()
        await self._client.aclose()
