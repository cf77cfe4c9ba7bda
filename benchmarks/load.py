"""
Many who ask at once: 64 tasks, or 16 threads, over hot and cold tenants, each asking again as soon as it has an answer.

Half of the questions are about tenants that are near, half about tenants that are not and must be read; how many were
really read is counted. With no pause between questions the processors are always saturated, so a cold check waits for
those before it: worse than life.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

from benchmarks.measuring import Tick, frozen
from benchmarks.reporting import Row, timed_row
from benchmarks.seeding import CATALOG, HELD, tenant_name
from benchmarks.stage import TENANTS, Benchmark, Stage
from payaid_entitlements.core.decision import Decision
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.stores.ports import Transaction
from payaid_entitlements.stores.sql import AsyncSQLStore, SQLStore

TASKS: Final = 64
THREADS: Final = 16

#: Tenants that are near: few enough that each is asked about again before eviction passes by.
HOT: Final = TENANTS // 10
#: Room for those, and for too few of the others to meet one again when its turn comes.
NEAR: Final = TENANTS // 2
#: From one cold tenant to the next; it divides no number of cold tenants, so all have their turn.
STRIDE: Final = 7_919
#: Questions about hot tenants, in a hundred, that may turn out cold: entries grow old and are evicted.
MOST_COLD_PERCENT: Final = 2
#: Questions after which progress is told.
PIECE: Final = 500

#: Milliseconds of each check, by whether its tenant was near.
Latencies = dict[bool, list[float]]


class Questions:
    """
    Who is asked about next: a hot tenant or a cold one, by chance; the same order in every run.

    Cold ones are scattered over all *tenants*, and each comes once before any comes again.
    """

    def __init__(self, checks: int, tick: Tick, tenants: int) -> None:
        chance = random.Random(7)
        cold = (HOT + turn * STRIDE % (tenants - HOT) for turn in itertools.count())
        numbers = (chance.randrange(HOT) if chance.random() < 0.5 else next(cold) for _ in range(checks))
        self._left = iter([(tenant_name(number), number < HOT) for number in numbers])
        self._lock = threading.Lock()
        self._asked = 0
        self._tick = tick
        self.found: Latencies = {True: [], False: []}

    def next(self) -> tuple[str, bool] | None:
        """The next tenant and whether it is near; None when all were asked."""
        with self._lock:
            self._asked += 1
            if self._asked % PIECE == 0:
                self._tick()
            return next(self._left, None)


class Counted(SQLStore):
    """A store that counts whom it read."""

    read_tenants = 0

    def read(self, tenants: Sequence[str], *, tx: Transaction | None = None) -> Mapping[str, TenantDocument]:
        """Same as `SQLStore.read`."""
        self.read_tenants += len(tenants)
        return super().read(tenants, tx=tx)


class AsyncCounted(AsyncSQLStore):
    """Same as `Counted`, awaited."""

    read_tenants = 0

    async def read(self, tenants: Sequence[str], *, tx: Transaction | None = None) -> Mapping[str, TenantDocument]:
        """Same as `AsyncSQLStore.read`."""
        self.read_tenants += len(tenants)
        return await super().read(tenants, tx=tx)


def tasks(dialect: str, stage: Stage, tenants: int = TENANTS) -> Sequence[Row]:
    """As many asyncio tasks as `TASKS` in one loop."""
    questions = Questions(stage.effort.checks, stage.tick, tenants)
    asyncio.run(_tasks(AsyncCounted(stage.database(dialect, tenants)), questions))
    among = "" if tenants == TENANTS else f", {tenants:,} tenants"
    return _rows(f"{TASKS} tasks, {dialect}{among}", questions.found)


async def _tasks(store: AsyncCounted, questions: Questions) -> None:
    async with AsyncEntitlements(store, catalog=CATALOG, cache_size=NEAR) as ent:
        for number in range(HOT):
            await ent.check(tenant_name(number), HELD)
        warmed = store.read_tenants
        with frozen():
            await asyncio.gather(*(_ask_awaited(ent.check, questions) for _ in range(TASKS)))
    require_as_cold_as_said(store.read_tenants - warmed, questions.found)


def require_as_cold_as_said(read: int, found: Latencies) -> None:
    """
    Make sure that of cold tenants each was read and of hot ones hardly any.

    Raises:
        RuntimeError: Figures under the names of near and cold would mean something else.
    """
    cold, hot = len(found[False]), len(found[True])
    if not cold <= read <= cold + hot * MOST_COLD_PERCENT / 100:
        raise RuntimeError(f"{read} tenants were read for {cold} cold questions and {hot} hot ones")


async def _ask_awaited(check: Callable[[str, str], Awaitable[Decision]], questions: Questions) -> None:
    clock = time.perf_counter_ns
    while (question := questions.next()) is not None:
        tenant, is_hot = question
        begun = clock()
        decision = await check(tenant, HELD)
        questions.found[is_hot].append((clock() - begun) / 1e6)
        _require_answer(decision)


def threads(dialect: str, stage: Stage) -> Sequence[Row]:
    """As many threads as `THREADS`, on one client."""
    questions = Questions(stage.effort.checks, stage.tick, TENANTS)
    store = Counted(stage.database(dialect))
    with Entitlements(store, catalog=CATALOG, cache_size=NEAR) as ent:
        for number in range(HOT):
            ent.check(tenant_name(number), HELD)
        warmed = store.read_tenants
        failures: list[Exception] = []
        crowd = [threading.Thread(target=_ask, args=(ent.check, questions, failures)) for _ in range(THREADS)]
        with frozen():
            for thread in crowd:
                thread.start()
            for thread in crowd:
                thread.join()
    if failures:
        raise failures[0]
    require_as_cold_as_said(store.read_tenants - warmed, questions.found)
    return _rows(f"{THREADS} threads, {dialect}", questions.found)


def _ask(check: Callable[[str, str], Decision], questions: Questions, failures: list[Exception]) -> None:
    clock = time.perf_counter_ns
    try:
        while (question := questions.next()) is not None:
            tenant, is_hot = question
            begun = clock()
            decision = check(tenant, HELD)
            questions.found[is_hot].append((clock() - begun) / 1e6)
            _require_answer(decision)
    except Exception as error:  # a thread's error would otherwise only be printed, and the figures believed
        failures.append(error)


def _require_answer(decision: Decision) -> None:
    if decision.degraded or not decision.allowed:
        raise RuntimeError(f"under load a check gave {decision.reason.value}: a figure of failures would mean nothing")


def _rows(operation: str, found: Latencies) -> Sequence[Row]:
    return [
        timed_row(f"{operation}: near", found[True]),
        timed_row(f"{operation}: cold", found[False]),
        timed_row(f"{operation}: every check", [*found[True], *found[False]]),
    ]


BENCHMARKS = (
    Benchmark("tasks.sqlite", partial(tasks, "sqlite")),
    Benchmark("threads.sqlite", partial(threads, "sqlite")),
    Benchmark("tasks.postgresql", partial(tasks, "postgresql")),
    Benchmark("threads.postgresql", partial(threads, "postgresql")),
)
