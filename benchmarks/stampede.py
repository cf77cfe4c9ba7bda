"""
A stampede: many ask at the same moment about one tenant that is not near. One of them reads the store, whoever they
are: threads or tasks of one client, or clients that share a Redis as processes do.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Final

from benchmarks.load import TASKS, THREADS, AsyncCounted, Counted
from benchmarks.measuring import frozen
from benchmarks.reporting import Row, timed_row
from benchmarks.seeding import CATALOG, HELD, tenant_name
from benchmarks.stage import TENANTS, Benchmark, Stage
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements

#: Stampedes, each about another tenant.
ROUNDS: Final = 100


def names() -> Iterator[str]:
    """Tenants of whom none is near, one for each round."""
    return itertools.islice(map(tenant_name, range(1, TENANTS)), ROUNDS)


def threads(stage: Stage) -> Sequence[Row]:
    """Threads of one client, on PostgreSQL."""
    store = Counted(stage.database("postgresql"))
    with Entitlements(store, catalog=CATALOG) as ent:
        waits = _thread_rounds([ent], stage)
    return _rows(f"{THREADS} threads", store.read_tenants, waits)


def shared(stage: Stage) -> Sequence[Row]:
    """Threads of two clients on one database, which know of each other by a shared Redis only."""
    url, place = stage.database("postgresql"), stage.redis()
    stores = [Counted(url), Counted(url)]
    clients = [Entitlements(store, catalog=CATALOG, shared=place) for store in stores]
    waits = _thread_rounds(clients, stage)
    for client in clients:
        client.close()
    return _rows(f"{THREADS} threads, 2 clients with a shared Redis", sum(s.read_tenants for s in stores), waits)


def _thread_rounds(clients: Sequence[Entitlements], stage: Stage) -> list[float]:
    """Let threads, by turns of each client, ask about each of the names at once; what each waited, in milliseconds."""
    for client in clients:
        client.check("nobody", HELD)
        _forget_readings(client)
    waits: list[float] = []
    failures: list[Exception] = []
    gate = threading.Barrier(THREADS)

    def ask(client: Entitlements) -> None:
        try:
            for tenant in names():
                gate.wait(30)
                begun = time.perf_counter()
                decision = client.check(tenant, HELD)
                waits.append((time.perf_counter() - begun) * 1e3)
                if decision.degraded or not decision.allowed:
                    raise RuntimeError(f"in a stampede a check gave {decision.reason.value}")
        except Exception as error:  # a thread's error would otherwise only be printed, and the figures believed
            failures.append(error)
            gate.abort()

    crowd = [threading.Thread(target=ask, args=(clients[number % len(clients)],)) for number in range(THREADS)]
    with frozen():
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
    if failures:
        raise failures[0]
    stage.tick()
    return waits


def _forget_readings(client: Entitlements) -> None:
    store = client._store
    if isinstance(store, Counted):
        store.read_tenants = 0


def tasks(stage: Stage) -> Sequence[Row]:
    """Tasks of one client, on PostgreSQL."""
    store = AsyncCounted(stage.database("postgresql"))
    waits = asyncio.run(_tasks(store))
    stage.tick()
    return _rows(f"{TASKS} tasks", store.read_tenants, waits)


async def _tasks(store: AsyncCounted) -> list[float]:
    waits: list[float] = []
    async with AsyncEntitlements(store, catalog=CATALOG) as ent:
        await ent.check("nobody", HELD)
        store.read_tenants = 0

        async def ask(tenant: str) -> None:
            begun = time.perf_counter()
            decision = await ent.check(tenant, HELD)
            waits.append((time.perf_counter() - begun) * 1e3)
            if decision.degraded or not decision.allowed:
                raise RuntimeError(f"in a stampede a check gave {decision.reason.value}")

        with frozen():
            for tenant in names():
                await asyncio.gather(*(ask(tenant) for _ in range(TASKS)))
    return waits


def _rows(who: str, readings: int, waits: Sequence[float]) -> Sequence[Row]:
    return [
        Row(f"readings for each stampede: {who}", readings / ROUNDS, 1),
        timed_row(f"who is in a stampede waits: {who}", waits),
    ]


BENCHMARKS = (
    Benchmark("stampede.threads", threads),
    Benchmark("stampede.tasks", tasks),
    Benchmark("stampede.shared", shared),
)
