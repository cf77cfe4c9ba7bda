"""How commands end: exit codes, sentences instead of tracebacks, no secrets, JSON alone on stdout."""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any

import pytest
from typer.main import get_command

from payaid_entitlements.cli import main, opening
from payaid_entitlements.cli.examples import example_directory
from payaid_entitlements.cli.program import app
from payaid_entitlements.errors import OutcomeUnknown, StoreUnavailable
from payaid_entitlements.stores.memory import MemoryStore
from tests.cli.conftest import Terminal

#: A call of each command that succeeds beside a seeded store; with {change} for one that can be undone.
CALLS = {
    "init": ["init"],
    "seed": ["seed", "--tenants", "1", "--yes"],
    "doctor": ["doctor"],
    "db upgrade": ["db", "upgrade", "--because", "x", "--yes"],
    "db downgrade": ["db", "downgrade", "--to", "1", "--because", "x", "--yes"],
    "db check": ["db", "check"],
    "db current": ["db", "current"],
    "export": ["export", "out.jsonl"],
    "import": ["import", "{backup}", "--url", "sqlite:///restored.db"],
    "check": ["check", "kaveri", "crm"],
    "explain": ["explain", "kaveri", "crm"],
    "audit": ["audit"],
    "tenant list": ["tenant", "list"],
    "tenant show": ["tenant", "show", "kaveri"],
    "usage show": ["usage", "show", "kaveri"],
    "usage top": ["usage", "top", "invoicing.invoices"],
    "usage export": ["usage", "export", "usage.csv"],
    "usage audit": ["usage", "audit"],
    "usage prune": ["usage", "prune"],
    "limit show": ["limit", "show", "kaveri"],
    "limit top": ["limit", "top", "api"],
    "limit reset": ["limit", "reset", "kaveri", "api", "--because", "x", "--yes"],
    "assignments list": ["assignments", "list", "kaveri", "seats"],
    "assignments reconcile": [
        *("assignments", "reconcile", "kaveri", "seats", "--holders", "holders", "--because", "x", "--yes"),
    ],
    "override set": ["override", "set", "kaveri", "hr", "true", "--forever", "--because", "x", "--yes"],
    "override clear": ["override", "clear", "favoured", "hr", "--because", "x", "--yes"],
    "override list": ["override", "list"],
    "observe report": ["observe", "report"],
    "enforcement show": ["enforcement", "show"],
    "enforcement set": ["enforcement", "set", "crm", "enforce", "--percent", "5", "--because", "x", "--yes"],
    "flag list": ["flag", "list"],
    "flag show": ["flag", "show", "new-checkout"],
    "flag explain": ["flag", "explain", "new-checkout", "kaveri"],
    "flag history": ["flag", "history", "new-checkout"],
    "flag stale": ["flag", "stale"],
    "flag lint": ["flag", "lint"],
    "flag set": ["flag", "set", "new-checkout", "on", "--because", "x", "--yes"],
    "flag rollout": ["flag", "rollout", "new-checkout", "5%", "--because", "x", "--yes"],
    "flag kill": ["flag", "kill", "new-checkout", "--because", "x", "--yes"],
    "flag restore": ["flag", "restore", "new-checkout", "--because", "x", "--yes"],
    "flag undo": ["flag", "undo", "new-checkout", "--because", "x", "--yes"],
    "flag remove": ["flag", "remove", "new-checkout", "--because", "x", "--force", "--yes"],
    "flag import": ["flag", "import", "{flags}", "--because", "x", "--yes"],
    "flag export": ["flag", "export"],
    "undo": ["undo", "{change}", "--because", "x", "--yes"],
    "catalog validate": ["catalog", "validate", "{example}"],
    "catalog schema": ["catalog", "schema"],
    "catalog types": ["catalog", "types", "{example}"],
    "catalog show": ["catalog", "show"],
    "catalog diff": ["catalog", "diff", "{example}"],
    "catalog scan": ["catalog", "scan", "{example}", "--catalog", "{example}"],
    "catalog publish": ["catalog", "publish", "{example}", "--because", "x", "--yes"],
    "flag step": ["flag", "step", "--because", "x", "--yes"],
    "flag measured": ["flag", "measured", "new-checkout"],
    "flag approve": ["flag", "approve", "new-checkout", "--because", "x", "--yes"],
    "flag pause": ["flag", "pause", "new-checkout", "--because", "x", "--yes"],
    "flag resume": ["flag", "resume", "new-checkout", "--because", "x", "--yes"],
    "flag restart": ["flag", "restart", "new-checkout", "--because", "x", "--yes"],
    "flag roll-back": ["flag", "roll-back", "new-checkout", "--because", "x", "--yes"],
}
#: What must have happened for them, on the day on which the rollout of the example begins.
BEFORE = {
    "flag step": (),
    "flag pause": (CALLS["flag step"],),
    "flag approve": (["flag", "import", "asks.json", "--because", "x", "--yes"], CALLS["flag step"]),
    "flag resume": (CALLS["flag step"], CALLS["flag pause"]),
    "flag restart": (CALLS["flag roll-back"],),
}
CHANGES = {
    *("flag step", "flag approve", "flag pause", "flag resume", "flag restart", "flag roll-back"),
    *("seed", "db upgrade", "db downgrade", "override set", "override clear", "undo", "catalog publish"),
    "assignments reconcile",
    "enforcement set",
    "limit reset",
    *("flag set", "flag rollout", "flag kill", "flag restore", "flag undo", "flag remove", "flag import"),
}


