"""The flags and the tallies. Nothing of what was there before is touched, or waited for."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, Text
from sqlalchemy.dialects.mysql import LONGTEXT, VARBINARY
from sqlalchemy.types import TypeEngine

from payaid_entitlements.stores.sql.migrations.steps import Names, make, remove

revision = "3.1"
down_revision = "2.1"
LOSES = "all that was changed of flags since the catalog, segments, how rollouts stand and what they measured"

_MYSQL: Final = ("mysql", "mariadb")


def upgrade(names: Names) -> None:
    """Make them."""
    for table in _tables(names):
        make(table)


def downgrade(names: Names) -> None:
    """Remove them, with all that is in them. The lines of the change log stay: audit trails are never cut."""
    for table in reversed(_tables(names)):
        remove(table)


def _key() -> TypeEngine[Any]:
    by_bytes: TypeEngine[Any] = String(255).with_variant(String(255, collation="C"), "postgresql")
    return by_bytes.with_variant(VARBINARY(4 * 255), *_MYSQL)


def _tables(names: Names) -> list[Table]:
    metadata, prefix = MetaData(schema=names.schema), names.prefix
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
    return [
        Table(
            f"{prefix}flags",
            metadata,
            Column("one", Integer, primary_key=True, autoincrement=False),
            Column("revision", BigInteger, nullable=False),
            Column("content", Text().with_variant(LONGTEXT(), *_MYSQL), nullable=False),
            **options,
        ),
        Table(
            f"{prefix}tallies",
            metadata,
            Column("name", _key(), primary_key=True),
            Column("field", _key(), primary_key=True),
            Column("amount", BigInteger, nullable=False),
            sqlite_with_rowid=False,
            **options,
        ),
    ]
