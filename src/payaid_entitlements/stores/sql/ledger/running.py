"""Carrying out a flow on a connection, in each colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from payaid_entitlements.stores.sql.applying import Answer, answer_of
from payaid_entitlements.stores.sql.ledger.reading import Flow

T = TypeVar("T")


def run_on(connection: Connection, flow: Flow[T]) -> T:
    """Carry out *flow*, and return what it returns."""
    try:
        asked = next(flow)
        while True:
            result = connection.exec_driver_sql(asked.prepared.sql, asked.parameters)
            asked = flow.send(answer_of(result))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return] # what the flow returns is a T


def run_bare(connection: Connection, flow: Flow[T]) -> T:
    """
    Same as `run_on`, by the cursor of SQLite's driver.

    In our own transaction nobody else looks at the statements, and SQLAlchemy takes longer for one of them than SQLite.
    """
    driver: Any = connection.dialect.loaded_dbapi
    cursor = connection.connection.cursor()
    try:
        asked = next(flow)
        while True:
            execute = cursor.execute if isinstance(asked.values, Mapping) else cursor.executemany
            execute(asked.prepared.sql, asked.parameters)
            asked = flow.send(Answer(cursor.fetchall(), cursor.rowcount))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return] # what the flow returns is a T
    except driver.Error as error:
        raise DBAPIError.instance(None, None, error, driver.Error, dialect=connection.dialect) from error
    finally:
        cursor.close()


async def run_async(connection: AsyncConnection, flow: Flow[T]) -> T:
    """Same as `run_on`, awaited."""
    try:
        asked = next(flow)
        while True:
            result = await connection.exec_driver_sql(asked.prepared.sql, asked.parameters)
            asked = flow.send(answer_of(result))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return] # what the flow returns is a T
