"""
Periods: the one place where months are added and time zones applied.

Expiries, recurrences and usage windows all ask here, so they cannot disagree about the length of
February. A boundary is always counted from the first one, in local calendar time, never from the boundary
before it: the day of the month survives a short month.

Two oddities of local time are settled once: a local time that a clock change skips moves to the next
instant that exists; one that occurs twice is the first.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, timedelta
from difflib import get_close_matches
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from payaid_entitlements.core.instant import DAY, EARLIEST, LATEST, MICROSECONDS, Instant, instant, moment
from payaid_entitlements.core.interval import Interval, Unit, format_duration, parse_duration, parse_interval
from payaid_entitlements.errors import ConfigurationError

__all__ = [
    "HORIZON",
    "Interval",
    "Unit",
    "Window",
    "Zones",
    "add",
    "calendar_window",
    "format_duration",
    "parse_duration",
    "parse_interval",
    "window",
    "zone",
]


@dataclass(frozen=True, slots=True)
class Window:
    """
    A stretch of time, half-open: *start* is inside, *end* is the start of the next one.

    Attributes:
        start: First instant inside.
        end: First instant after it.
    """

    start: Instant
    end: Instant

    def __contains__(self, at: Instant) -> bool:
        return self.start <= at < self.end


#: One zone, or all zones that were ever in force, each with the instant since when, oldest first.
#: The first of them also holds before its instant.
Zones: TypeAlias = ZoneInfo | Sequence[tuple[Instant, ZoneInfo]]

#: The instants that have a window. A day less than datetimes have at either end, as local time may be
#: almost a day from UTC. Boundaries that would fall outside are moved to its ends.
HORIZON: Final = Window(EARLIEST + DAY, LATEST + 1 - DAY)

# Where calendar windows are counted from: a Monday that begins a week, a month and a year. Do not change
# it: windows of several days, weeks, months or years would begin elsewhere and usage would start anew.
# Pinned by test_calendar_windows_of_several_units_are_counted_from_2001.
_CALENDAR: Final = datetime(2001, 1, 1)  # noqa: DTZ001 - local time of whatever zone is asked about

_BEFORE_ALL: Final = EARLIEST  # smaller than the number of any window

_NO_PLACE: Final = frozenset({"Factory", "localtime", "posixrules"})

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def window(anchor: Instant, every: Interval, zone: Zones, at: Instant) -> Window:
    """
    Find the usage window that contains *at*.

    Pure. Boundaries are counted from the original *anchor*, never from the last boundary, and clamped to
    the month's end: 31 January, 28 February, 31 March; 29 February, 28 February a year later.

    When the zone changes, the window that is running ends where it would have ended in the old zone, and
    the next one starts there: no hole, no overlap, and never a window more. It ends at the same time of
    day and day of the month as before, now in the new zone. A change at the boundary holds at once.

    Args:
        anchor: Start of the first window.
        every: Length of a window. Days and longer are steps of the local calendar; minutes and hours are
            counted as they elapse, in every zone.
        zone: Where it is midnight. Of several, the one in force at *anchor* says what time of day and day
            of the month the anchor is, so do not leave that one out; later ones are changes.
        at: Any instant of `HORIZON`; before *anchor* counts backwards.

    Returns:
        The half-open window with ``start <= at < end``.

    Raises:
        ConfigurationError: *anchor* or *at* is outside of `HORIZON`; *zone* is empty or out of order.
    """
    _require_inside(anchor, at)
    if every.elapsed:
        return _elapsed_window(anchor, every, at)
    first, changes = _zones_from(anchor, zone)
    return _calendar_steps(_local(anchor, first), every, first, changes, at)


def calendar_window(every: Interval, zone: Zones, at: Instant) -> Window:
    """
    Find the window of the calendar that contains *at*: the local day, week, month or year.

    Weeks begin on Monday. Several units ("3 months") are counted from Monday, 1 January 2001, local time,
    so 3 months are the quarters. Minutes and hours are counted from the start of that day in UTC.

    Args:
        every: Length of a window.
        zone: Where it is midnight; a change of zone has the meaning that it has in `window`.
        at: Any instant of `HORIZON`.

    Returns:
        The half-open window with ``start <= at < end``.

    Raises:
        ConfigurationError: *at* is outside of `HORIZON`; *zone* is empty or out of order.
    """
    _require_inside(at)
    if every.elapsed:
        return _elapsed_window(instant(_CALENDAR.replace(tzinfo=UTC)), every, at)
    first, changes = _zones_from(HORIZON.start, zone)
    return _calendar_steps(_CALENDAR, every, first, changes, at)


def add(anchor: Instant, interval: Interval, count: int, zone: ZoneInfo) -> Instant:
    """
    Find the boundary that is *count* intervals after *anchor*; expiries and recurrences alike.

    The n-th boundary of `window`, by the same rules: ``add(anchor, month, 1, zone)`` is where the first
    monthly window ends and where a grant for a month expires.

    Args:
        anchor: Boundary 0.
        interval: One step.
        count: How many steps; negative ones go back, 0 is *anchor* itself.
        zone: Where it is midnight.

    Returns:
        The boundary; beyond `HORIZON` the end of it.

    Raises:
        ConfigurationError: *anchor* is outside of `HORIZON`.
    """
    _require_inside(anchor)
    if interval.elapsed:
        return _clamped(anchor + count * interval.elapsed)
    return _boundary(_local(anchor, zone), interval, zone, count)


def zone(name: str) -> ZoneInfo:
    """
    Find a time zone by its IANA name, such as ``Asia/Kolkata``.

    Args:
        name: As in the IANA database; case counts. What depends on the machine (``localtime``) or counts
            leap seconds (``right/...``) is refused: the same tenant must have the same midnight everywhere.

    Raises:
        TypeError: *name* is not text.
        ConfigurationError: There is no such zone; the message has the nearest name.
    """
    if not isinstance(name, str):
        raise TypeError(f"a time zone is named by text such as 'Asia/Kolkata', not by {name!r}")
    if name not in _NO_PLACE and not name.startswith(("posix/", "right/")):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass  # not found, or not even a possible name: the message is the same
    raise ConfigurationError(_unknown_zone(name))


def _unknown_zone(name: str) -> str:
    known = {each.lower(): each for each in available_timezones() - _NO_PLACE}
    if not known:
        return f"time zone {name!r} is not known: this machine has no time zone database; pip install tzdata"
    near = get_close_matches(name.lower(), known, 1)
    hint = f"did you mean {known[near[0]]!r}?" if near else "use an IANA name such as 'Asia/Kolkata' or 'UTC'"
    return f"time zone {name!r} is not known; {hint}"


def _require_inside(*instants: Instant) -> None:
    for at in instants:
        if at not in HORIZON:
            raise ConfigurationError(
                f"{at} microseconds since 1970 is not between {moment(HORIZON.start)} "
                f"and {moment(HORIZON.end)}; leave out what never happens"
            )


def _zones_from(at: Instant, zones: Zones) -> tuple[ZoneInfo, Sequence[tuple[Instant, ZoneInfo]]]:
    """Find the zone in force at *at*, and the changes after it."""
    if isinstance(zones, ZoneInfo):
        return zones, ()
    starts = [since for since, _ in zones]
    if not starts or starts != sorted(starts):
        raise ConfigurationError("zones are at least one, each with the instant since when, oldest first")
    current = max(bisect_right(starts, at) - 1, 0)
    return zones[current][1], zones[current + 1 :]


def _elapsed_window(anchor: Instant, every: Interval, at: Instant) -> Window:
    start = at - (at - anchor) % every.elapsed
    return Window(_clamped(start), _clamped(start + every.elapsed))


def _calendar_steps(
    wall: datetime, every: Interval, zone: ZoneInfo, changes: Sequence[tuple[Instant, ZoneInfo]], at: Instant
) -> Window:
    """
    Find the window around *at* when boundary n is n steps from the local time *wall*.

    The zone in force when a window starts decides when it ends. Windows keep their number across a change,
    so that the piece between an end in the old zone and the same end in the new one is not a window of its
    own, with an allowance of its own; it belongs to the next.
    """
    last, ended = _BEFORE_ALL, HORIZON.start  # number and end of the last window of the zones before
    for since, changed in changes:
        if since > at:
            break
        if since > ended:
            number, running = _numbered_window(wall, every, zone, since - 1, last, ended)
            if at in running:
                return running
            last, ended = number, running.end
        zone = changed
    return _numbered_window(wall, every, zone, at, last, ended)[1]


def _numbered_window(
    wall: datetime, every: Interval, zone: ZoneInfo, at: Instant, last: int, ended: Instant
) -> tuple[int, Window]:
    """Find the window around *at*, and its number, among those that follow window *last*."""
    local = _local(at, zone)
    if every.months:
        number = ((local.year - wall.year) * 12 + local.month - wall.month) // every.months
    else:
        number = (local.toordinal() - wall.toordinal()) // every.days
    # A step at most is left: the boundary may come later in this very month or day, and a clock that is put
    # back over midnight shows the day before once more when the boundary has been.
    start, end = _boundary(wall, every, zone, number), _boundary(wall, every, zone, number + 1)
    while start > at:
        number -= 1
        start, end = _boundary(wall, every, zone, number), start
    while end <= at:
        number += 1
        start, end = end, _boundary(wall, every, zone, number + 1)
    if number > last + 1:
        return number, Window(max(start, ended), end)
    return last + 1, Window(ended, _boundary(wall, every, zone, last + 2))


def _boundary(wall: datetime, every: Interval, zone: ZoneInfo, number: int) -> Instant:
    """Count *number* steps from *wall* in the local calendar, and find when it is that time in *zone*."""
    if not number:
        return _first_occurrence(wall, zone)  # keeps the fold: an anchor may be the second of two
    if every.months:
        year, month = divmod(wall.year * 12 + wall.month - 1 + number * every.months, 12)
        if not MINYEAR <= year <= MAXYEAR:
            return HORIZON.start if number < 0 else HORIZON.end
        day = min(wall.day, monthrange(year, month + 1)[1])
        return _first_occurrence(wall.replace(year, month + 1, day, fold=0), zone)
    ordinal = wall.toordinal() + number * every.days
    if not 1 <= ordinal <= date.max.toordinal():
        return HORIZON.start if number < 0 else HORIZON.end
    return _first_occurrence(datetime.combine(date.fromordinal(ordinal), wall.time().replace(fold=0)), zone)


def _first_occurrence(wall: datetime, zone: ZoneInfo) -> Instant:
    """
    Find when clocks in *zone* first show *wall*, or else the first instant after it.

    A *wall* with ``fold=1`` is the second occurrence, where there are two.
    """
    first = _since_epoch(wall.replace(tzinfo=zone, fold=0))
    second = _since_epoch(wall.replace(tzinfo=zone, fold=1))
    if first <= second:
        return _clamped(second if wall.fold else first)
    # The clock skips *wall*: by the offset before the change it is later than by the one after it, as
    # PEP 495 has it, and the change lies between. Find the first second that shows a later time.
    before, after = second // MICROSECONDS, first // MICROSECONDS
    seconds = range(before, after)
    return (before + bisect_left(seconds, wall, key=lambda s: _local(s * MICROSECONDS, zone))) * MICROSECONDS


def _since_epoch(here: datetime) -> Instant:
    # Not `instant`: near the horizon the zone's offset may lead out of the years that a datetime has.
    return (here - _EPOCH) // _MICROSECOND


def _local(at: Instant, zone: ZoneInfo) -> datetime:
    """Show what clocks in *zone* show, without the zone."""
    return moment(at).astimezone(zone).replace(tzinfo=None)


def _clamped(at: Instant) -> Instant:
    return min(max(at, HORIZON.start), HORIZON.end)
