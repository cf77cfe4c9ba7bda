"""What the Alembic of a host is told of our tables, where both are in one database: that they are none of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from sqlalchemy.schema import SchemaItem

from payaid_entitlements.stores.sql.tables import PREFIX, tables

_DIALECTS: Final = ("sqlite", "postgresql", "mysql")

#: As Alembic names what it compares.
Kind = Literal["schema", "table", "column", "index", "unique_constraint", "foreign_key_constraint"]
#: As Alembic calls it for everything that it compares.
IncludeObject = Callable[[SchemaItem, str | None, Kind, bool, SchemaItem | None], bool]


def include_object_for(*, prefix: str = PREFIX, then: IncludeObject | None = None) -> IncludeObject:
    """
    Make an ``include_object`` for a host's ``env.py`` that leaves our tables out, in every schema, and nothing else.

    Args:
        prefix: What our tables' names begin with. A table of yours may begin so too: whole names are compared.
        then: Yours, which is asked about everything else.
    """
    ours = {table.name for dialect in _DIALECTS for table in tables(dialect, prefix).metadata.tables.values()}

    def include_object(
        object: SchemaItem, name: str | None, type_: Kind, reflected: bool, compare_to: SchemaItem | None
    ) -> bool:
        # Of a table that is left out nothing else is asked about.
        if type_ == "table" and name in ours:
            return False
        return then is None or then(object, name, type_, reflected, compare_to)

    return include_object


#: For tables that are named as usual: ``context.configure(..., include_object=include_object)``.
include_object: Final = include_object_for()
