"""
Whom a guard asks, and about which tenant: what is bound, or what an argument names and the client that is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar, cast

from payaid_entitlements.binding import AsyncBinding, Binding, SyncBinding
from payaid_entitlements.client import OPENED
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import ConfigurationError

T = TypeVar("T")
Client = Entitlements | AsyncEntitlements


def bind(tenant: object, given: Client | None, function: Callable[..., object]) -> Binding:
    """
    Bind *tenant* for a plain *function*.

    Args:
        given: The client that the guard names; None for the only one that is open.

    Raises:
        ConfigurationError: There is none, or it is of the other colour, or there are several.
    """
    client = given or _only(Entitlements)
    if not isinstance(client, Entitlements):
        raise ConfigurationError(
            f"the guard of {function.__qualname__}, a plain function, needs an Entitlements to ask: "
            "open one and pass client=, or make it a coroutine function"
        )
    return SyncBinding(client.tenant(cast("str", tenant)), client)


async def bind_async(tenant: object, given: Client | None, function: Callable[..., object]) -> Binding:
    """Same as `bind`, for a coroutine function; an `Entitlements` is asked in a thread."""
    client: Client | None = given or _only(AsyncEntitlements) or _only(Entitlements)
    if isinstance(client, AsyncEntitlements):
        return AsyncBinding(await client.tenant(cast("str", tenant)), client)
    if client is None:
        raise ConfigurationError(f"the guard of {function.__qualname__} has nobody to ask: {_OPEN_ONE}")
    return SyncBinding(await asyncio.to_thread(client.tenant, cast("str", tenant)), client)


_OPEN_ONE: Final = "open an Entitlements or AsyncEntitlements when the process starts, or pass client="


def _only(kind: type[T]) -> T | None:
    found = [client for client in tuple(OPENED) if isinstance(client, kind)]
    if len(found) > 1:
        raise ConfigurationError(
            f"{len(found)} clients are open; say which the guard shall ask: require_feature(..., client=ent)"
        )
    return found[0] if found else None
