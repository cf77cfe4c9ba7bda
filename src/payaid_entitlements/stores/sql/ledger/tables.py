"""The tables of the ledger. What counts is `accounts`; the others say how it came to be, and what is still open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table
from sqlalchemy.schema import SchemaItem

from payaid_entitlements.stores.sql.columns import key, long

#: The lot of an account to which nothing is posted: who counts rows of the host's waits for it. No lot has this name.
LOCK: Final = ""

#: The longest name of a lot, in characters. MySQL takes 3,072 bytes for all columns of an index together.
LONGEST_LOT: Final = 128


@dataclass(frozen=True)
class LedgerTables:
    """
    The tables of the ledger.

    Attributes:
        accounts: One row for each lot; *folded* is the part of *used* whose entries were pruned. Its rows are what
            writers wait for, in the order of their keys. Where *folded* is NULL nothing was ever posted: the row is
            there to be waited for, and nobody is shown it.
        entries: One row for each act, and for what became of it; the primary key is what makes an act happen once.
        holds: One row for each movement of an open hold; the first of them has its debit too.
        slots: Who holds a slot.
        events: Marks that were reached, until they are told; *claimed* is until when somebody else is telling.
    """

    accounts: Table
    entries: Table
    holds: Table
    slots: Table
    events: Table


class MakesTable(Protocol):
    """Makes a table under the prefix, with the options that all have."""

    def __call__(self, name: str, *content: SchemaItem, **further: Any) -> Table:
        """Make the table *name* of *content*."""
        ...


def ledger_tables(prefix: str, table: MakesTable) -> LedgerTables:
    """Make the tables; *table* makes one. Instants are microseconds, amounts whole units, `core.metering.posting`."""
    # On SQLite a table is its primary key, where nothing else is said there would be two trees to write to.
    by_key: dict[str, Any] = {"sqlite_with_rowid": False}
    accounts = table(
        "usage_accounts",
        Column("tenant", key(), primary_key=True),
        Column("meter", key(), primary_key=True),
        Column("lot", key(LONGEST_LOT), primary_key=True),
        Column("used", BigInteger, nullable=False),
        Column("held", BigInteger, nullable=False),
        Column("cap", BigInteger),
        Column("is_opened", Integer, nullable=False),
        Column("over_since", BigInteger),
        Column("folded", BigInteger),
        # Room for new versions of a row beside the old one: PostgreSQL then leaves the index alone.
        postgresql_with={"fillfactor": 70},
        **by_key,
    )
    entries = table(
        "usage_entries",
        Column("tenant", key(), primary_key=True),
        Column("operation", key(), primary_key=True),
        Column("part", Integer, primary_key=True, autoincrement=False),
        Column("kind", String(16), nullable=False),
        Column("digest", key()),
        Column("recorded", BigInteger, nullable=False),
        Column("takes", long(), nullable=False),
        Column("answer", long()),
        Index(f"{prefix}usage_entries_recorded", "recorded"),
        **by_key,
    )
    holds = table(
        "usage_holds",
        Column("tenant", key(), primary_key=True),
        Column("operation", key(), primary_key=True),
        Column("place", Integer, primary_key=True, autoincrement=False),
        Column("meter", key(), nullable=False),
        Column("lot", key(LONGEST_LOT), nullable=False),
        Column("held", BigInteger, nullable=False),
        Column("cost", BigInteger, nullable=False),
        Column("since", BigInteger, nullable=False),
        Column("expires", BigInteger, nullable=False),
        Column("debit", long()),
        Index(f"{prefix}usage_holds_account", "tenant", "meter", "lot", "expires"),
        **by_key,
    )
    slots = table(
        "usage_slots",
        Column("tenant", key(), primary_key=True),
        Column("feature", key(), primary_key=True),
        Column("holder", key(), primary_key=True),
        Column("since", BigInteger, nullable=False),
        Column("expires", BigInteger),
        Index(f"{prefix}usage_slots_expires", "tenant", "feature", "expires"),
        **by_key,
    )
    events = table(
        "usage_events",
        Column("id", key(40), primary_key=True),
        Column("tenant", key(), nullable=False),
        Column("operation", key(), nullable=False),
        Column("meter", key(), nullable=False),
        Column("mark", BigInteger, nullable=False),
        Column("used", BigInteger, nullable=False),
        Column("recorded", BigInteger, nullable=False),
        Column("claimed", BigInteger, nullable=False),
        # For forgetting a tenant: nobody may be listening, and then there are many.
        Index(f"{prefix}usage_events_tenant", "tenant"),
        **by_key,
    )
    return LedgerTables(accounts, entries, holds, slots, events)
