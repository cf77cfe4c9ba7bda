"""
The channel of a store in PostgreSQL: LISTEN, on a connection of its own.

The write door notifies in the transaction that makes the change, ours or the host's, so that a change which is rolled
back is not told of, and one that is committed is. PostgreSQL lets one transaction at a time commit that notifies;
ours wait for each other at the sequencer's row anyway.

Here the driver's lowest floor is spoken to, which neither waits nor repeats: every wait is ours, and has an end.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, Engine, select
from sqlalchemy.dialects import postgresql

from payaid_entitlements.errors import ConfigurationError, StoreUnavailable
from payaid_entitlements.stores.messages import heard
from payaid_entitlements.stores.ports import LogEntry
from payaid_entitlements.stores.sql.engines import sync_engine
from payaid_entitlements.stores.sql.statements import Statements
from payaid_entitlements.stores.waiting import Handle, is_readable

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn, PGresult

#: Seconds that the server may take to answer on this connection.
LONGEST: Final = 1.0


class NotifyChannel:
    """
    Same as `Channel`, of the store that *statements* are for.

    Args:
        engine: Tells how to connect: as it does where it drives psycopg for synchronous code, else by its URL.
    """

    def __init__(self, engine: Engine, statements: Statements) -> None:
        self._engine = engine
        self._statements = statements

    def connect(self) -> NotifyWire:
        """Same as `Channel.connect`."""
        wire = NotifyWire(self._connection(), self._statements)
        try:
            wire.listen()
        except BaseException:
            wire.close()
            raise
        return wire

    def _connection(self) -> Any:
        if self._engine.dialect.is_async or self._engine.dialect.driver != "psycopg":
            self._engine = _psycopg_engine(self._engine.url)
        # From a pool that nobody else knows: a connection of the host's pool would be one less for questions.
        checked_out = self._engine.pool.recreate().connect()
        connection = checked_out.driver_connection
        checked_out.detach()
        return connection


def _psycopg_engine(url: URL) -> Engine:
    try:
        from psycopg import pq
    except ImportError as error:
        raise ConfigurationError(
            "to hear of changes as they happen needs psycopg: pip install 'payaid-entitlements[sql]'"
        ) from error
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    # What other drivers call otherwise, or have of their own, this one would refuse.
    query = {name: value for name, value in url.query.items() if name in known}
    if "ssl" in url.query:
        query.setdefault("sslmode", url.query["ssl"])
    return sync_engine(url.set(query=query))


class NotifyWire:
    """Same as `Wire`, on a connection of psycopg that nobody else uses."""

    def __init__(self, connection: Any, statements: Statements) -> None:
        self._connection = connection
        self._server: PGconn = connection.pgconn
        self._handle = Handle(self._server.socket)
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy says no types
        self._head = str(statements.head.compile(dialect=dialect, compile_kwargs={"literal_binds": True})).encode()
        self._name = str(
            select(statements.channel).compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        ).encode()

    def listen(self) -> None:
        """Hear what is committed from now on."""
        (name,) = self._ask(self._name)
        self._ask(b'LISTEN "' + name + b'"')

    def next(self, timeout: float) -> Sequence[LogEntry | None]:
        """Same as `Wire.next`."""
        # Some may have come along with an answer.
        found = self._heard()
        if not found and is_readable(self._server.socket, timeout):
            self._server.consume_input()
            found = self._heard()
        return found

    def _heard(self) -> list[LogEntry | None]:
        found = []
        while (notification := self._server.notifies()) is not None:
            found.append(heard(notification.extra))
        return found

    def head(self) -> tuple[int, float]:
        """Same as `Wire.head`."""
        (position,) = self._ask(self._head)
        return int(position), 0.0

    def _ask(self, statement: bytes) -> list[bytes]:
        """The columns of the one row that *statement* gives, if it gives any."""
        server, deadline = self._server, time.monotonic() + LONGEST
        server.send_query(statement)
        results: list[PGresult] = []
        while True:
            while server.is_busy():
                if not is_readable(server.socket, deadline - time.monotonic()):
                    raise StoreUnavailable(f"the database gave no answer within {LONGEST} s")
                server.consume_input()
            result = server.get_result()
            if result is None:
                break
            results.append(result)
        return _row(results[-1])

    def interrupt(self) -> None:
        """Same as `Wire.interrupt`."""
        self._handle.hang_up()

    def close(self) -> None:
        """Same as `Wire.close`."""
        self._handle.close()
        with suppress(Exception):
            self._connection.close()


def _row(result: PGresult) -> list[bytes]:
    from psycopg.pq import ExecStatus

    if result.status not in {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}:
        raise StoreUnavailable(f"the database refused: {result.get_error_message().strip()}")
    return [result.get_value(0, column) or b"" for column in range(result.nfields)] if result.ntuples else []
