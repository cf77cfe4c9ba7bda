"""`payaid tenant`: who holds what."""

from __future__ import annotations

from textwrap import dedent

import pytest
import time_machine

from payaid_entitlements import Entitlements
from payaid_entitlements.cli.examples import example_directory
from tests.cli.conftest import Terminal


def test_all_tenants_are_listed_with_the_version_and_the_state_of_now(terminal: Terminal) -> None:
    output = terminal.run("tenant", "list")
    assert (output.code, output.err) == (0, "")
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.out.splitlines() if "│" in line]
    assert cells == [
        ["crm-only", "free@1", "active", "crm", "1"],
        ["everything", "enterprise@1", "active", "accounting analytics crm hr invoicing whatsapp", "1"],
        ["favoured", "starter@2", "active", "crm hr invoicing", "2"],
        ["growing", "starter@2", "active", "crm invoicing", "2"],
        ["kaveri", "starter@2", "active", "crm invoicing", "1"],
        ["lapsed", "starter@2", "cancelled", "crm invoicing", "2"],
        ["late-payer", "professional@1", "past_due", "accounting analytics crm hr invoicing", "2"],
        ["old-friend", "starter@1", "active", "crm invoicing", "1"],
        ["on-leave", "starter@2", "paused", "crm invoicing", "2"],
        ["trial", "starter@2", "trialing", "crm invoicing", "1"],
        ["very-late", "professional@1", "past_due", "accounting analytics crm hr invoicing", "2"],
    ]


def test_a_state_is_that_of_now_although_nothing_was_written_since(terminal: Terminal) -> None:
    terminal.later(days=15)
    states = {row["tenant"]: row["state"] for row in terminal.run("tenant", "list", "--json").data}
    assert states["trial"] == "trial_ended"


def test_tenants_without_a_subscription_and_those_that_are_suspended_are_listed_too(terminal: Terminal) -> None:
    with time_machine.travel(terminal.now, tick=False), Entitlements.open(terminal.url) as ent:
        ent.admin("ops", because="fraud").suspend("everything")
        ent.admin("ops", because="a favour").override("tiny-shop", "hr", True)
    rows = {row["tenant"]: row for row in terminal.run("tenant", "list", "--json").data}
    assert rows["everything"]["state"] == "suspended"
    assert rows["tiny-shop"] == {
        "tenant": "tiny-shop",
        "plan": None,
        "version": None,
        "state": "none",
        "modules": ["hr"],
        "revision": 1,
    }
    assert "│ tiny-shop  │ -" in terminal.run("tenant", "list").out


@pytest.mark.parametrize(
    ("filters", "tenants"),
    [
        (["--plan", "professional"], ["late-payer", "very-late"]),
        (["--module", "hr"], ["everything", "favoured", "late-payer", "very-late"]),
        (["--module", "hr", "--plan", "starter"], ["favoured"]),
    ],
)
def test_tenants_are_found_by_plan_and_module(terminal: Terminal, filters: list[str], tenants: list[str]) -> None:
    assert [row["tenant"] for row in terminal.run("tenant", "list", "--json", *filters).data] == tenants


def test_a_filter_that_nothing_is_called_is_no_empty_list(terminal: Terminal) -> None:
    output = terminal.run("tenant", "list", "--plan", "startr")
    assert (output.code, output.out) == (2, "")
    assert output.err == "payaid: no plan 'startr' was ever published; did you mean 'starter'?"
    assert "did you mean 'hr'?" in terminal.run("tenant", "list", "--module", "hrr").err


def test_a_limit_says_that_there_are_more(terminal: Terminal) -> None:
    output = terminal.run("tenant", "list", "--limit", "2", "--json")
    assert [row["tenant"] for row in output.data] == ["crm-only", "everything"]
    assert output.err == "there are more than 2; --limit shows them"
    for limit in ("0", "99999999999999999999"):
        assert terminal.run("tenant", "list", "--limit", limit).code == 2


