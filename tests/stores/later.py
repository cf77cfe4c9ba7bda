"""A version of the tables after the newest, as only tests have; and a process that migrates to it: ``URL PAUSE``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Column, MetaData, String, Table, create_engine, func, inspect, select

from payaid_entitlements.stores.sql import SQLStore, migrations
from payaid_entitlements.stores.sql.migrations.steps import Names, make, remove


@contextmanager
def with_next_version(*, oldest: int = 1, then: Callable[[], object] = lambda: None) -> Iterator[None]:
    """
    Let this process know one version more.

    Args:
        oldest: Releases that need this version can use it.
        then: Is done in the middle of the way up.
    """
    known = migrations.MIGRATIONS
    migrations.MIGRATIONS = (*known, _next(oldest, then))
    try:
        yield
    finally:
        migrations.MIGRATIONS = known


def _next(oldest: int, then: Callable[[], object]) -> ModuleType:
    module: Any = ModuleType("v6")
    module.__file__ = "v6.py"
    module.revision, module.down_revision, module.LOSES = f"6.{oldest}", "5.1", "the notes"

    def upgrade(names: Names) -> None:
        make(_notes(names))
        then()
        if not _has_column(names):
            op.add_column(f"{names.prefix}tenants", Column("noted", BigInteger))

    def downgrade(names: Names) -> None:
        remove(_notes(names))
        if _has_column(names):
            op.drop_column(f"{names.prefix}tenants", "noted")

    module.upgrade, module.downgrade = upgrade, downgrade
    return module


def _notes(names: Names) -> Table:
    return Table(
        f"{names.prefix}notes",
        MetaData(),
        Column("tenant", String(200), primary_key=True),
        Column("note", String(200), index=True),
    )


def _has_column(names: Names) -> bool:
    return any(each["name"] == "noted" for each in inspect(op.get_bind()).get_columns(f"{names.prefix}tenants"))


def fail() -> None:
    """Fail as a statement does."""
    op.execute("DROP TABLE no_such_table")


def _linger(seconds: float) -> None:
    print("begins", flush=True)
    if seconds and op.get_bind().dialect.name == "postgresql":
        op.execute(select(func.pg_sleep(seconds)))
    elif seconds and op.get_bind().dialect.name == "mysql":
        op.execute(select(func.sleep(seconds)))
    elif seconds:
        time.sleep(seconds)
    print("ends", flush=True)


if __name__ == "__main__":
    engine = create_engine(sys.argv[1])
    store = SQLStore(engine)
    with with_next_version(then=lambda: _linger(float(sys.argv[2]))):
        store.upgrade(5)
        print("at", store.upgrade(6))
    engine.dispose()
