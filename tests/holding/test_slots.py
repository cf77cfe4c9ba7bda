"""Slots: one for each holder, never more than are sold, and nobody is thrown out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from payaid_entitlements import UNLIMITED, Reason
from payaid_entitlements.errors import (
    ConfigurationError,
    NotEntitled,
    OutcomeUnknown,
    QuotaExceeded,
    SlotTaken,
    StoreUnavailable,
    TenantSuspended,
    UnknownFeature,
)

SEATS = ("acme", "seats")


@pytest.fixture
def holders(ent):
    """Who holds a seat."""
    return lambda tenant="acme": [each.holder for each in ent.assignments(tenant, "seats")]


def test_a_slot_is_given_to_its_holder(stage, ent, holders):
    """Since now, for good."""
    seat = ent.assign(*SEATS, "member:1")
    assert (seat.feature, seat.holder, seat.since, seat.expires_at, seat.replayed) == (
        "seats",
        "member:1",
        stage.clock_now(),
        None,
        False,
    )
    assert ent.assignments(*SEATS) == [seat]
    assert ent.usage(*SEATS)["seats"].used == 1


def test_who_has_one_keeps_it(stage, ent, holders):
    """Repeated, no second one is given, and it is that of then."""
    first = ent.assign(*SEATS, "member:1")
    stage.clock.advance(hours=1)
    again = ent.assign(*SEATS, "member:1")
    assert (again.since, again.replayed, holders()) == (first.since, True, ["member:1"])


def test_there_are_never_more_than_are_sold(stage, ent, holders):
    """The refusal says how many there are; one that is freed can be given again, at once."""
    for number in range(3):
        ent.assign(*SEATS, f"member:{number}")
    with pytest.raises(QuotaExceeded) as caught:
        ent.assign(*SEATS, "member:3")
    decision = caught.value.decision
    assert (decision.reason, decision.usage.used, decision.usage.limit, decision.usage.remaining) == (
        Reason.ALLOCATION_FULL,
        3,
        3,
        0,
    )
    assert (caught.value.tenant, bool(caught.value.reference)) == ("acme", True)
    assert ent.assign(*SEATS, "member:0").replayed
    ent.unassign(*SEATS, "member:0")
    ent.assign(*SEATS, "member:3")
    assert holders() == ["member:1", "member:2", "member:3"]
    assert ent.counts["usage.refused", "seats", "allocation.full"] == 1


def test_holders_are_told_apart_by_their_bytes(stage, ent, holders):
    """And by tenant and feature."""
    stage.elsewhere.subscribe("other", "all")
    for holder in ("a", "A", "a "):
        ent.assign(*SEATS, holder)
    ent.assign("other", "seats", "a")
    assert sorted(holders()) == ["A", "a", "a "]
    assert holders("other") == ["a"]


def test_freeing_what_nobody_holds_is_no_error(stage, ent, holders):
    """A message that came twice."""
    ent.assign(*SEATS, "member:1")
    for _ in range(2):
        ent.unassign(*SEATS, "member:1")
        ent.unassign(*SEATS, "nobody-at-all")
    assert holders() == []


def test_an_invitation_becomes_a_member(stage, ent, holders):
    """At once, also where all slots are held: nobody takes it in between. The member holds it since now, for good."""
    for holder in ("member:1", "member:2"):
        ent.assign(*SEATS, holder)
    ent.assign(*SEATS, "invite:9", expires_in=timedelta(days=7))
    stage.clock.advance(hours=1)
    seat = ent.reassign(*SEATS, "invite:9", "member:42")
    assert (seat.holder, seat.expires_at, seat.replayed) == ("member:42", None, False)
    stage.clock.advance(days=7)
    assert sorted(holders()) == ["member:1", "member:2", "member:42"]
    again = ent.reassign(*SEATS, "invite:9", "member:42")
    assert (again.holder, again.since, again.replayed) == ("member:42", seat.since, True)


def test_a_slot_that_nobody_has_or_that_would_be_a_second_one_is_not_handed_over(stage, ent, holders):
    """Neither is lost."""
    for holder in ("member:1", "member:2"):
        ent.assign(*SEATS, holder)
    for holder, to in (("nobody-1", "member:3"), ("member:1", "member:2")):
        with pytest.raises(SlotTaken):
            ent.reassign(*SEATS, holder, to)
    assert sorted(holders()) == ["member:1", "member:2"]


def test_a_slot_may_expire(stage, ent, holders):
    """By the ledger's clock; given again, it counts anew."""
    seat = ent.assign(*SEATS, "invite:9", expires_in=timedelta(days=7))
    assert seat.expires_at == stage.clock_now() + timedelta(days=7)
    for holder in ("member:1", "member:2"):
        ent.assign(*SEATS, holder)
    stage.clock.advance(days=6)
    assert ent.assign(*SEATS, "invite:9", expires_in=timedelta(days=2)).replayed
    stage.clock.advance(days=1)
    with pytest.raises(QuotaExceeded):
        ent.assign(*SEATS, "member:3")
    stage.clock.advance(days=1)
    assert holders() == ["member:1", "member:2"]
    ent.assign(*SEATS, "member:3")


