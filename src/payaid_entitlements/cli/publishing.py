"""`payaid catalog publish`: what a file says becomes what is sold."""

from __future__ import annotations

from rich.markup import escape

from payaid_entitlements.cli.catalogs import DEFAULT_FILE, File
from payaid_entitlements.cli.changing import said
from payaid_entitlements.cli.confirming import Line, confirm
from payaid_entitlements.cli.opening import Opened, actor, opened
from payaid_entitlements.cli.options import AsJson, Because, Url, Yes
from payaid_entitlements.cli.printing import console, emit, notes
from payaid_entitlements.core.catalog import Catalog, Publication
from payaid_entitlements.core.catalog import publish as planned
from payaid_entitlements.core.subscription import terms_at


def publish(
    because: Because, file: File = DEFAULT_FILE, yes: Yes = False, url: Url = None, as_json: AsJson = False
) -> None:
    """Sell what FILE says. Each plan that changed gets a new version; who holds the old one keeps it."""
    catalog = Catalog.load(file)
    with opened(url, creates=True) as store:
        held = store.store.catalog()
        _, publication = planned(held, catalog)
        if publication.is_empty:
            if as_json:
                emit(
                    {
                        "applied": False,
                        "reason": "nothing changed",
                        "revision": publication.revision,
                        "hash": catalog.hash,
                    }
                )
            else:
                console().print(f"[green]nothing to do[/]: {escape(publication.lines()[0])}")
            return
        staying = _staying(store, publication)
        before = "nothing" if held is None else f"revision {held.revision}, {held.catalog.hash[:12]}"
        after = f"revision {publication.revision}, {publication.hash[:12]}"
        confirm(
            store.store.name,
            [Line("catalog", before, after), *_lines(publication, staying)],
            because=because,
            yes=yes,
            as_json=as_json,
        )
        change = store.ent.admin(actor(), because=because).publish(catalog)
        versions = [
            {"plan": item.plan, "version": item.version, "staying": staying.get(item.plan, 0)}
            for item in (*publication.added, *publication.changed)
        ]
        said(
            change,
            store.zone(),
            as_json=as_json,
            more={"hash": catalog.hash, "versions": versions},
            way_back="publish the earlier file again",
        )
        if not as_json and any(staying.values()):
            notes().print("  [dim]who stays on an old version keeps what was bought; nothing is taken away[/]")


def _staying(store: Opened, publication: Publication) -> dict[str, int]:
    """How many hold an older version of each plan that has a new one, and keep it."""
    counts: dict[str, int] = {}
    for item in (*publication.changed, *publication.removed):
        counts[item.plan] = 0
        for document in store.documents(f"counting who holds {item.plan}", plan=item.plan):
            counts[item.plan] += any(terms.plan == item.plan for terms in terms_at(document, store.now))
    return counts


def _lines(publication: Publication, staying: dict[str, int]) -> list[Line]:
    lines = [Line(f"plan {item.plan}", "not sold", f"[green]version {item.version}[/]") for item in publication.added]
    for item in publication.changed:
        after = f"[green]version {item.version}[/]; {_tenants(staying[item.plan])} on the old one"
        lines.append(Line(f"plan {item.plan}", f"version {item.version - 1}", after))
    for item in publication.removed:
        after = f"[red]not sold any more[/]; {_tenants(staying[item.plan])} with it"
        lines.append(Line(f"plan {item.plan}", f"version {item.version}", after))
    for each in publication.differences:
        before, after = each.before or "nothing", each.after or "nothing"
        lines.append(Line(each.path, f"[dim]{escape(before)}[/]", escape(after)))
    return lines


def _tenants(count: int) -> str:
    return f"{count} tenant stays" if count == 1 else f"{count} tenants stay"
