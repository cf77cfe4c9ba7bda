"""
Sending statements of the counters to a database, in either colour: of asynchronous engines within `greenlet_spawn`.

SQLAlchemy's pool hands out connections; what is sent passes it by, which costs as much again as a driver takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from payaid_entitlements.stores.hurry import QUESTION, silence
from payaid_entitlements.stores.sql.failures import was_closed
from payaid_entitlements.stores.sql.ledger.prepared import Asked
from payaid_entitlements.stores.sql.ledger.reading import Flow
from payaid_entitlements.stores.sql.ledger.running import run_bare, run_on
from payaid_entitlements.stores.sql.statements import AnyRow

T = TypeVar("T")

#: What `Connection.info` knows of an SQLite connection: how it waits and how it writes when it is not ours.
_USUAL: Final = "payaid_usual"


class Alone:
    """
    A connection on which each statement commits by itself, or changes nothing.

    Attributes:
        has_written: A statement that writes was sent; whether it was done, who gets no answer does not know.
    """

    def __init__(self, connection: Connection) -> None:
        self.has_written = False
        self._connection = connection

    def read(self, asked: Asked) -> Sequence[AnyRow]:
        """The rows that a statement gives."""
        with driving(self._connection) as cursor:
            cursor.execute(asked.prepared.sql, asked.parameters)
            return cast("Sequence[AnyRow]", cursor.fetchall())

    def write(self, asked: Asked) -> int:
        """How many rows a statement has changed."""
        self.has_written = True
        with at_ease(self._connection), driving(self._connection) as cursor:
            cursor.execute(asked.prepared.sql, asked.parameters)
            return int(cursor.rowcount)

    def write_and_read(self, asked: Asked) -> Sequence[AnyRow]:
        """The rows that a statement gives which writes; not for SQLite."""
        self.has_written = True
        return self.read(asked)


class Sending:
    """
    Sends to the database of a store.

    Args:
        reading: Hands out connections on which each statement commits by itself, or nothing is written.
        writing: Hands out connections for transactions.
        commits_alone: Does a statement that writes commit by itself on those of *reading*?
    """

    def __init__(self, reading: Engine, writing: Engine, *, commits_alone: bool) -> None:
        self._reading = reading
        self._writing = writing
        self.commits_alone = commits_alone

    def alone(self, act: Callable[[Alone], T]) -> T:
        """What *act* returns on a connection; on a new one where that was closed and nothing was written."""
        began = monotonic()
        with self._reading.connect() as connection:
            alone = Alone(connection)
            try:
                return act(alone)
            except DBAPIError as error:
                if alone.has_written or not was_closed(error, monotonic() - began):
                    raise
        # Others that were idle are closed too, as a rule.
        self._reading.dispose()
        with self._reading.connect() as connection:
            return act(Alone(connection))

    def together(self, flow: Flow[T]) -> T:
        """Carry out *flow* in a transaction."""
        run = run_bare if self._writing.dialect.name == "sqlite" else run_on
        with self._writing.connect() as connection, at_ease(connection):
            try:
                with connection.begin():
                    return run(connection, flow)
            except BaseException as error:
                # A task that is cancelled. What an exception has ended, it has ended well.
                if not isinstance(error, Exception):
                    connection.invalidate(error)
                raise


@contextmanager
def driving(connection: Connection) -> Iterator[Any]:
    """
    Give the driver's own cursor.

    A connection that is lost, or on which an answer is still to come, is given up.

    Raises:
        DBAPIError: What the driver raised, without what was sent.
    """
    dialect = connection.dialect
    driver: Any = dialect.loaded_dbapi
    own = connection.connection
    try:
        cursor = own.cursor()
        yield cursor
        cursor.close()
    except driver.Error as error:
        is_gone = dialect.is_disconnect(error, own.dbapi_connection, None)
        if is_gone:
            connection.invalidate(error)
        raise DBAPIError.instance(
            None, None, error, driver.Error, connection_invalidated=is_gone, dialect=dialect
        ) from error
    except BaseException as error:
        # A task that is cancelled.
        connection.invalidate(error)
        raise


@contextmanager
def at_ease(connection: Connection) -> Iterator[None]:
    """
    On SQLite, let writes wait for no disk, and for other writers no longer than a limiter may.

    After a loss of power counters may be as they were some commits before, which is well. Afterwards the connection is
    as others need it, or no more.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    with driving(connection) as cursor:
        usual = connection.info.get(_USUAL)
        if usual is None:
            usual = connection.info[_USUAL] = [_set_again(cursor, name) for name in ("synchronous", "busy_timeout")]
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute(f"PRAGMA busy_timeout={round(silence(QUESTION) * 1000)}")
    try:
        yield
    finally:
        if not connection.invalidated:
            try:
                with driving(connection) as cursor:
                    for each in usual:
                        cursor.execute(each)
            except BaseException as error:
                connection.invalidate(error)
                raise


def _set_again(cursor: Any, name: str) -> str:
    """What makes it as it is now."""
    cursor.execute(f"PRAGMA {name}")
    return f"PRAGMA {name}={cursor.fetchone()[0]}"
