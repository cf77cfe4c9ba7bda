"""What would help where something is sold, but used up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.catalog.model import Price
from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.evaluation import Evaluation
from payaid_entitlements.core.instant import DAY, moment
from payaid_entitlements.core.metering.usage import Limit, Usage
from payaid_entitlements.core.remedies import AddAddOn, ChangePlan, Contact, ReleaseSlots, Remedy, WaitUntil, remedies
from payaid_entitlements.core.replenishing import SHORT, replenishing
from payaid_entitlements.core.values import UNLIMITED, Allowance
from tests.core.conftest import NOW, granted, override, situation_of, sub, world_of

SOLD: Mapping[str, object] = {
    "catalog": 1,
    "default_plan": "free",
    "currency": "INR",
    "features": {
        "calls": {"kind": "quota"},
        "seats": {"kind": "allocation"},
        "summaries": {"kind": "quota"},
        "credits": {"kind": "credit", "pays_for": {"summaries": 5}},
        "export": {"kind": "switch"},
    },
    "plans": {
        "free": {"features": {"seats": 1}},
        "small": {"features": {"seats": 5, "calls": "100/month", "credits": "10/month"}, "price": {"monthly": 1}},
        "side": {"features": {"seats": 5, "calls": "100/month", "export": True}, "price": {"monthly": 2}},
        "big": {
            "features": {"seats": 25, "calls": "1000/month", "credits": "50/month"},
            "price": {"monthly": 9},
        },
        "huge": {"features": {"seats": "unlimited", "calls": "unlimited", "credits": "50/month"}, "buy": "contact_us"},
        "secret": {"features": {"seats": 99, "calls": "9999/month"}, "buy": "hidden"},
    },
    "add_ons": {
        "more_seats": {"increment": {"seats": 5}, "max_quantity": 4, "price": {"monthly": 3}},
        "more_calls": {"increment": {"calls": "50/month"}, "for_plans": ["small"]},
        "pack": {"grant": {"credits": 500}},
        "at_least": {"max": {"seats": 12}},
        "export": {"override": {"export": True}},
    },
}
WORLD = world_of(SOLD)
RESET = moment(NOW + 3 * DAY)
WAIT = WaitUntil(RESET)
BIG = ChangePlan("big", "big", (Price(9, "INR", "month"),))
HUGE = Contact("Talk to us about huge", "huge", subscription="main")


def short(feature: str, limit: Limit, used: int, *, held: int = 0, resets_at: Any = None) -> Decision:
    """A refusal by the ledger."""
    usage = Usage(feature, feature, None, limit, used, held, 0, 0, None, resets_at)
    return replace(Decision(False, Reason.QUOTA_EXHAUSTED, feature), usage=usage)


def found(decision: Decision, *facts: Any) -> tuple[Remedy, ...]:
    return replenishing(situation_of(*facts, world=WORLD), WORLD, decision)


def test_a_quota_that_is_used_up():
    """Wait for the window, buy some more, or change to a plan with more; what is hidden or no more is not offered."""
    decision = short("calls", 100, 100, resets_at=RESET)
    assert found(decision, sub("small")) == (WAIT, AddAddOn("more_calls", "more_calls", 1), BIG, HUGE)
    assert found(decision, sub("side")) == (WAIT,)


def test_as_many_of_an_add_on_as_it_takes():
    """After a downgrade more is used than one would bring."""
    decision = short("seats", 5, 13)
    assert found(decision, sub("small")) == (
        ReleaseSlots("seats", 9),
        AddAddOn("more_seats", "more_seats", 2, (Price(3, "INR", "month"),)),
        BIG,
        HUGE,
    )
    assert AddAddOn("at_least", "at_least", 1) in found(short("seats", 5, 11), sub("small"))
    # 5 times 5 more are not to be had.
    assert found(short("seats", 5, 29), sub("small")) == (ReleaseSlots("seats", 25), HUGE)
    assert found(short("seats", 1, 1)) == (
        ReleaseSlots("seats", 1),
        *(
            ChangePlan(key, key, (Price(price, "INR", "month"),), verb="subscribe")
            for key, price in (("small", 1), ("side", 2), ("big", 9))
        ),
        HUGE,
    )


def test_some_left_but_fewer_than_were_asked():
    """What brings no more than there is helps nobody."""
    decision = short("calls", 100, 97)
    assert found(decision, sub("small")) == (AddAddOn("more_calls", "more_calls", 1), BIG, HUGE)


def test_what_is_held_counts_and_so_do_grants():
    """40 of a limit that is 150 with what was granted, and 20 set aside."""
    facts = [*sub("small"), *granted("calls", 50)]
    decision = short("calls", 150, 180, held=20)
    assert found(decision, facts) == (AddAddOn("more_calls", "more_calls", 2), BIG, HUGE)


def test_what_is_paid_by_credits():
    """More of the credit, however it comes; or the feature itself."""
    decision = replace(short("summaries", 0, 0, resets_at=RESET), reason=Reason.CREDIT_EXHAUSTED)
    assert found(decision, sub("small")) == (WAIT, AddAddOn("pack", "pack", 1), BIG, HUGE)
    assert found(decision, granted("credits", 5), sub("free")) == (
        WAIT,
        AddAddOn("pack", "pack", 1),
        ChangePlan("small", "small", (Price(1, "INR", "month"),)),
        BIG,
        HUGE,
    )


def test_nobody_is_told_to_wait_for_a_window_that_does_not_come():
    """The subscription ends before, or may."""
    decision = short("calls", 100, 100, resets_at=RESET)
    assert WAIT not in found(decision, sub("small", cancel_at=NOW + 2 * DAY))
    assert WAIT not in found(short("calls", 100, 100), sub("small"))
    cancelled = replace(short("summaries", 0, 0, resets_at=RESET), reason=Reason.CREDIT_EXHAUSTED)
    assert WAIT not in found(cancelled, sub("small", cancel_at=NOW + 2 * DAY))


def test_what_was_set_by_hand_is_talked_about():
    """No purchase changes an override."""
    decision = short("calls", 3, 3, resets_at=RESET)
    assert found(decision, sub("small"), override("calls", Allowance(3))) == (
        WAIT,
        Contact("Talk to us: this was set for the account by hand"),
    )


def test_what_is_due_comes_before_another_plan():
    """A change of plan does not pay it; reading goes on meanwhile."""
    facts = sub("small", past_due_since=NOW - 1)
    assert found(short("calls", 100, 100), facts) == (AddAddOn("more_calls", "more_calls", 1), BIG, HUGE)


@pytest.mark.parametrize("decision", [Decision(False, Reason.QUOTA_EXHAUSTED, "calls"), short("gone", 1, 1)])
def test_without_numbers_there_is_nothing_to_say(decision):
    """The ledger was not asked, or the catalog has no such feature any more."""
    assert found(decision, sub("small")) == ()


def test_a_limit_that_is_none_is_not_raised():
    """An old decision about what has no limit any more: nothing gives more than that."""
    assert found(short("calls", UNLIMITED, 9), sub("huge")) == ()


def test_what_grants_a_credit_opens_what_it_pays_for():
    """Also where nothing of it is held: the add-on is offered."""
    situation = situation_of(sub("side"), world=WORLD)
    assert remedies(situation, WORLD, "summaries")[0] == AddAddOn("pack", "pack", 1)


def test_slots_are_freed_as_data():
    """For the customer's page."""
    assert ReleaseSlots("seats", 2).to_public() == {"kind": "release_slots", "feature": "seats", "amount": 2}
    assert all(reason.family in ("quota", "credit", "allocation") for reason in SHORT)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["small", "side", "big"]),
    st.dictionaries(st.sampled_from(["more_seats", "more_calls", "at_least"]), st.integers(1, 3), max_size=2),
    st.sampled_from(["seats", "calls"]),
    st.integers(0, 60),
)
def test_what_is_offered_leaves_more(plan, add_ons, feature, over):
    """Carried out, there is at least one unit more than is used."""
    if plan != "small":
        add_ons = {key: quantity for key, quantity in add_ons.items() if key != "more_calls"}
    situation = situation_of(sub(plan, add_ons=add_ons), world=WORLD)
    limit = Evaluation(WORLD, situation).sold(feature).value.limit
    used = limit + over
    for remedy in replenishing(situation, WORLD, short(feature, limit, used)):
        match remedy:
            case AddAddOn(add_on=key, quantity=quantity):
                then = situation_of(sub(plan, add_ons={**add_ons, key: add_ons.get(key, 0) + quantity}), world=WORLD)
            case ChangePlan(plan=other):
                keeps = {key: quantity for key, quantity in add_ons.items() if key != "more_calls" or other == "small"}
                then = situation_of(sub(other, add_ons=keeps), world=WORLD)
            case _:
                continue
        after = Evaluation(WORLD, then).sold(feature).value.limit
        assert after is UNLIMITED or after > used
