"""
Engines: how a connection begins, how long it may take, and what a fork does to it.

SQLite's own rule, one writer at a time, is kept by ``BEGIN IMMEDIATE``: a transaction that reads first and writes later
fails at once with "database is locked" when somebody else has written in between. Reads need no transaction.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from payaid_entitlements.errors import ConfigurationError

#: Seconds that a writer waits for another one's transaction on SQLite.
SQLITE_PATIENCE: Final = 5.0
#: Seconds to connect to a server, to wait for a free connection, and for the server to answer one statement.
PATIENCE: Final = 2

#: The execution option that marks a connection on which a transaction is about to write.
WRITES: Final = "payaid_writes"

_SYNC = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
_ASYNC = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}


def sync_engine(url: str) -> Engine:
    """
    Make an engine for *url* as people write it; connects to nothing yet.

    Raises:
        ConfigurationError: It names no database that is supported, or an SQLite database without a file.
    """
    parsed = _parsed(url, _SYNC)
    engine = create_engine(parsed, **_options(parsed))
    if engine.dialect.name == "sqlite":
        begin_immediate(engine)
    return engine


def async_engine(url: str) -> AsyncEngine:
    """Same as `sync_engine`, for asyncio."""
    parsed = _parsed(url, _ASYNC)
    engine = create_async_engine(parsed, **_options(parsed))
    if engine.dialect.name == "sqlite":
        begin_immediate(engine.sync_engine)
    return engine


def _parsed(url: str, drivers: dict[str, str]) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(f"{url!r} is no URL of a database: {error}") from error
    backend = parsed.get_backend_name()
    if backend not in drivers:
        raise ConfigurationError(f"{backend!r} is not supported; use sqlite:///file.db, postgresql://... or memory://")
    if backend == "sqlite" and (not parsed.database or parsed.database == ":memory:"):
        raise ConfigurationError(
            f"{url!r} names no file, and each connection would have a database of its own; use memory:// or sqlite:///file.db"
        )
    return parsed.set(drivername=drivers[backend])


def _options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        # The driver must not begin transactions by itself: see `begin_immediate`.
        return {"connect_args": {"timeout": SQLITE_PATIENCE, "isolation_level": None, "check_same_thread": False}}
    limits = f"-c statement_timeout={PATIENCE * 1000} -c idle_in_transaction_session_timeout=60000"
    return {
        "pool_timeout": PATIENCE,
        "pool_pre_ping": False,
        "connect_args": {
            "connect_timeout": PATIENCE,
            "options": limits,
            "tcp_user_timeout": PATIENCE * 1000,
            "keepalives_idle": 30,
        },
    }


def begin_immediate(engine: Engine) -> None:
    """
    Let *engine*, which must be for SQLite, begin its transactions for writing at once.

    For the engine of a host that hands in its transactions as ``tx=``. All its transactions then begin with
    ``BEGIN IMMEDIATE``; for our own engine only those that write, since it marks them.
    """
    if event.contains(engine, "connect", _prepare_sqlite):
        return
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)


def is_immediate(engine: Engine) -> bool:
    """Was `begin_immediate` called for *engine*?"""
    return event.contains(engine, "begin", _begin_sqlite)


def _prepare_sqlite(connection: Any, record: Any) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    # WAL lets readers go on while somebody writes. FULL: what was acknowledged survives losing power.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get(WRITES, True):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
