"""`payaid usage` and `payaid assignments`: what is counted, as an operator sees it."""

import json
import sqlite3
from contextlib import contextmanager
from datetime import timedelta

import pytest
import time_machine

from payaid_entitlements import Catalog, Entitlements
from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.cli.written import counted
from payaid_entitlements.core.catalog.model import Kind


@contextmanager
def opened(terminal):
    """A client of the terminal's store, at its time."""
    with time_machine.travel(terminal.now, tick=False), Entitlements.open(terminal.url) as ent:
        yield ent


@pytest.fixture
def used(terminal):
    """Two tenants have used something, and two seats are taken."""
    with opened(terminal) as ent:
        admin = ent.admin("asha", because="test")
        for tenant in ("one", "two", "three"):
            admin.subscribe(tenant, "starter")
        ent.consume("one", "invoicing.invoices", 40, operation="o1")
        ent.consume("two", "invoicing.invoices", 104, operation="o2")
        ent.assign("one", "seats", "member:1")
        ent.assign("one", "seats", "member:2")
    return terminal


def test_usage_is_shown_with_a_bar(used):
    output = used.run("usage", "show", "one")
    assert output.code == 0
    (line,) = [line for line in output.out.splitlines() if "invoicing.invoices" in line]
    assert "40" in line
    assert "████████░░░░░░░░░░░░ 40 %" in line
    data = used.run("usage", "show", "one", "--json").data
    assert data["tenant"] == "one"
    (line,) = [each for each in data["usage"] if each["feature"] == "invoicing.invoices"]
    assert (line["used"], line["limit"], line["remaining"]) == (40, 100, 60)


def test_those_nearest_to_their_limit_come_first(used):
    rows = used.run("usage", "top", "invoicing.invoices", "--json").data
    assert [(row["tenant"], row["used"], row["overage"]) for row in rows] == [("two", 104, 4), ("one", 40, 0)]
    assert [row["tenant"] for row in used.run("usage", "top", "invoicing.invoices", "--limit", "1", "--json").data] == [
        "two"
    ]
    shown = used.run("usage", "top", "invoicing.invoices").out
    assert "104 +4" in shown
    assert "104 %" in shown
    assert shown.index("two") < shown.index("one ")
    assert used.run("usage", "top", "invoicing.invoice").code == 2


def test_all_of_it_goes_into_a_spreadsheet(used):
    output = used.run("usage", "export", "usage.csv")
    assert output.code == 0
    lines = (used.directory / "usage.csv").read_text().splitlines()
    assert lines[0] == "tenant,feature,unit,limit,used,held,remaining,overage,resets_at"
    assert any(line.startswith("one,invoicing.invoices,invoice,100,40,0,60,0,") for line in lines)
    assert f"{len(lines) - 1} lines" in output.err
    rows = [json.loads(line) for line in used.run("usage", "export", "-", "--format", "jsonl").out.splitlines()]
    assert {row["tenant"] for row in rows} == {"one", "two"}
    assert used.run("usage", "export", "usage.jsonl", "--json").data == {"file": "usage.jsonl", "lines": len(rows)}
    assert [json.loads(line) for line in (used.directory / "usage.jsonl").read_text().splitlines()] == rows
    assert used.run("usage", "export", "-", "--json").code == 2
    assert used.run("usage", "export", "no/such/folder.csv").code == 2


def test_what_is_without_a_limit_is_said_in_a_word(terminal):
    with opened(terminal) as ent:
        ent.admin("asha", because="test").subscribe("big", "enterprise")
        ent.consume("big", "invoicing.invoices", 3, operation="o1")
    assert ",unlimited,3,0,unlimited,0," in terminal.run("usage", "export", "-").out
    (line,) = [each for each in terminal.run("usage", "show", "big").out.splitlines() if "invoicing.invoices" in each]
    assert line.count("unlimited") == 2


def test_balances_that_add_up(used):
    output = used.run("usage", "audit")
    assert output.code == 0
    assert "all balances add up  2 tenants" in output.out
    assert used.run("usage", "audit", "one", "--json").data == {"tenants": 1, "is_sound": True, "findings": []}


