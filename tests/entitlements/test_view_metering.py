"""A view says how a feature is counted: worked out once, and never by a copy that is too old or another's overrides."""

from __future__ import annotations

from datetime import timedelta

import pytest

from payaid_entitlements import UNLIMITED, Catalog, Entitlements
from payaid_entitlements.errors import StoreUnavailable, UnknownFeature
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.testing import FakeClock, FaultyStore
from tests.core.metering.conftest import COUNTED
from tests.entitlements.conftest import START


@pytest.fixture
def clock():
    return FakeClock(START)


@pytest.fixture
def store():
    return FaultyStore(MemoryStore())


@pytest.fixture
def ent(store, clock):
    with Entitlements(store, catalog=Catalog.load(COUNTED), clock=clock) as ent:
        ent.admin("asha", because="a test").subscribe("acme", "pro")
        yield ent


def test_it_is_worked_out_once(ent, clock):
    """The next request gets the same, until it is not so any more."""
    first = ent.tenant("acme").metering("crm.calls")
    assert ent.tenant("acme").metering("crm.calls") is first
    assert first.lines[0].cap == 100

    clock.advance(days=40)
    later = ent.tenant("acme").metering("crm.calls")
    assert later.window.start == first.window.end
    assert (first.holds.end, later.holds.start < later.holds.end) == (first.window.end, True)


def test_a_change_is_counted_by_at_once(ent):
    """A larger plan holds for the very next request."""
    assert ent.tenant("acme").metering("seats").limit == 25
    ent.admin("asha", because="a test").change_plan("acme", "max")

    assert ent.tenant("acme").metering("seats").limit is None


def test_what_was_remembered_is_not_believed_beyond_its_window(ent, clock):
    """Also by an entry that is still fresh: windows of a day end at noon, when this one was sold."""
    first = ent.tenant("acme").metering("crm.minutes")
    clock.advance(seconds=86_400 - 1)
    assert ent.tenant("acme").metering("crm.minutes").lines == first.lines
    before = ent.tenant("acme")
    clock.advance(seconds=1)
    after = ent.tenant("acme")

    assert after.metering("crm.minutes").window.start == first.window.end
    # A view is pinned: also when somebody asked for later meanwhile.
    assert before.metering("crm.minutes").lines == first.lines


def test_overrides_of_a_user_are_that_users(ent):
    """They say how much; where it is counted is the tenant's."""
    ent.admin("asha", because="a test").override("acme", "crm.calls", 500, user="boss")
    view = ent.tenant("acme")

    for _ in range(2):
        assert view.metering("crm.calls").lines[0].cap == 100
        (line,) = view.for_user("boss").metering("crm.calls").lines
        assert (line.cap, line.lot) == (500, view.metering("crm.calls").lines[0].lot)


def test_by_a_copy_nothing_is_counted(ent, store, clock):
    """Neither by an old one nor by none, and not by what was remembered."""
    ent.tenant("acme").metering("crm.calls")
    store.faults.is_down = True
    clock.advance(seconds=120)

    for tenant in ("acme", "unknown"):
        view = ent.tenant(tenant)
        assert view.stale
        with pytest.raises(StoreUnavailable, match="cannot be counted"):
            view.metering("crm.calls")


def test_only_what_is_counted_can_be_asked_for(ent):
    """Typed, and with the nearest key."""
    view = ent.tenant("acme")
    for key in ("crm.export", "crm"):
        with pytest.raises(TypeError, match="no units are counted"):
            view.metering(key)
    with pytest.raises(UnknownFeature, match=r"crm\.calls"):
        view.metering("crm.call")
    with pytest.raises(TypeError, match="is a str"):
        view.metering(None)


def test_zones_and_several_subscriptions_are_kept_near(ent):
    """What is more than an anchor is there too."""
    admin = ent.admin("asha", because="a test")
    admin.set_timezone("acme", "Europe/Paris")
    admin.override("acme", "crm.letters", UNLIMITED)

    assert ent.tenant("acme").metering("crm.letters").limit is None
    window = ent.tenant("acme").metering("crm.calls").window
    assert window.end - window.start == timedelta(days=31) // timedelta(microseconds=1)
