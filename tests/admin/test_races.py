"""Somebody else is faster, or the answer is lost: a change is worked out anew, or says that nobody knows."""

from __future__ import annotations

import pytest

from payaid_entitlements.admin.tenants import MOST_TRIES
from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.values import Allowance
from payaid_entitlements.errors import ChangeConflict, OutcomeUnknown, StoreUnavailable
from tests.admin.conftest import TODAY, edited, facts


def outrun(shop, times, rival):
    """Let *rival* change something just before each of the next *times* writes."""
    left = [times]

    def before(name):
        if name == "apply" and left[0]:
            left[0] -= 1
            rival(times - left[0])

    shop.faults.before = before


def test_a_lost_race_is_run_again_on_what_the_winner_left(shop, admin):
    """Nothing of the winner's is lost, and the change says what it really did."""
    admin.subscribe("acme", "pro")
    rival = shop.rival()
    outrun(shop, 2, lambda number: rival.set_add_on("acme", "more_seats", number))
    change = admin.change_plan("acme", "free")
    assert (facts(change), change.revision) == ((True, "change.applied"), 4)
    assert "seats: 15 -> 11" in change.losses
    assert shop.worth("acme", "seats") == Allowance(11)
    assert [entry.actor for entry in shop.trail("acme")] == ["asha", "ravi", "ravi", "asha"]


def test_who_loses_every_race_is_told_who_won(shop, admin):
    """After so many tries; nothing was written."""
    admin.subscribe("acme", "pro")
    rival = shop.rival()
    outrun(shop, MOST_TRIES, lambda number: rival.override("acme", "crm.contacts", number))
    with pytest.raises(ChangeConflict, match="override by ravi") as caught:
        admin.change_plan("acme", "big")
    assert caught.value.found == caught.value.expected + 1
    assert shop.check("acme", "seats").plan == "pro"
    outrun(shop, MOST_TRIES - 1, lambda number: rival.override("acme", "crm.contacts", 100 + number))
    assert facts(admin.change_plan("acme", "big")) == (True, "change.applied")


def test_who_looked_at_an_older_revision_is_refused(shop, admin):
    """Also where somebody is faster in the same moment; and what was done already stays done."""
    seen = admin.subscribe("acme", "pro").revision
    change = admin.override("acme", "seats", 20, expect=seen, operation="a")
    with pytest.raises(ChangeConflict, match="'acme' is at revision 2, and you looked at 1") as caught:
        admin.override("acme", "seats", 30, expect=seen)
    assert (caught.value.expected, caught.value.found) == (seen, change.revision)
    assert facts(admin.override("acme", "seats", 20, expect=seen, operation="a")) == (False, "change.repeated")
    rival = shop.rival()
    outrun(shop, 1, lambda number: rival.override("acme", "seats", 9))
    with pytest.raises(ChangeConflict, match="at revision 3, and you looked at 2"):
        admin.clear_override("acme", "seats", expect=change.revision)
    assert facts(admin.clear_override("acme", "seats", expect=3)) == (True, "change.applied")
    assert facts(admin.override("globex", "seats", 9, expect=0)) == (True, "change.applied")
    with pytest.raises(TypeError, match="expect='1': the revision of a tenant"):
        admin.override("acme", "seats", 30, expect="1")


def test_a_race_that_makes_a_change_needless_ends_it(shop, admin):
    """Somebody else did the same a moment ago."""
    admin.subscribe("acme", "pro")
    rival = shop.rival()
    outrun(shop, 1, lambda number: rival.change_plan("acme", "big"))
    assert facts(admin.change_plan("acme", "big")) == (False, "change.unchanged")


def test_switches_are_raced_for_too(shop, admin):
    """Both turns count: neither overwrites the other."""
    rival = shop.rival()
    outrun(shop, 1, lambda number: rival.kill("books"))
    assert facts(admin.kill("crm")) == (True, "change.applied")
    shop.faults.before = None
    assert shop.memory.controls().revision == 2
    assert shop.memory.controls().killed == {"crm", "books"}
    outrun(shop, MOST_TRIES, lambda number: (rival.kill if number % 2 else rival.restore)("old"))
    with pytest.raises(ChangeConflict):
        admin.restore("crm")
    assert "crm" in shop.memory.controls().killed


