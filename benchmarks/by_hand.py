"""
Counters as people write them by hand, on each store: what a consume is compared with.

`take` is the least that cannot be oversold and knows a repetition: one conditional statement and one row for the act,
committed together. `take_naively` is what is written first, and oversells: read how much was used, then write one more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from sqlalchemy import URL, create_engine, make_url, text

from payaid_entitlements.stores.sql.engines import begin_immediate

#: One row for each counter, one for each act.
TABLES: Final = (
    """
    CREATE TABLE IF NOT EXISTS by_hand_counters
    (tenant VARCHAR(64) PRIMARY KEY, used BIGINT NOT NULL, cap BIGINT NOT NULL)
    """,
    """
    CREATE TABLE IF NOT EXISTS by_hand_acts
    (tenant VARCHAR(64), operation VARCHAR(64), digest VARCHAR(64), used BIGINT, PRIMARY KEY (tenant, operation))
    """,
)

#: In place of what an act is known by when it is repeated: as long as a real one.
DIGEST: Final = "d" * 43


class Counter(Protocol):
    """One counter for each tenant, each with a capacity."""

    def make(self, tenant: str, cap: int) -> None:
        """Make the counter of *tenant* anew, as of a tenant that has not acted."""
        ...

    def take(self, tenant: str, operation: str) -> bool:
        """Take a unit, by a conditional statement; False where none is left."""
        ...

    def take_naively(self, tenant: str) -> bool:
        """Take a unit as who has not heard of others does; False where none seems to be left."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class PostgreSQL:
    """By psycopg, each statement committed by itself."""

    def __init__(self, url: str) -> None:
        import psycopg

        self.connection: Any = psycopg.connect(url, autocommit=True)
        for table in TABLES:
            self.connection.execute(table)

    def make(self, tenant: str, cap: int) -> None:
        """Same as `Counter.make`."""
        self.connection.execute("DELETE FROM by_hand_acts WHERE tenant = %s", (tenant,))
        self.connection.execute(
            "INSERT INTO by_hand_counters VALUES (%s, 0, %s) ON CONFLICT (tenant) DO UPDATE SET used = 0", (tenant, cap)
        )

    def take(self, tenant: str, operation: str) -> bool:
        """Same as `Counter.take`: in one round trip."""
        taken = self.connection.execute(
            "WITH taken AS (UPDATE by_hand_counters SET used = used + 1 WHERE tenant = %(tenant)s AND used + 1 <= cap "
            "RETURNING used) INSERT INTO by_hand_acts SELECT %(tenant)s, %(operation)s, %(digest)s, used FROM taken "
            "RETURNING used",
            {"tenant": tenant, "operation": operation, "digest": DIGEST},
        )
        return taken.fetchone() is not None

    def take_naively(self, tenant: str) -> bool:
        """Same as `Counter.take_naively`."""
        asked = "SELECT used, cap FROM by_hand_counters WHERE tenant = %s"
        used, cap = self.connection.execute(asked, (tenant,)).fetchone()
        if used < cap:
            self.connection.execute("UPDATE by_hand_counters SET used = %s WHERE tenant = %s", (used + 1, tenant))
        return bool(used < cap)

    def close(self) -> None:
        """Same as `Counter.close`."""
        self.connection.close()


class SQL:
    """By SQLAlchemy Core with statements that were built beforehand; for SQLite and MariaDB."""

    def __init__(self, url: str | URL) -> None:
        self.engine = create_engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        if self.is_sqlite:
            # As our own engine has it: WAL, each commit on the disk, and a writer who waits for the one before.
            begin_immediate(self.engine)
        self._alone = self.engine.execution_options(isolation_level="AUTOCOMMIT", payaid_writes=False)
        with self.engine.begin() as connection:
            for table in TABLES:
                connection.execute(text(table))
        self._take = text("UPDATE by_hand_counters SET used = used + 1 WHERE tenant = :tenant AND used + 1 <= cap")
        self._note = text(
            "INSERT INTO by_hand_acts SELECT tenant, :operation, :digest, used FROM by_hand_counters "
            "WHERE tenant = :tenant"
        )
        self._read = text("SELECT used, cap FROM by_hand_counters WHERE tenant = :tenant")
        self._write = text("UPDATE by_hand_counters SET used = :used WHERE tenant = :tenant")

    def make(self, tenant: str, cap: int) -> None:
        """Same as `Counter.make`."""
        with self.engine.begin() as connection:
            for table in ("by_hand_acts", "by_hand_counters"):
                connection.execute(text(f"DELETE FROM {table} WHERE tenant = :tenant"), {"tenant": tenant})
            connection.execute(
                text("INSERT INTO by_hand_counters VALUES (:tenant, 0, :cap)"), {"tenant": tenant, "cap": cap}
            )

    def take(self, tenant: str, operation: str) -> bool:
        """Same as `Counter.take`: in one transaction."""
        with self.engine.begin() as connection:
            if connection.execute(self._take, {"tenant": tenant}).rowcount == 0:
                return False
            connection.execute(self._note, {"tenant": tenant, "operation": operation, "digest": DIGEST})
        return True

    def take_naively(self, tenant: str) -> bool:
        """Same as `Counter.take_naively`."""
        with self._alone.connect() as connection:
            used, cap = connection.execute(self._read, {"tenant": tenant}).one()
            if used < cap:
                connection.execute(self._write, {"used": used + 1, "tenant": tenant})
        return bool(used < cap)

    def close(self) -> None:
        """Same as `Counter.close`."""
        self.engine.dispose()


class Redis:
    """By redis-py: a script of a few lines."""

    SCRIPT: Final = """
local known = redis.call('HGET', KEYS[2], ARGV[1])
if known then return known end
local used = tonumber(redis.call('HGET', KEYS[1], 'used'))
if used + 1 > tonumber(redis.call('HGET', KEYS[1], 'cap')) then return false end
used = redis.call('HINCRBY', KEYS[1], 'used', 1)
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2] .. used)
return used
"""

    def __init__(self, url: str) -> None:
        import redis

        self.client: Any = redis.Redis.from_url(url)
        self._sha = self.client.script_load(self.SCRIPT)

    def make(self, tenant: str, cap: int) -> None:
        """Same as `Counter.make`."""
        self.client.delete(f"by-hand:{{{tenant}}}:acts")
        self.client.hset(f"by-hand:{{{tenant}}}", mapping={"used": 0, "cap": cap})

    def take(self, tenant: str, operation: str) -> bool:
        """Same as `Counter.take`."""
        keys = f"by-hand:{{{tenant}}}", f"by-hand:{{{tenant}}}:acts"
        return self.client.evalsha(self._sha, 2, *keys, operation, DIGEST) is not None

    def take_naively(self, tenant: str) -> bool:
        """Same as `Counter.take_naively`."""
        used, cap = map(int, self.client.hmget(f"by-hand:{{{tenant}}}", "used", "cap"))
        if used < cap:
            self.client.hset(f"by-hand:{{{tenant}}}", "used", used + 1)
        return used < cap

    def close(self) -> None:
        """Same as `Counter.close`."""
        self.client.close()


def _mysql(url: str) -> SQL:
    return SQL(make_url(url).set(drivername="mysql+pymysql"))


#: By the name of the store, what counts by hand there.
BY_HAND: Final[Mapping[str, Callable[[str], Counter]]] = {
    "sqlite": SQL,
    "postgresql": PostgreSQL,
    "mariadb": _mysql,
    "redis": Redis,
}
