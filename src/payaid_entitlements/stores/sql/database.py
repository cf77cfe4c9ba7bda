"""The database that a store is in: how it is connected to, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, QueuePool, event

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.forking import after_fork, before_fork
from payaid_entitlements.stores.channel import Channel
from payaid_entitlements.stores.ports import LOST_WITH_THE_PROCESS, Concern
from payaid_entitlements.stores.sql.columns import MYSQL
from payaid_entitlements.stores.sql.durability import QUESTIONS
from payaid_entitlements.stores.sql.engines import (
    WRITES,
    begin_mysql,
    begin_sqlite,
    end_when_returned,
    let_go,
    roll_back_mysql,
)
from payaid_entitlements.stores.sql.places import is_file, require_place, shown
from payaid_entitlements.stores.sql.statements import AnyRow, Statements


class Database:
    """
    A database with tables of ours: what both colours of a store are made of.

    Attributes:
        keeps_for: Same as `Ledger.keeps_for`, for the ledger in the same database.
    """

    #: It is not the host's: made here, as `engines` says.
    _owns_engine: bool

    def __init__(self, engine: Engine, prefix: str, schema: str | None, keeps_for: int) -> None:
        dialect = engine.dialect.name
        if dialect not in {"sqlite", "postgresql", *MYSQL}:
            raise ConfigurationError(
                f"an engine for {dialect!r} is not supported; use SQLite, PostgreSQL, MariaDB or MySQL"
            )
        require_place(dialect, prefix, schema)
        self.keeps_for = keeps_for
        self._engine = engine
        self._statements = Statements(prefix, dialect, schema)
        self._concerns: tuple[Concern, ...] = () if self.is_durable else (LOST_WITH_THE_PROCESS,)
        self._asks_concerns = dialect in QUESTIONS
        self.channel = _channel(engine, self._statements)
        if engine.dialect.name == "sqlite" and is_file(engine.url):
            before_fork(self._close_idle_connections)
        after_fork(self._forget_connections)

    @property
    def name(self) -> str:
        """Same as `Store.name`."""
        return shown(self._engine.url, self._statements.prefix, self._statements.schema)

    @property
    def is_durable(self) -> bool:
        """Same as `Store.is_durable`: False for a host's engine on SQLite in memory."""
        return self._engine.dialect.name != "sqlite" or is_file(self._engine.url)

    @property
    def concerns(self) -> Sequence[Concern]:
        """Same as `Store.concerns`."""
        return self._concerns

    def _note(self, rows: Sequence[AnyRow]) -> None:
        self._concerns = QUESTIONS[self._engine.dialect.name][1](rows[0])
        self._asks_concerns = False

    @property
    def _creates_tables(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    def _close_idle_connections(self) -> None:
        # SQLite's locks are the process's, and it believes to hold those of each connection that it knows of. In a
        # child that knows one of its parent's, connections of its own would hold none: whoever closes the file last
        # elsewhere would take away the log in which the child writes, with what was acknowledged.
        pool = self._engine.pool
        if isinstance(pool, QueuePool) and pool.checkedin():
            self._close_idle()

    def _close_idle(self) -> None:
        pool = self._engine.pool
        self._engine.dispose()
        end_when_returned(pool)
        pool.dispose()  # what has come back meanwhile

    def _forget_connections(self) -> None:
        # They are the parent's: two processes on one connection hang or mix their answers. Not closed, and kept so that
        # nobody closes them later: SQLite's locks are the process's, and a close here could let go of what it holds.
        self._inherited = self._engine.pool
        self._engine.dispose(close=False)

    @property
    def _reads(self) -> dict[str, Any]:
        # No transaction: on PostgreSQL it would double their cost, on SQLite it would hold a writer up. On MySQL it
        # costs nothing to begin one, and something to say that there is to be none; our own engines say it once.
        if self._engine.dialect.name == "postgresql" and not self._owns_engine:
            return {WRITES: False, "isolation_level": "AUTOCOMMIT"}
        return {WRITES: False}

    @property
    def _writes(self) -> dict[str, Any]:
        # Whatever the host's engine does otherwise: to be atomic needs a transaction, and where writers wait for each
        # other the later one must see what the earlier one has committed. For MySQL `begin_mysql` says it.
        if self._engine.dialect.name == "postgresql":
            return {WRITES: True, "isolation_level": "READ COMMITTED"}
        return {WRITES: True}

    def _begins_at_once(self, engine: Engine) -> None:
        if engine.dialect.name == "sqlite":
            event.listen(engine, "begin", begin_sqlite)
            let_go(self._engine)
        elif engine.dialect.name in MYSQL:
            event.listen(engine, "begin", begin_mysql)
            event.listen(engine, "rollback", roll_back_mysql)


def _channel(engine: Engine, statements: Statements) -> Channel | None:
    """How changes are told of, where the database can: PostgreSQL."""
    if engine.dialect.name != "postgresql":
        return None
    from payaid_entitlements.stores.sql.notifying import NotifyChannel

    return NotifyChannel(engine, statements)
