"""`payaid db`: which version the tables have, up and down, and what is said before anything is lost."""

from __future__ import annotations

import sqlite3

import pytest

from tests.cli.conftest import Terminal

EVERYTHING = "all tenants and what is known of them, what is sold, all switches, the audit trail"
SEEN = "which tenant used what on which day, and who would gain or lose by enforcement"
RATES = "what rate limits have counted: all of them begin anew"
FLAGS = "all that was changed of flags since the catalog, segments, how rollouts stand and what they measured"
COUNTED = "all that was counted: usage, reservations, slots, which operations were done"


def _tables(terminal: Terminal) -> set[str]:
    with sqlite3.connect(terminal.directory / "payaid.db") as database:
        found = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    database.close()
    return found


def _set_version(terminal: Terminal, version: str) -> None:
    with sqlite3.connect(terminal.directory / "payaid.db") as database:
        database.execute("UPDATE payaid_schema SET version_num = ?", (version,))
    database.close()


def test_the_statements_are_printed_and_change_nothing(terminal: Terminal, empty: Terminal) -> None:
    assert terminal.run("db", "downgrade", "--to", "0", "--because", "x", "--yes").code == 0
    output = terminal.run("db", "upgrade", "--sql")
    assert (output.code, output.err) == (0, "")
    found = terminal.run("db", "upgrade", "--sql", "--json").data
    # The indices of a table come in any order.
    assert sorted(found.pop("sql").split()) == sorted(output.out.split())
    assert found == {"database": "sqlite:///payaid.db", "before": None, "after": 5}
    assert _tables(terminal) == set()
    with sqlite3.connect(terminal.directory / "payaid.db") as database:
        database.executescript(output.out)
    database.close()
    assert terminal.run("db", "check").code == 0
    assert terminal.run("seed", "--yes").code == 0
    assert "CREATE TABLE" not in terminal.run("db", "upgrade", "--sql").out


def test_a_change_without_a_reason_is_none(empty: Terminal) -> None:
    output = empty.run("db", "upgrade", "--yes")
    assert output.code == 2
    assert "say why, with --because" in output.err
    assert not (empty.directory / "payaid.db").exists()


def test_tables_are_removed_when_that_is_said_and_what_goes_is_shown_before(terminal: Terminal) -> None:
    assert terminal.run("db", "downgrade", "--because", "x", "--yes").code == 2  # nobody says to where
    output = terminal.run("db", "downgrade", "--to", "0", "--because", "we leave")
    assert output.code == 2
    assert output.out.splitlines() == [
        "database sqlite:///payaid.db",
        "  tables  version 5 -> none",
        f"  lost  {SEEN} -> nothing",
        f"  lost  {RATES} -> nothing",
        f"  lost  {FLAGS} -> nothing",
        f"  lost  {COUNTED} -> nothing",
        f"  lost  {EVERYTHING} -> nothing",
        "  because we leave",
    ]
    assert "nothing was changed" in output.err
    assert terminal.run("check", "kaveri", "crm").code == 0
    output = terminal.run("db", "downgrade", "--to", "0", "--because", "we leave", "--yes")
    assert (output.code, output.out.splitlines()[-1]) == (0, "done: there are no tables of ours any more")
    assert _tables(terminal) == set()
    assert terminal.run("db", "downgrade", "--to", "0", "--because", "again", "--yes", "--json").data == {
        "database": "sqlite:///payaid.db",
        "before": None,
        "after": None,
    }


def test_down_to_where_they_are_changes_nothing(terminal: Terminal) -> None:
    output = terminal.run("db", "downgrade", "--to", "5", "--because", "x", "--yes")
    assert (output.code, output.out.splitlines()[-1]) == (0, "done: the tables have version 5")
    assert terminal.run("check", "kaveri", "crm").code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["upgrade", "--to", "6"], "there is no version 6 of our tables; this release knows 1 to 5"),
        (["upgrade", "--to", "0"], "there is no version 0 of our tables; this release knows 1 to 5"),
        (["downgrade", "--to", "-1"], "there is no version -1 of our tables; this release knows 0 to 5"),
        (["upgrade", "--to", "6", "--sql"], "there is no version 6 of our tables; this release knows 1 to 5"),
    ],
)
def test_versions_that_are_not_are_refused(terminal: Terminal, arguments: list[str], says: str) -> None:
    output = terminal.run("db", *arguments, "--because", "x", "--yes")
    assert output.code == 2
    assert output.err == f"payaid: {says}"
    assert terminal.run("db", "current").out == "5"


def test_up_is_not_down(terminal: Terminal) -> None:
    terminal.run("db", "downgrade", "--to", "0", "--because", "x", "--yes")
    output = terminal.run("db", "downgrade", "--to", "1", "--because", "x", "--yes")
    assert output.code == 2
    assert output.err == ("payaid: our tables have version 0, and 1 is later: that is `payaid db upgrade --to 1`")


def test_a_later_version_that_serves_this_release_is_well(terminal: Terminal) -> None:
    """Processes of the release before start while a new one is rolled out."""
    _set_version(terminal, "7.1")
    output = terminal.run("db", "check")
    assert (output.code, output.out) == (
        0,
        "ok sqlite:///payaid.db: version 7, and this release, which needs 5, can use it",
    )
    assert terminal.run("db", "check", "--json").data == {
        "database": "sqlite:///payaid.db",
        "ok": True,
        "version": 7,
        "needed": 5,
    }
    assert terminal.run("check", "kaveri", "crm").code == 0
    assert terminal.run("db", "upgrade", "--because", "back to the release before", "--yes", "--json").data == {
        "database": "sqlite:///payaid.db",
        "before": 7,
        "after": 7,
    }
    assert terminal.run("db", "upgrade", "--sql").out == ""
    output = terminal.run("db", "downgrade", "--to", "0", "--because", "x", "--yes")
    assert output.code == 2
    assert output.err.endswith("has tables of version 7; only a release that knows it brings them down")
    assert terminal.run("db", "current").out == "7"


def test_what_is_no_version_is_said(terminal: Terminal) -> None:
    for text in ("a1b2c3", "7", "7.", "", "7.x"):
        _set_version(terminal, text)
        output = terminal.run("db", "check")
        assert output.code == 2
        assert output.err == f"payaid: our tables are said to have version {text!r}, which no release has"


@pytest.mark.parametrize("url", ["memory://", "redis://127.0.0.1:1/0"])
@pytest.mark.parametrize(
    "command",
    [["upgrade", "--because", "x", "--yes"], ["check"], ["current"], ["downgrade", "--to", "0", "--because", "x"]],
)
def test_what_keeps_no_tables_has_nothing_to_migrate(empty: Terminal, url: str, command: list[str]) -> None:
    """A deployment runs the same commands whatever the URL is."""
    output = empty.run("db", *command, "--url", url)
    assert (output.code, output.err) == (0, "")
    assert output.out.startswith("ok ")
    assert output.out.endswith("has no tables: there is nothing to migrate")
    found = empty.run("db", *command, "--url", url, "--json").data
    assert (found["ok"], found["version"], found["needed"]) == (True, None, None)
