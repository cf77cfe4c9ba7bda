"""
Engines: how a connection begins, and how long it may take.

SQLite's own rule, one writer at a time, is kept by ``BEGIN IMMEDIATE``: a transaction that reads first and writes later
fails at once with "database is locked" when somebody else has written in between. Reads need no transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final
from weakref import WeakSet

from sqlalchemy import URL, Connection, Dialect, Engine, Pool, QueuePool, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from payaid_entitlements.stores.hurry import silence
from payaid_entitlements.stores.sql.columns import MYSQL

#: Seconds that a writer waits for another one's transaction on SQLite, and anybody for a free connection to it.
SQLITE_PATIENCE: Final = 5.0
#: Seconds to connect to a server, to wait for a free connection, and for the server to answer one statement.
PATIENCE: Final = 2

#: The execution option that marks a connection on which a transaction is about to write.
WRITES: Final = "payaid_writes"

#: Seconds without an answer after which we give a connection up. Longer than the server's own limit, so that a slow
#: statement ends by that and costs no connection.
LONGEST: Final = PATIENCE + 0.5

#: As SQLAlchemy asks it: the dialect, the pool's record, the arguments by position and by name.
Connecting = Callable[[Dialect, Any, list[Any], dict[str, Any]], None]

_POSTGRESQL = {"postgresql": "postgresql+psycopg"}
_SYNC = {"sqlite": "sqlite", **_POSTGRESQL, **{name: f"{name}+pymysql" for name in MYSQL}}
_ASYNC = {"sqlite": "sqlite+aiosqlite", **_POSTGRESQL, **{name: f"{name}+asyncmy" for name in MYSQL}}

#: What engines of hosts begin their transactions with, known by their dialect, which all views of one engine share.
_IMMEDIATE: WeakSet[Dialect] = WeakSet()


class _Pool(QueuePool):
    """Connections of a server, of which a question waits for a free one no longer than it waits for anything."""

    @property
    def _timeout(self) -> float:
        return silence(self._longest)

    @_timeout.setter
    def _timeout(self, seconds: float) -> None:
        self._longest = seconds


def sync_engine(url: URL, *, connecting: Connecting | None = None) -> Engine:
    """
    Make an engine for *url*, whose driver we choose; connects to nothing yet.

    Args:
        connecting: Is called before each connection is made, for SQLAlchemy's event ``do_connect``, with what it is
            made with, which it may change.
    """
    url = url.set(drivername=_SYNC[url.get_backend_name()])
    engine = create_engine(url, poolclass=_Pool, **_options(url))
    if connecting is not None:
        # Before the listeners below, which connect: there is no other way to be the first.
        event.listen(engine, "do_connect", connecting)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    elif engine.dialect.name == "postgresql":
        from payaid_entitlements.stores.sql.deadline import connect

        event.listen(engine, "do_connect", lambda dialect, record, args, named: connect(*args, **named))
    else:
        from payaid_entitlements.stores.sql import mysql

        event.listen(engine, "do_connect", lambda dialect, record, args, named: mysql.connect(*args, **named))
    return engine


def async_engine(url: URL) -> AsyncEngine:
    """Same as `sync_engine`, for asyncio."""
    url = url.set(drivername=_ASYNC[url.get_backend_name()])
    options = _options(url)
    if url.get_backend_name() == "postgresql":
        from payaid_entitlements.stores.sql.deadline import connect_async

        options["connect_args"]["async_creator_fn"] = connect_async
    elif url.get_backend_name() in MYSQL:
        from payaid_entitlements.stores.sql import asyncmysql

        options["connect_args"]["async_creator_fn"] = asyncmysql.connect
    engine = create_async_engine(url, **options)
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def _options(url: URL) -> dict[str, Any]:
    match url.get_backend_name():
        case "sqlite":
            # The driver must not begin transactions by itself: see `begin_sqlite`.
            arguments = {"timeout": SQLITE_PATIENCE, "isolation_level": None, "check_same_thread": False}
            return {"pool_timeout": SQLITE_PATIENCE, "connect_args": arguments}
        case "postgresql":
            return {
                "pool_timeout": PATIENCE,
                # Said once: to say it for each read, and take it back, costs a fifth of the read.
                "isolation_level": "AUTOCOMMIT",
                # Else the first connection looks for a type that we have no column of, in a transaction.
                "use_native_hstore": False,
                "connect_args": _postgresql(url),
            }
    from payaid_entitlements.stores.sql import mysql

    defaults = mysql.limits(is_async=url.drivername.endswith("asyncmy"))
    return {
        "pool_timeout": PATIENCE,
        # The server ends sessions that do nothing, as long as we ask it to wait; ours are renewed before.
        "pool_recycle": mysql.IDLE // 2,
        # A read is one round trip: each statement commits by itself, and there is nothing to be rolled back.
        "skip_autocommit_rollback": True,
        "connect_args": {name: value for name, value in defaults.items() if name not in url.query},
    }


def _postgresql(url: URL) -> dict[str, Any]:
    limits = f"-c statement_timeout={PATIENCE * 1000} -c idle_in_transaction_session_timeout=60000"
    given = url.query.get("options", ())
    defaults: dict[str, Any] = {
        "connect_timeout": PATIENCE,
        "tcp_user_timeout": PATIENCE * 1000,
        "keepalives_idle": 30,
    }
    return {
        # What the URL says comes later, or is not set by us at all: it wins.
        "options": " ".join([limits, *([given] if isinstance(given, str) else given)]),
        **{name: value for name, value in defaults.items() if name not in url.query},
    }


def end_when_returned(pool: Pool) -> None:
    """Let connections that come back to *pool* be closed. It was disposed of, so nobody will take them again."""
    event.listen(pool, "checkin", lambda connection, record: record.invalidate())


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


def begin_mysql(connection: Connection) -> None:
    """
    Begin a transaction that is about to write; for SQLAlchemy's event ``begin``.

    SQLAlchemy's own way to ask for a level lets errors of the driver through as they are, and forgets the connection.
    """
    connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    connection.exec_driver_sql("START TRANSACTION")


def roll_back_mysql(connection: Connection) -> None:
    """Take back what `begin_mysql` began; for SQLAlchemy's event ``rollback``, which skips where statements commit."""
    if not connection.invalidated:
        connection.exec_driver_sql("ROLLBACK")


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
