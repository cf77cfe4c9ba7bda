"""
What a consume costs: through the ledger, over the statement or the script that does it, sent by the driver alone, and
over a counter by hand. Both take turns, call by call, and both commit: where one waits for the disk, both do.

Then eight processes at one hot counter, where what counts is who waits for whom, and a naive counter beside them, which
sells more than there is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final

from benchmarks.by_hand import BY_HAND, DIGEST
from benchmarks.crowding import PROCESSES, UNITS, crowd, debit, ledger_of
from benchmarks.measuring import Measured, alternate
from benchmarks.reporting import Row, row_of
from benchmarks.seeding import tenant_name
from benchmarks.stage import Absent, Benchmark, Stage
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.metering.posting import Posting
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.stores.opening import open_store
from payaid_entitlements.stores.sql import SQLStore

#: Over the same statement or script, which waits for the same disk: what is promised where one round trip does it all.
SAME: Final = 1.3
#: The same of all of a consume, with what the library does around the post. To be 1.3; it is where the disk is slow.
WHOLE: Final = {"postgresql": 1.6, "redis": 2.2}
#: Over a counter by hand through SQLAlchemy Core: what is promised where a consume is a transaction.
BY_HAND_BUDGETS: Final = {"sqlite": 2.0}
#: Pairs of calls in a repeat: each may wait for a disk.
PAIRS: Final = 40
#: Who take turns to consume, so that nobody waits for a row that was changed just now.
TENANTS: Final = 100
#: Microseconds of a consume, in a crowd at one counter: so slow would be a queue that does not move.
SLOWEST: Final = 50_000.0
#: Enough for all turns.
PLENTY: Final = 10**9

#: Numbers of ledgers that were made.
_LEDGERS: Final = itertools.count()

#: What is sold to everybody, for consumes that go through all of the library.
METERED: Final = "invoicing.invoices"
SOLD: Final = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "modules": {"invoicing": {"features": {"invoices": {"kind": "quota"}}}},
        "plans": {"free": {"modules": ["invoicing"], "features": {METERED: f"{PLENTY}/month"}}},
    }
)

#: Sends what a consume sends, packed beforehand, by the driver alone.
Send = Callable[[Any], object]
#: That, what packs, and what closes the connection.
Sender = tuple[Send, Callable[..., Any], Callable[[], object]]


def place(dialect: str, stage: Stage) -> tuple[str, str]:
    """
    A server or a file for *dialect*, and a ledger there beside what other subjects sell: two URLs.

    The ledger is new each time. A benchmark that is measured again does the same operations again, and a ledger would
    know them.
    """
    match dialect:
        case "redis":
            url = stage.redis()
            return url, url
        case "mariadb":
            url = stage.mariadb()
        case _:
            url = stage.database(dialect)
    own = f"{url}{'&' if '?' in url else '?'}payaid_prefix=metered{next(_LEDGERS)}_"
    with closing(SQLStore(own)) as store:
        store.upgrade()
    return url, own


def consume(dialect: str, stage: Stage) -> Sequence[Row]:
    """
    A consume, and the post that is most of it: over the same statement or script by the driver, where that is all.

    Else over a counter by hand.
    """
    url, own = place(dialect, stage)
    everybody = [tenant_name(number) for number in range(TENANTS)]
    acts, asked = itertools.count(), (debit(PLENTY),)
    turns = {name: itertools.cycle(everybody) for name in ("post", "consume", "same", "by hand")}
    by_hand = BY_HAND[dialect](url)
    for tenant in everybody:
        by_hand.make(tenant, PLENTY)

    def take() -> None:
        if not by_hand.take(next(turns["by hand"]), f"theirs-{next(acts)}"):
            raise RuntimeError("nothing was taken: nothing comparable was measured")

    with closing(by_hand), closing(open_store(own)) as store, Entitlements(store, catalog=SOLD) as ent:
        ent.consume(everybody[0], METERED, operation="first")
        ledger = ledger_of(store)

        def post() -> None:
            if not ledger.post(next(turns["post"]), asked, operation=f"ours-{next(acts)}", digest=DIGEST).filled:
                raise RuntimeError("nothing was taken: nothing comparable was measured")

        def whole() -> None:
            ent.consume(next(turns["consume"]), METERED, operation=f"whole-{next(acts)}")

        if dialect not in SENDS:
            budget, against = BY_HAND_BUDGETS.get(dialect), "over a counter by hand"
            measured = [_measured(each, take, stage) for each in (post, whole)]
            return [
                row_of(f"{name}, {dialect}, {against}", each, budget)
                for name, each in zip(("post of a debit", "consume"), measured, strict=True)
            ]
        send, pack, end = SENDS[dialect](ledger, url)
        pairs = 2 * (stage.effort.repeats * PAIRS + 2 * TENANTS)
        packed = iter(
            [pack(tenant, asked, f"same-{n}") for n, tenant in zip(range(pairs), turns["same"], strict=False)]
        )
        against = "over the same by the bare driver"
        # What is more than promised: see docs/explanation/performance.md.
        budgets = (SAME, WHOLE[dialect])
        rows = [
            row_of(f"{name}, {dialect}, {against}", _measured(each, lambda: send(next(packed)), stage), budget)
            for name, each, budget in zip(("post of a debit", "consume"), (post, whole), budgets, strict=True)
        ]
        end()
        return [*rows, row_of(f"consume, {dialect}, over a counter by hand", _measured(whole, take, stage), None)]


def _postgresql(ledger: Any, url: str) -> Sender:
    import psycopg

    connection: Any = psycopg.connect(url, autocommit=True)

    def pack(tenant: str, asked: Sequence[Posting], operation: str) -> Any:
        return ledger._debiting.asked(tenant, asked, operation, DIGEST, None)

    def send(packed: Any) -> None:
        if connection.execute(packed.prepared.sql, packed.parameters).fetchone() is None:
            raise RuntimeError("nothing was taken: nothing comparable was measured")

    return send, pack, connection.close


def _redis(ledger: Any, url: str) -> Sender:
    import redis

    client: Any = redis.Redis.from_url(url)

    def pack(tenant: str, asked: Sequence[Posting], operation: str) -> Any:
        return ledger._questions.post(tenant, asked, operation, DIGEST, None)

    def send(packed: Any) -> None:
        if not client.evalsha(packed.what.sha, len(packed.keys), *packed.keys, *packed.parts):
            raise RuntimeError("nothing was taken: nothing comparable was measured")

    return send, pack, client.close


SENDS: Final[Mapping[str, Callable[[Any, str], Sender]]] = {
    "postgresql": _postgresql,
    "redis": _redis,
}


def _measured(operation: Callable[[], object], baseline: Callable[[], object], stage: Stage) -> Measured:
    for _ in range(TENANTS):
        operation(), baseline()
    effort = replace(stage.effort, pairs=min(stage.effort.pairs, PAIRS))
    return alternate(operation, baseline, effort, stage.tick)


def crowded(stage: Stage) -> Sequence[Row]:
    """
    Eight processes at one counter, on each store that is there.

    Raises:
        RuntimeError: More or fewer units were sold than there are, other than by the naive counter.
    """
    places = {}
    for dialect in BY_HAND:
        with suppress(Absent):
            places[dialect] = place(dialect, stage)
    found = crowd(places)
    stage.tick()
    if wrong := {key: each.sold for key, each in found.items() if key[1] != "naive" and each.sold != UNITS}:
        raise RuntimeError(f"of {UNITS} units were sold: {wrong}")
    who = f"{PROCESSES} processes at one counter"
    return [
        Row(f"sold, over what a naive counter sells: {who}, {dialect}", UNITS / each.sold, 1)
        if way == "naive"
        else Row(f"us for each {way}: {who}, {dialect}", each.seconds / each.sold * 1e6, SLOWEST)
        for (dialect, way), each in found.items()
    ]


def peer(stage: Stage) -> Sequence[Row]:
    """
    What `limits` does on Redis: it counts in a fixed window, forgets who did what, and knows no repetition.

    Raises:
        Absent: It is not installed.
    """
    try:
        from limits import RateLimitItemPerMonth
        from limits.storage import storage_from_string
        from limits.strategies import FixedWindowRateLimiter
    except ImportError as error:
        raise Absent("limits is not installed") from error
    url = stage.redis()
    by_hand = BY_HAND["redis"](url)
    by_hand.make("peer", PLENTY)
    acts, item = itertools.count(), RateLimitItemPerMonth(PLENTY)
    limiter = FixedWindowRateLimiter(storage_from_string(url.replace("unix://", "redis+unix://")))

    def operation() -> None:
        if not limiter.hit(item, "peer"):
            raise RuntimeError("nothing was taken: nothing comparable was measured")

    measured = _measured(operation, lambda: by_hand.take("peer", str(next(acts))), stage)
    return [row_of("hit of a fixed window of `limits`, redis, over a counter by hand", measured, None)]


BENCHMARKS = (
    *(Benchmark(f"consume.{dialect}", partial(consume, dialect)) for dialect in BY_HAND),
    Benchmark("consume.crowd", crowded),
    Benchmark("consume.peer", peer),
)
