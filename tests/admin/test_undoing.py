"""Undoing: what was touched is, from now on, what it would be without the change."""

from __future__ import annotations

import pytest

from payaid_entitlements.core.controls import OBSERVE, OFF
from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.values import DENY, UNLIMITED, Allowance
from payaid_entitlements.errors import ChangeConflict, ConfigurationError, OperationConflict
from tests.admin.conftest import SOLD, TODAY, at, edited, facts


def test_an_upgrade_is_undone(shop, admin):
    """With what it had dropped: the downgrade that was scheduled is there again."""
    admin.subscribe("acme", "big")
    admin.change_plan("acme", "free", when=at(5))
    change = admin.change_plan("acme", "pro")
    shop.clock.advance(days=1)
    undone = admin.undo(change.id)
    assert (facts(undone), undone.effective_at) == ((True, "change.applied"), at(1))
    assert shop.worth("acme", "seats") == Allowance(UNLIMITED)
    shop.clock.travel_to(at(5))
    assert shop.worth("acme", "seats") == Allowance(1)
    entry = shop.trail("acme")[-1]
    assert (entry.verb, entry.detail["undoes"]) == ("undo", change.id)


def test_an_add_on_that_came_since_ends_where_it_is_not_for_the_plan_of_before(shop, admin):
    """Nobody keeps what the plan does not allow; undoing that brings both back."""
    admin.subscribe("acme", "big")
    change = admin.change_plan("acme", "pro")
    shop.clock.advance(hours=1)
    admin.set_add_on("acme", "contacts", 1)
    shop.clock.advance(hours=1)
    undone = admin.undo(change.id)
    assert [str(each) for each in undone.altered] == ["plan: pro@1 -> big@1", "add on contacts: 1 (version 1) -> none"]
    assert shop.worth("acme", "crm.contacts") == Allowance(10)
    admin.undo(undone.id)
    assert shop.worth("acme", "crm.contacts") == Allowance(10)
    assert shop.check("acme", "seats").plan == "pro"


def test_an_add_on_that_came_since_gives_nothing_where_the_subscription_is_undone(shop, admin):
    """It belongs to no plan; a subscription that begins later does not inherit it."""
    admin.set_timezone("acme", "Asia/Kolkata")
    change = admin.subscribe("acme", "pro")
    admin.set_add_on("acme", "more_seats", 1)
    admin.undo(change.id)
    assert shop.check("acme", "seats").reason is Reason.PLAN_DEFAULT
    admin.subscribe("acme", "pro")
    assert shop.worth("acme", "seats") == Allowance(5)


def test_what_was_to_come_when_a_late_message_arrived_is_there_after_its_undoing(shop, admin):
    """Undoing is the last word, and says again what was said after the message."""
    admin.subscribe("acme", "pro", as_of=at(-9))
    admin.change_plan("acme", "free", when=at(9), as_of=at(-1))
    late = admin.change_plan("acme", "big", as_of=at(-2))
    admin.undo(late.id)
    assert shop.check("acme", "seats").plan == "pro"
    shop.clock.travel_to(at(9))
    assert shop.check("acme", "seats").plan == "free"


def test_what_it_takes_away_now_and_later_is_told(shop, admin):
    """The trial, and that it ends, come back: both the smaller plan now and its end are losses."""
    admin.subscribe("acme", "pro", trial=True)
    admin.cancel("acme")
    bought = admin.change_plan("acme", "big")
    undone = admin.undo(bought.id)
    assert undone.effective_at == at(14)
    assert "seats: unlimited -> 5" in undone.losses
    assert "books" in undone.losses


def test_an_undoing_is_undone(shop, admin):
    """There and back, as often as somebody likes, always the newest first."""
    admin.subscribe("acme", "pro")
    first = admin.override("acme", "seats", 50)
    second = admin.undo(first.id)
    assert shop.worth("acme", "seats") == Allowance(5)
    third = admin.undo(second.id)
    assert shop.worth("acme", "seats") == Allowance(50)
    admin.undo(third.id)
    assert shop.worth("acme", "seats") == Allowance(5)


def test_what_was_changed_since_is_undone_first(shop, admin):
    """The later change is named; other things that were changed meanwhile do not matter."""
    admin.subscribe("acme", "pro")
    first = admin.override("acme", "seats", 50)
    admin.override("acme", "crm.export", DENY)
    second = shop.admin("ravi").override("acme", "seats", 70)
    with pytest.raises(ChangeConflict, match=f"by override of ravi at .*undo '{second.id}' first") as caught:
        admin.undo(first.id)
    assert (caught.value.expected, caught.value.found) == (first.revision, second.revision)
    assert shop.worth("acme", "seats") == Allowance(70)
    admin.undo(second.id)
    assert facts(admin.undo(first.id)) == (True, "change.applied")
    assert shop.worth("acme", "seats") == Allowance(5)
    assert shop.check("acme", "crm.export").reason is Reason.OVERRIDE_DENIED


