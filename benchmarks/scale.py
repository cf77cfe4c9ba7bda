"""
A million tenants in PostgreSQL: what a cold check costs among them, alone and with 64 who ask, how it is found, and how
fast a tenth of them are brought near. With ``--quick`` a fifth of that: to make them takes longer than all else.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from sqlalchemy import make_url, text

from benchmarks.growth import FEW, NEAR, somebody
from benchmarks.load import tasks as load_of_tasks
from benchmarks.measuring import Measured, alternate, frozen
from benchmarks.reporting import Row, row_of
from benchmarks.seeding import CATALOG, HELD, tenant_name
from benchmarks.stage import Benchmark, Stage
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.stores.sql import SQLStore
from payaid_entitlements.stores.sql.engines import sync_engine
from payaid_entitlements.stores.sql.statements import Statements

#: A cold check among a million over one among a thousand: one more level of a B-tree, and pages that no cache of the
#: server holds yet. A scan would be a thousand times.
BUDGET: Final = 1.5
#: A tenant that is brought near with others, over one that is read alone: it shares the round trip, not the work.
WARM_BUDGET: Final = 0.5


def cold(stage: Stage) -> Sequence[Row]:
    """A cold check of anybody."""
    tenants = stage.effort.tenants
    with _opened(stage, tenants) as among_many, _opened(stage, FEW) as among_few:
        many, few = somebody(tenants), somebody(FEW)
        measured = alternate(
            lambda: among_many.check(next(many), HELD),
            lambda: among_few.check(next(few), HELD),
            stage.effort,
            stage.tick,
        )
    return [row_of(f"cold check, postgresql: {tenants:,} tenants over {FEW:,}", measured, BUDGET)]


def _opened(stage: Stage, tenants: int) -> Entitlements:
    ent = Entitlements(SQLStore(stage.database("postgresql", tenants)), catalog=CATALOG, cache_size=NEAR)
    ent.check(tenant_name(0), HELD)
    return ent


def found_by_index(stage: Stage) -> Sequence[Row]:
    """How many rows the server looks at for a cold check; a fact, not a measurement."""
    tenants = stage.effort.tenants
    engine = sync_engine(make_url(stage.database("postgresql", tenants)))
    statement = Statements("payaid_", "postgresql").read_one.compile(engine)
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", {"tenant": tenant_name(tenants // 2)}
        ).scalar_one()[0]["Plan"]
        rows = connection.execute(text("SELECT count(*) FROM payaid_tenants")).scalar_one()
    engine.dispose()
    if rows < tenants or "Index" not in plan["Node Type"]:
        raise RuntimeError(f"of {rows:,} tenants one is found by {plan['Node Type']}")
    return [Row(f"rows looked at by a cold check among {tenants:,}", float(plan["Actual Rows"]), 1)]


def warmed(stage: Stage) -> Sequence[Row]:
    """Bringing a tenth of all tenants near, each of them over one that is read alone."""
    tenants = stage.effort.tenants
    near = tenants // 10
    url = stage.database("postgresql", tenants)
    repeats: list[float] = []
    for _ in range(4):
        with Entitlements(SQLStore(url), catalog=CATALOG, cache_size=near) as ent:
            ent.check(tenant_name(0), HELD)
            alone = _seconds_alone(ent)
            with frozen():
                begun = time.perf_counter()
                read = ent.warm_up(map(tenant_name, range(tenants - near, tenants)), progress=lambda _: stage.tick())
                together = (time.perf_counter() - begun) / read
            if read != near or ent.peek(tenant_name(tenants - 1), HELD) is None:
                raise RuntimeError(f"{read:,} tenants were read, not {near:,}")
        repeats.append(together / alone)
    return [row_of(f"a tenant among {near:,} brought near, over one alone", Measured.of(repeats), WARM_BUDGET)]


def _seconds_alone(ent: Entitlements, count: int = 1_000) -> float:
    begun = time.perf_counter()
    for number in range(1, count + 1):
        ent.check(tenant_name(number), HELD)
    return (time.perf_counter() - begun) / count


def tasks(stage: Stage) -> Sequence[Row]:
    """64 tasks that ask at once."""
    return load_of_tasks("postgresql", stage, tenants=stage.effort.tenants)


BENCHMARKS = (
    Benchmark("scale.plan", found_by_index),
    Benchmark("scale.cold", cold),
    Benchmark("scale.tasks", tasks),
    Benchmark("scale.warm", warmed),
)
