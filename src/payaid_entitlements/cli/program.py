"""All commands, put together."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import structlog
import typer

from payaid_entitlements.cli import (
    asking,
    assignments,
    audit,
    backup,
    catalogs,
    database,
    doctor,
    enforcement,
    flags,
    limits,
    observing,
    overrides,
    publishing,
    seeding,
    setup,
    tenants,
    usage,
)
from payaid_entitlements.cli.demo import command as demo
from payaid_entitlements.cli.endings import Program
from payaid_entitlements.cli.scan import command as scanning

app = typer.Typer(
    cls=Program,
    name="payaid",
    help="Who may use what, and why: ask, explain and change from a terminal.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # locals of a store may hold what an operator must not paste into a ticket
    epilog="Exit codes: 0 yes or done, 1 no or refused, 2 wrong use or configuration, 3 the store gave no answer.",
)
_SET_UP, _ASK, _CHANGE, _SELL = "Set up", "Ask", "Change", "Sell"


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("payaid-entitlements"))
        raise typer.Exit


@app.callback()
def payaid(
    ctx: typer.Context,
    url: Annotated[
        str | None, typer.Option("--url", help="The store; else PAYAID_URL, else sqlite:///payaid.db.")
    ] = None,
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Print the version.")
    ] = False,
) -> None:
    """Who may use what, and why: ask, explain and change from a terminal."""
    ctx.obj = url
    # What the library logs belongs beside errors: stdout may be read by a program.
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


app.command("demo", rich_help_panel=_SET_UP)(demo.demo)
app.command("init", rich_help_panel=_SET_UP)(setup.init)
app.command("seed", rich_help_panel=_SET_UP)(seeding.seed)
app.command("doctor", rich_help_panel=_SET_UP)(doctor.doctor)
app.add_typer(database.app, name="db", rich_help_panel=_SET_UP)
app.command("export", rich_help_panel=_SET_UP)(backup.export)
app.command("import", rich_help_panel=_SET_UP)(backup.import_)
app.command("check", rich_help_panel=_ASK)(asking.check)
app.command("explain", rich_help_panel=_ASK)(asking.explain)
app.command("audit", rich_help_panel=_ASK)(audit.audit)
app.add_typer(observing.app, name="observe", rich_help_panel=_ASK)
app.add_typer(tenants.app, name="tenant", rich_help_panel=_ASK)
app.add_typer(usage.app, name="usage", rich_help_panel=_ASK)
app.add_typer(limits.app, name="limit", rich_help_panel=_ASK)
app.add_typer(assignments.app, name="assignments", rich_help_panel=_ASK)
app.add_typer(overrides.app, name="override", rich_help_panel=_CHANGE)
app.add_typer(enforcement.app, name="enforcement", rich_help_panel=_CHANGE)
app.add_typer(flags.app, name="flag", rich_help_panel=_CHANGE)
app.command("undo", rich_help_panel=_CHANGE)(audit.undo)
catalogs.app.command("publish")(publishing.publish)
catalogs.app.command("scan")(scanning.scan_code)
app.add_typer(catalogs.app, name="catalog", rich_help_panel=_SELL)
