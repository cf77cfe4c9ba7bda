"""
A deadline on our side of a PostgreSQL connection.

The server ends a statement that takes too long, unless the server itself has stopped; then the kernel still takes
what we send, no timeout of TCP ever runs out, and psycopg would wait for an answer without end.
"""

from __future__ import annotations

from collections.abc import Generator
from time import monotonic
from typing import Any

from psycopg import AsyncConnection, Connection, OperationalError

from payaid_entitlements.stores.sql import engines

#: Seconds without an answer after which a connection is given up.
LONGEST = engines.LONGEST


def until_deadline(waiting: Generator[Any, Any, Any], connection: _Connection | _AsyncConnection) -> Any:
    """
    Pass on what *waiting*, one exchange with the server, yields and is sent, for as long as *connection* waits.

    psycopg resumes it every tenth of a second when nothing has come. A connection that is given up is closed: its
    answer might still come, and would be taken for that to the next question.

    Raises:
        OperationalError: There was no answer in time.
    """
    longest = connection.longest or LONGEST
    deadline = monotonic() + longest
    try:
        wanted = next(waiting)
        while True:
            ready = yield wanted
            if not ready and monotonic() >= deadline:
                connection.pgconn.finish()
                raise OperationalError(f"no answer within {longest} seconds")
            wanted = waiting.send(ready)
    except StopIteration as done:
        return done.value


class _Connection(Connection[Any]):
    # Seconds in place of the usual ones; migrating sets them.
    longest: float | None = None

    def wait(self, gen: Any, *args: Any, **named: Any) -> Any:
        return super().wait(until_deadline(gen, self), *args, **named)


class _AsyncConnection(AsyncConnection[Any]):
    longest: float | None = None

    async def wait(self, gen: Any, *args: Any, **named: Any) -> Any:
        return await super().wait(until_deadline(gen, self), *args, **named)


connect = _Connection.connect
connect_async = _AsyncConnection.connect
