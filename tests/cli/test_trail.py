"""`payaid audit` and `payaid undo`."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest
import time_machine

from payaid_entitlements import Entitlements
from tests.cli.conftest import Terminal


def without_ids(text: str) -> str:
    return re.sub(r"\b[0-9A-Z]{26}\b", "ID", text)


def test_the_trail_says_who_changed_what_when_and_why(terminal: Terminal) -> None:
    output = terminal.run("audit", "--limit", "3")
    assert (output.code, output.err) == (0, "")
    assert without_ids(output.out) == dedent("""\
        sqlite:///payaid.db
        on-leave  pause  22 Nov 2026 21:30 IST (16:00 UTC)  by seed  ID
            paused from  - -> 22 Nov 2026 21:30 IST (16:00 UTC)
            tenants to try things out with
        favoured  override  22 Nov 2026 21:30 IST (16:00 UTC)  by seed  ID
            override of hr  - -> yes until 22 Dec 2026 21:30 IST (16:00 UTC)
            tenants to try things out with
        growing  change_plan  22 Nov 2026 21:30 IST (16:00 UTC)  by seed  ID
            plan  starter@2 -> professional@1 from 22 Dec 2026 21:30 IST (16:00 UTC)
            tenants to try things out with""")


def test_a_reason_is_one_line_of_the_trail(terminal: Terminal) -> None:
    with time_machine.travel(terminal.now, tick=False), Entitlements.open(terminal.url) as ent:
        ent.admin("ops", because="fire\ncatalog  publish  by nobody\u202e").kill("hr")
    assert terminal.run("audit", "--limit", "1").out.splitlines()[-1] == (
        r"    fire\x0acatalog  publish  by nobody\u202e"
    )


def test_what_was_published_and_switched_is_in_the_trail_too(terminal: Terminal) -> None:
    with time_machine.travel(terminal.now, tick=False), Entitlements.open(terminal.url) as ent:
        admin = ent.admin("ops")
        admin.kill("hr", because="fire")
        admin.set_timezone("kaveri", "Europe/Berlin")
        admin.invalidate("kaveri")
        admin.suspend("everything", because="fraud")
    output = terminal.run("audit", "--limit", "1000")
    assert "catalog  publish  " in output.out
    assert "controls  kill  " in output.out
    assert "Europe/Berlin" in output.out
    assert "kaveri  invalidate  " in output.out
    assert "  status  - -> suspended" in output.out


def test_entries_are_found_by_tenant_feature_and_time(terminal: Terminal) -> None:
    terminal.later(days=2)
    terminal.changed("override", "set", "kaveri", "seats", "9", "--forever", "--because", "INC-1")
    with time_machine.travel(terminal.now, tick=False), Entitlements.open(terminal.url) as ent:
        ent.admin("ops", because="fire").kill("hr")

    def verbs(*arguments: str) -> list[tuple[str | None, str]]:
        return [(each["tenant"], each["verb"]) for each in terminal.run("audit", "--json", *arguments).data]

    assert verbs("kaveri") == [("kaveri", "subscribe"), ("kaveri", "override")]
    assert verbs("--feature", "hr") == [("favoured", "override"), (None, "kill")]
    assert verbs("--since", "1d") == [("kaveri", "override"), (None, "kill")]
    assert verbs("--since", "2026-11-24T21:00+05:30") == [("kaveri", "override"), (None, "kill")]
    assert verbs("--since", "2026-11-24T16:00:01Z") == []


def test_an_entry_as_json_has_facts_that_a_program_can_read(terminal: Terminal) -> None:
    [entry] = terminal.run("audit", "favoured", "--feature", "hr", "--json").data
    assert (entry["scope"], entry["actor"], entry["because"]) == ("tenant", "seed", "tenants to try things out with")
    assert entry["at"] == "2026-11-22T16:00:00+00:00"
    assert entry["facts"][0]["subject"] == ["override", "hr"]
    assert entry["facts"][0]["before"] is None


def test_where_nothing_is_recorded_that_is_said(terminal: Terminal) -> None:
    output = terminal.run("audit", "nobody")
    assert (output.code, output.err) == (0, "  no such change is recorded")
    assert terminal.run("audit", "nobody", "--json").data == []


@pytest.mark.parametrize("since", ["yesterday", "", "2026-13-01Z", "2026-11-01"])
def test_a_time_that_is_none_is_refused(terminal: Terminal, since: str) -> None:
    assert terminal.run("audit", "--since", since).code == 2


def test_a_trail_longer_than_a_page_is_read_whole(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = terminal.run("audit", "--limit", "1000", "--json").data
    monkeypatch.setattr("payaid_entitlements.cli.audit._PAGE", 3)
    assert terminal.run("audit", "--limit", "1000", "--json").data == whole
    assert terminal.run("audit", "--limit", "2", "--json").data == whole[-2:]


def test_a_change_is_taken_back(terminal: Terminal) -> None:
    change = terminal.changed("override", "set", "kaveri", "hr", "true", "--for", "1d", "--because", "INC-1")
    output = terminal.run("undo", change, "--because", "wrong tenant", "--yes")
    assert output.code == 0
    assert output.out.splitlines()[:3] == [
        "database sqlite:///payaid.db",
        "  kaveri override of hr  yes until 23 Nov 2026 21:30 IST (16:00 UTC) -> -",
        "  because wrong tenant",
    ]
    assert terminal.run("check", "kaveri", "hr").code == 1


def test_a_switch_is_taken_back_too(terminal: Terminal) -> None:
    with time_machine.travel(terminal.now, tick=False), Entitlements.open(terminal.url) as ent:
        change = ent.admin("ops", because="fire").kill("hr")
    assert terminal.run("check", "everything", "hr").code == 1
    output = terminal.run("undo", str(change.id), "--because", "the fire is out", "--yes")
    assert output.code == 0
    assert output.out.splitlines()[0] == "database sqlite:///payaid.db"
    assert " -> " in output.out.splitlines()[1]
    assert terminal.run("check", "everything", "hr").code == 0


def test_what_was_changed_since_is_not_taken_back_silently(terminal: Terminal) -> None:
    first = terminal.changed("override", "set", "kaveri", "hr", "true", "--for", "1d", "--because", "a")
    terminal.later(minutes=1)
    second = terminal.changed("override", "set", "kaveri", "hr", "true", "--for", "2d", "--because", "b")
    output = terminal.run("undo", first, "--because", "x", "--yes")
    assert (output.code, output.out) == (1, "")
    assert f"undo '{second}' first" in output.err


def test_what_was_taken_back_is_not_taken_back_again(terminal: Terminal) -> None:
    change = terminal.changed("override", "set", "kaveri", "hr", "true", "--for", "1d", "--because", "a")
    undone = terminal.changed("undo", change, "--because", "x")
    output = terminal.run("undo", change, "--because", "x", "--yes", "--json")
    assert (output.code, output.out) == (1, "")
    assert f"undo '{undone}' first" in output.err


def test_an_undo_is_taken_back_as_any_other_change(terminal: Terminal) -> None:
    change = terminal.changed("override", "set", "kaveri", "hr", "true", "--for", "1d", "--because", "a")
    terminal.changed("undo", terminal.changed("undo", change, "--because", "x"), "--because", "it was right")
    assert terminal.run("check", "kaveri", "hr").code == 0


def test_a_change_that_there_is_none_of_is_said(terminal: Terminal) -> None:
    output = terminal.run("undo", "123", "--because", "x", "--yes")
    assert (output.code, output.out) == (2, "")
    assert output.err == "payaid: there is no change 123; `payaid audit` lists them"


def test_a_publication_is_not_undone_but_published_again(terminal: Terminal) -> None:
    [*_, published] = [
        each for each in terminal.run("audit", "--limit", "1000", "--json").data if each["verb"] == "publish"
    ]
    output = terminal.run("undo", published["change"], "--because", "x", "--yes")
    assert output.code == 2
    assert "payaid catalog publish FILE" in output.err


def test_a_loss_is_named(terminal: Terminal) -> None:
    change = terminal.changed("override", "set", "kaveri", "hr", "true", "--for", "1d", "--because", "a")
    assert "  loses hr" in terminal.run("undo", change, "--because", "x", "--yes").out
