"""`payaid check` and `payaid explain`: may they, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from payaid_entitlements.cli import REFUSED
from payaid_entitlements.cli.explaining import print_explanation
from payaid_entitlements.cli.opening import opened
from payaid_entitlements.cli.options import AsJson, Feature, Tenant, Url, User, identified
from payaid_entitlements.cli.printing import console, emit, escape, notes, verdict, worth_of
from payaid_entitlements.cli.references import explain_reference
from payaid_entitlements.cli.remedies import remedy_in_words
from payaid_entitlements.cli.times import parse_time, shown
from payaid_entitlements.core.typed import known, overridable


def check(
    tenant: Tenant,
    feature: Feature,
    user: User = None,
    read: Annotated[bool, typer.Option("--read", help="For reading only, as a GET asks.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Ask whether TENANT may use FEATURE now, past every cache. Exits with 1 where it may not."""
    with opened(url) as store:
        catalog = store.published().catalog
        known(catalog, feature)
        view = store.ent.tenant(tenant, user=user, fresh=True)
        decision = view.decide(feature, "read" if read else "write")
        remedies = view.remedies(decision)
        zone = store.zone(tenant)
        name = store.store.name
    if as_json:
        emit(
            {
                "tenant": tenant,
                "user": user,
                **decision.to_public(),
                "source": decision.source,
                "meaning": decision.reason.meaning,
                "remedies": [remedy.to_public() for remedy in remedies],
                "revision": view.revision,
                "known": view.revision > 0,
                "reference": view.reference(decision),
            }
        )
    else:
        out = console()
        out.print(f"[bold]{escape(tenant)}[/] / [bold]{escape(feature)}[/]  ", verdict(decision), sep="")
        out.print(f"  {decision.reason.meaning}", style="dim")
        if decision.value is not None and decision.value is not True:
            out.print(f"  worth {escape(worth_of(decision.value, catalog.features.get(feature)))}")
        for advisory in decision.advisories:
            out.print(f"  [yellow]note[/] {escape(advisory.value)}: {advisory.meaning}")
        for number, remedy in enumerate(remedies, start=1):
            out.print(f"  [bold]{number}.[/] {remedy_in_words(remedy, zone)}")
        out.print(f"  [dim]{escape(name)}, revision {view.revision}, at {shown(view.at, zone)}[/]")
        if not view.revision:
            notes().print("  [yellow]nothing was ever recorded about this tenant[/]; is the id right?")
    if not decision.allowed:
        raise typer.Exit(REFUSED)


def explain(
    tenant: Annotated[str | None, typer.Argument(metavar="TENANT", help="The id of a tenant.")] = None,
    feature: Annotated[
        str | None, typer.Argument(metavar="FEATURE", help="A module, a feature, or rate_limits.KEY.")
    ] = None,
    at: Annotated[str | None, typer.Option("--at", help="As of then, past or future: 2026-11-22T03:12+05:30.")] = None,
    reference: Annotated[
        str | None,
        typer.Option("--reference", help="What a refusal quoted: what was said beside what is true."),
    ] = None,
    user: User = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show every rule in its order, now or at any time; or read the reference of a refusal."""
    if reference is not None:
        if at is not None or feature is not None:
            raise typer.BadParameter("--reference says itself what and when; give at most a TENANT to look at first")
        explain_reference(reference, tenant, url, as_json=as_json)
        return
    if tenant is None or feature is None:
        raise typer.BadParameter("name a TENANT and a FEATURE, or quote a --reference")
    identified("tenant", tenant)
    when = None if at is None else parse_time(at)
    with opened(url) as store:
        overridable(store.published().catalog, feature)
        explanation = store.ent.explain(tenant, feature, at=when, user=user)
        zone = store.zone(tenant)
    if as_json:
        emit(explanation.to_json())
    else:
        print_explanation(console(), explanation, zone)
