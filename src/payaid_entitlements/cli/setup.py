"""`payaid init`: a catalog to begin with, and what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from payaid_entitlements.cli.catalogs import DEFAULT_FILE
from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.cli.options import AsJson
from payaid_entitlements.cli.printing import console, emit, escape

STARTER = """\
# What you sell, top down: what exists, and what it is bundled into.
# A plan sells only what it lists. Editing this file changes nothing by itself: `payaid catalog publish` does.
catalog: 1
timezone: UTC
default_plan: free                  # held by tenants without a subscription; `none` refuses them

modules:                            # sold one by one; the keys inside read `module.feature`
  crm:
    title: CRM
    features:
      export: {kind: switch, title: CSV export}
  invoicing:
    features:
      invoices: {kind: quota, unit: invoice}

features:                           # for the whole account, in no module
  seats: {kind: allocation, unit: seat, title: Team members}

plans:                              # cheapest first: this order is what "the cheapest upgrade" means
  free:
    modules: [crm]
    features: {seats: 2}
  team:
    extends: free
    price: {monthly: 29, currency: USD}
    trial: 14 days
    modules: [invoicing]
    features: {seats: 10, crm.export: true, invoicing.invoices: 100/month}
"""

_NEXT = (
    ("payaid catalog validate", "all problems at once"),
    ('payaid catalog publish --because "first catalog"', "sell it"),
    ("payaid catalog types -o keys.py", "typed keys for your code"),
    ("payaid check some-tenant crm.export", "ask"),
    ("payaid demo", "see a whole app gated"),
)


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write.")] = DEFAULT_FILE,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a small catalog to begin with."""
    if file.exists() and not force:
        raise Ending(f"{file} is there already; nothing was written (--force replaces it)")
    file.write_text(STARTER, encoding="utf-8")
    if as_json:
        emit({"file": str(file), "next": [line for line, _ in _NEXT]})
        return
    console().print(f"[green]wrote[/] {escape(str(file))}. Next:\n")
    for line, why in _NEXT:
        console().print(f"  [bold]{escape(line):<52}[/] [dim]{why}[/]")
