"""
Periods, case by case. ``test_edge_NN`` are the edge cases of time, by the number that the docs give them.

The laws that hold for all instants are in test_period_laws.py.
"""

from __future__ import annotations

import sys
import zoneinfo
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from payaid_entitlements.core.instant import DAY, HOUR, MINUTE, Instant, instant, moment
from payaid_entitlements.core.period import (
    HORIZON,
    Window,
    add,
    calendar_window,
    parse_interval,
    window,
    zone,
)
from payaid_entitlements.errors import ConfigurationError

KOLKATA = ZoneInfo("Asia/Kolkata")
NEW_YORK = ZoneInfo("America/New_York")
Z = ZoneInfo("UTC")


def at(text: str, where: ZoneInfo = Z, fold: int = 0) -> Instant:
    return instant(datetime.fromisoformat(text).replace(tzinfo=where, fold=fold))


def local(when: Instant, where: ZoneInfo = Z) -> str:
    return moment(when).astimezone(where).isoformat(timespec="minutes")


def shown(found: Window, where: ZoneInfo = Z) -> tuple[str, str]:
    return local(found.start, where), local(found.end, where)


def boundaries(anchor: Instant, every: str, where: ZoneInfo, count: int) -> list[str]:
    """Walk forward from *anchor*, each window found at the end of the one before."""
    found = [window(anchor, parse_interval(every), where, anchor)]
    while len(found) < count:
        found.append(window(anchor, parse_interval(every), where, found[-1].end))
    return [local(each.start, where) for each in found]


# --- 1 to 3: the calendar ----------------------------------------------------


@pytest.mark.parametrize(
    ("anchor", "days"),
    [
        ("2025-01-31", "01-31 02-28 03-31 04-30 05-31 06-30 07-31 08-31 09-30 10-31 11-30 12-31 01-31 02-28"),
        ("2024-01-31", "01-31 02-29 03-31 04-30 05-31 06-30 07-31 08-31 09-30 10-31 11-30 12-31 01-31 02-28"),
        ("2023-12-30", "12-30 01-30 02-29 03-30 04-30"),
        ("2025-01-29", "01-29 02-28 03-29 04-29"),
        ("2024-02-29", "02-29 03-29 04-29 05-29"),
        ("2025-02-28", "02-28 03-28 04-28"),
        ("2025-11-01", "11-01 12-01 01-01 02-01"),
    ],
)
def test_edge_01_a_day_that_a_month_lacks_is_its_last_day_and_comes_back(anchor, days):
    """31 January, 28 or 29 February, 31 March: always from the original anchor."""
    starts = boundaries(at(anchor, KOLKATA), "month", KOLKATA, len(days.split()))

    assert [start[5:10] for start in starts] == days.split()
    assert {start[10:] for start in starts} == {"T00:00+05:30"}


def test_edge_01_several_months_are_clamped_from_the_anchor_too():
    """Quarters from 30 November: the last day of February, then the 30th again."""
    starts = boundaries(at("2025-11-30T09:30", KOLKATA), "3 months", KOLKATA, 5)

    assert [start[:16] for start in starts] == [
        "2025-11-30T09:30",
        "2026-02-28T09:30",
        "2026-05-30T09:30",
        "2026-08-30T09:30",
        "2026-11-30T09:30",
    ]


@pytest.mark.parametrize(
    ("when", "start", "end"),
    [
        ("2026-02-28T09:29:59.999999", "2026-01-31", "2026-02-28"),
        ("2026-02-28T09:30", "2026-02-28", "2026-03-31"),
        ("2026-03-30T23:59", "2026-02-28", "2026-03-31"),
        ("2026-03-31T09:29", "2026-02-28", "2026-03-31"),
        ("2026-03-31T09:30", "2026-03-31", "2026-04-30"),
        ("2031-02-28T12:00", "2031-02-28", "2031-03-31"),
        ("2025-01-30T12:00", "2024-12-31", "2025-01-31"),
        ("2024-02-29T12:00", "2024-02-29", "2024-03-31"),
    ],
)
def test_edge_01_the_window_of_any_instant_is_found_directly(when, start, end):
    """Also far from the anchor, and before it."""
    found = window(at("2025-01-31T09:30", KOLKATA), parse_interval("month"), KOLKATA, at(when, KOLKATA))

    assert shown(found, KOLKATA) == (f"{start}T09:30+05:30", f"{end}T09:30+05:30")


@pytest.mark.parametrize("every", ["minute", "5 hours", "day", "2 weeks", "month", "year"])
@pytest.mark.parametrize("anchor", ["2024-01-31T22:15", "2024-02-29T00:00", "2025-03-01T02:30"])
def test_edge_02_expiry_and_recurrence_agree(every, anchor):
    """A grant for n intervals expires exactly where the n-th window ends."""
    start, step = at(anchor, NEW_YORK), parse_interval(every)
    running = window(start, step, NEW_YORK, start)

    assert add(start, step, 0, NEW_YORK) == running.start == start
    for count in range(1, 40):
        assert add(start, step, count, NEW_YORK) == running.end
        running = window(start, step, NEW_YORK, running.end)


