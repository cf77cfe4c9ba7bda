"""
A Redis that many processes share: copies of tenant documents, and one reading of where the change log ends.

The driver is imported when one is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from payaid_entitlements.errors import ConfigurationError

if TYPE_CHECKING:
    from payaid_entitlements.cache.shared.asking import AsyncSharedRedis, SharedRedis
    from payaid_entitlements.stores.redis.clients import AsyncHostClient, HostClient


def open_shared(place: str | HostClient) -> SharedRedis:
    """
    Make the shared Redis at *place*; connects to nothing yet.

    Raises:
        ConfigurationError: It names no Redis, is of the other colour, or an extra is not installed.
    """
    with _extra_named():
        from payaid_entitlements.cache.shared.asking import SharedRedis

        return SharedRedis(place)


def open_async_shared(place: str | AsyncHostClient) -> AsyncSharedRedis:
    """Same as `open_shared`, for asyncio."""
    with _extra_named():
        from payaid_entitlements.cache.shared.asking import AsyncSharedRedis

        return AsyncSharedRedis(place)


@contextmanager
def _extra_named() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(
            f"shared= needs a driver: pip install 'payaid-entitlements[redis]' ({error})"
        ) from error
