"""
What migrations are made of. All of it can be repeated after it was interrupted in its middle.

On PostgreSQL and SQLite an interrupted migration leaves nothing. MySQL commits after each change of a table.
"""

from __future__ import annotations

from dataclasses import dataclass

from alembic import op
from sqlalchemy import Table


@dataclass(frozen=True, slots=True)
class Names:
    """
    What the tables of a store are named after.

    Attributes:
        prefix: What their names begin with.
        schema: Where they are; None for where the connection looks.
    """

    prefix: str
    schema: str | None


def make(table: Table) -> None:
    """Make *table* and its indices, or those of them that are not there yet."""
    looks = not op.get_context().as_sql  # nobody knows what is where a script will run
    table.create(op.get_bind(), checkfirst=looks)
    if looks:
        for index in table.indexes:
            index.create(op.get_bind(), checkfirst=True)


def remove(table: Table) -> None:
    """Remove *table*, if it is still there."""
    table.drop(op.get_bind(), checkfirst=not op.get_context().as_sql)
