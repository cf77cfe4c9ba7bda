"""What the importing app pays: memory for each tenant that is near, and the time that importing takes."""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.measuring import Measured
from benchmarks.reporting import Row
from benchmarks.seeding import CATALOG, HELD, tenant_name
from benchmarks.stage import Benchmark, Stage
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.stores.memory import MemoryStore

#: Tenants that are brought near and counted.
COUNTED: Final = 10_000

#: 800 were estimated. Remedies start from what overrides say, so that is kept beside the decisions that come of it: a
#: dictionary of one entry and what leads to it, 240 bytes.
OVERRIDDEN_BYTES: Final = 1_000

#: Stands in the facts of one tenant for a value that is another one for each.
OWN_VALUE: Final = 7_000_000

#: What an app imports at the least, and what that stands on.
OURS: Final = "from payaid_entitlements import Entitlements"
THEIRS: Final = "import structlog, yaml; from pydantic import BaseModel"


def memory_shared(stage: Stage) -> Sequence[Row]:
    """Tenants on the plans as they are sold: decisions are shared."""
    bytes_each = bytes_near(lambda ent: ent.admin("benchmarks", because="figures").subscribe("like", "starter"))
    stage.tick()
    return [Row("bytes for each tenant near, shared plan", bytes_each, 400)]


def memory_overridden(stage: Stage) -> Sequence[Row]:
    """Tenants of whom each has an override with a value that nobody else has, so decisions of its own."""

    def arrange(ent: Entitlements) -> None:
        admin = ent.admin("benchmarks", because="figures")
        admin.subscribe("like", "starter")
        admin.override("like", "crm.contacts", OWN_VALUE)

    bytes_each = bytes_near(arrange)
    stage.tick()
    return [Row("bytes for each tenant near, all overridden", bytes_each, OVERRIDDEN_BYTES)]


class Alike(MemoryStore):
    """A store in which everybody has the facts of the tenant ``like``, with a value of its own for `OWN_VALUE`."""

    value = OWN_VALUE

    def read(self, tenants: Sequence[str], **named: object) -> dict[str, TenantDocument]:
        """Give each tenant a document of its own, as a database would; nothing before there is anything to copy."""
        known = super().read(("like",)).get("like")
        if known is None:
            return {}
        text = known.to_json()
        found = {}
        for tenant in tenants:
            self.value += 1
            own = text.replace('"like"', f'"{tenant}"', 1).replace(str(OWN_VALUE), str(self.value))
            found[tenant] = TenantDocument.from_json(own, tenant=tenant)
        return found


def bytes_near(arrange: Callable[[Entitlements], object]) -> float:
    """Bring `COUNTED` tenants near that are like the one that *arrange* makes; the bytes for each, without its name."""
    names = [tenant_name(number) for number in range(COUNTED)]
    store = Alike()
    with Entitlements(store, catalog=CATALOG) as ent:
        arrange(ent)
    # Another client: the one that published drops what it holds when it reads of that in the change log.
    with Entitlements(store) as ent:
        ent.check("like", HELD)
        gc.collect()
        tracemalloc.start()
        try:
            for name in names:
                ent.check(name, HELD)
            gc.collect()
            found = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        if (near := ent.health().tenants) != COUNTED + 1:
            raise RuntimeError(f"{near} tenants are near, not {COUNTED + 1}: their bytes would mean nothing")
    return found / COUNTED


def imports(stage: Stage) -> Sequence[Row]:
    """Importing in fresh interpreters, ours and theirs by turns."""
    repeats: list[float] = []
    import_seconds(OURS), import_seconds(THEIRS)  # the first one of each reads the disk
    for _ in range(stage.effort.repeats):
        pairs = [import_seconds(OURS) / import_seconds(THEIRS) for _ in range(stage.effort.starts)]
        repeats.append(statistics.median(pairs))
        stage.tick()
    measured = Measured.of(repeats)
    return [Row("import payaid_entitlements, over its bare dependencies", measured.ratio, 1.3, noise=measured.noise)]


def import_seconds(statement: str) -> float:
    """Run *statement* in an interpreter of its own; how long it took there, without starting the interpreter."""
    program = f"import time; begun = time.perf_counter(); {statement}; print(time.perf_counter() - begun)"
    return float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)


BENCHMARKS = (
    Benchmark("memory.shared", memory_shared),
    Benchmark("memory.overridden", memory_overridden),
    Benchmark("import", imports),
)
