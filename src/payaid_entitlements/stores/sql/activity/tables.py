"""The table of activity: one row for what a tenant did on a day, however often. Nothing in it is ever updated."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table

from payaid_entitlements.stores.sql.columns import key
from payaid_entitlements.stores.sql.ledger.tables import MakesTable


def activity_table(prefix: str, table: MakesTable) -> Table:
    """Make it; *table* makes one. ``day`` counts from 1 January of the year 1, as Python does."""
    return table(
        "activity",
        Column("tenant", key(), primary_key=True),
        Column("day", Integer, primary_key=True, autoincrement=False),
        Column("kind", key(16), primary_key=True),
        Column("key", key(), primary_key=True),
        # Who used this module lately: by tenant before day, so that a page of tenants is read in its order.
        Index(f"{prefix}activity_key", "kind", "key", "tenant", "day"),
        Index(f"{prefix}activity_day", "day"),
        sqlite_with_rowid=False,
    )
