"""
The host's own transaction: our rows and the host's commit together, or not at all.

What cannot be that is refused with the way out: another database, autocommit, a transaction of the other colour.
"""

from __future__ import annotations

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.sql.engines import is_immediate


def joined(tx: object, engine: Engine) -> Connection:
    """
    Find the connection of the host's transaction.

    Args:
        tx: A SQLAlchemy `Session` or `Connection` in a transaction.
        engine: Ours; it must be of the same database.

    Raises:
        ConfigurationError: It is something else.
    """
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


def _require(connection: Connection, engine: Engine) -> None:
    theirs, ours = connection.engine.url, engine.url
    if (theirs.get_backend_name(), theirs.host, theirs.port, theirs.database) != (
        ours.get_backend_name(),
        ours.host,
        ours.port,
        ours.database,
    ):
        raise ConfigurationError(
            f"tx is a transaction on {theirs.render_as_string()}, and the entitlements are on "
            f"{ours.render_as_string()}: two databases do not commit together"
        )
    if not connection.in_transaction():
        raise ConfigurationError("tx is not in a transaction; begin one: `with engine.begin() as tx:`")
    if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT" or _commits_by_itself(connection):
        raise ConfigurationError(
            "tx commits each statement by itself (AUTOCOMMIT): nothing would be rolled back with yours"
        )
    if theirs.get_backend_name() == "sqlite" and not is_immediate(connection.engine):
        raise ConfigurationError(
            "an SQLite transaction that reads first and writes later fails under load; call "
            "payaid_entitlements.stores.sql.begin_immediate(engine) once on your engine"
        )


def _commits_by_itself(connection: Connection) -> bool:
    # psycopg says it of itself; SQLite's drivers are driven by BEGIN, which `begin_immediate` sends.
    driver = connection.connection.dbapi_connection
    return connection.dialect.name == "postgresql" and bool(getattr(driver, "autocommit", False))