@pytest.mark.parametrize(
    ("anchor", "interval", "count", "boundary"),
    [
        ("2025-01-31T10:00", "month", 1, "2025-02-28T10:00"),
        ("2025-01-31T10:00", "month", 2, "2025-03-31T10:00"),
        ("2025-01-31T10:00", "2 months", -1, "2024-11-30T10:00"),
        ("2025-01-31T10:00", "month", -11, "2024-02-29T10:00"),
        ("2025-12-31T10:00", "month", 12, "2026-12-31T10:00"),
        ("2025-12-31T10:00", "90 days", 1, "2026-03-31T10:00"),
        ("2025-12-31T10:00", "week", -2, "2025-12-17T10:00"),
        ("2025-12-31T10:00", "90 minutes", 3, "2025-12-31T14:30"),
        ("2025-12-31T10:00", "hour", -11, "2025-12-30T23:00"),
    ],
)
def test_edge_02_boundaries_are_counted_both_ways(anchor, interval, count, boundary):
    """The n-th boundary is n steps from the anchor, never n times one step."""
    found = add(at(anchor, KOLKATA), parse_interval(interval), count, KOLKATA)

    assert found == at(boundary, KOLKATA)


def test_edge_03_a_leap_day_is_28_february_in_common_years_and_29_in_leap_years():
    """An anniversary on a leap day is never lost, and comes back."""
    starts = boundaries(at("2024-02-29T08:00", KOLKATA), "year", KOLKATA, 6)

    assert [start[:10] for start in starts] == [
        "2024-02-29",
        "2025-02-28",
        "2026-02-28",
        "2027-02-28",
        "2028-02-29",
        "2029-02-28",
    ]


@pytest.mark.parametrize(("count", "day"), [(-24, "2000-02-29"), (-124, "1900-02-28"), (76, "2100-02-28")])
def test_edge_03_only_leap_years_have_a_leap_day(count, day):
    """2000 was one; 1900 was none and 2100 will be none."""
    assert local(add(at("2024-02-29"), parse_interval("year"), count, Z))[:10] == day


# --- 4: local times that do not exist, or exist twice ------------------------


@pytest.mark.parametrize(
    ("name", "skipped", "instead"),
    [
        ("America/New_York", "2025-03-09T02:00", "2025-03-09T03:00-04:00"),
        ("America/New_York", "2025-03-09T02:30", "2025-03-09T03:00-04:00"),
        ("America/New_York", "2025-03-09T02:59:59.999999", "2025-03-09T03:00-04:00"),
        ("America/Sao_Paulo", "2018-11-04T00:00", "2018-11-04T01:00-02:00"),
        ("America/Sao_Paulo", "2018-11-04T00:59", "2018-11-04T01:00-02:00"),
        ("Asia/Beirut", "2025-03-30T00:00", "2025-03-30T01:00+03:00"),
        ("Africa/Cairo", "2025-04-25T00:00", "2025-04-25T01:00+03:00"),
        ("Australia/Lord_Howe", "2025-10-05T02:00", "2025-10-05T02:30+11:00"),
        ("Australia/Lord_Howe", "2025-10-05T02:29", "2025-10-05T02:30+11:00"),
        ("Pacific/Apia", "2011-12-30T00:00", "2011-12-31T00:00+14:00"),
        ("Pacific/Apia", "2011-12-30T10:00", "2011-12-31T00:00+14:00"),
    ],
)
def test_edge_04_a_local_time_that_is_skipped_is_the_next_instant_that_exists(name, skipped, instead):
    """A boundary in the hole of a clock change is the end of the hole, and the ones around it stay."""
    where = ZoneInfo(name)
    clock = datetime.fromisoformat(skipped)
    anchor = instant(clock.replace(month=1, day=1, tzinfo=where))
    count = clock.timetuple().tm_yday - 1

    assert local(add(anchor, parse_interval("day"), count, where), where) == instead
    assert add(anchor, parse_interval("day"), count + 2, where) == instant(
        datetime.fromordinal(clock.toordinal() + 2).replace(
            hour=clock.hour,
            minute=clock.minute,
            second=clock.second,
            microsecond=clock.microsecond,
            tzinfo=where,
        )
    )


@pytest.mark.parametrize(
    ("name", "repeated", "first"),
    [
        ("America/New_York", "2025-11-02T01:00", "2025-11-02T01:00-04:00"),
        ("America/New_York", "2025-11-02T01:30", "2025-11-02T01:30-04:00"),
        ("America/Sao_Paulo", "2018-02-17T23:30", "2018-02-17T23:30-02:00"),
        ("Asia/Beirut", "2025-10-25T23:15", "2025-10-25T23:15+03:00"),
        ("Africa/Cairo", "2025-10-30T23:59", "2025-10-30T23:59+03:00"),
        ("Australia/Lord_Howe", "2025-04-06T01:45", "2025-04-06T01:45+11:00"),
    ],
)
def test_edge_04_a_local_time_that_is_repeated_is_the_first(name, repeated, first):
    """What happens twice has happened when it has happened once."""
    where = ZoneInfo(name)
    clock = datetime.fromisoformat(repeated)
    anchor = instant(clock.replace(month=1, day=1, tzinfo=where))

    assert local(add(anchor, parse_interval("day"), clock.timetuple().tm_yday - 1, where), where) == first