def test_many_tenants_are_read_page_by_page(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("opening", "tenants", "doctor"):
        monkeypatch.setattr(f"payaid_entitlements.cli.{module}.PAGE", 4)
    assert terminal.run("seed", "--tenants", "7", "--yes").code == 0
    rows = terminal.run("tenant", "list", "--limit", "1000", "--json").data
    assert len(rows) == 18
    assert all(row["state"] != "none" for row in rows)
    found = {each["check"]: each["found"] for each in terminal.run("doctor", "--json").data["findings"]}
    assert found["tenants"] == "18 are known"
    assert found["clock"] == "no change was recorded in the future"


def test_one_tenant_is_shown_whole(terminal: Terminal) -> None:
    output = terminal.run("tenant", "show", "favoured")
    assert output.code == 0
    head = output.out[: output.out.index("┏")]
    assert head == dedent("""\
        favoured  revision 2, Asia/Kolkata, sqlite:///payaid.db
          holds starter@2, active
            starts: 22 Nov 2026 21:30 IST (16:00 UTC)
          override hr -> yes until 22 Dec 2026 21:30 IST (16:00 UTC)
          next change by itself: 22 Dec 2026 21:30 IST (16:00 UTC)
        """)
    rows = dict([cell.strip() for cell in line.split("│")[1:-1]] for line in output.out.splitlines() if "│" in line)
    assert rows["crm"] == "allowed (plan starter@2)"
    assert rows["hr"] == "allowed (override)"
    assert rows["accounting"] == "refused (plan.module_absent)"
    assert rows["invoicing.invoices"] == "100 invoices per month"
    assert rows["storage"] == "10 GB"


def test_an_old_version_an_add_on_and_an_anchor_are_shown(terminal: Terminal) -> None:
    from datetime import timedelta

    with time_machine.travel(terminal.now, tick=False), Entitlements.open(terminal.url) as ent:
        admin = ent.admin("billing", because="bought")
        admin.set_add_on("old-friend", "extra_seats", 2)
        admin.subscribe("kaveri", "starter", anchor=terminal.now - timedelta(days=3), timezone="Europe/Berlin")
    output = terminal.run("tenant", "show", "old-friend")
    assert "  holds starter@1 (there is version 2), active" in output.out
    assert "    add-on extra_seats@1 x 2" in output.out
    shown = terminal.run("tenant", "show", "kaveri")
    assert "    anchor: 19 Nov 2026 17:00 CET (16:00 UTC)" in shown.out
    data = terminal.run("tenant", "show", "old-friend", "--json").data
    assert data["subscriptions"][0]["version"] == 1
    assert data["subscriptions"][0]["add_ons"] == {"extra_seats": 2}
    assert data["subscriptions"][0]["add_on_versions"] == {"extra_seats": 1}
    file = terminal.directory / "catalog.yaml"
    file.write_text(
        (example_directory() / "catalog.yaml").read_text().replace("increment: {seats: 5}", "increment: {seats: 1}")
    )
    published = terminal.run("catalog", "publish", "--because", "smaller packs", "--yes")
    assert "  add-on extra_seats  version 1 -> version 2; 1 tenant stays on the old one" in published.out
    assert "    add-on extra_seats@1 (there is version 2) x 2" in terminal.run("tenant", "show", "old-friend").out
    assert terminal.run("check", "old-friend", "seats", "--json").data["value"]["limit"] == 13


def test_a_zone_of_the_tenants_own_is_that_in_which_its_times_are_shown(terminal: Terminal) -> None:
    with time_machine.travel(terminal.now, tick=False), Entitlements.open(terminal.url) as ent:
        ent.admin("support", because="they moved").set_timezone("kaveri", "America/New_York")
    output = terminal.run("tenant", "show", "kaveri")
    assert "America/New_York" in output.out
    assert "    starts: 22 Nov 2026 11:00 EST (16:00 UTC)" in output.out


def test_somebody_unknown_is_shown_with_what_the_default_plan_gives(terminal: Terminal) -> None:
    output = terminal.run("tenant", "show", "nobody")
    assert output.code == 0
    assert "  nothing was ever recorded about this tenant: it holds the default plan" in output.out
    assert terminal.run("tenant", "show", "nobody", "--json").data["known"] is False
