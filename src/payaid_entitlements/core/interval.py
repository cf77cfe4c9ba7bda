"""
Lengths of time in the words that people write them: intervals, which repeat, and durations, which are fixed.

A month is an interval: how long it is depends on where it starts, which `core.period` knows. A duration is
a number of microseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

from payaid_entitlements.core.instant import DAY, EARLIEST, HOUR, LATEST, MICROSECONDS, MINUTE
from payaid_entitlements.errors import ConfigurationError


class Unit(StrEnum):
    """
    What an interval is counted in.

    Minutes and hours pass at the same speed everywhere; the others are steps of the local calendar, so
    that a day may have 23 or 25 hours.
    """

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


_ELAPSED: Final = {Unit.MINUTE: MINUTE, Unit.HOUR: HOUR}
_DAYS: Final = {Unit.DAY: 1, Unit.WEEK: 7}
_MONTHS: Final = {Unit.MONTH: 1, Unit.YEAR: 12}
_MOST: Final = 999_999_999


@dataclass(frozen=True, slots=True)
class Interval:
    """
    A length that repeats: a month, 2 weeks, 90 days.

    Exactly one of `elapsed`, `days` and `months` is not 0. ``str()`` writes what `parse_interval` reads.

    Attributes:
        count: How many units, from 1 to 999,999,999.
        unit: Of what.
    """

    count: int
    unit: Unit

    def __post_init__(self) -> None:
        if type(self.count) is not int:
            raise TypeError(f"an interval counts whole {self.unit}s, not {self.count!r}")
        if not 1 <= self.count <= _MOST:
            raise ConfigurationError(
                f"an interval has 1 to {_MOST:,} {self.unit}s, not {self.count:,}; "
                "leave it out for what never repeats or ends"
            )

    @property
    def elapsed(self) -> int:
        """Microseconds of minutes and hours, which no calendar bends; 0 for other units."""
        return self.count * _ELAPSED.get(self.unit, 0)

    @property
    def days(self) -> int:
        """Calendar days, where a week is 7; 0 for other units."""
        return self.count * _DAYS.get(self.unit, 0)

    @property
    def months(self) -> int:
        """Calendar months, where a year is 12; 0 for other units."""
        return self.count * _MONTHS.get(self.unit, 0)

    def __str__(self) -> str:
        return self.unit.value if self.count == 1 else f"{self.count} {self.unit.value}s"


# Only ASCII digits, and few of them: int() also reads other scripts, and is slow on thousands of digits.
_INTERVAL: Final = re.compile(r"(?:([0-9]{1,9}) *)?([A-Za-z]+)")
_DURATION: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6}))? *([A-Za-z]+)")

_FIXED: Final = {"second": MICROSECONDS, "minute": MINUTE, "hour": HOUR, "day": DAY, "week": 7 * DAY}
_LONGEST: Final = LATEST - EARLIEST


def parse_interval(text: str) -> Interval:
    """
    Read an interval: ``month``, ``2 weeks``, ``90 days``.

    Raises:
        ConfigurationError: *text* is no interval of at least one minute; says what one looks like.
    """
    match = _INTERVAL.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(
            f"{text!r} is no interval; write a whole number and a unit, such as 'month', '2 weeks', '90 days'"
        )
    number, word = match.groups(default="1")
    try:
        unit = Unit(word.removesuffix("s"))
    except ValueError:
        raise ConfigurationError(_unknown_unit(text, word, [unit.value for unit in Unit])) from None
    return Interval(int(number), unit)


def parse_duration(text: str) -> int:
    """
    Read a duration: ``7 days``, ``90 seconds``, ``1.5 hours``.

    Returns:
        Microseconds, exact; a day is 24 hours.

    Raises:
        ConfigurationError: *text* is no duration, has more than 6 decimals or is longer than all years to
            9999; or it is in months or years, which have no fixed length.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(
            f"{text!r} is no duration; write a number and a unit, such as '90 seconds', '7 days', '1.5 hours'"
        )
    whole, decimals, word = match.groups(default="")
    unit = word.removesuffix("s")
    if unit in _MONTHS:
        raise ConfigurationError(
            f"{text!r} has no fixed length, as months and years differ; write days, such as '30 days' or '365 days'"
        )
    if unit not in _FIXED:
        raise ConfigurationError(_unknown_unit(text, word, _FIXED))
    # Every unit is a multiple of 1,000,000 microseconds, so six decimals of it are whole microseconds.
    duration = int(whole + decimals.ljust(6, "0")) * (_FIXED[unit] // MICROSECONDS)
    if duration > _LONGEST:
        raise ConfigurationError(f"{text!r} is longer than all years to 9999; leave it out for what never ends")
    return duration


def format_duration(duration: int) -> str:
    """
    Write a duration as people do: in the largest unit, up to days, that needs no fraction.

    Args:
        duration: Microseconds, at least 0.

    Returns:
        What `parse_duration` reads as the same duration: ``7 days``, ``90 seconds``, ``0.25 seconds``.

    Raises:
        ConfigurationError: *duration* is negative.
    """
    if duration < 0:
        raise ConfigurationError(f"a duration is at least 0 microseconds, not {duration}")
    # Not in weeks: a trial that is sold as "14 days" must not be shown as "2 weeks".
    for unit in ("day", "hour", "minute", "second"):
        count, rest = divmod(duration, _FIXED[unit])
        if count and not rest:
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    seconds, decimals = divmod(duration, MICROSECONDS)
    return f"{seconds}.{decimals:06}".rstrip("0").rstrip(".") + " seconds"


def _unknown_unit(text: str, word: str, units: Iterable[str]) -> str:
    known = list(units)
    near = get_close_matches(word.lower().removesuffix("s"), known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    return f"{text!r} has the unknown unit {word!r}; {hint}"
