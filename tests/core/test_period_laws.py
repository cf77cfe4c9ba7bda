"""
Periods, law by law: what holds for all anchors, intervals, zones and instants.

The instants are drawn around clock changes on purpose, where arithmetic with local time goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.instant import DAY, HOUR, MINUTE, Instant, instant, moment
from payaid_entitlements.core.period import (
    HORIZON,
    Interval,
    Unit,
    Window,
    Zones,
    add,
    calendar_window,
    window,
)

# Each with the UTC time of a clock change, or of a turn of the month where clocks never change.
CHANGES = {
    "Africa/Cairo": ("2025-04-24T22:00", "2025-10-30T21:00"),
    "Africa/Casablanca": ("2025-02-23T02:00", "2025-04-06T02:00"),
    "America/Havana": ("2025-03-09T05:00", "2025-11-02T05:00"),
    "America/New_York": ("2025-03-09T07:00", "2025-11-02T06:00"),
    "America/Sao_Paulo": ("2018-02-18T02:00", "2018-11-04T03:00"),
    "America/St_Johns": ("2006-04-02T03:31", "2006-10-29T02:31"),
    "Asia/Beirut": ("2025-03-29T22:00", "2025-10-25T21:00"),
    "Asia/Kolkata": ("2024-02-28T18:30", "2025-12-31T18:30"),
    "Asia/Pyongyang": ("2015-08-14T15:00", "2018-05-04T15:00"),
    "Atlantic/Azores": ("2025-03-30T01:00", "2025-10-26T01:00"),
    "Australia/Lord_Howe": ("2025-04-05T15:00", "2025-10-04T15:30"),
    "Europe/London": ("2024-03-31T01:00", "2024-10-27T01:00"),
    "Pacific/Apia": ("2011-12-30T10:00", "2012-03-31T14:00"),
    "Pacific/Kiritimati": ("1994-12-31T10:00", "2024-02-29T10:00"),
    "UTC": ("2024-02-29T00:00", "2026-03-01T00:00"),
}
ALL_CHANGES = sorted(
    instant(datetime.fromisoformat(text).replace(tzinfo=UTC)) for pair in CHANGES.values() for text in pair
)

zones = st.sampled_from(sorted(CHANGES)).map(ZoneInfo)
nudges = st.sampled_from([0, 1, -1, MINUTE, -MINUTE, 30 * MINUTE, -30 * MINUTE, HOUR, -HOUR, HOUR - 1])
days_off = st.integers(-40, 40).map(lambda days: days * DAY)
near_changes = st.builds(
    lambda change, nudge, days, hours: change + nudge + days + hours * HOUR,
    st.sampled_from(ALL_CHANGES),
    nudges,
    days_off,
    st.integers(-26, 26),
)
modern = st.integers(instant(datetime(1995, 1, 1, tzinfo=UTC)), instant(datetime(2034, 12, 31, tzinfo=UTC)))
month_ends = st.builds(
    lambda year, month, day, where: instant(datetime(year, month, 28, 23, 30, tzinfo=where) + timedelta(days=day)),
    st.integers(1996, 2032),
    st.integers(1, 12),
    st.integers(0, 3),
    zones,
)
instants = near_changes | month_ends | modern
calendar_intervals = st.builds(
    Interval,
    st.integers(1, 3) | st.sampled_from([5, 7, 12, 30, 90]),
    st.sampled_from([Unit.DAY, Unit.WEEK, Unit.MONTH, Unit.YEAR]),
)
intervals = calendar_intervals | st.builds(Interval, st.integers(1, 100), st.sampled_from([Unit.MINUTE, Unit.HOUR]))
histories = st.lists(st.tuples(instants, zones), min_size=1, max_size=5).map(
    lambda history: sorted(history, key=lambda entry: entry[0])
)


def agree(found: Window, at: Instant, find: Callable[[Instant], Window]) -> None:
    assert found.start <= at < found.end
    # Whoever asks at another instant of the window has the same answer, and only they have it.
    assert find(found.start) == found
    assert find((found.start + found.end) // 2) == found
    assert find(found.end - 1) == found
    assert find(found.end).start == found.end
    assert find(found.start - 1).end == found.start


@settings(max_examples=400)
@given(instants, intervals, zones, instants)
def test_each_instant_lies_in_exactly_one_window(anchor, every, where, at):
    """Windows by anchor cover all time, without a gap and without an overlap."""
    agree(window(anchor, every, where, at), at, lambda when: window(anchor, every, where, when))


@settings(max_examples=400)
@given(intervals, zones, instants)
def test_each_instant_lies_in_exactly_one_calendar_window(every, where, at):
    """Windows by calendar cover all time, without a gap and without an overlap."""
    agree(calendar_window(every, where, at), at, lambda when: calendar_window(every, where, when))


@settings(max_examples=400)
@given(instants, intervals, histories, instants)
def test_each_instant_lies_in_exactly_one_window_when_zones_change(anchor, every, history, at):
    """Moving to and fro over the world opens no gap and makes no overlap."""
    agree(window(anchor, every, history, at), at, lambda when: window(anchor, every, history, when))
    agree(calendar_window(every, history, at), at, lambda when: calendar_window(every, history, when))


@given(instants, intervals, zones | histories, instants, instants)
def test_a_later_instant_has_the_same_window_or_a_later_one(anchor, every, where, one, other):
    """Windows are in the order of time."""
    earlier, later = sorted((one, other))
    first, second = window(anchor, every, where, earlier), window(anchor, every, where, later)

    assert first == second or first.end <= second.start


@given(instants, intervals, zones | histories)
def test_the_anchor_starts_a_window(anchor, every, where):
    """The first window is a full one, in any zone, even from the second of two equal hours."""
    assert window(anchor, every, where, anchor).start == anchor


@given(instants, intervals, zones, zones, instants, instants)
def test_a_change_of_zone_touches_nothing_before_the_end_of_its_window(anchor, every, old, new, change, at):
    """What has begun ends as announced."""
    changed = window(anchor, every, [(anchor, old), (max(change, anchor + 1), new)], at)
    unchanged = window(anchor, every, old, at)

    if at <= max(change, anchor + 1) - 1 or unchanged.start < change < unchanged.end:
        assert changed == unchanged


@given(instants, calendar_intervals, zones, histories, st.integers(1, 400).map(lambda days: days * DAY))
def test_changes_of_zone_never_make_a_window_more(anchor, every, where, history, span):
    """Nobody gains an allowance by moving: over any time there are as many windows, give or take the ends."""

    def count(zone: Zones) -> int:
        windows, at = 0, anchor
        while at < anchor + span:
            at, windows = window(anchor, every, zone, at).end, windows + 1
        return windows

    # Two zones disagree for 26 hours at most about what day it is, and some of it is at the very end.
    assert count([(anchor, where), *(entry for entry in history if entry[0] > anchor)]) <= (
        count(where) + (2 if every.days else 1)
    )


@given(instants, st.integers(1, 30), st.sampled_from([Unit.MONTH, Unit.YEAR]), zones, st.integers(-300, 300))
def test_a_boundary_falls_on_the_day_of_the_anchor_or_on_the_last_of_the_month(anchor, count, unit, where, number):
    """The day of the month is lost only where a month does not have it, or a clock change skips the time."""
    boundary = add(anchor, Interval(count, unit), number, where)
    if boundary not in Window(HORIZON.start + DAY, HORIZON.end - DAY):
        return
    first, there = (moment(each).astimezone(where) for each in (anchor, boundary))
    last = (date(there.year + there.month // 12, there.month % 12 + 1, 1) - timedelta(days=1)).day

    if there.replace(tzinfo=None, fold=0).time() == first.replace(tzinfo=None, fold=0).time():
        skipped_day = where.key == "Pacific/Apia" and there.date() == date(2011, 12, 31)
        assert there.day == min(first.day, last) or skipped_day
    else:
        # Only a hole moves a boundary: a moment before, the clock had not reached the time of the anchor.
        before = moment(boundary - 1).astimezone(where)
        assert before.utcoffset() != there.utcoffset()
    assert (there.year * 12 + there.month) - (first.year * 12 + first.month) == number * Interval(count, unit).months


@given(instants, intervals, zones, st.integers(-50, 50))
def test_boundaries_are_the_ends_of_windows(anchor, every, where, number):
    """`add` and `window` are one function: what expires after n intervals expires with a window."""
    boundary, following = (add(anchor, every, n, where) for n in (number, number + 1))

    assert boundary <= following
    if boundary < following:
        assert window(anchor, every, where, boundary) == Window(boundary, following)


# --- the same thing, slowly --------------------------------------------------


def slow_window(anchor: Instant, every: Interval, where: ZoneInfo, at: Instant) -> Window:
    """Walk from the anchor boundary by boundary, with naive datetimes and no arithmetic of our own."""
    start, step = anchor, 1 if at >= anchor else -1
    number = 0
    while True:
        number += step
        boundary = slow_boundary(anchor, every, where, number)
        if step > 0 and boundary > at:
            return Window(start, boundary)
        if step < 0 and boundary <= at:
            return Window(boundary, start)
        start = boundary


def slow_boundary(anchor: Instant, every: Interval, where: ZoneInfo, number: int) -> Instant:
    wall = moment(anchor).astimezone(where).replace(tzinfo=None, fold=0)
    size = every.count * abs(number)
    if every.unit in (Unit.DAY, Unit.WEEK):
        for _ in range(size * (7 if every.unit is Unit.WEEK else 1)):
            wall += timedelta(days=1 if number > 0 else -1)
        return slow_instant(wall, where)
    year, month, day = wall.year, wall.month, wall.day
    for _ in range(size * (12 if every.unit is Unit.YEAR else 1)):
        month += 1 if number > 0 else -1
        if month == 13:
            year, month = year + 1, 1
        if month == 0:
            year, month = year - 1, 12
    while True:
        try:
            return slow_instant(wall.replace(year, month, day), where)
        except ValueError:
            day -= 1


def slow_instant(wall: datetime, where: ZoneInfo) -> Instant:
    """Ask every quarter of an hour around *wall* for its offset; where none fits, look minute by minute."""
    around = wall.replace(tzinfo=UTC) - timedelta(hours=26)
    offsets = {(around + timedelta(minutes=15 * quarter)).astimezone(where).utcoffset() for quarter in range(208)}
    fitting = [
        utc
        for utc in (wall.replace(tzinfo=UTC) - offset for offset in offsets if offset is not None)
        if utc.astimezone(where).replace(tzinfo=None, fold=0) == wall
    ]
    if fitting:
        return instant(min(fitting))
    minute = around.replace(second=0, microsecond=0)
    while minute.astimezone(where).replace(tzinfo=None) < wall:
        minute += timedelta(minutes=1)
    return instant(minute)


@settings(max_examples=250, deadline=None)
@given(
    near_changes | month_ends,
    st.builds(Interval, st.integers(1, 14), st.sampled_from([Unit.DAY, Unit.WEEK, Unit.MONTH, Unit.YEAR])),
    zones,
    st.integers(-30, 30).map(lambda days: days * DAY),
    st.sampled_from(ALL_CHANGES) | st.none(),
)
@example(ALL_CHANGES[0], Interval(1, Unit.DAY), ZoneInfo("Pacific/Apia"), 0, None)
def test_windows_are_what_walking_from_the_anchor_finds(anchor, every, where, distance, change):
    """The index that is computed is the one that counting finds."""
    at = anchor + distance
    if change is not None and abs(change - anchor) < 500 * DAY:
        at = change + distance // 48
    if every.months:
        at = anchor + (at - anchor) * 12

    assert window(anchor, every, where, at) == slow_window(anchor, every, where, at)


@settings(max_examples=250, deadline=None)
@given(zones.flatmap(lambda z: st.tuples(st.just(z), st.sampled_from(CHANGES[z.key]))), nudges, days_off)
def test_calendar_days_are_what_walking_from_the_day_before_finds(change, nudge, days):
    """Around a change of the clock a day runs from its first instant to the first of the next."""
    where, text = change
    at = instant(datetime.fromisoformat(text).replace(tzinfo=UTC)) + nudge + days // 20
    wall = moment(at).astimezone(where).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None, fold=0)
    midnights = [slow_instant(wall + timedelta(days=day), where) for day in range(-2, 4)]

    start = max(midnight for midnight in midnights if midnight <= at)
    end = min(midnight for midnight in midnights if midnight > at)

    assert calendar_window(Interval(1, Unit.DAY), where, at) == Window(start, end)
