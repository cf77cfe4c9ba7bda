"""Instants: what comes in as a datetime goes out as the same moment."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.instant import (
    DAY,
    EARLIEST,
    HOUR,
    LATEST,
    MICROSECONDS,
    MINUTE,
    from_clock,
    instant,
    moment,
)
from payaid_entitlements.errors import ConfigurationError

NEW_YORK = ZoneInfo("America/New_York")


class Undecided(tzinfo):
    """A zone that does not know its offset, which makes a datetime naive."""

    def utcoffset(self, dt: datetime | None) -> None:
        return None


def test_an_instant_counts_microseconds_since_1970():
    """The unit is the microsecond and the origin is the Unix epoch."""
    assert instant(datetime(1970, 1, 1, tzinfo=UTC)) == 0
    assert instant(datetime(1970, 1, 1, 0, 0, 1, 2, tzinfo=UTC)) == 1_000_002
    assert instant(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1
    assert instant(datetime(2026, 11, 24, 12, 30, tzinfo=UTC)) == 1_795_523_400_000_000


def test_the_units_are_multiples_of_a_microsecond():
    """A minute, an hour and a day have their usual lengths."""
    assert (MICROSECONDS, MINUTE, HOUR, DAY) == (1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000)


def test_an_instant_is_the_same_in_every_zone():
    """Only the moment counts, not the zone that it was written in."""
    assert instant(datetime(1970, 1, 1, 5, 30, tzinfo=ZoneInfo("Asia/Kolkata"))) == 0


def test_of_a_repeated_local_time_the_fold_says_which_is_meant():
    """01:30 in New York on 2 November 2025 happens twice, an hour apart."""
    first = datetime(2025, 11, 2, 1, 30, tzinfo=NEW_YORK)

    assert instant(first.replace(fold=1)) - instant(first) == HOUR


@pytest.mark.parametrize("naive", [datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=Undecided())])
def test_a_naive_datetime_is_refused_and_the_way_out_is_named(naive):
    """A time without a zone names no moment."""
    with pytest.raises(TypeError, match=r"has no time zone, .* an aware one, such as datetime\.now\(UTC\)"):
        instant(naive)


@pytest.mark.parametrize("other", [date(2026, 1, 1), "2026-01-01T00:00:00Z", 1_795_523_400, None])
def test_what_is_no_datetime_is_refused(other):
    """Dates, texts and numbers are not guessed at."""
    with pytest.raises(TypeError, match="expected a datetime with a time zone, got "):
        instant(other)


def test_a_moment_is_an_aware_datetime_in_utc():
    """What comes out is shown in UTC."""
    assert moment(1_000_002) == datetime(1970, 1, 1, 0, 0, 1, 2, tzinfo=UTC)
    assert moment(0).tzinfo is UTC


def test_all_of_the_years_1_to_9999_can_be_told():
    """The first and the last microsecond that a datetime has are instants."""
    assert moment(EARLIEST) == datetime(1, 1, 1, tzinfo=UTC)
    assert moment(LATEST) == datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@pytest.mark.parametrize("at", [EARLIEST - 1, LATEST + 1, 10**40])
def test_an_instant_outside_of_the_years_1_to_9999_is_refused(at):
    """There is no datetime for it; whoever means 'never' is told to say so."""
    with pytest.raises(ConfigurationError, match=f"{at} microseconds .* the years 1 to 9999 .* 'never' use None"):
        moment(at)


@pytest.mark.parametrize(
    "dt",
    [
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=5))),
    ],
)
def test_a_datetime_that_is_outside_of_those_years_in_utc_is_refused(dt):
    """The end of the year 9999 in New York has no equal in UTC."""
    with pytest.raises(ConfigurationError):
        instant(dt)


@given(st.integers(EARLIEST, LATEST))
def test_every_instant_makes_the_round_trip(at):
    """No microsecond is lost between an instant and its datetime, in any year."""
    assert instant(moment(at)) == at


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_datetime_makes_the_round_trip(dt):
    """No microsecond is lost between a datetime and its instant, in any year."""
    assert moment(instant(dt)) == dt


def test_a_clock_is_read_to_the_nearest_microsecond():
    """Seconds become microseconds, rounded, before 1970 as well."""
    assert from_clock(0) == 0
    assert from_clock(1.25) == 1_250_000
    assert from_clock(0.000_000_6) == 1
    assert from_clock(0.000_000_4) == 0
    assert from_clock(-0.25) == -250_000
    assert from_clock(-3) == -3_000_000


@given(st.integers(0, 2**32 * MICROSECONDS))
def test_a_clock_reading_loses_nothing_until_the_year_2106(at):
    """A float of seconds tells every microsecond of this century, and so do we."""
    assert from_clock(at / MICROSECONDS) == at
