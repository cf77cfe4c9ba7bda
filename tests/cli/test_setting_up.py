"""`payaid init`, `seed`, `doctor` and `db`."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from payaid_entitlements import Catalog, Entitlements
from payaid_entitlements.cli.examples import example, example_directory
from tests.cli.conftest import NOW, Terminal

WITHOUT_PLANS = "catalog: 1\ndefault_plan: none\nmodules: {crm: {features: {export: {kind: switch}}}}\n"
SMALL = """\
catalog: 1
default_plan: none
modules:
  crm: {features: {export: {kind: switch}}}
  hr: {features: {payroll: {kind: switch}}}
plans:
  free: {modules: [crm]}
add_ons:
  more: {title: More, modules: [hr]}
"""
LATER = """\
catalog: 1
default_plan: none
modules:
  crm: {features: {export: {kind: switch}}}
plans:
  free: {modules: [crm]}
retired: {hr: 2026-11-01, hr.payroll: 2026-11-01}
"""

# -- init -----------------------------------------------------------------------------------------------------------


def test_the_first_steps_that_init_names_work(empty: Terminal) -> None:
    output = empty.run("init")
    assert (output.code, output.err) == (0, "")
    assert output.out.startswith("wrote catalog.yaml. Next:")
    assert empty.run("catalog", "validate", "--strict").code == 0
    assert empty.run("catalog", "publish", "--because", "first catalog", "--yes").code == 0
    assert empty.run("catalog", "types", "-o", "keys.py").code == 0
    assert empty.run("check", "some-tenant", "crm.export").code == 1


def test_init_replaces_nothing_by_itself(empty: Terminal) -> None:
    (empty.directory / "catalog.yaml").write_text("mine")
    output = empty.run("init")
    assert (output.code, output.out) == (2, "")
    assert output.err == "payaid: catalog.yaml is there already; nothing was written (--force replaces it)"
    assert (empty.directory / "catalog.yaml").read_text() == "mine"
    assert empty.run("init", "--force", "--json").data["file"] == "catalog.yaml"
    assert Catalog.load(empty.directory / "catalog.yaml").plans.keys() == {"free", "team"}


def test_a_file_that_cannot_be_written_is_a_sentence(empty: Terminal) -> None:
    for arguments in (["init", "nowhere/catalog.yaml"], ["catalog", "schema", "--out", "nowhere/catalog.yaml"]):
        output = empty.run(*arguments)
        assert (output.code, output.out) == (2, "")
        assert output.err == "payaid: nowhere/catalog.yaml: No such file or directory"


# -- seed -----------------------------------------------------------------------------------------------------------


def test_the_tenants_of_the_example_fill_a_new_store(empty: Terminal) -> None:
    output = empty.run("seed", "--yes")
    assert (output.code, output.err) == (0, "")
    assert output.out.splitlines()[:4] == [
        "database sqlite:///payaid.db",
        "  catalog  nothing -> the example's, published twice, as history did",
        "  tenants  what is there -> 12 more",
        "  because tenants to try things out with",
    ]
    assert "│ kaveri     │ starter: crm and invoicing" in output.out
    assert len(empty.run("tenant", "list", "--json").data) == 11  # tiny-shop has never subscribed


def test_seeding_twice_changes_nothing(terminal: Terminal) -> None:
    trail = terminal.run("audit", "--limit", "1000", "--json").data
    output = terminal.run("seed")
    assert (output.code, output.out) == (0, "nothing to do: the tenants are in sqlite:///payaid.db already")
    assert terminal.run("seed", "--json").data["made"] == 0
    assert terminal.run("audit", "--limit", "1000", "--json").data == trail


def test_a_store_where_the_catalog_alone_is_published_is_seeded_too(empty: Terminal) -> None:
    catalog = str(example_directory() / "catalog.yaml")
    assert empty.run("catalog", "publish", catalog, "--because", "x", "--yes").code == 0
    assert empty.run("seed", "--yes", "--json").data["tenants"] == example("tenants").TENANTS
    assert empty.run("tenant", "list", "--plan", "professional", "--json").data != []


def test_made_up_tenants_are_the_same_each_time(terminal: Terminal) -> None:
    output = terminal.run("seed", "--tenants", "20", "--because", "a load test", "--yes")
    assert output.code == 0
    assert "made 20 more, customer-000001 on" in output.out
    assert terminal.run("seed", "--tenants", "21", "--yes", "--json").data["made"] == 1
    assert len(terminal.run("tenant", "list", "--json").data) == 11 + 21


def test_made_up_tenants_are_for_any_catalog_and_the_example_is_not(empty: Terminal) -> None:
    empty.run("init")
    empty.run("catalog", "publish", "--because", "x", "--yes")
    output = empty.run("seed", "--yes")
    assert (output.code, output.out) == (2, "")
    assert "another catalog than the example's is sold here" in output.err
    made = empty.run("seed", "--tenants", "5", "--yes")
    assert made.code == 0
    assert "kaveri" not in made.out
    assert {row["plan"] for row in empty.run("tenant", "list", "--json").data} <= {"free", "team"}


def test_where_no_plan_is_sold_nobody_can_be_made(empty: Terminal) -> None:
    (empty.directory / "catalog.yaml").write_text(WITHOUT_PLANS)
    assert empty.run("catalog", "publish", "--because", "x", "--yes").code == 0
    output = empty.run("seed", "--tenants", "5", "--yes")
    assert output.code == 2
    assert output.err.endswith("payaid: no plan is sold here, so nobody can be subscribed")


def test_the_example_is_found_in_the_wheel_or_beside_it_or_missed(
    empty: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("payaid_entitlements.cli.examples.PLACES", (tmp_path / "nowhere",))
    output = empty.run("seed", "--yes")
    assert output.code == 2
    assert output.err == "payaid: the example is not here; install the package from its wheel, or run from a clone"


# -- doctor ---------------------------------------------------------------------------------------------------------


def findings(terminal: Terminal) -> dict[str, dict[str, Any]]:
    return {each["check"]: each for each in terminal.run("doctor", "--json").data["findings"]}


def test_a_well_store_is_well(terminal: Terminal) -> None:
    output = terminal.run("doctor")
    assert (output.code, output.err) == (0, "")
    assert output.out.splitlines()[0] == "sqlite:///payaid.db"
    found = findings(terminal)
    assert {check for check, each in found.items() if each["state"] != "ok"} == {"old versions"}
    assert found["old versions"]["found"] == "starter@1 (1 x) are held, and kept"
    assert found["tenants"]["found"] == "11 are known"


def test_a_store_in_which_nothing_is_published_fails(empty: Terminal) -> None:
    assert empty.run("db", "upgrade", "--because", "x", "--yes").code == 0
    output = empty.run("doctor", "--json")
    assert output.code == 1
    assert output.data["ok"] is False
    assert {each["check"]: each["state"] for each in output.data["findings"]}["catalog"] == "fail"


def test_what_is_lost_with_the_process_is_not_durable(empty: Terminal) -> None:
    output = empty.run("doctor", "--url", "memory://", "--json")
    assert output.code == 1
    assert output.data["findings"][0]["state"] == "fail"
    assert "memory of this process" in output.data["findings"][0]["found"]


def test_it_is_said_where_usage_is_counted_and_what_that_cannot_promise(terminal: Terminal) -> None:
    assert findings(terminal)["usage"] == {"check": "usage", "state": "ok", "found": "is counted", "way_out": ""}
    terminal.environment["PAYAID_LEDGER"] = "sqlite:///usage.db"
    assert terminal.run("db", "upgrade", "--url", "sqlite:///usage.db", "--because", "x", "--yes").code == 0
    assert findings(terminal)["usage"]["found"] == "is counted in sqlite:///usage.db"
    terminal.environment["PAYAID_LEDGER"] = "memory://"
    output = terminal.run("doctor", "--json")
    (said,) = [each for each in output.data["findings"] if each["check"] == "usage"]
    assert (output.code, said["state"]) == (1, "fail")
    assert "ends with it in memory; not so: what was recorded is kept" in said["found"]


def test_a_ledger_that_gives_no_answer_fails_and_the_rest_is_looked_at(terminal: Terminal) -> None:
    terminal.environment["PAYAID_LEDGER"] = "redis://127.0.0.1:1"
    output = terminal.run("doctor", "--json")
    found = {each["check"]: each for each in output.data["findings"]}
    assert output.code == 1
    assert {check for check, each in found.items() if each["state"] == "fail"} == {"usage"}
    assert found["usage"]["found"].startswith("redis://127.0.0.1:1")
    assert "PAYAID_LEDGER" in found["usage"]["way_out"]


def test_a_store_that_counts_nothing_is_pointed_out(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payaid_entitlements.cli.opening.find_ledger", lambda store, place: (None, None))
    found = findings(terminal)["usage"]
    assert (found["state"], found["found"]) == ("warn", "is counted nowhere")


def test_soft_enforcement_and_kill_switches_are_pointed_out(terminal: Terminal) -> None:
    with time_machine.travel(NOW, tick=False), Entitlements.open(terminal.url) as ent:
        ent.admin("ops", because="fire").kill("hr")
    terminal.environment["PAYAID_ENFORCEMENT"] = "observe"
    found = findings(terminal)
    assert found["enforcement"]["state"] == "warn"
    assert "observe" in found["enforcement"]["found"]
    assert found["kill switches"]["found"] == "off for everybody: hr"


def test_a_clock_that_was_wrong_is_found(terminal: Terminal) -> None:
    terminal.later(seconds=-3)
    assert findings(terminal)["clock"]["state"] == "fail"
    terminal.later(seconds=1)
    assert findings(terminal)["clock"]["state"] == "ok"


def test_a_catalog_beside_the_store_is_compared(terminal: Terminal) -> None:
    file = terminal.directory / "catalog.yaml"
    text = (example_directory() / "catalog.yaml").read_text()
    file.write_text(text)
    assert findings(terminal)["catalog.yaml"]["found"] == "the file here is what is sold"
    file.write_text(text.replace("seats: 5\n", "seats: 7\n"))
    assert findings(terminal)["catalog.yaml"]["found"] == "the file here differs from what is sold in 1 places"
    file.write_text("catalog: 1\nplans: 5\n")
    assert findings(terminal)["catalog.yaml"]["found"].endswith("problems")


def test_lints_of_what_is_published_are_told(empty: Terminal) -> None:
    (empty.directory / "catalog.yaml").write_text(
        "catalog: 1\ndefault_plan: none\n"
        "modules: {crm: {features: {export: {kind: switch}}}}\nplans: {free: {modules: [crm]}}\n"
    )
    empty.run("catalog", "publish", "--because", "x", "--yes")
    found = findings(empty)["catalog"]
    assert found["state"] == "warn"
    assert "crm.export" in found["found"]


def test_ids_that_people_take_for_one_another_are_found(terminal: Terminal) -> None:
    with time_machine.travel(NOW, tick=False), Entitlements.open(terminal.url) as ent:
        admin = ent.admin("x", because="typing")
        admin.subscribe("Kaveri", "free")
        for number in range(6):
            admin.subscribe(f"twin-{number}", "free")
            admin.subscribe(f"TWIN-{number}", "free")
    found = findings(terminal)["ids"]
    assert found["state"] == "warn"
    assert "'Kaveri' / 'kaveri'" in found["found"] or "'kaveri' / 'Kaveri'" in found["found"]
    assert found["found"].endswith(" and 2 more")


def test_facts_that_give_nothing_any_more_are_counted(empty: Terminal) -> None:
    """Overrides of keys that the catalog of today does not know."""
    file = empty.directory / "catalog.yaml"
    file.write_text(SMALL)
    assert empty.run("catalog", "publish", "--because", "x", "--yes").code == 0
    with time_machine.travel(NOW, tick=False), Entitlements.open(empty.url) as ent:
        admin = ent.admin("x", because="before the change")
        admin.subscribe("acme", "free", add_ons={"more": 1})
        admin.override("acme", "hr", True)
    file.write_text(LATER)
    output = empty.run("catalog", "publish", "--because", "x", "--yes")
    assert output.code == 0, output.err
    found = findings(empty)
    # Whoever has an add-on keeps it, though it is not sold any more.
    assert found["add-ons held"]["found"] == "nothing to say"
    assert found["overrides"]["found"] == "hr (1 x) are about keys that no catalog has"


def test_an_override_of_a_rate_limit_is_about_something(terminal: Terminal) -> None:
    for key in ("rate_limits.api", "seats"):
        terminal.changed("override", "set", "kaveri", key, "unlimited", "--for", "1d", "--because", "x")
    assert findings(terminal)["overrides"]["found"] == "nothing to say"


def test_versions_that_were_never_published_here_fail(terminal: Terminal) -> None:
    """As after restoring an older backup of the catalog beside newer tenants."""
    with sqlite3.connect(terminal.directory / "payaid.db") as database:
        [(known,)] = database.execute("SELECT document FROM payaid_tenants WHERE tenant = 'crm-only'").fetchall()
        other = str(known).replace('"version":1', '"version":9')
        assert other != known
        database.execute("UPDATE payaid_tenants SET document = ? WHERE tenant = 'crm-only'", (other,))
    database.close()
    output = terminal.run("doctor", "--json")
    assert output.code == 1
    plans = {each["check"]: each for each in output.data["findings"]}["plans held"]
    assert plans["state"] == "fail"
    assert plans["found"] == "free@9 (1 x) were never published here, so they give nothing"


@pytest.mark.parametrize(
    ("version", "check", "found"),
    [
        (9, "add-ons held", "more@9 (1 x) were never published here, so they give nothing"),
        (1, "old versions", "more@1 (1 x) are held, and kept"),
        (2, "old versions", "nothing to say"),
    ],
)
def test_versions_of_add_ons_are_counted(empty: Terminal, version: int, check: str, found: str) -> None:
    """Those that are old, as of plans, and those that never were."""
    file = empty.directory / "catalog.yaml"
    for text in (SMALL, SMALL.replace("modules: [hr]}", "modules: [crm, hr]}")):
        file.write_text(text)
        assert empty.run("catalog", "publish", "--because", "x", "--yes").code == 0
    with time_machine.travel(NOW, tick=False), Entitlements.open(empty.url) as ent:
        ent.admin("x", because="a test").subscribe("acme", "free", add_ons={"more": 1})
    with sqlite3.connect(empty.directory / "payaid.db") as database:
        database.execute(
            "UPDATE payaid_tenants SET document = REPLACE(document, ?, ?)",
            ('{"quantity":1,"version":2}', f'{{"quantity":1,"version":{version}}}'),
        )
    database.close()
    assert findings(empty)[check]["found"] == found


# -- db -------------------------------------------------------------------------------------------------------------


def test_tables_are_made_checked_and_made_again_harmlessly(empty: Terminal) -> None:
    assert empty.run("db", "check").code == 2
    output = empty.run("db", "upgrade", "--because", "a new host", "--yes")
    assert output.code == 0
    assert output.out.splitlines()[:2] == ["database sqlite:///payaid.db", "  tables  none -> version 5"]
    assert empty.run("db", "upgrade", "--because", "again", "--yes", "--json").data == {
        "database": "sqlite:///payaid.db",
        "before": 5,
        "after": 5,
    }
    assert empty.run("db", "check").out == "ok sqlite:///payaid.db: version 5"
    assert empty.run("db", "check", "--json").data["ok"] is True
    assert empty.run("db", "current").out == "5"
    assert empty.run("db", "current", "--json").data["version"] == 5


def test_a_database_without_our_tables_is_not_ok(empty: Terminal) -> None:
    sqlite3.connect(empty.directory / "payaid.db").close()
    output = empty.run("db", "check")
    assert (output.code, output.out) == (1, "not ok sqlite:///payaid.db has no tables of ours, version 5 is needed")
    assert output.err == "  payaid db upgrade --because ..."
    assert empty.run("db", "check", "--json").data == {
        "database": "sqlite:///payaid.db",
        "ok": False,
        "version": None,
        "needed": 5,
    }
    assert empty.run("db", "current").out == "none"


def test_tables_of_another_version_are_named(terminal: Terminal) -> None:
    with sqlite3.connect(terminal.directory / "payaid.db") as database:
        database.execute("UPDATE payaid_schema SET version_num = '99.99'")
    database.close()
    assert "has tables of version 99, version 5 is needed" in terminal.run("db", "check").out
    assert terminal.run("db", "check").err == "  install a later release of payaid-entitlements"
    output = terminal.run("check", "kaveri", "crm")
    assert (output.code, output.out) == (2, "")
    assert "has tables of version 99, and this release needs version 5" in output.err


def test_a_postgresql_is_upgraded_before_it_is_used(empty: Terminal, postgres_url: str) -> None:
    empty.url = postgres_url
    assert empty.run("tenant", "list").code == 2
    assert empty.run("db", "check").code == 1
    assert empty.run("db", "upgrade", "--because", "a new host", "--yes").code == 0
    assert empty.run("db", "check").code == 0
    assert empty.run("seed", "--yes").code == 0
    assert empty.run("check", "kaveri", "invoicing").code == 0
    assert empty.run("check", "kaveri", "hr").code == 1
    empty.changed("override", "set", "kaveri", "hr", "true", "--for", "1d", "--because", "x")
    assert empty.run("check", "kaveri", "hr").code == 0
    assert timedelta(0) == NOW - empty.now
