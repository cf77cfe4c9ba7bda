"""`payaid enforcement`: turned in steps, and whoever comes under another mode is named before."""

from __future__ import annotations

import pytest

from payaid_entitlements.core.flags.model import PARTS
from payaid_entitlements.core.staging import is_reached
from payaid_entitlements.stores.activity import Seen, Sighting
from payaid_entitlements.stores.sql import SQLStore
from tests.cli.conftest import Terminal


@pytest.fixture
def tenants(terminal: Terminal) -> list[str]:
    return [row["tenant"] for row in terminal.run("tenant", "list", "--json").data]


def test_the_mode_of_each_module_is_shown(terminal: Terminal) -> None:
    terminal.changed("enforcement", "set", "*", "observe", "--because", "x")
    terminal.changed("enforcement", "set", "crm", "enforce", "--percent", "2.5%", "--because", "x")
    lines = [line.split("│")[1:-1] for line in terminal.run("enforcement", "show").out.splitlines() if "│" in line]
    cells = {row[0].strip(): [each.strip() for each in row[1:]] for row in lines}
    assert cells["everywhere else"] == ["observe", "observe"]
    assert cells["crm"] == ["enforce 2.5% else observe", "enforce 2.5% else observe"]
    assert cells["hr"] == ["observe", "-"]
    data = {row["scope"]: row for row in terminal.run("enforcement", "show", "--json").data}
    assert data["crm"] == {
        "scope": "crm",
        "mode": "enforce",
        "percent": 2.5,
        "otherwise": "observe",
        "stored": "enforce 2.5% else observe",
    }
    assert (data["hr"]["mode"], data["hr"]["percent"], data["hr"]["stored"]) == ("observe", 100.0, None)


def test_who_comes_under_another_mode_is_named_and_who_is_in_stays_in(terminal: Terminal, tenants: list[str]) -> None:
    inside = [each for each in tenants if is_reached("crm", each, PARTS // 2)]
    assert 0 < len(inside) < len(tenants)
    first = terminal.run("enforcement", "set", "crm", "enforce", "--percent", "50", "--because", "x", "--yes", "--json")
    moves = {(each["was"], each["now"]): each["tenants"] for each in first.data["moves"]}
    assert moves["not set", "enforce"] == inside
    assert first.data["applied"]
    lowering = ("enforcement", "set", "crm", "enforce", "--percent", "0", "--because", "x")
    (left,) = terminal.run(*lowering, "--dry-run", "--json").data["moves"]
    assert left == {"was": "enforce", "now": "observe", "count": len(inside), "tenants": inside}
    output = terminal.run(*lowering, "--dry-run").out.splitlines()
    assert output == [
        "enforcement of crm  enforce 50% else observe -> enforce 0% else observe",
        f"  {len(inside)} from enforce to observe: {', '.join(inside)}",
    ]
    again = terminal.run(*lowering[:5], "50", *lowering[6:], "--dry-run").out.splitlines()
    assert again[1] == "  no tenant that the store knows comes under another mode"
    assert terminal.run("enforcement", "show", "--json").data[1]["percent"] == 50.0


def test_who_would_be_let_in_by_a_stage_is_said(terminal: Terminal) -> None:
    """Unset means enforce, so that a first stage of 5 % opens a module to the others, unless it was observed before."""
    stage = ("enforcement", "set", "crm", "enforce", "--percent", "5", "--because", "x")
    said = "  not set means enforce, where no process says otherwise: there these are let in from now on"
    assert said in terminal.run(*stage, "--dry-run").out.splitlines()
    assert said not in terminal.run(*stage[:4], *stage[6:], "--dry-run").out.splitlines()
    terminal.changed("enforcement", "set", "*", "observe", "--because", "x")
    assert said not in terminal.run(*stage, "--dry-run").out.splitlines()


def test_not_all_are_named_unless_they_are_asked_for(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payaid_entitlements.cli.enforcement.NAMED", 1)
    command = ("enforcement", "set", "crm", "off", "--because", "x", "--dry-run")
    output = terminal.run(*command).out
    assert "more (--all)" in output
    everybody = terminal.run(*command, "--all", "--json").data["moves"][0]
    assert len(everybody["tenants"]) == everybody["count"] > 1
    assert len(terminal.run(*command, "--json").data["moves"][0]["tenants"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["crn", "enforce"], "did you mean 'crm'"),
        (["crm", "enforced"], "write 'off', 'observe' or 'enforce'"),
        (["crm", "enforce", "--percent", "half"], "write a percentage"),
        (["crm", "enforce", "--percent", "101"], "more than 100%"),
    ],
)
def test_a_typo_changes_nothing(terminal: Terminal, arguments: list[str], message: str) -> None:
    output = terminal.run("enforcement", "set", *arguments, "--because", "x", "--yes")
    assert output.code == 2
    assert message in " ".join(output.err.replace("│", " ").split())


def test_a_stage_is_no_enforcement_for_the_doctor(terminal: Terminal) -> None:
    terminal.changed("enforcement", "set", "crm", "enforce", "--percent", "25", "--because", "x")
    assert "crm: enforce 25% else observe" in terminal.run("doctor").out


def test_who_is_only_known_by_what_he_did_is_named_too(
    terminal: Terminal, tenants: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the host keeps subscriptions itself, nothing is recorded of most."""
    store = SQLStore(f"sqlite:///{terminal.directory / 'payaid.db'}")
    day = terminal.now.date()
    store.activity.record(
        [
            Sighting("used-hr", day, Seen.MODULE, "hr"),
            Sighting("lost-crm", day, Seen.WOULD_LOSE, "crm.contacts"),
            Sighting(tenants[0], day, Seen.MODULE, "crm"),
        ]
    )
    store.close()
    for scope, more in (("crm", ["lost-crm"]), ("*", ["lost-crm", "used-hr"])):
        (moved,) = terminal.run("enforcement", "set", scope, "off", "--because", "x", "--dry-run", "--json").data[
            "moves"
        ]
        assert sorted(set(moved["tenants"]) - set(tenants)) == more
        assert moved["count"] == len(tenants) + len(more)
    monkeypatch.setattr(SQLStore, "activity", None)
    (moved,) = terminal.run("enforcement", "set", "crm", "off", "--because", "x", "--dry-run", "--json").data["moves"]
    assert moved["count"] == len(tenants)
