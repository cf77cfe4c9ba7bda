"""
How long it takes until a change is seen by somebody else: from the commit until what was near is not believed any more.

Both are clients of one process, each with connections of its own. What is promised between processes is asserted in
``tests/channels/test_staleness.py``; what is near is asked about all the time here, so that nothing is added by how
often somebody asks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final

from benchmarks.flags import percentage, written
from benchmarks.measuring import percentile
from benchmarks.reporting import Row, timed_row
from benchmarks.seeding import CATALOG, HELD, tenant_name
from benchmarks.stage import Benchmark, Stage
from payaid_entitlements.cache.renewing import announce
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.stores.ports import Scope, Write

#: Seconds in which a change is seen where nobody tells of it, whatever happens; and changes that are waited for there.
AT_MOST: Final = 5.0
POLLED: Final = 4
#: Seconds that a listener may take to connect, and a change to be seen, before the benchmark is given up.
PATIENCE: Final = 30.0
#: Milliseconds in which a change of a flag is seen, for 99 of 100.
FLAG_MS: Final = 250.0


def postgresql(stage: Stage) -> list[Row]:
    """By LISTEN and NOTIFY."""
    return [timed_row("change seen elsewhere, postgresql", _delays(stage, stage.database("postgresql")))]


def redis(stage: Stage) -> list[Row]:
    """By pub/sub of the store."""
    return [timed_row("change seen elsewhere, redis", _delays(stage, stage.redis()))]


def flag_postgresql(stage: Stage) -> list[Row]:
    """A flag, by LISTEN and NOTIFY."""
    return [_flag_row("postgresql", _flag_delays(stage, stage.database("postgresql")))]


def flag_redis(stage: Stage) -> list[Row]:
    """A flag, by pub/sub of the store."""
    return [_flag_row("redis", _flag_delays(stage, stage.redis()))]


def _flag_row(where: str, delays: list[float]) -> Row:
    late, middle = percentile(delays, 99), percentile(delays, 50)
    return Row(f"a flag change seen elsewhere, {where}, milliseconds (p99)", late, FLAG_MS, middle, late)


def shared(stage: Stage) -> list[Row]:
    """By pub/sub of a Redis in front of a store that tells nobody."""
    delays = _delays(stage, stage.database("sqlite"), shared=stage.redis())
    return [timed_row("change seen elsewhere, redis in front of sqlite", delays)]


def polled(stage: Stage) -> list[Row]:
    """By reading the change log, where nobody tells: half a reading's distance, as the dice fall."""
    delays = _delays(replace(stage, effort=replace(stage.effort, pairs=POLLED)), stage.database("sqlite"))
    return [Row("change seen elsewhere, sqlite, seconds (longest)", max(delays) / 1000, AT_MOST)]


def _delays(stage: Stage, url: str, *, shared: str | None = None) -> list[float]:
    """Milliseconds from each commit until it was seen."""
    tenant = tenant_name(1)
    delays: list[float] = []
    with _client(url, shared) as writer, _client(url, shared) as reader:
        writer.admin("benchmarks", because="figures").subscribe(tenant, "professional")
        _wait(lambda: reader.tenant(tenant).revision == writer.tenant(tenant).revision)
        for client in (writer, reader):
            listener = client._setting.listener
            if listener is not None:
                _wait(lambda listener=listener: listener.status.connected)  # type: ignore[misc] # bound at once
        for _ in range(stage.effort.pairs):
            _wait(lambda: reader.tenant(tenant) is not None and reader.peek(tenant, HELD) is not None)
            committed, revision = _change(writer, tenant)
            _wait(partial(_sees, reader, tenant, revision))
            delays.append((time.perf_counter() - committed) * 1000)
            stage.tick()
    return delays


def _flag_delays(stage: Stage, url: str) -> list[float]:
    """Milliseconds from each commit of a flag until a view of somebody else says so."""
    tenant = tenant_name(1)
    delays: list[float] = []
    with _client(url, None) as writer, _client(url, None) as reader:
        listener = reader._setting.listener
        assert listener is not None
        _wait(lambda: listener.status.connected)
        for number in range(stage.effort.pairs):
            share = (number + 1) % 2 * 100_000
            _wait(lambda: reader.tenant(tenant) is not None and reader.peek(tenant, HELD) is not None)
            written(writer, {"seen": replace(percentage("seen", share), bucket_by="tenant")})
            committed = time.perf_counter()
            _wait(partial(_says, reader, tenant, bool(share)))
            delays.append((time.perf_counter() - committed) * 1000)
            stage.tick()
    return delays


def _says(reader: Entitlements, tenant: str, is_on: bool) -> bool:
    return reader.tenant(tenant).flag("seen") is is_on


@contextmanager
def _client(url: str, shared: str | None) -> Iterator[Entitlements]:
    with Entitlements.open(url, catalog=CATALOG, shared=shared) as ent:
        ent.check(tenant_name(1), HELD)
        yield ent


def _change(writer: Entitlements, tenant: str) -> tuple[float, int]:
    """Change *tenant* in as little as it takes, with nothing added to what is known of it; when that was there."""
    store: Any = writer._store
    known = store.read([tenant])[tenant]
    (entry,) = store.audit(tenant=tenant, limit=1)
    document = replace(known, revision=known.revision + 1)
    number = f"{document.revision:026d}"
    write = Write(number, "touch", entry.recorded, document=document, plan="professional", modules=())
    applied = store.apply(write, expect=known.revision, actor="benchmarks", because=None)
    committed = time.perf_counter()
    writer._driver.run(announce(writer._setting, Scope.TENANT, tenant, applied))
    return committed, applied.revision


def _sees(reader: Entitlements, tenant: str, revision: int) -> bool:
    """Asked as everybody asks: what is near answers until something ends that."""
    return reader.tenant(tenant).revision >= revision


def _wait(is_so: Callable[[], bool]) -> None:
    end = time.perf_counter() + PATIENCE
    while not is_so():
        if time.perf_counter() > end:
            raise RuntimeError("the change was not seen")
        # Lets the listener run, and no longer than that.
        time.sleep(0)


BENCHMARKS: Final = (
    Benchmark("seen-postgresql", postgresql),
    Benchmark("seen-redis", redis),
    Benchmark("seen-flag-postgresql", flag_postgresql),
    Benchmark("seen-flag-redis", flag_redis),
    Benchmark("seen-shared", shared),
    Benchmark("seen-polled", polled),
)
