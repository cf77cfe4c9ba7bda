"""`payaid override`: exceptions for one tenant, made and taken back by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from payaid_entitlements.cli import REFUSED
from payaid_entitlements.cli.changing import said
from payaid_entitlements.cli.confirming import Line, confirm
from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.cli.opening import actor, opened
from payaid_entitlements.cli.options import AsJson, Because, Overridable, Tenant, Url, User, Yes, identified
from payaid_entitlements.cli.printing import console, emit, escape, grid, held, notes, worth_of
from payaid_entitlements.cli.rehearsal import rehearsal
from payaid_entitlements.cli.times import parse_length, parse_time, shown, stamp
from payaid_entitlements.cli.written import parse_value
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.encoding import encode_value
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.instant import Instant, instant, moment
from payaid_entitlements.core.overriding import standing_overrides
from payaid_entitlements.core.typed import overridable
from payaid_entitlements.core.values import Deny, Value
from payaid_entitlements.core.written.keyspace import RATE_LIMITS
from payaid_entitlements.entitlements import Entitlements

app = typer.Typer(help="Exceptions for one tenant, with an end and a reason.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class Override:
    """
    An override as the tenant's facts have it.

    Attributes:
        since: In force from here on; may be to come.
        until: Exclusive; None for no end.
    """

    feature: str
    user: str | None
    to: Value | Deny | None
    since: Instant
    until: Instant | None

    def as_data(self) -> dict[str, object]:
        """It as JSON data."""
        return {
            "feature": self.feature,
            "user": self.user,
            "to": encode_value(self.to),
            "since": stamp(self.since),
            "until": stamp(self.until),
        }

    def in_words(self, zone: ZoneInfo) -> str:
        """It in one line."""
        who = f" for user {escape(self.user)}" if self.user else ""
        end = f"until {shown(self.until, zone)}" if self.until else "without an end"
        return f"override [magenta]{escape(self.feature)}[/]{who} -> {escape(worth_of(self.to))} {end}"


def overrides_of(document: TenantDocument, at: Instant) -> list[Override]:
    """The overrides of a tenant that are in force at *at* or to come."""
    return [
        Override(each.feature, each.user, each.to, each.since, each.until) for each in standing_overrides(document, at)
    ]


@app.command("set")
def set_(
    tenant: Tenant,
    feature: Overridable,
    to: Annotated[
        str,
        typer.Argument(
            metavar="VALUE", help="true, false, a value as in the catalog, rates joined by commas, unlimited or deny."
        ),
    ],
    because: Because,
    for_: Annotated[str | None, typer.Option("--for", help="How long: 30m, 24h, 7d.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Until when: 2026-11-23T09:40+05:30.")] = None,
    forever: Annotated[bool, typer.Option("--forever", help="Without an end.")] = False,
    user: User = None,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Give a tenant, or one of its users, something else than it holds."""
    if [for_ is not None, until is not None, forever].count(True) != 1:
        raise typer.BadParameter("say how long: one of --for 24h, --until TIME or --forever")
    length = None if for_ is None else parse_length(for_)
    end = None if until is None else parse_time(until)
    with opened(url) as store:
        published, zone = store.published(), store.zone(tenant)
        value = parse_value(published.catalog, feature, to)
        ends = _end(store.now, length, end)
        if ends is not None and instant(ends) <= store.now:
            raise Ending(f"--until is over already: {shown(ends, zone)}")
        with rehearsal(store, tenant) as copy:
            before = _now_held(copy, tenant, feature, user, published.catalog)
            copy.admin(actor(), because=because).override(tenant, feature, value, until=ends, user=user)
            after = _now_held(copy, tenant, feature, user, published.catalog)
        end_in_words = "" if ends is None else f" until {shown(ends, zone)}"
        line = Line(_about(tenant, feature, user), before, after + end_in_words)
        confirm(store.store.name, [line], because=because, yes=yes, as_json=as_json)
        change = store.ent.admin(actor(), because=because).override(tenant, feature, value, until=ends, user=user)
        said(change, zone, as_json=as_json, more={"tenant": tenant, "feature": feature, "until": stamp(ends)})


@app.command()
def clear(
    tenant: Tenant,
    feature: Overridable,
    because: Because,
    user: User = None,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Take an override back before its end."""
    with opened(url) as store:
        published, zone = store.published(), store.zone(tenant)
        overridable(published.catalog, feature)
        document = store.document(tenant)
        if not any((each.feature, each.user) == (feature, user) for each in overrides_of(document, store.now)):
            raise Ending(f"{_about(tenant, feature, user)} has no override in force or to come", code=REFUSED)
        with rehearsal(store, tenant) as copy:
            before = _now_held(copy, tenant, feature, user, published.catalog)
            copy.admin(actor(), because=because).clear_override(tenant, feature, user=user)
            after = _now_held(copy, tenant, feature, user, published.catalog)
        line = Line(_about(tenant, feature, user), before, after)
        confirm(store.store.name, [line], because=because, yes=yes, as_json=as_json)
        change = store.ent.admin(actor(), because=because).clear_override(tenant, feature, user=user)
        said(change, zone, as_json=as_json, more={"tenant": tenant, "feature": feature})


@app.command("list")
def list_(
    tenant: Annotated[str | None, typer.Argument(metavar="TENANT", help="One tenant; else all of them.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the overrides that are in force or to come."""
    with opened(url) as store:
        if tenant is not None:
            identified("tenant", tenant)
            found = [(tenant, each) for each in overrides_of(store.document(tenant), store.now)]
        else:
            found = [
                (d.tenant, each)
                for d in store.documents("looking for overrides")
                for each in overrides_of(d, store.now)
            ]
        if as_json:
            emit([{"tenant": whose, **each.as_data()} for whose, each in found])
            return
        table = grid("tenant", "feature", "user", "to", "since", "until", title=store.store.name)
        for whose, each in found:
            zone = store.zone(whose)
            end = shown(each.until, zone) if each.until else "[yellow]forever[/]"
            since = shown(each.since, zone)
            row = (
                escape(whose),
                escape(each.feature),
                escape(each.user or "-"),
                escape(worth_of(each.to)),
                since,
                end,
            )
            table.add_row(*row)
        console().print(table)
        if not found:
            notes().print("  [yellow]no override is in force or to come[/]")


def _now_held(ent: Entitlements, tenant: str, feature: str, user: str | None, catalog: Catalog) -> str:
    view = ent.tenant(tenant, user=user, fresh=True)
    if feature.startswith(RATE_LIMITS):
        return held(view.explain(feature).decision, None)
    return held(view.decide(feature, "write"), catalog.features.get(feature))


def _about(tenant: str, feature: str, user: str | None) -> str:
    return f"{tenant}/{feature}" if user is None else f"{tenant}/{feature} for user {user}"


def _end(now: Instant, length: timedelta | None, until: datetime | None) -> datetime | None:
    return until if length is None else moment(now) + length
