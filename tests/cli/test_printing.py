"""Values in words, and the progress of long work."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from payaid_entitlements import cli
from payaid_entitlements.cli import progress
from payaid_entitlements.cli.printing import console, emit, escape, grid, verdict, worth_of
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.values import DENY, UNLIMITED, Allowance

FEATURES = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "none",
        "features": {
            "seats": {"kind": "allocation", "unit": "seat"},
            "calls": {"kind": "quota"},
            "storage": {"kind": "config", "type": "size", "merge": "max"},
            "rate": {"kind": "config", "type": "decimal", "merge": "max"},
        },
        "plans": {},
    }
).features


@pytest.mark.parametrize(
    ("feature", "value", "words"),
    [
        (None, None, "-"),
        (None, True, "yes"),
        (None, False, "no"),
        (None, UNLIMITED, "unlimited"),
        (None, DENY, "denied"),
        (None, timedelta(minutes=90), "90 minutes"),
        (None, ("eu", "us"), "eu, us"),
        (None, "basic", "basic"),
        (None, 10, "10"),
        ("rate", Decimal("0.10"), "0.10"),
        ("seats", Allowance(1, None), "1 seat"),
        ("seats", Allowance(2, None), "2 seats"),
        ("seats", Allowance(UNLIMITED, None), "unlimited seats"),
        ("calls", Allowance(5, None), "5"),
        ("storage", 0, "0 B"),
        ("storage", 1, "1 B"),
        ("storage", 1_500, "1500 B"),
        ("storage", 10_000_000_000, "10 GB"),
        ("storage", 10**18, "1000 PB"),
    ],
)
def test_a_value_in_words(feature: str | None, value: object, words: str) -> None:
    assert worth_of(value, None if feature is None else FEATURES[feature]) == words  # type: ignore[arg-type] # any value


def test_progress_is_shown_to_who_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(progress, "notes", lambda: Console(file=screen, force_terminal=True, width=80))
    with progress.counting("making tenants", 3) as done:
        done(1)
        done(2)
    assert "making tenants" in screen.getvalue()
    assert "3/3" in screen.getvalue()


def test_progress_is_not_written_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(progress, "notes", lambda: Console(file=log))
    with progress.counting("making tenants") as done:
        done(1)
    assert log.getvalue() == ""


def test_nothing_of_a_text_acts_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Who imports a file of somebody else agrees to what he sees; ids are shown to the letter."""
    table = grid("flag\x9b2J")
    table.add_row(escape("x\x1b[1A\rhidden"))
    console().print(table)
    console().print("[bold]" + escape("org:key:1 a\u202eb [not] c") + "[/]\n\tnext")
    shown = capsys.readouterr().out
    assert "flag\\x9b2J" in shown
    assert "x\\x1b[1A\\x0dhidden" in shown
    assert "org:key:1 a\\u202eb [not] c\n" in shown
    assert not {each for each in shown if ord(each) < 0x20 and each != "\n"}


@pytest.mark.parametrize(
    ("letter", "seen"),
    [
        ("\n", r"\x0a"),
        ("\t", r"\x09"),
        ("\x7f", r"\x7f"),
        ("\x9b", r"\x9b"),
        ("\xad", r"\xad"),
        ("\u061c", r"\u061c"),
        ("\u200b", r"\u200b"),
        ("\u202e", r"\u202e"),
        ("\u2028", r"\u2028"),
        ("\u2062", r"\u2062"),
        ("\ufeff", r"\ufeff"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_a_value_is_in_one_line_in_which_all_is_seen(
    capsys: pytest.CaptureFixture[str], letter: str, seen: str
) -> None:
    """Whatever acts, or is not seen, is written out; in JSON as its escapes are."""
    text = f"a{letter}[bold]é\xa0b"
    console().print(escape(text))
    assert capsys.readouterr().out == f"a{seen}[bold]é\xa0b\n"
    console().print(verdict(Decision(True, Reason.PLAN_GRANTED, "crm", source=text)))
    assert f"a{seen}[bold]é\xa0b\n" in capsys.readouterr().out
    emit({"title": text})
    out = capsys.readouterr().out
    assert json.loads(out) == {"title": text}
    assert letter not in out.replace("\n", "") if letter != "\n" else out.count("\n") == 3
    assert "é\xa0b" in out


def test_no_command_escapes_in_another_way() -> None:
    """Rich's own leaves what acts on the terminal; only a list of problems has lines that are its own."""
    assert cli.__file__ is not None
    files = Path(cli.__file__).parent.rglob("*.py")
    assert {file.name for file in files if "rich.markup" in file.read_text()} == {"printing.py", "endings.py"}
