"""
The two SQL stores. They execute; what is executed is in `statements` and `applying`.

A read is one statement without a transaction. A write is one transaction, or a part of the host's.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cached_property
from time import monotonic
from typing import cast

from sqlalchemy import Connection, Engine, Executable
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from payaid_entitlements.core.catalog.publishing import Published
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.flags.flag_set import from_json as flags_from_json
from payaid_entitlements.core.flags.model import FlagSet
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.stores.keeping import KEPT
from payaid_entitlements.stores.ports import (
    Applied,
    AuditEntry,
    LogPage,
    OutboxEvent,
    Part,
    Scope,
    TenantRow,
    Transaction,
    Write,
)
from payaid_entitlements.stores.sql.activity.activity import AsyncSQLActivity, SQLActivity
from payaid_entitlements.stores.sql.applying import answer_of, applying
from payaid_entitlements.stores.sql.durability import QUESTIONS
from payaid_entitlements.stores.sql.engines import async_engine, end_when_returned, sync_engine
from payaid_entitlements.stores.sql.failures import committing, mapped, racing, was_closed
from payaid_entitlements.stores.sql.joining import joined, joined_async, may_notify
from payaid_entitlements.stores.sql.ledger.ledger import AsyncSQLLedger, SQLLedger
from payaid_entitlements.stores.sql.ledger.prepared import Asked, Prepared
from payaid_entitlements.stores.sql.ledger.reading import Flow
from payaid_entitlements.stores.sql.ledger.running import run_bare
from payaid_entitlements.stores.sql.limiter.limiter import AsyncSQLLimiter, SQLLimiter
from payaid_entitlements.stores.sql.places import Place, place_of
from payaid_entitlements.stores.sql.reading import reading_log
from payaid_entitlements.stores.sql.restoring import restoring
from payaid_entitlements.stores.sql.schema import create, require
from payaid_entitlements.stores.sql.statements import AnyRow, audit_entries, documents, outbox_events
from payaid_entitlements.stores.sql.tables import PREFIX
from payaid_entitlements.stores.sql.tallying import trying
from payaid_entitlements.stores.sql.upgrading import AsyncUpgrading, Upgrading
from payaid_entitlements.stores.writing import require_tallies


class SQLStore(Upgrading):
    """
    Same as `Store`, in a SQL database. Connects at the first use.

    Args:
        engine: An engine of yours, or a URL as people write it: ``sqlite:///payaid.db``, ``postgresql://...``,
            ``mysql://...`` or ``mariadb://...``.
            A URL may say the rest too: ``?payaid_schema=billing&payaid_prefix=app_``, and how long the ledger
            remembers operations, ``payaid_keep_operations=90d``; 35 days where nothing is said.
        prefix: What our tables' names begin with; None for what the URL says, else ``payaid_``.
        schema: The schema that they are in, on MySQL the database; None for what the URL says, else for where your
            connections look.
    """

    def __init__(self, engine: Engine | str, *, prefix: str | None = None, schema: str | None = None) -> None:
        self._owns_engine = isinstance(engine, str)
        place = place_of(engine) if isinstance(engine, str) else None
        made = sync_engine(place.url) if place is not None else cast("Engine", engine)
        super().__init__(made, *_names(place, prefix, schema), KEPT if place is None else place.keeps_for)
        self._reading = made.execution_options(**self._reads)
        self._writing = made.execution_options(**self._writes)
        self._begins_at_once(self._writing)

    @cached_property
    def ledger(self) -> SQLLedger:
        """The ledger in this database, on the same engine."""
        return SQLLedger(self)

    @cached_property
    def activity(self) -> SQLActivity:
        """Which tenant did what on which day, in this database, on the same engine."""
        return SQLActivity(self)

    @cached_property
    def limiter(self) -> SQLLimiter:
        """The limiter in this database, on the same engine."""
        return SQLLimiter(self)

    def prepare(self) -> None:
        """Same as `Store.prepare`."""
        version = self.current()
        if version is None and self._creates_tables:
            with mapped(), self._writing.begin() as connection:
                create(connection, self._statements)
            version = self.current()
        require(self.name, version)
        if self._asks_concerns:
            self._note(self._rows(QUESTIONS[self._engine.dialect.name][0]))

    def read(self, tenants: Sequence[str], *, tx: Transaction | None = None) -> Mapping[str, TenantDocument]:
        """Same as `Store.read`."""
        found: dict[str, TenantDocument] = {}
        for statement, values in self._statements.read(tenants):
            if tx is None:
                rows = self._rows(statement, values)
            else:
                with mapped():
                    rows = joined(tx, self._engine).execute(statement, values).fetchall()
            found |= documents(rows)
        return found

    def catalog(self) -> Published | None:
        """Same as `Store.catalog`."""
        rows = self._rows(self._statements.catalog)
        return Published.from_json(rows[0][0]) if rows else None

    def controls(self) -> Controls:
        """Same as `Store.controls`."""
        rows = self._rows(self._statements.controls)
        return Controls.from_json(rows[0][0]) if rows else Controls()

    def flags(self) -> FlagSet:
        """Same as `Store.flags`."""
        rows = self._rows(self._statements.flags)
        return flags_from_json(*rows[0]) if rows else FlagSet()

    def apply(
        self,
        write: Write,
        *,
        expect: int,
        actor: str,
        because: str | None,
        operation: str | None = None,
        as_of: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Applied:
        """Same as `Store.apply`."""
        with self._transaction(tx, operation, expect) as connection:
            flow = applying(
                self._statements,
                write,
                expect=expect,
                actor=actor,
                because=because,
                operation=operation,
                as_of=as_of,
                notifies=may_notify(connection),
            )
            try:
                statement = next(flow)
                while True:
                    statement = flow.send(answer_of(connection.execute(statement)))
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return] # what the flow returns is an Applied

    @contextmanager
    def _transaction(self, tx: Transaction | None, operation: str | None, expect: int) -> Iterator[Connection]:
        with mapped(), racing(expect):
            if tx is not None:
                connection = joined(tx, self._engine)
                # What fails in the middle leaves nothing of ours in the host's transaction, even if that goes on.
                nested = connection.begin_nested()
                try:
                    yield connection
                except BaseException:
                    try:
                        nested.rollback()
                    except SQLAlchemyError as gone:
                        connection.invalidate(gone)
                    raise
                nested.commit()
                return
            with self._writing.connect() as connection, connection.begin() as transaction:
                yield connection
                try:
                    with committing(operation):
                        transaction.commit()
                except BaseException as error:
                    # It may be in the middle of something; nobody else is to get it.
                    connection.invalidate(error)
                    raise

    def changes_since(self, position: int | None, *, limit: int = 1000) -> LogPage:
        """Same as `Store.changes_since`."""
        flow = reading_log(self._statements, position, limit)
        try:
            asked = next(flow)
            while True:
                asked = flow.send(self._rows(*asked))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return] # what the flow returns is a LogPage

    def find(
        self, *, module: str | None = None, plan: str | None = None, after: str | None = None, limit: int = 100
    ) -> Sequence[TenantRow]:
        """Same as `Store.find`."""
        return self._statements.licensed.rows(self._rows(self._statements.find(module, plan, after, limit)))

    def audit(
        self,
        *,
        tenant: str | None = None,
        scope: Scope | None = None,
        id: str | None = None,
        operation: str | None = None,
        since: Instant | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> Sequence[AuditEntry]:
        """Same as `Store.audit`."""
        return audit_entries(self._rows(self._statements.audit(tenant, scope, id, operation, since, after, limit)))

    def outbox(self, *, after: int = 0, limit: int = 100) -> Sequence[OutboxEvent]:
        """Same as `Store.outbox`."""
        return outbox_events(self._rows(self._statements.outbox(after, limit)))

    def listed(self, tenants: Sequence[str]) -> Mapping[str, TenantRow]:
        """Same as `Store.listed`."""
        rows = self._statements.licensed.rows(self._rows(self._statements.listed, {"tenants": list(tenants)}))
        return {row.tenant: row for row in rows}

    def add_tallies(self, name: str, amounts: Mapping[str, int]) -> None:
        """Same as `Store.add_tallies`."""
        require_tallies(name, amounts)
        if amounts:
            self._tally(self._statements.add_tallies(name, amounts))

    def tallies(self, name: str) -> Mapping[str, int]:
        """Same as `Store.tallies`."""
        return dict(map(tuple, self._rows(self._statements.tallies, {"name": name})))

    def drop_tallies(self, name: str) -> None:
        """Same as `Store.drop_tallies`."""
        self._tally(self._statements.drop_tallies(name))

    def _tally(self, statement: Executable) -> None:
        for again in trying():
            with again, self._transaction(None, None, 0) as connection:
                connection.execute(statement)

    def restore(self, pages: Iterable[Sequence[Part]]) -> None:
        """Same as `Store.restore`."""
        flow = restoring(self._statements, self.name, pages)
        with self._transaction(None, None, 0) as connection, suppress(StopIteration):
            asked = next(flow)
            while True:
                asked = flow.send(answer_of(connection.execute(*asked)))

    def close(self) -> None:
        """Same as `Store.close`. An engine of yours stays open."""
        if self._owns_engine:
            self._close_idle()

    def _rows(self, statement: Executable, values: Mapping[str, object] | None = None) -> Sequence[AnyRow]:
        with mapped():
            began = monotonic()
            try:
                return self._fetched(statement, values)
            except DBAPIError as error:
                if not was_closed(error, monotonic() - began):
                    raise
            return self._fetched(statement, values)

    def _fetched(self, statement: Executable, values: Mapping[str, object] | None) -> Sequence[AnyRow]:
        with self._reading.connect() as connection:
            if values is not None and statement is self._statements.read_one and self._read_one is not None:
                return run_bare(connection, _rows_of(Asked(self._read_one, values)))
            return connection.execute(statement, values).fetchall()

    @cached_property
    def _read_one(self) -> Prepared | None:
        """What a cold check reads, for SQLite's driver; None where others may look at what is sent, or on a server."""
        is_bare = self._owns_engine and self._engine.dialect.name == "sqlite"
        return Prepared(self._statements.read_one, self._engine.dialect) if is_bare else None


