"""`payaid flag explain`: which rule decided, which bucket somebody is in, and of which hash."""

from __future__ import annotations

from typing import Annotated

import typer

from payaid_entitlements.cli.opening import opened
from payaid_entitlements.cli.options import AsJson, FlagKey, Tenant, Url, User
from payaid_entitlements.cli.printing import console, emit, escape
from payaid_entitlements.core.flags.conditions import exact
from payaid_entitlements.core.written.problems import Findings
from payaid_entitlements.core.written.yaml12 import read_yaml


def explain(
    flag: FlagKey,
    tenant: Tenant,
    user: User = None,
    attribute: Annotated[
        list[str] | None, typer.Option("--attribute", "-a", help="What the host says besides: country=IN, size=50.")
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show what FLAG says for TENANT and why: each rule that was looked at, each bucket, each hash."""
    attributes = dict(map(_read, attribute or []))
    with opened(url) as store:
        view = store.ent.tenant(tenant, user=user, fresh=True)
        explanation = view.explain_flag(flag, attributes=attributes or None)
        if as_json:
            emit(explanation.to_json())
            return
        out = console()
        out.print(f"[dim]{escape(store.store.name)}[/]")
        first, *rest = explanation.to_text().splitlines()
        out.print(f"[bold]{escape(first)}[/]", soft_wrap=True)
        for line in rest:
            style = "green" if line.startswith("  =>") else "dim"
            out.print(f"[{style}]{escape(line)}[/]", soft_wrap=True)


def _read(text: str) -> tuple[str, object]:
    """
    Read ``name=value``, of which the value is as in YAML: a number, true, a list, else a text.

    Raises:
        BadParameter: It is no such pair.
    """
    name, equals, value = text.partition("=")
    findings = Findings("<attribute>")
    data = read_yaml(value, findings)
    if not name or not equals or findings.fatal:
        raise typer.BadParameter(f"{text!r} is no attribute; write country=IN")
    return name, exact(data)
