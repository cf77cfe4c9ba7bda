"""The statements of requests and writes find their rows by an index, however many tenants there are."""

from __future__ import annotations

import pytest

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.catalog.publishing import publish
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.flags.model import FlagSet
from payaid_entitlements.stores.ports import Scope
from payaid_entitlements.stores.sql.statements import Statements
from payaid_entitlements.testing.contracts.writes import catalog_write, flags_write, forgetting, tenant_write

TENANTS = 50_000

#: Rows with the column ``i`` from 1 on.
_SERIES = {
    "sqlite": f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {TENANTS}) SELECT i FROM n)",
    "postgresql": f"generate_series(1, {TENANTS}) AS n(i)",
    "mysql": f"(SELECT seq AS i FROM seq_1_to_{TENANTS}) AS n",
}
_ROWS = {
    "tenants": "'tenant-' || i, 1, 1, '{}', 'plan-' || mod(i, 100), 1",
    "tenant_modules": "'tenant-' || i, 'module-' || mod(i, 50)",
    "changes": "i, 'change-' || i, 'tenant', 'tenant-' || i, 1, 1, i, 'subscribe', 'asha', NULL, 'op-' || i, '', NULL, "
    "'[]', '{}'",
    "outbox": "i, 'tenant.subscribe', 'tenant-' || i, '{}'",
    "catalog": "i, 1, '{}'",
    "controls": "i, 1, '{}'",
    "flags": "i, 1, '{}'",
    "tallies": "'flag-' || i, 'arm', i",
}


@pytest.fixture
def filled(host_engine):
    """
    A database with many tenants, of which the planner has been told.

    Also tables that have one row have many here: a planner that reads one page of one row is right to.
    """
    dialect = host_engine.dialect.name
    rows = _ROWS | {"sequencer": "i + 1, i"}
    if dialect == "postgresql":
        del rows["tenant_modules"]
        rows["tenants"] += ", ARRAY['module-' || mod(i, 50)]"
    with host_engine.begin() as connection:
        if dialect == "mysql":
            connection.exec_driver_sql("SET SESSION sql_mode = 'PIPES_AS_CONCAT'")
        for table, row in rows.items():
            connection.exec_driver_sql(f"INSERT INTO payaid_{table} SELECT {row} FROM {_SERIES[dialect]}")
    with host_engine.begin() as connection:
        told = [f"ANALYZE TABLE payaid_{table}" for table in rows] if dialect == "mysql" else ["ANALYZE"]
        for each in told:
            connection.exec_driver_sql(each)
    return host_engine


KNOWN = TenantDocument("tenant-7", 1)
CATALOG = {"catalog": 1, "modules": {"crm": {"title": "CRM"}}, "plans": {"pro": {"modules": ["crm"]}}}
CHANGE = tenant_write("tenant-7", KNOWN)
ERASURE = forgetting(KNOWN)