def commands() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined] # it is a group
        inner = getattr(command, "commands", None)
        found |= {name: command} if inner is None else {f"{name} {each}": inner[each] for each in inner}
    return found


def test_every_command_has_a_call_here_and_an_option_for_programs() -> None:
    assert set(commands()) == {*CALLS, "demo"}
    for name, command in commands().items():
        options = {option for parameter in command.params for option in parameter.opts}
        assert "--json" in options, name
        assert ("--because" in options) is (name in CHANGES), name
        assert ("--yes" in options) is (name in CHANGES), name
        assert inspect.cleandoc(command.help), name


@pytest.mark.parametrize("name", CALLS)
def test_with_json_stdout_is_one_json_value_and_nothing_else(terminal: Terminal, name: str) -> None:
    [entry] = terminal.run("audit", "favoured", "--feature", "hr", "--json").data
    values = {"change": entry["change"], "example": str(example_directory() / "catalog.yaml"), "backup": "all.jsonl"}
    values["flags"] = "flags.yaml"
    (terminal.directory / "flags.yaml").write_text("flags: {look: {rollout: 5%}}")
    if name == "flag undo":
        terminal.run("flag", "rollout", "new-checkout", "5%", "--because", "x", "--yes")
    (terminal.directory / "holders").write_text("member:1\n")
    if name == "import":
        terminal.run("export", values["backup"])
    if name in BEFORE:
        terminal.later(days=10)
        (terminal.directory / "asks.json").write_text(
            json.dumps({"flags": {"new-checkout": {"rollout": {"percent": "5%", "approval": True}}}})
        )
        for call in BEFORE[name]:
            assert terminal.run(*call).code == 0
    output = terminal.run(*(each.format(**values) for each in CALLS[name]), "--json")
    assert output.code == 0, output.err
    json.loads(output.out)
    if name in CHANGES - {"catalog publish"}:  # which has nothing to do here
        assert output.err.splitlines()[0] == "database sqlite:///payaid.db"


#: What begins a store, and what needs none.
WITHOUT_A_STORE = {
    "init",
    "seed",
    "db upgrade",
    "catalog publish",
    "catalog validate",
    "catalog schema",
    "catalog types",
    "catalog scan",
    "import",
}


@pytest.mark.parametrize("name", sorted(set(CALLS) - WITHOUT_A_STORE))
def test_a_store_that_is_not_there_is_not_made_by_a_question(empty: Terminal, name: str) -> None:
    values = {"change": "X", "example": str(example_directory() / "catalog.yaml"), "flags": "flags.yaml"}
    output = empty.run(*(each.format(**values) for each in CALLS[name]))
    assert (output.code, output.out) == (2, "")
    assert output.err.startswith("payaid: there is no payaid.db; run `payaid catalog publish`")
    assert list(empty.directory.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("nonsense", 2, "URL"),
        ("oracle://root:hunter2@localhost/db", 2, "'oracle' is not supported"),
        ("mysql://root:hunter2@127.0.0.1:1/db", 3, "gave no answer"),
        ("redis://root:hunter2@127.0.0.1:1", 3, "gave no answer"),
        ("postgresql://root:hunter2@localhost:port/db", 2, "URL"),
        ("postgresql://root:hunter2@127.0.0.1:1/db", 3, "gave no answer"),
        ("sqlite://", 2, "names no file"),
        ("memory://", 2, "nothing is published in memory"),
        ("sqlite:///text.db", 3, "file is not a database"),
        ("sqlite:///.", 3, "unable to open database file"),
    ],
)
def test_a_wrong_store_is_a_sentence_without_a_secret(empty: Terminal, url: str, code: int, said: str) -> None:
    (empty.directory / "text.db").write_text("not a database, but a text that is long enough to be looked at")
    output = empty.run("tenant", "list", "--url", url)
    assert (output.code, output.out) == (code, "")
    assert output.err.startswith("payaid: ")
    assert said in output.err
    assert "hunter2" not in output.err


