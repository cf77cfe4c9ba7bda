"""`payaid check` and `payaid explain`."""

from __future__ import annotations

from datetime import timedelta
from textwrap import dedent
from zoneinfo import ZoneInfo

import pytest
import time_machine
from rich.text import Text

from payaid_entitlements import AddAddOn, ChangePlan, Contact, Entitlements, Remedy
from payaid_entitlements.cli.remedies import remedy_in_words
from tests.cli.conftest import Terminal


def test_an_allowed_feature_is_shown_with_its_worth(terminal: Terminal) -> None:
    output = terminal.run("check", "kaveri", "seats")
    assert (output.code, output.err) == (0, "")
    assert output.out == dedent("""\
        kaveri / seats  allowed  plan.granted  plan starter@2
          The plan, or an add-on to it, includes this.
          worth 5 seats
          sqlite:///payaid.db, revision 1, at 22 Nov 2026 21:30 IST (16:00 UTC)""")


def test_a_refusal_names_what_would_open_it_and_exits_with_1(terminal: Terminal) -> None:
    output = terminal.run("check", "kaveri", "hr")
    assert output.code == 1
    assert output.out == dedent("""\
        kaveri / hr  refused  plan.module_absent  plan starter@2
          What the tenant holds does not include the module.
          1. change to plan professional (2999 INR a month or 29990 INR a year)
          2. Talk to us about enterprise
          sqlite:///payaid.db, revision 1, at 22 Nov 2026 21:30 IST (16:00 UTC)""")


def test_a_refusal_as_json_has_all_that_a_program_needs(terminal: Terminal) -> None:
    output = terminal.run("check", "on-leave", "invoicing", "--user", "asha", "--json")
    assert output.code == 1
    assert output.data["tenant"] == "on-leave"
    assert output.data["user"] == "asha"
    assert output.data["allowed"] is False
    assert output.data["reason"] == "subscription.paused"
    assert output.data["known"] is True
    assert len(output.data["reference"].replace("-", "")) == 26


@pytest.mark.parametrize(("tenant", "code"), [("on-leave", 0), ("very-late", 0), ("crm-only", 1)])
def test_reading_is_asked_for_as_a_get_asks(terminal: Terminal, tenant: str, code: int) -> None:
    assert terminal.run("check", tenant, "invoicing", "--read").code == code


def test_what_is_in_grace_is_allowed_with_a_note(terminal: Terminal) -> None:
    output = terminal.run("check", "late-payer", "invoicing")
    assert output.code == 0
    assert "  note subscription.in_grace: Payment is overdue; access goes on" in output.out


def test_somebody_of_whom_nothing_is_known_is_answered_and_pointed_out(terminal: Terminal) -> None:
    output = terminal.run("check", "kavery", "crm")
    assert output.code == 0
    assert output.err == "  nothing was ever recorded about this tenant; is the id right?"
    assert terminal.run("check", "kavery", "crm", "--json").data["known"] is False


def test_a_remedy_may_be_an_add_on_or_waiting(terminal: Terminal) -> None:
    assert "add whatsapp (799 INR a month)" in terminal.run("check", "kaveri", "whatsapp").out
    with time_machine.travel(terminal.now, tick=False), Entitlements.open(terminal.url) as ent:
        ent.admin("support", because="holidays").pause("kaveri", until=terminal.now + timedelta(days=7))
    assert "  1. wait until 29 Nov 2026 21:30 IST (16:00 UTC)" in terminal.run("check", "kaveri", "invoicing").out


def test_a_wrong_key_is_answered_with_the_one_that_was_meant(terminal: Terminal) -> None:
    for command in ("check", "explain"):
        output = terminal.run(command, "kaveri", "invoicin")
        assert output.code == 2
        assert output.out == ""
        assert output.err == "payaid: the catalog has no module or feature 'invoicin'; did you mean 'invoicing'?"


@pytest.mark.parametrize("tenant", ["", "None", "undefined", "\udcff", "x" * 1000])
def test_an_id_that_identifies_nobody_is_a_mistake_of_the_caller(terminal: Terminal, tenant: str) -> None:
    for arguments in (
        ["check", tenant, "crm"],
        ["explain", tenant, "crm"],
        ["check", "kaveri", "crm", "--user", tenant],
    ):
        output = terminal.run(*arguments)
        assert (output.code, output.out) == (2, "")
        assert "Invalid value" in output.err


