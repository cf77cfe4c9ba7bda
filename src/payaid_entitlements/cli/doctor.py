"""`payaid doctor`: is this set up as it should be? Only what can be seen from here, each with a way out."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer

from payaid_entitlements.cli import REFUSED
from payaid_entitlements.cli.catalogs import DEFAULT_FILE
from payaid_entitlements.cli.opening import PAGE, Opened, opened
from payaid_entitlements.cli.options import AsJson, Url
from payaid_entitlements.cli.printing import console, emit, escape, grid
from payaid_entitlements.core.catalog import Catalog, Published, difference
from payaid_entitlements.core.controls import ENFORCE, Stage, staged
from payaid_entitlements.core.flags.flag_set import WAY_OUT
from payaid_entitlements.core.flags.model import FlagSet
from payaid_entitlements.core.flags.snapshot import effective
from payaid_entitlements.core.instant import MICROSECONDS, Instant
from payaid_entitlements.core.interval import format_duration
from payaid_entitlements.core.subscription import terms_at
from payaid_entitlements.core.world import Modes
from payaid_entitlements.core.written.keyspace import RATE_LIMITS
from payaid_entitlements.errors import CatalogInvalid, SchemaOutOfDate, StoreUnavailable
from payaid_entitlements.settings import environment_modes

State = Literal["ok", "warn", "fail"]
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}
#: Changes recorded later than this by our clock mean that some machine's clock is wrong. Microseconds.
SKEW = 2 * MICROSECONDS
#: Tenants that are named one by one in a finding; the rest is a number.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what to do about it where it is not well."""

    check: str
    state: State
    found: str
    way_out: str = ""


def doctor(url: Url = None, as_json: AsJson = False) -> None:
    """Look at the store, the catalog, the switches and the tenants. Exits with 1 where something fails."""
    with opened(url) as store:
        findings = list(examine(store, Path.cwd()))
        name = store.store.name
    failed = any(finding.state == "fail" for finding in findings)
    if as_json:
        emit(
            {
                "ok": not failed,
                "store": name,
                "findings": [
                    {"check": f.check, "state": f.state, "found": f.found, "way_out": f.way_out} for f in findings
                ],
            }
        )
    else:
        table = grid("", "check", "found", "way out", title=name)
        for finding in findings:
            mark = f"[{_COLOURS[finding.state]}]{finding.state}[/]"
            table.add_row(mark, finding.check, escape(finding.found), escape(finding.way_out))
        console().print(table)
    if failed:
        raise typer.Exit(REFUSED)


def examine(store: Opened, directory: Path) -> Iterator[Finding]:
    """Make every check; *directory* is where a catalog file would be."""
    yield from _durable(store)
    yield Finding("schema", "ok", "as this version needs it")  # opening has refused any other
    yield from _usage(store)
    yield from _enforcement(store)
    yield _clock(store)
    published = store.store.catalog()
    if published is None:
        yield Finding("catalog", "fail", "nothing is published", "payaid catalog publish")
        return
    yield from _catalog(published, directory / DEFAULT_FILE)
    if published.catalog.rate_limits:
        yield from _limits(store)
    yield from _flags(published, store.store.flags())
    yield from _tenants(store, published)


def _durable(store: Opened) -> Iterator[Finding]:
    state: State = "warn" if store.store.is_durable else "fail"
    if not store.store.concerns:
        yield Finding("durable", "ok", "what is written stays")
    for concern in store.store.concerns:
        yield Finding("durable", state, f"{concern.found}; not so: {concern.promise}", concern.way_out)


def _usage(store: Opened) -> Iterator[Finding]:
    """Where usage is counted: does it answer, and what can it not promise that the store can?"""
    if store.counts is None:
        yield Finding("usage", "warn", "is counted nowhere", "name a ledger by PAYAID_LEDGER, to sell quotas and seats")
        return
    try:
        ledger = store.ledger()
        ledger.tenants(limit=1)
    except (StoreUnavailable, SchemaOutOfDate) as error:
        way_out = "nothing is consumed until it answers; look at it, and at PAYAID_LEDGER"
        yield Finding("usage", "fail", f"{store.counts.name}: {error}", way_out)
        return
    is_own = ledger is getattr(store.store, "ledger", None)
    where = "" if is_own else f" in {ledger.name}"
    # What goes for the whole server was said of the store.
    said = {concern.found for concern in store.store.concerns} if is_own else set[str]()
    concerns = [concern for concern in ledger.concerns if concern.found not in said]
    if not concerns:
        yield Finding("usage", "ok", f"is counted{where}")
    for concern in concerns:
        state: State = "warn" if ledger.is_durable else "fail"
        yield Finding("usage", state, f"{concern.found}{where}; not so: {concern.promise}", concern.way_out)