@pytest.mark.parametrize(
    ("name", "day", "start", "end", "length"),
    [
        ("America/New_York", "2025-03-09", "2025-03-09T00:00-05:00", "2025-03-10T00:00-04:00", 23 * HOUR),
        ("America/New_York", "2025-11-02", "2025-11-02T00:00-04:00", "2025-11-03T00:00-05:00", 25 * HOUR),
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T01:00-02:00", "2018-11-05T00:00-02:00", 23 * HOUR),
        ("America/Sao_Paulo", "2018-02-17", "2018-02-17T00:00-02:00", "2018-02-18T00:00-03:00", 25 * HOUR),
        ("Asia/Beirut", "2025-03-30", "2025-03-30T01:00+03:00", "2025-03-31T00:00+03:00", 23 * HOUR),
        ("Asia/Beirut", "2025-10-25", "2025-10-25T00:00+03:00", "2025-10-26T00:00+02:00", 25 * HOUR),
        ("Africa/Cairo", "2025-04-25", "2025-04-25T01:00+03:00", "2025-04-26T00:00+03:00", 23 * HOUR),
        ("Africa/Cairo", "2025-10-30", "2025-10-30T00:00+03:00", "2025-10-31T00:00+02:00", 25 * HOUR),
        (
            "Australia/Lord_Howe",
            "2025-10-05",
            "2025-10-05T00:00+10:30",
            "2025-10-06T00:00+11:00",
            23 * HOUR + 30 * MINUTE,
        ),
        (
            "Australia/Lord_Howe",
            "2025-04-06",
            "2025-04-06T00:00+11:00",
            "2025-04-07T00:00+10:30",
            24 * HOUR + 30 * MINUTE,
        ),
        ("Pacific/Apia", "2011-12-29", "2011-12-29T00:00-10:00", "2011-12-31T00:00+14:00", DAY),
        ("Pacific/Apia", "2011-12-31", "2011-12-31T00:00+14:00", "2012-01-01T00:00+14:00", DAY),
    ],
)
def test_edge_04_a_day_is_as_long_as_it_is_there(name, day, start, end, length):
    """23, 25 or another number of hours; a day that is skipped is no window."""
    where = ZoneInfo(name)
    noon = at(f"{day}T12:00", where)

    found = calendar_window(parse_interval("day"), where, noon)

    assert shown(found, where) == (start, end)
    assert found.end - found.start == length
    assert calendar_window(parse_interval("day"), where, found.start) == found
    assert calendar_window(parse_interval("day"), where, found.end - 1) == found


@pytest.mark.parametrize("when", ["2006-10-29T02:30:30Z", "2006-10-29T02:31:00Z", "2006-10-29T03:30:00Z"])
def test_edge_04_a_day_that_began_does_not_begin_again_when_the_clock_is_put_back_over_midnight(when):
    """In St John's of 2006 the clock went from 00:01 back to 23:01 of the day before."""
    where = ZoneInfo("America/St_Johns")

    found = calendar_window(parse_interval("day"), where, at(when.removesuffix("Z")))

    assert shown(found, where) == ("2006-10-29T00:00-02:30", "2006-10-30T00:00-03:30")


def test_edge_04_an_anchor_in_the_second_of_two_equal_hours_is_the_start_of_its_window():
    """Who subscribes at the second 01:30 has a window from there; later ones begin at the first 01:30."""
    anchor = at("2025-11-02T01:30", NEW_YORK, fold=1)
    year = parse_interval("364 days")  # 1 November 2026, when clocks in New York are put back again

    first = window(anchor, year, NEW_YORK, anchor)

    assert shown(first, NEW_YORK) == ("2025-11-02T01:30-05:00", "2026-11-01T01:30-04:00")
    assert window(anchor, year, NEW_YORK, anchor - 1).end == anchor
    assert shown(window(anchor, parse_interval("12 months"), NEW_YORK, anchor), NEW_YORK) == (
        "2025-11-02T01:30-05:00",
        "2026-11-02T01:30-05:00",
    )
    # 2 November is the day of the change in 2031 too: a step of months keeps to the first one as well.
    assert local(add(anchor, parse_interval("year"), 6, NEW_YORK), NEW_YORK) == "2031-11-02T01:30-04:00"


def test_edge_04_hours_and_minutes_elapse_whatever_the_clock_shows():
    """24 hours across the change are 24 hours, where a day is 23."""
    anchor = at("2025-03-08T12:00", NEW_YORK)

    hours = window(anchor, parse_interval("24 hours"), NEW_YORK, anchor)
    day = window(anchor, parse_interval("day"), NEW_YORK, anchor)

    assert shown(hours, NEW_YORK) == ("2025-03-08T12:00-05:00", "2025-03-09T13:00-04:00")
    assert shown(day, NEW_YORK) == ("2025-03-08T12:00-05:00", "2025-03-09T12:00-04:00")
    assert window(anchor, parse_interval("15 minutes"), NEW_YORK, anchor - 1) == Window(anchor - 15 * MINUTE, anchor)
    assert window(anchor, parse_interval("15 minutes"), NEW_YORK, anchor + 31 * MINUTE) == Window(
        anchor + 30 * MINUTE, anchor + 45 * MINUTE
    )


