"""`payaid usage`: what is used and left, who uses most, all of it for a spreadsheet, and whether it adds up."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from heapq import nlargest
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.table import Table

from payaid_entitlements.cli import REFUSED
from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.cli.opening import Opened, opened
from payaid_entitlements.cli.options import MOST, AsJson, Tenant, Url, identified
from payaid_entitlements.cli.printing import bar, console, emit, escape, grid, notes
from payaid_entitlements.cli.progress import counting
from payaid_entitlements.cli.times import parse_length, shown
from payaid_entitlements.cli.written import counted
from payaid_entitlements.core.catalog.model import Kind
from payaid_entitlements.core.metering.auditing import Finding, Trouble, audited
from payaid_entitlements.core.metering.kept import KeptEntry
from payaid_entitlements.core.metering.usage import Usage
from payaid_entitlements.core.values import UNLIMITED
from payaid_entitlements.stores.ledger import Ledger

app = typer.Typer(help="What is used, and what is left.", no_args_is_help=True)

#: Entries, and tenants, that are read at once.
_PAGE = 500
_COLUMNS = ("tenant", "feature", "unit", "limit", "used", "held", "remaining", "overage", "resets_at")


@app.command()
def show(tenant: Tenant, url: Url = None, as_json: AsJson = False) -> None:
    """Show what TENANT has used of each metered feature, with a bar for each that has a limit."""
    with opened(url) as store:
        store.ledger()
        lines = store.ent.usage(tenant)
        zone, name = store.zone(tenant), store.store.name
    if as_json:
        emit({"tenant": tenant, "usage": [line.to_json() for line in lines.values()]})
        return
    table = _table(f"{escape(tenant)}, {escape(name)}")
    for line in lines.values():
        resets = "-" if line.resets_at is None else shown(line.resets_at, zone)
        table.add_row(escape(line.feature), *_numbers(line), _bar(line), resets)
    console().print(table)


@app.command()
def top(
    feature: Annotated[str, typer.Argument(metavar="FEATURE", help="The key of a metered feature.")],
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many.")] = 20,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the tenants that have used most of FEATURE, those nearest to their limit first."""
    with opened(url) as store:
        counted(store.published().catalog, feature, Kind.QUOTA, Kind.ALLOCATION, Kind.CREDIT)
        ledger, name = store.ledger(), store.store.name
        with counting("reading usage") as count:
            rows = nlargest(limit, _each(store, ledger, count, feature), key=lambda row: _rank(row[1]))
    if as_json:
        emit([{"tenant": tenant, **line.to_json()} for tenant, line in rows])
        return
    table = _table(f"{feature}, {escape(name)}", "tenant")
    for tenant, line in rows:
        table.add_row(escape(tenant), *_numbers(line), _bar(line))
    console().print(table)


class Format(StrEnum):
    """How a file of usage is written."""

    CSV = "csv"
    JSONL = "jsonl"


