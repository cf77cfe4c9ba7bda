"""Q-7: windows of lots. Each instant is in exactly one, whatever the anchor, the zone and its changes."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.facts import NewFact
from payaid_entitlements.core.instant import DAY, EARLIEST, HOUR, LATEST, instant
from payaid_entitlements.core.metering import windows
from payaid_entitlements.core.metering.meters import Billing
from payaid_entitlements.core.metering.windows import MONTH, usage_window
from payaid_entitlements.core.values import Allowance
from payaid_entitlements.core.zones import TIMEZONE
from tests.core.conftest import NOW, override, sub, tenant, world_of
from tests.core.metering.conftest import COUNTED, counted

ZONES = ("Asia/Kolkata", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Pacific/Apia")
WORLD = world_of(COUNTED)
PERIODS = ("hour", "90 minutes", "day", "week", "2 weeks", "month", "3 months", "year")


def sold(per, window="anchored"):
    """A world in which 10 calls are sold *per* that."""
    return world_of(
        Catalog.load(
            {
                "features": {"calls": {"kind": "quota", "window": window}},
                "plans": {"pro": {"features": {"calls": f"10/{per}"}}},
            }
        )
    )


SOLD = {(per, window): sold(per, window) for per in PERIODS for window in ("anchored", "calendar")}
instants = st.datetimes(datetime(2023, 12, 1), datetime(2026, 4, 1)).map(lambda at: instant(at.replace(tzinfo=UTC)))
#: The last days of months, and clock changes of the zones above.
odd = st.sampled_from(
    [
        instant(datetime(*date, hour, 30, tzinfo=UTC))
        for date in ((2024, 1, 31), (2024, 2, 29), (2024, 3, 10), (2024, 3, 31), (2025, 4, 5), (2025, 11, 2))
        for hour in (0, 1, 6, 15)
    ]
)
moves = st.lists(st.tuples(instants, st.sampled_from(ZONES)), max_size=3, unique_by=lambda move: move[0]).map(sorted)


def holder(anchor, moved, first="Asia/Kolkata"):
    """Who holds the plan since *anchor*, and moved to other zones."""
    history = [[0, first], *(list(each) for each in moved)]
    return tenant(sub("pro", anchor=anchor), NewFact(TIMEZONE, 0, {"zone": history[-1][1], "history": history}))


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(sorted(SOLD)), instants | odd, moves, st.lists(instants | odd, min_size=2, max_size=12))
def test_each_instant_is_in_exactly_one_lot(key, anchor, moved, asked):
    """In order of time lots follow each other without a hole, an overlap or a way back."""
    world, document = SOLD[key], holder(anchor, moved)
    found = [counted(document, "calls", world, at) for at in sorted(asked)]
    for at, each in zip(sorted(asked), found, strict=True):
        assert at in each.window
        assert each.lines[0].lot == f"w{each.window.start}"
        # The next one begins where this one ends, and that is the first instant at which it is not this one any more.
        after = counted(document, "calls", world, each.window.end)
        assert after.window.start == each.window.end
        assert counted(document, "calls", world, each.window.end - 1).window == each.window
        assert counted(document, "calls", world, each.window.start).window == each.window
    for one, other in pairwise(found):
        assert one.window == other.window or one.window.end <= other.window.start


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(SOLD)), instants | odd, moves.filter(bool), st.integers(0, 40 * DAY))
def test_a_move_does_not_begin_the_running_window_anew(key, anchor, moved, since):
    """Who is asked before the move and who is asked after it count in one lot until the window ends."""
    # An anchor that lies in the future is an instant in the zone that is in force then.
    world, (at, _) = SOLD[key], moved[-1]
    assume(anchor < at)
    before, after = holder(anchor, moved[:-1]), holder(anchor, moved)
    running = counted(before, "calls", world, at - 1)

    assert counted(after, "calls", world, at - 1).window == running.window
    if at < running.window.end:
        moment = min(at + since, running.window.end - 1)
        assert counted(after, "calls", world, moment).lines == running.lines


@pytest.mark.parametrize(
    ("anchor", "starts"),
    [
        ((2024, 1, 31), [(2024, 2, 29), (2024, 3, 31), (2024, 4, 30), (2024, 5, 31)]),
        ((2024, 2, 29), [(2024, 3, 29), (2024, 4, 29), (2024, 5, 29)]),
        ((2023, 12, 31), [(2024, 1, 31), (2024, 2, 29), (2024, 3, 31)]),
    ],
)
def test_the_end_of_a_month_is_kept(anchor, starts):
    """Clamped to the month's last day and back: counted from the anchor, not from the window before."""
    document = tenant(sub("pro", starts=instant(datetime(*anchor, 9, tzinfo=UTC)), timezone="UTC"))
    for date in starts:
        start = instant(datetime(*date, 9, tzinfo=UTC))
        assert counted(document, "calls", SOLD["month", "anchored"], start).lines[0].lot == f"w{start}"


