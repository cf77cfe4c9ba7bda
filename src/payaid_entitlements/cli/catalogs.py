"""`payaid catalog`: what is sold, as a file and as it is published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from payaid_entitlements.cli import REFUSED
from payaid_entitlements.cli.opening import opened
from payaid_entitlements.cli.options import AsJson, Url
from payaid_entitlements.cli.printing import console, emit, escape, grid, notes, worth_of
from payaid_entitlements.core.catalog import Catalog, Plan, Problem, Rate, catalog_schema, difference, keys_module
from payaid_entitlements.core.ratelimit.limits import named_by
from payaid_entitlements.core.ratelimit.rates import told
from payaid_entitlements.errors import CatalogInvalid

app = typer.Typer(help="What is sold: check it, show it, publish it.", no_args_is_help=True)

DEFAULT_FILE = Path("catalog.yaml")

File = Annotated[Path, typer.Argument(metavar="FILE", help="A catalog: .yaml, .toml or .json.", show_default=True)]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Write to this file instead of stdout.")]


@app.command()
def validate(
    file: File = DEFAULT_FILE,
    strict: Annotated[bool, typer.Option("--strict", help="Lints fail too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find every problem of a catalog at once. Exits with 1 where there is one."""
    digest: str | None = None
    try:
        catalog = Catalog.load(file)
        problems, digest = catalog.lints, catalog.hash
    except CatalogInvalid as error:
        problems = error.problems
    ok = digest is not None and not (strict and problems)
    if as_json:
        emit({"ok": ok, "file": str(file), "hash": digest, "problems": [_problem(each) for each in problems]})
    else:
        for each in problems:
            mark = "[red]error[/]" if each.fatal else "[yellow]lint[/] "
            where = each.file if each.line is None else f"{each.file}:{each.line}"
            console().print(f"{mark} [dim]{escape(where)}[/] {escape(each.message)} [dim]{escape(f'[{each.code}]')}[/]")
        if digest is not None:
            sold = f"{len(catalog.modules)} modules, {len(catalog.features)} features, {len(catalog.plans)} plans"
            console().print(f"[green]valid[/] {escape(str(file))}: {sold}, [dim]{digest[:12]}[/]")
    if not ok:
        raise typer.Exit(REFUSED)


@app.command()
def schema(out: Out = None, as_json: AsJson = False) -> None:
    """Write the JSON Schema that editors check a catalog against."""
    if out is None:
        emit(catalog_schema())
        return
    import json

    _write(out, json.dumps(catalog_schema(), ensure_ascii=False, indent=2) + "\n", as_json)


@app.command()
def types(file: File = DEFAULT_FILE, out: Out = None, as_json: AsJson = False) -> None:
    """Write keys.py: every key as a typed constant, so that a misspelt one is an error before anything runs."""
    text = keys_module(Catalog.load(file))
    if out is not None:
        _write(out, text, as_json)
    elif as_json:
        emit({"file": None, "text": text})
    else:
        typer.echo(text, nl=False)


@app.command()
def show(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="A file; else what is published.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show what is sold: one column a plan, one line a feature."""
    if file is None:
        with opened(url) as store:
            published = store.published()
            catalog, name = published.catalog, f"{store.store.name}, revision {published.revision}"
            versions = {key: len(all_of) for key, all_of in published.versions.items()}
            add_ons = {key: len(all_of) for key, all_of in published.add_on_versions.items()}
    else:
        catalog, name, versions, add_ons = Catalog.load(file), str(file), {}, {}
    if as_json:
        emit(
            {
                "source": name,
                "hash": catalog.hash,
                "versions": versions,
                "add_on_versions": add_ons,
                "catalog": catalog.document,
            }
        )
        return
    table = grid("", *(f"{plan.key}{f'@{versions[plan.key]}' if versions else ''}" for plan in catalog.plans.values()))
    table.columns[0].no_wrap = True  # keys are copied from here
    table.title = f"{name} [dim]{catalog.hash[:12]}[/]"
    table.add_row("[dim]price[/]", *(_price(plan) for plan in catalog.plans.values()), end_section=True)
    for module in catalog.modules.values():
        sold = ("[green]yes[/]" if module.key in plan.modules else "[dim]-[/]" for plan in catalog.plans.values())
        table.add_row(Text(module.key, "bold"), *sold)
        for key in module.features:
            table.add_row(f"  {escape(key)}", *_cells(catalog, key), end_section=key == module.features[-1])
    for key, feature in catalog.features.items():
        if feature.module is None:
            table.add_row(escape(key), *_cells(catalog, key))
    if catalog.rate_limits:
        table.add_section()
        table.add_row(Text("rate limits", "bold"), *("" for _ in catalog.plans))
    for key, limit in catalog.rate_limits.items():
        table.add_row(f"  {escape(key)}", *(_rates(named_by(limit, plan)) for plan in catalog.plans.values()))
    console().print(table)
    for add_on in catalog.add_ons.values():
        version = f"@{add_ons[add_on.key]}" if add_ons else ""
        console().print(f"[bold]add-on[/] {escape(add_on.key)}{version}  [dim]{escape(add_on.title)}[/]")


@app.command()
def diff(
    file: File = DEFAULT_FILE,
    against: Annotated[Path | None, typer.Option(help="Another file, instead of what is published.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show what FILE would change. Exits with 1 where something differs, as diff does."""
    new = Catalog.load(file)
    if against is not None:
        old = Catalog.load(against)
    else:
        with opened(url) as store:
            old = store.published().catalog
    lines = difference(old, new)
    if as_json:
        emit(
            {
                "same": not lines,
                "differences": [{"path": d.path, "before": d.before, "after": d.after} for d in lines],
            }
        )
    elif not lines:
        console().print("[green]the same[/]: nothing would change")
    for line in () if as_json else lines:
        # "nothing" is written out: without colours, what is added and what is removed must not look alike.
        before, after = line.before or "nothing", line.after or "nothing"
        console().print(f"[bold]{escape(line.path)}[/]  [red]{escape(before)}[/] -> [green]{escape(after)}[/]")
    if lines:
        raise typer.Exit(REFUSED)


def _cells(catalog: Catalog, key: str) -> list[str]:
    feature = catalog.features[key]
    cells = []
    for plan in catalog.plans.values():
        value = plan.features.get(key)
        cells.append("[dim]-[/]" if value is None or value is False else escape(worth_of(value, feature)))
    return cells


def _rates(rates: tuple[Rate, ...]) -> str:
    return "\n".join(map(told, rates)) or "unlimited"


def _price(plan: Plan) -> str:
    if plan.buy == "contact_us":
        return "talk to us"
    prices = [escape(f"{price.amount} {price.currency} / {price.interval}") for price in plan.prices]
    return "\n".join(prices) or "free"


def _problem(problem: Problem) -> dict[str, object]:
    return {
        "code": problem.code,
        "message": problem.message,
        "path": problem.path,
        "file": problem.file,
        "line": problem.line,
        "fatal": problem.fatal,
    }


def _write(out: Path, text: str, as_json: bool) -> None:
    out.write_text(text, encoding="utf-8")
    if as_json:
        emit({"file": str(out)})
    else:
        notes().print(f"[green]wrote[/] {escape(str(out))}")
