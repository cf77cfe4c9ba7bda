"""The dependencies that count a request on a rate limit, behind the login and before it."""

# Without `from __future__ import annotations`: FastAPI evaluates annotations.

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import HTTPConnection

from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import TenantUnidentified
from payaid_entitlements.guards.requirement import Rank, Requirement
from payaid_entitlements.limiting.outcome import RateLimitOutcome
from payaid_entitlements.web.fastapi.around import note
from payaid_entitlements.web.fastapi.asking import Whose
from payaid_entitlements.web.fastapi.truth import address_of
from payaid_entitlements.web.needs import counted


def counted_on(limit: str, cost: int) -> Requirement:
    """Same as `counted`, as a requirement."""
    return Requirement(Rank.LIMIT, counted(limit, cost).key)


def counting(whose: Whose, need: Requirement, cost: int) -> Callable[..., Awaitable[None]]:
    """Count for the tenant, the user and the address of the request."""

    async def count(**given: Any) -> None:
        binding = await whose.bound(given)
        view = binding.view
        limit = view.rate_limits.get(need.key)
        if limit is not None and limit.per == "user" and view.user is None:
            raise TenantUnidentified(f"the user dependency gave None, and {need.key!r} counts by user")
        outcome: RateLimitOutcome = await binding.act_async(
            lambda client: client.try_rate_limit(
                view.tenant, need.key, cost=cost, user=view.user, address=binding.address
            )
        )
        note(given["connection"], outcome)
        outcome.or_raise(tenant=view.tenant)

    whose.asks(count)
    return count


def counting_before_login(
    ent: AsyncEntitlements | Entitlements, need: Requirement, cost: int, proxies: int | None
) -> Callable[..., Awaitable[None]]:
    """Count for the address alone."""

    async def count(connection: HTTPConnection) -> None:
        address = address_of(connection, proxies)
        if isinstance(ent, AsyncEntitlements):
            outcome = await ent.try_rate_limit(None, need.key, cost=cost, address=address)
        else:
            outcome = await asyncio.to_thread(ent.try_rate_limit, None, need.key, cost=cost, address=address)
        note(connection, outcome)
        outcome.or_raise()

    return count
