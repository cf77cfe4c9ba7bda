"""
Which version our tables have, whether this release can use them, and making them where there are none.

Bringing them from one version to another is in `migrating`, which needs Alembic and is imported only for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from payaid_entitlements.errors import SchemaOutOfDate
from payaid_entitlements.stores.sql.tables import SCHEMA_VERSION

if TYPE_CHECKING:
    from payaid_entitlements.stores.sql.statements import Statements


@dataclass(frozen=True, slots=True)
class Version:
    """
    Which version tables have.

    Attributes:
        number: Grows with each migration.
        oldest: Releases that need this version, or any between the two, can use the tables: while a new release is
            rolled out, processes of the one before run, and start, on tables that are migrated already.
    """

    number: int
    oldest: int

    def serves(self, needed: int) -> bool:
        """Can a release that needs version *needed* use them?"""
        return self.oldest <= needed <= self.number

    def __str__(self) -> str:
        return str(self.number)


def parsed(text: str) -> Version:
    """
    Read what is written in the database, which is also the name of a migration: ``number.oldest``.

    Raises:
        SchemaOutOfDate: No release of ours wrote this.
    """
    number, _, oldest = text.partition(".")
    if not (number.isdecimal() and oldest.isdecimal()):
        raise SchemaOutOfDate(f"our tables are said to have version {text!r}, which no release has")
    return Version(int(number), int(oldest))


def version_of(connection: Connection, statements: Statements) -> Version | None:
    """
    Which version the tables have; None where there are none. One select, where there are some.

    Args:
        connection: Not in a transaction that must go on: on PostgreSQL a table that is not there ends it.
    """
    try:
        return _read(connection, statements)
    except DBAPIError as error:
        if error.connection_invalidated or is_there(connection, statements):
            raise
        return None


def version_in(connection: Connection, statements: Statements) -> Version | None:
    """Same as `version_of`, in a transaction that goes on."""
    return _read(connection, statements) if is_there(connection, statements) else None


def is_there(connection: Connection, statements: Statements) -> bool:
    """Is there a table that says which version the others have?"""
    table = statements.tables.schema
    return bool(connection.dialect.has_table(connection, table.name, schema=table.schema))


def _read(connection: Connection, statements: Statements) -> Version | None:
    row = connection.execute(statements.version).first()
    return None if row is None else parsed(row[0])


def create(connection: Connection, statements: Statements) -> None:
    """
    Make all tables at once, as the migrations do one after the other; in a transaction in which nobody else does.

    For SQLite alone, where a process makes them when it starts: Alembic takes longer to import than all else together.
    """
    if version_in(connection, statements) is None:
        statements.tables.metadata.create_all(connection)
        for statement in statements.first_rows():
            connection.execute(statement)


def require(name: str, version: Version | None) -> None:
    """
    Check that this release can use the tables of the store *name*.

    Raises:
        SchemaOutOfDate: It cannot; the message has the way out.
    """
    if version is not None and version.serves(SCHEMA_VERSION):
        return
    found = "has no tables of ours" if version is None else f"has tables of version {version}"
    way_out = "run `payaid db upgrade`"
    if version is not None and version.number > SCHEMA_VERSION:
        way_out = "install the release of payaid_entitlements that made them, or a later one"
    raise SchemaOutOfDate(f"{name} {found}, and this release needs version {SCHEMA_VERSION}; {way_out}")
