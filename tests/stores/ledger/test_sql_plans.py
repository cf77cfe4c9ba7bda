"""The statements of the ledger find their rows by an index, however many tenants and acts there are."""

from __future__ import annotations

import pytest

from payaid_entitlements.stores.sql.ledger.statements import Statements
from payaid_entitlements.stores.sql.tables import tables

ROWS = 30_000

#: Rows with the column ``i`` from 1 on.
_SERIES = {
    "sqlite": f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) SELECT i FROM n)",
    "postgresql": f"generate_series(1, {ROWS}) AS n(i)",
    "mysql": f"(SELECT seq AS i FROM seq_1_to_{ROWS}) AS n",
}
#: One tenant has a hundredth of all, the rest one row each.
_TENANT = "CASE mod(i, 100) WHEN 0 THEN 'large' ELSE 'tenant-' || i END"
_FILLED = {
    "accounts": f"{_TENANT}, 'api', 'w' || i, 5, 1, 10, 0, NULL, 0",
    "entries": f"{_TENANT}, 'op-' || i, 0, 'debit', 'd', i, '[]', '[]'",
    "holds": f"{_TENANT}, 'op-' || i, 0, 'api', 'w' || i, 1, 1, i, i + 1000, '[]'",
    "slots": f"{_TENANT}, 'seats-' || mod(i, 9), 'holder-' || i, i, i + 1000",
    "events": f"'event-' || i, {_TENANT}, 'op-' || i, 'api', 1, 1, i, CASE WHEN i < 10 THEN i ELSE 0 END",
}


@pytest.fixture
def filled(host_engine):
    """A ledger in which much was counted, of which the planner has been told."""
    dialect = host_engine.dialect.name
    with host_engine.begin() as connection:
        if dialect == "mysql":
            connection.exec_driver_sql("SET SESSION sql_mode = 'PIPES_AS_CONCAT'")
        for table, row in _FILLED.items():
            connection.exec_driver_sql(f"INSERT INTO payaid_usage_{table} SELECT {row} FROM {_SERIES[dialect]}")
    with host_engine.begin() as connection:
        told = [f"ANALYZE TABLE payaid_usage_{table}" for table in _FILLED] if dialect == "mysql" else ["ANALYZE"]
        for each in told:
            connection.exec_driver_sql(each)
    return host_engine


KEY = {"key_tenant": "large", "key_operation": "op-300", "key_part": 0, "key_feature": "seats-3", "key_id": "event-3"}
KEY |= {"key_meter": "api", "key_lot": "w300", "key_holder": "holder-3", "key_expires": 5, "now": 5, "limit": 10}
MANY = {
    f"{name}{number}": f"{value}{300 + number}"
    for name, value in (("lot", "w"), ("holder", "h"))
    for number in range(9)
}
MANY |= {f"meter{number}": "api" for number in range(9)}
NEW = dict.fromkeys(("new_used", "new_held", "new_cap", "new_is_opened", "new_over_since", "new_claimed", "amount"), 1)

ASKED = {
    "an account": lambda s: s.accounts(1),
    "accounts": lambda s: s.accounts(9),
    "a balance": lambda s: s.balances(1),
    "balances": lambda s: s.balances(9),
    "an account that is moved": lambda s: s.set_account,
    "folding": lambda s: s.fold,
    "the lock": lambda s: s.take_lock,
    "the lock, as it is seen": lambda s: s.see_lock,
    "passing": lambda s: s.pass_lock,
    "an act": lambda s: s.entries_of(is_latest=False),
    "an act, as it is now": lambda s: s.entries_of(is_latest=True),
    "acts": lambda s: s.entries,
    "old acts": lambda s: s.old_entries,
    "forgetting an act": lambda s: s.drop_entry,
    "a hold": lambda s: s.hold(is_latest=False),
    "a hold that is open": lambda s: s.open_hold,
    "holds that expired": lambda s: s.expired(1, is_latest=False),
    "holds of many accounts that expired": lambda s: s.expired(9, is_latest=True),
    "a hold that ends": lambda s: s.drop_hold,
    "slots of one": lambda s: s.slots_of(1, is_latest=False),
    "slots of two": lambda s: s.slots_of(2, is_latest=True),
    "the next slot": lambda s: s.next_slot(is_latest=False),
    "slots of a feature": lambda s: s.slots(of_one=True),
    "slots": lambda s: s.slots(of_one=False),
    "a slot that ends": lambda s: s.drop_slot,
    "events": lambda s: s.free_events,
    "an event": lambda s: s.claim_event,
    "an event that was told": lambda s: s.drop_event,
    "tenants": lambda s: s.tenants,
    "the book of a tenant": lambda s: s.book,
    **{f"forgetting, {number}": lambda s, number=number: s.forget[number] for number in range(5)},
    "accounts that nobody posted to": lambda s: s.drop_blank,
}


def _plan(engine, prepared) -> list[str]:
    explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    values = prepared.of(KEY | MANY | NEW | {"before": 20})
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"{explain} {prepared.sql}", values).mappings().all()
        if engine.dialect.name == "mysql":
            return [f"{row['type']} {row['table']} {row['key']} {row['rows']}" for row in rows]
        return [str(list(row.values())[-1]) for row in rows]


def test_no_statement_reads_a_whole_table(filled):
    statements = Statements(tables(filled.dialect.name).ledger, filled.dialect)
    plans = {name: _plan(filled, make(statements)) for name, make in ASKED.items()}
    assert {name: plan for name, plan in plans.items() if any(map(_is_whole, plan))} == {}
    assert all(plans.values())


def _is_whole(line: str) -> bool:
    """Is this step a walk through all rows of a table of ours, in no order of use?"""
    if "Seq Scan on payaid_" in line:
        return True
    if line.startswith(("ALL payaid_", "index payaid_", "ALL later", "ALL old", "index old")):
        # The pages of tenants and of events are walked along the key, and end with the page.
        return not line.startswith(("index payaid_usage_accounts PRIMARY", "index payaid_usage_events PRIMARY"))
    # On SQLite a table is its key, and the page of events is walked along that.
    return line.strip().startswith("SCAN payaid_") and " USING " not in line and line != "SCAN payaid_usage_events"
