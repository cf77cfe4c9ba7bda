"""`payaid override`: before and after are shown, the database first, and nothing is changed without a yes."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import pytest

from tests.cli.conftest import Terminal


def test_an_override_shows_what_it_does_before_it_does_it(terminal: Terminal) -> None:
    output = terminal.run("override", "set", "kaveri", "seats", "50", "--for", "24h", "--because", "INC-1", "--yes")
    assert (output.code, output.err) == (0, "")
    lines = output.out.splitlines()
    assert lines[:4] == [
        "database sqlite:///payaid.db",
        "  kaveri/seats  allowed, 5 seats (plan starter@2) -> "
        "allowed, 50 seats (override) until 23 Nov 2026 21:30 IST (16:00 UTC)",
        "  because INC-1",
        "done, revision 2, in force from 22 Nov 2026 21:30 IST (16:00 UTC)",
    ]
    assert lines[4] == "  gains seats: 5 -> 50"
    assert lines[5].startswith("  take it back: payaid undo ")
    assert terminal.run("check", "kaveri", "seats", "--json").data["value"]["limit"] == 50


def test_as_json_the_question_is_on_stderr_and_the_answer_alone_on_stdout(terminal: Terminal) -> None:
    output = terminal.run(
        "override",
        "set",
        "kaveri",
        "hr",
        "true",
        "--until",
        "2026-11-23T09:40+05:30",
        "--because",
        "x",
        "--yes",
        "--json",
    )
    assert output.err.splitlines()[0] == "database sqlite:///payaid.db"
    data = output.data
    assert len(data.pop("change")) == 26
    gains = data.pop("gains")
    assert "hr" in gains
    assert data == {
        "applied": True,
        "reason": "change.applied",
        "revision": 2,
        "effective_at": "2026-11-22T16:00:00+00:00",
        "losses": [],
        "exceeds": [],
        "tenant": "kaveri",
        "feature": "hr",
        "until": "2026-11-23T04:10:00+00:00",
    }


def test_without_a_terminal_and_without_yes_nothing_is_changed(terminal: Terminal) -> None:
    output = terminal.run("override", "set", "kaveri", "hr", "true", "--forever", "--because", "x")
    assert output.code == 2
    assert output.err == "payaid: nothing was changed: there is no terminal to ask at; --yes says yes beforehand"
    assert terminal.run("check", "kaveri", "hr").code == 1


@pytest.mark.parametrize(("answer", "code", "opened"), [("y\n", 0, 0), ("n\n", 1, 1), ("\n", 1, 1)])
def test_somebody_at_the_terminal_is_asked(
    terminal: Terminal, somebody: Callable[[], None], answer: str, code: int, opened: int
) -> None:
    somebody()
    output = terminal.run("override", "set", "kaveri", "hr", "true", "--forever", "--because", "x", answers=answer)
    assert output.code == code
    assert "apply? [y/N]" in output.out + output.err
    assert terminal.run("check", "kaveri", "hr").code == opened


@pytest.mark.parametrize(
    ("feature", "value", "worth"),
    [
        ("hr", "true", True),
        ("seats", "unlimited", {"limit": {"unlimited": True}, "per": None}),
        ("invoicing.invoices", "500", {"limit": 500, "per": None}),
        ("invoicing.invoices", "500/week", {"limit": 500, "per": "week"}),
        ("storage", "2 TB", 2 * 10**12),
        ("analytics.dashboards", "basic", "basic"),
        ("invoicing.reminder_every", "90 minutes", {"microseconds": 5_400_000_000}),
    ],
)
def test_values_are_written_as_in_the_catalog(terminal: Terminal, feature: str, value: str, worth: object) -> None:
    output = terminal.run("override", "set", "everything", feature, value, "--for", "1d", "--because", "x", "--yes")
    assert output.code == 0, output.err
    listed = terminal.run("override", "list", "everything", "--json").data
    assert [each["feature"] for each in listed] == [feature]
    assert terminal.run("check", "everything", feature, "--json").data["value"] == worth


@pytest.mark.parametrize(
    ("feature", "value"), [("hr", "deny"), ("hr", "false"), ("seats", "DENY"), ("crm.export", "false")]
)
def test_something_is_taken_away_by_hand(terminal: Terminal, feature: str, value: str) -> None:
    output = terminal.run("override", "set", "everything", feature, value, "--for", "1d", "--because", "x", "--yes")
    assert f"loses {feature}" in output.out
    assert terminal.run("check", "everything", feature).code == 1


@pytest.mark.parametrize(
    ("feature", "value", "said"),
    [
        ("hr", "maybe", "'hr' is a module; write true, false or deny, not 'maybe'"),
        ("hrr", "true", "the catalog has no module or feature 'hrr'; did you mean 'hr'?"),
        ("seats", "many", "'seats': write an amount such as 5"),
        ("storage", "{", "'{' cannot be read: this is not YAML"),
        ("storage", "10", "'storage': write a size with its unit"),
        ("analytics.dashboards", "huge", "'analytics.dashboards': "),
        ("storage", "1e400", "'storage': "),
    ],
)
def test_what_is_no_value_is_said_and_changes_nothing(terminal: Terminal, feature: str, value: str, said: str) -> None:
    output = terminal.run("override", "set", "kaveri", feature, value, "--for", "1d", "--because", "x", "--yes")
    assert (output.code, output.out) == (2, "")
    assert output.err.startswith(f"payaid: {said}")
    assert terminal.run("override", "list", "--json").data == [
        {"tenant": "favoured", "feature": "hr", "user": None, "to": True, "since": NOW_TEXT, "until": LATER_TEXT}
    ]


NOW_TEXT, LATER_TEXT = "2026-11-22T16:00:00+00:00", "2026-12-22T16:00:00+00:00"


def test_a_negative_amount_is_refused(terminal: Terminal) -> None:
    output = terminal.run("override", "set", "kaveri", "seats", "--for", "1d", "--because", "x", "--yes", "--", "-5")
    assert output.code == 2
    assert "cannot be -5" in output.err


@pytest.mark.parametrize(
    "length",
    [
        [],
        ["--for", "1d", "--forever"],
        ["--for", "0d"],
        ["--for", "soon"],
        ["--for", ""],
        ["--for", "9999999999d"],
        ["--until", "2026-11-23"],
    ],
)
def test_how_long_is_said_in_one_way(terminal: Terminal, length: list[str]) -> None:
    output = terminal.run("override", "set", "kaveri", "hr", "true", "--because", "x", "--yes", *length)
    assert (output.code, output.out) == (2, "")
    assert "Invalid value" in output.err


def test_an_end_that_is_over_is_refused(terminal: Terminal) -> None:
    output = terminal.run(
        "override", "set", "kaveri", "hr", "true", "--until", "2026-11-22T21:30+05:30", "--because", "x", "--yes"
    )
    assert output.code == 2
    assert output.err == "payaid: --until is over already: 22 Nov 2026 21:30 IST (16:00 UTC)"


@pytest.mark.parametrize("because", ["", "  ", "\udcff"])
def test_no_reason_no_change(terminal: Terminal, because: str) -> None:
    output = terminal.run("override", "set", "kaveri", "hr", "true", "--forever", "--yes", "--because", because)
    assert (output.code, output.out) == (2, "")
    assert "Invalid value for '--because'" in output.err


def test_an_override_of_one_user_is_theirs_alone(terminal: Terminal) -> None:
    output = terminal.run(
        "override", "set", "kaveri", "hr", "true", "--user", "asha", "--for", "90 minutes", "--because", "x", "--yes"
    )
    assert "  kaveri/hr for user asha  refused (plan.module_absent) -> allowed (override)" in output.out
    assert terminal.run("check", "kaveri", "hr", "--user", "asha").code == 0
    assert terminal.run("check", "kaveri", "hr", "--user", "ravi").code == 1
    assert terminal.run("check", "kaveri", "hr").code == 1
    assert "override hr for user asha -> yes until" in terminal.run("tenant", "show", "kaveri").out


def test_overrides_are_listed_for_all_or_for_one(terminal: Terminal) -> None:
    terminal.changed("override", "set", "kaveri", "seats", "9", "--forever", "--because", "x")
    output = terminal.run("override", "list")
    assert output.out == dedent("""\
        sqlite:///payaid.db
        ┏━━━━━━━━━━┳━━━━━━━━━┳━━━━━━┳━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┓
        ┃ tenant   ┃ feature ┃ user ┃ to  ┃ since                             ┃ until                             ┃
        ┡━━━━━━━━━━╇━━━━━━━━━╇━━━━━━╇━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┩
        │ favoured │ hr      │ -    │ yes │ 22 Nov 2026 21:30 IST (16:00 UTC) │ 22 Dec 2026 21:30 IST (16:00 UTC) │
        │ kaveri   │ seats   │ -    │ 9   │ 22 Nov 2026 21:30 IST (16:00 UTC) │ forever                           │
        └──────────┴─────────┴──────┴─────┴───────────────────────────────────┴───────────────────────────────────┘""")
    assert [each["tenant"] for each in terminal.run("override", "list", "kaveri", "--json").data] == ["kaveri"]
    none = terminal.run("override", "list", "everything")
    assert none.err == "  no override is in force or to come"
    assert terminal.run("override", "list", "everything", "--json").data == []


@pytest.mark.parametrize(
    ("value", "worth", "to"),
    [
        ("500/hour", "500/hour", "500/hour"),
        ("10/second, 500/hour", "10/second, 500/hour", ["10/second", "500/hour"]),
        ("Unlimited", "unlimited", {"unlimited": True}),
    ],
)
def test_a_rate_limit_is_overridden_as_a_feature_is(terminal: Terminal, value: str, worth: str, to: object) -> None:
    key = "rate_limits.api"
    output = terminal.run("override", "set", "kaveri", key, value, "--for", "1d", "--because", "x", "--yes")
    assert output.code == 0, output.err
    assert f"  kaveri/{key}  allowed, 120/minute (plan starter@2) -> allowed, {worth} (override)" in output.out
    assert [(each["feature"], each["to"]) for each in terminal.run("override", "list", "kaveri", "--json").data] == [
        (key, to)
    ]
    assert worth in terminal.run("override", "list").out
    explained = terminal.run("explain", "kaveri", key)
    assert "by hand" in explained.out
    assert "plan starter@2 says 120/minute" in explained.out
    output = terminal.run("override", "clear", "kaveri", key, "--because", "x", "--yes")
    assert "-> allowed, 120/minute (plan starter@2)" in output.out


def test_a_rate_limit_is_denied_by_hand(terminal: Terminal) -> None:
    said = ["--for", "1d", "--because", "x", "--yes"]
    output = terminal.run("override", "set", "kaveri", "rate_limits.api", "deny", *said)
    assert "-> refused (override.denied)" in output.out
    assert "loses rate limit api: not denied -> denied" in output.out
    output = terminal.run("override", "set", "kaveri", "rate_limits.apj", "deny", *said)
    assert (output.code, output.err) == (2, "payaid: the catalog has no rate limit 'apj'; did you mean 'api'?")
    output = terminal.run("override", "set", "kaveri", "rate_limits.api", "often", *said)
    assert output.err.startswith("payaid: 'rate_limits.api': 'often' is no rate")


def test_what_is_taken_away_is_listed_as_that(terminal: Terminal) -> None:
    terminal.changed("override", "set", "kaveri", "crm", "deny", "--forever", "--because", "x")
    assert "│ kaveri   │ crm     │ -    │ denied │" in terminal.run("override", "list").out


def test_saying_the_same_again_changes_nothing(terminal: Terminal) -> None:
    same = ["override", "set", "kaveri", "hr", "true", "--until", "2026-12-01T00:00Z", "--because", "x", "--yes"]
    terminal.changed(*same)
    output = terminal.run(*same)
    assert output.code == 0
    assert output.out.splitlines()[-1] == "nothing was changed (change.unchanged)"


def test_what_is_over_is_not_listed(terminal: Terminal) -> None:
    terminal.changed("override", "set", "kaveri", "hr", "true", "--for", "1d", "--because", "first")
    terminal.later(hours=1)
    terminal.changed("override", "set", "kaveri", "hr", "true", "--for", "2d", "--because", "longer")
    assert len(terminal.run("override", "list", "kaveri", "--json").data) == 1
    terminal.later(days=2)
    assert terminal.run("override", "list", "kaveri", "--json").data == []


def test_an_override_is_cleared_before_its_end(terminal: Terminal) -> None:
    output = terminal.run("override", "clear", "favoured", "hr", "--because", "a mistake", "--yes")
    assert output.code == 0
    assert "  favoured/hr  allowed (override) -> refused (plan.module_absent)" in output.out
    assert terminal.run("check", "favoured", "hr").code == 1
    again = terminal.run("override", "clear", "favoured", "hr", "--because", "a mistake", "--yes")
    assert (again.code, again.out) == (1, "")
    assert again.err == "payaid: favoured/hr has no override in force or to come"


def test_clearing_names_the_user_and_the_key_as_setting_does(terminal: Terminal) -> None:
    terminal.changed("override", "set", "kaveri", "hr", "true", "--user", "asha", "--forever", "--because", "x")
    assert terminal.run("override", "clear", "kaveri", "hr", "--because", "x", "--yes").code == 1
    output = terminal.run("override", "clear", "kaveri", "hr", "--user", "asha", "--because", "x", "--yes", "--json")
    assert output.code == 0
    assert output.data["feature"] == "hr"
    assert terminal.run("override", "clear", "kaveri", "hrr", "--because", "x", "--yes").code == 2


def test_controls_count_in_what_is_shown_beforehand(terminal: Terminal) -> None:
    """A kill switch beats an override: the operator sees beforehand that it will not help."""
    import time_machine

    from payaid_entitlements import Entitlements

    with time_machine.travel(terminal.now, tick=False), Entitlements.open(terminal.url) as ent:
        ent.admin("ops", because="fire").kill("hr")
    output = terminal.run("override", "set", "kaveri", "hr", "true", "--for", "1d", "--because", "x", "--yes")
    line = next(line for line in output.out.splitlines() if "->" in line)
    assert line.count("refused (") == 2


def test_somebody_of_whom_nothing_is_known_may_have_an_override(terminal: Terminal) -> None:
    output = terminal.run("override", "set", "tiny-shop", "hr", "true", "--for", "1d", "--because", "x", "--yes")
    assert "  tiny-shop/hr  refused (plan.module_absent) -> allowed (override)" in output.out
