"""One migrator at a time, who waits for nobody's locks so long that requests would queue up behind it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from payaid_entitlements.errors import StoreUnavailable

#: Milliseconds that a step waits for a lock on a table. Whoever comes behind it waits as long, even to read.
LOCK_TIMEOUT: Final = 200
#: How often a step is tried, and the longest pause between two tries, in seconds.
TRIES: Final = 20
PAUSE: Final = 0.5
#: Seconds for which a migrator waits for another one at a time; as often as a step is tried.
TURN: Final = 30

#: Seconds that one statement of a migration may take; who waits longer has lost the server.
LONGEST: Final = 3600

_LOCK_TIMEOUTS: Final = ("55P03", 1205)

T = TypeVar("T")


def in_turn(connection: Connection, name: str, step: Callable[[], T]) -> T:
    """
    Do *step* in a transaction, while nobody else does anything under *name*; again, if it had to wait for a table.

    The server waits for us, so that an event loop does not.

    Args:
        connection: Of the caller alone, and not used for anything else later.
    """
    tries_left = TRIES
    while True:
        tries_left -= 1
        try:
            with _turn(connection, name), connection.begin():
                _limit(connection, name)
                return step()
        except DBAPIError as error:
            if not tries_left or _code(error) not in _LOCK_TIMEOUTS:
                raise
        _pause(connection, random.uniform(PAUSE / 5, PAUSE))


@contextmanager
def unhurried(connection: Connection) -> Iterator[None]:
    """Let statements of *connection* take as long as they need. Nobody gets it afterwards: it is closed."""
    if connection.dialect.name == "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    try:
        if connection.dialect.name == "postgresql":
            driver.longest = LONGEST
        else:
            # asyncmy does not let it be changed: there a statement ends with the store's own limit, and is repeated.
            with suppress(AttributeError):
                driver._read_timeout = LONGEST
            # Which of these there is depends on the server: MariaDB has the first, MySQL the second.
            connection.exec_driver_sql(
                "SET SESSION lock_wait_timeout = 1 "
                "/*M! , max_statement_time = 0 */ /*!80000 , max_execution_time = 0 */"
            )
            connection.rollback()
        yield
    finally:
        connection.invalidate()


@contextmanager
def _turn(connection: Connection, name: str) -> Iterator[None]:
    """On MySQL, where each change of a table ends a transaction, a lock of the session."""
    if connection.dialect.name in {"sqlite", "postgresql"}:
        yield
        return
    lock = _digest(name).hex()
    for _ in range(TURN * TRIES):
        # One second each: a connection of a host's may give up sooner than a turn comes.
        got = connection.scalar(select(func.get_lock(lock, 1)))
        connection.rollback()
        if got:
            break
    else:
        raise StoreUnavailable("another process has been migrating our tables all the time")
    try:
        yield
    finally:
        with suppress(SQLAlchemyError):  # the lock ends with a connection that does not answer
            connection.execute(select(func.release_lock(lock)))
            connection.rollback()


def _limit(connection: Connection, name: str) -> None:
    """On PostgreSQL all of it ends with the transaction, which also works behind a pooler."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '{TURN}s'"))
        connection.execute(select(func.pg_advisory_xact_lock(int.from_bytes(_digest(name)[:8], signed=True))))
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}ms'"))


def _pause(connection: Connection, seconds: float) -> None:
    pause = func.pg_sleep if connection.dialect.name == "postgresql" else func.sleep
    connection.execute(select(pause(seconds)))
    connection.rollback()


def _digest(name: str) -> bytes:
    return hashlib.sha256(f"payaid schema {name}".encode()).digest()[:16]


def _code(error: DBAPIError) -> object:
    """PostgreSQL's letters, or MySQL's number."""
    return getattr(error.orig, "sqlstate", None) or next(iter(getattr(error.orig, "args", ())), None)
