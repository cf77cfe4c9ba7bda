"""`payaid catalog publish`: what a file says becomes what is sold."""

from __future__ import annotations

from payaid_entitlements.admin.selling import STAYS
from payaid_entitlements.cli.catalogs import DEFAULT_FILE, File
from payaid_entitlements.cli.changing import opens, said
from payaid_entitlements.cli.confirming import Line, confirm
from payaid_entitlements.cli.opening import Opened, actor, opened
from payaid_entitlements.cli.options import AsJson, Because, Url, Yes
from payaid_entitlements.cli.printing import console, emit, escape, notes
from payaid_entitlements.core.catalog import Catalog, PlanVersion, Publication
from payaid_entitlements.core.catalog import publish as planned
from payaid_entitlements.core.catalog.flags.publishing import outlived
from payaid_entitlements.core.catalog.publication import OfferVersion
from payaid_entitlements.core.subscription import terms_at


def publish(
    because: Because, file: File = DEFAULT_FILE, yes: Yes = False, url: Url = None, as_json: AsJson = False
) -> None:
    """Sell what FILE says. Each plan and add-on that changed gets a new version; who holds the old one keeps it."""
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
        known = outlived(None if held is None else held.catalog, catalog, store.store.flags())
        living = [Line(each, "changed since it was published", f"[yellow]{STAYS}[/]") for each in known]
        proposed = store.ent.admin(actor(), because=because, dry_run=True).publish(catalog)
        before = "nothing" if held is None else f"revision {held.revision}, {held.catalog.hash[:12]}"
        after = f"revision {publication.revision}, {publication.hash[:12]}"
        confirm(
            store.store.name,
            [Line("catalog", before, after), *_lines(publication, staying), *living],
            because=because,
            yes=yes,
            as_json=as_json,
            told=opens(proposed),
        )
        change = store.ent.admin(actor(), because=because).publish(catalog)
        versions = [
            {**_named(item), "version": item.version, "staying": staying.get(item, 0)}
            for item in (*publication.all_added, *publication.all_changed)
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


def _named(item: OfferVersion) -> dict[str, object]:
    return {"plan": item.plan} if isinstance(item, PlanVersion) else {"add_on": item.add_on}


def _staying(store: Opened, publication: Publication) -> dict[OfferVersion, int]:
    """How many hold each plan and add-on that has a new version or is not sold any more, and keep it."""
    counts: dict[OfferVersion, int] = {}
    for item in (*publication.changed, *publication.removed):
        counts[item] = 0
        for document in store.documents(f"counting who holds {item}", plan=item.plan):
            counts[item] += any(terms.plan == item.plan for terms in terms_at(document, store.now))
    add_ons = {item.add_on: item for item in (*publication.changed_add_ons, *publication.removed_add_ons)}
    counts |= dict.fromkeys(add_ons.values(), 0)
    # Nothing lists tenants by their add-ons: all are looked through, once.
    for document in store.documents("counting who holds add-ons") if add_ons else ():
        held = {each.key for terms in terms_at(document, store.now) for each in terms.add_ons}
        for key in held & add_ons.keys():
            counts[add_ons[key]] += 1
    return counts


def _lines(publication: Publication, staying: dict[OfferVersion, int]) -> list[Line]:
    lines = [Line(str(item), "not sold", f"[green]version {item.version}[/]") for item in publication.all_added]
    for item in publication.all_changed:
        after = f"[green]version {item.version}[/]; {_tenants(staying[item])} on the old one"
        lines.append(Line(str(item), f"version {item.version - 1}", after))
    for item in publication.all_removed:
        after = f"[red]not sold any more[/]; {_tenants(staying[item])} with it"
        lines.append(Line(str(item), f"version {item.version}", after))
    for each in publication.differences:
        before, after = each.before or "nothing", each.after or "nothing"
        lines.append(Line(each.path, f"[dim]{escape(before)}[/]", escape(after)))
    return lines


def _tenants(count: int) -> str:
    return f"{count} tenant stays" if count == 1 else f"{count} tenants stay"
