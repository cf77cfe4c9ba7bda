"""Which version the tables of a store have, and bringing them up and down."""

from __future__ import annotations

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from payaid_entitlements.stores.sql.database import Database
from payaid_entitlements.stores.sql.failures import mapped
from payaid_entitlements.stores.sql.schema import Version, version_of
from payaid_entitlements.stores.sql.tables import SCHEMA_VERSION


class Upgrading(Database):
    """The verbs of `SQLStore` that are about its tables."""

    _reading: Engine
    _writing: Engine

    def current(self) -> Version | None:
        """Which version our tables have; None where there are none."""
        with mapped(), self._reading.connect() as connection:
            return version_of(connection, self._statements)

    def upgrade(self, to: int = SCHEMA_VERSION) -> int:
        """
        Bring our tables up to version *to*, or leave a later one that serves it, and return which they have.

        Repeating it is harmless.

        Raises:
            SchemaOutOfDate: They are of a later release.
            ConfigurationError: There is no such version, or it is an older one.
        """
        with mapped(), self._writing.connect() as connection:
            return _upgraded(connection, self, to)

    def downgrade(self, to: int) -> int:
        """
        Bring our tables down to version *to*, and return it; 0 removes them, and everything that was ever recorded.

        Raises:
            ConfigurationError: They are of a later release; there is no such version, or it is a later one.
        """
        with mapped(), self._writing.connect() as connection:
            return _downgraded(connection, self, to)

    def upgrade_script(self, to: int = SCHEMA_VERSION) -> str:
        """
        Write as SQL what `upgrade` would do, and change nothing. Raises the same.
        """
        return _script(self, self.current(), to)


class AsyncUpgrading(Database):
    """Same as `Upgrading`, awaited."""

    _reading: AsyncEngine
    _writing: AsyncEngine

    async def current(self) -> Version | None:
        """Same as `SQLStore.current`."""
        with mapped():
            async with self._reading.connect() as connection:
                return await connection.run_sync(version_of, self._statements)

    async def upgrade(self, to: int = SCHEMA_VERSION) -> int:
        """Same as `SQLStore.upgrade`."""
        with mapped():
            async with self._writing.connect() as connection:
                return await connection.run_sync(_upgraded, self, to)

    async def downgrade(self, to: int) -> int:
        """Same as `SQLStore.downgrade`."""
        with mapped():
            async with self._writing.connect() as connection:
                return await connection.run_sync(_downgraded, self, to)

    async def upgrade_script(self, to: int = SCHEMA_VERSION) -> str:
        """Same as `SQLStore.upgrade_script`."""
        return _script(self, await self.current(), to)


# What moves tables loads Alembic, which a process that only asks never needs.


def _upgraded(connection: Connection, database: Database, to: int) -> int:
    from payaid_entitlements.stores.sql import migrating

    return migrating.upgrade(connection, database._statements, database.name, to)


def _downgraded(connection: Connection, database: Database, to: int) -> int:
    from payaid_entitlements.stores.sql import migrating

    return migrating.downgrade(connection, database._statements, database.name, to)


def _script(database: Database, version: Version | None, to: int) -> str:
    from payaid_entitlements.stores.sql import migrating

    return migrating.written(database._statements, database.name, database._engine.dialect, version, to)
