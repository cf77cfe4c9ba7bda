"""Holds: charged by what was really used, given back by whatever ends before, late is late."""

from __future__ import annotations

import gc
from datetime import timedelta
from decimal import Decimal

import pytest

from payaid_entitlements import Entitlements, Reason
from payaid_entitlements.errors import (
    ConfigurationError,
    NotEntitled,
    OperationConflict,
    OutcomeUnknown,
    QuotaExceeded,
    ReservationExpired,
    StoreUnavailable,
    TenantSuspended,
    UnknownOperation,
)
from payaid_entitlements.metering import attempts
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.testing import FaultyStore
from tests.entitlements.conftest import CATALOG as OTHER

OP = ("summary", 7)
PAGES = ("acme", "crm.pages", 8)


# -- the block ---------------------------------------------------------------------------------------------------------


def test_a_block_charges_what_was_really_used(stage, ent, left):
    """And the rest is free again."""

    def body(hold):
        assert (hold.tenant, hold.feature, hold.amount, hold.replayed) == (*PAGES, False)
        return hold.settle(3)

    used = stage.block(ent, body, *PAGES, operation=OP)
    assert (used.used, used.held, used.remaining, used.overage, used.replayed) == (3, 0, 7, 0, False)
    assert left() == (3, 0)


def test_what_is_held_is_not_there_for_others(stage, ent, left):
    """Until it is settled."""
    hold = stage.reserve(ent, *PAGES, operation=OP)
    assert left() == (0, 8)
    with pytest.raises(QuotaExceeded) as caught:
        ent.consume("acme", "crm.pages", 3, operation="other")
    assert (caught.value.decision.reason, caught.value.decision.usage.remaining) == (Reason.QUOTA_EXHAUSTED, 2)
    hold.settle(0)
    assert left() == (0, 0)
    ent.consume("acme", "crm.pages", 10, operation="other")


def test_a_block_without_settle_charges_all(stage, ent, left):
    """Silence is no gift."""
    stage.block(ent, lambda hold: None, *PAGES, operation=OP)
    assert left() == (8, 0)


def test_an_exception_before_settle_gives_all_back(stage, ent, left):
    """The work was not done."""
    with pytest.raises(ZeroDivisionError):
        stage.block(ent, lambda hold: 1 / 0, *PAGES, operation=OP)
    assert left() == (0, 0)


@pytest.mark.parametrize("actual", [None, 3])
def test_an_exception_after_settle_keeps_the_charge(stage, ent, left, actual):
    """The model has billed; that its answer cannot be parsed does not change that. Also where nobody awaited it."""

    def body(hold):
        hold.settle(actual)
        return 1 / 0

    with pytest.raises(ZeroDivisionError):
        stage.block(ent, body, *PAGES, operation=OP)
    assert left() == (actual or 8, 0)


def test_released_in_the_block_is_released(stage, ent, left):
    """Leaving it charges nothing."""
    stage.block(ent, lambda hold: hold.release(), *PAGES, operation=OP)
    assert left() == (0, 0)


def test_a_mistake_in_settle_gives_all_back(stage, ent, left):
    """Nothing was asked of the ledger: the block has failed before the point of no return."""
    for wrong in (True, 1.5, "3"):
        with pytest.raises(TypeError):
            stage.block(ent, lambda hold, wrong=wrong: hold.settle(wrong), *PAGES, operation=("x", str(wrong)))
    for impossible in (-1, Decimal("0.5")):
        with pytest.raises(ConfigurationError):
            stage.block(ent, lambda hold, n=impossible: hold.settle(n), *PAGES, operation=("x", str(impossible)))
    assert left() == (0, 0)


def test_handed_over_it_stays_when_the_block_ends(stage, ent, left):
    """Also by an exception: whoever it was handed over to has it."""

    def body(hold):
        assert hold.hand_over() == '["summary",7]'
        return 1 / 0

    with pytest.raises(ZeroDivisionError):
        stage.block(ent, body, *PAGES, operation=OP)
    assert left() == (0, 8)
    assert stage.reservation(ent, "acme", OP).settle(2).used == 2


