"""The tables of the ledger, as they were then. Nothing of what was there before is touched, or waited for."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.dialects.mysql import LONGTEXT, VARBINARY
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

from payaid_entitlements.stores.sql.migrations.steps import Names, make, remove

revision = "2.1"
down_revision = "1.1"
LOSES = "all that was counted: usage, reservations, slots, which operations were done"

_MYSQL: Final = ("mysql", "mariadb")


def upgrade(names: Names) -> None:
    """Make them."""
    for table in _tables(names):
        make(table)


def downgrade(names: Names) -> None:
    """Remove them, with all that was counted."""
    for table in reversed(_tables(names)):
        remove(table)


def _key(length: int = 255) -> TypeEngine[Any]:
    by_bytes: TypeEngine[Any] = String(length).with_variant(String(length, collation="C"), "postgresql")
    return by_bytes.with_variant(VARBINARY(4 * length), *_MYSQL)


def _long() -> TypeEngine[Any]:
    return Text().with_variant(LONGTEXT(), *_MYSQL)


def _tables(names: Names) -> list[Table]:
    metadata, prefix = MetaData(schema=names.schema), names.prefix
    options: dict[str, Any] = {"sqlite_with_rowid": False} | {
        f"{name}_{option}": value
        for name in _MYSQL
        for option, value in (
            ("engine", "InnoDB"),
            ("row_format", "DYNAMIC"),
            ("charset", "utf8mb4"),
            ("collate", "utf8mb4_bin"),
        )
    }

    def table(name: str, *content: SchemaItem, **further: Any) -> Table:
        return Table(f"{prefix}{name}", metadata, *content, **options, **further)

    def in_key(name: str, length: int = 255) -> Column[Any]:
        return Column(name, _key(length), primary_key=True)

    def number(name: str, *, nullable: bool = False) -> Column[Any]:
        return Column(name, BigInteger, nullable=nullable)

    return [
        table(
            "usage_accounts",
            in_key("tenant"),
            in_key("meter"),
            in_key("lot", 128),
            number("used"),
            number("held"),
            number("cap", nullable=True),
            Column("is_opened", Integer, nullable=False),
            number("over_since", nullable=True),
            number("folded", nullable=True),
            postgresql_with={"fillfactor": 70},
        ),
        table(
            "usage_entries",
            in_key("tenant"),
            in_key("operation"),
            Column("part", Integer, primary_key=True, autoincrement=False),
            Column("kind", String(16), nullable=False),
            Column("digest", _key()),
            number("recorded"),
            Column("takes", _long(), nullable=False),
            Column("answer", _long()),
            Index(f"{prefix}usage_entries_recorded", "recorded"),
        ),
        table(
            "usage_holds",
            in_key("tenant"),
            in_key("operation"),
            Column("place", Integer, primary_key=True, autoincrement=False),
            Column("meter", _key(), nullable=False),
            Column("lot", _key(128), nullable=False),
            number("held"),
            number("cost"),
            number("since"),
            number("expires"),
            Column("debit", _long()),
            Index(f"{prefix}usage_holds_account", "tenant", "meter", "lot", "expires"),
        ),
        table(
            "usage_slots",
            in_key("tenant"),
            in_key("feature"),
            in_key("holder"),
            number("since"),
            number("expires", nullable=True),
            Index(f"{prefix}usage_slots_expires", "tenant", "feature", "expires"),
        ),
        table(
            "usage_events",
            in_key("id", 40),
            Column("tenant", _key(), nullable=False),
            Column("operation", _key(), nullable=False),
            Column("meter", _key(), nullable=False),
            number("mark"),
            number("used"),
            number("recorded"),
            number("claimed"),
            Index(f"{prefix}usage_events_tenant", "tenant"),
        ),
    ]
