"""
The host's own transaction: our rows and the host's commit together, or not at all.

What cannot be that is refused with the way out: another database, autocommit, a transaction of the other colour.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, TwoPhaseTransaction
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.sql.engines import is_immediate
from payaid_entitlements.stores.sql.places import is_same_place, shown


def joined(tx: object, engine: Engine) -> Connection:
    """
    Find the connection of the host's transaction.

    Args:
        tx: A SQLAlchemy `Session` or `Connection` in a transaction, of which a session begins one by itself; or
            Django's ``connection`` within ``transaction.atomic()``.
        engine: Ours; it must be of the same database.

    Raises:
        ConfigurationError: It is something else.
    """
    if is_django(tx):
        from payaid_entitlements.stores.django.joining import lent

        return lent(tx, engine)
    with _usable():
        match tx:
            case Session():
                connection = tx.connection()
            case Connection():
                connection = tx
            case _:
                raise ConfigurationError(
                    f"tx={type(tx).__name__}: pass a SQLAlchemy Session or Connection in a transaction"
                    + ("; this one is for AsyncEntitlements" if isinstance(tx, AsyncSession | AsyncConnection) else "")
                )
        _require(connection, engine)
        return connection


async def joined_async(tx: object, engine: AsyncEngine) -> AsyncConnection:
    """Same as `joined`, for `AsyncSession` and `AsyncConnection`. Django has no transaction that could be awaited."""
    if is_django(tx):
        raise ConfigurationError(
            "a transaction of Django's is synchronous: open Entitlements, and call it where the transaction is, "
            "in a function that you await by sync_to_async"
        )
    with _usable():
        match tx:
            case AsyncSession():
                connection = await tx.connection()
            case AsyncConnection():
                connection = tx
            case _:
                raise ConfigurationError(
                    f"tx={type(tx).__name__}: pass a SQLAlchemy AsyncSession or AsyncConnection in a transaction"
                    + ("; this one is for Entitlements" if isinstance(tx, Session | Connection) else "")
                )
        await connection.run_sync(_require, engine.sync_engine)
        return connection


def is_django(tx: object) -> bool:
    """Is *tx* a connection of Django's? Without importing what may not be installed."""
    return any(each.__module__.startswith("django.") for each in type(tx).__mro__)


def may_notify(connection: Connection | None) -> bool:
    """May the transaction of *connection* tell those who listen? PostgreSQL prepares none that does for two phases."""
    return connection is None or not isinstance(connection.get_transaction(), TwoPhaseTransaction)


@contextmanager
def _usable() -> Iterator[None]:
    try:
        yield
    except InvalidRequestError as error:
        # Closed, failed before, or a session that is bound to no engine: SQLAlchemy says which.
        raise ConfigurationError(f"tx is no open transaction: {str(error).splitlines()[0]}") from error


def _require(connection: Connection, engine: Engine) -> None:
    theirs, ours = connection.engine, engine
    if theirs.pool is not ours.pool and not is_same_place(theirs.url, ours.url):
        raise ConfigurationError(
            f"tx is a transaction on {shown(theirs.url)}, and the entitlements are on {shown(ours.url)}: "
            "two databases do not commit together"
        )
    if not connection.in_transaction():
        raise ConfigurationError("tx is not in a transaction; begin one: `with engine.begin() as tx:`")
    if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT" or _commits_by_itself(connection):
        raise ConfigurationError(
            "tx commits each statement by itself (AUTOCOMMIT): nothing would be rolled back with yours"
        )
    if theirs.dialect.name == "sqlite" and not is_immediate(theirs):
        raise ConfigurationError(
            "an SQLite transaction that reads first and writes later fails under load; call "
            "payaid_entitlements.stores.sql.begin_immediate(engine) once on your engine"
        )


def _commits_by_itself(connection: Connection) -> bool:
    # Drivers of servers say it of themselves; SQLite's are driven by BEGIN, which `begin_immediate` sends.
    driver, dialect = connection.connection.dbapi_connection, connection.dialect
    return dialect.name != "sqlite" and driver is not None and dialect.detect_autocommit_setting(driver)
