"""From a URL, an engine or a client of the host's to a store. Drivers are imported only when a URL asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.activity import Activity, AsyncActivity
from payaid_entitlements.stores.ledger import AsyncLedger, Ledger
from payaid_entitlements.stores.limiter import AsyncLimiter, Limiter
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.stores.ports import AsyncStore, Store

if TYPE_CHECKING:
    from redis import Redis, RedisCluster
    from redis.asyncio import Redis as AsyncRedis
    from redis.asyncio import RedisCluster as AsyncRedisCluster
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    #: What names a place, by colour: a URL, an engine or a client of the host's.
    Place = str | Engine | Redis | RedisCluster
    AsyncPlace = str | AsyncEngine | AsyncRedis | AsyncRedisCluster

_MEMORY = "memory://"
_DJANGO = "django:"
_REDIS = ("redis://", "rediss://", "redis+cluster://", "rediss+cluster://", "unix://")


def open_store(place: Place) -> Store:
    """
    Make the store at *place*; connects to nothing yet.

    Args:
        place: ``memory://``, ``sqlite:///file.db``, ``postgresql://...``, ``mysql://...``, ``mariadb://...``,
            ``redis://...``, ``rediss://...``, ``redis+cluster://...``, ``rediss+cluster://...``, ``unix://...`` (a
            Redis), ``django://default`` (a database of a Django project's), a SQLAlchemy engine, or a `Redis` or
            `RedisCluster`.

    Raises:
        ConfigurationError: It names nothing that is supported, is of the other colour, or an extra is not installed.
    """
    if place == _MEMORY:
        return MemoryStore()
    if _is_redis(place):
        with _redis_named():
            from payaid_entitlements.stores.redis import RedisStore

            return RedisStore(cast("Any", place))
    with _extra_named():
        if isinstance(place, str) and place.lower().startswith(_DJANGO):
            from payaid_entitlements.stores.django.store import DjangoStore

            return DjangoStore(place)
        from sqlalchemy import Engine

        from payaid_entitlements.stores.sql import SQLStore

        if isinstance(place, str | Engine):
            return SQLStore(place)
    raise ConfigurationError(
        f"url is a {type(place).__name__}: pass a URL, a Redis, a RedisCluster or a SQLAlchemy Engine "
        "(AsyncEngine: AsyncEntitlements)"
    )


def open_async_store(place: AsyncPlace) -> AsyncStore:
    """Same as `open_store`, for asyncio; a `Redis` or `RedisCluster` is one of ``redis.asyncio``."""
    if place == _MEMORY:
        return AsyncMemoryStore()
    if _is_redis(place):
        with _redis_named():
            from payaid_entitlements.stores.redis import AsyncRedisStore

            return AsyncRedisStore(cast("Any", place))
    if isinstance(place, str) and place.lower().startswith(_DJANGO):
        raise ConfigurationError(
            f"{place} is a database of Django's, whose transactions are synchronous: open Entitlements there, and "
            "await functions that use it by sync_to_async; AsyncEntitlements takes a URL of the same database"
        )
    with _extra_named():
        from sqlalchemy.ext.asyncio import AsyncEngine

        from payaid_entitlements.stores.sql import AsyncSQLStore

        if isinstance(place, str | AsyncEngine):
            return AsyncSQLStore(place)
    raise ConfigurationError(
        f"url is a {type(place).__name__}: pass a URL, a Redis, a RedisCluster or a SQLAlchemy AsyncEngine "
        "(Engine: Entitlements)"
    )


def find_ledger(store: Store, place: Ledger | Place | None) -> tuple[Ledger | None, Store | None]:
    """
    Find where usage is counted: in the ledger that is given or is at *place*, else in that of *store*.

    Returns:
        The ledger, None where *store* has none; and the store that was opened for it, to be closed with it.

    Raises:
        ConfigurationError: There is no ledger at *place*.
    """
    if place is None:
        return getattr(store, "ledger", None), None
    if hasattr(place, "post"):
        return cast("Ledger", place), None
    other = open_store(place)
    return _ledger_at(other), other


def find_async_ledger(
    store: AsyncStore, place: AsyncLedger | AsyncPlace | None
) -> tuple[AsyncLedger | None, AsyncStore | None]:
    """Same as `find_ledger`, for asyncio."""
    if place is None:
        return getattr(store, "ledger", None), None
    if hasattr(place, "post"):
        return cast("AsyncLedger", place), None
    other = open_async_store(place)
    return _ledger_at(other), other


def _ledger_at(store: Store | AsyncStore) -> Any:
    ledger = getattr(store, "ledger", None)
    if ledger is None:
        raise ConfigurationError(f"there is no ledger in {store.name}: it is no place in which usage can be counted")
    return ledger


def find_limiter(store: Store, place: Limiter | Place | None) -> tuple[Limiter | None, Store | None]:
    """
    Find where calls are counted: in the limiter that is given or is at *place*, else in that of *store*.

    Returns:
        The limiter, None where *store* has none; and the store that was opened for it, to be closed with it.

    Raises:
        ConfigurationError: There is no limiter at *place*.
    """
    if place is None:
        return getattr(store, "limiter", None), None
    if hasattr(place, "hit"):
        return cast("Limiter", place), None
    other = open_store(place)
    return _limiter_at(other), other


def find_async_limiter(
    store: AsyncStore, place: AsyncLimiter | AsyncPlace | None
) -> tuple[AsyncLimiter | None, AsyncStore | None]:
    """Same as `find_limiter`, for asyncio."""
    if place is None:
        return getattr(store, "limiter", None), None
    if hasattr(place, "hit"):
        return cast("AsyncLimiter", place), None
    other = open_async_store(place)
    return _limiter_at(other), other


def _limiter_at(store: Store | AsyncStore) -> Any:
    limiter = getattr(store, "limiter", None)
    if limiter is None:
        raise ConfigurationError(f"there is no limiter in {store.name}: it is no place in which calls can be counted")
    return limiter


def find_activity(store: Store, given: Activity | None) -> Activity | None:
    """Find where is recorded what tenants do: *given*, else the place of *store*; None where it has none."""
    return getattr(store, "activity", None) if given is None else given


def find_async_activity(store: AsyncStore, given: AsyncActivity | None) -> AsyncActivity | None:
    """Same as `find_activity`, for asyncio."""
    return getattr(store, "activity", None) if given is None else given


def _is_redis(place: object) -> bool:
    """Does *place* name a Redis, or is it a client of one? Without importing what may not be installed."""
    if isinstance(place, str):
        return place.lower().startswith(_REDIS)
    return any(each.__module__.partition(".")[0] == "redis" for each in type(place).__mro__)


@contextmanager
def _redis_named() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(f"Redis needs a driver: pip install 'payaid-entitlements[redis]' ({error})") from error


@contextmanager
def _extra_named() -> Iterator[None]:
    """Say which extra has what is missing: SQLAlchemy, or a driver that it imports when an engine is made."""
    try:
        yield
    except ImportError as error:
        root = (error.name or "").partition(".")[0]
        extra = {"pymysql": "mysql", "asyncmy": "mysql", "django": "django,sql"}.get(root, "sql")
        raise ConfigurationError(
            f"a database needs a driver: pip install 'payaid-entitlements[{extra}]', or open memory:// ({error})"
        ) from error
