"""
Many tenants, quickly: what the library itself wrote for one tenant of each plan is copied for the others.

Document, index, change log and outbox all grow, as they would if each tenant had subscribed by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, insert, select, text, update

from benchmarks.measuring import Tick
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.stores.sql import SQLStore
from payaid_entitlements.stores.sql.engines import begin_immediate, sync_engine
from payaid_entitlements.stores.sql.tables import Tables, tables

CATALOG: Final = Path(__file__).parent.parent / "examples" / "payaid" / "catalog.yaml"

#: What every seeded tenant has. `crm` is in each plan, `whatsapp` in none of these.
PLANS: Final = ("free", "starter", "professional")
HELD, REFUSED = "crm", "whatsapp"

_CHUNK = 2_000

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
    engine, all_tables = sync_engine(url), tables()
    if engine.dialect.name == "sqlite":
        # Else each row would be a transaction of its own, and wait for the disk.
        begin_immediate(engine)
    with engine.begin() as connection:
        patterns = {name: _pattern(connection, all_tables, f"like-{name}") for name in (*PLANS, "override")}
        for table in (all_tables.tenants, all_tables.modules):
            connection.execute(delete(table).where(table.c.tenant.like("like-%")))
        position = 1_000
        wanted = [(tenant_name(number), PLANS[number % len(PLANS)]) for number in range(count)]
        wanted += [(overridden_name(number), "override") for number in range(count // 10)]
        for begin in range(0, len(wanted), _CHUNK):
            position = _copy(connection, patterns, wanted[begin : begin + _CHUNK], position)
            tick()
        connection.execute(update(all_tables.sequencer).values(position=position))
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
    engine.dispose()


def _pattern(connection: Connection, all_tables: Tables, tenant: str) -> dict[Table, Rows]:
    """All rows that the library wrote for *tenant*."""
    return {
        table: [dict(row) for row in connection.execute(select(table).where(table.c.tenant == tenant)).mappings()]
        for table in (all_tables.tenants, all_tables.modules, all_tables.changes, all_tables.outbox)
    }


def _copy(
    connection: Connection, patterns: Mapping[str, dict[Table, Rows]], wanted: list[tuple[str, str]], position: int
) -> int:
    """Write the rows of *wanted*, each like its pattern, behind *position*; gives the last position."""
    found: dict[Table, Rows] = {}
    for tenant, pattern in wanted:
        moved: dict[int, int] = {}
        for table, rows in patterns[pattern].items():
            for row in rows:
                copied = {key: _renamed(value, f"like-{pattern}", tenant) for key, value in row.items()}
                if "position" in row:
                    if row["position"] not in moved:
                        position += 1
                        moved[row["position"]] = position
                    copied["position"] = moved[row["position"]]
                if "id" in row:
                    copied["id"] = f"{copied['position']:026d}"
                found.setdefault(table, []).append(copied)
    for table, rows in found.items():
        connection.execute(insert(table), rows)
    return position


def _renamed(value: object, old: str, new: str) -> object:
    return value.replace(old, new) if isinstance(value, str) else value
