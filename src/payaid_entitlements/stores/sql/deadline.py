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


def until_deadline(waiting: Generator[Any, Any, Any], connection: Connection[Any] | AsyncConnection[Any]) -> Any:
    """
    Pass on what *waiting*, one exchange with the server, yields and is sent, for at most `LONGEST` seconds.

    psycopg resumes it every tenth of a second when nothing has come. A connection that is given up is closed: its
    answer might still come, and would be taken for that to the next question.

    Raises:
        OperationalError: There was no answer in time.
    """
    deadline = monotonic() + LONGEST
    try:
        wanted = next(waiting)
        while True:
            ready = yield wanted
            if not ready and monotonic() >= deadline:
                connection.pgconn.finish()
                raise OperationalError(f"no answer within {LONGEST} seconds")
            wanted = waiting.send(ready)
    except StopIteration as done:
        return done.value


class _Connection(Connection[Any]):
    def wait(self, gen: Any, *args: Any, **named: Any) -> Any:
        return super().wait(until_deadline(gen, self), *args, **named)


class _AsyncConnection(AsyncConnection[Any]):
    async def wait(self, gen: Any, *args: Any, **named: Any) -> Any:
        return await super().wait(until_deadline(gen, self), *args, **named)


connect = _Connection.connect
connect_async = _AsyncConnection.connect