def test_a_change_of_another_tenant_is_not_in_the_way(admin):
    """Undoing looks at one tenant."""
    first = admin.override("acme", "seats", 50)
    admin.override("globex", "seats", 70)
    assert facts(admin.undo(first.id)) == (True, "change.applied")


def test_a_long_history_is_read_to_its_end(admin):
    """A conflict that lies pages behind is found."""
    first = admin.override("acme", "seats", 50)
    for number in range(501):
        admin.override("acme", "crm.contacts", number)
    last = admin.override("acme", "seats", 70)
    with pytest.raises(ChangeConflict, match=last.id):
        admin.undo(first.id)


def test_a_subscription_that_was_begun_by_mistake_is_undone(shop, admin):
    """The tenant then holds the default plan; every subject that began with it ends."""
    change = admin.subscribe("acme", "pro", trial=True, add_ons={"more_seats": 1})
    admin.undo(change.id)
    assert shop.check("acme", "seats").reason is Reason.PLAN_DEFAULT
    assert shop.document("acme").value(("subscription", "main", "plan"), 2**62) is None


def test_a_switch_is_undone(shop, admin):
    """A kill switch, and a mode that was or was not set before."""
    killed = admin.kill("crm")
    admin.undo(killed.id)
    assert shop.check("acme", "crm").allowed
    first = admin.set_enforcement("books", OBSERVE)
    second = admin.set_enforcement("books", OFF)
    admin.set_enforcement("old", OFF)
    with pytest.raises(ChangeConflict, match=second.id):
        admin.undo(first.id)
    assert [str(each) for each in admin.undo(second.id).altered] == ["enforcement of books: off -> observe"]
    assert [str(each) for each in admin.undo(first.id).altered] == ["enforcement of books: observe -> not set"]
    assert not shop.check("acme", "books").allowed
    assert shop.check("acme", "old").allowed
    assert shop.trail()[-1].detail["undoes"] == first.id


def test_what_was_published_is_not_undone_but_published_again(shop, admin):
    """Somebody may hold it already."""
    change = admin.publish(edited(pro={"seats": 3}))
    with pytest.raises(ConfigurationError, match="publish the earlier file again"):
        admin.undo(change.id)
    admin.publish(SOLD)
    admin.subscribe("acme", "pro")
    assert shop.worth("acme", "seats") == Allowance(5)


def test_what_was_forgotten_cannot_come_back(shop, admin):
    """Neither by undoing the forgetting nor by undoing what was before it."""
    change = admin.override("acme", "seats", 50)
    forgotten = admin.forget("acme")
    admin.subscribe("acme", "pro")
    for each in (change, forgotten):
        with pytest.raises(ConfigurationError, match="'acme' was forgotten"):
            admin.undo(each.id)
    assert shop.worth("acme", "seats") == Allowance(5)


def test_there_must_be_such_a_change(admin):
    """A typo is told, and so is an id that identifies nothing."""
    with pytest.raises(ConfigurationError, match=r"no change '0000'.*payaid audit"):
        admin.undo("0000")
    for nobody in ("", None, 5):
        with pytest.raises(TypeError):
            admin.undo(nobody)


@pytest.mark.parametrize("kind", ["override", "kill"])
def test_undoing_twice_by_one_operation_happens_once(shop, admin, kind):
    """As with all verbs; for another change the same operation conflicts."""
    change = admin.override("acme", "seats", 50) if kind == "override" else admin.kill("crm")
    other = admin.override("acme", "crm.contacts", 9) if kind == "override" else admin.kill("books")
    first = admin.undo(change.id, operation="U-1")
    again = admin.undo(change.id, operation="U-1")
    assert (facts(again), again.id) == ((False, "change.repeated"), first.id)
    tried = shop.admin(dry_run=True).undo(change.id, operation="U-1")
    assert (facts(tried), tried.id) == ((False, "change.repeated"), first.id)
    with pytest.raises(OperationConflict):
        admin.undo(other.id, operation="U-1")
    with pytest.raises(ChangeConflict):
        admin.undo(change.id, operation="U-2")


@pytest.mark.parametrize("verb", ["override", "kill"])
def test_an_undoing_is_tried_out(shop, admin, verb):
    """A dry run says what would be, or why it cannot be, and writes nothing."""
    change = admin.override("acme", "seats", 50) if verb == "override" else admin.kill("crm")
    before = len(shop.trail())
    tried = shop.admin(dry_run=True).undo(change.id)
    assert facts(tried) == (False, "change.dry_run")
    assert len(tried.altered) == 1
    assert len(shop.trail()) == before


def test_an_undone_change_leaves_the_past_as_it_was(shop, admin):
    """What was answered yesterday stays explained."""
    admin.subscribe("acme", "pro")
    shop.clock.advance(days=1)
    change = admin.override("acme", "seats", 50)
    shop.clock.advance(days=1)
    admin.undo(change.id)
    explained = [shop.run(shop.ent.explain("acme", "seats", at=when)).decision.value for when in (TODAY, at(1), at(2))]
    assert explained == [Allowance(5), Allowance(50), Allowance(5)]
