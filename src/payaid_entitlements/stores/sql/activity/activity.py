"""Activity in a SQL database, in both colours: on the engine of its store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from payaid_entitlements.stores.activity import MOST_SIGHTINGS, Seen, Sighting, require_sightings
from payaid_entitlements.stores.ports import Transaction
from payaid_entitlements.stores.sql.activity.statements import Statements, dropped, sightings
from payaid_entitlements.stores.sql.tallying import trying

if TYPE_CHECKING:
    from payaid_entitlements.stores.sql.database import Database
    from payaid_entitlements.stores.sql.store import AsyncSQLStore, SQLStore


class _Activity:
    """What both colours are made of."""

    def __init__(self, store: Database) -> None:
        self._about = store
        self._statements = Statements(store._statements.tables.activity, store._engine.dialect.name)

    @property
    def name(self) -> str:
        """Same as `Activity.name`."""
        return self._about.name


class SQLActivity(_Activity):
    """Same as `Activity`, in the database of *store*."""

    def __init__(self, store: SQLStore) -> None:
        super().__init__(store)
        self._store = store

    def prepare(self) -> None:
        """Same as `Activity.prepare`."""
        self._store.prepare()

    def record(self, sightings: Sequence[Sighting]) -> None:
        """Same as `Activity.record`."""
        require_sightings(sightings)
        if sightings:
            statement = self._statements.record(sightings)
            for again in trying():
                with again, self._store._transaction(None, None, 0) as connection:
                    connection.execute(statement)

    def of(self, tenant: str, since: date, until: date) -> Sequence[Sighting]:
        """Same as `Activity.of`."""
        asked = {"tenant": tenant, "since": since.toordinal(), "until": until.toordinal()}
        return sightings(self._store._rows(self._statements.of, asked))

    def tenants(
        self, kind: Seen, key: str, since: date, *, after: str | None = None, limit: int = 100
    ) -> Sequence[str]:
        """Same as `Activity.tenants`."""
        return [row[0] for row in self._store._rows(self._statements.tenants(kind, key, since, after, limit))]

    def keys(self, kind: Seen, since: date) -> Sequence[str]:
        """Same as `Activity.keys`."""
        return [row[0] for row in self._store._rows(self._statements.keys(kind, since))]

    def sweep(self, before: date, *, limit: int = MOST_SIGHTINGS) -> int:
        """Same as `Activity.sweep`."""
        old = dropped(self._store._rows(self._statements.old(before, limit)))
        if old:
            for again in trying():
                with again, self._store._transaction(None, None, 0) as connection:
                    connection.execute(self._statements.drop, old)
        return len(old)

    def forget(self, tenant: str, *, tx: Transaction | None = None) -> None:
        """Same as `Activity.forget`."""
        with self._store._transaction(tx, None, 0) as connection:
            connection.execute(self._statements.forget, {"of_tenant": tenant})

    def close(self) -> None:
        """Same as `Activity.close`: it has no connections of its own."""


class AsyncSQLActivity(_Activity):
    """Same as `SQLActivity`, awaited."""

    def __init__(self, store: AsyncSQLStore) -> None:
        super().__init__(store)
        self._store = store

    async def prepare(self) -> None:
        """Same as `Activity.prepare`."""
        await self._store.prepare()

    async def record(self, sightings: Sequence[Sighting]) -> None:
        """Same as `Activity.record`."""
        require_sightings(sightings)
        if sightings:
            statement = self._statements.record(sightings)
            for again in trying():
                with again:
                    async with self._store._transaction(None, None, 0) as connection:
                        await connection.execute(statement)

    async def of(self, tenant: str, since: date, until: date) -> Sequence[Sighting]:
        """Same as `Activity.of`."""
        asked = {"tenant": tenant, "since": since.toordinal(), "until": until.toordinal()}
        return sightings(await self._store._rows(self._statements.of, asked))

    async def tenants(
        self, kind: Seen, key: str, since: date, *, after: str | None = None, limit: int = 100
    ) -> Sequence[str]:
        """Same as `Activity.tenants`."""
        return [row[0] for row in await self._store._rows(self._statements.tenants(kind, key, since, after, limit))]

    async def keys(self, kind: Seen, since: date) -> Sequence[str]:
        """Same as `Activity.keys`."""
        return [row[0] for row in await self._store._rows(self._statements.keys(kind, since))]

    async def sweep(self, before: date, *, limit: int = MOST_SIGHTINGS) -> int:
        """Same as `Activity.sweep`."""
        old = dropped(await self._store._rows(self._statements.old(before, limit)))
        if old:
            for again in trying():
                with again:
                    async with self._store._transaction(None, None, 0) as connection:
                        await connection.execute(self._statements.drop, old)
        return len(old)

    async def forget(self, tenant: str, *, tx: Transaction | None = None) -> None:
        """Same as `Activity.forget`."""
        async with self._store._transaction(tx, None, 0) as connection:
            await connection.execute(self._statements.forget, {"of_tenant": tenant})

    async def aclose(self) -> None:
        """Same as `Activity.close`: it has no connections of its own."""
