"""What counting costs besides the ledger, in units: one Python call around one ``dict.get``."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from benchmarks.measuring import UNIT, looped, measure, sampled
from benchmarks.reporting import Row, row_of
from benchmarks.stage import Benchmark, Stage
from payaid_entitlements import AsyncEntitlements, Catalog, Entitlements, Lease
from payaid_entitlements.core.metering.lots import debit

TENANT, FEATURE = "acme", "crm.calls"
CATALOG: Final = Catalog.load(
    {
        "modules": {"crm": {"features": {"calls": {"kind": "quota"}}}},
        "plans": {"pro": {"modules": ["crm"], "features": {FEATURE: "1000000000/month"}}},
    }
)

#: A round trip to a database is 3,000 and more: counting must not be what one waits for.
CONSUME_BUDGET: Final = 2400
POST_BUDGET: Final = 1200


@contextmanager
def _opened() -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
    """Consuming one unit, and posting one; each call by an operation of its own."""
    with Entitlements.open("memory://", catalog=CATALOG) as ent:
        ent.admin("benchmarks", because="figures").subscribe(TENANT, "pro")
        numbers, ledger = itertools.count(), ent._ledger
        assert ledger is not None
        posting = (debit(ent.tenant(TENANT).metering(FEATURE), 1),)

        def consume() -> object:
            return ent.consume(TENANT, FEATURE, operation=("call", next(numbers)))

        def post() -> object:
            return ledger.post(TENANT, posting, operation=f"post {next(numbers)}", digest="")

        yield consume, post


def consume(stage: Stage) -> Sequence[Row]:
    """A unit of a quota, on the ledger in memory."""
    with _opened() as (consumed, _):
        measured = measure(looped("consume()", consume=consumed), UNIT, stage.effort, stage.tick)
        samples = sampled(consumed, stage.effort.samples)
    return [row_of("ent.consume, ledger in memory", measured, CONSUME_BUDGET, samples)]


def post(stage: Stage) -> Sequence[Row]:
    """What of it the ledger in memory is."""
    with _opened() as (_, posted):
        measured = measure(looped("post()", post=posted), UNIT, stage.effort, stage.tick)
        samples = sampled(posted, stage.effort.samples)
    return [row_of("post, ledger in memory", measured, POST_BUDGET, samples)]


#: Of `Lease`: a unit that is spent in memory.
LEASED_BUDGET: Final = 25
#: The same, awaited: a coroutine is made for each, which costs what is over 25.
AWAITED_BUDGET: Final = 30


def leased(stage: Stage) -> Sequence[Row]:
    """A unit of a quota from a lease that lasts for all of them, in either colour."""
    terms = {FEATURE: Lease(100_000_000, timedelta(days=1))}
    with Entitlements.open("memory://", catalog=CATALOG, leases=terms) as ent:
        ent.admin("benchmarks", because="figures").subscribe(TENANT, "pro")
        numbers = itertools.count()

        def timed(times: int) -> float:
            begun = time.perf_counter()
            for number in itertools.islice(numbers, times):
                ent.consume(TENANT, FEATURE, operation=("call", number))
            return time.perf_counter() - begun

        measured = measure(timed, UNIT, stage.effort, stage.tick)
        samples = sampled(lambda: ent.consume(TENANT, FEATURE, operation=("call", next(numbers))), stage.effort.samples)
    return [row_of("ent.consume, leased", measured, LEASED_BUDGET, samples), _awaited(stage, terms)]


def _awaited(stage: Stage, terms: dict[str, Lease]) -> Row:
    numbers = itertools.count()
    with asyncio.Runner() as runner:
        ent = AsyncEntitlements.open("memory://", catalog=CATALOG, leases=terms)
        runner.run(ent.admin("benchmarks", because="figures").subscribe(TENANT, "pro"))

        async def timed(times: int) -> float:
            begun = time.perf_counter()
            for number in itertools.islice(numbers, times):
                await ent.consume(TENANT, FEATURE, operation=("call", number))
            return time.perf_counter() - begun

        async def samples(times: int) -> list[float]:
            return [await timed(1) * 1e3 for _ in range(times)]

        measured = measure(lambda times: runner.run(timed(times)), UNIT, stage.effort, stage.tick)
        found = runner.run(samples(stage.effort.samples))
        runner.run(ent.aclose())
    return row_of("await aent.consume, leased", measured, AWAITED_BUDGET, found)


BENCHMARKS = (Benchmark("consume", consume), Benchmark("post", post), Benchmark("leased", leased))
