"""`payaid tenant`: who holds what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Annotated

import typer

from payaid_entitlements.cli.facts import TIMES
from payaid_entitlements.cli.opening import PAGE, Opened, opened
from payaid_entitlements.cli.options import MOST, AsJson, Tenant, Url
from payaid_entitlements.cli.overrides import overrides_of
from payaid_entitlements.cli.printing import console, emit, escape, gives, grid, held, notes
from payaid_entitlements.cli.times import shown, stamp
from payaid_entitlements.core.provider_ids import provider_ids
from payaid_entitlements.core.resolution import STATUS
from payaid_entitlements.core.subscription import Terms, standing, terms_at
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import UnknownFeature
from payaid_entitlements.stores.ports import TenantRow

app = typer.Typer(help="Who holds what.", no_args_is_help=True)

_COLOURS = {"active": "green", "trialing": "cyan", "past_due": "yellow", "paused": "yellow", "none": "dim"}


@app.command("list")
def list_(
    module: Annotated[str | None, typer.Option(help="Only those to whom this module is licensed.")] = None,
    plan: Annotated[str | None, typer.Option(help="Only those who hold this plan.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many.")] = 100,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List tenants by their id: what was sold to them last, in whatever state it is now."""
    with opened(url) as store:
        published = store.published()
        if module is not None and module not in published.catalog.modules:
            raise UnknownFeature(
                f"the catalog has no module {module!r}{did_you_mean(module, published.catalog.modules)}"
            )
        if plan is not None:
            published.plan(plan)  # raises where there never was one
        rows = list(islice(store.tenants(module=module, plan=plan), limit + 1))
        name, more, rows = store.store.name, len(rows) > limit, rows[:limit]
        now = _now(store, rows)
    if as_json:
        emit(
            [
                {
                    "tenant": row.tenant,
                    "plan": row.plan,
                    "version": now[row.tenant][1],
                    "state": now[row.tenant][0],
                    "modules": list(row.modules),
                    "revision": row.revision,
                }
                for row in rows
            ]
        )
    else:
        table = grid("tenant", "plan", "state now", "modules sold", "revision", title=name)
        for row in rows:
            state, version = now[row.tenant]
            plan = "-" if row.plan is None else row.plan if version is None else f"{row.plan}@{version}"
            colour = _COLOURS.get(state, "red")
            modules = " ".join(row.modules) or "-"
            table.add_row(escape(row.tenant), escape(plan), f"[{colour}]{state}[/]", modules, str(row.revision))
        console().print(table)
    if more:
        notes().print(f"[dim]there are more than {limit}; --limit shows them[/]")


@app.command()
def show(tenant: Tenant, url: Url = None, as_json: AsJson = False) -> None:
    """Show one tenant: subscriptions, overrides, modules, and what happens next by itself."""
    with opened(url) as store:
        published, document, zone = store.published(), store.document(tenant), store.zone(tenant)
        view = store.ent.tenant(tenant, fresh=True)
        subscriptions, called = terms_at(document, store.now), provider_ids(document, store.now)
        overrides = overrides_of(document, store.now)
        if as_json:
            emit(
                {
                    **view.to_public(),
                    "revision": document.revision,
                    "known": document.revision > 0,
                    "timezone": str(zone),
                    "subscriptions": [_as_data(terms, store, called.get(terms.name, {})) for terms in subscriptions],
                    "overrides": [each.as_data() for each in overrides],
                }
            )
            return
        out = console()
        out.print(f"[bold]{escape(tenant)}[/]  [dim]revision {document.revision}, {zone}, {store.store.name}[/]")
        if not document.revision:
            out.print("  [yellow]nothing was ever recorded about this tenant[/]: it holds the default plan")
        newest = {key: len(versions) for key, versions in published.versions.items()}
        for terms in subscriptions:
            state = standing(terms.times, published.catalog.lifecycle, store.now).state.value
            version = terms.version or newest.get(terms.plan, 0)
            old = f" [yellow](there is version {newest[terms.plan]})[/]" if version < newest.get(terms.plan, 0) else ""
            out.print(f"  holds [bold cyan]{escape(terms.plan)}@{version}[/]{old}, {state}")
            for add_on in terms.add_ons:
                there_is = len(published.add_on_versions.get(add_on.key, ()))
                version = add_on.version or there_is
                old = f" [yellow](there is version {there_is})[/]" if version < there_is else ""
                out.print(f"    add-on {escape(add_on.key)}@{version}{old} x {add_on.quantity}")
            for provider, known_as in called.get(terms.name, {}).items():
                out.print(f"    {escape(provider)} calls it {escape(known_as)}")
            for field, at in _times(terms):
                out.print(f"    {field.replace('_', ' ')}: {shown(at, zone)}")
        for each in overrides:
            out.print(f"  {each.in_words(zone)}")
        if view.valid_until is not None:
            out.print(f"  next change by itself: {shown(view.valid_until, zone)}")
        table = grid("", "now")
        for key, module in published.catalog.modules.items():
            table.add_row(f"[bold]{escape(key)}[/]", held(view.check(key, access="read"), None))
            for feature in module.features:
                decision = view.check(feature, access="read")
                if decision.allowed:
                    table.add_row(
                        f"  {escape(feature)}",
                        escape(gives(decision, published.catalog.features[feature])),
                    )
        for key, sold in published.catalog.features.items():
            if sold.module is None:
                decision = view.check(key, access="read")
                table.add_row(
                    escape(key),
                    escape(gives(decision, sold)) if decision.allowed else held(decision, sold),
                )
        out.print(table)


def _now(store: Opened, rows: Sequence[TenantRow]) -> dict[str, tuple[str, int | None]]:
    """The state and the plan's version of each tenant now: from its times, which the index of `find` cannot know."""
    published = store.published()
    found: dict[str, tuple[str, int | None]] = {row.tenant: ("none", None) for row in rows}
    for begin in range(0, len(rows), PAGE):
        page = {row.tenant: row.plan for row in rows[begin : begin + PAGE]}
        for tenant, document in store.store.read(list(page)).items():
            status = document.value(STATUS, store.now)
            held = terms_at(document, store.now)
            states = [standing(terms.times, published.catalog.lifecycle, store.now).state.value for terms in held]
            version = next((terms.version for terms in held if terms.plan == page[tenant]), None)
            found[tenant] = (str(status) if status else states[0] if states else "none", version)
    return found


def _times(terms: Terms) -> list[tuple[str, int]]:
    found = {field: getattr(terms.times, field, None) for field in TIMES}
    if terms.anchor != terms.times.starts:
        found["anchor"] = terms.anchor
    return [(field, at) for field, at in found.items() if isinstance(at, int)]


def _as_data(terms: Terms, store: Opened, called: Mapping[str, str]) -> dict[str, object]:
    published = store.published()
    return {
        "name": terms.name,
        "plan": terms.plan,
        "version": terms.version,
        "state": standing(terms.times, published.catalog.lifecycle, store.now).state.value,
        "add_ons": {each.key: each.quantity for each in terms.add_ons},
        "add_on_versions": {each.key: each.version for each in terms.add_ons},
        "provider_ids": dict(called),
        **{field: stamp(at) for field, at in _times(terms)},
    }