def _limits(store: Opened) -> Iterator[Finding]:
    """Where calls are counted: does it answer, and what can it not promise?"""
    limiting = store.ent._limiting
    limiter = limiting.limiter
    if limiter is None:
        yield Finding("rate limits", "warn", "are counted nowhere", "name a limiter by PAYAID_LIMITER, to limit calls")
        return
    if not limiting.answers():
        way_out = "meanwhile each limit's on_outage holds; look at it, and at PAYAID_LIMITER"
        yield Finding("rate limits", "fail", f"{limiter.name} gives no answer", way_out)
        return
    is_own = limiter is getattr(store.store, "limiter", None)
    where = "" if is_own else f" in {limiter.name}"
    said = {concern.found for concern in store.store.concerns} if is_own else set[str]()
    concerns = [concern for concern in limiter.concerns if concern.found not in said]
    if not concerns:
        yield Finding("rate limits", "ok", f"are counted{where}")
    for concern in concerns:
        yield Finding("rate limits", "warn", f"{concern.found}{where}; not so: {concern.promise}", concern.way_out)


def _enforcement(store: Opened) -> Iterator[Finding]:
    controls, environment = store.store.controls(), environment_modes(os.environ)
    modes = Modes(environment=environment)
    scopes = {*controls.modes, *environment}
    soft = {scope: mode.value for scope in scopes if (mode := modes.of(scope, controls.modes)) is not ENFORCE}
    for scope in scopes:
        if (stage := modes.staged(scope, controls)) is not None:
            soft[scope] = staged(Stage(stage.mode, stage.parts), stage.otherwise)
    if soft:
        said = ", ".join(f"{scope}: {mode}" for scope, mode in sorted(soft.items()))
        yield Finding("enforcement", "warn", f"refusals are not carried out everywhere ({said})", "unset it to enforce")
    else:
        yield Finding("enforcement", "ok", "on, as far as the store and this shell say")
    if controls.killed:
        yield Finding(
            "kill switches",
            "warn",
            f"off for everybody: {', '.join(sorted(controls.killed))}",
            "admin.restore(key)",
        )