@app.command()
def export(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file; - is the pipe.")],
    written_as: Annotated[
        Format | None, typer.Option("--format", help="Else what the file's name ends in, and CSV.")
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Write what every tenant has used of every metered feature, as CSV or as lines of JSON."""
    if file == "-" and as_json:
        raise Ending("--json speaks on stdout, and that is where the usage goes: name a file, or use --format jsonl")
    if written_as is None:
        written_as = Format.JSONL if file.endswith(".jsonl") else Format.CSV
    rows = 0
    with opened(url) as store, _written(file) as out, counting("reading usage") as count:
        ledger = store.ledger()
        table = csv.DictWriter(out, _COLUMNS, lineterminator="\n")
        if written_as is Format.CSV:
            table.writeheader()
        for tenant, line in _each(store, ledger, count):
            data = {"tenant": tenant, **line.to_json()}
            if written_as is Format.JSONL:
                out.write(json.dumps(data, ensure_ascii=False) + "\n")
            else:
                table.writerow({column: _cell(data[column]) for column in _COLUMNS})
            rows += 1
    if as_json:
        emit({"file": file, "lines": rows})
    else:
        notes().print(f"[green]exported[/] {rows:,} lines")


@app.command()
def audit(
    tenant: Annotated[str | None, typer.Argument(metavar="TENANT", help="Only this one.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """
    Recompute every balance from what the ledger has recorded. Exits with 1 where something does not add up.

    What is posted while a tenant is read can look like drift: what is found is read again before it is told.
    """
    only = None if tenant is None else identified("tenant", tenant)
    findings: list[Finding] = []
    tenants = 0
    with opened(url) as store:
        ledger, name = store.ledger(), store.store.name
        with counting("adding up") as count:
            for each in _tenants(ledger) if only is None else (only,):
                findings += _sure(ledger, each, store.now)
                tenants += 1
                count(1)
    wrong = [finding for finding in findings if finding.trouble is not Trouble.OVERDUE]
    if as_json:
        emit({"tenants": tenants, "is_sound": not wrong, "findings": [asdict(each) for each in findings]})
    else:
        _print_findings(findings, f"{escape(name)}")
        word = (
            f"[red]{len(wrong):,} {'does' if len(wrong) == 1 else 'do'} not add up[/]"
            if wrong
            else "[green]all balances add up[/]"
        )
        console().print(f"{word}  [dim]{tenants:,} tenants[/]")
    if wrong:
        raise typer.Exit(REFUSED)


@app.command()
def prune(
    older_than: Annotated[str, typer.Option("--older-than", help="Entries at least so old: 60d.")] = "35d",
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """
    Forget old operations; what they used stays in the balances. For a nightly job.

    Nothing depends on it but the size of the ledger. Operations that the ledger promises to remember stay.
    """
    length = parse_length(older_than)
    forgotten = 0
    with opened(url) as store:
        ledger = store.ledger()
        before = store.now - length // timedelta(microseconds=1)
        with counting("forgetting old operations") as count:
            while more := ledger.prune(before):
                forgotten += more
                count(more)
        name = store.store.name
    if as_json:
        emit({"forgotten": forgotten})
    else:
        console().print(f"[green]forgotten[/] {forgotten:,} entries of {escape(name)}")


def _tenants(ledger: Ledger) -> Iterator[str]:
    after: str | None = None
    while page := ledger.tenants(after=after, limit=_PAGE):
        yield from page
        after = page[-1]


def _each(store: Opened, ledger: Ledger, count: Callable[[int], None], *features: str) -> Iterator[tuple[str, Usage]]:
    """The usage of each tenant of whom anything was ever counted."""
    for tenant in _tenants(ledger):
        for line in store.ent.usage(tenant, *features).values():
            yield tenant, line
        count(1)


def _sure(ledger: Ledger, tenant: str, now: int) -> list[Finding]:
    """What is found twice: what was posted between two readings is found once."""
    first = _findings(ledger, tenant, now)
    if all(finding.trouble is Trouble.OVERDUE for finding in first):
        return first
    again = set(first)
    return [finding for finding in _findings(ledger, tenant, now) if finding in again]


def _findings(ledger: Ledger, tenant: str, now: int) -> list[Finding]:
    return list(audited(tenant, ledger.book(tenant), _entries(ledger, tenant), now))


def _entries(ledger: Ledger, tenant: str) -> Iterator[KeptEntry]:
    after: tuple[str, int] | None = None
    while page := ledger.entries(tenant, after=after, limit=_PAGE):
        yield from page
        after = page[-1].operation, page[-1].part


@contextmanager
def _written(file: str) -> Iterator[IO[str]]:
    if file == "-":
        yield sys.stdout
        return
    try:
        with Path(file).open("w", encoding="utf-8", newline="") as out:
            yield out
    except OSError as error:
        raise Ending(f"{file} cannot be written: {error.strerror}") from error


def _table(title: str, *before: str) -> Table:
    first = before or ("feature",)
    after = () if before else ("starts anew",)
    return grid(*first, "used", "held", "limit", "left", "unit", "", *after, title=title)


def _numbers(line: Usage) -> tuple[str, ...]:
    over = f" [red]+{line.overage}[/]" if line.overage else ""
    unit = "-" if line.unit is None else escape(line.unit)
    return f"{line.used}{over}", str(line.held), _amount(line.limit), _amount(line.remaining), unit


def _amount(amount: object) -> str:
    return "unlimited" if amount is UNLIMITED else str(amount)


def _bar(line: Usage) -> str:
    if line.fraction is None:
        return ""
    return bar(line.fraction, is_full=line.remaining == 0)


def _rank(line: Usage) -> tuple[Decimal, Decimal]:
    return (line.fraction or Decimal(0), Decimal(line.used))


def _cell(value: object) -> object:
    match value:
        case {"unlimited": True}:
            return "unlimited"
        case {"decimal": str(number)}:
            return number
    return "" if value is None else value


def _print_findings(findings: list[Finding], name: str) -> None:
    if not findings:
        return
    table = grid("trouble", "tenant", "account", "what", "counted", "adds up to", "operation", title=name)
    for each in findings:
        colour = "yellow" if each.trouble is Trouble.OVERDUE else "red"
        table.add_row(
            f"[{colour}]{each.trouble.value}[/]",
            escape(each.tenant),
            escape(f"{each.meter} {each.lot}".strip()),
            each.what,
            str(each.counted),
            str(each.recomputed),
            escape(each.operation),
        )
    console().print(table)
