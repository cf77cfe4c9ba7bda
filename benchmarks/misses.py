"""
Cold checks: the tenant is not near, so the store is asked once. The baseline is one prebuilt select of the same row
on the same database, without a transaction, through an engine as SQLAlchemy makes it; or, *bare*, the same select on
one open connection of the driver, which no pool hands out: the floor. Both take turns, call by call.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Iterator
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, create_engine, event, make_url, select
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.measuring import Measured, alternate, alternate_awaited
from benchmarks.reporting import Row, row_of
from benchmarks.seeding import CATALOG, HELD, overridden_name, tenant_name
from benchmarks.stage import TENANTS, Benchmark, Stage
from payaid_entitlements.core.decision import Decision
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.stores.sql import AsyncSQLStore, SQLStore
from payaid_entitlements.stores.sql.engines import sync_engine
from payaid_entitlements.stores.sql.tables import tables

#: So few tenants stay near that going round through all of them meets none again.
NEAR: Final = 64

#: In baselines: reading a document and working out what it holds may take as long as the select that it comes by.
BUDGET: Final = 2.0
#: SQLite answers within the process in 35 microseconds, most of them SQLAlchemy's: less than that work takes.
SQLITE_BUDGET: Final = 3.0
#: Over the select that the driver sends by itself.
BARE_BUDGETS: Final = {"sqlite": 20.0, "postgresql": 5.0}
#: Decisions of its own, besides.
OVERRIDDEN_BUDGET: Final = 4.0


def names() -> Iterator[str]:
    """All tenants on plans, round and round."""
    return itertools.cycle([tenant_name(number) for number in range(TENANTS)])


def one() -> Select[Any]:
    """The least that a cold check can be: the document of ``tenant``."""
    columns = tables("sqlite").tenants.c
    return select(columns.document).where(columns.tenant == bindparam("tenant"))


def require_cold(ent: Entitlements | AsyncEntitlements, everybody: Iterator[str]) -> None:
    """
    Make sure that nobody who is about to be asked about is near.

    Raises:
        RuntimeError: Somebody is, and what is measured would be something else.
    """
    if near := [tenant for tenant in itertools.islice(everybody, 2 * NEAR) if ent.peek(tenant, HELD) is not None]:
        raise RuntimeError(f"{len(near)} tenants are near; cold checks were to be measured")


def cold(dialect: str, stage: Stage) -> list[Row]:
    """In a thread."""
    budget = SQLITE_BUDGET if dialect == "sqlite" else BUDGET
    return [row_of(f"cold check, {dialect}", _cold(stage.database(dialect), names(), stage), budget)]


def cold_bare(dialect: str, stage: Stage) -> list[Row]:
    """In a thread, over the driver alone."""
    measured = _cold(stage.database(dialect), names(), stage, is_bare=True)
    return [row_of(f"cold check, {dialect}, over the bare driver", measured, BARE_BUDGETS[dialect])]


def cold_overridden(stage: Stage) -> list[Row]:
    """A tenant with an override has decisions of its own, which are worked out on each miss."""
    everybody = itertools.cycle([overridden_name(number) for number in range(TENANTS // 10)])
    measured = _cold(stage.database("sqlite"), everybody, stage)
    return [row_of("cold check, sqlite, with an override", measured, OVERRIDDEN_BUDGET)]


def _cold(url: str, everybody: Iterator[str], stage: Stage, *, is_bare: bool = False) -> Measured:
    engine, statement = create_engine(_driven(url, "sqlite", "postgresql+psycopg"), **_without_transaction(url)), one()
    pooled = engine.raw_connection()
    bare: Any = pooled.driver_connection
    text = str(statement.compile(engine))
    # As the dialects write the value's place: sqlite3 takes it by its order, psycopg by its name.
    values = (lambda tenant: (tenant,)) if engine.dialect.positional else (lambda tenant: {"tenant": tenant})

    def baseline() -> None:
        if is_bare:
            bare.execute(text, values(next(everybody))).fetchall()
            return
        with engine.connect() as connection:
            connection.execute(statement, {"tenant": next(everybody)}).fetchall()

    try:
        with Entitlements(SQLStore(url), catalog=CATALOG, cache_size=NEAR) as ent:

            def operation() -> None:
                if not ent.check(next(everybody), HELD).allowed:
                    raise RuntimeError("a tenant that holds it was refused: nothing comparable was measured")

            operation()
            require_cold(ent, everybody)
            measured = alternate(operation, baseline, stage.effort, stage.tick)
            require_cold(ent, everybody)
    finally:
        pooled.close()
        engine.dispose()
    return measured


def cold_awaited(dialect: str, stage: Stage) -> list[Row]:
    """In a coroutine, one at a time."""
    measured = asyncio.run(_cold_awaited(stage.database(dialect), stage))
    return [row_of(f"await cold check, {dialect}", measured, BUDGET)]


async def _cold_awaited(url: str, stage: Stage) -> Measured:
    everybody, statement = names(), one()
    driven = _driven(url, "sqlite+aiosqlite", "postgresql+psycopg")
    engine = create_async_engine(driven, **_without_transaction(url))

    async def baseline() -> None:
        async with engine.connect() as connection:
            (await connection.execute(statement, {"tenant": next(everybody)})).fetchall()

    async with AsyncEntitlements(AsyncSQLStore(url), catalog=CATALOG, cache_size=NEAR) as ent:

        def operation() -> Awaitable[Decision]:
            return ent.check(next(everybody), HELD)

        await operation()
        require_cold(ent, everybody)
        measured = await alternate_awaited(operation, baseline, stage.effort, stage.tick)
        require_cold(ent, everybody)
    await engine.dispose()
    return measured


def _driven(url: str, sqlite: str, postgresql: str) -> Any:
    parsed = make_url(url)
    return parsed.set(drivername=sqlite if parsed.get_backend_name() == "sqlite" else postgresql)


def _without_transaction(url: str) -> dict[str, Any]:
    """A transaction would double the baseline on PostgreSQL; SQLite's driver begins none for a select."""
    return {} if url.startswith("sqlite") else {"isolation_level": "AUTOCOMMIT"}


def statements(dialect: str, stage: Stage) -> list[Row]:
    """How many statements a cold check sends; a fact, not a measurement."""
    url, sent = stage.database(dialect), 0
    engine = sync_engine(make_url(url))

    def count(connection: Connection, *_: object) -> None:
        nonlocal sent
        sent += 1

    with Entitlements(SQLStore(engine), catalog=CATALOG) as ent:
        ent.check(tenant_name(0), HELD)
        event.listen(engine, "before_cursor_execute", count)
        ent.check(tenant_name(1), HELD)
    engine.dispose()
    return [Row(f"statements of a cold check, {dialect}", float(sent), 1)]


BENCHMARKS = (
    Benchmark("statements.sqlite", partial(statements, "sqlite")),
    Benchmark("statements.postgresql", partial(statements, "postgresql")),
    Benchmark("cold.sqlite", partial(cold, "sqlite")),
    Benchmark("bare.sqlite", partial(cold_bare, "sqlite")),
    Benchmark("bare.postgresql", partial(cold_bare, "postgresql")),
    Benchmark("cold.override", cold_overridden),
    Benchmark("cold.postgresql", partial(cold, "postgresql")),
    Benchmark("await.sqlite", partial(cold_awaited, "sqlite")),
    Benchmark("await.postgresql", partial(cold_awaited, "postgresql")),
)
