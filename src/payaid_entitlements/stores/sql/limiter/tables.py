"""The table of counters. What it holds may be lost at any time, and no harm is done but that some calls pass again."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table

from payaid_entitlements.stores.sql.columns import key, long
from payaid_entitlements.stores.sql.ledger.tables import MakesTable

#: Characters of an owner and of a key, as `Group` and `Counter` have them.
LONGEST = 40


def rates_table(dialect: str, table: MakesTable) -> Table:
    """
    Make it; *table* makes one.

    ``state`` is the numbers of `core.ratelimit.text`. From ``expires`` on, in microseconds since the epoch, the row
    says as much as none. No index has it: it changes with each call, and PostgreSQL then leaves all indices alone.
    """
    return table(
        "rates",
        Column("owner", key(LONGEST), primary_key=True),
        Column("key", key(LONGEST), primary_key=True),
        Column("state", long(), nullable=False),
        Column("expires", BigInteger, nullable=False),
        sqlite_with_rowid=False,
        # Room for new versions of a row beside the old one.
        postgresql_with={"fillfactor": 50},
        # On PostgreSQL no log is kept of it: a commit waits for no disk, standbys hear nothing of what changes all the
        # time, and after a crash, or elsewhere after a failover, counters begin anew.
        prefixes=["UNLOGGED"] if dialect == "postgresql" else [],
    )