def test_an_explanation_lists_every_rule_in_its_order(terminal: Terminal) -> None:
    output = terminal.run("explain", "very-late", "invoicing", "--user", "asha")
    assert output.code == 0
    rules = [line.split()[1] for line in output.out.splitlines() if line[:3] in ("  ·", "  x", "  +", "  i")]
    assert rules == ["status", "kill", "override", "plan", "trial", "default", "result"]
    assert output.out.splitlines()[0].startswith("very-late / asha / invoicing  refused  subscription.past_due")
    assert "  for reading: allowed  plan.granted  plan professional@1" in output.out
    assert "  holds main: professional@1: past_due, access read_only" in output.out
    assert "  changes by itself at 03 Dec 2026 21:30 IST (16:00 UTC)" in output.out


def test_an_explanation_knows_advisories_and_overrides_with_who_and_why(terminal: Terminal) -> None:
    output = terminal.run("explain", "favoured", "hr")
    assert "  override hr -> yes until 22 Dec 2026 21:30 IST (16:00 UTC) by seed: tenants to try things out with" in (
        output.out
    )
    terminal.changed("override", "set", "kaveri", "hr", "true", "--forever", "--because", "INC-1")
    assert "  override hr -> yes without an end by cli:" in terminal.run("explain", "kaveri", "hr").out
    assert "  note subscription.in_grace: " in terminal.run("explain", "late-payer", "crm").out


def test_required_modules_are_explained_one_step_further_in(terminal: Terminal) -> None:
    output = terminal.run("explain", "everything", "accounting")
    assert any(line.startswith("    ") and line.endswith("[invoicing]") for line in output.out.splitlines())


def test_the_past_and_the_future_are_explained_as_the_present_is(terminal: Terminal) -> None:
    before = terminal.run("explain", "favoured", "hr", "--at", "2026-11-20T12:00Z", "--json")
    during = terminal.run("explain", "favoured", "hr", "--at", "2026-12-22T21:29+05:30", "--json")
    after = terminal.run("explain", "favoured", "hr", "--at", "2026-12-22T21:30+05:30", "--json")
    assert [each.data["decision"]["allowed"] for each in (before, during, after)] == [False, True, False]


@pytest.mark.parametrize("year", ["0001-01-01T00:00Z", "9999-12-31T23:59:59.999999Z"])
def test_the_ends_of_all_time_have_an_explanation(terminal: Terminal, year: str) -> None:
    assert terminal.run("explain", "kaveri", "hr", "--at", year).code == 0


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("2026-01-01", "add Z or an offset: 2026-01-01T00:00+05:30"),
        ("2026-01-01T10:00", "add Z or an offset: 2026-01-01T10:00+05:30"),
        ("2026-13-01Z", "is no time; write"),
        ("tomorrow", "is no time; write"),
    ],
)
def test_a_time_names_one_moment_or_is_refused(terminal: Terminal, at: str, said: str) -> None:
    output = terminal.run("explain", "kaveri", "hr", "--at", at)
    assert output.code == 2
    assert said in " ".join(output.err.replace("│", " ").split())


def test_a_time_outside_of_the_calendar_is_a_sentence_too(terminal: Terminal) -> None:
    output = terminal.run("explain", "kaveri", "hr", "--at", "0001-01-01T00:00+14:00")
    assert output.code == 2
    assert "outside of the years 1 to 9999" in output.err


@pytest.mark.parametrize(
    "arguments", [[], ["kaveri"], ["kaveri", "hr", "--reference", "X"], ["--reference", "X", "--at", "Y"]]
)
def test_explain_says_what_it_needs(terminal: Terminal, arguments: list[str]) -> None:
    output = terminal.run("explain", *arguments)
    assert (output.code, output.out) == (2, "")
    assert "TENANT" in output.err


@pytest.mark.parametrize(
    ("remedy", "words"),
    [
        (ChangePlan("pro", "Pro"), "change to plan pro"),
        (ChangePlan("pro", "Pro", verb="subscribe"), "subscribe to plan pro"),
        (ChangePlan("pro", "Pro", subscription="team"), "change to plan pro, subscription team"),
        (AddAddOn("seats", "Seats", 2), "add 2 x seats"),
        (AddAddOn("seats", "Seats", 1, subscription="[b]"), "add seats, subscription [b]"),
        (Contact("Pay what is due", subscription="main"), "Pay what is due"),
        (Contact("Pay what is due", subscription="team"), "Pay what is due, subscription team"),
        (Contact("Talk to us"), "Talk to us"),
    ],
)
def test_a_remedy_says_for_which_subscription_it_is(remedy: Remedy, words: str) -> None:
    """Where there is only the one that has no name of its own, nobody needs to read it."""
    assert Text.from_markup(remedy_in_words(remedy, ZoneInfo("UTC"))).plain == words


def test_what_is_scheduled_is_worth_waiting_for(terminal: Terminal) -> None:
    """A change of plan that is on its way and opens the module is told before anything that costs more."""
    output = terminal.run("check", "growing", "hr")
    assert output.code == 1
    assert "  1. wait until " in output.out
