"""What a change is called, by what a tenant is found, and how a change is said the other way round."""

from __future__ import annotations

import pytest

from payaid_entitlements.core.alterations import altered, named, worded
from payaid_entitlements.core.altered import Altered
from payaid_entitlements.core.facts import NewFact, Recorded, record
from payaid_entitlements.core.instant import DAY
from payaid_entitlements.core.licensed import licensed
from payaid_entitlements.core.subscription import Terms, Times, subject
from payaid_entitlements.core.undoing import restored
from payaid_entitlements.core.values import DENY
from tests.core.conftest import NOW, override, status, sub, tenant, world_of

WORLD = world_of()


@pytest.mark.parametrize(
    ("about", "words"),
    [
        (subject("main", "plan"), "plan"),
        (subject("main", "past_due_since"), "past due since"),
        (subject("main", "add_on", "more_seats"), "add on more seats"),
        (subject("second", "plan"), "plan of subscription second"),
        (("override", "seats"), "override of seats"),
        (("override", "seats", "u"), "override of seats for user u"),
        (("status",), "status"),
    ],
)
def test_a_subject_is_named_for_people(about, words):
    """The usual subscription needs no name."""
    assert named(about) == words


@pytest.mark.parametrize(
    ("about", "value", "words"),
    [
        (("status",), None, "none"),
        (("status",), "suspended", "suspended"),
        (subject("main", "plan"), {"plan": "pro", "version": 2}, "pro@2"),
        (subject("main", "ends"), NOW, "2026-09-21 14:13:20+00:00"),
        (subject("main", "add_on", "more_seats"), {"quantity": 2, "version": 3}, "2 (version 3)"),
        (("override", "crm"), {"to": True, "until": None}, "allowed"),
        (("override", "crm"), {"to": False, "until": None}, "denied"),
        (
            ("override", "seats"),
            {"to": {"limit": 7, "per": None}, "until": NOW},
            "7 until 2026-09-21 14:13:20+00:00",
        ),
        (("override", "days"), {"to": 7, "until": None}, "7"),
        (("timezone",), {"zone": "Asia/Kolkata", "history": []}, "Asia/Kolkata"),
    ],
)
def test_a_value_is_worded_for_people(about, value, words):
    """Instants are told as times, plans with their version."""
    assert worded(about, value) == words


def test_what_was_only_confirmed_is_not_told():
    """Altered is what is otherwise than before."""
    facts = (
        Recorded(subject("main", "plan"), NOW, {"plan": "pro", "version": 1}, {"plan": "free", "version": 1}, said=NOW),
        Recorded(("status",), NOW, None, None, said=NOW),
    )
    assert altered(facts) == (Altered("plan", "free@1", "pro@1", NOW),)
    assert str(altered(facts)[0]) == "plan: free@1 -> pro@1"


def plan(key):
    return {"plan": key, "version": 1}


def test_what_was_to_come_and_is_dropped_is_told():
    """With the instant from which it would have been otherwise; what is said again as it was is not told."""
    about = subject("main", "plan")
    coming = [NewFact(about, 0, plan("free")), NewFact(about, NOW + DAY, plan("big"))]
    known = tenant(coming, [NewFact(about, NOW + 2 * DAY, plan("pro"))])
    dropped = record(known, [NewFact(about, NOW, plan("free"))], recorded=NOW)
    assert [str(each) for each in altered(dropped.recorded)] == [
        "plan from 2026-09-22 14:13:20+00:00: big@1 -> free@1",
        "plan from 2026-09-23 14:13:20+00:00: pro@1 -> free@1",
    ]
    again = record(known, [NewFact(about, NOW, plan("pro")), coming[1]], recorded=NOW)
    assert [(str(each), each.since) for each in altered(again.recorded)] == [
        ("plan: free@1 -> pro@1", NOW),
        ("plan from 2026-09-23 14:13:20+00:00: pro@1 -> big@1", NOW + 2 * DAY),
    ]


def test_what_a_late_message_leaves_to_come_is_not_told():
    """What was said after it stays: that is no alteration."""
    about = subject("main", "plan")
    planned = record(tenant(), [NewFact(about, NOW + DAY, plan("free"))], recorded=NOW, as_of=NOW).document
    late = record(planned, [NewFact(about, NOW - DAY, plan("pro"))], recorded=NOW, as_of=NOW - DAY)
    assert [str(each) for each in altered(late.recorded)] == ["plan: none -> pro@1"]
    assert late.recorded[0].kept == ((NOW + DAY, plan("free")),)


def test_of_several_words_what_counts_is_told():
    """A second failed payment alters nothing."""
    about = subject("main", "past_due_since")
    facts = (Recorded(about, NOW, {"first": 5, "said": [[1, 5], [NOW, 9]]}, 5, said=NOW),)
    assert altered(facts) == ()


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ([], (None, ())),
        ([sub("pro", "a"), sub("free", "b")], ("pro", ("crm", "books", "old"))),
        ([sub("pro", ends=NOW), status("suspended")], ("pro", ("crm", "books", "old"))),
        ([override("books", True)], (None, ("books",))),
        ([sub("pro"), override("books", DENY), override("old", False)], ("pro", ("crm",))),
    ],
)
def test_a_tenant_is_found_by_what_is_licensed_to_it(facts, found):
    """By its highest plan in whatever state, and by modules of subscriptions and overrides."""
    assert licensed(tenant(*facts), WORLD, NOW) == found


def test_a_tenant_of_the_host_is_found_by_what_the_host_says():
    """Subscriptions of the host replace those of the document."""
    host = (Terms("host", "free", None, (), Times()),)
    assert licensed(tenant(sub("big")), WORLD, NOW, host) == ("free", ("crm",))


def test_undoing_says_what_would_be_without_the_change():
    """The value of before from now on, and again all that was planned for later."""
    about = subject("main", "plan")
    plans = [NewFact(about, 0, "a"), NewFact(about, NOW + DAY, "b"), NewFact(about, NOW + 2 * DAY, "c")]
    change = record(tenant(plans), [NewFact(about, NOW, "x")], recorded=NOW)
    assert restored(change.recorded, NOW + DAY + 5) == (
        NewFact(about, NOW + DAY + 5, "b"),
        NewFact(about, NOW + 2 * DAY, "c"),
    )
    later = record(tenant(plans), [NewFact(about, NOW + DAY, "x")], recorded=NOW)
    assert restored(later.recorded, NOW) == (
        NewFact(about, NOW + DAY, "b"),
        NewFact(about, NOW + 2 * DAY, "c"),
    )
