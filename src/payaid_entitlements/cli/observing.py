"""`payaid observe report`: who would lose something by enforcement, who would gain, and what would help."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, cast
from zoneinfo import ZoneInfo

import typer

from payaid_entitlements.cache.driving import HostSubscriptions
from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.cli.enforcement import NAMED, All, seen
from payaid_entitlements.cli.opening import Opened, opened
from payaid_entitlements.cli.options import AsJson, Url
from payaid_entitlements.cli.printing import console, emit, escape, grid, notes
from payaid_entitlements.cli.progress import counting
from payaid_entitlements.cli.remedies import remedy_in_words
from payaid_entitlements.cli.times import parse_length
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.decision import SOFTENED
from payaid_entitlements.core.instant import moment
from payaid_entitlements.core.remedies import Remedy
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.stores.activity import Activity, Seen
from payaid_entitlements.view import TenantView

app = typer.Typer(help="What enforcement would change, before it is carried out.", no_args_is_help=True)

#: Tenants of one feature that are looked at more closely: what they would need.
LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True)
class Difference:
    """
    What enforcing would change for one module or feature.

    Attributes:
        losing: Tenants that were let do what the catalog refuses, and that it refuses still.
        settled: Those among them that hold it by now.
        gaining: Tenants that your old answer refused what the catalog allows.
        needs: Cheapest remedies of those who would lose it, each with how many need it; None is: nothing is sold that
            would help.
        unlooked: Tenants of *losing* that were not looked at: they are too many.
    """

    key: str
    losing: Sequence[str]
    settled: Sequence[str]
    gaining: Sequence[str]
    needs: Sequence[tuple[Remedy | None, int]]
    unlooked: int


@app.command()
def report(
    since: Annotated[str, typer.Option("--since", help="How far back: 7d, 24h.")] = "7d",
    name_all: All = False,
    subscriptions: Annotated[
        str | None,
        typer.Option("--subscriptions", help="Where you keep them yourself: module:function, which is imported."),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Say for each module and feature who would lose it by enforcement, and who would gain it."""
    length = parse_length(since)
    host = None if subscriptions is None else _imported(subscriptions)
    with opened(url) as store, Entitlements(store.store, subscriptions=host) as ent:
        activity = activity_of(store)
        catalog, zone, name = store.published().catalog, store.zone(), store.store.name
        first = (moment(store.now) - length).date()
        found = [_difference(ent, activity, catalog, key, first) for key in _keys(activity, catalog, first)]
        used = {key: len(list(seen(activity, Seen.MODULE, key, first))) for key in catalog.modules}
    if as_json:
        emit({"since": first.isoformat(), "used": used, "differences": [_as_data(each, name_all) for each in found]})
        return
    table = grid("", "used by", "would lose it", "would gain it", "they would need", title=f"{name}, the last {since}")
    for module in (*catalog.modules, None):
        rows = [each for each in found if _module_of(catalog, each.key) == module]
        if module is not None:
            own = next((each for each in rows if each.key == module), None)
            table.add_row(f"[bold]{escape(module)}[/]", str(used[module]), *_cells(own, zone))
        for each in rows:
            if each.key != module:
                table.add_row(f"  {escape(each.key)}", "", *_cells(each, zone))
    console().print(table)
    for each in found:
        _name(each, name_all)
    if not found:
        notes().print("[green]no difference was seen[/]; is enforcement observed, and do your gates and guards ask?")


def _imported(name: str) -> HostSubscriptions:
    """
    Import what tells subscriptions: ``shop.plans:subscription_of``, as seen from the current directory.

    Raises:
        BadParameter: There is no such thing.
    """
    module, _, function = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise typer.BadParameter(f"--subscriptions {name}: {error}; write module:function") from None
    return cast("HostSubscriptions", found)


def activity_of(store: Opened) -> Activity:
    """
    Where is recorded what tenants do, ready for use.

    Raises:
        Ending: The store has no such place.
    """
    activity: Activity | None = getattr(store.store, "activity", None)
    if activity is None:
        raise Ending(f"{store.store.name} does not record what tenants do")
    activity.prepare()
    return activity