def test_two_who_publish_do_not_overwrite_each_other(shop, admin):
    """Whoever loses publishes on top of the winner: no version is lost."""
    admin.subscribe("acme", "pro")
    rival = shop.rival()
    outrun(shop, 1, lambda number: rival.publish(edited(pro={"seats": 4})))
    change = admin.publish(edited(pro={"seats": 3}))
    assert [str(each) for each in change.altered] == ["plan pro: version 2 -> version 3"]
    sold = shop.memory.catalog()
    assert [sold.plan("pro", version).features["seats"].limit for version in (1, 2, 3)] == [5, 4, 3]
    outrun(shop, MOST_TRIES, lambda number: rival.publish(edited(pro={"seats": 10 + number})))
    with pytest.raises(ChangeConflict):
        admin.publish(edited(pro={"seats": 8}))


@pytest.mark.parametrize("verb", ["subscribe", "kill", "undo"])
def test_a_lost_reply_is_resolved_by_repeating(shop, admin, verb):
    """Nobody knows whether it happened; the same operation again finds out, and it has happened once."""
    given = admin.override("acme", "seats", 50)
    arguments = {"subscribe": ("acme", "pro"), "kill": ("crm",), "undo": (given.id,)}[verb]
    shop.faults.loses_replies = True
    with pytest.raises(OutcomeUnknown) as caught:
        getattr(admin, verb)(*arguments, operation="evt_1")
    assert caught.value.operation == "evt_1"
    shop.faults.loses_replies = False
    again = getattr(admin, verb)(*arguments, operation=caught.value.operation)
    assert facts(again) == (False, "change.repeated")
    assert [entry.verb for entry in shop.trail()].count(verb) == 1
    shop.clock.advance(seconds=5)
    if verb == "subscribe":
        assert shop.check("acme", "books").allowed
    elif verb == "kill":
        assert shop.check("acme", "crm").reason is Reason.ENFORCEMENT_KILLED
    else:
        assert shop.worth("acme", "seats") == Allowance(1)


def test_a_write_that_never_arrived_is_done_by_repeating(shop, admin):
    """Down before the write: nothing happened, and the same operation does it now."""
    admin.subscribe("acme", "free")

    def fail(name):
        if name == "apply":
            raise OutcomeUnknown("lost on the way (a test says so)", operation="evt_1")

    shop.faults.before = fail
    with pytest.raises(OutcomeUnknown):
        admin.change_plan("acme", "pro", operation="evt_1")
    shop.faults.before = None
    assert facts(admin.change_plan("acme", "pro", operation="evt_1")) == (True, "change.applied")


def test_an_outage_is_an_outage(shop, admin):
    """Nothing is half done, and nothing that is near is believed to have changed."""
    admin.subscribe("acme", "pro")
    shop.faults.is_down = True
    for verb, arguments in (
        ("change_plan", ("acme", "big")),
        ("kill", ("crm",)),
        ("publish", (edited(pro={"seats": 3}),)),
    ):
        with pytest.raises(StoreUnavailable):
            getattr(admin, verb)(*arguments)
    shop.faults.is_down = False
    assert shop.worth("acme", "seats") == Allowance(5)
    assert shop.document("acme").revision == 1


def test_a_change_is_seen_by_its_own_process_at_once_and_by_others_soon(shop, admin):
    """Its revision, handed to another process, makes that one look."""
    other = shop.beside()
    assert not other.check("acme", "books").allowed
    change = admin.subscribe("acme", "pro")
    assert other.check("acme", "books", after=change.revision).allowed
    quiet = shop.beside()
    assert quiet.check("acme", "books").allowed
    admin.suspend("acme")
    assert not shop.check("acme", "books").allowed
    shop.clock.advance(seconds=5)
    assert quiet.check("acme", "books").reason is Reason.SUBSCRIPTION_SUSPENDED
    assert admin.reinstate("acme").effective_at > TODAY
