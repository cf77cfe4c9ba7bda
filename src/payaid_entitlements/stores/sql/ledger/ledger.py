"""
The two SQL ledgers. They execute; what is executed is in the flows: `posting`, `reading`, `keeping`, `locking`.

A ledger has no connection of its own: it is on the engine of its store, with the store's limits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import greenlet_spawn

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.kept import Book, KeptEntry, KeptHold, UsageEvent
from payaid_entitlements.core.metering.posting import AccountId, Balance, Posted, Posting, Slot
from payaid_entitlements.errors import ChangeConflict, StoreUnavailable
from payaid_entitlements.stores.ports import Concern, Transaction
from payaid_entitlements.stores.sql.failures import mapped, was_closed
from payaid_entitlements.stores.sql.joining import joined, joined_async
from payaid_entitlements.stores.sql.ledger.again import Overtaken, overtaken, pauses, require_another
from payaid_entitlements.stores.sql.ledger.debiting import Debiting, posted_of, trying
from payaid_entitlements.stores.sql.ledger.keeping import forgetting, pruning, restoring
from payaid_entitlements.stores.sql.ledger.locking import locking
from payaid_entitlements.stores.sql.ledger.posting import posting
from payaid_entitlements.stores.sql.ledger.prepared import Asked
from payaid_entitlements.stores.sql.ledger.reading import (
    Flow,
    claiming_events,
    dropping_events,
    reading_balances,
    reading_book,
    reading_entries,
    reading_entries_of,
    reading_hold,
    reading_slots,
    reading_tenants,
    seeing_events,
)
from payaid_entitlements.stores.sql.ledger.round_trip import Unanswered, answered, can
from payaid_entitlements.stores.sql.ledger.running import run_async, run_bare, run_on
from payaid_entitlements.stores.sql.ledger.statements import Statements

if TYPE_CHECKING:
    from payaid_entitlements.stores.sql.database import Database
    from payaid_entitlements.stores.sql.store import AsyncSQLStore, SQLStore

T = TypeVar("T")


class _Ledger:
    """What both colours are made of."""

    def __init__(self, store: Database) -> None:
        engine = store._engine
        self._engine = engine
        self._statements = Statements(store._statements.tables.ledger, engine.dialect)
        self._about = store
        self._debiting = Debiting(store._statements.tables.ledger, engine.dialect) if can(engine) else None

    @property
    def name(self) -> str:
        """Same as `Ledger.name`."""
        return self._about.name

    @property
    def is_durable(self) -> bool:
        """Same as `Ledger.is_durable`."""
        return self._about.is_durable

    @property
    def concerns(self) -> Sequence[Concern]:
        """Same as `Ledger.concerns`."""
        return self._about.concerns

    @property
    def keeps_for(self) -> int:
        """Same as `Ledger.keeps_for`."""
        return self._about.keeps_for

    def _at_once(
        self, tenant: str, postings: Sequence[Posting], operation: str | None, digest: str | None, now: Instant | None
    ) -> Asked | None:
        """The one statement that may do all of it; None where there is none."""
        debiting = self._debiting
        return None if debiting is None else debiting.asked(tenant, postings, operation, digest, now)

    def _alone(self, asked: Asked, operation: str | None) -> Posted | Unanswered | None:
        """What it did, committed by itself; None where it did nothing; the error where it is to be done again."""
        try:
            with mapped():
                row = answered(self._engine, asked, operation)
        except Unanswered as error:
            return error
        return None if row is None else posted_of(row[0])

    def _beginning(
        self,
        tenant: str,
        postings: Sequence[Posting],
        operation: str | None,
        digest: str | None,
        now: Instant | None,
        tx: Transaction | None,
        asked: Asked | None,
    ) -> Callable[[], Flow[Posted]]:
        """What begins to post, each time that it is tried; in the host's transaction with the one statement *asked*."""
        tries = count()
        further: set[AccountId] = set()

        def begin() -> Flow[Posted]:
            flow = posting(
                self._statements,
                tenant,
                postings,
                operation,
                digest,
                self._at(now),
                is_joined=tx is not None,
                is_again=next(tries) > 0,
                further=further,
            )
            return flow if asked is None or tx is None else trying(asked, flow)

        return begin

    def _at(self, now: Instant | None) -> Instant | None:
        """The time to tell the database, which on SQLite has no clock of its own."""
        return time.time_ns() // 1000 if now is None and self._statements.is_sqlite else now


@contextmanager
def _again_after(lost: Unanswered | None) -> Iterator[None]:
    """What is tried again may have been done the first time: no answer now does not mean that nothing was done."""
    try:
        yield
    except StoreUnavailable as error:
        if lost is None:
            raise
        raise lost from error


def _told(posted: Posted, lost: Unanswered | None) -> Posted:
    """What to tell: whether it was done by this call or by an earlier one, who has lost an answer does not know."""
    if lost is not None and posted.replayed:
        raise lost
    return posted