def _clock(store: Opened) -> Finding:
    newest = _newest(store)
    ahead = 0 if newest is None else newest - store.now
    if ahead > SKEW:
        length = format_duration(ahead // MICROSECONDS * MICROSECONDS)
        return Finding("clock", "fail", f"a change was recorded {length} in the future", "set the clocks by NTP")
    return Finding("clock", "ok", "no change was recorded in the future")


def _newest(store: Opened) -> Instant | None:
    """When the newest change was recorded, by the clock of whoever recorded it."""
    behind, end = 0, store.store.changes_since(None).position
    # Positions have a hole where a store was restored, of any size: it is halved until the last entries are found.
    while end - behind > PAGE:
        middle = (behind + end) // 2
        behind, end = (middle, end) if store.store.audit(after=middle, limit=1) else (behind, middle)
    return max((entry.recorded for entry in store.store.audit(after=behind, limit=PAGE)), default=None)


def _catalog(published: Published, file: Path) -> Iterator[Finding]:
    catalog = published.catalog
    if catalog.lints:
        lints = "; ".join(problem.message for problem in catalog.lints)
        yield Finding("catalog", "warn", f"revision {published.revision}: {lints}", "payaid catalog validate")
    else:
        yield Finding("catalog", "ok", f"revision {published.revision}, {catalog.hash[:12]}")
    if not file.exists():
        return
    try:
        here = Catalog.load(file)
    except CatalogInvalid as error:
        yield Finding(
            "catalog.yaml",
            "warn",
            f"the file here has {len(error.problems)} problems",
            "payaid catalog validate",
        )
        return
    lines = difference(catalog, here)
    if lines:
        found = f"the file here differs from what is sold in {len(lines)} places"
        yield Finding("catalog.yaml", "warn", found, "payaid catalog diff, then publish")
    else:
        yield Finding("catalog.yaml", "ok", "the file here is what is sold")


def _flags(published: Published, held: FlagSet) -> Iterator[Finding]:
    if held.damage is not None:
        yield Finding("flags", "fail", f"the stored flag set cannot be read: {held.damage.why}", WAY_OUT)
        return
    flags = effective(published.catalog.flags, held)
    broken = [f"flag {key!r}: {flag.broken}" for key, flag in sorted(flags.items()) if flag.broken]
    broken += [f"segment {name!r}: {each.why}" for (kind, name), each in held.unread.items() if kind == "segment"]
    for found in broken[:_NAMED]:
        yield Finding("flags", "fail", found, "define it anew: payaid flag import, or payaid flag set FLAG VARIANT")
    if len(broken) > _NAMED:
        yield Finding("flags", "fail", f"{len(broken) - _NAMED} more cannot be read", "payaid flag lint")
    if not broken:
        yield Finding("flags", "ok", f"{len(flags):,} are known, and can be read")


def _tenants(store: Opened, published: Published) -> Iterator[Finding]:
    """One walk over all documents for everything that is asked of them."""
    count, unknown, old, add_ons, keys = 0, Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    alike: dict[str, list[str]] = {}
    sold = {*published.catalog.modules, *published.catalog.features}
    sold.update(f"{RATE_LIMITS}{key}" for key in published.catalog.rate_limits)
    for document in store.documents("looking at tenants"):
        count += 1
        alike.setdefault(_folded(document.tenant), []).append(document.tenant)
        for terms in terms_at(document, store.now):
            versions = published.versions.get(terms.plan, ())
            if terms.version is not None and terms.version > len(versions):
                unknown[f"{terms.plan}@{terms.version}"] += 1
            elif terms.version is not None and terms.version < len(versions):
                old[f"{terms.plan}@{terms.version}"] += 1
            for held in terms.add_ons:
                newest = len(published.add_on_versions.get(held.key, ()))
                if held.version is not None and held.version != newest:
                    which = old if held.version < newest else add_ons
                    which[f"{held.key}@{held.version}"] += 1
        for path in document.timelines:
            if path[0] == "override" and path[1] not in sold and document.value(path, store.now) is not None:
                keys[path[1]] += 1
    yield Finding("tenants", "ok", f"{count:,} are known")
    yield _counted(
        "plans held",
        unknown,
        "fail",
        "were never published here, so they give nothing",
        "restore the catalog",
    )
    yield _counted("old versions", old, "warn", "are held, and kept", "payaid tenant list --plan PLAN")
    yield _counted(
        "add-ons held", add_ons, "fail", "were never published here, so they give nothing", "restore the catalog"
    )
    yield _counted("overrides", keys, "warn", "are about keys that no catalog has", "payaid override list")
    twins = [names for names in alike.values() if len(names) > 1]
    if twins:
        said = "; ".join(" / ".join(map(repr, names)) for names in twins[:_NAMED])
        more = f" and {len(twins) - _NAMED} more" if len(twins) > _NAMED else ""
        yield Finding("ids", "warn", f"look alike and are different tenants: {said}{more}", "are they one customer?")
    else:
        yield Finding("ids", "ok", "no two tenants have ids that look alike")


def _counted(check: str, counts: Counter[str], state: State, what: str, way_out: str) -> Finding:
    if not counts:
        return Finding(check, "ok", "nothing to say")
    said = ", ".join(f"{key} ({number} x)" for key, number in counts.most_common(_NAMED))
    return Finding(check, state, f"{said} {what}", way_out)


def _folded(tenant: str) -> str:
    """What ids that people take for one another have in common: case, blanks, width and accents aside."""
    plain = unicodedata.normalize("NFKD", tenant).casefold()
    return "".join(each for each in plain if not unicodedata.combining(each) and not each.isspace())
