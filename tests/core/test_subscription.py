"""A subscription is times; its state is computed from them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.catalog.model import Access, Lifecycle, Stage
from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.facts import NewFact
from payaid_entitlements.core.instant import DAY, instant
from payaid_entitlements.core.subscription import (
    EXPIRING_WITHIN,
    HeldAddOn,
    Standing,
    State,
    Subscription,
    Terms,
    Times,
    boundaries,
    opens_at,
    standing,
    subject,
    terms_at,
    terms_of,
)
from payaid_entitlements.errors import ConfigurationError, StoreDamaged
from tests.core.conftest import NOW, sub, tenant

STAGED = Lifecycle((Stage(Access.FULL, 7 * DAY), Stage(Access.READ_ONLY, 14 * DAY), Stage(Access.NONE)))
FULL, READ, NONE = Access.FULL, Access.READ_ONLY, Access.NONE


@pytest.mark.parametrize(
    ("times", "state", "access", "denial", "advisory"),
    [
        (Times(), State.ACTIVE, FULL, None, None),
        (Times(starts=NOW), State.ACTIVE, FULL, None, None),
        (Times(starts=NOW + 1), State.SCHEDULED, NONE, Reason.SUBSCRIPTION_SCHEDULED, None),
        (Times(trial_end=NOW + 9 * DAY), State.TRIALING, FULL, None, None),
        (Times(trial_end=NOW + 1), State.TRIALING, FULL, None, Reason.SUBSCRIPTION_EXPIRING),
        (Times(trial_end=NOW), State.TRIAL_ENDED, NONE, Reason.SUBSCRIPTION_TRIAL_ENDED, None),
        (Times(ends=NOW + 1), State.ACTIVE, FULL, None, Reason.SUBSCRIPTION_EXPIRING),
        (Times(ends=NOW + EXPIRING_WITHIN + 1), State.ACTIVE, FULL, None, None),
        (Times(ends=NOW + EXPIRING_WITHIN), State.ACTIVE, FULL, None, Reason.SUBSCRIPTION_EXPIRING),
        (Times(ends=NOW), State.ENDED, NONE, Reason.SUBSCRIPTION_ENDED, None),
        (Times(cancel_at=NOW + 1), State.ACTIVE, FULL, None, Reason.SUBSCRIPTION_EXPIRING),
        (Times(cancel_at=NOW), State.CANCELLED, NONE, Reason.SUBSCRIPTION_CANCELLED, None),
        (
            Times(cancel_at=NOW, ends=NOW, trial_end=NOW),
            State.CANCELLED,
            NONE,
            Reason.SUBSCRIPTION_CANCELLED,
            None,
        ),
        (Times(ends=NOW, trial_end=NOW), State.ENDED, NONE, Reason.SUBSCRIPTION_ENDED, None),
        (Times(starts=NOW + 1, ends=NOW), State.SCHEDULED, NONE, Reason.SUBSCRIPTION_SCHEDULED, None),
        (Times(paused_from=NOW + 1), State.ACTIVE, FULL, None, None),
        (Times(paused_from=NOW), State.PAUSED, READ, Reason.SUBSCRIPTION_PAUSED, None),
        (
            Times(paused_from=NOW - 9, paused_until=NOW + 1),
            State.PAUSED,
            READ,
            Reason.SUBSCRIPTION_PAUSED,
            None,
        ),
        (Times(paused_from=NOW - 9, paused_until=NOW), State.ACTIVE, FULL, None, None),
        (Times(paused_from=NOW, ends=NOW), State.ENDED, NONE, Reason.SUBSCRIPTION_ENDED, None),
        (Times(past_due_since=NOW + 1), State.ACTIVE, FULL, None, None),
        (
            Times(past_due_since=NOW),
            State.PAST_DUE,
            FULL,
            Reason.SUBSCRIPTION_PAST_DUE,
            Reason.SUBSCRIPTION_IN_GRACE,
        ),
        (
            Times(past_due_since=NOW - 7 * DAY),
            State.PAST_DUE,
            READ,
            Reason.SUBSCRIPTION_PAST_DUE,
            Reason.SUBSCRIPTION_IN_GRACE,
        ),
        (
            Times(past_due_since=NOW - 21 * DAY),
            State.PAST_DUE,
            NONE,
            Reason.SUBSCRIPTION_PAST_DUE,
            Reason.SUBSCRIPTION_IN_GRACE,
        ),
        (Times(past_due_since=NOW, paused_from=NOW), State.PAUSED, READ, Reason.SUBSCRIPTION_PAUSED, None),
        (
            Times(past_due_since=NOW - 21 * DAY, paused_from=NOW),
            State.PAST_DUE,
            NONE,
            Reason.SUBSCRIPTION_PAST_DUE,
            Reason.SUBSCRIPTION_IN_GRACE,
        ),
    ],
)
def test_where_a_subscription_stands(times, state, access, denial, advisory):
    """Boundaries are half-open; what is over is over; of two troubles the one that leaves less decides."""
    assert standing(times, STAGED, NOW) == Standing(state, access, denial, advisory)


@pytest.mark.parametrize(
    ("lifecycle", "days", "access"),
    [
        (Lifecycle(()), 0, NONE),
        (Lifecycle((Stage(Access.READ_ONLY),)), 10_000, READ),
        (Lifecycle((Stage(Access.FULL, DAY),)), 0, FULL),
        (Lifecycle((Stage(Access.FULL, DAY),)), 1, NONE),
        (Lifecycle(), 6, FULL),
        (Lifecycle(), 7, NONE),
    ],
)
def test_stages_follow_one_another_and_nothing_follows_the_last(lifecycle, days, access):
    """A last stage without a length goes on for ever; after one with a length nothing is left."""
    assert standing(Times(past_due_since=NOW), lifecycle, NOW + days * DAY).access is access


marks = st.none() | st.integers(-30, 30).map(lambda day: NOW + day * DAY)
all_times = st.builds(Times, *[marks] * 7)


@given(all_times, st.integers(-60 * DAY, 60 * DAY))
def test_a_standing_changes_at_boundaries_only(times, shift):
    """Between two boundaries nothing changes: what was computed for one instant holds up to the next."""
    at = NOW + shift
    following = min((when for when in boundaries(times, STAGED) if when > at), default=at + 100 * DAY)
    now = standing(times, STAGED, at)
    for later in {at + 1, (at + following) // 2, following - 1}:
        if at <= later < following:
            assert standing(times, STAGED, later) == now


@given(all_times)
def test_waiting_opens_what_it_promises_to_open(times):
    """The instant at which a subscription opens by itself is later, and it is open in full then."""
    now = standing(times, STAGED, NOW)
    at = opens_at(times, STAGED, now)
    if at is not None:
        assert at > NOW
        assert now.state in (State.SCHEDULED, State.PAUSED)
        assert standing(times, STAGED, at).access is Access.FULL


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (Times(starts=NOW + 5), NOW + 5),
        (Times(starts=NOW + 5, ends=NOW + 5), None),
        (Times(paused_from=NOW, paused_until=NOW + 5), NOW + 5),
        (Times(paused_from=NOW), None),
        (Times(paused_from=NOW, paused_until=NOW + 5, past_due_since=NOW - 8 * DAY), None),
        (Times(), None),
        (Times(ends=NOW), None),
    ],
)
def test_only_a_beginning_or_the_end_of_a_pause_is_worth_waiting_for(times, expected):
    """What is overdue or over does not open by waiting."""
    assert opens_at(times, STAGED, standing(times, STAGED, NOW)) == expected


def test_terms_are_read_from_facts():
    """Fields, add-ons above 0 and times are read as they are at the instant, subscriptions by their names."""
    document = tenant(
        sub(
            "pro",
            "b",
            version=2,
            add_ons={"seats": 2, "none": 0},
            starts=5,
            timezone="Asia/Kolkata",
        ),
        sub("free", "a", anchor=7),
        [
            NewFact(subject("c", "starts"), 0, 5),
            NewFact(subject("later", "plan"), NOW + 1, {"plan": "x", "version": 1}),
        ],
        NewFact(("status",), 0, "suspended"),
    )
    assert terms_at(document, NOW) == (
        Terms("a", "free", 1, (), Times(), anchor=7),
        Terms("b", "pro", 2, (HeldAddOn("seats", 2, 1),), Times(starts=5), timezone="Asia/Kolkata"),
    )
    assert len(terms_at(document, NOW + 1)) == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            (name, value)
            for name in ("starts", "ends", "cancel_at", "anchor")
            for value in ("5", 5.0, True, [5], 2**80)
        ),
        ("timezone", 5),
        ("paused_until", {}),
        ("trial_end", -(2**80)),
    ],
)
def test_a_time_that_cannot_be_read_gives_nothing(field, value):
    """Left out, an end would be no end."""
    document = tenant(sub("pro"), NewFact(subject("main", field), 0, value))
    says = f"subscription main {field} of tenant 'acme' is damaged, or of a newer release: {str(value)!r}"
    with pytest.raises(StoreDamaged, match=re.escape(says)):
        terms_at(document, NOW)


@pytest.mark.parametrize(
    "said",
    [
        2,
        True,
        {},
        {"quantity": 2},
        {"version": 2},
        *(
            {"quantity": 2, "version": 1} | {field: value}
            for field in ("quantity", "version")
            for value in ("2", 2.0, True, 0, -1, [2], None, 10**9 + 1)
        ),
    ],
)
def test_an_add_on_that_cannot_be_read_gives_nothing(said):
    """Neither one of it nor none."""
    says = f"add_on seats of tenant 'acme' is damaged, or of a newer release: {str(said)!r}"
    with pytest.raises(StoreDamaged, match=re.escape(says)):
        terms_at(tenant(sub("pro"), NewFact(subject("main", "add_on", "seats"), 0, said)), NOW)


@pytest.mark.parametrize(
    ("quantity", "error"),
    [
        ("2", TypeError),
        (2.0, TypeError),
        (True, TypeError),
        (10**9 + 1, ConfigurationError),
        (10**5000, ConfigurationError),
    ],
    ids=["text", "float", "bool", "many", "endless"],
)
def test_a_host_that_counts_wrong_is_told(quantity, error):
    """What could not even be written is refused with a typed error, wherever it is read."""
    with pytest.raises(error, match="add-on 'seats'"):
        terms_of(Subscription("pro", add_ons={"seats": quantity}))


@pytest.mark.parametrize(
    ("described", "error", "told"),
    [
        ({"add_ons": {"seats": -3}}, ConfigurationError, "-3 of add-on 'seats' cannot be held; leave it out"),
        ({"add_ons": {"seats": -(10**5000)}}, ConfigurationError, "of add-on 'seats' at most 1,000,000,000"),
        ({"version": "1"}, TypeError, "version='1': a version is a whole number, or None for the newest"),
        ({"version": True}, TypeError, "version=True: a version is a whole number"),
        ({"add_on_versions": {"seats": 1.0}}, TypeError, "add_on_versions['seats']=1.0: a version is a whole number"),
        ({"timezone": "Mars/Phobos"}, ConfigurationError, "'Mars/Phobos'"),
        ({"timezone": 5}, TypeError, "a time zone is named by text such as 'Asia/Kolkata', not by 5"),
    ],
    ids=["negative", "endless", "text", "bool", "float", "place", "number"],
)
def test_a_host_that_describes_nonsense_is_told(described, error, told):
    """What is wrong, and the way out; nothing is taken for something else."""
    with pytest.raises(error, match=re.escape(told)):
        terms_of(Subscription("pro", **described))


@pytest.mark.parametrize("plan", ["pro", {"plan": "pro"}, {"plan": 1, "version": 1}, {"plan": "pro", "version": None}])
def test_a_damaged_plan_is_no_plan_of_another_sort(plan):
    """A fact that cannot be read raises; it never becomes some subscription."""
    with pytest.raises(ValueError, match="damaged"):
        terms_at(tenant(NewFact(subject("main", "plan"), 0, plan)), NOW)


def test_a_host_describes_a_subscription_with_datetimes():
    """What the host keeps in its own table is read into the same terms."""
    when = [datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 9)]
    described = Subscription(
        "pro",
        add_ons={"b": 1, "a": 2, "none": 0},
        add_on_versions={"a": 7, "none": 2},
        version=3,
        starts=when[0],
        anchor=when[7],
        timezone="Asia/Kolkata",
        trial_end=when[1],
        past_due_since=when[2],
        paused_from=when[3],
        paused_until=when[4],
        cancel_at=when[5],
        ends=when[6],
    )
    assert terms_of(described) == Terms(
        "host",
        "pro",
        3,
        (HeldAddOn("a", 2, 7), HeldAddOn("b", 1, None)),
        Times(*[instant(moment) for moment in when[:7]]),
        anchor=instant(when[7]),
        timezone="Asia/Kolkata",
    )
    assert terms_of(Subscription("free"), name="main") == Terms("main", "free", None, (), Times())


def test_a_naive_datetime_is_refused():
    """A datetime without a zone names no moment."""
    with pytest.raises(TypeError, match="no time zone"):
        terms_of(Subscription("pro", ends=datetime(2026, 1, 1)))
