"""`payaid audit` and `payaid undo`: who changed what, when and why, and taking it back."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.text import Text

from payaid_entitlements.admin.flagging import said_of
from payaid_entitlements.admin.trail import keys_of
from payaid_entitlements.cli.changing import said
from payaid_entitlements.cli.confirming import Line, confirm
from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.cli.facts import changes_in_words
from payaid_entitlements.cli.opening import Opened, actor, opened
from payaid_entitlements.cli.options import MOST, AsJson, Because, Url, Yes, identified
from payaid_entitlements.cli.printing import console, emit, escape, notes, plain
from payaid_entitlements.cli.times import parse_length, parse_time, shown, stamp
from payaid_entitlements.core.instant import Instant, instant, moment
from payaid_entitlements.stores.ports import AuditEntry, Scope

_PAGE = 500


def audit(
    tenant: Annotated[str | None, typer.Argument(metavar="TENANT", help="Only this tenant.")] = None,
    feature: Annotated[str | None, typer.Option(help="Only what says something about this key.")] = None,
    since: Annotated[str | None, typer.Option(help="A time with its zone, or how long ago: 7d, 24h.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="The newest so many.")] = 50,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show who changed what, when and why, the newest last."""
    if tenant is not None:
        identified("tenant", tenant)
    with opened(url) as store:
        begin = None if since is None else _since(since, store.now)
        tell(store, deque(entries(store, tenant, feature, begin), maxlen=limit), as_json=as_json)


def undo(
    change: Annotated[str, typer.Argument(metavar="CHANGE", help="The id of a change, from `payaid audit`.")],
    because: Because,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Take a change back: what it said is replaced by what was there before."""
    with opened(url) as store:
        found = store.store.audit(id=change, limit=1)
        if not found:
            raise Ending(f"there is no change {change}; `payaid audit` lists them")
        entry = found[0]
        zone = store.zone(entry.tenant)
        admin = store.ent.admin(actor(), because=because, dry_run=True)
        proposed = admin.undo(change)
        about = entry.tenant or entry.scope.value
        lines = [Line(f"{about} {each.what}", escape(each.before), escape(each.after)) for each in proposed.altered]
        if entry.facts:  # the same, with times in the tenant's zone
            lines = [Line(f"{about} {what}", escape(new), escape(old)) for what, old, new in _lines(entry, zone)]
        confirm(store.store.name, lines, because=because, yes=yes, as_json=as_json)
        said(store.ent.admin(actor(), because=because).undo(change), zone, as_json=as_json)


def tell(store: Opened, found: Collection[AuditEntry], *, as_json: bool) -> None:
    """Show entries of the audit trail, or print them as JSON."""
    if as_json:
        emit([as_data(entry) for entry in found])
        return
    zones: dict[str | None, ZoneInfo] = {}
    out = console()
    out.print(f"[dim]{escape(store.store.name)}[/]")
    for entry in found:
        zone = zones.get(entry.tenant) or zones.setdefault(entry.tenant, store.zone(entry.tenant))
        about = entry.tenant if entry.tenant is not None else entry.scope.value
        when = shown(entry.recorded, zone)
        line = Text.assemble((plain(about), "bold"), f"  {entry.verb}  ", (f"{when}  by {plain(entry.actor)}  ", "dim"))
        out.print(line.append(entry.id, "dim cyan"))
        for what, old, new in _lines(entry, zone):
            before = f"[dim]{escape(old)} -> [/]" if old else ""
            out.print(f"    {escape(what)}  {before}{escape(new)}")
        if entry.because:
            out.print(f"    [italic]{escape(entry.because)}[/]")
    if not found:
        notes().print("  [yellow]no such change is recorded[/]")


def as_data(entry: AuditEntry) -> dict[str, object]:
    """An entry as JSON data."""
    return {
        "change": entry.id,
        "at": stamp(entry.recorded),
        "scope": entry.scope.value,
        "tenant": entry.tenant,
        "revision": entry.revision,
        "actor": entry.actor,
        "verb": entry.verb,
        "because": entry.because,
        "operation": entry.operation,
        "as_of": stamp(entry.as_of),
        "facts": [
            {
                "subject": list(fact.subject),
                "since": stamp(fact.since),
                "before": fact.before,
                "after": fact.value,
            }
            for fact in entry.facts
        ],
        "detail": dict(entry.detail),
    }


def _since(text: str, now: Instant) -> Instant:
    if text[:4].isdigit() and "-" in text:
        return instant(parse_time(text))
    return instant(moment(now) - parse_length(text))


def entries(store: Opened, tenant: str | None, key: str | None, since: Instant | None) -> Iterator[AuditEntry]:
    """Read the audit trail, oldest first; with a *key* only what names this module, feature or flag."""
    after = 0
    while True:
        page = store.store.audit(tenant=tenant, since=since, after=after, limit=_PAGE)
        yield from (entry for entry in page if key is None or key in keys_of(entry))
        if len(page) < _PAGE:
            return
        after = page[-1].position


def _lines(entry: AuditEntry, zone: ZoneInfo) -> Iterator[tuple[str, str, str]]:
    yield from changes_in_words(entry.facts, zone, entry.recorded)
    if entry.scope is Scope.FLAGS:
        for each in said_of(entry.detail):
            yield each.what, each.before, each.after
    elif not entry.facts:
        for key, value in entry.detail.items():
            if key != "asked":
                for line in value if isinstance(value, list) else [value]:
                    yield key, "", str(line)