def test_a_store_is_named_behind_before_or_around_the_command(empty: Terminal, terminal: Terminal) -> None:
    empty.url = "sqlite:///elsewhere.db"
    assert terminal.run("check", "kaveri", "crm").code == 2
    assert terminal.run("check", "kaveri", "crm", "--url", "sqlite:///payaid.db").code == 0
    assert terminal.run("--url", "sqlite:///payaid.db", "check", "kaveri", "crm").code == 0
    assert (
        terminal.run("--url", "sqlite:///nope.db", "check", "kaveri", "crm", "--url", "sqlite:///payaid.db").code == 0
    )
    terminal.url = ""
    assert terminal.run("check", "kaveri", "crm").code == 0, "the default is payaid.db here"


def test_a_wrong_word_in_the_environment_is_said(terminal: Terminal) -> None:
    terminal.environment["PAYAID_ENFORCEMENT"] = "bogus"
    output = terminal.run("check", "kaveri", "crm")
    assert (output.code, output.out) == (2, "")
    assert (
        output.err == "payaid: PAYAID_ENFORCEMENT is 'bogus'; write 'off', 'observe' or 'enforce' (unset means enforce)"
    )


def test_what_the_library_logs_is_on_stderr(terminal: Terminal) -> None:
    terminal.environment["PAYAID_ENFORCEMENT"] = "observe"
    output = terminal.run("check", "kaveri", "hr", "--json")
    assert output.data["reason"] == "enforcement.observed"
    assert "enforcement.is_not_on" in output.err


class Lost(MemoryStore):
    """Answers reads; a write gets no answer."""

    def apply(self, *_: object, **__: object) -> Any:
        raise OutcomeUnknown("the database gave no answer to a commit", operation=None)


class Dead(MemoryStore):
    def read(self, *_: object, **__: object) -> Any:
        raise StoreUnavailable("the database gave no answer: it is on fire")


def test_a_change_whose_outcome_is_unknown_says_where_to_look(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opening.opened(terminal.url) as store:
        published = store.store.catalog()
    lost = Lost()
    monkeypatch.setattr(lost, "catalog", lambda: published)
    monkeypatch.setattr(opening, "open_store", lambda _: lost)
    output = terminal.run("override", "set", "kaveri", "hr", "true", "--forever", "--because", "x", "--yes")
    assert output.code == 3
    assert "it may or may not have happened: look with `payaid audit`" in output.err


def test_an_outage_is_no_no(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with 3, never with the 1 of a refusal, and says which store it is."""
    with opening.opened(terminal.url) as store:
        published = store.store.catalog()
    dead = Dead()
    monkeypatch.setattr(dead, "catalog", lambda: published)
    monkeypatch.setattr(opening, "open_store", lambda _: dead)
    output = terminal.run("check", "kaveri", "hr")
    assert (output.code, output.out) == (3, "")
    assert output.err.splitlines()[-1] == "payaid: memory: the database gave no answer: it is on fire"


def test_an_operator_without_a_name_is_still_an_actor(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1000")

    monkeypatch.setattr("getpass.getuser", nobody)
    terminal.changed("override", "set", "kaveri", "hr", "true", "--forever", "--because", "x")
    assert terminal.run("audit", "kaveri", "--json").data[-1]["actor"] == "cli:unknown"


def test_without_its_extra_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "payaid_entitlements.cli.program")
    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "payaid needs the package 'typer'; run: pip install 'payaid-entitlements[cli]'\n"
    )


def test_another_module_that_is_missing_is_no_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "payaid_entitlements.cli.program")
    monkeypatch.setitem(sys.modules, "structlog", None)
    with pytest.raises(ModuleNotFoundError):
        main()


def test_the_version_is_that_of_the_package(empty: Terminal) -> None:
    from payaid_entitlements import __version__

    assert empty.run("--version").out == __version__


def test_a_mistyped_command_is_answered_with_the_one_that_was_meant(empty: Terminal) -> None:
    output = empty.run("tenants")
    assert (output.code, output.out) == (2, "")
    assert "Did you mean 'tenant'?" in output.err


def test_help_says_what_exit_codes_mean(empty: Terminal) -> None:
    output = empty.run("--help")
    assert output.code == 0
    assert "Exit codes: 0 yes or done, 1 no or refused, 2 wrong use or configuration, 3 the store gave no" in output.out