def _keys(activity: Activity, catalog: Catalog, since: date) -> list[str]:
    """What there are differences about, in the order of the catalog; what it does not have any more is at the end."""
    found = {*activity.keys(Seen.WOULD_LOSE, since), *activity.keys(Seen.WOULD_GAIN, since)}
    known = [key for module in catalog.modules.values() for key in (module.key, *module.features)]
    known += [key for key, feature in catalog.features.items() if feature.module is None]
    return [*(key for key in known if key in found), *sorted(found.difference(known))]


def _difference(ent: Entitlements, activity: Activity, catalog: Catalog, key: str, since: date) -> Difference:
    losing: list[str] = []
    settled: list[str] = []
    needs: dict[str, tuple[Remedy | None, int]] = {}
    unlooked = 0
    with counting(f"looking at who would lose {key}") as count:
        for tenant in seen(activity, Seen.WOULD_LOSE, key, since):
            count(1)
            if len(losing) + len(settled) >= LOOKED_AT or not _is_sold(catalog, key):
                losing.append(tenant)
                unlooked += 1
                continue
            view = ent.tenant(tenant)
            if _holds(view, key):
                settled.append(tenant)
                continue
            losing.append(tenant)
            remedy = _cheapest(view, key)
            said = repr(remedy)
            needs[said] = (remedy, needs.get(said, (remedy, 0))[1] + 1)
    gaining = list(seen(activity, Seen.WOULD_GAIN, key, since))
    return Difference(key, losing, settled, gaining, sorted(needs.values(), key=lambda pair: -pair[1]), unlooked)


def _is_sold(catalog: Catalog, key: str) -> bool:
    return key in catalog.modules or key in catalog.features


def _holds(view: TenantView, key: str) -> bool:
    decision = view.decide(key, "write")
    return decision.allowed and decision.reason not in SOFTENED


def _cheapest(view: TenantView, key: str) -> Remedy | None:
    """What would help, as if it were enforced."""
    decision = view.decide(key, "write")
    if decision.allowed and decision.advisories:
        decision = replace(decision, allowed=False, reason=decision.advisories[0], advisories=decision.advisories[1:])
    return next(iter(view.remedies(decision)), None)


def _module_of(catalog: Catalog, key: str) -> str | None:
    feature = catalog.features.get(key)
    return key if key in catalog.modules else None if feature is None else feature.module


def _cells(of: Difference | None, zone: ZoneInfo) -> tuple[str, str, str]:
    if of is None:
        return "", "", ""
    needs = [f"{count} x {_worded(remedy, zone)}" for remedy, count in of.needs]
    more = [f"{of.unlooked} not looked at"] if of.unlooked else []
    losing = f"[red]{len(of.losing)}[/]" if of.losing else "-"
    return losing, f"[green]{len(of.gaining)}[/]" if of.gaining else "-", "\n".join([*needs, *more])


def _worded(remedy: Remedy | None, zone: ZoneInfo) -> str:
    return "nothing that is sold" if remedy is None else remedy_in_words(remedy, zone)


def _name(of: Difference, name_all: bool) -> None:
    lines = (
        ("would lose it", of.losing, "red"),
        ("hold it by now", of.settled, "dim"),
        ("would gain it", of.gaining, "green"),
    )
    for word, tenants, colour in lines:
        if tenants:
            shown = tenants if name_all else tenants[:NAMED]
            more = f" and {len(tenants) - len(shown)} more (--all)" if len(shown) < len(tenants) else ""
            console().print(f"[bold]{escape(of.key)}[/] [{colour}]{word}[/]: {escape(', '.join(shown))}{more}")


def _as_data(of: Difference, name_all: bool) -> dict[str, object]:
    def named(tenants: Sequence[str]) -> dict[str, object]:
        return {"count": len(tenants), "tenants": list(tenants if name_all else tenants[:NAMED])}

    return {
        "key": of.key,
        "would_lose": named(of.losing),
        "would_gain": named(of.gaining),
        "hold_by_now": named(of.settled),
        "needs": [
            {"remedy": None if remedy is None else remedy.to_public(), "count": count} for remedy, count in of.needs
        ],
        "not_looked_at": of.unlooked,
    }
