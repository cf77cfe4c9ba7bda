"""The statements of requests and writes find their rows by an index, however many tenants there are."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.stores.ports import Scope, Write
from payaid_entitlements.stores.sql.statements import Statements
from payaid_entitlements.testing.contracts.writes import forgetting, tenant_write

TENANTS = 50_000

#: Rows with the column ``i`` from 1 on.
_SERIES = {
    "sqlite": f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {TENANTS}) SELECT i FROM n)",
    "postgresql": f"generate_series(1, {TENANTS}) AS n(i)",
}
_ROWS = {
    "tenants": "'tenant-' || i, 1, 1, '{}', 'plan-' || mod(i, 100), 1",
    "tenant_modules": "'module-' || mod(i, 50), 'tenant-' || i",
    "changes": "i, 'change-' || i, 'tenant', 'tenant-' || i, 1, 1, i, 'subscribe', 'asha', NULL, 'op-' || i, '', NULL, "
    "'[]', '{}'",
    "outbox": "i, 'tenant.subscribe', 'tenant-' || i, '{}'",
}


@pytest.fixture
def filled(host_engine):
    """A database with many tenants, of which the planner has been told."""
    with host_engine.begin() as connection:
        for table, row in _ROWS.items():
            series = _SERIES[host_engine.dialect.name]
            connection.exec_driver_sql(f"INSERT INTO payaid_{table} SELECT {row} FROM {series}")
    with host_engine.begin() as connection:
        connection.execute(text("ANALYZE"))
    return host_engine


KNOWN = TenantDocument("tenant-7", 1)
CHANGE = tenant_write("tenant-7", KNOWN)
ERASURE = forgetting(KNOWN)


def _writes(statements: Statements, write: Write):
    return (*statements.index(write), *statements.erase(write))


ASKED = {
    "read one": lambda s: s.read(["tenant-7"]),
    "read many": lambda s: s.read(["tenant-7", "tenant-8", "tenant-9"]),
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
    "audit of the switches": lambda s: (s.audit(None, Scope.CONTROLS, None, None, 5, 0, 100), {}),
    "outbox": lambda s: (s.outbox(TENANTS - 10, 100), {}),
    "known operation": lambda s: (s.known_operation("tenant-7", "op-7"), {}),
    "compare and set": lambda s: (s.compare_and_set(CHANGE, 1), {}),
    "found revision": lambda s: (s.found_revision(CHANGE), {}),
    "faster": lambda s: (s.faster(CHANGE, 1), {}),
    "index": lambda s: (_writes(s, CHANGE)[0], {}),
    "erase changes": lambda s: (_writes(s, ERASURE)[1], {}),
    "erase outbox": lambda s: (_writes(s, ERASURE)[2], {}),
}


def _plan(engine, asked) -> list[str]:
    statement, values = asked(Statements("payaid_", engine.dialect.name))
    compiled = (statement.params(**values) if values else statement).compile(
        dialect=engine.dialect, compile_kwargs={"literal_binds": True, "render_postcompile": True}
    )
    explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    with engine.connect() as connection:
        return [str(row[-1]) for row in connection.exec_driver_sql(f"{explain} {compiled}")]


def test_no_statement_reads_a_whole_table(filled):
    plans = {name: _plan(filled, asked) for name, asked in ASKED.items()}
    assert {name: plan for name, plan in plans.items() if any(map(_is_whole, plan))} == {}
    assert all(plans.values())


def _is_whole(line: str) -> bool:
    """Is this step a walk through all rows of a table of ours, in no order of use?"""
    if "Seq Scan on payaid_" in line:
        return True
    # On SQLite a walk along an index is a SCAN too; the page of `find` is walked once it has been found.
    return line.strip().startswith("SCAN payaid_") and " USING " not in line
