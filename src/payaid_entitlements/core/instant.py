"""
Instants: moments as one integer, so that they compare, store and travel exactly.

Datetimes exist at the public edge only. There `instant` takes them in and `moment` gives them back;
no float is involved in either.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import floor
from typing import Final, TypeAlias

from payaid_entitlements.errors import ConfigurationError

#: Microseconds since 1970-01-01T00:00:00Z, in UTC without leap seconds, as POSIX counts.
Instant: TypeAlias = int

#: Microseconds in a second, a minute, an hour, a day of 24 hours.
MICROSECONDS: Final = 1_000_000
MINUTE: Final = 60 * MICROSECONDS
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

#: The first and the last instant that a datetime can show: all of the years 1 to 9999 in UTC.
EARLIEST: Final[Instant] = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
LATEST: Final[Instant] = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


def instant(dt: datetime) -> Instant:
    """
    Take in a datetime.

    Raises:
        TypeError: *dt* is no datetime, or a naive one: it does not say which moment it is.
        ConfigurationError: In UTC *dt* is outside of the years 1 to 9999.
    """
    if not isinstance(dt, datetime):
        raise TypeError(f"expected a datetime with a time zone, got {dt!r}")
    if dt.utcoffset() is None:
        raise TypeError(f"{dt!r} has no time zone, so it names no moment; pass an aware one, such as datetime.now(UTC)")
    return _within((dt - _EPOCH) // _MICROSECOND)


def moment(at: Instant) -> datetime:
    """
    Show an instant as an aware datetime in UTC; the exact inverse of `instant`.

    Raises:
        ConfigurationError: *at* is outside of the years 1 to 9999.
    """
    return _EPOCH + timedelta(microseconds=_within(at))


def from_clock(seconds: float) -> Instant:
    """Read a clock such as ``time.time()``: *seconds* since the epoch, to the nearest microsecond."""
    # The whole part is split off first: multiplied in one go, a float of today is off by up to a microsecond.
    whole = floor(seconds)
    return whole * MICROSECONDS + round((seconds - whole) * MICROSECONDS)


def _within(at: Instant) -> Instant:
    if not EARLIEST <= at <= LATEST:
        raise ConfigurationError(
            f"{at} microseconds since 1970 is outside of the years 1 to 9999 in UTC; for 'never' use None"
        )
    return at
