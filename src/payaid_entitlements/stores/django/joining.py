"""
The transaction of a Django project: our statements on Django's own connection, which alone begins, commits and ends.

SQLAlchemy is lent the driver's connection for as long as one call takes. It may set savepoints and say statements; its
commits, rollbacks and closings do not arrive. Django neither counts nor logs what is said this way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError
from sqlalchemy import Connection, Engine
from sqlalchemy.pool import PoolProxiedConnection

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.django.aliases import ALIAS, address_of, require_driver, wrapper_of
from payaid_entitlements.stores.sql.places import is_same_place, shown

_BEGIN_AT_ONCE = frozenset({"IMMEDIATE", "EXCLUSIVE"})


class _Lent(PoolProxiedConnection):
    """Django's connection as SQLAlchemy's pool would hand one out."""

    __slots__ = ("_is_valid", "_wrapper", "dbapi_connection", "driver_connection")

    def __init__(self, wrapper: BaseDatabaseWrapper) -> None:
        self._wrapper = wrapper
        self.dbapi_connection: Any = wrapper.connection
        self.driver_connection: Any = wrapper.connection
        self._is_valid = True

    @property
    def is_valid(self) -> bool:
        """Was it not given up?"""
        return self._is_valid

    def __getattr__(self, name: str) -> Any:
        # What dialects ask of their driver's connection.
        return getattr(self.dbapi_connection, name)

    def cursor(self, *args: Any, **named: Any) -> Any:
        """Make a cursor of the driver's own kind: Django's puts values into the text, and has rows of its own."""
        if self._wrapper.vendor == "postgresql":
            from psycopg import Cursor
            from psycopg.rows import tuple_row

            return Cursor(self.dbapi_connection, row_factory=tuple_row)
        return self.dbapi_connection.cursor(*args, **named)

    def commit(self) -> None:
        """Django commits."""

    def rollback(self) -> None:
        """Django rolls back."""

    def close(self) -> None:
        """Django closes."""

    def invalidate(self, e: BaseException | None = None, soft: bool = False) -> None:
        """Let Django roll back: nobody knows what of ours is in its transaction."""
        self._is_valid = False
        self._wrapper.set_rollback(True)


def lent(tx: object, engine: Engine) -> Connection:
    """
    Lend the connection of the transaction that is open on *tx*, ``django.db.connection`` or one of ``connections``.

    Args:
        engine: Ours; it must be of the same database.

    Raises:
        ConfigurationError: It is of another database, of another thread, or no ``transaction.atomic()`` is open; or
            one on SQLite that does not begin at once.
    """
    wrapper = wrapper_behind(tx)
    require_driver(wrapper)
    alias = engine.get_execution_options().get(ALIAS)
    theirs, ours = address_of(wrapper), engine.url if alias is None else address_of(wrapper_of(alias))
    if alias != wrapper.alias and not is_same_place(theirs, ours):
        raise ConfigurationError(
            f"tx is on DATABASES[{wrapper.alias!r}], {shown(theirs)}, and the entitlements are on {shown(ours)}: "
            "two databases do not commit together"
        )
    try:
        wrapper.validate_thread_sharing()
    except DatabaseError as error:
        raise ConfigurationError(f"tx is a connection of another thread: {error}") from error
    _require_atomic(wrapper)
    return Connection(engine, _Lent(wrapper))


def wrapper_behind(tx: object) -> BaseDatabaseWrapper:
    """Tell what ``django.db.connection`` stands for in this thread."""
    return tx if isinstance(tx, BaseDatabaseWrapper) else connections[cast("Any", tx).alias]


def on_commit(tx: object, then: Callable[[], object]) -> None:
    """Call *then* once the transaction on *tx* was committed; never if it, or the savepoint around, is rolled back."""
    wrapper_behind(tx).on_commit(then, robust=True)


def _require_atomic(wrapper: BaseDatabaseWrapper) -> None:
    named = "" if wrapper.alias == "default" else f"using={wrapper.alias!r}"
    if not wrapper.in_atomic_block:
        raise ConfigurationError(
            f"tx is not in a transaction, so nothing would be rolled back with yours: "
            f"`with transaction.atomic({named}):`"
        )
    if wrapper.needs_rollback or wrapper.closed_in_transaction or wrapper.connection is None:
        raise ConfigurationError("tx is no open transaction: something failed in it, and it can only be rolled back")
    if wrapper.vendor == "sqlite" and cast("Any", wrapper).transaction_mode not in _BEGIN_AT_ONCE:
        raise ConfigurationError(
            "an SQLite transaction that reads first and writes later fails under load; give "
            f'DATABASES[{wrapper.alias!r}] "OPTIONS": {{"transaction_mode": "IMMEDIATE"}}'
        )
