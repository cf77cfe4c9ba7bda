"""
The host's own transaction: our rows and the host's commit together, or not at all.

What cannot be that is refused with the way out: another database, autocommit, a transaction of the other colour.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, Engine, TwoPhaseTransaction
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.sql.columns import MYSQL
from payaid_entitlements.stores.sql.engines import is_immediate
from payaid_entitlements.stores.sql.places import is_file, shown


def joined(tx: object, engine: Engine) -> Connection:
    """
    Find the connection of the host's transaction.

    Args:
        tx: A SQLAlchemy `Session` or `Connection` in a transaction. A session begins one by itself.
        engine: Ours; it must be of the same database.

    Raises:
        ConfigurationError: It is something else.
    """
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
    """Same as `joined`, for `AsyncSession` and `AsyncConnection`."""
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
    if theirs.pool is not ours.pool and not _is_same_place(theirs.url, ours.url):
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


def _is_same_place(one: URL, other: URL) -> bool:
    if {one.get_backend_name(), other.get_backend_name()} == {"sqlite"}:
        return is_file(one) and is_file(other) and _path(one) == _path(other)
    return _place(one) == _place(other)


def _path(url: URL) -> str:
    return os.path.realpath(str(url.database))


def _place(url: URL) -> tuple[object, ...]:
    backend = url.get_backend_name()
    if backend in MYSQL:
        return "mysql", url.query.get("unix_socket") or (url.host, str(url.port or 3306)), url.database
    # A socket's directory can only be given in the query.
    host, port = url.host or url.query.get("host"), url.port or url.query.get("port") or 5432
    return backend, host, str(port), url.database


def _commits_by_itself(connection: Connection) -> bool:
    # Drivers of servers say it of themselves; SQLite's are driven by BEGIN, which `begin_immediate` sends.
    driver, dialect = connection.connection.dbapi_connection, connection.dialect
    return dialect.name != "sqlite" and driver is not None and dialect.detect_autocommit_setting(driver)
