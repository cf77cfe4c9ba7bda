"""
Cold checks: the tenant is not near, so the store is asked once. The baseline is one prebuilt select of the same row
on the same database, through an engine and a pool of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Executable, bindparam, event, select

from benchmarks.measuring import Timed, looped, measure, sampled
from benchmarks.reporting import Row, row_of
from benchmarks.seeding import CATALOG, HELD, overridden_name, tenant_name
from benchmarks.stage import TENANTS, Benchmark, Stage
from payaid_entitlements.core.decision import Decision
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.stores.sql import AsyncSQLStore, SQLStore
from payaid_entitlements.stores.sql.engines import WRITES, async_engine, sync_engine
from payaid_entitlements.stores.sql.tables import tables

#: So few tenants stay near that going round through all of them meets none again.
NEAR: Final = 64

BUDGET: Final = 2


def names() -> Iterator[str]:
    """All tenants on plans, round and round."""
    return itertools.cycle([tenant_name(number) for number in range(TENANTS)])


def prebuilt() -> Executable:
    """The least that a cold check can be: the document of ``tenant``."""
    columns = tables().tenants.c
    return select(columns.document).where(columns.tenant == bindparam("tenant"))


def cold(dialect: str, stage: Stage) -> list[Row]:
    """In a thread."""
    url = stage.database(dialect)
    with Entitlements(SQLStore(url), catalog=CATALOG, cache_size=NEAR) as ent:
        everybody = names()
        assert ent.check(next(everybody), HELD).allowed
        operation = looped("check(next(tenants), key)", check=ent.check, tenants=everybody, key=HELD)
        measured = measure(operation, baseline(url, everybody), stage.effort, stage.tick)
        samples = sampled(lambda: ent.check(next(everybody), HELD), stage.effort.samples // 4)
    return [row_of(f"cold check, {dialect}", measured, BUDGET, samples)]


def cold_overridden(stage: Stage) -> list[Row]:
    """A tenant with an override has decisions of its own, which are worked out on each miss."""
    url = stage.database("sqlite")
    everybody = itertools.cycle([overridden_name(number) for number in range(TENANTS // 10)])
    with Entitlements(SQLStore(url), catalog=CATALOG, cache_size=NEAR) as ent:
        assert ent.check(next(everybody), "hr").allowed
        operation = looped("check(next(tenants), key)", check=ent.check, tenants=everybody, key=HELD)
        measured = measure(operation, baseline(url, everybody), stage.effort, stage.tick)
        samples = sampled(lambda: ent.check(next(everybody), HELD), stage.effort.samples // 4)
    return [row_of("cold check, sqlite, with an override", measured, BUDGET, samples)]


def baseline(url: str, everybody: Iterator[str]) -> Timed:
    """The select on an engine like ours, without a transaction."""
    made, statement = sync_engine(url), prebuilt()
    engine = made.execution_options(**_without_transaction(made.dialect.name))

    def once() -> None:
        with engine.connect() as connection:
            connection.execute(statement, {"tenant": next(everybody)}).fetchall()

    return looped("once()", once=once)


def _without_transaction(dialect: str) -> dict[str, Any]:
    """A transaction would double the baseline on PostgreSQL, and a begin for writing triple it on SQLite."""
    return {"isolation_level": "AUTOCOMMIT"} if dialect == "postgresql" else {WRITES: False}


def cold_awaited(dialect: str, stage: Stage) -> list[Row]:
    """In a coroutine, one at a time."""
    url = stage.database(dialect)
    with asyncio.Runner() as runner:
        ent = AsyncEntitlements(AsyncSQLStore(url), catalog=CATALOG, cache_size=NEAR)
        everybody = names()

        def ask() -> Awaitable[Decision]:
            return ent.check(next(everybody), HELD)

        select_one, close = _awaited_baseline(url, everybody)
        measured = measure(_awaited(runner, ask), _awaited(runner, select_one), stage.effort, stage.tick)
        samples = runner.run(_awaited_samples(ask, stage.effort.samples // 4))
        runner.run(_closed(ent, close))
    return [row_of(f"await cold check, {dialect}", measured, BUDGET, samples)]


async def _closed(ent: AsyncEntitlements, close: Callable[[], Awaitable[None]]) -> None:
    await ent.aclose()
    await close()


def _awaited_baseline(
    url: str, everybody: Iterator[str]
) -> tuple[Callable[[], Awaitable[object]], Callable[[], Awaitable[None]]]:
    made, statement = async_engine(url), prebuilt()
    engine = made.execution_options(**_without_transaction(made.dialect.name))

    async def once() -> object:
        async with engine.connect() as connection:
            return (await connection.execute(statement, {"tenant": next(everybody)})).fetchall()

    return once, made.dispose


def _awaited(runner: asyncio.Runner, ask: Callable[[], Awaitable[object]]) -> Timed:
    async def timed(times: int) -> float:
        begun = time.perf_counter()
        for _ in itertools.repeat(None, times):
            await ask()
        return time.perf_counter() - begun

    return lambda times: runner.run(timed(times))


async def _awaited_samples(ask: Callable[[], Awaitable[object]], times: int) -> list[float]:
    clock, found = time.perf_counter_ns, []
    for _ in range(times):
        begun = clock()
        await ask()
        found.append((clock() - begun) / 1e6)
    return found


def statements(stage: Stage) -> list[Row]:
    """How many statements a cold check sends; a fact, not a measurement."""
    url, sent = stage.database("sqlite"), 0
    engine = sync_engine(url)

    def count(connection: Connection, *_: object) -> None:
        nonlocal sent
        sent += 1

    with Entitlements(SQLStore(engine), catalog=CATALOG) as ent:
        ent.check(tenant_name(0), HELD)
        event.listen(engine, "before_cursor_execute", count)
        ent.check(tenant_name(1), HELD)
    engine.dispose()
    return [Row("statements of a cold check", float(sent), 1)]


BENCHMARKS = (
    Benchmark("statements", statements),
    Benchmark("cold.sqlite", partial(cold, "sqlite")),
    Benchmark("cold.override", cold_overridden),
    Benchmark("cold.postgresql", partial(cold, "postgresql")),
    Benchmark("await.sqlite", partial(cold_awaited, "sqlite")),
    Benchmark("await.postgresql", partial(cold_awaited, "postgresql")),
)
