"""A decision says what it says once, and never reads as yes by accident."""

from __future__ import annotations

import asyncio
import json

import pytest

from payaid_entitlements.core.decision import COUNTED, SOFTENED, Decision, Reason
from payaid_entitlements.core.observing import MISREAD
from payaid_entitlements.core.values import UNLIMITED, Allowance
from payaid_entitlements.errors import (
    EntitlementError,
    NotEntitled,
    Refused,
    StoreUnavailable,
    SubscriptionExpired,
    TenantSuspended,
)

FAMILIES = {
    "enforcement",
    "catalog",
    "subscription",
    "override",
    "plan",
    "trial",
    "dependency",
    "flag",
    "quota",
    "credit",
    "allocation",
    "rate",
    "store",
    "license",
    "grant",
}


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_documented_and_in_a_family(reason):
    """A reason is a dotted code with a meaning and a way out."""
    family, _, word = reason.value.partition(".")
    assert reason.family == family
    assert family in FAMILIES and word
    assert reason.meaning.endswith(".") and reason.way_out.endswith(".")
    assert Reason(reason.value) is reason
    assert json.dumps(reason) == f'"{reason.value}"'


@pytest.mark.parametrize("allowed", [True, False])
def test_a_decision_has_no_truth_value(allowed):
    """Neither yes nor no can be read by mistake: it raises, and it is counted."""
    before = MISREAD.counts().get(("decision.truth_value", "crm.export"), 0)
    with pytest.raises(TypeError, match=r"use \.allowed"):
        bool(Decision(allowed, Reason.PLAN_GRANTED, "crm.export"))
    assert MISREAD.counts()["decision.truth_value", "crm.export"] == before + 1


def test_a_decision_that_is_known_may_be_awaited():
    """Awaiting gives the decision itself, without a task."""
    decision = Decision(True, Reason.PLAN_GRANTED, "crm")

    async def wait() -> Decision:
        return await decision

    assert asyncio.run(wait()) is decision


def test_what_allows_is_returned():
    """Nothing is raised where nothing is refused."""
    decision = Decision(True, Reason.PLAN_GRANTED, "crm")
    assert decision.or_raise(tenant="acme") is decision


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (Reason.PLAN_FEATURE_ABSENT, NotEntitled),
        (Reason.PLAN_ZERO, NotEntitled),
        (Reason.OVERRIDE_DENIED, NotEntitled),
        (Reason.ENFORCEMENT_KILLED, NotEntitled),
        (Reason.SUBSCRIPTION_NONE, NotEntitled),
        (Reason.DEPENDENCY_MISSING, NotEntitled),
        (Reason.SUBSCRIPTION_SCHEDULED, SubscriptionExpired),
        (Reason.SUBSCRIPTION_TRIAL_ENDED, SubscriptionExpired),
        (Reason.SUBSCRIPTION_ENDED, SubscriptionExpired),
        (Reason.SUBSCRIPTION_CANCELLED, SubscriptionExpired),
        (Reason.SUBSCRIPTION_PAST_DUE, SubscriptionExpired),
        (Reason.SUBSCRIPTION_PAUSED, SubscriptionExpired),
        (Reason.SUBSCRIPTION_SUSPENDED, TenantSuspended),
        (Reason.SUBSCRIPTION_REVOKED, TenantSuspended),
    ],
)
def test_a_refusal_is_raised_as_what_it_is(reason, error):
    """The exception says whether to buy, to renew or to talk, and carries the decision."""
    decision = Decision(False, reason, "crm.export")
    with pytest.raises(Refused) as caught:
        decision.or_raise(tenant="acme", reference="7F3K")
    assert type(caught.value) is error
    assert caught.value.decision is decision
    assert (caught.value.tenant, caught.value.reference) == ("acme", "7F3K")


def test_an_outage_is_no_refusal():
    """Where nothing is known, no one is told that they are not entitled."""
    with pytest.raises(StoreUnavailable) as caught:
        Decision(False, Reason.STORE_UNAVAILABLE, "crm.export").or_raise()
    assert not isinstance(caught.value, Refused)
    assert isinstance(caught.value, EntitlementError)


def test_only_what_needs_nothing_more_is_settled():
    """Softened, degraded and unknown answers are counted; a plain grant is settled."""
    assert Decision(True, Reason.PLAN_GRANTED, "crm").settled
    assert not Decision(False, Reason.PLAN_ZERO, "crm").settled
    assert not Decision(False, Reason.PLAN_ZERO, "crm").noteworthy
    for reason in COUNTED:
        assert Decision(True, reason, "crm").noteworthy
        assert not Decision(True, reason, "crm").settled
    assert not Decision(True, Reason.PLAN_GRANTED, "crm", degraded=True).settled
    assert SOFTENED < COUNTED


def test_the_public_form_keeps_the_vendors_secrets():
    """A customer sees verdict, reason, plan and value as JSON, but not what exactly decided."""
    decision = Decision(
        True,
        Reason.OVERRIDE_GRANTED,
        "seats",
        "override",
        None,
        Allowance(UNLIMITED),
        (Reason.SUBSCRIPTION_EXPIRING,),
        degraded=True,
    )
    assert json.loads(json.dumps(decision.to_public())) == {
        "feature": "seats",
        "allowed": True,
        "reason": "override.granted",
        "plan": None,
        "value": {"limit": {"unlimited": True}, "per": None},
        "advisories": ["subscription.expiring"],
        "degraded": True,
    }