# --- 5: a change of zone -----------------------------------------------------


def test_edge_05_the_running_window_ends_in_the_old_zone_and_the_next_starts_there():
    """No hole, no overlap: the window after the change is longer or shorter by the difference."""
    zones = [(0, KOLKATA), (at("2026-11-10T12:00"), NEW_YORK)]
    anchor, month = at("2026-01-31T00:00", KOLKATA), parse_interval("month")

    running = window(anchor, month, zones, at("2026-11-24"))
    following = window(anchor, month, zones, running.end)
    afterwards = window(anchor, month, zones, following.end)

    assert window(anchor, month, zones, at("2026-11-10T11:59")) == running
    assert shown(running, KOLKATA) == ("2026-10-31T00:00+05:30", "2026-11-30T00:00+05:30")
    assert following.start == running.end
    assert local(following.end, NEW_YORK) == "2026-12-31T00:00-05:00"
    assert shown(afterwards, NEW_YORK) == ("2026-12-31T00:00-05:00", "2027-01-31T00:00-05:00")


def test_edge_05_the_piece_between_two_midnights_is_no_window_with_an_allowance_of_its_own():
    """Westward the next month is 9.5 hours longer, and nobody has a 9.5-hour month to use up."""
    zones = [(0, KOLKATA), (at("2026-06-10"), NEW_YORK)]
    month = parse_interval("month")

    june = calendar_window(month, zones, at("2026-06-20"))
    july = calendar_window(month, zones, june.end)

    assert shown(june, KOLKATA) == ("2026-06-01T00:00+05:30", "2026-07-01T00:00+05:30")
    assert (july.start, local(july.end, NEW_YORK)) == (june.end, "2026-08-01T00:00-04:00")
    # July began in India before it did in New York.
    assert july.end - july.start == 31 * DAY + 9 * HOUR + 30 * MINUTE


def test_edge_05_eastward_the_next_window_is_shorter():
    """From New York to Kolkata the day after the change has 14.5 hours."""
    zones = [(0, NEW_YORK), (at("2026-06-10T12:00"), KOLKATA)]
    day = parse_interval("day")

    running = calendar_window(day, zones, at("2026-06-10T12:00"))
    following = calendar_window(day, zones, running.end)

    assert shown(running, NEW_YORK) == ("2026-06-10T00:00-04:00", "2026-06-11T00:00-04:00")
    assert following == Window(running.end, at("2026-06-12T00:00", KOLKATA))
    assert following.end - following.start == 14 * HOUR + 30 * MINUTE


def test_edge_05_a_day_that_is_over_in_the_new_zone_is_no_window():
    """From Midway to Kiritimati, 25 hours ahead, the next day has passed already, so another follows."""
    midway, kiritimati = ZoneInfo("Pacific/Midway"), ZoneInfo("Pacific/Kiritimati")
    zones = [(0, midway), (at("2026-06-10T12:00", midway), kiritimati)]
    day = parse_interval("day")

    running = calendar_window(day, zones, at("2026-06-10T12:00", midway))
    following = calendar_window(day, zones, running.end)

    assert shown(running, midway) == ("2026-06-10T00:00-11:00", "2026-06-11T00:00-11:00")
    assert following == Window(running.end, at("2026-06-13T00:00", kiritimati))
    assert following.end - following.start == 23 * HOUR
    assert calendar_window(day, zones, following.end) == Window(
        at("2026-06-13T00:00", kiritimati), at("2026-06-14T00:00", kiritimati)
    )


def test_edge_05_westward_across_the_date_line_a_day_has_49_hours():
    """The way back from Kiritimati to Midway: one long day rather than two allowances."""
    midway, kiritimati = ZoneInfo("Pacific/Midway"), ZoneInfo("Pacific/Kiritimati")
    zones = [(0, kiritimati), (at("2026-06-10T12:00", kiritimati), midway)]
    day = parse_interval("day")

    following = calendar_window(day, zones, at("2026-06-11T00:00", kiritimati))

    assert following == Window(at("2026-06-11T00:00", kiritimati), at("2026-06-12T00:00", midway))
    assert following.end - following.start == 49 * HOUR
    for hours in (1, 24, 26, 48):  # also at instants when midnight of the new zone is still to come, or over
        assert calendar_window(day, zones, following.start + hours * HOUR) == following
    assert calendar_window(day, zones, following.end).start == following.end


def test_edge_05_a_change_at_the_boundary_holds_at_once():
    """Nothing runs in the old zone any more when its window has just ended."""
    start = at("2026-06-11T00:00", NEW_YORK)
    day = parse_interval("day")

    at_once = calendar_window(day, [(0, NEW_YORK), (start, KOLKATA)], start)
    too_late = calendar_window(day, [(0, NEW_YORK), (start + 1, KOLKATA)], start + 1)

    assert at_once == Window(start, at("2026-06-12T00:00", KOLKATA))
    assert too_late == Window(start, at("2026-06-12T00:00", NEW_YORK))


