"""What the terminal shows: answers on stdout, everything else on stderr, JSON alone when it was asked for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, TextIO
from unicodedata import category

from rich.console import Console
from rich.markup import escape as escape_markup
from rich.table import Table
from rich.text import Text

from payaid_entitlements.core.catalog.model import ConfigType, Feature
from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.interval import format_duration
from payaid_entitlements.core.values import Allowance, Deny, Unlimited, Value

#: Columns where the output is no terminal: tables in a log or a pipe must not be folded at 80.
PIPED = 140

#: Cells of the bar that shows how much of a limit is used.
_BAR = 20
#: From this part of a limit on the bar is yellow; red where nothing is left.
_MUCH = Decimal("0.8")
_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


#: Categories of Unicode of what acts on a terminal or is not seen: controls, what is read from right to left or joins
#: letters, ends of lines.
_ACTING: Final = ("Cc", "Cf", "Zl", "Zp")


def plain(text: str, *, but: str = "") -> str:
    """
    *text* in one line, with what acts on the terminal, or is not seen, written out.

    People agree to what they see, and titles, rules and ids come from files and from customers: a title must not write
    lines of what it is shown in.

    Args:
        but: Letters that are left as they are.
    """
    if text.isprintable():
        return text
    return "".join(_written_out(each) if category(each) in _ACTING and each not in but else each for each in text)


def _written_out(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def escape(text: str) -> str:
    """*text*, a value, as part of what is marked up: to be shown to the letter, see `plain`."""
    return escape_markup(plain(text))


class _Plain(Console):
    """A console that shows texts as they are: no picture for ``:key:``, and nothing of them acts on the terminal."""

    def render_str(self, text: str, **how: Any) -> Text:
        """Make of *text*, which is marked up, what is shown."""
        # Values have been through `escape`; whatever has not may still have lines, as we have.
        return super().render_str(plain(text, but="\n\t"), **how)


def console() -> Console:
    """Where answers go."""
    return _Plain(width=_width(sys.stdout), highlight=False, emoji=False)


def notes() -> Console:
    """Where remarks, questions and errors go, so that stdout can be read by a program."""
    return _Plain(width=_width(sys.stderr), highlight=False, stderr=True, emoji=False)


def _width(stream: TextIO | None) -> int | None:
    """
    None where rich finds it out itself: from the terminal, or from COLUMNS.

    Args:
        stream: None where the process was started with it closed.
    """
    is_known = os.environ.get("COLUMNS", "").isdigit() or (stream is not None and stream.isatty())
    return None if is_known else PIPED


def emit(data: Mapping[str, object] | Sequence[object]) -> None:
    """Print *data* as JSON on stdout, where nothing else is."""
    for line in json.dumps(data, ensure_ascii=False, indent=2).split("\n"):
        # All that acts is in a string, where it may be written as an escape.
        print(line if line.isprintable() else "".join(map(_in_json, line)))


def _in_json(letter: str) -> str:
    return json.dumps(letter)[1:-1] if category(letter) in _ACTING else letter


def grid(*columns: str, title: str | None = None) -> Table:
    """An empty table as all commands show them."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold", border_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def bar(part: Decimal, *, is_full: bool) -> str:
    """How much of a limit is used, as a bar and in percent; *part* may be less than 0, and more than 1."""
    cells = int(min(max(part, Decimal(0)), Decimal(1)) * _BAR)
    colour = "red" if is_full else "yellow" if part >= _MUCH else "green"
    return f"[{colour}]{'█' * cells}[/][dim]{'░' * (_BAR - cells)}[/] {int(part * 100)} %"


def verdict(decision: Decision) -> Text:
    """The answer in one word, and why."""
    word = Text("allowed", "bold green") if decision.allowed else Text("refused", "bold red")
    return Text.assemble(
        word,
        "  ",
        (decision.reason.value, "cyan"),
        (f"  {plain(decision.source)}" if decision.source else "", "dim"),
    )


def held(decision: Decision, feature: Feature | None) -> str:
    """What a decision comes to, in one line: ``allowed, 5 (plan starter@1)``."""
    if not decision.allowed:
        return f"[red]refused[/] ({escape(decision.reason.value)})"
    worth = "" if decision.value is None or decision.value is True else f", {escape(worth_of(decision.value, feature))}"
    return f"[green]allowed[/]{worth} ({escape(decision.source or decision.reason.value)})"


def gives(decision: Decision, feature: Feature) -> str:
    """What an allowed *decision* is worth; what has no allowance of its own by what opens it: ``credit ai_credits``."""
    if decision.reason in (Reason.GRANT_HELD, Reason.CREDIT_PAYS):
        return decision.source
    return worth_of(decision.value, feature)


def worth_of(value: Value | Deny | None, feature: Feature | None = None) -> str:
    """A value for people: ``100 a month``, ``10 GB``, ``unlimited``, ``yes``."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case Unlimited():
            return "unlimited"
        case Deny():
            return "denied"
        case timedelta():
            return format_duration(value // timedelta(microseconds=1))
        case tuple():
            return ", ".join(value)
        case Allowance(limit, per):
            unit = "" if feature is None or not feature.unit else f" {feature.unit}{'' if limit == 1 else 's'}"
            return f"{worth_of(limit)}{unit}{f' per {per}' if per else ''}"
        case int() if feature is not None and feature.type is ConfigType.SIZE:
            return _size(value)
        case int() | Decimal() | str():
            return str(value)


def _size(count: int) -> str:
    power = 0
    while power + 1 < len(_UNITS) and count and count % 1000 == 0:
        count //= 1000
        power += 1
    return f"{count} {_UNITS[power]}"