# -- plans change ------------------------------------------------------------------------------------------------------


def test_after_a_downgrade_nobody_is_thrown_out_and_nobody_is_let_in(stage, ent, holders):
    """Until there are fewer than are sold."""
    for number in range(3):
        ent.assign(*SEATS, f"member:{number}")
    stage.elsewhere.change_plan("acme", "free")
    stage.clock.advance(seconds=6)
    assert ent.usage(*SEATS)["seats"].overage == 2
    for _ in range(2):
        with pytest.raises(QuotaExceeded) as caught:
            ent.assign(*SEATS, "member:9")
        assert caught.value.decision.usage.limit == 1
        assert ent.assign(*SEATS, holders()[0]).replayed
        ent.unassign(*SEATS, holders()[-1])
    with pytest.raises(QuotaExceeded):
        ent.assign(*SEATS, "member:9")
    ent.unassign(*SEATS, holders()[-1])
    ent.assign(*SEATS, "member:9")


def test_who_has_just_paid_assigns(stage, ent):
    """The copy that is near is a second old: the store is asked before anybody is refused."""
    for number in range(3):
        ent.assign(*SEATS, f"member:{number}")
    stage.elsewhere.change_plan("acme", "all")
    stage.clock.advance(seconds=1)
    ent.assign(*SEATS, "member:3")
    assert ent.usage(*SEATS)["seats"].limit is UNLIMITED


def test_who_has_just_bought_the_module_assigns(stage, ent):
    """Of what was not sold at all a second ago."""
    with pytest.raises(NotEntitled):
        ent.assign("acme", "hr.desks", "desk:1")
    stage.elsewhere.change_plan("acme", "all")
    stage.clock.advance(seconds=1)
    assert ent.try_assign("acme", "hr.desks", "desk:1").reason in (Reason.PLAN_ZERO, Reason.PLAN_FEATURE_ABSENT)


def test_what_is_sold_no_more_can_be_freed_and_listed(stage, ent, holders):
    """Else it would be held for ever."""
    ent.assign(*SEATS, "member:1")
    stage.elsewhere.suspend("acme")
    stage.clock.advance(seconds=6)
    with pytest.raises(TenantSuspended):
        ent.assign(*SEATS, "member:2")
    assert ent.reassign(*SEATS, "member:1", "member:2").holder == "member:2"
    ent.unassign(*SEATS, "member:2")
    assert holders() == []


# -- where it is not enforced ------------------------------------------------------------------------------------------


def test_where_it_is_not_enforced_it_is_given_and_counted(stage, holders):
    """And said what would have been."""
    ent = stage.open(enforcement="observe")
    for number in range(4):
        ent.assign(*SEATS, f"member:{number}")
    said = ent.try_assign(*SEATS, "member:4")
    assert (said.allowed, said.reason, said.advisories) == (
        True,
        Reason.ENFORCEMENT_OBSERVED,
        (Reason.ALLOCATION_FULL,),
    )
    assert (said.usage.used, said.usage.overage, said.usage.would_refuse) == (5, 2, True)
    assert ent.counts["usage.would_refuse", "seats"] == 2


def test_what_is_not_sold_is_given_where_that_is_not_enforced(stage):
    """By the reason that it would have been refused for."""
    ent = stage.open(enforcement="observe")
    said = ent.try_assign("acme", "hr.desks", "desk:1")
    assert (said.allowed, said.reason) == (True, Reason.ENFORCEMENT_OBSERVED)
    assert [each.holder for each in ent.assignments("acme", "hr.desks")] == ["desk:1"]
    stage.elsewhere.suspend("acme")
    stage.clock.advance(seconds=6)
    with pytest.raises(TenantSuspended):
        ent.assign("acme", "hr.desks", "desk:2")


