"""`payaid assignments`: who holds which slot, and slots brought in line with the host's own rows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from payaid_entitlements.cli.confirming import Line, confirm
from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.cli.opening import actor, opened
from payaid_entitlements.cli.options import AsJson, Because, Tenant, Url, Yes
from payaid_entitlements.cli.printing import console, emit, escape, grid
from payaid_entitlements.cli.times import parse_time, shown, stamp
from payaid_entitlements.cli.written import counted
from payaid_entitlements.core.catalog.model import Kind

app = typer.Typer(help="Who holds which slot: seats, devices.", no_args_is_help=True)

_Feature = Annotated[str, typer.Argument(metavar="FEATURE", help="The key of an allocation.")]


@app.command("list")
def list_(tenant: Tenant, feature: _Feature, url: Url = None, as_json: AsJson = False) -> None:
    """List who holds a slot of FEATURE, and since when."""
    with opened(url) as store:
        counted(store.published().catalog, feature, Kind.ALLOCATION)
        slots = store.ent.assignments(tenant, feature)
        zone, name = store.zone(tenant), store.store.name
    if as_json:
        emit(
            [
                {"holder": each.holder, "since": stamp(each.since), "expires_at": stamp(each.expires_at)}
                for each in slots
            ]
        )
        return
    table = grid("holder", "since", "until", title=f"{escape(tenant)} / {escape(feature)}, {escape(name)}")
    for each in slots:
        until = "-" if each.expires_at is None else shown(each.expires_at, zone)
        table.add_row(escape(each.holder), shown(each.since, zone), until)
    console().print(table)


@app.command()
def reconcile(
    tenant: Tenant,
    feature: _Feature,
    holders: Annotated[
        str, typer.Option("--holders", help="A file with one holder in each line, all there are; - is the pipe.")
    ],
    because: Because,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="When the list was made: slots given later stay. 2026-11-22T03:12+05:30."),
    ] = None,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Free slots of nobody in the list, and give those in it one."""
    when = None if as_of is None else parse_time(as_of)
    with opened(url) as store:
        counted(store.published().catalog, feature, Kind.ALLOCATION)
        listed = _holders(holders)
        plan = store.ent.admin(actor(), because=because, dry_run=True).reconcile(tenant, feature, listed, as_of=when)
        lines = [
            *(Line(holder, "holds a slot", "[red]freed[/]") for holder in plan.freed),
            *(Line(holder, "-", "[green]gets a slot[/]") for holder in plan.assigned),
        ]
        if lines:
            confirm(store.store.name, lines, because=because, yes=yes, as_json=as_json)
            plan = store.ent.admin(actor(), because=because).reconcile(tenant, feature, listed, as_of=when)
    if as_json:
        emit({"freed": list(plan.freed), "assigned": list(plan.assigned)})
    elif lines:
        console().print(f"[green]done[/]  {len(plan.freed)} freed, {len(plan.assigned)} given")
    else:
        console().print("[green]nothing to do[/]  who is listed holds a slot, and nobody else does")


def _holders(file: str) -> list[str]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise Ending(f"{file} cannot be read: {error}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]
