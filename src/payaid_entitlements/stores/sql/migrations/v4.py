"""The counters of rate limits. Nothing of what was there before is touched, or waited for."""

from __future__ import annotations

from typing import Any, Final

from alembic import op
from sqlalchemy import BigInteger, Column, MetaData, String, Table, Text
from sqlalchemy.dialects.mysql import LONGTEXT, VARBINARY
from sqlalchemy.types import TypeEngine

from payaid_entitlements.stores.sql.migrations.steps import Names, make, remove

revision = "4.1"
down_revision = "3.1"
LOSES = "what rate limits have counted: all of them begin anew"

_MYSQL: Final = ("mysql", "mariadb")


def upgrade(names: Names) -> None:
    """Make them."""
    make(_table(names, op.get_context().dialect.name))


def downgrade(names: Names) -> None:
    """Remove them."""
    remove(_table(names, op.get_context().dialect.name))


def _key() -> TypeEngine[Any]:
    by_bytes: TypeEngine[Any] = String(40).with_variant(String(40, collation="C"), "postgresql")
    return by_bytes.with_variant(VARBINARY(4 * 40), *_MYSQL)


def _table(names: Names, dialect: str) -> Table:
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
        f"{names.prefix}rates",
        MetaData(schema=names.schema),
        Column("owner", _key(), primary_key=True),
        Column("key", _key(), primary_key=True),
        Column("state", Text().with_variant(LONGTEXT(), *_MYSQL), nullable=False),
        Column("expires", BigInteger, nullable=False),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 50},
        prefixes=["UNLOGGED"] if dialect == "postgresql" else [],
        **options,
    )
