"""Before anything is changed: the database is named, before and after are shown, and somebody says yes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import typer

from payaid_entitlements.cli import REFUSED
from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.cli.printing import console, escape, notes


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that would change. *before* and *after* are marked up for the terminal."""

    what: str
    before: str
    after: str


def confirm(
    database: str, lines: Sequence[Line], *, because: str, yes: bool, as_json: bool, told: Sequence[str] = ()
) -> None:
    """
    Show what would change, and return if it shall.

    Args:
        told: What else is to be known of it, a line each, marked up for the terminal.

    Raises:
        Ending: Nobody is there to ask, and ``--yes`` was not given; or the answer was no.
    """
    out = notes() if as_json else console()
    out.print(f"[bold]database[/] {escape(database)}")
    for line in lines:
        out.print(f"  [bold]{escape(line.what)}[/]  {line.before} -> {line.after}")
    for each in told:
        out.print(each)
    out.print(f"  [dim]because {escape(because)}[/]")
    if yes:
        return
    if not sys.stdin.isatty():
        raise Ending("nothing was changed: there is no terminal to ask at; --yes says yes beforehand")
    if not typer.confirm("apply?", default=False, err=True):
        raise Ending("nothing was changed", code=REFUSED)
