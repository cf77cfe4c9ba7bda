"""`payaid export` and `payaid import`: all of a store in one file, and back into any other store."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import IO, Annotated

import typer

from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.cli.opening import must_exist, named
from payaid_entitlements.cli.options import AsJson, Url
from payaid_entitlements.cli.printing import console, emit, escape, notes
from payaid_entitlements.cli.progress import following
from payaid_entitlements.stores.backup import Content, export_to, import_from, verify
from payaid_entitlements.stores.opening import find_ledger, open_store
from payaid_entitlements.stores.ports import Store

_File = typer.Argument(metavar="FILE", help="The file; compressed where it ends in .gz. - is the pipe.")


def export(file: Annotated[str, _File], url: Url = None, as_json: AsJson = False) -> None:
    """Write all that a store has into one file, as it is at one moment; processes may go on writing."""
    assert url is not None  # the option has a default of its own
    if file == "-" and as_json:
        raise Ending("--json speaks on stdout, and that is where the backup goes: name a file")
    if file == "-" and sys.stdout.isatty():
        raise Ending("a backup is not for the screen: name a file, or put a pipe behind `payaid export -`")
    must_exist(url)
    store = open_store(url)
    ledger, besides = find_ledger(store, os.environ.get("PAYAID_LEDGER") or None)
    try:
        with named(store), following("writing the backup") as told:
            begun = time.perf_counter()
            place = sys.stdout.buffer if file == "-" else Path(file)
            content = export_to(store, place, ledger=ledger, told=told)
            took = time.perf_counter() - begun
    finally:
        _close(store, besides)
    if file == "-":
        notes().print(f"[green]exported[/] {_counted(content)} from {escape(store.name)} in {took:.1f} s")
    elif as_json:
        emit(_data(content) | {"file": file, "database": store.name})
    else:
        console().print(f"[green]exported[/] {_counted(content)} from {escape(store.name)} in {took:.1f} s")
        console().print(f"  [dim]sha256 of the content {content.sha256}[/]")


def import_(
    file: Annotated[str, _File],
    verify_only: Annotated[
        bool, typer.Option("--verify-only", help="Read the whole file, and compare its checksum; no store is opened.")
    ] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Fill an empty store from a file that `payaid export` wrote: all of it, or nothing."""
    assert url is not None  # the option has a default of its own
    if file == "-" and sys.stdin.isatty():
        raise Ending("nobody types a backup in: name a file, or put a pipe before `payaid import -`")
    source = sys.stdin.buffer if file == "-" else Path(file)
    begun = time.perf_counter()
    if verify_only:
        with following("reading the backup") as told:
            content, name = verify(source, told=told), None
    else:
        content, name = _import(source, url)
    took = time.perf_counter() - begun
    if as_json:
        emit(_data(content) | {"file": file, "database": name})
        return
    done = "whole" if name is None else "imported"
    where = "" if name is None else f" into {escape(name)}"
    console().print(f"[green]{done}[/] {_counted(content)}{where} in {took:.1f} s")
    console().print(f"  [dim]from {escape(content.source)}, {escape(content.made)}[/]")
    console().print(f"  [dim]sha256 of the content {content.sha256}[/]")


def _import(source: Path | IO[bytes], url: str) -> tuple[Content, str]:
    store = open_store(url)
    ledger, besides = find_ledger(store, os.environ.get("PAYAID_LEDGER") or None)
    try:
        with named(store), following("reading the backup") as told:
            return import_from(store, source, ledger=ledger, told=told), store.name
    finally:
        _close(store, besides)


def _close(*stores: Store | None) -> None:
    for store in stores:
        if store is not None:
            store.close()


def _counted(content: Content) -> str:
    usage = f", usage of {content.metered:,}" if content.metered else ""
    return f"{content.tenants:,} tenants and {content.changes:,} changes{usage}"


def _data(content: Content) -> dict[str, object]:
    return {
        "tenants": content.tenants,
        "changes": content.changes,
        "metered": content.metered,
        "sha256": content.sha256,
        "made": content.made,
        "source": content.source,
    }
