"""Lots: which there are, how much each holds, in which order they are burnt, and what happens beyond."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from payaid_entitlements.core.instant import DAY, instant
from payaid_entitlements.core.metering.lots import UNSOLD, debit
from payaid_entitlements.core.metering.posting import SLOTS, Debit, Line, Mark, Short
from tests.core.conftest import NOW, sub, tenant, world_of
from tests.core.metering.conftest import COUNTED, counted

WORLD = world_of(COUNTED)
#: 5 September 2026, 15:00 in Kolkata.
ANCHOR = instant(datetime(2026, 9, 5, 9, 30, tzinfo=UTC))
MONTH_END = instant(datetime(2026, 10, 5, 9, 30, tzinfo=UTC))
PRO = tenant(sub("pro", starts=ANCHOR))


def test_an_allowance_of_a_month_is_counted_in_the_month_that_runs():
    """From the billing date, in the lot that is named by when it began."""
    found = counted(PRO, "crm.calls", WORLD, NOW)

    assert found.lines == (Line("crm.calls", f"w{ANCHOR}", 100),)
    assert (found.window.start, found.window.end) == (ANCHOR, MONTH_END)
    assert (found.limit, found.sink, found.beyond, found.grace) == (100, 0, 0, None)
    assert found.is_sold
    assert found.resets_at == datetime(2026, 10, 5, 9, 30, tzinfo=UTC)
    assert debit(found, 3, Short.CAP) == Debit(
        "crm.calls", 3, found.lines, short=Short.CAP, marks=(Mark("crm.calls", 80), Mark("crm.calls", 100))
    )


def test_a_window_ends_for_those_who_come_at_its_end():
    """Half-open: its last microsecond is in it, its end is in the next."""
    assert counted(PRO, "crm.calls", WORLD, MONTH_END - 1).lines[0].lot == f"w{ANCHOR}"
    assert counted(PRO, "crm.calls", WORLD, MONTH_END).lines[0].lot == f"w{MONTH_END}"


@pytest.mark.parametrize(
    ("feature", "beyond", "grace"),
    [
        ("crm.calls", 0, None),
        ("crm.soft", None, None),
        ("crm.until", 5, None),
        ("crm.grace", None, 3 * DAY),
        ("crm.warned", None, None),
    ],
)
def test_what_happens_beyond_is_what_the_feature_says(feature, beyond, grace):
    """110 % of 55 are 60.5: half a unit is none."""
    found = counted(PRO, feature, WORLD, NOW)

    assert (found.beyond, found.grace) == (beyond, grace)


def test_seats_are_held_in_their_own_lot():
    """There is no window, and nothing resets."""
    found = counted(PRO, "seats", WORLD, NOW)

    assert found.lines == (Line("seats", SLOTS, 25),)
    assert (found.window, found.resets_at, found.limit) == (None, None, 25)


def test_what_is_not_sold_has_a_lot_of_nothing():
    """It is where usage is counted while nothing is enforced."""
    found = counted(tenant(sub("bare")), "crm.calls", WORLD, NOW)

    assert found.lines == (Line("crm.calls", UNSOLD, 0),)
    assert (found.limit, found.beyond, found.marks, found.is_sold) == (0, 0, (), False)