def _rows_of(asked: Asked) -> Flow[Sequence[AnyRow]]:
    answer = yield asked
    return answer.rows


class AsyncSQLStore(AsyncUpgrading):
    """Same as `SQLStore`, awaited, on an `AsyncEngine`."""

    def __init__(self, engine: AsyncEngine | str, *, prefix: str | None = None, schema: str | None = None) -> None:
        self._owns_engine = isinstance(engine, str)
        place = place_of(engine) if isinstance(engine, str) else None
        self._awaited = async_engine(place.url) if place is not None else cast("AsyncEngine", engine)
        keeps_for = KEPT if place is None else place.keeps_for
        super().__init__(self._awaited.sync_engine, *_names(place, prefix, schema), keeps_for)
        self._reading = self._awaited.execution_options(**self._reads)
        self._writing = self._awaited.execution_options(**self._writes)
        self._begins_at_once(self._writing.sync_engine)

    def _close_idle(self) -> None:
        # Where a loop may be running, which would have to wait for this: in a thread with a loop of its own.
        thread = threading.Thread(target=asyncio.run, args=(self._awaited.dispose(),), name="payaid-before-fork")
        thread.start()
        thread.join()

    @cached_property
    def ledger(self) -> AsyncSQLLedger:
        """The ledger in this database, on the same engine."""
        return AsyncSQLLedger(self)

    @cached_property
    def activity(self) -> AsyncSQLActivity:
        """Same as `SQLStore.activity`, awaited."""
        return AsyncSQLActivity(self)

    @cached_property
    def limiter(self) -> AsyncSQLLimiter:
        """The limiter in this database, on the same engine."""
        return AsyncSQLLimiter(self)

    async def prepare(self) -> None:
        """Same as `Store.prepare`."""
        version = await self.current()
        if version is None and self._creates_tables:
            with mapped():
                async with self._writing.begin() as connection:
                    await connection.run_sync(create, self._statements)
            version = await self.current()
        require(self.name, version)
        if self._asks_concerns:
            self._note(await self._rows(QUESTIONS[self._engine.dialect.name][0]))

    async def read(self, tenants: Sequence[str], *, tx: Transaction | None = None) -> Mapping[str, TenantDocument]:
        """Same as `Store.read`."""
        found: dict[str, TenantDocument] = {}
        for statement, values in self._statements.read(tenants):
            if tx is None:
                rows = await self._rows(statement, values)
            else:
                with mapped():
                    connection = await joined_async(tx, self._awaited)
                    rows = (await connection.execute(statement, values)).fetchall()
            found |= documents(rows)
        return found

    async def catalog(self) -> Published | None:
        """Same as `Store.catalog`."""
        rows = await self._rows(self._statements.catalog)
        return Published.from_json(rows[0][0]) if rows else None

    async def controls(self) -> Controls:
        """Same as `Store.controls`."""
        rows = await self._rows(self._statements.controls)
        return Controls.from_json(rows[0][0]) if rows else Controls()

    async def flags(self) -> FlagSet:
        """Same as `Store.flags`."""
        rows = await self._rows(self._statements.flags)
        return flags_from_json(*rows[0]) if rows else FlagSet()

    async def apply(
        self,
        write: Write,
        *,
        expect: int,
        actor: str,
        because: str | None,
        operation: str | None = None,
        as_of: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Applied:
        """Same as `Store.apply`."""
        async with self._transaction(tx, operation, expect) as connection:
            flow = applying(
                self._statements,
                write,
                expect=expect,
                actor=actor,
                because=because,
                operation=operation,
                as_of=as_of,
                notifies=may_notify(connection.sync_connection),
            )
            try:
                statement = next(flow)
                while True:
                    statement = flow.send(answer_of(await connection.execute(statement)))
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return] # what the flow returns is an Applied

    @asynccontextmanager
    async def _transaction(
        self, tx: Transaction | None, operation: str | None, expect: int
    ) -> AsyncIterator[AsyncConnection]:
        with mapped(), racing(expect):
            if tx is not None:
                connection = await joined_async(tx, self._awaited)
                nested = await connection.begin_nested()
                try:
                    yield connection
                except BaseException:
                    try:
                        await nested.rollback()
                    except SQLAlchemyError as gone:
                        await connection.invalidate(gone)
                    raise
                await nested.commit()
                return
            async with self._writing.connect() as connection, connection.begin() as transaction:
                yield connection
                try:
                    with committing(operation):
                        await transaction.commit()
                except BaseException as error:
                    await connection.invalidate(error)
                    raise

    async def changes_since(self, position: int | None, *, limit: int = 1000) -> LogPage:
        """Same as `Store.changes_since`."""
        flow = reading_log(self._statements, position, limit)
        try:
            asked = next(flow)
            while True:
                asked = flow.send(await self._rows(*asked))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return] # what the flow returns is a LogPage

    async def find(
        self, *, module: str | None = None, plan: str | None = None, after: str | None = None, limit: int = 100
    ) -> Sequence[TenantRow]:
        """Same as `Store.find`."""
        return self._statements.licensed.rows(await self._rows(self._statements.find(module, plan, after, limit)))

    async def audit(
        self,
        *,
        tenant: str | None = None,
        scope: Scope | None = None,
        id: str | None = None,
        operation: str | None = None,
        since: Instant | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> Sequence[AuditEntry]:
        """Same as `Store.audit`."""
        return audit_entries(
            await self._rows(self._statements.audit(tenant, scope, id, operation, since, after, limit))
        )

    async def outbox(self, *, after: int = 0, limit: int = 100) -> Sequence[OutboxEvent]:
        """Same as `Store.outbox`."""
        return outbox_events(await self._rows(self._statements.outbox(after, limit)))

    async def listed(self, tenants: Sequence[str]) -> Mapping[str, TenantRow]:
        """Same as `Store.listed`."""
        rows = self._statements.licensed.rows(await self._rows(self._statements.listed, {"tenants": list(tenants)}))
        return {row.tenant: row for row in rows}

    async def add_tallies(self, name: str, amounts: Mapping[str, int]) -> None:
        """Same as `Store.add_tallies`."""
        require_tallies(name, amounts)
        if amounts:
            await self._tally(self._statements.add_tallies(name, amounts))

    async def tallies(self, name: str) -> Mapping[str, int]:
        """Same as `Store.tallies`."""
        return dict(map(tuple, await self._rows(self._statements.tallies, {"name": name})))

    async def drop_tallies(self, name: str) -> None:
        """Same as `Store.drop_tallies`."""
        await self._tally(self._statements.drop_tallies(name))

    async def _tally(self, statement: Executable) -> None:
        for again in trying():
            with again:
                async with self._transaction(None, None, 0) as connection:
                    await connection.execute(statement)

    async def restore(self, pages: Iterable[Sequence[Part]]) -> None:
        """Same as `AsyncStore.restore`."""
        flow = restoring(self._statements, self.name, pages)
        async with self._transaction(None, None, 0) as connection:
            with suppress(StopIteration):
                asked = next(flow)
                while True:
                    asked = flow.send(answer_of(await connection.execute(*asked)))

    async def aclose(self) -> None:
        """Same as `Store.close`. An engine of yours stays open."""
        if self._owns_engine:
            pool = self._engine.pool
            await self._awaited.dispose()
            end_when_returned(pool)

    async def _rows(self, statement: Executable, values: Mapping[str, object] | None = None) -> Sequence[AnyRow]:
        with mapped():
            began = monotonic()
            try:
                return await self._fetched(statement, values)
            except DBAPIError as error:
                if not was_closed(error, monotonic() - began):
                    raise
            return await self._fetched(statement, values)

    async def _fetched(self, statement: Executable, values: Mapping[str, object] | None) -> Sequence[AnyRow]:
        async with self._reading.connect() as connection:
            return (await connection.execute(statement, values)).fetchall()


def _names(place: Place | None, prefix: str | None, schema: str | None) -> tuple[str, str | None]:
    """What was said of prefix and schema: as arguments, else in the URL, else not at all."""
    said = (PREFIX, None) if place is None else (place.prefix, place.schema)
    return said[0] if prefix is None else prefix, said[1] if schema is None else schema