def test_edge_05_of_several_changes_within_one_window_the_last_one_counts():
    """Switching to and fro gains nobody a window."""
    day = parse_interval("day")
    noon = at("2026-06-10T12:00")
    london = ZoneInfo("Europe/London")
    zones = [(0, Z), (noon, KOLKATA), (noon, NEW_YORK), (noon + HOUR, london), (noon + 30 * HOUR, KOLKATA)]

    running = calendar_window(day, zones, noon + 2 * HOUR)
    second = calendar_window(day, zones, running.end)
    third = calendar_window(day, zones, second.end)

    assert shown(running) == ("2026-06-10T00:00+00:00", "2026-06-11T00:00+00:00")
    assert second == Window(running.end, at("2026-06-12T00:00", london))
    assert third == Window(second.end, at("2026-06-13T00:00", KOLKATA))
    assert calendar_window(day, [*zones[:2], (running.end, london)], running.end) == second


def test_edge_05_two_moves_westward_make_two_longer_days():
    """Each day ends at its own midnight in the zone of its start; nobody gains one."""
    kiritimati, midway = ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Pacific/Midway")
    day = parse_interval("day")
    zones = [
        (0, kiritimati),
        (at("2026-06-10T12:00", kiritimati), KOLKATA),
        (at("2026-06-11T12:00", KOLKATA), midway),
    ]

    tenth = calendar_window(day, zones, at("2026-06-10T13:00", kiritimati))
    eleventh = calendar_window(day, zones, tenth.end)
    twelfth = calendar_window(day, zones, eleventh.end)

    assert tenth == Window(at("2026-06-10", kiritimati), at("2026-06-11", kiritimati))
    assert eleventh == Window(tenth.end, at("2026-06-12", KOLKATA))
    assert twelfth == Window(eleventh.end, at("2026-06-13", midway))


def test_edge_05_a_change_during_the_repeated_end_of_a_day_keeps_count_of_the_days():
    """In St John's of 2006 the 29th had begun when clocks showed the 28th again; the 30th is still next."""
    where, day = ZoneInfo("America/St_Johns"), parse_interval("day")
    zones = [(0, where), (at("2006-10-29T03:00"), KOLKATA)]

    running = calendar_window(day, zones, at("2006-10-29T03:00"))

    assert running == Window(at("2006-10-29", where), at("2006-10-30", where))
    assert calendar_window(day, zones, running.end) == Window(running.end, at("2006-10-31", KOLKATA))


def test_edge_05_there_and_back_is_as_if_nothing_had_happened():
    """Three changes in three days, and the windows of Kolkata are what they were."""
    day = parse_interval("day")
    zones = [
        (0, KOLKATA),
        (at("2026-06-10T12:00"), NEW_YORK),
        (at("2026-06-12T12:00"), KOLKATA),
    ]

    when = at("2026-06-20T12:00")

    assert calendar_window(day, zones, when) == calendar_window(day, KOLKATA, when)


def test_edge_05_the_zone_at_the_anchor_says_which_day_and_time_it_is():
    """Who subscribed on the 1st at midnight stays with the 1st at midnight wherever they move."""
    anchor, month = at("2026-03-01T00:00", KOLKATA), parse_interval("month")  # 28 February in New York
    zones = [(at("2025-01-01"), NEW_YORK), (anchor, KOLKATA), (at("2026-07-04"), NEW_YORK)]

    assert shown(window(anchor, month, zones, at("2026-10-10")), NEW_YORK) == (
        "2026-10-01T00:00-04:00",
        "2026-11-01T00:00-04:00",
    )
    assert window(anchor, month, zones, anchor).start == anchor
    assert window(anchor, month, zones, anchor - 1) == Window(at("2026-02-01", KOLKATA), anchor)


def test_edge_05_the_first_zone_also_holds_before_it_was_known():
    """The zone that a tenant was created with is the one of an older, imported anchor."""
    anchor, month = at("2020-01-31T00:00", KOLKATA), parse_interval("month")

    found = window(anchor, month, [(at("2026-01-01"), KOLKATA)], at("2026-02-10"))

    assert found == window(anchor, month, KOLKATA, at("2026-02-10"))
    assert calendar_window(month, [(at("2026-01-01"), KOLKATA)], at("2020-02-10")) == calendar_window(
        month, KOLKATA, at("2020-02-10")
    )


def test_edge_05_a_change_of_zone_leaves_hours_alone():
    """An hour is an hour in every zone."""
    zones = [(0, KOLKATA), (at("2026-06-10T12:10"), NEW_YORK)]
    hour = parse_interval("hour")
    when = at("2026-06-10T12:20")

    assert shown(window(at("2026-01-01T00:15"), hour, zones, when)) == (
        "2026-06-10T12:15+00:00",
        "2026-06-10T13:15+00:00",
    )
    assert shown(calendar_window(hour, zones, when)) == ("2026-06-10T12:00+00:00", "2026-06-10T13:00+00:00")


@pytest.mark.parametrize("zones", [[], [(2, KOLKATA), (1, NEW_YORK)]])
def test_edge_05_zones_without_order_are_refused(zones):
    """A history that does not say what came first says nothing."""
    message = "zones are at least one, each with the instant since when, oldest first"

    with pytest.raises(ConfigurationError, match=message):
        window(0, parse_interval("month"), zones, 0)
    with pytest.raises(ConfigurationError, match=message):
        calendar_window(parse_interval("month"), zones, 0)


# --- 6 to 9: instants --------------------------------------------------------