ASKED = {
    "read one": lambda s: s.read(["tenant-7"])[0],
    "read many": lambda s: s.read(["tenant-7", "tenant-8", "tenant-9"])[0],
    "head": lambda s: (s.head, {}),
    "catalog": lambda s: (s.catalog, {}),
    "controls": lambda s: (s.controls, {}),
    "flags": lambda s: (s.flags, {}),
    "tallies": lambda s: (s.tallies, {"name": "flag-7"}),
    "drop tallies": lambda s: (s.drop_tallies("flag-7"), {}),
    "log": lambda s: (s.log.limit(1001), {"position": TENANTS - 10}),
    "find": lambda s: (s.find(None, None, None, 100), {}),
    "find, next page": lambda s: (s.find(None, None, "tenant-5", 100), {}),
    "find by module": lambda s: (s.find("module-7", None, "tenant-5", 10), {}),
    "find by plan": lambda s: (s.find(None, "plan-7", "tenant-5", 10), {}),
    "find by both": lambda s: (s.find("module-7", "plan-7", None, 10), {}),
    "audit": lambda s: (s.audit(None, None, None, None, None, 100, 100), {}),
    "audit of a tenant": lambda s: (s.audit("tenant-7", None, None, None, None, 0, 100), {}),
    "audit by id": lambda s: (s.audit(None, None, "change-7", None, None, 0, 100), {}),
    "audit by operation": lambda s: (s.audit(None, None, None, "op-7", None, 0, 100), {}),
    "audit of a tenant by operation": lambda s: (s.audit("tenant-7", Scope.TENANT, None, "op-7", None, 0, 1), {}),
    "audit of the switches by operation": lambda s: (s.audit(None, Scope.CONTROLS, None, "op-7", None, 0, 1), {}),
    "audit of the flags": lambda s: (s.audit(None, Scope.FLAGS, None, None, 5, 0, 100), {}),
    "audit of the switches": lambda s: (s.audit(None, Scope.CONTROLS, None, None, 5, 0, 100), {}),
    "outbox": lambda s: (s.outbox(TENANTS - 10, 100), {}),
    "known operation": lambda s: (s.known_operation("tenant-7", "op-7"), {}),
    "compare and set": lambda s: (s.compare_and_set(CHANGE, 1), {}),
    "found revision": lambda s: (s.found_revision(Scope.TENANT, "tenant-7"), {}),
    "found revision of the flags": lambda s: (s.found_revision(Scope.FLAGS, None), {}),
    "revision beside": lambda s: (s.revision_beside(Scope.CATALOG), {}),
    "faster": lambda s: (s.faster(Scope.TENANT, "tenant-7", 1), {}),
    "known operation, as it is now": lambda s: (s.known_operation("tenant-7", "op-7", is_latest=True), {}),
    "publish": lambda s: (s.compare_and_set(catalog_write(publish(None, Catalog.load(CATALOG))[0]), 1), {}),
    "flags, changed": lambda s: (s.compare_and_set(flags_write(FlagSet(1)), 1), {}),
    "next position": lambda s: (s.next_position[0], {}),
    "erase changes": lambda s: (_all(s.erase(ERASURE))[0], {}),
    "erase outbox": lambda s: (_all(s.erase(ERASURE))[1], {}),
}
#: Where modules have a table of their own.
MODULES = {
    "old modules": lambda s: (_all(s.licensed.statements(CHANGE, 1))[0], {}),
}


def _all(statements):
    return tuple(statements)


def _plan(engine, asked) -> list[str]:
    statement, values = asked(Statements("payaid_", engine.dialect.name))
    compiled = (statement.params(**values) if values else statement).compile(
        dialect=engine.dialect, compile_kwargs={"literal_binds": True, "render_postcompile": True}
    )
    explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"{explain} {compiled}".replace("%%", "%")).mappings().all()
        if engine.dialect.name == "mysql":
            return [f"{row['type']} {row['table']} {row['key']} {row['rows']}" for row in rows]
        return [str(list(row.values())[-1]) for row in rows]


def test_no_statement_reads_a_whole_table(filled):
    asked = ASKED if filled.dialect.name == "postgresql" else ASKED | MODULES
    plans = {name: _plan(filled, each) for name, each in asked.items()}
    assert {name: plan for name, plan in plans.items() if any(map(_is_whole, plan))} == {}
    assert all(plans.values())
    if filled.dialect.name == "postgresql":
        # Who has a module that few have is found by the index of what is in the arrays.
        rare = _plan(filled, lambda s: (s.find("module-of-nobody", None, None, 100), {}))
        assert any("payaid_tenants_modules" in line for line in rare), rare


def _is_whole(line: str) -> bool:
    """Is this step a walk through all rows of a table of ours, in no order of use?"""
    if "Seq Scan on payaid_" in line:
        return True
    if line.startswith(("ALL payaid_", "index payaid_")):
        # MariaDB says so of the page of `find` too, which is walked along the key and ends with the page.
        return not line.startswith("index payaid_tenants PRIMARY")
    # On SQLite a walk along an index is a SCAN too; the page of `find` is walked once it has been found.
    return line.strip().startswith("SCAN payaid_") and " USING " not in line
