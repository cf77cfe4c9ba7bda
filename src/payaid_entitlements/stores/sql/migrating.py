"""
Bringing our tables from one version to another, with Alembic.

There is no alembic.ini and no env.py: the connection is the store's own, and which version the tables have is in a
table of ours. Nothing of a host's own Alembic is read or written. Each step is a transaction of its own. On MySQL
there is none for changes of tables: a step that was interrupted is repeated, and each of them bears that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any, cast

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep
from alembic.script import Script
from alembic.script.revision import RevisionMap
from sqlalchemy import Connection, Dialect
from sqlalchemy.schema import CreateSchema, DropTable

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.sql import migrations
from payaid_entitlements.stores.sql.alone import in_turn, unhurried
from payaid_entitlements.stores.sql.migrations.steps import Names
from payaid_entitlements.stores.sql.schema import Version, require, version_in
from payaid_entitlements.stores.sql.statements import Statements
from payaid_entitlements.stores.sql.tables import SCHEMA_VERSION

#: The version of a database that has no tables of ours.
NOTHING = 0


def upgrade(connection: Connection, statements: Statements, name: str, to: int = SCHEMA_VERSION) -> int:
    """
    Bring the tables of the store *name* up to version *to*, or a later one that serves it, and return which they have.

    Repeating it is harmless.

    Raises:
        SchemaOutOfDate: They are of a later release.
        ConfigurationError: There is no such version, or it is an older one.
    """
    return _move(connection, statements, name, _checked(to, lowest=1), is_up=True)


def downgrade(connection: Connection, statements: Statements, name: str, to: int) -> int:
    """
    Bring the tables of the store *name* down to version *to*, and return it. `NOTHING` removes them, with all
    that is in them.

    Raises:
        SchemaOutOfDate: They are of a later release, which alone knows how to bring them down.
        ConfigurationError: There is no such version, or it is a later one.
    """
    return _move(connection, statements, name, _checked(to, lowest=NOTHING), is_up=False)


def written(
    statements: Statements, name: str, dialect: Dialect, version: Version | None, to: int = SCHEMA_VERSION
) -> str:
    """
    Write as a script of SQL what `upgrade` would do from *version* to *to*. Raises the same.
    """
    number = _number(version)
    if _is_there(name, version, _checked(to, lowest=1), is_up=True):
        return ""
    script = StringIO()
    offline = {
        "as_sql": True,
        "literal_binds": True,
        "output_buffer": script,
        "starting_rev": None if version is None else migrations.MIGRATIONS[number - 1].revision,
    }
    context = MigrationContext.configure(
        dialect=dialect, opts=_options(statements, range(number, to), is_up=True) | offline
    )
    schema = statements.tables.schema.schema
    with Operations.context(context), context.begin_transaction():
        if schema is not None and version is None:
            context.execute(CreateSchema(schema, if_not_exists=True))
        context.run_migrations(names=_names(statements))
    return script.getvalue()


def losses(number: int, to: int) -> list[str]:
    """What is lost on the way from version *number* down to *to*, newest first."""
    return [each.LOSES for each in reversed(migrations.MIGRATIONS[to:number])]


def _checked(to: int, *, lowest: int) -> int:
    latest = len(migrations.MIGRATIONS)
    if not lowest <= to <= latest:
        raise ConfigurationError(f"there is no version {to} of our tables; this release knows {lowest} to {latest}")
    return to


def _is_there(name: str, version: Version | None, to: int, *, is_up: bool) -> bool:
    """
    Is *version* where the way ends?

    A release that goes back to the one before runs its `upgrade` on tables that are newer, and serve it: that is well.
    """
    number = _number(version)
    if number == to or (is_up and version is not None and version.serves(to)):
        return True
    if number > len(migrations.MIGRATIONS):
        require(name, version)
        raise ConfigurationError(
            f"{name} has tables of version {number}; only a release that knows it brings them down"
        )
    if (to > number) is not is_up:
        raise ConfigurationError(
            f"our tables have version {number}, and {to} is {'older' if is_up else 'later'}: "
            f"that is `payaid db {'downgrade' if is_up else 'upgrade'} --to {to}`"
        )
    return False


@dataclass(frozen=True)
class _Step:
    """The next version on the way, in a transaction in which nobody else migrates."""

    connection: Connection
    statements: Statements
    name: str
    to: int
    is_up: bool

    def __call__(self) -> int | None:
        """Make the step; the version that is reached, where there is none to make."""
        version = version_in(self.connection, self.statements)
        number = _number(version)
        if _is_there(self.name, version, self.to, is_up=self.is_up):
            return number
        _prepare(self.connection, self.statements)
        index = number if self.is_up else number - 1
        context = MigrationContext.configure(self.connection, opts=_options(self.statements, [index], is_up=self.is_up))
        with Operations.context(context):
            context.run_migrations(names=_names(self.statements))
        if not self.is_up and number == 1:
            self.connection.execute(DropTable(self.statements.tables.schema))
        return None


def _move(connection: Connection, statements: Statements, name: str, to: int, *, is_up: bool) -> int:
    step = _Step(connection, statements, name, to, is_up)
    place = f"{connection.dialect.default_schema_name} {statements.tables.schema.fullname}"
    with unhurried(connection):
        while (reached := in_turn(connection, place, step)) is None:
            pass
    return reached


def _prepare(connection: Connection, statements: Statements) -> None:
    """Make the schema and the table that says which version the others have, as this release does."""
    table = statements.tables.schema
    if table.schema is not None and not connection.dialect.has_schema(connection, table.schema):
        connection.execute(CreateSchema(table.schema))
    table.create(connection, checkfirst=True)


def _options(statements: Statements, indices: Iterable[int], *, is_up: bool) -> dict[str, Any]:
    table = statements.tables.schema

    def steps(heads: Sequence[str], context: MigrationContext) -> list[RevisionStep]:
        known = RevisionMap(lambda: [Script(each, each.revision, str(each.__file__)) for each in migrations.MIGRATIONS])
        make = MigrationStep.upgrade_from_script if is_up else MigrationStep.downgrade_from_script
        names = [migrations.MIGRATIONS[index].revision for index in indices]
        return [make(known, cast("Script", known.get_revision(name))) for name in names]

    return {"version_table": table.name, "version_table_schema": table.schema, "fn": steps}


def _names(statements: Statements) -> Names:
    return Names(statements.prefix, statements.tables.schema.schema)


def _number(version: Version | None) -> int:
    return NOTHING if version is None else version.number
