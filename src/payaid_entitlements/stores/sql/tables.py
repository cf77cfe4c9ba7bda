"""The tables, as one value per prefix and schema. Identifiers are compared by their bytes on every database."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.schema import SchemaItem

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.sql.activity.tables import activity_table
from payaid_entitlements.stores.sql.columns import MYSQL, key, long
from payaid_entitlements.stores.sql.ledger.tables import LedgerTables, ledger_tables
from payaid_entitlements.stores.sql.limiter.tables import rates_table

#: Grows with each migration; the row in the database says which version it has.
SCHEMA_VERSION = 5
#: Releases that need this version, or a later one, can use tables of `SCHEMA_VERSION` too.
WORKS_FROM = 1

#: The tenant column of changes that are about no tenant. No tenant has this id.
NO_TENANT = ""

PREFIX: Final = "payaid_"

# The longest name behind a prefix has 22 letters, and PostgreSQL cuts names off behind 63.
_PREFIX = re.compile(r"[a-z_][a-z0-9_]{0,39}")
_SCHEMA = re.compile(r"[^\W\d][\w$-]{0,62}")


@dataclass(frozen=True)
class Tables:
    """
    The tables under one prefix.

    Attributes:
        tenants: One document per tenant, with what `find` finds it by.
        modules: Which modules are licensed to whom; the index of `find`. None on PostgreSQL, where a column of
            *tenants* has them.
        changes: Append-only: audit trail, facts and change log in one. Its position comes from `sequencer`.
        catalog, controls, flags: One row each.
        sequencer: One row, updated last in each transaction, so that positions appear in their order.
        outbox: What is to be told to others.
        tallies: What was measured, by name and field.
        schema: One row: which version the tables have.
        ledger: What was used.
        rates: The counters of rate limits.
        activity: Which tenant did what on which day.
    """

    metadata: MetaData
    tenants: Table
    modules: Table | None
    changes: Table
    catalog: Table
    controls: Table
    flags: Table
    sequencer: Table
    outbox: Table
    tallies: Table
    schema: Table
    ledger: LedgerTables
    rates: Table
    activity: Table


def require_names(prefix: str, schema: str | None) -> None:
    """
    Check what tables are to be named after.

    Raises:
        ConfigurationError: It cannot begin, or hold, names of tables on every database.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(
            f"prefix={prefix!r}: at most 40 small letters a-z, digits and _, beginning with no digit; as 'payaid_'"
        )
    if schema is not None and not _SCHEMA.fullmatch(schema):
        raise ConfigurationError(f"schema={schema!r}: letters, digits, _, - and $, at most 63, beginning with a letter")


@cache
def tables(dialect: str, prefix: str = PREFIX, schema: str | None = None) -> Tables:
    """
    The tables whose names begin with *prefix*; the same object each time.

    Args:
        dialect: As SQLAlchemy names it: ``sqlite``, ``postgresql``, ``mysql`` or ``mariadb``.
        schema: Where they are, on MySQL another database of the server; None where the connection looks.
    """
    metadata = MetaData(schema=schema)
    # DYNAMIC takes keys of 3,072 bytes in an index; a server may have another default.
    options: dict[str, Any] = {
        f"{name}_{option}": value
        for name in MYSQL
        for option, value in (
            ("engine", "InnoDB"),
            ("row_format", "DYNAMIC"),
            ("charset", "utf8mb4"),
            ("collate", "utf8mb4_bin"),
        )
    }

    def table(name: str, *content: SchemaItem, **further: Any) -> Table:
        return Table(f"{prefix}{name}", metadata, *content, **options, **further)

    is_array = dialect == "postgresql"
    tenants = table(
        "tenants",
        Column("tenant", key(), primary_key=True),
        Column("revision", BigInteger, nullable=False),
        Column("generation", BigInteger, nullable=False),
        Column("document", long(), nullable=False),
        Column("plan", key()),
        Column("is_listed", Integer, nullable=False),
        Index(f"{prefix}tenants_plan", "plan", "tenant"),
        *_licensed(prefix, is_array),
    )
    modules = None
    if not is_array:
        modules = table(
            "tenant_modules",
            # By tenant first: a write replaces those of one tenant, and must not touch what others hold locked.
            Column("tenant", key(), primary_key=True),
            Column("module", key(), primary_key=True),
            Index(f"{prefix}tenant_modules_module", "module", "tenant"),
        )
    changes = table(
        "changes",
        Column("position", BigInteger, primary_key=True, autoincrement=False),
        Column("id", key(26), nullable=False, unique=True),
        Column("scope", String(16), nullable=False),
        Column("tenant", key(), nullable=False),
        Column("generation", BigInteger, nullable=False),
        Column("revision", BigInteger, nullable=False),
        Column("recorded", BigInteger, nullable=False),
        Column("verb", String(64), nullable=False),
        Column("actor", long(), nullable=False),
        Column("because", long()),
        Column("operation", key()),
        Column("digest", String(64), nullable=False),
        Column("as_of", BigInteger),
        Column("facts", long(), nullable=False),
        Column("detail", long(), nullable=False),
        # Rows without an operation never meet: NULLs are distinct in a unique index.
        Index(f"{prefix}changes_operation", "operation", "tenant", unique=True),
        Index(f"{prefix}changes_tenant", "tenant", "position"),
    )
    catalog, controls, flags = [
        table(
            name,
            Column("one", Integer, primary_key=True, autoincrement=False),
            Column("revision", BigInteger, nullable=False),
            Column("content", long(), nullable=False),
        )
        for name in ("catalog", "controls", "flags")
    ]
    sequencer = table(
        "sequencer",
        Column("one", Integer, primary_key=True, autoincrement=False),
        Column("position", BigInteger, nullable=False),
    )
    outbox = table(
        "outbox",
        Column("position", BigInteger, primary_key=True, autoincrement=False),
        Column("name", String(64), nullable=False),
        Column("tenant", key(), nullable=False),
        Column("payload", long(), nullable=False),
        # For forgetting a tenant: the outbox may be long, and a statement has seconds.
        Index(f"{prefix}outbox_tenant", "tenant"),
    )
    tallies = table(
        "tallies",
        Column("name", key(), primary_key=True),
        Column("field", key(), primary_key=True),
        Column("amount", BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    version = table(
        "schema",
        # As Alembic has it: ``number.oldest``.
        Column("version_num", String(32), nullable=False),
        PrimaryKeyConstraint("version_num", name=f"{prefix}schema_pkc"),
    )
    return Tables(
        metadata,
        tenants,
        modules,
        changes,
        catalog,
        controls,
        flags,
        sequencer,
        outbox,
        tallies,
        version,
        ledger_tables(prefix, table),
        rates_table(dialect, table),
        activity_table(prefix, table),
    )


def _licensed(prefix: str, is_array: bool) -> list[SchemaItem]:
    """The modules of a tenant in its own row, where a database can index what is in them."""
    if not is_array:
        return []
    return [
        Column("modules", ARRAY(Text(collation="C")), nullable=False, server_default=text("'{}'")),
        Index(f"{prefix}tenants_modules", "modules", postgresql_using="gin"),
    ]
