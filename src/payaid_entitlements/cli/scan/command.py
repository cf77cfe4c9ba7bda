"""`payaid catalog scan`: what is left to be moved, and whether code and catalog mean the same keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from payaid_entitlements.cli import REFUSED
from payaid_entitlements.cli.options import AsJson
from payaid_entitlements.cli.printing import console, emit, escape
from payaid_entitlements.cli.progress import counting
from payaid_entitlements.cli.scan.places import Asked, Found, Place, Terms
from payaid_entitlements.cli.scan.walking import files_below, scan
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.written.problems import did_you_mean


@dataclass(frozen=True, slots=True)
class Report:
    """What a scan comes to, all of it in a steady order. *unchecked* are keys of the catalog that nothing names."""

    files: int
    comparisons: list[Place]
    unknown: list[tuple[Asked, str]]
    unchecked: list[str]
    unreadable: list[tuple[str, str]]


def scan_code(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Directories or files: src/ templates/.")],
    catalog: Annotated[Path, typer.Option("--catalog", help="The catalog that the keys are of.")] = Path(
        "catalog.yaml"
    ),
    plan: Annotated[
        list[str] | None, typer.Option("--plan", help="A name that a plan has in your code; repeat.")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="Leave out: 'tests/*'; repeat.")] = None,
    most: Annotated[
        int, typer.Option("--most", min=0, help="So many places may compare plans: lower it as you go.")
    ] = 0,
    strict: Annotated[
        bool, typer.Option("--strict", help="Keys that nothing checks, and files not read, fail.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """
    Find where code compares plans, asks for keys that no catalog has, and never asks for those that it has.

    Reads Python by its syntax, and templates of Django and Jinja by their text; imports nothing. Exits with 1 where
    more places than --most compare a plan, or a key is in no catalog.
    """
    for path in paths:
        if not path.exists():
            raise typer.BadParameter(f"there is no {path}")
    if not catalog.exists():
        raise typer.BadParameter(f"there is no {catalog}; name the catalog with --catalog")
    terms = Terms(Catalog.load(catalog), plan or ())
    files = files_below(paths, exclude or ())
    with counting("reading", len(files)) as count:
        found = scan(files, terms, count)
    report = report_of(found, terms)
    if as_json:
        emit(_as_data(report))
    else:
        _print(report)
    fails = len(report.comparisons) > most or report.unknown or (strict and (report.unchecked or report.unreadable))
    if fails:
        raise typer.Exit(REFUSED)


def report_of(found: Found, terms: Terms) -> Report:
    """What *found* means beside the catalog."""
    catalog = terms.catalog
    known = {
        "feature": {*catalog.modules, *catalog.features},
        "limit": {*catalog.rate_limits},
        # The store may know more flags than the catalog: those that somebody made there.
        "flag": None,
    }
    unknown = []
    for each in sorted(found.asked):
        keys = known[each.kind]
        if keys is not None and each.key not in keys:
            retired = " (it is retired)" if each.key in catalog.retired else did_you_mean(each.key, sorted(keys))
            unknown.append((each, retired))
    unchecked = [key for key in (*catalog.features, *catalog.rate_limits) if key not in found.mentioned]
    # Who asks for a feature asks for its module too.
    modules = catalog.modules.values()
    unchecked += [each.key for each in modules if found.mentioned.isdisjoint((each.key, *each.features))]
    return Report(found.files, sorted(found.comparisons), unknown, sorted(unchecked), sorted(found.unreadable))


def _print(report: Report) -> None:
    out = console()
    for place in report.comparisons:
        out.print(f"[yellow]compares a plan[/] {_where(place)}  {escape(place.text)}", soft_wrap=True)
    for asked, hint in report.unknown:
        out.print(f"[red]in no catalog[/] {_where(asked.place)}  {escape(asked.key + hint)}", soft_wrap=True)
    for key in report.unchecked:
        out.print(f"[dim]never checked[/] {escape(key)}")
    for file, why in report.unreadable:
        out.print(f"[red]not read[/] {escape(file)}: {escape(why)}", soft_wrap=True)
    out.print(
        f"{report.files} files: {_count(len(report.comparisons), 'place compares', 'places compare')} a plan; "
        f"{_count(len(report.unknown), 'key is', 'keys are')} in no catalog; "
        f"{_count(len(report.unchecked), 'key is', 'keys are')} never checked"
    )


def _where(place: Place) -> str:
    return f"[bold]{escape(place.file)}:{place.line}[/]"


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _as_data(report: Report) -> dict[str, object]:
    return {
        "files": report.files,
        "comparisons": [_place(each) for each in report.comparisons],
        "unknown": [
            {**_place(asked.place), "key": asked.key, "kind": asked.kind, "hint": hint.strip("; ()")}
            for asked, hint in report.unknown
        ],
        "unchecked": report.unchecked,
        "unreadable": [{"file": file, "why": why} for file, why in report.unreadable],
    }


def _place(place: Place) -> dict[str, object]:
    return {"file": place.file, "line": place.line, "text": place.text}