@pytest.mark.parametrize("every", ["3 minutes", "hour", "day", "week", "month", "year"])
def test_edge_06_the_boundary_belongs_to_the_window_that_it_starts(every):
    """Intervals are half-open; a window that ends at noon does not contain noon."""
    anchor = at("2026-05-15T12:00")
    found = window(anchor, parse_interval(every), Z, anchor)

    assert found.start == anchor
    assert anchor in found
    assert found.end - 1 in found
    assert found.end not in found
    assert anchor - 1 not in found
    assert window(anchor, parse_interval(every), Z, anchor - 1).end == anchor
    assert window(anchor, parse_interval(every), Z, found.end).start == found.end


def test_edge_07_the_last_microsecond_counts():
    """23:59:59.999999 is today, a microsecond later is tomorrow."""
    last = at("2026-12-31T23:59:59.999999", KOLKATA)

    for every in ("day", "month", "year"):
        assert calendar_window(parse_interval(every), KOLKATA, last).end == last + 1
        assert calendar_window(parse_interval(every), KOLKATA, last + 1).start == last + 1


def test_edge_07_an_anchor_keeps_its_microseconds():
    """Boundaries are exact: nothing is rounded to a second or a minute."""
    anchor = at("2026-01-31T23:59:59.999999", KOLKATA)
    found = window(anchor, parse_interval("month"), KOLKATA, at("2026-03-15"))

    assert found == Window(at("2026-02-28T23:59:59.999999", KOLKATA), at("2026-03-31T23:59:59.999999", KOLKATA))


def test_edge_08_two_weeks_accumulate_from_the_subscription():
    """A window of two weeks does not start anew at each midnight."""
    anchor, fortnight = at("2026-11-04T15:00", KOLKATA), parse_interval("2 weeks")

    asked = {window(anchor, fortnight, KOLKATA, anchor + day * DAY) for day in range(14)}

    assert [shown(found, KOLKATA) for found in asked] == [("2026-11-04T15:00+05:30", "2026-11-18T15:00+05:30")]
    assert window(anchor, fortnight, KOLKATA, anchor + 14 * DAY).start == anchor + 14 * DAY


@pytest.mark.parametrize(
    ("when", "start", "end"),
    [
        ("2026-11-24T00:00", "2026-10-28T18:00", "2026-11-28T18:00"),
        ("2026-11-28T17:59", "2026-10-28T18:00", "2026-11-28T18:00"),
        ("2026-11-28T18:00", "2026-11-28T18:00", "2026-12-28T18:00"),
        ("2026-11-30T00:00", "2026-11-28T18:00", "2026-12-28T18:00"),
    ],
)
def test_edge_09_an_anchor_later_in_the_month_than_today_gives_no_window_in_the_future(when, start, end):
    """On the 24th a tenant of the 28th is still in the window of last month."""
    found = window(at("2026-05-28T18:00", KOLKATA), parse_interval("month"), KOLKATA, at(when, KOLKATA))

    assert shown(found, KOLKATA) == (f"{start}+05:30", f"{end}+05:30")


@pytest.mark.parametrize(
    ("every", "when", "start", "end"),
    [
        ("day", "2026-11-24T14:59", "2026-11-23T15:00", "2026-11-24T15:00"),
        ("10 days", "2026-11-24T14:59", "2026-11-22T15:00", "2026-12-02T15:00"),
        ("10 days", "2026-12-02T14:59", "2026-11-22T15:00", "2026-12-02T15:00"),
        ("week", "2026-11-30T14:59", "2026-11-23T15:00", "2026-11-30T15:00"),
        ("year", "2026-11-01T00:00", "2025-11-02T15:00", "2026-11-02T15:00"),
        ("5 years", "2031-11-02T14:59", "2026-11-02T15:00", "2031-11-02T15:00"),
    ],
)
def test_edge_09_an_anchor_later_in_the_day_than_now_gives_no_window_in_the_future(every, when, start, end):
    """The window that runs is the one whose start has passed."""
    anchor = at("2026-11-02T15:00", KOLKATA)
    found = window(anchor, parse_interval(every), KOLKATA, at(when, KOLKATA))

    assert shown(found, KOLKATA) == (f"{start}+05:30", f"{end}+05:30")


# --- windows of the calendar -------------------------------------------------


@pytest.mark.parametrize(
    ("every", "start", "end"),
    [
        ("day", "2026-11-24", "2026-11-25"),
        ("week", "2026-11-23", "2026-11-30"),
        ("month", "2026-11-01", "2026-12-01"),
        ("year", "2026-01-01", "2027-01-01"),
    ],
)
def test_a_calendar_window_is_the_local_day_week_month_or_year(every, start, end):
    """Days begin at local midnight, weeks on Monday; 24 November 2026 is a Tuesday."""
    found = calendar_window(parse_interval(every), KOLKATA, at("2026-11-24T00:00", KOLKATA))

    assert shown(found, KOLKATA) == (f"{start}T00:00+05:30", f"{end}T00:00+05:30")