class SQLLedger(_Ledger):
    """Same as `Ledger`, in the database of *store*."""

    def __init__(self, store: SQLStore) -> None:
        super().__init__(store)
        self._store = store

    def prepare(self) -> None:
        """Same as `Ledger.prepare`."""
        self._store.prepare()

    def post(
        self,
        tenant: str,
        postings: Sequence[Posting],
        *,
        operation: str | None = None,
        digest: str | None = None,
        now: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Posted:
        """Same as `Ledger.post`."""
        asked = self._at_once(tenant, postings, operation, digest, now)
        done = None if asked is None or tx is not None else self._alone(asked, operation)
        if isinstance(done, Posted):
            return done
        begin = self._beginning(tenant, postings, operation, digest, now, tx, asked)
        with _again_after(done):
            return _told(self._write(begin, operation, tx), done)

    def balances(
        self,
        tenant: str,
        accounts: Sequence[AccountId],
        *,
        now: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Mapping[AccountId, Balance]:
        """Same as `Ledger.balances`."""
        return self._read(lambda: reading_balances(self._statements, tenant, accounts, self._at(now)), tx)

    def hold(self, tenant: str, operation: str, *, now: Instant | None = None) -> KeptHold | None:
        """Same as `Ledger.hold`."""
        return self._read(lambda: reading_hold(self._statements, tenant, operation, self._at(now)))

    def slots(self, tenant: str, feature: str | None = None, *, now: Instant | None = None) -> Sequence[Slot]:
        """Same as `Ledger.slots`."""
        return self._read(lambda: reading_slots(self._statements, tenant, feature, self._at(now)))

    def lock(self, tenant: str, feature: str, *, tx: Transaction) -> None:
        """Same as `Ledger.lock`."""
        self._write(lambda: locking(self._statements, tenant, feature), None, tx)

    def claim_events(self, limit: int, lease: int, *, now: Instant | None = None) -> Sequence[UsageEvent]:
        """Same as `Ledger.claim_events`."""
        # On SQLite who writes waits for a host that does. Mostly there is nothing to claim, and reading waits for none.
        if self._statements.is_sqlite and not self._read(lambda: seeing_events(self._statements, self._at(now))):
            return []
        return self._write(lambda: claiming_events(self._statements, limit, lease, self._at(now)))

    def drop_events(self, ids: Sequence[str]) -> None:
        """Same as `Ledger.drop_events`."""
        self._write(lambda: dropping_events(self._statements, ids))

    def entries(self, tenant: str, *, after: tuple[str, int] | None = None, limit: int = 500) -> Sequence[KeptEntry]:
        """Same as `Ledger.entries`."""
        return self._read(lambda: reading_entries(self._statements, tenant, after, limit))

    def entries_of(self, tenant: str, operation: str) -> Sequence[KeptEntry]:
        """Same as `Ledger.entries_of`."""
        return self._read(lambda: reading_entries_of(self._statements, tenant, operation))

    def tenants(self, *, after: str | None = None, limit: int = 500) -> Sequence[str]:
        """Same as `Ledger.tenants`."""
        return self._read(lambda: reading_tenants(self._statements, after, limit))

    def book(self, tenant: str) -> Book:
        """Same as `Ledger.book`."""
        return self._read(lambda: reading_book(self._statements, tenant))

    def prune(self, before: Instant, *, limit: int = 1000) -> int:
        """Same as `Ledger.prune`."""
        return self._write(lambda: pruning(self._statements, before, self.keeps_for, limit, self._at(None)))

    def forget(self, tenant: str, *, tx: Transaction | None = None) -> None:
        """Same as `Ledger.forget`."""
        self._write(lambda: forgetting(self._statements, tenant), None, tx)

    def restore(self, tenant: str, book: Book, entries: Iterable[KeptEntry]) -> None:
        """Same as `Ledger.restore`."""
        kept = list(entries)
        self._write(lambda: restoring(self._statements, tenant, book, kept))

    def close(self) -> None:
        """Same as `Ledger.close`: it has no connections of its own."""

    def _read(self, begin: Callable[[], Flow[T]], tx: Transaction | None = None) -> T:
        with mapped():
            if tx is not None:
                return run_on(joined(tx, self._engine), begin())
            began = monotonic()
            try:
                with self._store._reading.connect() as connection:
                    return run_on(connection, begin())
            except DBAPIError as error:
                if not was_closed(error, monotonic() - began):
                    raise
            with self._store._reading.connect() as connection:
                return run_on(connection, begin())

    def _write(self, begin: Callable[[], Flow[T]], operation: str | None = None, tx: Transaction | None = None) -> T:
        tries = pauses()
        while True:
            pause = next(tries)
            try:
                with self._store._transaction(tx, operation, 0) as connection, overtaken():
                    run = run_bare if tx is None and self._statements.is_sqlite else run_on
                    return run(connection, begin())
            except (Overtaken, ChangeConflict) as error:
                time.sleep(require_another(error, pause, tx))


class AsyncSQLLedger(_Ledger):
    """Same as `SQLLedger`, awaited."""

    def __init__(self, store: AsyncSQLStore) -> None:
        super().__init__(store)
        self._store = store

    async def prepare(self) -> None:
        """Same as `Ledger.prepare`."""
        await self._store.prepare()

    async def post(
        self,
        tenant: str,
        postings: Sequence[Posting],
        *,
        operation: str | None = None,
        digest: str | None = None,
        now: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Posted:
        """Same as `Ledger.post`."""
        asked = self._at_once(tenant, postings, operation, digest, now)
        done = None if asked is None or tx is not None else await greenlet_spawn(self._alone, asked, operation)
        if isinstance(done, Posted):
            return done
        begin = self._beginning(tenant, postings, operation, digest, now, tx, asked)
        with _again_after(done):
            return _told(await self._write(begin, operation, tx), done)

    async def balances(
        self,
        tenant: str,
        accounts: Sequence[AccountId],
        *,
        now: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Mapping[AccountId, Balance]:
        """Same as `Ledger.balances`."""
        return await self._read(lambda: reading_balances(self._statements, tenant, accounts, self._at(now)), tx)

    async def hold(self, tenant: str, operation: str, *, now: Instant | None = None) -> KeptHold | None:
        """Same as `Ledger.hold`."""
        return await self._read(lambda: reading_hold(self._statements, tenant, operation, self._at(now)))

    async def slots(self, tenant: str, feature: str | None = None, *, now: Instant | None = None) -> Sequence[Slot]:
        """Same as `Ledger.slots`."""
        return await self._read(lambda: reading_slots(self._statements, tenant, feature, self._at(now)))

    async def lock(self, tenant: str, feature: str, *, tx: Transaction) -> None:
        """Same as `Ledger.lock`."""
        await self._write(lambda: locking(self._statements, tenant, feature), None, tx)

    async def claim_events(self, limit: int, lease: int, *, now: Instant | None = None) -> Sequence[UsageEvent]:
        """Same as `Ledger.claim_events`."""
        if self._statements.is_sqlite and not await self._read(lambda: seeing_events(self._statements, self._at(now))):
            return []
        return await self._write(lambda: claiming_events(self._statements, limit, lease, self._at(now)))

    async def drop_events(self, ids: Sequence[str]) -> None:
        """Same as `Ledger.drop_events`."""
        await self._write(lambda: dropping_events(self._statements, ids))

    async def entries(
        self, tenant: str, *, after: tuple[str, int] | None = None, limit: int = 500
    ) -> Sequence[KeptEntry]:
        """Same as `Ledger.entries`."""
        return await self._read(lambda: reading_entries(self._statements, tenant, after, limit))

    async def entries_of(self, tenant: str, operation: str) -> Sequence[KeptEntry]:
        """Same as `Ledger.entries_of`."""
        return await self._read(lambda: reading_entries_of(self._statements, tenant, operation))

    async def tenants(self, *, after: str | None = None, limit: int = 500) -> Sequence[str]:
        """Same as `Ledger.tenants`."""
        return await self._read(lambda: reading_tenants(self._statements, after, limit))

    async def book(self, tenant: str) -> Book:
        """Same as `Ledger.book`."""
        return await self._read(lambda: reading_book(self._statements, tenant))

    async def prune(self, before: Instant, *, limit: int = 1000) -> int:
        """Same as `Ledger.prune`."""
        return await self._write(lambda: pruning(self._statements, before, self.keeps_for, limit, self._at(None)))

    async def forget(self, tenant: str, *, tx: Transaction | None = None) -> None:
        """Same as `Ledger.forget`."""
        await self._write(lambda: forgetting(self._statements, tenant), None, tx)

    async def restore(self, tenant: str, book: Book, entries: Iterable[KeptEntry]) -> None:
        """Same as `Ledger.restore`."""
        kept = list(entries)
        await self._write(lambda: restoring(self._statements, tenant, book, kept))

    async def aclose(self) -> None:
        """Same as `Ledger.close`: it has no connections of its own."""

    async def _read(self, begin: Callable[[], Flow[T]], tx: Transaction | None = None) -> T:
        with mapped():
            if tx is not None:
                return await run_async(await joined_async(tx, self._store._awaited), begin())
            began = monotonic()
            try:
                async with self._store._reading.connect() as connection:
                    return await run_async(connection, begin())
            except DBAPIError as error:
                if not was_closed(error, monotonic() - began):
                    raise
            async with self._store._reading.connect() as connection:
                return await run_async(connection, begin())

    async def _write(
        self, begin: Callable[[], Flow[T]], operation: str | None = None, tx: Transaction | None = None
    ) -> T:
        tries = pauses()
        while True:
            pause = next(tries)
            try:
                async with self._store._transaction(tx, operation, 0) as connection:
                    with overtaken():
                        return await run_async(connection, begin())
            except (Overtaken, ChangeConflict) as error:
                await asyncio.sleep(require_another(error, pause, tx))
