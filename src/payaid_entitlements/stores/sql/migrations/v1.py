"""The first tables, as they were then: what `tables` says today is not asked."""

from __future__ import annotations

from typing import Any, Final

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    exists,
    insert,
    literal,
    select,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.mysql import LONGTEXT, VARBINARY
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

from payaid_entitlements.stores.sql.migrations.steps import Names, make, remove

revision = "1.1"
down_revision = None
LOSES = "all tenants and what is known of them, what is sold, all switches, the audit trail"

_MYSQL: Final = ("mysql", "mariadb")


def upgrade(names: Names) -> None:
    """Make them, with the row that counts positions."""
    tables = _tables(names, op.get_context().dialect.name)
    for table in tables:
        make(table)
    sequencer = tables[-2]
    one = select(literal(1), literal(0)).where(~exists(select(sequencer.c.one)))
    op.execute(insert(sequencer).from_select(["one", "position"], one))


def downgrade(names: Names) -> None:
    """Remove them, with all that is in them."""
    for table in reversed(_tables(names, op.get_context().dialect.name)):
        remove(table)


def _key(length: int = 255) -> TypeEngine[Any]:
    # Bytes on MySQL, four for a character at most.
    by_bytes: TypeEngine[Any] = String(length).with_variant(String(length, collation="C"), "postgresql")
    return by_bytes.with_variant(VARBINARY(4 * length), *_MYSQL)


def _long() -> TypeEngine[Any]:
    return Text().with_variant(LONGTEXT(), *_MYSQL)


def _one() -> Column[Any]:
    return Column("one", Integer, primary_key=True, autoincrement=False)


def _position() -> Column[Any]:
    return Column("position", BigInteger, primary_key=True, autoincrement=False)


def _tables(names: Names, dialect: str) -> list[Table]:
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

    def table(name: str, *content: SchemaItem) -> Table:
        return Table(f"{prefix}{name}", metadata, *content, **options)

    in_column: list[SchemaItem] = [
        Column("modules", ARRAY(Text(collation="C")), nullable=False, server_default=sql("'{}'")),
        Index(f"{prefix}tenants_modules", "modules", postgresql_using="gin"),
    ]
    is_array = dialect == "postgresql"
    made = [
        table(
            "tenants",
            Column("tenant", _key(), primary_key=True),
            Column("revision", BigInteger, nullable=False),
            Column("generation", BigInteger, nullable=False),
            Column("document", _long(), nullable=False),
            Column("plan", _key()),
            Column("is_listed", Integer, nullable=False),
            Index(f"{prefix}tenants_plan", "plan", "tenant"),
            *(in_column if is_array else []),
        )
    ]
    if not is_array:
        made.append(
            table(
                "tenant_modules",
                Column("tenant", _key(), primary_key=True),
                Column("module", _key(), primary_key=True),
                Index(f"{prefix}tenant_modules_module", "module", "tenant"),
            )
        )
    return [
        *made,
        table(
            "changes",
            _position(),
            Column("id", _key(26), nullable=False, unique=True),
            Column("scope", String(16), nullable=False),
            Column("tenant", _key(), nullable=False),
            Column("generation", BigInteger, nullable=False),
            Column("revision", BigInteger, nullable=False),
            Column("recorded", BigInteger, nullable=False),
            Column("verb", String(64), nullable=False),
            Column("actor", _long(), nullable=False),
            Column("because", _long()),
            Column("operation", _key()),
            Column("digest", String(64), nullable=False),
            Column("as_of", BigInteger),
            Column("facts", _long(), nullable=False),
            Column("detail", _long(), nullable=False),
            Index(f"{prefix}changes_operation", "operation", "tenant", unique=True),
            Index(f"{prefix}changes_tenant", "tenant", "position"),
        ),
        *(
            table(
                name,
                _one(),
                Column("revision", BigInteger, nullable=False),
                Column("content", _long(), nullable=False),
            )
            for name in ("catalog", "controls")
        ),
        table("sequencer", _one(), Column("position", BigInteger, nullable=False)),
        table(
            "outbox",
            _position(),
            Column("name", String(64), nullable=False),
            Column("tenant", _key(), nullable=False),
            Column("payload", _long(), nullable=False),
            Index(f"{prefix}outbox_tenant", "tenant"),
        ),
    ]
