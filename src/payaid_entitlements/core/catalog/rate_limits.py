"""Rate limits as the catalog defines them: each on its own, then what counts toward what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payaid_entitlements.core.catalog.model import RateLimit
from payaid_entitlements.core.catalog.quantities import duration, rates
from payaid_entitlements.core.ratelimit.policy import MOST_UNITS, Algorithm
from payaid_entitlements.core.ratelimit.rates import fitting
from payaid_entitlements.core.written.circles import cycles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payaid_entitlements.core.catalog import written
    from payaid_entitlements.core.written.problems import Path
    from payaid_entitlements.core.written.reading import Reading


def read_rate_limits(document: written.WrittenCatalog, reading: Reading) -> dict[str, RateLimit]:
    """Read all of them; one whose default means nothing is left out, and what names it is not wrong for that."""
    limits: dict[str, RateLimit] = {}
    for key, read in document.rate_limits.items():
        limit = _rate_limit(key, read, reading)
        if limit is None:
            reading.left_out |= {("rate_limits", key)}
        else:
            limits[key] = limit
    _check_references(limits, reading)
    return limits


def _rate_limit(key: str, read: written.WrittenRateLimit, reading: Reading) -> RateLimit | None:
    who, path = f"rate limit {key!r}", ("rate_limits", key)
    default = reading.take((*path, "default"), who, rates, read.default)
    if default is None:
        return None
    is_at_once = any(rate.window is None for rate in default) or (not default and read.held is not None)
    held = None if read.held is None else reading.take((*path, "held"), who, duration, read.held)
    if held is not None and not is_at_once:
        _wrong(who, "is `held` by nobody, as it limits calls in a window", (*path, "held"), reading)
    if is_at_once:
        for name in ("algorithm", "burst", "lease", "counts_toward"):
            if name in read.model_fields_set:
                _wrong(who, f"limits what runs at once, so it has no `{name}`", (*path, name), reading)
    elif read.burst is not None and read.algorithm != "gcra":
        _wrong(who, f"has a `burst`, which {read.algorithm} does not know", (*path, "burst"), reading)
    for name, units in (("burst", read.burst), ("lease", read.lease)):
        if units is not None and units > MOST_UNITS:
            _wrong(who, f"has a `{name}` of more than can be counted: {MOST_UNITS:,}", (*path, name), reading)
            return None
    limit = RateLimit(
        key=key,
        per=read.per,
        default=default,
        burst=read.burst,
        on_outage=read.on_outage,
        algorithm=Algorithm.CONCURRENCY if is_at_once else Algorithm(read.algorithm),
        held=held or RateLimit("", "tenant", ()).held,
        counts_toward=tuple(read.counts_toward),
        is_observed=read.observe,
        lease=read.lease,
    )
    return None if reading.take((*path, "default"), who, fitting, limit, default) is None else limit


def _wrong(who: str, what: str, path: Path, reading: Reading) -> None:
    reading.findings.add("rate_limit.misfit", f"{who} {what}; remove it", path)


def _check_references(limits: Mapping[str, RateLimit], reading: Reading) -> None:
    for key, limit in limits.items():
        who = f"rate limit {key!r}"
        for index, name in enumerate(limit.counts_toward):
            path: Path = ("rate_limits", key, "counts_toward", index)
            if not reading.names(name, limits, "rate limit", who, path):
                continue
            toward = limits[name]
            if toward.is_at_once:
                _wrong(who, f"counts toward {name!r}, which limits what runs at once", path, reading)
            elif toward.per != limit.per and (limit.per, toward.per) != ("user", "tenant"):
                message = (
                    f"{who} is per {limit.per} and counts toward {name!r}, which is per {toward.per}: a call of the "
                    f"one does not say whose call of the other it is; make both per {limit.per}"
                )
                reading.findings.add("rate_limit.misfit", message, path)
            elif name in limit.counts_toward[:index]:
                message = f"{who} counts toward {name!r} twice; once is enough"
                reading.findings.add("entry.twice", message, path, fatal=False)
    for circle in cycles({key: limit.counts_toward for key, limit in limits.items()}):
        message = f"rate limit {' counts toward '.join(map(repr, (*circle, circle[0])))}: remove one of these"
        reading.findings.add("rate_limit.cycle", message, ("rate_limits", circle[0], "counts_toward"))
