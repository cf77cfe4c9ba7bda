"""From a URL, or an engine of the host's, to a store. Drivers are imported only when a URL asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.stores.ports import AsyncStore, Store

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

_MEMORY = "memory://"


def open_store(place: str | Engine) -> Store:
    """
    Make the store at *place*; connects to nothing yet.

    Args:
        place: ``memory://``, ``sqlite:///file.db``, ``postgresql://...``, or a SQLAlchemy engine.

    Raises:
        ConfigurationError: It names nothing that is supported, or the extra ``sql`` is not installed.
    """
    if place == _MEMORY:
        return MemoryStore()
    with _extra_named():
        from sqlalchemy import Engine

        from payaid_entitlements.stores.sql import SQLStore

        if isinstance(place, str | Engine):
            return SQLStore(place)
    raise ConfigurationError(
        f"url is a {type(place).__name__}: pass a URL or a SQLAlchemy Engine (AsyncEngine: AsyncEntitlements)"
    )


def open_async_store(place: str | AsyncEngine) -> AsyncStore:
    """Same as `open_store`, for asyncio."""
    if place == _MEMORY:
        return AsyncMemoryStore()
    with _extra_named():
        from sqlalchemy.ext.asyncio import AsyncEngine

        from payaid_entitlements.stores.sql import AsyncSQLStore

        if isinstance(place, str | AsyncEngine):
            return AsyncSQLStore(place)
    raise ConfigurationError(
        f"url is a {type(place).__name__}: pass a URL or a SQLAlchemy AsyncEngine (Engine: Entitlements)"
    )


@contextmanager
def _extra_named() -> Iterator[None]:
    """Say which extra has what is missing: SQLAlchemy, or a driver that it imports when an engine is made."""
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(
            f"a database needs a driver: pip install 'payaid-entitlements[sql]', or open memory:// ({error})"
        ) from error