def test_a_leap_day_comes_back():
    """29 February, 28 February in common years, 29 February again."""
    anchor = instant(datetime(2024, 2, 29, 9, tzinfo=UTC))
    document = tenant(sub("pro", starts=anchor, timezone="UTC"))
    found = []
    at = anchor
    for _ in range(5):
        end = counted(document, "calls", SOLD["year", "anchored"], at).window.end
        found.append(datetime.fromtimestamp(end / 1e6, UTC).date().isoformat())
        at = end
    assert found == ["2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29", "2029-02-28"]


def test_days_of_23_and_25_hours_are_days():
    """In New York, when clocks change."""
    document = tenant(sub("pro", timezone="America/New_York"))
    lengths = []
    for month, day in ((3, 10), (11, 2), (11, 3)):
        noon = instant(datetime(2025 if month == 11 else 2024, month, day, 18, tzinfo=UTC))
        window = counted(document, "calls", SOLD["day", "calendar"], noon).window
        lengths.append((window.end - window.start) // HOUR)
    assert lengths == [23, 25, 24]


def test_without_an_anchor_windows_are_those_of_the_calendar():
    """Who only has the default plan: from the first of the month, local time."""
    found = counted(tenant(), "crm.calls", WORLD, NOW)

    assert found.window.start == instant(datetime(2026, 8, 31, 18, 30, tzinfo=UTC))
    assert found.lines[0].cap == 10


def test_a_feature_with_calendar_windows_ignores_the_anchor():
    """A week begins on Monday in Kolkata, though it was bought on a Saturday."""
    found = counted(tenant(sub("pro", starts=NOW - 9 * DAY)), "crm.letters", WORLD, NOW)

    assert found.window.start == instant(datetime(2026, 9, 20, 18, 30, tzinfo=UTC))


def test_what_has_no_limit_is_counted_by_the_month():
    """So that a limit that comes back counts what was used."""
    bought = sub("max", starts=NOW - 3 * DAY)
    found = counted(tenant(bought), "crm.calls", WORLD, NOW)

    assert found.lines[0].lot == f"w{NOW - 3 * DAY}"
    assert (found.lines[0].cap, found.limit, found.marks) == (None, None, ())
    limited = counted(tenant(bought, override("crm.calls", Allowance(5, MONTH))), "crm.calls", WORLD, NOW)
    assert limited.lines[0].lot == found.lines[0].lot


@pytest.mark.parametrize("anchor", [EARLIEST, EARLIEST + 1, LATEST, 0, -1])
def test_an_anchor_at_the_end_of_time_is_one(anchor):
    """Facts may say any instant; windows are still windows."""
    found = counted(tenant(sub("pro", starts=1, anchor=anchor)), "crm.calls", WORLD, NOW)

    assert NOW in found.window


def test_several_subscriptions_count_by_the_one_that_sells():
    """Letters are only sold by the lower plan; calls by both, and then by the higher one; seats by none of them."""
    world = world_of(
        Catalog.load(
            {
                "features": {key: {"kind": "quota"} for key in ("calls", "letters")},
                "plans": {
                    "low": {"features": {"calls": "1/month", "letters": "1/month"}},
                    "high": {"features": {"calls": "9/month"}},
                },
            }
        )
    )
    high, low = NOW - 7 * DAY, NOW - 3 * DAY
    document = tenant(sub("high", "a", starts=high), sub("low", "b", starts=low))

    calls = counted(document, "calls", world, NOW)
    assert (calls.lines[0].lot, calls.lines[0].cap) == (f"w{high}", 10)
    assert counted(document, "letters", world, NOW).lines[0].lot == f"w{low}"
    # Granted by hand and sold by nobody: by the highest.
    both = (sub("high", "a", starts=high), sub("high", "b", starts=low))
    granted = tenant(*both, override("letters", Allowance(3, MONTH)))
    assert counted(granted, "letters", world, NOW).lines[0].lot == f"w{high}"


def test_on_trial_comes_after_paid():
    """What is paid says when windows begin, though the plan on trial is the higher one."""
    paid = sub("pro", "paid", starts=NOW - DAY)
    trial = sub("max", "trial", starts=NOW - 2 * DAY, trial_end=NOW + 9 * DAY)

    assert counted(tenant(paid, trial), "credits", WORLD, NOW).lines[0].lot == f"w{NOW - DAY}"


def test_windows_that_were_found_are_forgotten_when_there_are_too_many(monkeypatch):
    """There is no end of anchors."""
    monkeypatch.setattr(windows, "_MOST", 3)
    monkeypatch.setattr(windows, "_found", {})
    for day in range(10):
        billing = Billing("", NOW - day * DAY, "UTC")
        feature = WORLD.catalog.features["crm.calls"]
        assert usage_window(feature, MONTH, billing, NOW) == usage_window(feature, MONTH, billing, NOW)
        assert len(windows._found) <= 3
