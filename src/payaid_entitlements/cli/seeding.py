"""`payaid seed`: tenants to try things out with."""

from __future__ import annotations

import random
import time
from typing import Annotated

import typer
from rich.markup import escape

from payaid_entitlements.cli.confirming import Line, confirm
from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.cli.examples import example
from payaid_entitlements.cli.opening import Opened, actor, opened
from payaid_entitlements.cli.options import AsJson, Url, Yes
from payaid_entitlements.cli.printing import console, emit, grid
from payaid_entitlements.cli.progress import counting
from payaid_entitlements.core.instant import moment
from payaid_entitlements.errors import UnknownPlan

_BECAUSE = "tenants to try things out with"


def seed(
    tenants: Annotated[
        int,
        typer.Option("--tenants", min=0, help="Also so many made-up tenants, on all plans that are sold."),
    ] = 0,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Fill a store with the tenants of the example, one for each thing that a subscription can be."""
    with opened(url, creates=True) as store:
        published = store.store.catalog()
        example_is_for_it = published is None or published.catalog.hash == _example_hash()
        if not example_is_for_it and not tenants:
            raise Ending("another catalog than the example's is sold here; --tenants N makes tenants for it")
        named = example("tenants").TENANTS if example_is_for_it else {}
        lines = [
            Line(
                "tenants",
                "0" if published is None else "those that are there",
                f"{len(named) + tenants} more",
            )
        ]
        if published is None:
            lines.insert(0, Line("catalog", "nothing", "the example's"))
        confirm(store.store.name, lines, because=_BECAUSE, yes=yes, as_json=as_json)
        if example_is_for_it:
            example("tenants").seed(store.ent, moment(store.now))
        begun = time.perf_counter()
        made = _make(store, tenants)
        took = time.perf_counter() - begun
    if as_json:
        emit({"tenants": dict(named), "made": made})
        return
    table = grid("tenant", "what it is")
    for tenant, what in named.items():
        table.add_row(f"[bold]{escape(tenant)}[/]", escape(what))
    console().print(table)
    if made:
        console().print(f"[green]made {made:,} more[/], customer-000001 on, in {took:.1f} s")


def _make(store: Opened, count: int) -> int:
    """Subscribe made-up tenants to the plans that are sold: the cheaper the plan, the more of them."""
    if not count:
        return 0
    catalog = store.published().catalog
    plans = list(catalog.plans)
    if not plans:
        raise UnknownPlan("no plan is sold here, so nobody can be subscribed")
    weights = [2**-rank for rank in range(len(plans))]
    chance = random.Random(0)  # the same tenants each time
    admin = store.ent.admin(actor(), because=_BECAUSE)
    with counting("making tenants", count) as done:
        for number in range(1, count + 1):
            tenant = f"customer-{number:06}"
            plan = chance.choices(plans, weights)[0]
            on_trial = catalog.plans[plan].trial is not None and chance.random() < 0.1
            admin.subscribe(tenant, plan, trial=on_trial, operation=f"seed:{tenant}")
            done(1)
    return count


def _example_hash() -> str:
    from payaid_entitlements.core.catalog import Catalog

    return Catalog.load(example("tenants").CATALOG).hash
