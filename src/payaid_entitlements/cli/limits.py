"""`payaid limit`: how rate limits stand, who is nearest to one, and how one begins anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from heapq import nlargest
from itertools import islice
from typing import Annotated, TypeVar

import typer

from payaid_entitlements.admin.change import Author
from payaid_entitlements.admin.resetting import record_reset
from payaid_entitlements.cli.confirming import Line, confirm
from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.cli.opening import PAGE, Opened, actor, opened
from payaid_entitlements.cli.options import MOST, AsJson, Because, Tenant, Url, User, Yes, identified
from payaid_entitlements.cli.printing import bar, console, emit, escape, grid, notes
from payaid_entitlements.cli.progress import counting
from payaid_entitlements.core.instant import MICROSECONDS
from payaid_entitlements.core.interval import format_duration
from payaid_entitlements.core.ratelimit.limits import Limit
from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import StoreUnavailable, UnknownRateLimit
from payaid_entitlements.limiting.asking import there
from payaid_entitlements.limiting.outcome import PolicyStanding, RateLimitOutcome

L = TypeVar("L")

app = typer.Typer(help="How rate limits stand.", no_args_is_help=True)


def _address(value: str | None) -> str | None:
    return None if value is None else identified("address", value)


_Limit = Annotated[str, typer.Argument(metavar="LIMIT", help="The key of a rate limit.")]
_Address = Annotated[
    str | None, typer.Option("--address", help="Of a client, for limits that count by address.", callback=_address)
]


@dataclass(frozen=True, slots=True)
class Standing:
    """
    How one limit stands.

    Attributes:
        policies: Its own, without those of limits that it counts toward; empty where nothing limits, and where it is
            not known whose calls are meant.
        missing: Who has to be named, ``user`` or ``address``; None where it is known.
    """

    limit: Limit
    policies: tuple[PolicyStanding, ...] = ()
    missing: str | None = None

    @property
    def used(self) -> Decimal:
        """How much of the tightest policy is used, from 0 to 1."""
        return max((_used(each) for each in self.policies), default=Decimal(0))

    def to_json(self) -> dict[str, object]:
        """As JSON data; times in seconds."""
        limit = self.limit
        return {
            "limit": limit.key,
            "per": limit.per,
            "is_denied": limit.is_denied,
            "is_unlimited": not limit.policies and not limit.is_denied,
            "on_outage": limit.on_outage,
            "counts_toward": list(limit.counts_toward),
            "lease": limit.lease,
            "needs": self.missing,
            "policies": [
                {
                    "name": policy.name,
                    "algorithm": policy.algorithm.value,
                    "quota": policy.quota,
                    "window": policy.window / MICROSECONDS,
                    "burst": policy.burst,
                    "is_enforced": policy.is_enforced,
                    "remaining": None if stands is None else stands.remaining,
                    "resets_after": None if stands is None else stands.resets_after.total_seconds(),
                }
                for policy, stands in _paired(self)
            ],
        }


@app.command()
def show(
    tenant: Tenant,
    limit: Annotated[str | None, typer.Argument(metavar="LIMIT", help="The key of a rate limit; else all.")] = None,
    user: User = None,
    address: _Address = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show how the rate limits of TENANT stand now. Nothing is counted by it."""
    with opened(url) as store:
        _require_shared(store)
        limits = store.ent.tenant(tenant, user=user, fresh=True).rate_limits
        chosen = limits.values() if limit is None else [_known(limits, limit)]
        found = [_standing(store, tenant, each, user, address) for each in chosen]
        name = there(store.ent._limiting.limiter).name
    if as_json:
        emit({"tenant": tenant, "user": user, "address": address, "limits": [each.to_json() for each in found]})
        return
    table = grid("limit", "per", "lets through", "at once", "left", "", "as new in", title=f"{tenant}, {name}")
    for each in found:
        for line in _lines(each):
            table.add_row(escape(each.limit.key), each.limit.per, *line)
    console().print(table)
    missing = sorted({each.missing for each in found if each.missing is not None})
    if missing:
        notes().print(f"[dim]to see how it stands, name the {' or the '.join(f'--{each}' for each in missing)}[/]")


