"""`payaid enforcement`: where refusals are carried out, and for whom; turned in steps, the same tenants first."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import product
from typing import Annotated

import typer

from payaid_entitlements.admin.percent import share
from payaid_entitlements.admin.switches import mode_position
from payaid_entitlements.cli.changing import said
from payaid_entitlements.cli.confirming import Line, confirm
from payaid_entitlements.cli.opening import PAGE, Opened, actor, opened
from payaid_entitlements.cli.options import AsJson, Because, Url, Yes
from payaid_entitlements.cli.printing import console, emit, escape, grid, notes
from payaid_entitlements.cli.progress import counting
from payaid_entitlements.core.controls import EVERYWHERE, Controls, Enforcement, enforcement
from payaid_entitlements.core.staging import Move, moves
from payaid_entitlements.core.world import Modes
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.settings import environment_modes
from payaid_entitlements.stores.activity import Activity, Seen

app = typer.Typer(help="Where refusals are carried out, and for whom.", no_args_is_help=True)

#: Tenants that are named where not all of them are wanted.
NAMED = 20

All = Annotated[bool, typer.Option("--all", help="Name every tenant, however many there are.")]
_COLOURS = {Enforcement.OFF: "red", Enforcement.OBSERVE: "yellow", Enforcement.ENFORCE: "green"}


@app.command()
def show(url: Url = None, as_json: AsJson = False) -> None:
    """Show the mode of each module, as the store and this shell say."""
    with opened(url) as store:
        catalog, controls, name = store.published().catalog, store.store.controls(), store.store.name
    environment = environment_modes(os.environ)
    modes = Modes(environment=environment)
    rows = []
    for scope in (EVERYWHERE, *catalog.modules):
        module = None if scope == EVERYWHERE else scope
        stage = modes.staged(module, controls)
        rows.append((scope, modes.of(module, controls.modes), stage, controls.position(("mode", scope))))
    if as_json:
        emit(
            [
                {
                    "scope": scope,
                    "mode": mode.value if stage is None else stage.mode.value,
                    "percent": 100.0 if stage is None else stage.parts / 1_000,
                    "otherwise": None if stage is None else stage.otherwise.value,
                    "stored": stored,
                }
                for scope, mode, stage, stored in rows
            ]
        )
        return
    table = grid("", "mode", "stored", title=name)
    for scope, mode, stage, stored in rows:
        worth = mode.value if stage is None else str(controls.position(("mode", stage.scope)))
        told = f"[{_COLOURS[mode]}]{escape(worth)}[/]"
        table.add_row("everywhere else" if scope == EVERYWHERE else escape(scope), told, escape(str(stored or "-")))
    console().print(table)
    notes().print("[dim]a process may say more: by its environment, or by Entitlements.open(enforcement=...)[/]")


@app.command("set")
def set_(
    module: Annotated[str, typer.Argument(metavar="MODULE", help="A module, or '*' for wherever none has its own.")],
    mode: Annotated[str, typer.Argument(metavar="MODE", help="off, observe or enforce.")],
    because: Because,
    percent: Annotated[
        str, typer.Option("--percent", help="Of the tenants: 5 or 0.5. Always the same ones, who stay in as it grows.")
    ] = "100",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say who would come under another mode, and end.")] = False,
    name_all: All = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Carry refusals out, or not, for all tenants of a module or for a part of them."""
    try:
        word, parts = enforcement(mode, source="MODE"), share(f"{percent.strip().rstrip('%')}%")
    except (ConfigurationError, ValueError) as error:
        raise typer.BadParameter(str(error)) from None
    with opened(url) as store:
        modules = store.published().catalog.modules
        if module != EVERYWHERE and module not in modules:
            raise typer.BadParameter(f"the catalog has no module {module!r}{did_you_mean(module, modules)}")
        before = store.store.controls()
        to = mode_position(before, module, word, parts)
        moving = list(_moving(store, module, before, before.turned(("mode", module), to)))
        data: dict[str, object] = {
            "scope": module,
            "mode": word.value,
            "percent": parts / 1_000,
            "moves": _as_data(moving, name_all),
        }
        line = Line(f"enforcement of {module}", str(before.position(("mode", module)) or "not set"), escape(to))
        told = list(_told(moving, name_all))
        if dry_run:
            if as_json:
                emit({"applied": False, **data})
            else:
                console().print(f"[bold]{escape(line.what)}[/]  {line.before} -> {line.after}", *told, sep="\n")
            return
        confirm(store.store.name, [line], because=because, yes=yes, as_json=as_json, told=told)
        change = store.ent.admin(actor(), because=because).set_enforcement(
            module, word, percent=f"{percent.strip().rstrip('%')}%"
        )
        said(change, store.zone(), as_json=as_json, more=data)


def _moving(store: Opened, scope: str, before: Controls, after: Controls) -> Iterator[Move]:
    """Those that the store knows and that come under another mode."""
    with counting("looking who comes under another mode") as count:
        for tenant in _known(store, scope):
            yield from moves((tenant,), scope, before, after)
            count(1)


def _known(store: Opened, scope: str) -> Iterator[str]:
    """All tenants of whom something is recorded, and those that were seen to use what is in *scope*, each once."""
    known = set()
    for row in store.tenants():
        known.add(row.tenant)
        yield row.tenant
    # Where the host keeps subscriptions itself, nothing is recorded of most.
    activity: Activity | None = getattr(store.store, "activity", None)
    if activity is None:
        return
    catalog = store.published().catalog
    modules = catalog.modules if scope == EVERYWHERE else (scope,)
    keys = [key for module in modules for key in (module, *catalog.modules[module].features)]
    for kind, key in product((Seen.MODULE, Seen.WOULD_LOSE, Seen.WOULD_GAIN), keys):
        for tenant in seen(activity, kind, key, date.min):
            if tenant not in known:
                known.add(tenant)
                yield tenant


def seen(activity: Activity, kind: Seen, key: str, since: date) -> Iterator[str]:
    """All tenants that were seen, page by page."""
    after: str | None = None
    while page := activity.tenants(kind, key, since, after=after, limit=PAGE):
        yield from page
        after = page[-1]


def _turns(moving: Sequence[Move]) -> dict[tuple[str, str], list[str]]:
    """Tenants by the mode that they leave and the one they come under."""
    found: dict[tuple[str, str], list[str]] = {}
    for each in moving:
        was, now = ("not set" if mode is None else mode.value for mode in (each.was, each.now))
        found.setdefault((was, now), []).append(each.tenant)
    return found


def _told(moving: Sequence[Move], name_all: bool) -> Iterator[str]:
    if not moving:
        yield "  [dim]no tenant that the store knows comes under another mode[/]"
    for (was, now), tenants in _turns(moving).items():
        shown = tenants if name_all else tenants[:NAMED]
        more = f" and {len(tenants) - len(shown)} more (--all)" if len(shown) < len(tenants) else ""
        yield f"  [yellow]{len(tenants)} from {was} to {now}[/]: {escape(', '.join(shown))}{more}"
    if any(each.was is None and each.now not in (None, Enforcement.ENFORCE) for each in moving):
        # What looks like a step towards enforcement would be one away from it.
        yield "  [yellow]not set means enforce[/], where no process says otherwise: there these are let in from now on"


def _as_data(moving: Sequence[Move], name_all: bool) -> list[dict[str, object]]:
    return [
        {"was": was, "now": now, "count": len(tenants), "tenants": tenants if name_all else tenants[:NAMED]}
        for (was, now), tenants in _turns(moving).items()
    ]
