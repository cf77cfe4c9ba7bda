"""What counting costs besides the ledger, in units: one Python call around one ``dict.get``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from benchmarks.measuring import UNIT, looped, measure, sampled
from benchmarks.reporting import Row, row_of
from benchmarks.stage import Benchmark, Stage
from payaid_entitlements import Catalog, Entitlements
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


BENCHMARKS = (Benchmark("consume", consume), Benchmark("post", post))
