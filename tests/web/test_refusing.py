"""From an error to what goes over the wire: pure, the same from every framework."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from payaid_entitlements import AddAddOn, ChangePlan, Contact, Decision, Reason, WaitUntil
from payaid_entitlements.errors import (
    ConfigurationError,
    NotEntitled,
    OperationUnnamed,
    OutcomeUnknown,
    Refused,
    StoreUnavailable,
    TenantUnidentified,
    UnknownFeature,
    ViewExpired,
)
from payaid_entitlements.web import Refusal, refusal
from payaid_entitlements.web.problems import BY_KIND, status_of
from payaid_entitlements.web.refusing import ANSWERS, PROBLEM_SCHEMA

#: 402 is what money fixes. Every other refusal is somebody's decision, or an outage.
MONEY = {
    "plan.module_absent",
    "plan.feature_absent",
    "plan.zero",
    "dependency.missing",
    "subscription.none",
    "subscription.trial_ended",
    "subscription.ended",
    "subscription.cancelled",
    "subscription.past_due",
    "quota.exhausted",
    "quota.grace_ended",
    "credit.exhausted",
    "allocation.full",
    "allocation.no_room",
}

ALWAYS = {
    "Content-Type": "application/problem+json",
    "Content-Language": "en",
    "Cache-Control": "no-store",
    "Vary": "Accept, Accept-Language, Authorization, Cookie",
}


def refused(reason: Reason = Reason.PLAN_MODULE_ABSENT, *, reference: str = "") -> Refused:
    return NotEntitled(Decision(False, reason, "hr", "plan free@1", "free"), tenant="acme", reference=reference)


@pytest.mark.parametrize("reason", list(Reason))
def test_402_is_what_money_fixes_429_what_is_too_fast_503_an_outage_and_403_the_rest(reason):
    others = {Reason.STORE_UNAVAILABLE: 503, Reason.RATE_LIMITED: 429}
    expected = 402 if reason.value in MONEY else others.get(reason, 403)

    assert status_of(reason) == expected


def test_a_refusal_is_a_problem_document():
    assert refusal(refused(reference="7F3K-92QX")) == Refusal(
        402,
        ALWAYS,
        {
            "type": "urn:problem-type:payaid:plan.module_absent",
            "title": "Your plan does not include this module.",
            "status": 402,
            "detail": Reason.PLAN_MODULE_ABSENT.way_out,
            "reason": "plan.module_absent",
            "feature": "hr",
            "remedies": [],
            "reference": "7F3K-92QX",
        },
    )


def test_without_a_reference_there_is_none():
    assert "reference" not in refusal(refused()).body


def test_remedies_are_told_in_their_order():
    remedies = (AddAddOn("hr", "HR", 1), ChangePlan("pro", "Pro"), Contact("Talk to us"))

    said = refusal(refused(), remedies=remedies)

    assert said.body["remedies"] == [remedy.to_public() for remedy in remedies]
    assert "Retry-After" not in said.headers


@pytest.mark.parametrize(
    ("at", "header"),
    [
        (datetime(2026, 10, 1, 8, 30, tzinfo=UTC), "Thu, 01 Oct 2026 08:30:00 GMT"),
        (datetime(2026, 10, 1, 8, 30, 0, 1, tzinfo=UTC), "Thu, 01 Oct 2026 08:30:01 GMT"),
        (
            datetime(2026, 10, 1, 8, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            "Thu, 01 Oct 2026 03:00:00 GMT",
        ),
        (datetime.max.replace(tzinfo=UTC), "Fri, 31 Dec 9999 23:59:59 GMT"),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "Fri, 31 Dec 9999 23:59:59 GMT"),
    ],
)
def test_what_opens_by_itself_says_when_and_never_too_early(at, header):
    said = refusal(refused(Reason.SUBSCRIPTION_SCHEDULED), remedies=[ChangePlan("pro", "Pro"), WaitUntil(at)])

    assert (said.status, said.headers["Retry-After"]) == (403, header)


@pytest.mark.parametrize(
    ("root", "status"),
    [
        (None, 402),
        (Reason.PLAN_MODULE_ABSENT, 402),
        (Reason.ENFORCEMENT_KILLED, 403),
        (Reason.SUBSCRIPTION_PAUSED, 403),
    ],
)
def test_the_status_follows_what_is_at_the_bottom(root, status):
    """
    A module that needs one which the operators switched off cannot be bought either.
    """
    said = refusal(refused(Reason.DEPENDENCY_MISSING), root=root)

    assert (said.status, said.body["status"], said.body["reason"]) == (status, status, "dependency.missing")
    assert ("nothing to buy" in said.body["detail"]) is (status == 403)


def test_an_outage_says_nothing_about_the_tenant():
    said = refusal(StoreUnavailable("postgresql://user:secret@db.internal/app is down"))

    assert said == Refusal(
        503,
        {"Retry-After": "2", **ALWAYS},
        {
            "type": "urn:problem-type:payaid:store.unavailable",
            "title": "This cannot be decided at the moment.",
            "status": 503,
            "detail": "Try again in a moment.",
            "reason": "store.unavailable",
        },
    )


def test_a_write_without_an_answer_invites_nobody_to_repeat_it():
    """
    Clients that obey Retry-After by themselves would do it twice.
    """
    said = refusal(OutcomeUnknown("the reply was lost", operation="invoice:7"))

    assert (said.status, said.body["reason"]) == (503, "store.outcome_unknown")
    assert "Retry-After" not in said.headers


def test_a_request_of_nobody_is_told_how_to_log_in():
    said = refusal(TenantUnidentified("the tenant dependency gave None"), challenge='Bearer realm="api"')

    assert (said.status, said.body["reason"]) == (401, "tenant.unidentified")
    assert said.headers["WWW-Authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize("error", [ConfigurationError("x"), UnknownFeature("x"), ViewExpired("x")])
def test_mistakes_of_the_host_are_not_for_clients(error):
    with pytest.raises(type(error)) as raised:
        refusal(error)

    assert raised.value is error


def test_the_content_is_the_body_in_utf_8():
    said = refusal(refused(), remedies=[ChangePlan("pro", "Überflieger ₹ 支付\r\nSet-Cookie: a=b")])

    assert json.loads(said.content.decode("utf-8")) == said.body
    assert b"\r" not in said.content
    assert b"\n" not in said.content


@pytest.mark.parametrize("reason", list(Reason))
def test_every_document_keeps_the_schema_that_descriptions_show(reason):
    jsonschema = pytest.importorskip("jsonschema")

    jsonschema.validate(refusal(refused(reason, reference="7F3K")).body, PROBLEM_SCHEMA)


def test_every_status_is_described():
    kinds = {status for status, _ in BY_KIND.values()}

    assert {status_of(reason) for reason in Reason} | {401} | kinds == set(ANSWERS)


def test_a_request_that_names_no_operation_is_400():
    said = refusal(OperationUnnamed("Idempotency-Key: send one"))

    assert (said.status, said.body["reason"]) == (400, "operation.unnamed")
