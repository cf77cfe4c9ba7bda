"""`payaid seed`: tenants to try things out with."""

from __future__ import annotations

import random
import time
from typing import Annotated

import typer

from payaid_entitlements.cli.confirming import Line, confirm
from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.cli.examples import example
from payaid_entitlements.cli.opening import Opened, actor, opened
from payaid_entitlements.cli.options import AsJson, Because, Url, Yes
from payaid_entitlements.cli.printing import console, emit, escape, grid
from payaid_entitlements.cli.progress import counting
from payaid_entitlements.core.instant import moment
from payaid_entitlements.errors import UnknownPlan

_BECAUSE = "tenants to try things out with"


def seed(
    tenants: Annotated[
        int,
        typer.Option("--tenants", min=0, help="Also so many made-up tenants, on all plans that are sold."),
    ] = 0,
    because: Because = _BECAUSE,
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
        named: dict[str, str] = dict(example("tenants").TENANTS) if example_is_for_it else {}
        is_new = bool(named) and not store.document(list(named)[-1]).revision
        if not is_new and not tenants:
            if as_json:
                emit({"database": store.store.name, "tenants": named, "made": 0})
            else:
                console().print(f"[green]nothing to do[/]: the tenants are in {escape(store.store.name)} already")
            return
        lines = [Line("tenants", "what is there", f"{(len(named) if is_new else 0) + tenants} more")]
        if is_new:
            before = "nothing" if published is None else f"revision {published.revision}"
            lines.insert(0, Line("catalog", before, "the example's, published twice, as history did"))
        confirm(store.store.name, lines, because=because, yes=yes, as_json=as_json)
        if is_new:
            example("tenants").seed(store.ent, moment(store.now), because=because)
        begun = time.perf_counter()
        made = _make(store, tenants, because)
        took = time.perf_counter() - begun
        name = store.store.name
    if as_json:
        emit({"database": name, "tenants": named, "made": made})
        return
    if named:
        table = grid("tenant", "what it is")
        for tenant, what in named.items():
            table.add_row(f"[bold]{escape(tenant)}[/]", escape(what))
        console().print(table)
    if tenants:
        console().print(f"[green]made {made:,} more[/], customer-000001 on, in {took:.1f} s")


def _make(store: Opened, count: int, because: str) -> int:
    """
    Subscribe made-up tenants to the plans that are sold: the cheaper the plan, the more of them.

    Returns:
        How many were new.
    """
    if not count:
        return 0
    catalog = store.published().catalog
    plans = list(catalog.plans)
    if not plans:
        raise UnknownPlan("no plan is sold here, so nobody can be subscribed")
    weights = [2**-rank for rank in range(len(plans))]
    chance = random.Random(0)  # the same tenants each time
    admin = store.ent.admin(actor(), because=because)
    made = 0
    with counting("making tenants", count) as done:
        for number in range(1, count + 1):
            tenant = f"customer-{number:06}"
            plan = chance.choices(plans, weights)[0]
            on_trial = catalog.plans[plan].trial is not None and chance.random() < 0.1
            made += admin.subscribe(tenant, plan, trial=on_trial, operation=f"seed:{tenant}").applied
            done(1)
    return made


def _example_hash() -> str:
    from payaid_entitlements.core.catalog import Catalog

    return Catalog.load(example("tenants").CATALOG).hash