# -- settling ----------------------------------------------------------------------------------------------------------


def test_settled_again_with_the_same_amount_is_a_repetition(stage, ent, left):
    """With another one it conflicts, and nothing is charged again; neither is it released nor extended."""
    hold = stage.reserve(ent, *PAGES, operation=OP)
    assert hold.settle(3).replayed is False
    again = hold.settle(3)
    assert (again.used, again.replayed) == (3, True)
    for other in (4, None):
        with pytest.raises(OperationConflict):
            hold.settle(other)
    with pytest.raises(OperationConflict, match="refund"):
        hold.release()
    with pytest.raises(OperationConflict):
        hold.extend(timedelta(seconds=1))
    assert left() == (3, 0)
    ent.refund("acme", operation=OP)
    assert left() == (0, 0)


def test_more_than_was_held_is_recorded(stage, ent, left):
    """It was used: within the limit it is no overage, beyond it shows."""
    within = stage.reserve(ent, "acme", "crm.pages", 2, operation="within").settle(5)
    assert (within.used, within.overage) == (5, 0)
    beyond = stage.reserve(ent, "acme", "crm.pages", 2, operation="beyond").settle(9)
    assert (beyond.used, beyond.overage, beyond.remaining) == (14, 4, 0)
    assert left() == (14, 0)


def test_amounts_have_the_digits_of_the_feature(stage, ent, left):
    """And no more."""
    hold = stage.reserve(ent, "acme", "crm.hours", Decimal("1.25"), operation=OP)
    assert (hold.amount, left("crm.hours")) == (Decimal("1.25"), (Decimal("0.00"), Decimal("1.25")))
    assert hold.settle(Decimal("0.75")).used == Decimal("0.75")


def test_credits_are_held_too(stage, ent, left):
    """At their cost."""
    hold = stage.reserve(ent, "acme", "crm.summaries", 4, operation=OP)
    assert left("ai_credits") == (0, 20)
    hold.settle(3)
    assert left("ai_credits") == (15, 0)


def test_settled_late_is_expired(stage, ent, left):
    """By the ledger's clock; nothing is charged, and the units are free by themselves."""
    hold = stage.reserve(ent, *PAGES, operation=OP, expires_in=timedelta(seconds=30))
    assert hold.expires_at == stage.clock.now() + timedelta(seconds=30)
    stage.clock.advance(seconds=30)
    with pytest.raises(ReservationExpired) as caught:
        hold.settle(3)
    assert caught.value.operation == '["summary",7]'
    assert left() == (0, 0)
    with pytest.raises(ReservationExpired):
        stage.block(ent, lambda hold: stage.clock.advance(minutes=5), "acme", "crm.pages", 1, operation="slow")
    hold.release()


def test_extended_it_lives_longer(stage, ent, left):
    """From its end, not from now."""
    hold = stage.reserve(ent, *PAGES, operation=OP, expires_in=timedelta(seconds=30))
    hold.extend(timedelta(seconds=30))
    assert hold.expires_at == stage.clock.now() + timedelta(seconds=60)
    stage.clock.advance(seconds=59)
    assert hold.settle(3).used == 3
    late = stage.reserve(ent, "acme", "crm.pages", 1, operation="late", expires_in=timedelta(seconds=1))
    stage.clock.advance(seconds=1)
    with pytest.raises(ReservationExpired):
        late.extend(timedelta(seconds=1))
    late.release()


@pytest.mark.parametrize("wrong", [5, None, "5m"])
def test_a_length_is_a_timedelta(stage, ent, wrong):
    """A bare number says no unit."""
    with pytest.raises(TypeError, match="expires_in"):
        ent.reserve(*PAGES, operation=OP, expires_in=wrong)
    hold = stage.reserve(ent, *PAGES, operation=OP)
    with pytest.raises(TypeError, match="by="):
        hold.extend(wrong)
    hold.release()


@pytest.mark.parametrize("wrong", [timedelta(0), timedelta(seconds=-1), timedelta(days=367), timedelta.max])
def test_a_length_is_positive_and_not_for_ever(stage, ent, wrong):
    """What never expires is lost with its process."""
    with pytest.raises(ConfigurationError, match="expires_in"):
        ent.reserve(*PAGES, operation=OP, expires_in=wrong)


