"""
What one shard of Redis carries as a store: ``python -m benchmarks.one_shard redis://127.0.0.1:6379``.

All of a store is on one server of a cluster: see docs/explanation/redis-as-a-store.md. The server must be empty; it is
emptied again. Besides what two processes get out of it, the server's own time for each call is told, which does not
depend on who else uses the processor.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import redis

from benchmarks.seeding import CATALOG, tenant_name
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.stores.ports import Write
from payaid_entitlements.stores.redis import RedisStore
from payaid_entitlements.stores.redis.layout import Keys, tenant_field

#: Questions that are sent together, and how often by each process.
TOGETHER, TIMES = 100, 200


def seed(url: str, count: int) -> float:
    """Write *count* tenants through the store's own door, one by one; changes in a second."""
    store = RedisStore(url)
    with Entitlements(store, catalog=CATALOG) as ent:
        ent.admin("benchmarks", because="figures").subscribe("like-all", "professional")
        (row,), like = store.find(), store.read(["like-all"])["like-all"]
        (entry,) = store.audit(tenant="like-all")
        began = time.perf_counter()
        for number in range(count):
            name = tenant_name(number)
            write = Write(
                f"{number:026d}",
                entry.verb,
                entry.recorded,
                document=replace(like, tenant=name),
                facts=entry.facts,
                plan=row.plan,
                modules=row.modules,
                detail=entry.detail,
            )
            store.apply(write, expect=0, actor="benchmarks", because="figures", operation=f"seed/{number}")
        return count / (time.perf_counter() - began)


def read(url: str, count: int) -> None:
    """Ask for the documents of tenants, each by a command of its own."""
    documents = Keys.of("payaid").documents
    with redis.Redis.from_url(url) as client:
        for time_ in range(TIMES):
            with client.pipeline(transaction=False) as together:
                for number in range(TOGETHER):
                    together.hmget(documents, "layout", tenant_field(tenant_name((time_ * TOGETHER + number) % count)))
                together.execute()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and tell; 2 where the server is not empty."""
    parser = argparse.ArgumentParser("python -m benchmarks.one_shard", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--tenants", type=int, default=20_000)
    options = parser.parse_args(arguments)
    with redis.Redis.from_url(options.url) as client:
        server: Any = client
        if server.dbsize():
            print(f"{options.url} is not empty", file=sys.stderr)
            return 2
        before = server.info("memory")["used_memory"]
        server.config_resetstat()
        changes = seed(options.url, options.tenants)
        stats = server.info("commandstats")["cmdstat_evalsha"]
        print(f"changes          {changes:,.0f} a second, by one process that waits for each")
        print(f"                 {stats['usec_per_call']:.0f} us of the server's time for each")
        whole = server.info("memory")["used_memory"] - before
        print(f"memory           {whole / options.tenants:,.0f} bytes for each tenant, which is")
        for key in Keys.of("payaid").all:
            size = server.memory_usage(key, samples=0) / options.tenants
            print(f"                 {size:7,.0f} {key}")
        document = server.hstrlen(Keys.of("payaid").documents, tenant_field(tenant_name(0)))
        print(f"                 (a document has {document:,} bytes)")
        server.config_resetstat()
        readers = [multiprocessing.Process(target=read, args=(options.url, options.tenants)) for _ in range(2)]
        began = time.perf_counter()
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        rate = len(readers) * TOGETHER * TIMES / (time.perf_counter() - began)
        stats = server.info("commandstats")["cmdstat_hmget"]
        print(f"readings         {rate:,.0f} a second, by two processes that send {TOGETHER} together")
        print(f"                 {stats['usec_per_call']:.2f} us of the server's time for each")
        server.flushdb()
    return 0


if __name__ == "__main__":
    sys.exit(main())
