"""`payaid db`: the tables behind the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from payaid_entitlements.cli import REFUSED
from payaid_entitlements.cli.confirming import Line, confirm
from payaid_entitlements.cli.opening import must_exist, named
from payaid_entitlements.cli.options import AsJson, Because, PerhapsBecause, Url, Yes
from payaid_entitlements.cli.printing import console, emit, escape, notes
from payaid_entitlements.stores.opening import open_store

if TYPE_CHECKING:
    from payaid_entitlements.stores.sql import SQLStore
    from payaid_entitlements.stores.sql.schema import Version

app = typer.Typer(help="The tables behind the store.", no_args_is_help=True)


@app.command()
def upgrade(
    because: PerhapsBecause = None,
    to: Annotated[
        int | None, typer.Option("--to", metavar="VERSION", help="Not further than this version.", show_default=False)
    ] = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the statements, and change nothing.")] = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Bring the tables to what this version needs. Repeating it is harmless."""
    if because is None and not sql:
        raise typer.BadParameter("say why, with --because: a ticket or a sentence")
    with _database(url, as_json, creates=not sql) as store:
        before, wanted = store.current(), _needed() if to is None else to
        is_there = before is not None and before.serves(wanted)
        target = _number(before) if is_there else wanted
        if sql:
            script = store.upgrade_script(wanted)
            if as_json:
                emit({"database": store.name, "before": _number(before), "after": target, "sql": script})
            else:
                print(script, end="")
            return
        confirm(
            store.name,
            [Line("tables", _shown(before), f"version {target}")],
            because=str(because),
            yes=yes,
            as_json=as_json,
        )
        after = store.upgrade(wanted)
    _said(store, _number(before), after, as_json)


@app.command()
def downgrade(
    because: Because,
    to: Annotated[
        int, typer.Option("--to", metavar="VERSION", help="The version to go back to; 0 removes the tables.")
    ],
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Bring the tables back to an older version. What newer ones recorded is lost, and said before."""
    with _database(url, as_json) as store:
        from payaid_entitlements.stores.sql.migrating import losses

        before = store.current()
        after = "[red]none[/]" if to == 0 else f"version {to}"
        lines = [Line("tables", _shown(before), after)]
        lines += [Line("lost", each, "[red]nothing[/]") for each in losses(_number(before) or 0, max(to, 0))]
        confirm(store.name, lines, because=because, yes=yes, as_json=as_json)
        reached = store.downgrade(to)
    _said(store, _number(before), reached or None, as_json)


@app.command()
def check(url: Url = None, as_json: AsJson = False) -> None:
    """Exit with 0 where this version can use the tables, else with 1."""
    with _database(url, as_json) as store:
        needed, found = _needed(), store.current()
    is_ok = found is not None and found.serves(needed)
    if as_json:
        emit({"database": store.name, "ok": is_ok, "version": _number(found), "needed": needed})
    elif is_ok:
        newer = "" if _number(found) == needed else f", and this release, which needs {needed}, can use it"
        console().print(f"[green]ok[/] {escape(store.name)}: version {found}{newer}")
    else:
        said = "has no tables of ours" if found is None else f"has tables of version {found}"
        console().print(f"[red]not ok[/] {escape(store.name)} {said}, version {needed} is needed")
        is_newer = found is not None and found.number > needed
        notes().print(
            f"  {'install a later release of payaid-entitlements' if is_newer else 'payaid db upgrade --because ...'}"
        )
    if not is_ok:
        raise typer.Exit(REFUSED)


@app.command()
def current(url: Url = None, as_json: AsJson = False) -> None:
    """Say which version the tables have."""
    with _database(url, as_json) as store:
        found = store.current()
    if as_json:
        emit({"database": store.name, "version": _number(found)})
    else:
        console().print("none" if found is None else str(found))


@contextmanager
def _database(url: str | None, as_json: bool, *, creates: bool = False) -> Iterator[SQLStore]:
    """
    Open the database at *url*.

    Raises:
        Exit: The store keeps no tables, so all is well; that was said.
    """
    from payaid_entitlements.stores.sql import SQLStore

    assert url is not None  # the option has a default of its own
    if not creates:
        must_exist(url)
    store = open_store(url)
    try:
        if not isinstance(store, SQLStore):
            # A deployment runs the same commands whatever the URL is.
            if as_json:
                emit({"database": store.name, "ok": True, "version": None, "needed": None})
            else:
                console().print(f"[green]ok[/] {escape(store.name)} has no tables: there is nothing to migrate")
            raise typer.Exit
        with named(store):
            yield store
    finally:
        store.close()


def _said(store: SQLStore, before: int | None, after: int | None, as_json: bool) -> None:
    if as_json:
        emit({"database": store.name, "before": before, "after": after})
    elif after is None:
        console().print("[green]done[/]: there are no tables of ours any more")
    else:
        console().print(f"[green]done[/]: the tables have version {after}")


def _shown(version: Version | None) -> str:
    return "none" if version is None else f"version {version}"


def _number(version: Version | None) -> int | None:
    return None if version is None else version.number


def _needed() -> int:
    from payaid_entitlements.stores.sql.tables import SCHEMA_VERSION

    return SCHEMA_VERSION
