"""
Cold checks where a Redis is shared: the tenant is not near, and a copy that somebody else left is. The baseline is one
bare GET of that copy through redis-py's own client, on the same server. Both take turns, call by call.
"""

from __future__ import annotations

import itertools
from typing import Any, Final

import redis

from benchmarks.measuring import alternate
from benchmarks.misses import NEAR, require_cold
from benchmarks.reporting import Row, row_of
from benchmarks.seeding import CATALOG, HELD, tenant_name
from benchmarks.stage import Benchmark, Stage
from payaid_entitlements.cache.shared.copies import Places
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.stores.sql import SQLStore

#: Tenants with a copy.
COPIES: Final = 1_000
#: In bare GETs of the same bytes: a script on the server, and working out what a tenant holds.
BUDGET: Final = 5.0
#: Bytes of Redis' memory for a copy, with its key.
BYTES: Final = 1_024


def cold(stage: Stage) -> list[Row]:
    """In a thread."""
    url, place = stage.database("sqlite"), stage.redis()
    everybody = [tenant_name(number) for number in range(COPIES)]
    with redis.Redis.from_url(place) as bare:
        server: Any = bare
        with Entitlements(SQLStore(url), shared=place, catalog=CATALOG, cache_size=NEAR) as ent:
            ent.check("nobody", HELD)
            before = server.info("memory")["used_memory"]
            for tenant in everybody:
                ent.check(tenant, HELD)
            size = (server.info("memory")["used_memory"] - before) / COPIES
            sharing = ent._setting.sharing
            places: Places | None = None if sharing is None else sharing.places
            if places is None:
                raise RuntimeError("no Redis is shared: nothing comparable would be measured")
            keys = itertools.cycle([places.of_tenant(tenant)[0] for tenant in everybody])
            each = itertools.cycle(everybody)

            def operation() -> None:
                if not ent.check(next(each), HELD).allowed:
                    raise RuntimeError("a tenant that holds it was refused: nothing comparable was measured")

            def baseline() -> None:
                if bare.get(next(keys)) is None:
                    raise RuntimeError("there is no copy: nothing comparable was measured")

            require_cold(ent, each)
            absent = ent.counts["shared.copy", "absent"]
            measured = alternate(operation, baseline, stage.effort, stage.tick)
            if ent.counts["shared.copy", "absent"] > absent + COPIES // 10:
                raise RuntimeError("copies were missing: the store was measured")
    return [
        row_of("cold check, copy in a shared Redis, over a bare GET", measured, BUDGET),
        Row("bytes of a copy in a shared Redis", size, BYTES),
    ]


BENCHMARKS = (Benchmark("shared.cold", cold),)