@pytest.mark.parametrize(
    ("every", "start", "end"),
    [
        ("2 days", "2026-11-24", "2026-11-26"),
        ("2 weeks", "2026-11-16", "2026-11-30"),
        ("3 months", "2026-10-01", "2027-01-01"),
        ("5 months", "2026-11-01", "2027-04-01"),
        ("2 years", "2025-01-01", "2027-01-01"),
        ("10 years", "2021-01-01", "2031-01-01"),
    ],
)
def test_calendar_windows_of_several_units_are_counted_from_2001(every, start, end):
    """From Monday, 1 January 2001: 3 months are the quarters. Stored usage depends on it, for ever."""
    found = calendar_window(parse_interval(every), KOLKATA, at("2026-11-24T12:00", KOLKATA))

    assert shown(found, KOLKATA) == (f"{start}T00:00+05:30", f"{end}T00:00+05:30")


@pytest.mark.parametrize(
    ("every", "start", "end"),
    [
        ("15 minutes", "2026-11-24T11:45", "2026-11-24T12:00"),
        ("hour", "2026-11-24T11:00", "2026-11-24T12:00"),
        ("6 hours", "2026-11-24T06:00", "2026-11-24T12:00"),
        ("5 hours", "2026-11-24T08:00", "2026-11-24T13:00"),
    ],
)
def test_calendar_windows_of_hours_and_minutes_are_counted_in_utc(every, start, end):
    """They are the same everywhere, whatever the zone and its clock changes."""
    for where in (KOLKATA, NEW_YORK):
        found = calendar_window(parse_interval(every), where, at("2026-11-24T11:59"))

        assert shown(found) == (f"{start}+00:00", f"{end}+00:00")


def test_calendar_windows_before_2001_are_counted_backwards():
    """The last quarter of 2000 and the week of its last Sunday."""
    when = at("2000-12-31T23:59", KOLKATA)

    assert shown(calendar_window(parse_interval("3 months"), KOLKATA, when), KOLKATA) == (
        "2000-10-01T00:00+05:30",
        "2001-01-01T00:00+05:30",
    )
    assert shown(calendar_window(parse_interval("week"), KOLKATA, when), KOLKATA) == (
        "2000-12-25T00:00+05:30",
        "2001-01-01T00:00+05:30",
    )


# --- the ends of time --------------------------------------------------------


def test_the_horizon_is_a_day_inside_of_what_datetimes_can_show():
    """2 January of the year 1 until 31 December 9999."""
    assert shown(HORIZON) == ("0001-01-02T00:00+00:00", "9999-12-31T00:00+00:00")