# -- who may -----------------------------------------------------------------------------------------------------------


def test_less_left_is_a_refusal(stage, ent, left):
    """Nothing is set aside."""
    with pytest.raises(QuotaExceeded) as caught:
        ent.reserve("acme", "crm.pages", 11, operation=OP)
    assert caught.value.decision.usage.remaining == 10
    assert left() == (0, 0)


def test_what_is_not_sold_is_not_set_aside(stage, ent):
    """Nor what the vendor took away."""
    with pytest.raises(NotEntitled):
        ent.reserve("other", "crm.pages", 1, operation=OP)
    stage.elsewhere.suspend("acme")
    stage.clock.advance(seconds=6)
    with pytest.raises(TenantSuspended):
        ent.reserve(*PAGES, operation=OP)
    with pytest.raises(TypeError, match="switch"):
        ent.reserve("acme", "crm.export", 1, operation=OP)


def test_who_has_just_paid_reserves(stage, ent):
    """The copy that is near is a second old: the store is asked before anybody is refused."""
    assert ent.usage("acme", "crm.pages")["crm.pages"].limit == 10
    stage.elsewhere.change_plan("acme", "all")
    stage.clock.advance(seconds=1)
    stage.reserve(ent, "acme", "crm.pages", 11, operation=OP).release()


def test_where_it_is_not_enforced_it_is_counted_all_the_same(stage, left):
    """And said what would have been refused."""
    ent = stage.open(enforcement="observe")
    used = stage.block(ent, lambda hold: hold.settle(12), "acme", "crm.pages", 11, operation=OP)
    assert (used.used, used.overage) == (12, 2)
    unsold = stage.block(ent, lambda hold: hold.settle(1), "other", "crm.pages", 5, operation=OP)
    assert (unsold.used, unsold.limit, unsold.overage) == (1, 0, 1)


def test_suspended_meanwhile_it_is_still_charged(stage, ent, left):
    """Who may was decided when it was set aside; what was used was used."""

    def body(hold):
        stage.elsewhere.suspend("acme")
        stage.clock.advance(seconds=6)
        return hold.settle(3)

    assert stage.block(ent, body, *PAGES, operation=OP).used == 3


# -- the same operation ------------------------------------------------------------------------------------------------


def test_reserved_again_it_is_the_same_hold(stage, ent, left):
    """A message that came twice sets nothing more aside; another amount conflicts."""
    first = stage.reserve(ent, *PAGES, operation=OP)
    again = stage.reserve(ent, *PAGES, operation=OP)
    assert (again.replayed, again.amount, again.expires_at, left()) == (True, 8, first.expires_at, (0, 8))
    with pytest.raises(OperationConflict):
        ent.reserve("acme", "crm.pages", 7, operation=OP)
    again.settle(3)
    assert first.settle(3).replayed is True


def test_an_attempt_that_fails_gives_nothing_back_that_another_one_holds(stage, ent, left):
    """A message came twice: the first worker settles, whatever becomes of the second. What was looked up is its own."""
    first = stage.reserve(ent, *PAGES, operation=OP)
    with pytest.raises(ZeroDivisionError):
        stage.block(ent, lambda hold: 1 / 0, *PAGES, operation=OP)
    assert left() == (0, 8)
    assert first.settle(3).used == 3
    stage.reserve(ent, "acme", "crm.pages", 5, operation="other").hand_over()
    with pytest.raises(ZeroDivisionError):
        stage.found(ent, lambda hold: 1 / 0, "acme", "other")
    assert left() == (3, 0)


def test_what_was_settled_is_not_set_aside_again(stage, ent, left):
    """Done again, it is charged once; with another amount it conflicts."""
    stage.block(ent, lambda hold: hold.settle(3), *PAGES, operation=OP)
    again = stage.block(ent, lambda hold: hold.settle(3), *PAGES, operation=OP)
    assert (again.replayed, left()) == (True, (3, 0))
    with pytest.raises(OperationConflict):
        stage.block(ent, lambda hold: hold.settle(4), *PAGES, operation=OP)


