"""`payaid db`: the tables behind the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from payaid_entitlements.cli import REFUSED
from payaid_entitlements.cli.confirming import Line, confirm
from payaid_entitlements.cli.opening import must_exist, named
from payaid_entitlements.cli.options import AsJson, Because, Url, Yes
from payaid_entitlements.cli.printing import console, emit, notes
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.opening import open_store

if TYPE_CHECKING:
    from payaid_entitlements.stores.sql import SQLStore

app = typer.Typer(help="The tables behind the store.", no_args_is_help=True)


@app.command()
def upgrade(because: Because, yes: Yes = False, url: Url = None, as_json: AsJson = False) -> None:
    """Bring the tables to what this version needs. Repeating it is harmless."""
    with _database(url, creates=True) as store:
        needed, before = _needed(), store.current()
        confirm(
            store.name,
            [Line("tables", "none" if before is None else f"version {before}", f"version {needed}")],
            because=because,
            yes=yes,
            as_json=as_json,
        )
        after = store.upgrade()
    if as_json:
        emit({"database": store.name, "before": before, "after": after})
    else:
        console().print(f"[green]done[/]: the tables have version {after}")


@app.command()
def check(url: Url = None, as_json: AsJson = False) -> None:
    """Exit with 0 where the tables are what this version needs, else with 1."""
    with _database(url) as store:
        needed, found = _needed(), store.current()
    if as_json:
        emit({"database": store.name, "ok": found == needed, "version": found, "needed": needed})
    elif found == needed:
        console().print(f"[green]ok[/] {escape(store.name)}: version {found}")
    else:
        said = "has no tables of ours" if found is None else f"has tables of version {found}"
        console().print(f"[red]not ok[/] {escape(store.name)} {said}, version {needed} is needed")
        is_newer = found is not None and found > needed
        notes().print(
            f"  {'install a later release of payaid-entitlements' if is_newer else 'payaid db upgrade --because ...'}"
        )
    if found != needed:
        raise typer.Exit(REFUSED)


@app.command()
def current(url: Url = None, as_json: AsJson = False) -> None:
    """Say which version the tables have."""
    with _database(url) as store:
        found = store.current()
    if as_json:
        emit({"database": store.name, "version": found})
    else:
        console().print("none" if found is None else str(found))


@contextmanager
def _database(url: str | None, *, creates: bool = False) -> Iterator[SQLStore]:
    from payaid_entitlements.stores.sql import SQLStore

    assert url is not None  # the option has a default of its own
    if not creates:
        must_exist(url)
    store = open_store(url)
    if not isinstance(store, SQLStore):
        raise ConfigurationError(
            f"{store.name} has no tables and needs no migration: it is made ready when a process starts; "
            "name a database with --url sqlite:///payaid.db"
        )
    try:
        with named(store):
            yield store
    finally:
        store.close()


def _needed() -> int:
    from payaid_entitlements.stores.sql.tables import SCHEMA_VERSION

    return SCHEMA_VERSION
