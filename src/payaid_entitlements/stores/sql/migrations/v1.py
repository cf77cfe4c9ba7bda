"""The first tables."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Table, exists, insert, literal, select

from payaid_entitlements.stores.sql.migrations.steps import Names, make, remove
from payaid_entitlements.stores.sql.tables import tables

revision = "1.1"
down_revision = None
LOSES = "all tenants and what is known of them, what is sold, all switches, the audit trail"


def upgrade(names: Names) -> None:
    """Make them, with the row that counts positions."""
    for table in _tables(names):
        make(table)
    sequencer = tables(names.prefix).sequencer
    op.execute(
        insert(sequencer).from_select(
            ["one", "position"], select(literal(1), literal(0)).where(~exists(select(sequencer.c.one)))
        )
    )


def downgrade(names: Names) -> None:
    """Remove them, with all that is in them."""
    for table in reversed(_tables(names)):
        remove(table)


def _tables(names: Names) -> list[Table]:
    all_ = tables(names.prefix)
    return [each for each in all_.metadata.sorted_tables if each is not all_.schema]
