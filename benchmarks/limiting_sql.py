"""
What a limited call costs in a database: over the least that anybody could send, one upsert that counts up.

The driver sends that by itself and commits, and ours takes turns with it, call by call. Where we wait for no disk it
waits for none either: its table is without a log on PostgreSQL too, and on SQLite it writes as we do. How much is
spared by not waiting is in a row of its own, over the same upsert as people write it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any, Final

from sqlalchemy import make_url

from benchmarks.measuring import Effort, alternate
from benchmarks.reporting import Row, row_of
from benchmarks.stage import Benchmark, Stage
from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy
from payaid_entitlements.stores.hurry import within
from payaid_entitlements.stores.limiter import Counter, Group
from payaid_entitlements.stores.sql import SQLStore

#: Over the upsert, of a call that passes, of one that is refused, and of one that passes three limits. A call reads and
#: then writes, on a connection of a pool; on SQLite, which answers within ten microseconds, most is what is around it.
BUDGETS: Final = {
    "postgresql": (5.0, 3.5, 7.0),
    "mariadb": (3.0, 1.5, 7.0),
    "sqlite": (6.0, 4.0, 9.0),
}
#: Pairs of calls in a repeat.
PAIRS: Final = 100
#: So many units a minute that none is refused.
PLENTY: Final = 2**26
#: Seconds that our calls wait for a processor that others use too.
PATIENCE: Final = 5.0

_UPSERT: Final = {
    "postgresql": "INSERT INTO {} VALUES (%s, %s, 1) ON CONFLICT (owner, name) DO UPDATE SET used = {}.used + 1",
    "mariadb": "INSERT INTO {} VALUES (%s, %s, 1) ON DUPLICATE KEY UPDATE used = used + 1",
    "sqlite": "INSERT INTO {} VALUES (?, ?, 1) ON CONFLICT (owner, name) DO UPDATE SET used = used + 1",
}


def group(owner: str, limits: int = 1, quota: int = PLENTY) -> Group:
    """So many limits of one owner; their names are as long as real ones."""
    policy = Policy("benchmark", Algorithm.GCRA, quota, 2**50, quota)
    return Group(f"{owner:x>26}", [Counter(f"{number:c>16}", policy) for number in range(limits)])


def calls(dialect: str, stage: Stage) -> Sequence[Row]:
    """A call that passes, one that is refused, and one of three limits that are all or nothing."""
    url = stage.mariadb() if dialect == "mariadb" else stage.database(dialect)
    with closing(SQLStore(f"{url}{'&' if '?' in url else '?'}payaid_prefix=limited_")) as store:
        store.upgrade()
        effort = replace(stage.effort, pairs=min(stage.effort.pairs, PAIRS))
        return _rows(dialect, store, make_url(url), effort, stage)


def _rows(dialect: str, store: SQLStore, url: Any, effort: Effort, stage: Stage) -> Sequence[Row]:
    asked = group("one"), group("refused", quota=1), group("three", 3)
    names = "a call that passes", "a call that is refused", "a call of 3 limits"
    store.limiter.hit(asked[1])
    with (
        within(PATIENCE),
        closing(_connection(dialect, url)) as connection,
        closing(_connection(dialect, url, waits=True)) as waiting,
    ):
        by_hand = _by_hand(dialect, connection, waits=False)
        rows = [
            row_of(
                f"{name}, {dialect}, over one upsert",
                alternate(_asking(store, each, is_allowed=each is not asked[1]), by_hand, effort, stage.tick),
                budget,
            )
            for name, each, budget in zip(names, asked, BUDGETS[dialect], strict=True)
        ]
        if dialect != "mariadb":
            durable = _by_hand(dialect, waiting, waits=True)
            measured = alternate(_asking(store, asked[0], is_allowed=True), durable, effort, stage.tick)
            rows.append(row_of(f"{names[0]}, {dialect}, over one upsert that waits for the disk", measured, None))
        return rows


def _asking(store: SQLStore, asked: Group, *, is_allowed: bool) -> Callable[[], object]:
    """What asks once, and wants that answer."""
    limiter = store.limiter

    def ask() -> None:
        if limiter.hit(asked).is_allowed is not is_allowed:
            raise RuntimeError("the answer is not the one whose cost is wanted: nothing comparable was measured")

    return ask


def _by_hand(dialect: str, connection: Any, *, waits: bool) -> Callable[[], object]:
    """What counts one up, by the driver alone."""
    cursor = connection.cursor()
    name = f"counted_{'safely' if waits else 'quickly'}"
    kind = "UNLOGGED TABLE" if dialect == "postgresql" and not waits else "TABLE"
    text = "VARCHAR(40) NOT NULL"
    cursor.execute(f"DROP TABLE IF EXISTS {name}")
    cursor.execute(f"CREATE {kind} {name} (owner {text}, name {text}, used BIGINT, PRIMARY KEY (owner, name))")
    upsert = _UPSERT[dialect].format(name, name)
    return lambda: cursor.execute(upsert, ("x" * 26, "c" * 16))


def _connection(dialect: str, url: Any, *, waits: bool = False) -> Any:
    """A connection on which each statement commits by itself."""
    match dialect:
        case "postgresql":
            import psycopg

            return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)
        case "mariadb":
            import pymysql

            named = {"unix_socket": url.query["unix_socket"]} if "unix_socket" in url.query else {}
            return pymysql.connect(
                host=url.host or "localhost",
                port=url.port or 3306,
                user=url.username or "",
                password=url.password or "",
                database=url.database,
                autocommit=True,
                **named,
            )
        case _:
            import sqlite3

            connection = sqlite3.connect(url.database, isolation_level=None, timeout=PATIENCE)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={'FULL' if waits else 'NORMAL'}")
            return connection


BENCHMARKS = tuple(
    Benchmark(f"limiting_sql.{dialect}", partial(calls, dialect)) for dialect in ("sqlite", "postgresql", "mariadb")
)
