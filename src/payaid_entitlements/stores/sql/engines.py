"""
Engines: how a connection begins, how long it may take, and how a place is shown to people.

SQLite's own rule, one writer at a time, is kept by ``BEGIN IMMEDIATE``: a transaction that reads first and writes later
fails at once with "database is locked" when somebody else has written in between. Reads need no transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from weakref import WeakSet

from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from payaid_entitlements.errors import ConfigurationError

#: Seconds that a writer waits for another one's transaction on SQLite, and anybody for a free connection to it.
SQLITE_PATIENCE: Final = 5.0
#: Seconds to connect to a server, to wait for a free connection, and for the server to answer one statement.
PATIENCE: Final = 2

#: The execution option that marks a connection on which a transaction is about to write.
WRITES: Final = "payaid_writes"

_SYNC = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
_ASYNC = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}

#: What engines of hosts begin their transactions with, known by their dialect, which all views of one engine share.
_IMMEDIATE: WeakSet[Dialect] = WeakSet()


def sync_engine(url: str) -> Engine:
    """
    Make an engine for *url* as people write it; connects to nothing yet.

    Raises:
        ConfigurationError: It names no database that is supported, or an SQLite database without a file.
    """
    parsed = _parsed(url, _SYNC)
    engine = create_engine(parsed, **_options(parsed))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    else:
        from payaid_entitlements.stores.sql.deadline import connect

        event.listen(engine, "do_connect", lambda dialect, record, args, named: connect(*args, **named))
    return engine


def async_engine(url: str) -> AsyncEngine:
    """Same as `sync_engine`, for asyncio."""
    parsed = _parsed(url, _ASYNC)
    options = _options(parsed)
    if parsed.get_backend_name() == "postgresql":
        from payaid_entitlements.stores.sql.deadline import connect_async

        options["connect_args"]["async_creator_fn"] = connect_async
    engine = create_async_engine(parsed, **options)
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def shown(url: URL) -> str:
    """Write *url* for people: without a password, wherever in it that was given."""
    query = {key: value for key, value in url.query.items() if "password" not in key.lower()}
    return url.set(query=query).render_as_string(hide_password=True)


def is_file(url: URL) -> bool:
    """Does an SQLite database at *url* outlive its process?"""
    database = url.database or ""
    return bool(database) and ":memory:" not in database and url.query.get("mode") != "memory"


def _parsed(url: str, drivers: Mapping[str, str]) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Neither the text nor what SQLAlchemy says of it is shown: a part of it may be a password.
        raise ConfigurationError(
            "this is no URL of a database; write sqlite:///file.db, postgresql://user:password@host:5432/name or memory://"
        ) from None
    backend = parsed.get_backend_name()
    if backend not in drivers:
        raise ConfigurationError(f"{backend!r} is not supported; use sqlite:///file.db, postgresql://... or memory://")
    if backend == "sqlite" and not is_file(parsed):
        raise ConfigurationError(
            f"{shown(parsed)!r} names no file, and each connection would have a database of its own; "
            "use memory:// or sqlite:///file.db"
        )
    return parsed.set(drivername=drivers[backend])


def _options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        # The driver must not begin transactions by itself: see `begin_sqlite`.
        arguments = {"timeout": SQLITE_PATIENCE, "isolation_level": None, "check_same_thread": False}
        return {"pool_timeout": SQLITE_PATIENCE, "connect_args": arguments}
    limits = f"-c statement_timeout={PATIENCE * 1000} -c idle_in_transaction_session_timeout=60000"
    given = url.query.get("options", ())
    defaults: dict[str, Any] = {
        "connect_timeout": PATIENCE,
        "tcp_user_timeout": PATIENCE * 1000,
        "keepalives_idle": 30,
    }
    return {
        "pool_timeout": PATIENCE,
        "pool_pre_ping": False,
        "connect_args": {
            # What the URL says comes later, or is not set by us at all: it wins.
            "options": " ".join([limits, *([given] if isinstance(given, str) else given)]),
            **{name: value for name, value in defaults.items() if name not in url.query},
        },
    }


def begin_immediate(engine: Engine) -> None:
    """
    Let *engine*, which must be for SQLite, begin its transactions for writing at once.

    For the engine of a host that hands in its transactions as ``tx=``. All its transactions then begin with
    ``BEGIN IMMEDIATE``. An engine that only the store uses does not need it.
    """
    if is_immediate(engine):
        return
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", begin_sqlite)
    let_go(engine)
    _IMMEDIATE.add(engine.dialect)


def is_immediate(engine: Engine) -> bool:
    """Was `begin_immediate` called for *engine*, or for the one of which it is a view?"""
    return engine.dialect in _IMMEDIATE


def begin_sqlite(connection: Connection) -> None:
    """Begin a transaction that is about to write, unless it has begun; for SQLAlchemy's event ``begin``."""
    driver: Any = connection.connection.driver_connection
    if connection.get_execution_options().get(WRITES, True) and not driver.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def let_go(engine: Engine) -> None:
    """
    Let connections of *engine*, which must be for SQLite, end their transaction when they are given up.

    SQLAlchemy gives up the connection of a task that was cancelled, and closes it. A statement that was about to give
    a row keeps a closed connection half alive, with its transaction and the lock of the one writer, for as long as
    anything refers to the error: until then nobody could write.
    """
    if not event.contains(engine, "invalidate", _roll_back):
        event.listen(engine, "invalidate", _roll_back)


def _roll_back(connection: Any, record: object, error: object) -> None:
    with suppress(Exception):
        connection.rollback()


def _prepare_sqlite(connection: Any, record: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    # WAL lets readers go on while somebody writes. A file is switched to it once, and SQLite does not wait for a
    # writer who is at work in the old way: then the next connection switches.
    with suppress(sqlite3.OperationalError):
        cursor.execute("PRAGMA journal_mode=WAL")
    # FULL: what was acknowledged survives losing power.
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
