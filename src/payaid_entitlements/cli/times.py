"""Times on the command line: taken in with a zone or not at all, shown in the tenant's zone and in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import typer

from payaid_entitlements.core.instant import Instant, moment
from payaid_entitlements.core.interval import parse_duration
from payaid_entitlements.errors import ConfigurationError

_SHORT = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_time(text: str) -> datetime:
    """
    Read a time such as ``2026-11-22T03:12+05:30`` or ``2026-11-22T03:12Z``.

    Raises:
        BadParameter: It is none, or has no zone and so names no moment.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time; write 2026-11-22T03:12+05:30 or 2026-11-22T03:12Z") from None
    if at.utcoffset() is None:
        whole = text if len(text) > len("2026-11-22") else f"{text}T00:00"
        raise typer.BadParameter(f"{text!r} has no time zone, so it names no moment; add Z or an offset: {whole}+05:30")
    return at


def parse_length(text: str) -> timedelta:
    """
    Read a length of time such as ``24h``, ``7d`` or ``90 minutes``.

    Raises:
        BadParameter: It is none.
    """
    number = text.strip()
    if number[-1:] in _SHORT and number[:-1].replace(".", "", 1).isdigit():
        number = f"{number[:-1]} {_SHORT[number[-1]]}"
    try:
        length = parse_duration(number)
    except ConfigurationError:
        raise typer.BadParameter(f"{text!r} is no length of time; write 30m, 24h, 7d or '90 minutes'") from None
    if not length:
        raise typer.BadParameter("a length of time is more than 0")
    return timedelta(microseconds=length)


def shown(at: Instant | datetime, zone: ZoneInfo) -> str:
    """Write *at* in *zone* and in UTC: ``23 Nov 2026 09:40 IST (04:10 UTC)``."""
    here = (moment(at) if isinstance(at, int) else at).astimezone(UTC)
    try:
        there = here.astimezone(zone)
    except OverflowError:  # the last hours of the year 9999, or the first ones of the year 1
        there = here
    text = f"{there:%d %b %Y %H:%M}{_odd_seconds(there)} {there:%Z}"
    if there.utcoffset() == timedelta(0):
        return text
    day = "" if there.date() == here.date() else f"{here:%d %b} "
    return f"{text} ({day}{here:%H:%M}{_odd_seconds(here)} UTC)"


def stamp(at: Instant | datetime | None) -> str | None:
    """Write *at* for a program: ISO 8601 in UTC; None for None."""
    if at is None:
        return None
    return (moment(at) if isinstance(at, int) else at).astimezone(UTC).isoformat()


def _odd_seconds(at: datetime) -> str:
    return f":{at:%S}" if at.second else ""