@pytest.mark.parametrize("ends", ["released", "expired"])
def test_a_job_that_failed_and_runs_again_pays(stage, ent, left, ends):
    """What an earlier attempt has given back is set aside anew, under the same operation, and found by it."""
    for attempt in range(3):
        hold = stage.reserve(ent, *PAGES, operation=OP)
        assert (hold.replayed, left()) == (False, (0, 8)), attempt
        if ends == "released":
            hold.release()
        else:
            hold.hand_over()
            stage.clock.advance(minutes=6)
        assert left() == (0, 0)
    stage.reserve(ent, *PAGES, operation=OP).hand_over()
    assert stage.reservation(ent, "acme", OP).settle(3).used == 3
    assert stage.reservation(ent, "acme", OP).settle(3).replayed is True


@pytest.mark.parametrize("name", ["7~2", "7~2~1", "7~1"])
def test_an_id_that_ends_as_an_attempt_does_is_another_act(stage, ent, left, name):
    """It may come from anybody, who would use things up for free."""
    stage.reserve(ent, "acme", "crm.pages", 2, operation="7").release()
    stage.reserve(ent, "acme", "crm.pages", 2, operation="7").settle()
    hold = stage.reserve(ent, "acme", "crm.pages", 2, operation=name)
    assert (hold.replayed, hold.hand_over(), left()) == (False, name, (2, 2))
    stage.reservation(ent, "acme", name).settle()
    assert (ent.refund("acme", operation=name)["crm.pages"].taken, left()) == (-2, (2, 0))
    ent.consume("acme", "crm.pages", 3, operation="8~2")
    assert (ent.refund("acme", operation="8~2")["crm.pages"].taken, left()) == (-3, (2, 0))


def test_one_that_always_fails_is_told_to_take_a_new_operation(stage, ent, monkeypatch):
    """The search has an end."""
    assert attempts.MOST_ATTEMPTS == 100
    monkeypatch.setattr(attempts, "MOST_ATTEMPTS", 3)
    for _ in range(3):
        stage.reserve(ent, *PAGES, operation=OP).release()
    with pytest.raises(OperationConflict, match="new operation"):
        ent.reserve(*PAGES, operation=OP)
    with pytest.raises(ReservationExpired):
        stage.reservation(ent, "acme", OP).settle(3)
    assert ent.refund("acme", operation=OP) == {}


@pytest.mark.parametrize("ends", ["released", "expired"])
def test_a_refund_is_of_the_attempt_that_was_charged(ends, stage, ent, left):
    """Whoever refunds knows the operation, not how often it was begun."""
    first = stage.reserve(ent, *PAGES, operation=OP)
    if ends == "released":
        first.release()
    else:
        first.hand_over()
        stage.clock.advance(minutes=6)
    second = stage.reserve(ent, *PAGES, operation=OP)
    second.hand_over()
    with pytest.raises(OperationConflict, match="open"):
        ent.refund("acme", operation=OP)
    second.settle(5)
    assert ent.refund("acme", operation=OP, amounts={"crm.pages": 2})["crm.pages"].taken == -2
    assert left() == (3, 0)
    assert ent.refund("acme", operation=OP, amounts={"crm.pages": 2})["crm.pages"].replayed is True
    assert left() == (3, 0)


@pytest.mark.parametrize("operation", ["o" * 255, "o" * 251, ("page", "a-null-b:None:c")])
def test_each_operation_that_can_be_consumed_can_be_reserved_again(operation, stage, ent, left):
    """However long it is, and whatever its parts are made of."""
    for _ in range(2):
        stage.reserve(ent, *PAGES, operation=operation).release()
    stage.reserve(ent, *PAGES, operation=operation).hand_over()
    stage.reservation(ent, "acme", operation).settle(1)
    assert left() == (1, 0)


def test_an_operation_that_was_something_else_conflicts(stage, ent):
    """It was consumed, and is no hold."""
    ent.consume("acme", "crm.pages", 1, operation=OP)
    with pytest.raises(OperationConflict):
        ent.reserve("acme", "crm.pages", 1, operation=OP)
    with pytest.raises(UnknownOperation):
        ent.reservation("acme", OP)


