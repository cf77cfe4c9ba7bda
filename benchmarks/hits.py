"""What is answered from memory, in units: one Python call around one ``dict.get``."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from benchmarks.measuring import UNIT, Timed, looped, measure, sampled
from benchmarks.reporting import Row, row_of
from benchmarks.seeding import CATALOG, HELD, tenant_name
from benchmarks.stage import TENANTS, Benchmark, Stage
from payaid_entitlements.core.decision import Decision
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.guards import require_feature
from payaid_entitlements.stores.sql import SQLStore

TENANT, ALLOWED, DENIED = "acme", "crm.export", "whatsapp.messages"

#: 6.5 in the prototype, which had one keyword: each that is left out costs 0.2, and `Decision.__await__` costs 2.1.
AWAITED_BUDGET: Final = 7.5


@contextmanager
def _opened() -> Iterator[Entitlements]:
    with Entitlements.open("memory://", catalog=CATALOG) as ent:
        ent.admin("benchmarks", because="figures").subscribe(TENANT, "starter")
        assert ent.check(TENANT, ALLOWED).allowed
        assert not ent.check(TENANT, DENIED).allowed
        yield ent


def view_check(stage: Stage) -> list[Row]:
    """A question to a view that is held already."""
    with _opened() as ent:
        check = ent.tenant(TENANT).check
        measured = measure(looped("check(key)", check=check, key=ALLOWED), UNIT, stage.effort, stage.tick)
        samples = sampled(lambda: check(ALLOWED), stage.effort.samples)
    return [row_of("view.check(feature)", measured, 2, samples)]


def check_allowed(stage: Stage) -> list[Row]:
    """A question about a tenant that is near."""
    return _check(stage, "ent.check(tenant, feature), allowed", ALLOWED, 5)


def check_denied(stage: Stage) -> list[Row]:
    """The same, refused; the change log is read once a second so that nobody is refused on an old copy."""
    return _check(stage, "ent.check(tenant, feature), denied", DENIED, 7)


def _check(stage: Stage, operation: str, feature: str, budget: float) -> list[Row]:
    with _opened() as ent:
        timed = looped("check(tenant, key)", check=ent.check, tenant=TENANT, key=feature)
        measured = measure(timed, UNIT, stage.effort, stage.tick)
        samples = sampled(lambda: ent.check(TENANT, feature), stage.effort.samples)
    return [row_of(operation, measured, budget, samples)]


def check_awaited(stage: Stage) -> list[Row]:
    """The question in a coroutine."""
    with asyncio.Runner() as runner:
        ent = AsyncEntitlements.open("memory://", catalog=CATALOG)
        runner.run(_subscribed(ent))
        measured = measure(_awaited(runner, ent.check), UNIT, stage.effort, stage.tick)
        samples = runner.run(_awaited_samples(ent.check, stage.effort.samples))
        runner.run(ent.aclose())
    return [row_of("await aent.check(tenant, feature)", measured, AWAITED_BUDGET, samples)]


async def _subscribed(ent: AsyncEntitlements) -> None:
    await ent.admin("benchmarks", because="figures").subscribe(TENANT, "starter")
    assert (await ent.check(TENANT, ALLOWED)).allowed


def _awaited(runner: asyncio.Runner, check: Callable[[str, str], Awaitable[Decision]]) -> Timed:
    async def timed(times: int) -> float:
        begun = time.perf_counter()
        for _ in itertools.repeat(None, times):
            await check(TENANT, ALLOWED)
        return time.perf_counter() - begun

    return lambda times: runner.run(timed(times))


async def _awaited_samples(check: Callable[[str, str], Awaitable[Decision]], times: int) -> list[float]:
    clock, found = time.perf_counter_ns, []
    for _ in range(times):
        begun = clock()
        await check(TENANT, ALLOWED)
        found.append((clock() - begun) / 1e6)
    return found


def guard(stage: Stage) -> list[Row]:
    """A guarded function that does nothing, whole: guard, question and function."""

    @require_feature(ALLOWED)
    def guarded() -> None:
        pass

    with _opened() as ent:
        with ent.bind(TENANT):
            measured = measure(looped("guarded()", guarded=guarded), UNIT, stage.effort, stage.tick)
        with ent.bind(TENANT):  # a view is for one request, and refuses to grow old
            samples = sampled(guarded, stage.effort.samples)
    return [row_of("@require_feature around a no-op", measured, 6, samples)]


def crowd(stage: Stage) -> list[Row]:
    """
    Anybody of 10,000 who are near, and beside it what the same question costs by hand.

    By hand is a plan for each tenant and a set of features for each plan, in two dicts: no expiry, no override, no
    change that arrives, no reason. Neither has a budget; they say what else is paid where tenants differ in each call,
    since the processor's caches do not hold them all.
    """
    with Entitlements(SQLStore(stage.database("sqlite")), catalog=CATALOG) as ent:
        everybody = [tenant_name(number) for number in range(TENANTS)]
        random.Random(5).shuffle(everybody)
        sold = ent.catalog.plans if ent.catalog is not None else {}
        features = {key: {*plan.modules, *plan.features} for key, plan in sold.items()}
        plans = {tenant: str(ent.tenant(tenant).plan) for tenant in everybody}

        def by_hand(tenant: str, feature: str) -> bool:
            plan = plans.get(tenant)
            return plan is not None and feature in features[plan]

        assert all(by_hand(tenant, HELD) and ent.check(tenant, HELD).allowed for tenant in everybody)
        return [
            _anybody("ent.check", ent.check, everybody, stage),
            _anybody("by hand, two dicts", by_hand, everybody, stage),
        ]


def _anybody(operation: str, check: Callable[[str, str], object], everybody: Sequence[str], stage: Stage) -> Row:
    tenants = itertools.cycle(everybody)
    timed = looped("check(next(tenants), key)", check=check, tenants=tenants, key=HELD)
    measured = measure(timed, UNIT, stage.effort, stage.tick)
    samples = sampled(lambda: check(next(tenants), HELD), stage.effort.samples)
    return row_of(f"{operation}: anybody of {TENANTS:,} near", measured, None, samples)


BENCHMARKS = (
    Benchmark("view.check", view_check),
    Benchmark("ent.check", check_allowed),
    Benchmark("ent.check.denied", check_denied),
    Benchmark("aent.check", check_awaited),
    Benchmark("guard", guard),
    Benchmark("crowd", crowd),
)