@pytest.mark.parametrize("every", ["999999999 minutes", "999999999 days", "999999999 months", "9000 years"])
@pytest.mark.parametrize("where", [Z, ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Pacific/Midway")])
def test_a_boundary_beyond_the_horizon_is_its_end(every, where):
    """A window that would end after all datetimes ends with them, and what expires there never does."""
    anchor = at("2026-11-24T12:00")
    step = parse_interval(every)
    far = 10 if every.endswith("minutes") else 1

    assert add(anchor, step, far, where) == HORIZON.end
    assert add(anchor, step, -far, where) == HORIZON.start
    assert window(anchor, step, where, HORIZON.end - 1).end == HORIZON.end
    assert window(anchor, step, where, HORIZON.start).start == HORIZON.start
    if far == 1:
        assert window(anchor, step, where, anchor) == Window(anchor, HORIZON.end)
        assert window(anchor, step, where, anchor - 1) == Window(HORIZON.start, anchor)


@pytest.mark.parametrize("every", ["minute", "day", "month", "year"])
@pytest.mark.parametrize("where", [Z, ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Pacific/Midway")])
def test_the_first_and_the_last_instant_of_the_horizon_have_a_window(every, where):
    """Nothing overflows, in zones ahead of UTC and behind it."""
    step = parse_interval(every)
    for when in (HORIZON.start, HORIZON.end - 1):
        assert when in window(0, step, where, when)
        assert when in window(when, step, where, when)
        assert when in calendar_window(step, where, when)
        assert HORIZON.start <= calendar_window(step, where, when).start
        assert calendar_window(step, where, when).end <= HORIZON.end


def test_the_last_representable_boundaries_are_exact():
    """Only what is beyond the horizon is moved to it."""
    assert local(add(at("2026-12-30"), parse_interval("year"), 7973, Z)) == "9999-12-30T00:00+00:00"
    assert add(at("2026-12-30"), parse_interval("year"), 7974, Z) == HORIZON.end
    assert local(add(at("2026-01-03"), parse_interval("month"), -2025 * 12, Z)) == "0001-01-03T00:00+00:00"
    assert add(at("2026-01-03"), parse_interval("month"), -2025 * 12 - 1, Z) == HORIZON.start
    assert local(add(at("9999-12-29"), parse_interval("day"), 1, Z)) == "9999-12-30T00:00+00:00"
    assert add(at("9999-12-29"), parse_interval("day"), 2, Z) == HORIZON.end
    assert add(at("9999-12-29"), parse_interval("day"), 3, Z) == HORIZON.end
    assert local(add(at("0001-01-04"), parse_interval("day"), -1, Z)) == "0001-01-03T00:00+00:00"
    assert add(at("0001-01-04"), parse_interval("day"), -3, Z) == HORIZON.start
    assert add(at("0001-01-04"), parse_interval("day"), -4, Z) == HORIZON.start
    # The first and the last local day reach into the horizon where clocks are behind UTC or ahead of it.
    early, late = at("0001-01-03T20:00", NEW_YORK), at("9999-12-29", ZoneInfo("Pacific/Kiritimati"))
    assert add(early, parse_interval("day"), -2, NEW_YORK) == early - 2 * DAY > HORIZON.start
    assert add(late, parse_interval("day"), 2, ZoneInfo("Pacific/Kiritimati")) == late + 2 * DAY < HORIZON.end


@pytest.mark.parametrize("every", ["day", "13 days", "week", "month", "5 months", "year", "7 years"])
def test_a_window_far_from_the_anchor_costs_no_more_than_a_near_one(every):
    """The window is computed, not walked to: 7,900 years away the zone is asked as often as a year away."""

    class Asked(ZoneInfo):
        times = 0

        def utcoffset(self, dt: datetime | None) -> timedelta | None:
            Asked.times += 1
            return super().utcoffset(dt)

    where, step, anchor = Asked("Asia/Kolkata"), parse_interval(every), at("2026-01-31T09:30", KOLKATA)
    for when in ("0002-03-01", "2025-02-28", "2027-11-24", "9998-06-15"):
        Asked.times = 0
        found = window(anchor, step, where, at(when))

        assert at(when) in found
        # Two boundaries, each asked with both folds, and one more where the calendar's guess is a step off.
        assert 0 < Asked.times <= 6


@pytest.mark.parametrize("outside", [HORIZON.start - 1, HORIZON.end, 10**30])
def test_an_instant_outside_of_the_horizon_is_refused(outside):
    """There is no window for it, and the message says what to do instead."""
    says = f"^{outside} microseconds since 1970 is not between 0001-01-02 .* and 9999-12-31 .*; leave out what"

    for every in (parse_interval("hour"), parse_interval("month")):
        with pytest.raises(ConfigurationError, match=says):
            window(outside, every, Z, 0)
        with pytest.raises(ConfigurationError, match=says):
            window(0, every, Z, outside)
        with pytest.raises(ConfigurationError, match=says):
            calendar_window(every, Z, outside)
        with pytest.raises(ConfigurationError, match=says):
            add(outside, every, 1, Z)


# --- zones by name -----------------------------------------------------------


@pytest.mark.parametrize("name", ["Asia/Kolkata", "Asia/Calcutta", "UTC", "America/Argentina/Buenos_Aires"])
def test_a_zone_is_found_by_its_name(name):
    """IANA names, old ones included; the same name is the same object."""
    assert zone(name) is ZoneInfo(name)
    assert zone(name).key == name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Asia/Kolkatta", "time zone 'Asia/Kolkatta' is not known; did you mean 'Asia/Kolkata'?"),
        ("asia/kolkata", "time zone 'asia/kolkata' is not known; did you mean 'Asia/Kolkata'?"),
        (
            "@@@@",
            "time zone '@@@@' is not known; use an IANA name such as 'Asia/Kolkata' or 'UTC'",
        ),
        ("", "time zone '' is not known; use an IANA name"),
        ("../../etc/passwd", "time zone '../../etc/passwd' is not known; "),
        ("/etc/localtime", "time zone '/etc/localtime' is not known; "),
        ("America", "time zone 'America' is not known; "),
        ("a" * 5000, "time zone 'aaa"),
        ("x\0", "time zone 'x\\x00' is not known; "),
        ("zone.tab", "time zone 'zone.tab' is not known; "),
    ],
)
def test_what_is_no_zone_is_refused_with_the_nearest_name(name, says):
    """Misspelt, outside of the database, or no possible name: one error for all."""
    with pytest.raises(ConfigurationError) as refused:
        zone(name)

    assert str(refused.value).startswith(says)


@pytest.mark.parametrize("name", ["localtime", "Factory", "posixrules", "right/Asia/Kolkata", "posix/UTC"])
def test_a_zone_that_depends_on_the_machine_is_refused(name):
    """The same tenant has the same midnight on every host."""
    with pytest.raises(ConfigurationError, match=f"time zone '{name}' is not known"):
        zone(name)


def test_a_machine_dependent_zone_is_not_suggested():
    """We do not recommend what we would refuse."""
    with pytest.raises(ConfigurationError) as refused:
        zone("Factori")

    assert "'Factory'" not in str(refused.value)


@pytest.mark.parametrize("name", [None, 5.5, b"UTC", KOLKATA])
def test_a_zone_is_named_by_text(name):
    """Offsets and zone objects are no names."""
    with pytest.raises(TypeError, match="a time zone is named by text such as 'Asia/Kolkata', not by "):
        zone(name)


def test_a_machine_without_a_time_zone_database_says_what_to_install(monkeypatch):
    """Slim containers and Windows have none; then no name is right and none can be suggested."""
    monkeypatch.setitem(sys.modules, "tzdata", None)
    before = zoneinfo.TZPATH
    try:
        zoneinfo.reset_tzpath(to=())
        with pytest.raises(ConfigurationError) as refused:
            zone("Nowhere/Here")
    finally:
        zoneinfo.reset_tzpath(to=before)

    assert str(refused.value) == (
        "time zone 'Nowhere/Here' is not known: this machine has no time zone database; pip install tzdata"
    )