# -- another process ---------------------------------------------------------------------------------------------------


def test_another_process_finds_it_by_its_operation(stage, ent, left):
    """And settles it; the first one's word comes too late then."""
    stage.reserve(ent, *PAGES, operation=OP).hand_over()
    worker = stage.open()
    hold = stage.reservation(worker, "acme", OP)
    assert (hold.tenant, hold.feature, hold.amount, hold.replayed) == (*PAGES, True)
    assert (hold.operation, hold.settle(3).used) == ('["summary",7]', 3)
    assert left() == (3, 0)


def test_one_that_was_settled_says_so_when_it_is_settled_again(stage, ent):
    """A worker that was killed behind it and runs again learns that it was charged."""
    first = stage.reserve(ent, *PAGES, operation=OP)
    first.settle(3)
    ent.consume("acme", "crm.pages", 1, operation="other")
    hold = stage.reservation(stage.open(), "acme", OP)
    assert (hold.feature, hold.amount, hold.expires_at, hold.replayed) == ("crm.pages", 8, first.expires_at, True)
    again = hold.settle(3)
    assert (again.used, again.taken, again.replayed) == (4, 3, True)
    with pytest.raises(OperationConflict):
        hold.settle(2)


def test_one_that_has_expired_says_so_when_it_is_settled(stage, ent):
    """Never a silent second charge."""
    stage.reserve(ent, *PAGES, operation=OP).hand_over()
    stage.clock.advance(minutes=5)
    with pytest.raises(ReservationExpired):
        stage.reservation(stage.open(), "acme", OP).settle(3)


def test_one_that_was_never_made_is_unknown(stage, ent):
    """Also of another tenant."""
    stage.reserve(ent, *PAGES, operation=OP).hand_over()
    for tenant, operation in (("acme", "other"), ("other", OP)):
        with pytest.raises(UnknownOperation):
            ent.reservation(tenant, operation)
    for tenant, operation in (("None", OP), ("acme", ("summary", None))):
        with pytest.raises(TypeError):
            ent.reservation(tenant, operation)


def test_it_is_charged_to_the_window_in_which_it_was_set_aside(stage, ent, left):
    """Also where it is settled in the next one, and found there by another process."""
    stage.clock.advance(days=30, hours=23, minutes=58)
    stage.reserve(ent, *PAGES, operation=OP).hand_over()
    stage.clock.advance(minutes=3)
    used = stage.reservation(stage.open(), "acme", OP).settle(3)
    assert (used.used, used.limit, used.resets_at) == (3, 10, None)
    assert left() == (0, 0)


def test_what_is_sold_no_more_can_be_closed(stage, ent):
    """The plan was changed, or the feature is in no catalog any more."""
    stage.reserve(ent, *PAGES, operation=OP).hand_over()
    stage.reserve(ent, "acme", "crm.pages", 1, operation="other").hand_over()
    stage.elsewhere.cancel("acme", when="now")
    assert stage.reservation(stage.open(), "acme", OP).settle(3).used == 3
    with Entitlements(MemoryStore(), ledger=stage.memory.ledger, catalog=OTHER, clock=stage.clock) as elsewhere:
        hold = elsewhere.reservation("acme", "other")
        assert (hold.feature, hold.amount, hold.settle(2).taken) == ("crm.pages", 1, 2)


# -- outages -----------------------------------------------------------------------------------------------------------


def test_in_an_outage_nothing_is_set_aside(stage, ent, left):
    """Whatever the fail policy: who cannot count lets nobody pass."""
    left()
    stage.faults.is_down = True
    with pytest.raises(StoreUnavailable):
        ent.reserve(*PAGES, operation=OP)


