"""What would help who is limited: a plan with a higher limit, and never at the price of something else."""

from __future__ import annotations

import pytest

from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.instant import DAY
from payaid_entitlements.core.raising import raising
from payaid_entitlements.core.remedies import ChangePlan, Contact
from payaid_entitlements.core.values import DENY
from tests.core.conftest import NOW, override, situation_of, sub, world_of

CATALOG = {
    "catalog": 1,
    "default_plan": "free",
    "modules": {"crm": {}, "books": {}},
    "rate_limits": {
        "export": {"default": "10/hour"},
        "sign_in": {"per": "address", "default": "3/minute"},
        "jobs": {"default": "2 at once"},
        "open": {"default": "unlimited"},
    },
    "plans": {
        "free": {"modules": ["crm"]},
        "small": {"extends": "free", "rate_limits": {"export": "300/day", "jobs": "3 at once"}},
        "other": {"modules": ["books"], "rate_limits": {"export": "100/hour"}},
        "big": {"extends": "small", "buy": "contact_us", "rate_limits": {"export": ["5/second", "20/hour"]}},
        "huge": {"extends": "small", "rate_limits": {"export": "unlimited", "sign_in": "unlimited"}},
    },
    "lifecycle": {"past_due": ["full for 7 days", "read_only for 14 days", "none"]},
}
WORLD = world_of(CATALOG)
SMALL, HUGE = ChangePlan("small", "small"), ChangePlan("huge", "huge")
BIG = Contact("Talk to us about big", "big", subscription="main")


def found(*facts, key="export"):
    return raising(situation_of(*facts, world=WORLD), WORLD, Decision(False, Reason.RATE_LIMITED, key))


def plans(remedies):
    return [each.plan for each in remedies]


def test_plans_that_let_more_through_in_the_long_run_and_keep_what_is_held():
    """
    300 a day are more than 10 an hour; 5 a second are nothing where 20 an hour hold besides, and still more than 10.
    """
    assert plans(found(*sub("free"))) == ["small", "big", "huge"]
    assert plans(found(*sub("small"))) == ["big", "huge"]
    assert plans(found(*sub("big"))) == ["huge"]
    assert found(*sub("huge")) == ()


def test_what_runs_at_once():
    assert plans(found(*sub("free"), key="jobs")) == ["small", "big", "huge"]
    assert found(*sub("small"), key="jobs") == ()


@pytest.mark.parametrize("key", ["sign_in", "open", "gone"])
def test_no_plan_helps_an_address_or_what_nothing_limits(key):
    assert found(*sub("free"), key=key) == ()


@pytest.mark.parametrize("to", ["1/hour", DENY])
def test_no_plan_helps_against_what_was_said_by_hand(to):
    assert found(*sub("free"), override("rate_limits.export", to), key="export") == ()


def test_what_is_due_comes_first():
    late = found(*sub("free", past_due_since=NOW - 8 * DAY))
    assert [getattr(each, "plan", None) for each in late] == [None, "small", "big", "huge"]
    assert late[0].title == "Pay what is due"
