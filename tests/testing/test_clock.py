"""The clock of tests: the real time until it is moved."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
import time_machine

from payaid_entitlements.testing import FakeClock

NOON = datetime(2026, 9, 21, 12, tzinfo=UTC)


def test_it_follows_the_real_time_until_it_is_moved():
    clock = FakeClock()

    before = time.time()
    assert before <= clock() <= time.time()
    assert clock.now().tzinfo is UTC

    clock.travel_to(NOON)
    assert (clock(), clock.now()) == (NOON.timestamp(), NOON)


def test_it_stands_where_it_was_put():
    clock = FakeClock(NOON)

    assert [clock(), clock()] == [NOON.timestamp()] * 2


def test_libraries_that_move_the_real_time_move_it_too():
    clock = FakeClock()

    with time_machine.travel(NOON, tick=False):
        assert (clock(), clock.now()) == (NOON.timestamp(), NOON)


@pytest.mark.parametrize(
    ("lengths", "moved"),
    [
        ({"days": 15}, timedelta(days=15)),
        ({"hours": 1, "minutes": 2, "seconds": 3.5}, timedelta(hours=1, minutes=2, seconds=3.5)),
        ({"by": timedelta(weeks=1), "days": 1}, timedelta(days=8)),
        ({"days": -1}, timedelta(days=-1)),
        ({"seconds": 0.000001}, timedelta(microseconds=1)),
        ({}, timedelta()),
    ],
)
def test_it_advances_by_a_length_of_time(lengths, moved):
    clock = FakeClock(NOON)

    clock.advance(**lengths)

    assert clock.now() == NOON + moved


def test_a_time_without_a_zone_is_refused():
    clock = FakeClock(NOON)

    with pytest.raises(TypeError, match="has no time zone"):
        clock.travel_to(datetime(2026, 9, 21))
    with pytest.raises(TypeError, match="has no time zone"):
        FakeClock(datetime(2026, 9, 21))

    assert clock.now() == NOON


def test_any_zone_is_understood():
    clock = FakeClock()

    clock.travel_to(NOON.astimezone(timezone(timedelta(hours=5, minutes=30))))

    assert clock.now() == NOON
    assert clock.now().tzinfo is UTC


def test_it_tells_when_it_was_put_back_until_nobody_listens():
    clock = FakeClock(NOON)
    heard: list[datetime] = []

    def hear() -> None:
        heard.append(clock.now())

    clock.when_put_back(hear)
    clock.advance(days=1)
    clock.travel_to(NOON)
    clock.travel_to(NOON)
    clock.advance(seconds=-1)
    clock.forget(hear)
    clock.advance(days=-2)

    assert heard == [NOON, NOON - timedelta(seconds=1)]