def test_balances_that_somebody_changed_by_hand(used):
    with sqlite3.connect(used.directory / "payaid.db") as database:
        database.execute("UPDATE payaid_usage_accounts SET used = used + 1 WHERE tenant = 'one' AND meter LIKE 'inv%'")
    database.close()
    output = used.run("usage", "audit")
    assert output.code == 1
    assert "1 does not add up" in output.out
    data = used.run("usage", "audit", "--json").data
    assert not data["is_sound"]
    ((meter, counted, recomputed),) = [(e["meter"], e["counted"], e["recomputed"]) for e in data["findings"]]
    assert (meter, counted, recomputed) == ("invoicing.invoices", 41, 40)


def test_what_is_only_overdue_is_told_and_is_no_failure(used):
    with opened(used) as ent:
        ent.assign("one", "seats", "guest:1", expires_in=timedelta(microseconds=1))
    used.later(days=9)  # the ledger goes by its own clock, which nobody has stopped
    output = used.run("usage", "audit")
    assert output.code == 0
    assert "overdue" in output.out
    assert "guest:1" in output.out


def test_old_operations_are_forgotten_and_young_ones_are_kept(used):
    assert used.run("usage", "prune", "--json").data == {"forgotten": 0}
    with sqlite3.connect(used.directory / "payaid.db") as database:
        database.execute(
            "UPDATE payaid_usage_entries SET recorded = recorded - 100 * 86400 * 1000000 WHERE operation = 'o1'"
        )
    database.close()
    output = used.run("usage", "prune", "--older-than", "60d")
    assert output.code == 0
    assert "forgotten 1 entries" in output.out
    assert used.run("usage", "audit").code == 0
    assert used.run("usage", "prune", "--older-than", "soon").code == 2


def test_a_store_without_a_ledger_says_so(used, monkeypatch):
    monkeypatch.setattr("payaid_entitlements.stores.sql.store.SQLStore.ledger", None)
    output = used.run("usage", "audit")
    assert output.code == 2
    assert "PAYAID_LEDGER" in output.err


def test_a_ledger_elsewhere_is_named_by_the_environment(used):
    used.environment["PAYAID_LEDGER"] = "sqlite:///usage.db"
    assert used.run("usage", "audit", "--json").data["tenants"] == 0


def test_slots_are_listed_and_brought_in_line(used):
    rows = used.run("assignments", "list", "one", "seats", "--json").data
    assert [row["holder"] for row in rows] == ["member:1", "member:2"]
    assert "member:2" in used.run("assignments", "list", "one", "seats").out
    (used.directory / "holders").write_text("member:2\n\nmember:3\n")
    ask = ("assignments", "reconcile", "one", "seats", "--holders", "holders", "--because", "deleted by hand")
    refused = used.run(*ask)
    assert refused.code == 2
    assert "member:1" in refused.out
    assert len(used.run("assignments", "list", "one", "seats", "--json").data) == 2
    output = used.run(*ask, "--yes")
    assert output.code == 0
    assert "1 freed, 1 given" in output.out
    rows = used.run("assignments", "list", "one", "seats", "--json").data
    assert [row["holder"] for row in rows] == ["member:2", "member:3"]
    assert "nothing to do" in used.run(*ask, "--yes").out
    assert used.run(*ask, "--json").data == {"freed": [], "assigned": []}


@pytest.mark.parametrize(
    ("command", "key", "says"),
    [
        (("usage", "top"), "invoicing", "is of kind module, not quota or allocation or credit"),
        (("assignments", "list", "one"), "invoicing.invoices", "is of kind quota, not allocation"),
    ],
)
def test_what_is_counted_otherwise_is_one_sentence(used, command, key, says):
    """And no traceback."""
    output = used.run(*command, key)
    assert output.code == 2
    assert says in output.err


def test_rows_of_the_app_are_nothing_that_the_ledger_knows():
    catalog = Catalog.load({"features": {"rows": {"kind": "allocation", "count": "host"}}, "plans": {"one": {}}})
    with pytest.raises(Ending, match="own rows"):
        counted(catalog, "rows", Kind.ALLOCATION)


def test_a_list_of_holders_that_is_not_there(used):
    ask = ("assignments", "reconcile", "one", "seats", "--because", "x", "--holders")
    assert used.run(*ask, "nowhere").code == 2
    when = ("--as-of", "2026-11-22T00:00Z")
    piped = used.run(*ask, "-", *when, "--yes", answers="member:1\nmember:2\n")
    assert piped.code == 0
    assert "nothing to do" in piped.out
