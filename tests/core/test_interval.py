"""Intervals and durations: the words that people write, and back."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.instant import DAY, EARLIEST, HOUR, LATEST, MICROSECONDS, MINUTE
from payaid_entitlements.core.interval import (
    Interval,
    Unit,
    format_duration,
    parse_duration,
    parse_interval,
)
from payaid_entitlements.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "interval", "written"),
    [
        ("minute", Interval(1, Unit.MINUTE), "minute"),
        ("hour", Interval(1, Unit.HOUR), "hour"),
        ("day", Interval(1, Unit.DAY), "day"),
        ("week", Interval(1, Unit.WEEK), "week"),
        ("month", Interval(1, Unit.MONTH), "month"),
        ("year", Interval(1, Unit.YEAR), "year"),
        ("1 month", Interval(1, Unit.MONTH), "month"),
        ("2 weeks", Interval(2, Unit.WEEK), "2 weeks"),
        ("2week", Interval(2, Unit.WEEK), "2 weeks"),
        ("  90   days ", Interval(90, Unit.DAY), "90 days"),
        ("999999999 years", Interval(999_999_999, Unit.YEAR), "999999999 years"),
    ],
)
def test_an_interval_is_read_from_words_and_written_in_words(text, interval, written):
    """A number may be left out when it is one."""
    assert parse_interval(text) == interval
    assert str(interval) == written


@given(st.builds(Interval, st.integers(1, 999_999_999), st.sampled_from(Unit)))
def test_what_an_interval_writes_is_read_as_the_same(interval):
    """Intervals travel as text through the store."""
    assert parse_interval(str(interval)) == interval
    assert pickle.loads(pickle.dumps(interval)) == interval


@pytest.mark.parametrize(
    ("text", "elapsed", "days", "months"),
    [
        ("3 minutes", 180_000_000, 0, 0),
        ("2 hours", 7_200_000_000, 0, 0),
        ("5 days", 0, 5, 0),
        ("2 weeks", 0, 14, 0),
        ("7 months", 0, 0, 7),
        ("3 years", 0, 0, 36),
    ],
)
def test_an_interval_has_exactly_one_measure(text, elapsed, days, months):
    """Minutes and hours elapse; days and weeks, months and years are steps of the calendar."""
    interval = parse_interval(text)

    assert (interval.elapsed, interval.days, interval.months) == (elapsed, days, months)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'' is no interval; write a whole number and a unit, such as 'month', '2 weeks', '90 days'"),
        ("1.5 days", "'1.5 days' is no interval"),
        ("-1 day", "'-1 day' is no interval"),
        ("2", "'2' is no interval"),
        ("1000000000 days", "'1000000000 days' is no interval"),
        ("٣ days", "'٣ days' is no interval"),
        ("2 weeks ago", "'2 weeks ago' is no interval"),
        (
            "0 days",
            "an interval has 1 to 999,999,999 days, not 0; leave it out for what never repeats or ends",
        ),
        ("2 monhts", "'2 monhts' has the unknown unit 'monhts'; did you mean 'month'?"),
        ("Month", "'Month' has the unknown unit 'Month'; did you mean 'month'?"),
        ("HOURS", "'HOURS' has the unknown unit 'HOURS'; did you mean 'hour'?"),
        (
            "quarter",
            "'quarter' has the unknown unit 'quarter'; there are minute, hour, day, week, month, year",
        ),
    ],
)
def test_what_is_no_interval_is_refused_and_the_way_out_is_named(text, says):
    """A word that is nearly right is answered with the right one."""
    with pytest.raises(ConfigurationError) as refused:
        parse_interval(text)

    assert str(refused.value).startswith(says)


@pytest.mark.parametrize("count", [0, -1, 1_000_000_000])
def test_an_interval_has_a_sensible_count(count):
    """An interval of nothing would repeat for ever in one instant."""
    with pytest.raises(ConfigurationError, match=f"1 to 999,999,999 days, not {count:,}; leave it out"):
        Interval(count, Unit.DAY)


@pytest.mark.parametrize("count", [1.0, True, "1", None])
def test_an_interval_counts_in_whole_numbers(count):
    """No float becomes a boundary."""
    with pytest.raises(TypeError, match="an interval counts whole days, not "):
        Interval(count, Unit.DAY)


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1 second", MICROSECONDS),
        ("90 seconds", 90 * MICROSECONDS),
        ("1 minute", MINUTE),
        ("10minutes", 10 * MINUTE),
        ("24 hours", 24 * HOUR),
        ("1.5 hours", 90 * MINUTE),
        (" 7 days ", 7 * DAY),
        ("2 weeks", 14 * DAY),
        ("0 days", 0),
        ("0.000001 seconds", 1),
        ("0.000001 hours", 3600),
        ("0.1 seconds", 100_000),
        ("12.000345 seconds", 12_000_345),
    ],
)
def test_a_duration_is_read_exactly(text, microseconds):
    """Decimals are exact; no float is involved."""
    assert parse_duration(text) == microseconds


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "day",
            "'day' is no duration; write a number and a unit, such as '90 seconds', '7 days', '1.5 hours'",
        ),
        ("-1 day", "'-1 day' is no duration"),
        ("1.0000001 days", "'1.0000001 days' is no duration"),
        ("1 hour 5", "'1 hour 5' is no duration"),
        (
            "1 month",
            "'1 month' has no fixed length, as months and years differ; write days, such as '30 days' or ",
        ),
        ("2 years", "'2 years' has no fixed length"),
        ("3 dyas", "'3 dyas' has the unknown unit 'dyas'; did you mean 'day'?"),
        (
            "3 jiffies",
            "'3 jiffies' has the unknown unit 'jiffies'; there are second, minute, hour, day, week",
        ),
        (
            "999999999999 weeks",
            "'999999999999 weeks' is longer than all years to 9999; leave it out for what never ends",
        ),
    ],
)
def test_what_is_no_duration_is_refused_and_the_way_out_is_named(text, says):
    """Months have no fixed length, and we say what to write instead."""
    with pytest.raises(ConfigurationError) as refused:
        parse_duration(text)

    assert str(refused.value).startswith(says)


def test_the_longest_duration_spans_all_years():
    """A duration that is longer could never end on a date; 3,652,059 days are the years 1 to 9999."""
    assert parse_duration("3652058 days") == 3_652_058 * DAY
    assert parse_duration(f"{(LATEST - EARLIEST) // MICROSECONDS}.999999 seconds") == LATEST - EARLIEST
    with pytest.raises(ConfigurationError):
        parse_duration("3652059 days")


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "0 seconds"),
        (1, "0.000001 seconds"),
        (250_000, "0.25 seconds"),
        (MICROSECONDS, "1 second"),
        (10 * MICROSECONDS, "10 seconds"),
        (10_500_000, "10.5 seconds"),
        (90 * MICROSECONDS, "90 seconds"),
        (MINUTE, "1 minute"),
        (90 * MINUTE, "90 minutes"),
        (HOUR, "1 hour"),
        (36 * HOUR, "36 hours"),
        (24 * HOUR, "1 day"),
        (14 * DAY, "14 days"),
    ],
)
def test_a_duration_is_written_in_the_largest_unit_without_a_fraction(microseconds, text):
    """A trial of 14 days is shown as 14 days."""
    assert format_duration(microseconds) == text


@given(st.integers(0, LATEST - EARLIEST))
def test_what_is_written_is_read_as_the_same_duration(microseconds):
    """Durations make the round trip, to the microsecond."""
    assert parse_duration(format_duration(microseconds)) == microseconds


def test_a_negative_duration_is_refused():
    """Nothing lasts less than no time."""
    with pytest.raises(ConfigurationError, match="a duration is at least 0 microseconds, not -1"):
        format_duration(-1)
