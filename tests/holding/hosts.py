"""An application of either colour, with rows of its own in the database in which the ledger is."""

from __future__ import annotations

import asyncio

from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from payaid_entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.stores.sql import AsyncSQLStore, SQLStore, begin_immediate
from payaid_entitlements.testing import FakeClock, FaultyStore
from tests.entitlements.conftest import START
from tests.holding.conftest import CATALOG
from tests.stores.conftest import driven

COUNT = text("SELECT count(*) FROM contacts WHERE org = :org")
ADD = text("INSERT INTO contacts (org) VALUES (:org)")


def rows(tenant, tx):
    return tx.scalar(COUNT, {"org": tenant})


async def rows_later(tenant, tx):
    return await tx.scalar(COUNT, {"org": tenant})


def host_engine(url):
    """An engine as a host makes it, whose transactions can be joined."""
    if not url.startswith("sqlite"):
        return create_engine(driven(url))
    # Longer than the five seconds of the driver: SQLite keeps no queue, so one of many may be passed over for long.
    engine = create_engine(url, connect_args={"timeout": 30})
    begin_immediate(engine)
    return engine


class Host:
    """An application with contacts of its own in the same database, in one colour."""

    def __init__(self, colour, url, **named):
        self.colour = colour
        self.clock = FakeClock(START)
        is_sync = colour == "sync"
        self.engine = host_engine(url)
        store = SQLStore(url)
        store.upgrade()
        store.close()
        self.elsewhere = Entitlements.open(url, catalog=CATALOG, clock=self.clock)
        self.elsewhere.admin("other").subscribe("acme", "pro")
        with self.engine.begin() as db:
            db.execute(text("DROP TABLE IF EXISTS contacts"))
            db.execute(text("CREATE TABLE contacts (org varchar(40))"))
        self.runner = None if is_sync else asyncio.Runner()
        self.store = FaultyStore(SQLStore(url) if is_sync else AsyncSQLStore(url))
        kind = Entitlements if is_sync else AsyncEntitlements
        self.ent = kind(self.store, catalog=CATALOG, clock=self.clock, **named)
        self.ent.counts("crm.contacts")(rows if is_sync else rows_later)
        if not is_sync:
            self.later = create_async_engine(self.engine.url.set(drivername=_async_driver(self.engine)))
            if url.startswith("sqlite"):
                begin_immediate(self.later.sync_engine)

    def add(self, amount=1, *, tenant="acme", feature="crm.contacts", fails=False):
        """Ask for room, and add so many in the same transaction."""
        if self.colour == "sync":
            with Session(self.engine) as db:
                found = self.ent.require_room(tenant, feature, amount, tx=db)
                for _ in range(amount):
                    db.execute(ADD, {"org": tenant})
                db.rollback() if fails else db.commit()
                return found
        return self.runner.run(self._add_later(amount, tenant, feature, fails))

    async def _add_later(self, amount, tenant, feature, fails):
        async with AsyncSession(self.later) as db:
            found = await self.ent.require_room(tenant, feature, amount, tx=db)
            for _ in range(amount):
                await db.execute(ADD, {"org": tenant})
            await (db.rollback() if fails else db.commit())
            return found

    def within(self, *steps, fails=False):
        """Do *steps*, each called with a transaction of the host's, in one; give what the last one gave."""
        if self.colour == "sync":
            with Session(self.engine) as db:
                given = [step(db) for step in steps]
                db.rollback() if fails else db.commit()
                return given[-1]

        async def later():
            async with AsyncSession(self.later) as db:
                given = [await step(db) for step in steps]
                await (db.rollback() if fails else db.commit())
                return given[-1]

        return self.runner.run(later())

    def told(self, given):
        """What is awaited in one colour, and is there in the other."""
        if self.colour == "sync":
            return given

        async def later():
            return await given

        return self.runner.run(later())

    def row(self, db):
        """Add a row of the host's own."""
        return db.execute(ADD, {"org": "acme"})

    def usage(self, *features, tenant="acme"):
        """In a transaction of the host's."""
        return self.within(lambda db: self.ent.usage(tenant, *features, tx=db))

    def there(self, tenant="acme"):
        with self.engine.begin() as db:
            return rows(tenant, db)

    def close(self):
        if self.colour == "sync":
            self.ent.close()
        else:
            self.runner.run(self.later.dispose())
            self.runner.run(self.ent.aclose())
            self.runner.close()
        self.elsewhere.close()
        self.engine.dispose()


def _async_driver(engine):
    return {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg", "mysql": "mysql+asyncmy"}[
        engine.url.get_backend_name()
    ]
