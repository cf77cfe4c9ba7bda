"""`payaid catalog`: what is sold, as a file and as it is published."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from payaid_entitlements.cli.examples import example_directory
from payaid_entitlements.core.catalog import Catalog
from tests.cli.conftest import Terminal

EXAMPLE = example_directory() / "catalog.yaml"

BROKEN = """\
catalog: 1
modules:
  crm: {features: {export: {kind: switch}}}
plans:
  free: {modules: [crm], features: {crm.exprot: true}}
  team: {extends: fre}
"""


@pytest.fixture
def example(empty: Terminal) -> Path:
    file = empty.directory / "catalog.yaml"
    file.write_bytes(EXAMPLE.read_bytes())
    return file


def test_a_catalog_without_problems_is_valid(empty: Terminal, example: Path) -> None:
    output = empty.run("catalog", "validate")
    assert output.code == 0
    digest = Catalog.load(example).hash
    assert output.out == f"valid catalog.yaml: 6 modules, 15 features, 4 plans, {digest[:12]}"
    data = empty.run("catalog", "validate", "catalog.yaml", "--strict", "--json").data
    assert data == {"ok": True, "file": "catalog.yaml", "hash": digest, "problems": []}


def test_all_problems_are_found_at_once_each_with_its_line_and_way_out(empty: Terminal) -> None:
    (empty.directory / "catalog.yaml").write_text(BROKEN)
    output = empty.run("catalog", "validate")
    assert (output.code, output.err) == (1, "")
    lines = output.out.splitlines()
    assert len(lines) == 2
    assert any(line.startswith("error catalog.yaml:5 ") and "did you mean 'crm.export'?" in line for line in lines)
    assert any(line.startswith("error catalog.yaml:6 ") and "did you mean 'free'?" in line for line in lines)
    data = empty.run("catalog", "validate", "--json").data
    assert (data["ok"], data["hash"]) == (False, None)
    assert [problem["line"] for problem in data["problems"]] == [5, 6]


def test_lints_fail_only_where_that_is_asked_for(empty: Terminal) -> None:
    (empty.directory / "catalog.yaml").write_text(
        "catalog: 1\ndefault_plan: none\n"
        "modules: {crm: {features: {export: {kind: switch}}}}\nplans: {free: {modules: [crm]}}\n"
    )
    output = empty.run("catalog", "validate")
    assert output.code == 0
    assert output.out.startswith("lint  catalog.yaml:3 ")
    assert empty.run("catalog", "validate", "--strict").code == 1


@pytest.mark.parametrize("name", ["nope.yaml", "catalog.txt", ".", "bytes.yaml"])
def test_a_file_that_cannot_be_read_is_a_problem_as_others(empty: Terminal, name: str) -> None:
    (empty.directory / "catalog.txt").write_text("catalog: 1")
    (empty.directory / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    validated = empty.run("catalog", "validate", name)
    assert validated.code == 1
    assert validated.out.startswith("error ")
    for command in ("types", "diff", "show"):
        output = empty.run("catalog", command, name)
        assert (output.code, output.out) == (2, "")
        assert output.err.startswith("payaid: 1 problem in the catalog:")


def test_the_schema_that_editors_use_is_the_one_beside_the_example(empty: Terminal) -> None:
    output = empty.run("catalog", "schema", "--out", "schema.json")
    assert (output.code, output.out, output.err) == (0, "", "wrote schema.json")
    written = (empty.directory / "schema.json").read_bytes()
    assert written == (example_directory() / "catalog.schema.json").read_bytes()
    assert empty.run("catalog", "schema").data == json.loads(written)
    assert empty.run("catalog", "schema", "--out", "schema.json", "--json").data == {"file": "schema.json"}


def test_keys_become_constants_that_a_type_checker_knows(empty: Terminal, example: Path) -> None:
    printed = empty.run("catalog", "types")
    assert printed.code == 0
    assert empty.run("catalog", "types", "--out", "keys.py").err == "wrote keys.py"
    assert (empty.directory / "keys.py").read_text().rstrip("\n") == printed.out
    assert empty.run("catalog", "types", "--json").data["text"].rstrip("\n") == printed.out

    (empty.directory / "use.py").write_text(
        "from typing import Literal\nimport keys\n"
        'right: Literal["crm.export"] = keys.CRM_EXPORT\n'
        "wrong = keys.CRM_EXPROT\n"
    )
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--cache-dir", "cache", "keys.py", "use.py"],
        cwd=empty.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in found.stdout.splitlines() if "error" in line]
    assert errors[0].startswith('use.py:4: error: Module has no attribute "CRM_EXPROT"')
    assert errors[1:] == ["Found 1 error in 1 file (checked 2 source files)"]


def test_a_file_is_shown_as_a_table_of_plans(empty: Terminal, example: Path) -> None:
    output = empty.run("catalog", "show", "catalog.yaml")
    assert output.code == 0
    rows = {
        cells[0]: cells[1:]
        for line in output.out.splitlines()
        if (cells := [cell.strip() for cell in line.strip("┃│").replace("┃", "│").split("│")])[1:]
    }
    assert rows["price"] == ["free", "999 INR / month", "2999 INR / month", "talk to us"]
    assert rows["invoicing"] == ["-", "yes", "yes", "yes"]
    assert rows["invoicing.reminder_every"] == ["-", "1 day", "1 day", "1 day"]
    assert rows["storage"] == ["1 GB", "10 GB", "100 GB", "1 TB"]
    assert rows["export"] == ["2/hour", "10/hour", "60/hour", "60/hour"]
    assert rows["api"] == ["30/minute", "120/minute", "20/second", "20/second"]
    assert "add-on ai_pack  500 AI credits" in output.out


def test_keys_are_whole_on_a_narrow_terminal(empty: Terminal, example: Path) -> None:
    empty.environment["COLUMNS"] = "60"
    assert "  invoicing.reminder_every " in empty.run("catalog", "show", "catalog.yaml").out


def test_what_is_published_is_shown_with_its_versions(terminal: Terminal) -> None:
    output = terminal.run("catalog", "show")
    assert output.out.splitlines()[0].startswith("sqlite:///payaid.db, revision 2 ")
    assert "starter@2" in output.out
    data = terminal.run("catalog", "show", "--json").data
    assert data["versions"] == {"free": 1, "starter": 2, "professional": 1, "enterprise": 1}
    assert Catalog.load(data["catalog"]).hash == data["hash"]


def test_differences_are_told_as_diff_does(terminal: Terminal) -> None:
    file = terminal.directory / "catalog.yaml"
    file.write_bytes(EXAMPLE.read_bytes())
    same = terminal.run("catalog", "diff")
    assert (same.code, same.out) == (0, "the same: nothing would change")
    assert terminal.run("catalog", "diff", "--json").data == {"same": True, "differences": []}

    file.write_text(EXAMPLE.read_text().replace("seats: 5\n", "seats: 7\n").replace("monthly: 999,", "monthly: 1099,"))
    other = terminal.run("catalog", "diff")
    assert other.code == 1
    assert "plans.starter.features.seats  5 -> 7" in other.out
    data = terminal.run("catalog", "diff", "catalog.yaml", "--against", str(EXAMPLE), "--json").data
    assert data["same"] is False
    assert {"path": "plans.starter.features.seats", "before": "5", "after": "7"} in data["differences"]


# -- publishing -----------------------------------------------------------------------------------------------------


def test_the_first_catalog_begins_a_store(empty: Terminal, example: Path) -> None:
    output = empty.run("catalog", "publish", "--because", "the first one", "--yes")
    assert (output.code, output.err) == (0, "")
    lines = output.out.splitlines()
    assert lines[0] == "database sqlite:///payaid.db"
    assert lines[1] == f"  catalog  nothing -> revision 1, {Catalog.load(example).hash[:12]}"
    assert "  plan starter  not sold -> version 1" in lines
    assert "  because the first one" in lines
    assert empty.run("check", "anybody", "crm").code == 0


def test_publishing_again_does_nothing(terminal: Terminal) -> None:
    output = terminal.run("catalog", "publish", str(EXAMPLE), "--because", "x")
    assert output.code == 0
    assert output.out.startswith("nothing to do: ")
    data = terminal.run("catalog", "publish", str(EXAMPLE), "--because", "x", "--json").data
    assert data == {
        "applied": False,
        "reason": "nothing changed",
        "revision": 2,
        "hash": Catalog.load(EXAMPLE).hash,
    }


def test_a_publication_says_who_stays_on_the_old_version(terminal: Terminal) -> None:
    file = terminal.directory / "catalog.yaml"
    file.write_text(
        EXAMPLE.read_text().replace("seats: 5\n", "seats: 7\n").replace("timezone: Asia/Kolkata", "timezone: UTC")
    )
    unconfirmed = terminal.run("catalog", "publish", "--because", "x")
    assert unconfirmed.code == 2
    output = terminal.run("catalog", "publish", "--because", "more seats", "--yes")
    assert output.code == 0
    assert "  plan starter  version 2 -> version 3; 7 tenants stay on the old one" in output.out
    assert "  timezone  Asia/Kolkata -> UTC" in output.out
    assert "who stays on an old version keeps what was bought" in output.err
    shown = terminal.run("catalog", "show")
    assert "add-on ai_pack@1  500 AI credits" in shown.out
    assert terminal.run("catalog", "show", "--json").data["add_on_versions"]["ai_pack"] == 1
    assert terminal.run("check", "kaveri", "seats", "--json").data["value"]["limit"] == 5


def test_a_plan_that_is_not_sold_any_more_is_named(terminal: Terminal) -> None:
    document = dict(Catalog.load(EXAMPLE).document)
    plans = dict(document["plans"])  # type: ignore[call-overload] # JSON data
    plans.pop("enterprise")
    add_ons = dict(document["add_ons"])  # type: ignore[call-overload] # JSON data
    add_ons.pop("more_storage")
    add_ons["extra_seats"] = {**add_ons["extra_seats"], "increment": {"seats": 1}}
    changed = {**document, "plans": plans, "add_ons": add_ons}
    (terminal.directory / "catalog.json").write_text(json.dumps(changed))
    output = terminal.run("catalog", "publish", "catalog.json", "--because", "x", "--yes", "--json")
    assert output.code == 0
    assert "  plan enterprise  version 1 -> not sold any more; 1 tenant stays with it" in output.err
    assert "  add-on more_storage  version 1 -> not sold any more; 0 tenants stay with it" in output.err
    assert {"add_on": "extra_seats", "version": 2, "staying": 0} in output.data["versions"]
    assert output.data["applied"] is True
    assert output.data["hash"] == Catalog.load(terminal.directory / "catalog.json").hash
    assert terminal.run("check", "everything", "whatsapp").code == 0


def test_what_opens_since_a_flag_is_gone_is_said_beforehand(terminal: Terminal) -> None:
    document = {key: each for key, each in Catalog.load(EXAMPLE).document.items() if key != "flags"}
    (terminal.directory / "catalog.json").write_text(json.dumps(document))
    output = terminal.run("catalog", "publish", "catalog.json", "--because", "x")
    assert (output.code, "there is no terminal to ask at" in output.err) == (2, True)
    assert "  opens invoicing.recurring to all whose plan has it\n" in output.out
    output = terminal.run("catalog", "publish", "catalog.json", "--because", "x", "--yes")
    assert "  gains invoicing.recurring" in output.out


def test_a_catalog_with_problems_is_not_published(empty: Terminal) -> None:
    (empty.directory / "catalog.yaml").write_text(BROKEN)
    output = empty.run("catalog", "publish", "--because", "x", "--yes")
    assert (output.code, output.out) == (2, "")
    assert output.err.startswith("payaid: 2 problems in the catalog:")
    assert not (empty.directory / "payaid.db").exists()
