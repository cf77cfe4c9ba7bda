"""What is answered from memory, in units: one Python call around one ``dict.get``."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from benchmarks.measuring import UNIT, Timed, looped, measure, sampled
from benchmarks.reporting import Row, row_of
from benchmarks.seeding import CATALOG
from benchmarks.stage import Absent, Benchmark, Stage
from payaid_entitlements.core.decision import Decision
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements

TENANT, ALLOWED, DENIED = "acme", "crm.export", "whatsapp.messages"


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
    return [row_of("await aent.check(tenant, feature)", measured, 6.5, samples)]


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
    """
    A guarded function that does nothing, whole: guard, question and function.

    Raises:
        Absent: This version has no guards.
    """
    try:
        from payaid_entitlements.guards import require_feature
    except ImportError as error:
        raise Absent("payaid_entitlements.guards does not exist in this version") from error

    @require_feature(ALLOWED)
    def guarded() -> None:
        pass

    with _opened() as ent, ent.bind(TENANT):
        measured = measure(looped("guarded()", guarded=guarded), UNIT, stage.effort, stage.tick)
    with _opened() as ent, ent.bind(TENANT):
        samples = sampled(guarded, stage.effort.samples)
    return [row_of("@require_feature around a no-op", measured, 6, samples)]


BENCHMARKS = (
    Benchmark("view.check", view_check),
    Benchmark("ent.check", check_allowed),
    Benchmark("ent.check.denied", check_denied),
    Benchmark("aent.check", check_awaited),
    Benchmark("guard", guard),
)