def test_in_an_outage_of_the_store_alone_it_is_settled_in_the_units_of_the_feature(stage, ent):
    """Never in guessed ones: 2 hours are not two hundredths. Who does not even know the catalog cannot."""
    stage.reserve(ent, "acme", "crm.hours", 2, operation=OP).hand_over()
    facts = FaultyStore(stage.memory)
    with Entitlements(facts, ledger=stage.memory.ledger, clock=stage.clock) as worker:
        facts.faults.is_down = True
        with pytest.raises(StoreUnavailable, match="not even the catalog"):
            worker.reservation("acme", OP)
        facts.faults.is_down = False
        stage.clock.advance(seconds=3)
        worker.check("other", "crm.pages")
        facts.faults.is_down = True
        hold = worker.reservation("acme", OP)
        assert (hold.amount, hold.settle(Decimal("1.50")).used) == (Decimal("2.00"), Decimal("1.50"))


def test_a_lost_reply_is_found_by_the_same_operation(stage, ent, left):
    """It was set aside once."""
    left()
    stage.faults.loses_replies = True
    with pytest.raises(OutcomeUnknown) as caught:
        ent.reserve(*PAGES, operation=OP)
    assert caught.value.operation == '["summary",7]'
    stage.faults.loses_replies = False
    hold = stage.reserve(ent, *PAGES, operation=OP)
    assert (hold.replayed, left()) == (True, (0, 8))
    stage.faults.loses_replies = True
    with pytest.raises(OutcomeUnknown):
        hold.settle(3)
    stage.faults.loses_replies = False
    assert hold.settle(3).replayed is True
    assert left() == (3, 0)


def test_an_outage_at_the_end_hides_no_error_of_the_block(stage, ent, left):
    """What stays set aside is said besides, and expires."""

    def body(hold):
        stage.faults.is_down = True
        return 1 / 0

    with pytest.raises(ZeroDivisionError) as caught:
        stage.block(ent, body, *PAGES, operation=OP)
    stage.faults.is_down = False
    assert "could not be closed" in caught.value.__notes__[0]
    assert left() == (0, 8)
    stage.clock.advance(minutes=5)
    assert left() == (0, 0)


def test_an_outage_at_the_end_of_a_block_that_is_well_is_raised(stage, ent, left):
    """All was to be charged, and is not."""

    def body(hold):
        stage.faults.is_down = True

    with pytest.raises(StoreUnavailable):
        stage.block(ent, body, *PAGES, operation=OP)


def test_a_settlement_that_nobody_awaited_hides_no_error_either(stage, ent):
    """In coroutines it is done at the end of the block, and may fail there."""

    def body(hold):
        if stage.colour == "async":
            hold.settle(3)
        stage.faults.is_down = True
        return 1 / 0

    with pytest.raises(ZeroDivisionError):
        stage.block(ent, body, *PAGES, operation=OP)


def test_after_a_settlement_that_failed_the_block_releases_nothing(stage, ent, left):
    """It may have been charged: whoever repeats it learns."""

    def body(hold):
        stage.faults.loses_replies = True
        return hold.settle(3)

    with pytest.raises(OutcomeUnknown):
        stage.block(ent, body, *PAGES, operation=OP)
    stage.faults.loses_replies = False
    assert left() == (3, 0)


# -- what is forgotten -------------------------------------------------------------------------------------------------


def test_a_reservation_that_is_dropped_is_warned_of(stage, ent):
    """Its units are set aside until it expires."""
    with pytest.warns(ResourceWarning, match="neither settled nor released"):
        ent.reserve(*PAGES, operation=OP)
        gc.collect()


def test_one_that_was_closed_handed_over_or_found_is_not(stage, ent, recwarn):
    """Somebody has taken care of it."""
    stage.reserve(ent, *PAGES, operation=OP).settle(1)
    stage.reserve(ent, "acme", "crm.pages", 1, operation="released").release()
    stage.reserve(ent, "acme", "crm.pages", 1, operation="handed").hand_over()
    stage.reservation(ent, "acme", "handed")
    stage.block(ent, lambda hold: None, "acme", "crm.pages", 1, operation="block")
    gc.collect()
    assert not [each for each in recwarn if issubclass(each.category, ResourceWarning)]


def test_it_says_what_it_is(stage, ent):
    """In logs and warnings."""
    hold = stage.reserve(ent, *PAGES, operation=OP)
    assert "8 of 'crm.pages' for 'acme'" in repr(hold.inner)
    hold.release()
