"""What does not grow: a cold check and a page of `find` among 100,000 tenants, compared with the same among 1,000."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Final

from benchmarks.measuring import alternate
from benchmarks.reporting import Row, row_of
from benchmarks.seeding import CATALOG, HELD, tenant_name
from benchmarks.stage import Benchmark, Stage
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.stores.sql import SQLStore

FEW: Final = 1_000
MANY: Final = 100_000

#: Two more levels of a B-tree and pages that are not in SQLite's own cache are not growth; a scan would be 100 times.
BUDGET: Final = 1.5

#: Less than either database has, so that a random tenant is hardly ever near.
NEAR: Final = 16

PAGE: Final = 100


def somebody(tenants: int) -> Iterator[str]:
    """Random tenants among so many, without an end."""
    chance = random.Random(11)
    names = [tenant_name(number) for number in range(tenants)]
    while True:
        yield from chance.sample(names, FEW)


def cold(stage: Stage) -> Sequence[Row]:
    """A cold check of anybody."""
    with _opened(stage, MANY) as among_many, _opened(stage, FEW) as among_few:
        many, few = somebody(MANY), somebody(FEW)
        measured = alternate(
            lambda: among_many.check(next(many), HELD),
            lambda: among_few.check(next(few), HELD),
            stage.effort,
            stage.tick,
        )
    return [row_of(f"cold check, sqlite: {MANY:,} tenants over {FEW:,}", measured, BUDGET)]


def _opened(stage: Stage, tenants: int) -> Entitlements:
    ent = Entitlements(SQLStore(stage.database("sqlite", tenants)), catalog=CATALOG, cache_size=NEAR)
    ent.check(tenant_name(0), HELD)
    return ent


def find(stage: Stage) -> Sequence[Row]:
    """A page of tenants by module and plan, from anywhere in the list."""
    with (
        closing(SQLStore(stage.database("sqlite", MANY))) as large,
        closing(SQLStore(stage.database("sqlite", FEW))) as small,
    ):
        page_of_many, page_of_few = _paging(large, MANY), _paging(small, FEW)
        effort = replace(stage.effort, pairs=stage.effort.pairs // 4)
        measured = alternate(page_of_many, page_of_few, effort, stage.tick)
    return [row_of(f"page of {PAGE} by find, sqlite: {MANY:,} over {FEW:,}", measured, BUDGET)]


def _paging(store: SQLStore, tenants: int) -> Callable[[], object]:
    chance = random.Random(13)

    def page() -> object:
        # Three plans take turns, so from a third before the end on pages would not be full.
        after = tenant_name(chance.randrange(tenants * 6 // 10))
        found = store.find(module=HELD, plan="starter", after=after, limit=PAGE)
        if len(found) != PAGE:
            raise RuntimeError(f"a page has {len(found)} tenants, not {PAGE}: nothing comparable was measured")
        return found

    return page


BENCHMARKS = (Benchmark("growth.cold", cold), Benchmark("growth.find", find))
