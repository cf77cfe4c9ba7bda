"""
One statement that commits by itself, through the driver's own cursor: one round trip, whose end is known or not.

SQLAlchemy's pool hands out the connection; its statements and results are passed by, which cost as much again as
psycopg takes. Events of the engine about statements are not told of it.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from payaid_entitlements.errors import OutcomeUnknown
from payaid_entitlements.stores.sql.failures import first_line, is_lost_race, was_closed
from payaid_entitlements.stores.sql.ledger.prepared import Asked


class Unanswered(OutcomeUnknown):
    """The connection ended at once: before it was sent, as a rule. It may be done again, and may have been done."""


def can(engine: Engine) -> bool:
    """Is *engine* of PostgreSQL by psycopg, which prepares what it is sent again?"""
    return engine.dialect.name == "postgresql" and engine.dialect.driver == "psycopg"


def answered(engine: Engine, asked: Asked, operation: str | None) -> Any:
    """
    Send *asked* and give the first row of its answer; None where there is none, or where nothing was done.

    Of an `AsyncEngine` its `sync_engine`, within `greenlet_spawn`.

    Raises:
        DBAPIError: The server refused it: nothing was done, and not because of others.
        Unanswered: No answer came, and that was known soon.
        OutcomeUnknown: No answer came.
    """
    began = monotonic()
    driver: Any = engine.dialect.loaded_dbapi
    try:
        connection: Any = engine.raw_connection()
    except driver.Error as error:
        raise _wrapped(engine, error, is_gone=True) from error
    try:
        own = connection.dbapi_connection
        # Without a transaction the server takes its own level, not that of the engine: at a higher one than READ
        # COMMITTED it refuses some of what is done at once, and the general path does it.
        was_alone, own.autocommit = own.autocommit, True
        cursor = connection.cursor()
        cursor.execute(asked.prepared.sql, asked.parameters)
        row = cursor.fetchone()
        cursor.close()
        own.autocommit = was_alone
    except driver.Error as error:
        # A server that ends a statement says so and goes on. One that ends the session may have committed before.
        is_gone = engine.dialect.is_disconnect(error, connection.dbapi_connection, None)
        connection.invalidate(error)
        wrapped = _wrapped(engine, error, is_gone=is_gone)
        if is_lost_race(wrapped):
            return None
        if not is_gone:
            raise wrapped from error
        was_soon = was_closed(wrapped, monotonic() - began)
        if was_soon:
            # To be done again, on a new connection.
            engine.dispose()
        raise (Unanswered if was_soon else OutcomeUnknown)(
            f"the database gave no answer to a statement: {first_line(error)}; "
            "repeat with the same operation to find out",
            operation=operation,
        ) from error
    except BaseException as error:
        # A task that is cancelled; the answer is still to come.
        connection.invalidate(error)
        raise
    connection.close()
    return row


def _wrapped(engine: Engine, error: Any, *, is_gone: bool) -> DBAPIError:
    """As SQLAlchemy would have it, without what was sent."""
    driver: Any = engine.dialect.loaded_dbapi
    made: DBAPIError = DBAPIError.instance(
        None, None, error, driver.Error, connection_invalidated=is_gone, dialect=engine.dialect
    )
    return made
