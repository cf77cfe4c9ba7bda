"""Which tenant did what on which day. Nothing of what was there before is touched, or waited for."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, Index, Integer, MetaData, String, Table
from sqlalchemy.dialects.mysql import VARBINARY
from sqlalchemy.types import TypeEngine

from payaid_entitlements.stores.sql.migrations.steps import Names, make, remove

revision = "5.1"
down_revision = "4.1"
LOSES = "which tenant used what on which day, and who would gain or lose by enforcement"

_MYSQL: Final = ("mysql", "mariadb")


def upgrade(names: Names) -> None:
    """Make the table."""
    make(_table(names))


def downgrade(names: Names) -> None:
    """Remove it."""
    remove(_table(names))


def _key(length: int = 255) -> TypeEngine[Any]:
    by_bytes: TypeEngine[Any] = String(length).with_variant(String(length, collation="C"), "postgresql")
    return by_bytes.with_variant(VARBINARY(4 * length), *_MYSQL)


def _table(names: Names) -> Table:
    options: dict[str, Any] = {
        f"{name}_{option}": value
        for name in _MYSQL
        for option, value in (
            ("engine", "InnoDB"),
            ("row_format", "DYNAMIC"),
            ("charset", "utf8mb4"),
            ("collate", "utf8mb4_bin"),
        )
    }
    return Table(
        f"{names.prefix}activity",
        MetaData(schema=names.schema),
        Column("tenant", _key(), primary_key=True),
        Column("day", Integer, primary_key=True, autoincrement=False),
        Column("kind", _key(16), primary_key=True),
        Column("key", _key(), primary_key=True),
        Index(f"{names.prefix}activity_key", "kind", "key", "tenant", "day"),
        Index(f"{names.prefix}activity_day", "day"),
        sqlite_with_rowid=False,
        **options,
    )
