"""The verbs of `AsyncEntitlements` that limit calls: same as those of `Entitlements`, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from payaid_entitlements.limiting.outcome import RateLimitOutcome
from payaid_entitlements.limiting.permits import draw, pauses, require_held
from payaid_entitlements.metering.cancelling import begun, ended

if TYPE_CHECKING:
    from payaid_entitlements.cache.driving import AsyncDriver
    from payaid_entitlements.limiting.asking import AsyncLimiting


class AsyncLimitingVerbs:
    """Same as `LimitingVerbs`, awaited."""

    _driver: AsyncDriver
    _limiting: AsyncLimiting

    async def rate_limit(
        self, tenant: str | None, limit: str, *, cost: int = 1, user: str | None = None, address: str | None = None
    ) -> RateLimitOutcome:
        """Same as `Entitlements.rate_limit`, awaited."""
        limiting = self._limiting
        course = limiting.near(tenant, limit, user, address)
        if course is None:
            course = await self._driver.ask(limiting.find(tenant, limit, user, address))
        outcome = await limiting.ask(course, cost)
        return outcome if outcome.allowed else outcome.or_raise(tenant=tenant)

    async def try_rate_limit(
        self, tenant: str | None, limit: str, *, cost: int = 1, user: str | None = None, address: str | None = None
    ) -> RateLimitOutcome:
        """Same as `Entitlements.try_rate_limit`, awaited."""
        limiting = self._limiting
        course = limiting.near(tenant, limit, user, address)
        if course is None:
            course = await self._driver.ask(limiting.find(tenant, limit, user, address))
        return await limiting.ask(course, cost)

    async def rate_limit_status(
        self, tenant: str | None, limit: str, *, user: str | None = None, address: str | None = None
    ) -> RateLimitOutcome:
        """Same as `Entitlements.rate_limit_status`, awaited."""
        return await self.try_rate_limit(tenant, limit, cost=0, user=user, address=address)

    async def reset_rate_limit(
        self, tenant: str | None, limit: str, *, user: str | None = None, address: str | None = None
    ) -> None:
        """Same as `Entitlements.reset_rate_limit`, awaited."""
        limiting = self._limiting
        await limiting.forget(await self._driver.ask(limiting.find_own(tenant, limit, user, address)))

    @asynccontextmanager
    async def concurrent(
        self,
        tenant: str | None,
        limit: str,
        *,
        user: str | None = None,
        address: str | None = None,
        wait: timedelta | None = None,
    ) -> AsyncIterator[RateLimitOutcome]:
        """Same as `Entitlements.concurrent`, with ``async with``; a task that is cancelled gives its permit back."""
        limiting = self._limiting
        course = limiting.near(tenant, limit, user, address)
        if course is None:
            course = await self._driver.ask(limiting.find(tenant, limit, user, address))
        require_held(course)
        permit = draw()

        async def give_back(outcome: RateLimitOutcome) -> None:
            await limiting.give_back(course, permit, outcome)

        outcome = await begun(limiting.ask(course, 1, permit), give_back)
        try:
            for pause in pauses(wait):
                if outcome.allowed or outcome.retry_after is None:
                    break
                await asyncio.sleep(pause)
                outcome = await begun(limiting.ask(course, 1, permit), give_back)
            yield outcome.or_raise(tenant=tenant)
        finally:
            await ended(give_back(outcome))