@app.command()
def top(
    limit: _Limit,
    most: Annotated[int, typer.Option("--limit", min=1, max=MOST, help="At most so many.")] = 20,
    among: Annotated[int, typer.Option("--among", min=1, help="Look at so many tenants, by their ids.")] = 100_000,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the tenants that are nearest to LIMIT now. It asks about each tenant, and counts nothing."""
    with opened(url) as store:
        _require_shared(store)
        per = _known(store.published().catalog.rate_limits, limit).per
        if per != "tenant":
            raise Ending(f"{limit!r} counts by {per}, and the store knows tenants only: use payaid limit show --{per}")
        with counting("reading rate limits") as count:
            tenants = (row.tenant for row in store.tenants())
            rows = nlargest(most, _each(store, islice(tenants, among), limit, count), key=lambda row: row[1].used)
            is_cut = next(tenants, None) is not None
        name = there(store.ent._limiting.limiter).name
    rows = [row for row in rows if row[1].used]
    if as_json:
        emit([{"tenant": tenant, **standing.to_json()} for tenant, standing in rows])
    else:
        table = grid("tenant", "lets through", "at once", "left", "", "as new in", title=f"{limit}, {name}")
        for tenant, standing in rows:
            for line in _lines(standing):
                table.add_row(escape(tenant), *line)
        console().print(table)
    if is_cut:
        notes().print(f"[yellow]only the first {among:,} tenants were looked at[/]; --among looks at more")


@app.command()
def reset(
    tenant: Tenant,
    limit: _Limit,
    because: Because,
    user: User = None,
    address: _Address = None,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Let LIMIT of TENANT begin anew. What its calls counted toward other limits stays counted."""
    with opened(url) as store:
        _require_shared(store)
        key = _known(store.ent.tenant(tenant, user=user, fresh=True).rate_limits, limit)
        standing = _standing(store, tenant, key, user, address)
        if standing.missing is not None:
            raise Ending(f"{limit!r} counts by {standing.missing}: name the --{standing.missing}")
        lines = [
            Line(each.name, f"{each.remaining} of {each.burst} left", f"[green]{each.burst} left[/]")
            for each in standing.policies
        ]
        if lines:
            confirm(store.store.name, lines, because=because, yes=yes, as_json=as_json)
            author = Author(actor(), because, is_dry=False)
            flow = record_reset(store.ent._setting, author, tenant, limit, user=user, address=address)
            store.ent._driver.run(flow)
            store.ent.reset_rate_limit(tenant, limit, user=user, address=address)
    if as_json:
        emit({"tenant": tenant, "limit": limit, "reset": [each.name for each in standing.policies]})
    elif lines:
        console().print(f"[green]done[/]  {escape(limit)} of {escape(tenant)} begins anew")
    else:
        console().print("[green]nothing to do[/]  nothing is counted on it")


def _known(limits: Mapping[str, L], key: str) -> L:
    """
    Find the limit *key*.

    Raises:
        UnknownRateLimit: There is none.
    """
    if key not in limits:
        raise UnknownRateLimit(f"the catalog has no rate limit {key!r}{did_you_mean(key, limits)}")
    return limits[key]


def _each(
    store: Opened, tenants: Iterator[str], key: str, count: Callable[[int], None]
) -> Iterator[tuple[str, Standing]]:
    while page := list(islice(tenants, PAGE)):
        store.ent.warm_up(page)
        for tenant in page:
            limit = store.ent.tenant(tenant).rate_limits[key]
            yield tenant, _standing(store, tenant, limit, None, None)
        count(len(page))


def _require_shared(store: Opened) -> None:
    """
    Refuse to tell of counters that this process alone has.

    Raises:
        ConfigurationError: There is no limiter.
        Ending: It is the memory of each process.
    """
    limiter = there(store.ent._limiting.limiter)
    if not limiter.is_shared:
        raise Ending(f"{limiter.name}: calls are counted in the memory of each process, where no other can look")


def _standing(store: Opened, tenant: str, limit: Limit, user: str | None, address: str | None) -> Standing:
    if (limit.per == "user" and user is None) or (limit.per == "address" and address is None):
        return Standing(limit, missing=limit.per)
    outcome = store.ent.rate_limit_status(tenant, limit.key, user=user, address=address)
    if outcome.on_outage is not None:
        raise StoreUnavailable(f"the limiter gave no answer about {limit.key!r}")
    return Standing(limit, _own(limit, outcome))


def _own(limit: Limit, outcome: RateLimitOutcome) -> tuple[PolicyStanding, ...]:
    stands = {each.name: each for each in (*outcome.policies, *outcome.observed)}
    # None where a limit that it counts toward lets no call pass: then nothing is asked.
    return tuple(stands[policy.name] for policy in limit.policies if policy.name in stands)


def _paired(standing: Standing) -> Iterator[tuple[Policy, PolicyStanding | None]]:
    known = {each.name: each for each in standing.policies}
    for policy in standing.limit.policies:
        yield policy, known.get(policy.name)


def _lines(standing: Standing) -> Iterator[tuple[str, ...]]:
    """For each policy what it lets through, at once, what is left, the bar, and when it is as new."""
    if standing.limit.is_denied:
        yield "[red]nothing[/]", "0", "0", "", "-"
    elif not standing.limit.policies:
        yield "unlimited", "-", "-", "", "-"
    for policy, stands in _paired(standing):
        rate = _rate(policy) if policy.is_enforced else f"{_rate(policy)} [dim](observed)[/]"
        if stands is None:
            yield rate, str(policy.burst), "?", "", "?"
            continue
        after = timedelta(seconds=-(-stands.resets_after // timedelta(seconds=1)))
        used = bar(_used(stands), is_full=not stands.remaining)
        yield rate, str(policy.burst), str(stands.remaining), used, str(after)


def _rate(policy: Policy) -> str:
    if policy.algorithm is Algorithm.CONCURRENCY:
        return f"{policy.quota} at once"
    return f"{policy.quota}/{format_duration(policy.window).removeprefix('1 ')}"


def _used(stands: PolicyStanding) -> Decimal:
    return Decimal(stands.burst - stands.remaining) / stands.burst
