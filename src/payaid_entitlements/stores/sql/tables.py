"""The tables, as one value per prefix. Identifiers are compared by their bytes on every database."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.types import TypeEngine

#: Grows when the tables change; the row in the database says which it has.
SCHEMA_VERSION = 1

#: The tenant column of changes that are about no tenant. No tenant has this id.
NO_TENANT = ""


def _key(length: int = 255) -> TypeEngine[str]:
    # SQLite compares bytes by itself; PostgreSQL does under collation "C", where a server's own locale
    # might sort, or even equate, differently.
    return String(length).with_variant(String(length, collation="C"), "postgresql")


@dataclass(frozen=True)
class Tables:
    """
    The tables under one prefix.

    Attributes:
        tenants: One document per tenant, with what `find` finds it by.
        modules: Which modules are licensed to whom; the index of `find`.
        changes: Append-only: audit trail, facts and change log in one. Its position comes from `sequencer`.
        catalog, controls: One row each.
        sequencer: One row, updated last in each transaction, so that positions appear in their order.
        outbox: What is to be told to others.
        schema: One row: which version the tables have.
    """

    metadata: MetaData
    tenants: Table
    modules: Table
    changes: Table
    catalog: Table
    controls: Table
    sequencer: Table
    outbox: Table
    schema: Table


@cache
def tables(prefix: str = "payaid_") -> Tables:
    """The tables whose names begin with *prefix*; the same object each time."""
    metadata = MetaData()
    tenants = Table(
        f"{prefix}tenants",
        metadata,
        Column("tenant", _key(), primary_key=True),
        Column("revision", BigInteger, nullable=False),
        Column("generation", BigInteger, nullable=False),
        Column("document", Text, nullable=False),
        Column("plan", _key()),
        Column("is_listed", Integer, nullable=False),
        Index(f"{prefix}tenants_plan", "plan", "tenant"),
    )
    modules = Table(
        f"{prefix}tenant_modules",
        metadata,
        Column("module", _key(), primary_key=True),
        Column("tenant", _key(), primary_key=True),
        Index(f"{prefix}tenant_modules_tenant", "tenant"),
    )
    changes = Table(
        f"{prefix}changes",
        metadata,
        Column("position", BigInteger, primary_key=True, autoincrement=False),
        Column("id", _key(26), nullable=False, unique=True),
        Column("scope", String(16), nullable=False),
        Column("tenant", _key(), nullable=False),
        Column("generation", BigInteger, nullable=False),
        Column("revision", BigInteger, nullable=False),
        Column("recorded", BigInteger, nullable=False),
        Column("verb", String(64), nullable=False),
        Column("actor", Text, nullable=False),
        Column("because", Text),
        Column("operation", _key()),
        Column("digest", String(64), nullable=False),
        Column("as_of", BigInteger),
        Column("facts", Text, nullable=False),
        Column("detail", Text, nullable=False),
        # Rows without an operation never meet: NULLs are distinct in a unique index.
        Index(f"{prefix}changes_operation", "operation", "tenant", unique=True),
        Index(f"{prefix}changes_tenant", "tenant", "position"),
    )
    one = [
        Table(
            f"{prefix}{name}",
            metadata,
            Column("one", Integer, primary_key=True, autoincrement=False),
            Column("revision", BigInteger, nullable=False),
            Column("content", Text, nullable=False),
        )
        for name in ("catalog", "controls")
    ]
    sequencer = Table(
        f"{prefix}sequencer",
        metadata,
        Column("one", Integer, primary_key=True, autoincrement=False),
        Column("position", BigInteger, nullable=False),
    )
    outbox = Table(
        f"{prefix}outbox",
        metadata,
        Column("position", BigInteger, primary_key=True, autoincrement=False),
        Column("name", String(64), nullable=False),
        Column("tenant", _key(), nullable=False),
        Column("payload", Text, nullable=False),
        # For forgetting a tenant: the outbox may be long, and a statement has seconds.
        Index(f"{prefix}outbox_tenant", "tenant"),
    )
    schema = Table(
        f"{prefix}schema",
        metadata,
        Column("one", Integer, primary_key=True, autoincrement=False),
        Column("version", Integer, nullable=False),
    )
    return Tables(metadata, tenants, modules, changes, one[0], one[1], sequencer, outbox, schema)