# -- asking instead of acting ------------------------------------------------------------------------------------------


def test_trying_gives_a_decision(stage, ent):
    """With how many there are, either way."""
    granted = ent.try_assign(*SEATS, "member:0")
    assert (granted.allowed, granted.reason, granted.usage.used) == (True, Reason.QUOTA_GRANTED, 1)
    for number in (1, 2):
        ent.assign(*SEATS, f"member:{number}")
    refused = ent.try_assign(*SEATS, "member:3")
    assert (refused.allowed, refused.reason, refused.usage.used) == (False, Reason.ALLOCATION_FULL, 3)
    assert ent.try_assign("other", "hr.desks", "desk:1").reason is Reason.PLAN_MODULE_ABSENT


def test_in_an_outage_nobody_is_let_in(stage, ent):
    """Whatever the fail policy. As a decision it is no refusal; a lost reply is none at all."""
    ent.assign(*SEATS, "member:0")
    stage.faults.is_down = True
    with pytest.raises(StoreUnavailable):
        ent.assign(*SEATS, "member:1")
    assert ent.try_assign(*SEATS, "member:1").reason is Reason.STORE_UNAVAILABLE
    # In its own transaction, which has failed, the host must not go on.
    with pytest.raises(StoreUnavailable):
        ent.try_assign(*SEATS, "member:1", tx=object())
    blind = stage.open()
    stage.clock.advance(seconds=6)
    for client in (blind, ent):
        with pytest.raises(StoreUnavailable):
            client.assign(*SEATS, "member:1")
    for verb in (blind.unassign, ent.unassign):
        with pytest.raises(StoreUnavailable):
            verb(*SEATS, "member:0")
    stage.faults.is_down = False
    stage.clock.advance(seconds=2)
    stage.faults.loses_replies = True
    for verb in (ent.assign, ent.try_assign):
        with pytest.raises(OutcomeUnknown):
            verb(*SEATS, "member:1")
        stage.clock.advance(seconds=2)
    stage.faults.loses_replies = False
    assert ent.assign(*SEATS, "member:1").replayed


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("holder", [None, "", "None", 7, "a\nb", "x" * 256])
def test_a_holder_is_somebody(stage, ent, holder):
    """Else one slot would be for all who have no id."""
    for call in (ent.assign, ent.try_assign, ent.unassign):
        with pytest.raises(TypeError, match="holder"):
            call(*SEATS, holder)
    with pytest.raises(TypeError, match="holder"):
        ent.reassign(*SEATS, holder, "member:1")
    with pytest.raises(TypeError, match="to"):
        ent.reassign(*SEATS, "member:1", holder)


def test_what_has_no_slots_says_so(stage, ent):
    """Also when one is to be freed: by a wrong key it would stay taken."""
    for verb in (ent.assign, ent.try_assign, ent.unassign):
        for feature, way_out in (("crm.pages", r"consume\(\)"), ("crm.export", r"check\(\)"), ("crm", r"check\(\)")):
            with pytest.raises(TypeError, match=way_out):
                verb("acme", feature, "member:1")
        with pytest.raises(ConfigurationError, match="require_room"):
            verb("acme", "crm.contacts", "member:1")
        with pytest.raises(TypeError, match="str"):
            verb("acme", 7, "member:1")
    with pytest.raises(TypeError):
        ent.assignments("acme", "crm.pages")
    with pytest.raises(TypeError):
        ent.reassign("acme", "crm.pages", "a", "b")


def test_a_key_that_no_catalog_has_is_refused_or_raises(stage, ent):
    """As everywhere; what was held under it can be freed."""
    assert ent.try_assign("acme", "seat", "member:1").reason is Reason.CATALOG_UNKNOWN
    ent.unassign("acme", "seat", "member:1")
    strict = stage.open(strict=True)
    for verb in (strict.assign, strict.unassign):
        with pytest.raises(UnknownFeature, match="seats"):
            verb("acme", "seat", "member:1")


def test_a_length_must_be_possible(stage, ent):
    """As for reservations."""
    with pytest.raises(TypeError, match="expires_in"):
        ent.assign(*SEATS, "member:1", expires_in=7)
    with pytest.raises(ConfigurationError, match="expires_in"):
        ent.assign(*SEATS, "member:1", expires_in=timedelta(0))


def test_a_ledger_in_memory_joins_no_transaction(stage, ent):
    """It would not be rolled back."""
    with pytest.raises(ConfigurationError):
        ent.assign(*SEATS, "member:1", tx=object())
