"""
A deadline on our side of a PostgreSQL connection.

The server ends a statement that takes too long, unless the server itself has stopped; then the kernel still takes
what we send, no timeout of TCP ever runs out, and psycopg would wait for an answer without end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from time import monotonic
from typing import Any

from psycopg import AsyncConnection, Connection, OperationalError, waiting

from payaid_entitlements.stores.hurry import silence
from payaid_entitlements.stores.sql import engines

#: Seconds without an answer after which a connection is given up, where no question waits.
LONGEST = engines.LONGEST
#: Seconds after which psycopg resumes what it waits for, when nothing has come; it connects with its own, a tenth.
TICK = 0.02
_TICK_OF_CONNECTING = 0.1


def until_deadline(exchange: Generator[Any, Any, Any], connection: _Connection | _AsyncConnection) -> Any:
    """
    Pass on what *exchange*, one with the server, yields and is sent, for at most `LONGEST` seconds, or a question's.

    A connection that is given up is closed: its answer might still come, and would be taken for that to the next
    question. The time is looked at only when nothing has come, so a busy process gives up no answer that is there.

    Raises:
        OperationalError: There was no answer in time.
    """
    seconds = silence(connection.longest or LONGEST)
    deadline = monotonic() + seconds
    try:
        wanted = next(exchange)
        while True:
            ready = yield wanted
            if not ready and monotonic() >= deadline:
                connection.pgconn.finish()
                raise OperationalError(f"no answer within {seconds:.2g} seconds")
            wanted = exchange.send(ready)
    except StopIteration as done:
        return done.value


def connecting(exchange: Generator[Any, Any, Any]) -> Any:
    """
    Same as `until_deadline`, to connect: libpq's own limit is of whole seconds, two at least.

    Gives up half a tick early rather than late.
    """
    seconds = silence(engines.PATIENCE)
    deadline = monotonic() + seconds - _TICK_OF_CONNECTING / 2
    try:
        wanted = next(exchange)
        while True:
            ready = yield wanted
            if not ready and monotonic() >= deadline:
                exchange.close()
                raise OperationalError(f"no connection within {seconds:.2g} seconds")
            wanted = exchange.send(ready)
    except StopIteration as done:
        return done.value


class _Connection(Connection[Any]):
    # Seconds in place of the usual ones; migrating sets them.
    longest: float | None = None

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> Any:
        return connecting(super()._connect_gen(conninfo))

    def wait(self, gen: Any, interval: float = TICK, *args: Any, **named: Any) -> Any:
        return super().wait(until_deadline(gen, self), interval, *args, **named)


class _AsyncConnection(AsyncConnection[Any]):
    longest: float | None = None

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> Any:
        return connecting(super()._connect_gen(conninfo))

    async def wait(self, gen: Any, interval: float = TICK, *args: Any, **named: Any) -> Any:
        try:
            exchange = until_deadline(gen, self)
            return await waiting.wait_async(exchange, self.pgconn.socket, interval, *args, **named)
        except asyncio.CancelledError:
            # psycopg would ask the server to cancel, for up to eight seconds where that stands still.
            self.pgconn.finish()
            raise


connect = _Connection.connect
connect_async = _AsyncConnection.connect
