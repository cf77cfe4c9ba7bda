"""Meters: what metering needs of a tenant's facts, and how little of it is kept."""

from __future__ import annotations

import pytest

from payaid_entitlements.core.facts import NewFact
from payaid_entitlements.core.instant import DAY
from payaid_entitlements.core.metering.lots import own_allowance
from payaid_entitlements.core.metering.meters import Meters, packed, unpacked
from payaid_entitlements.core.resolution import resolve
from payaid_entitlements.core.subscription import Terms, Times
from payaid_entitlements.core.zones import TIMEZONE
from tests.core.conftest import NOW, sub, tenant, world_of
from tests.core.metering.conftest import COUNTED

WORLD = world_of(COUNTED)
START = NOW - 40 * DAY


def meters(*facts, at=NOW, **named):
    """What metering needs of a tenant of whom these facts are known."""
    return resolve(tenant(*facts), WORLD, at, at + 1, **named)[0].meters


def zone(name, *history):
    return NewFact(TIMEZONE, 0, {"zone": name, "history": [list(each) for each in history]})


def test_a_subscription_that_just_runs_is_one_instant():
    """Most tenants: nothing else is kept of them, and nothing is lost."""
    found = meters(sub("pro", starts=START))
    # Its plan was said in 1970.
    assert found == Meters(START, "Asia/Kolkata", begun=START, unchanged=0)
    found = Meters(START, "Asia/Kolkata", begun=START, unchanged=START)

    assert packed(found, WORLD) == START
    assert unpacked(START, WORLD) == found


@pytest.mark.parametrize(
    "facts",
    [
        [sub("pro")],
        [sub("pro", starts=START, anchor=START - DAY)],
        [sub("pro", starts=START), zone("UTC", [0, "UTC"])],
        [sub("pro", starts=START), zone("UTC", [0, "Asia/Kolkata"], [5, "UTC"])],
        [sub("pro", starts=START), sub("free", "second", starts=START)],
        [],
    ],
)
def test_what_is_more_is_kept_as_it_is(facts):
    """Nothing of what metering needs gets lost near."""
    found = meters(*facts)

    assert packed(found, WORLD) is found
    assert unpacked(found, WORLD) is found


def test_those_without_a_subscription_share_theirs():
    """A hundred thousand of them cost nothing."""
    assert meters() is meters()
    assert meters() == Meters(None, "Asia/Kolkata")


def test_the_anchor_is_that_of_the_highest_plan_in_force():
    """Others are kept beside it, since features may be sold by them alone."""
    found = meters(
        sub("pro", "gone", starts=1, ends=NOW - DAY), sub("free", "low", starts=2), sub("pro", "high", starts=3)
    )

    assert found.anchor == 3
    assert [(each.name, each.anchor) for each in found.others] == [("low", 2), ("gone", 1)]


def test_a_subscription_that_is_over_still_says_when_windows_begin():
    """So falling back to the default plan does not begin a window anew."""
    assert meters(sub("pro", starts=START, ends=NOW - DAY)).anchor == START


def test_zones_are_names_and_one_where_there_was_one():
    """The history of several is kept, since the window that is running ends in the old zone."""
    assert meters(sub("pro", timezone="Europe/Paris")).zones == "Europe/Paris"
    assert meters(zone("UTC", [0, "Asia/Kolkata"], [NOW, "UTC"])).zones == ((0, "Asia/Kolkata"), (NOW, "UTC"))


def test_a_host_that_keeps_subscriptions_says_it_all():
    """The anchor and the zone of what it describes."""
    host = (Terms("host", "pro", None, (), Times(starts=5), anchor=7, timezone="UTC"),)
    found = meters(sub("free", starts=9), host=host)

    assert (found.anchor, found.zones) == (7, "UTC")


def test_segments_share_what_does_not_change():
    """A subscription that will be cancelled: the anchor is the same behind that."""
    segments = resolve(tenant(sub("pro", starts=START, cancel_at=NOW + DAY)), WORLD, NOW, NOW + 9 * DAY)

    assert len(segments) == 2
    assert segments[0].meters is segments[1].meters


def test_what_is_not_sold_has_no_allowance():
    """Nothing is counted for what nobody sells."""
    segment = resolve(tenant(sub("pro")), WORLD, NOW, NOW + 1)[0]
    feature = WORLD.catalog.features["coins"]

    assert own_allowance(feature, NOW, standpoint=segment.standpoint, meters=segment.meters) is None
