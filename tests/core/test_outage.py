"""What is answered when the store gives no answer. It is never "not entitled"."""

from __future__ import annotations

import pytest

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.catalog.model import FailPolicy
from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.outage import STALE_FOR, in_outage, policy_of

YES = Decision(True, Reason.PLAN_GRANTED, "crm.export", plan="pro")
NO = Decision(False, Reason.PLAN_FEATURE_ABSENT, "crm.export")
CLOSED, OPEN = FailPolicy(), FailPolicy("open")
LAST = FailPolicy("last_known_good", 600 * 1_000_000)


@pytest.mark.parametrize(
    ("last", "age", "policy", "allowed", "reason"),
    [
        (None, 0, CLOSED, False, Reason.STORE_UNAVAILABLE),
        (None, 0, LAST, False, Reason.STORE_UNAVAILABLE),
        (None, 0, OPEN, True, Reason.STORE_FAILED_OPEN),
        (YES, 0, CLOSED, True, Reason.PLAN_GRANTED),
        (YES, STALE_FOR, CLOSED, True, Reason.PLAN_GRANTED),
        (YES, STALE_FOR + 1, CLOSED, False, Reason.STORE_UNAVAILABLE),
        (YES, STALE_FOR + 1, OPEN, True, Reason.STORE_FAILED_OPEN),
        (YES, STALE_FOR + 1, LAST, True, Reason.PLAN_GRANTED),
        (YES, LAST.bound, LAST, True, Reason.PLAN_GRANTED),
        (YES, LAST.bound + 1, LAST, False, Reason.STORE_UNAVAILABLE),
        (YES, STALE_FOR, FailPolicy("last_known_good", 1), True, Reason.PLAN_GRANTED),
        (NO, 0, CLOSED, False, Reason.STORE_UNAVAILABLE),
        (NO, 0, OPEN, True, Reason.STORE_FAILED_OPEN),
        (NO, 0, LAST, False, Reason.STORE_UNAVAILABLE),
    ],
)
def test_grants_are_repeated_for_a_while_and_refusals_are_not(last, age, policy, allowed, reason):
    """Who was refused may have paid meanwhile: nobody knows, and that is what is said."""
    decision = in_outage("crm.export", last, age, policy)
    assert (decision.allowed, decision.reason) == (allowed, reason)
    assert decision.degraded
    assert decision.feature == "crm.export"


@pytest.mark.parametrize(
    "reason",
    [
        Reason.SUBSCRIPTION_REVOKED,
        Reason.SUBSCRIPTION_SUSPENDED,
        Reason.ENFORCEMENT_KILLED,
        Reason.OVERRIDE_DENIED,
        Reason.CATALOG_UNKNOWN,
        Reason.CATALOG_RETIRED,
    ],
)
def test_what_the_vendor_took_away_stays_away(reason):
    """C-6: an outage never gives back what was revoked, whatever the policy and the age."""
    decision = in_outage("crm", Decision(False, reason, "crm"), 10**15, OPEN)
    assert not decision.allowed
    assert decision.degraded is True
    assert decision.reason is reason


def test_the_advisory_says_when_only_the_features_own_bound_still_carries_the_answer():
    """Within the general bound there is no advisory, only the mark."""
    assert in_outage("k", YES, STALE_FOR, LAST).advisories == ()
    assert in_outage("k", YES, STALE_FOR + 1, LAST).advisories == (Reason.STORE_LAST_KNOWN_GOOD,)


def test_the_policy_is_that_of_the_feature_or_the_module():
    """Closed for everything else, and where not even the catalog is known."""
    catalog = Catalog.load(
        {
            "catalog": 1,
            "modules": {
                "crm": {"features": {"a": {"kind": "switch", "on_outage": "open"}, "b": {"kind": "switch"}}},
                "hr": {"on_outage": "open", "features": {"c": {"kind": "switch"}}},
            },
            "plans": {"free": {"modules": ["crm", "hr"], "features": {"crm.a": True, "crm.b": True, "hr.c": True}}},
        }
    )
    assert policy_of(catalog, "crm.a").kind == "open"
    assert policy_of(catalog, "crm.b").kind == "closed"
    assert policy_of(catalog, "crm").kind == "closed"
    assert policy_of(catalog, "hr").kind == "open"
    assert policy_of(catalog, "hr.c").kind == "closed"
    assert policy_of(catalog, "nothing").kind == "closed"
    assert policy_of(None, "crm.a").kind == "closed"
