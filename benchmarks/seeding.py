"""
Many tenants, quickly: what the library itself wrote for one tenant of each plan is copied for the others.

Document, index, change log and outbox all grow, as they would if each tenant had subscribed by itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    String,
    Table,
    cast,
    create_engine,
    delete,
    func,
    insert,
    literal,
    make_url,
    select,
    text,
    true,
    update,
)

from benchmarks.measuring import Tick
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.stores.sql import SQLStore
from payaid_entitlements.stores.sql.engines import begin_immediate
from payaid_entitlements.stores.sql.tables import Tables, tables

CATALOG: Final = Path(__file__).parent.parent / "examples" / "payaid" / "catalog.yaml"

#: What every seeded tenant has. `crm` is in each plan, `whatsapp` in none of these.
PLANS: Final = ("free", "starter", "professional")
HELD, REFUSED = "crm", "whatsapp"

Rows = list[dict[str, Any]]


def tenant_name(number: int) -> str:
    """Name the tenant of *number*; names sort as numbers do."""
    return f"tenant-{number:07d}"


def overridden_name(number: int) -> str:
    """Name a tenant that has an override of its own."""
    return f"own-way-{number:07d}"


def seed(url: str, count: int, tick: Tick) -> None:
    """Make *count* tenants on plans, and a tenth as many with an override, in the empty database at *url*."""
    store = SQLStore(url)
    store.upgrade()
    with Entitlements(store, catalog=CATALOG) as ent:
        admin = ent.admin("benchmarks", because="figures")
        for plan in (*PLANS, "override"):
            admin.subscribe(f"like-{plan}", "starter" if plan == "override" else plan)
        admin.override("like-override", "hr", True)
    # Not the store's own way to connect, which gives a statement seconds.
    parsed = make_url(url)
    driver = "sqlite" if parsed.get_backend_name() == "sqlite" else "postgresql+psycopg"
    engine = create_engine(parsed.set(drivername=driver))
    all_tables = tables(engine.dialect.name)
    if engine.dialect.name == "sqlite":
        # Else each row would be a transaction of its own, and wait for the disk.
        begin_immediate(engine)
    with engine.begin() as connection:
        like = {name: _pattern(connection, all_tables, f"like-{name}") for name in (*PLANS, "override")}
        for table in like["free"]:
            connection.execute(delete(table).where(table.c.tenant.like("like-%")))
        position = 1_000
        for kind, plan in enumerate(PLANS):
            numbers = range(kind, count, len(PLANS))
            position = _copy(connection, f"like-{plan}", like[plan], "tenant-", numbers, position)
            tick()
        position = _copy(connection, "like-override", like["override"], "own-way-", range(count // 10), position)
        connection.execute(update(all_tables.sequencer).values(position=position - 1))
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
    engine.dispose()
    tick()


def _pattern(connection: Connection, all_tables: Tables, tenant: str) -> dict[Table, Rows]:
    """All rows that the library wrote for *tenant*."""
    about_tenants = [table for table in all_tables.metadata.sorted_tables if "tenant" in table.c]
    return {
        table: [dict(row) for row in connection.execute(select(table).where(table.c.tenant == tenant)).mappings()]
        for table in about_tenants
    }


def _copy(
    connection: Connection, old: str, pattern: dict[Table, Rows], prefix: str, numbers: range, position: int
) -> int:
    """
    Write the rows of *pattern*, which are of the tenant *old*, again for each of *numbers*, from *position* on.

    The database makes the rows by itself, one statement for each: a million tenants take it a minute.

    Returns:
        The next position.
    """
    places = sorted({row["position"] for rows in pattern.values() for row in rows if "position" in row})
    thousand = select(literal(0, BigInteger).label("digit")).cte("thousand", recursive=True)
    thousand = thousand.union_all(select(thousand.c.digit + 1).where(thousand.c.digit < 999))
    high, low = thousand.alias("high"), thousand.alias("low")
    turn = (high.c.digit * 1_000 + low.c.digit).label("turn")
    turns = select(turn).select_from(high.join(low, true())).where(turn < len(numbers)).subquery("turns")
    name = literal(prefix) + _padded(turns.c.turn * numbers.step + numbers.start, 7)
    for table, rows in pattern.items():
        for row in rows:
            values: dict[str, Any] = {
                key: func.replace(literal(value), old, name)
                if isinstance(value, str)
                else literal(value, table.c[key].type)
                for key, value in row.items()
            }
            if "position" in row:
                values["position"] = turns.c.turn * len(places) + position + places.index(row["position"])
            if "id" in row:
                values["id"] = _padded(values["position"], 18) + "-change"
            connection.execute(insert(table).from_select(list(values), select(*values.values()).select_from(turns)))
    return position + len(numbers) * len(places)


def _padded(number: ColumnElement[int], digits: int) -> ColumnElement[str]:
    """Write *number* with zeros before it, as every database can."""
    return func.substr(cast(number + literal(10**digits, BigInteger), String), 2)
