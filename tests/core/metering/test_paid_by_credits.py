"""What credits pay for is sold when a credit is: who has the credits has what they buy."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.comparison import gains_and_losses
from payaid_entitlements.core.controls import Controls, Enforcement
from payaid_entitlements.core.decision import SOFTENED, Reason
from payaid_entitlements.core.explanation import explain
from payaid_entitlements.core.instant import DAY
from payaid_entitlements.core.resolution import resolve
from payaid_entitlements.core.values import DENY, UNLIMITED, Allowance
from payaid_entitlements.core.world import World
from tests.core.conftest import EXAMPLE, NOW, decide, override, published_of, status, sub, tenant, world_of

WORLD = world_of(EXAMPLE)
SUMMARIES, CREDITS = "crm.ai_summaries", "ai_credits"


def test_a_plan_with_credits_sells_what_they_pay_for():
    """The example lists credits in its plans, and the summaries in none."""
    decision = decide(tenant(sub("starter")), SUMMARIES, WORLD)

    assert (decision.allowed, decision.reason, decision.plan) == (True, Reason.CREDIT_PAYS, "starter")
    assert decision.source == "credit ai_credits"
    # Nothing of its own: the ledger counts it in credits.
    assert decision.value is None


def test_without_credits_it_is_refused_as_before():
    """The free plan has neither."""
    decision = decide(tenant(), SUMMARIES, WORLD)

    assert (decision.allowed, decision.reason) == (False, Reason.PLAN_FEATURE_ABSENT)


def test_credits_given_by_hand_open_it_too():
    """The override is of the credit, and what it pays for follows, also in an overlay over a shared table."""
    decision = decide(tenant(override(CREDITS, Allowance(5))), SUMMARIES, WORLD)

    assert (decision.allowed, decision.reason) == (True, Reason.CREDIT_PAYS)


@pytest.mark.parametrize(
    "facts",
    [
        [override(CREDITS, DENY)],
        [override(CREDITS, Allowance(0))],
        [override(SUMMARIES, Allowance(0))],
        [override(SUMMARIES, DENY)],
        [override("crm", DENY)],
        [status("suspended")],
    ],
)
def test_what_was_taken_away_stays_away(facts):
    """No order of authority changes: an override of either, of the module or of the tenant comes first."""
    assert not decide(tenant(sub("starter"), *facts), SUMMARIES, WORLD).allowed


def test_a_kill_of_the_credit_closes_what_it_pays_for():
    """With it off nothing could be counted."""
    world = world_of(EXAMPLE, Controls(killed=frozenset({CREDITS})))

    assert decide(tenant(sub("starter")), SUMMARIES, world).reason is Reason.PLAN_FEATURE_ABSENT


def test_what_is_in_the_way_of_the_credit_is_said():
    """Overdue and only open for reading: the summaries are not "not in the plan", they are not paid."""
    document = tenant(sub("starter", past_due_since=NOW - 10 * DAY))

    assert decide(document, SUMMARIES, WORLD).reason is Reason.SUBSCRIPTION_PAST_DUE
    assert decide(document, SUMMARIES, WORLD, access="read").allowed
    ended = decide(tenant(sub("starter", ends=NOW - DAY)), SUMMARIES, WORLD)
    assert (ended.reason, ended.plan) == (Reason.SUBSCRIPTION_ENDED, "starter")


def test_an_allowance_of_its_own_comes_first():
    """Who holds some of the quota itself holds it by that."""
    decision = decide(tenant(sub("starter"), override(SUMMARIES, UNLIMITED)), SUMMARIES, WORLD)

    assert (decision.source, decision.value) == ("override", UNLIMITED)


def test_the_module_must_be_open_too():
    """Credits of the whole account open no module that was not bought."""
    world = catalog(a={"kind": "credit", "pays_for": {"x": 1, "m.x": 1}})
    document = tenant(sub("both"))

    assert decide(document, "m.x", world).reason is Reason.PLAN_MODULE_ABSENT
    assert "a would pay for it, but m is not open" in explain(document, world, "m.x", NOW).to_text()
    assert decide(tenant(sub("both"), override("m", True)), "m.x", world).allowed


def test_explain_names_the_credit():
    """Each rule that was asked, in order."""
    found = explain(tenant(sub("starter")), WORLD, SUMMARIES, NOW)
    assert [(step.rule, step.outcome) for step in found.steps if step.depth == 0] == [
        ("status", "pass"),
        ("kill", "pass"),
        ("override", "pass"),
        ("plan", "pass"),
        ("trial", "pass"),
        ("default", "pass"),
        ("credit", "allow"),
        ("requires", "pass"),
    ]
    refused = explain(tenant(), WORLD, SUMMARIES, NOW)
    assert "ai_credits would pay for it, and is refused: plan.feature_absent" in refused.to_text()


def catalog(**features: object) -> World:
    """What is sold are the credits ``a`` and ``b``, ``c`` lists them with what they pay for."""
    written = {
        "default_plan": "free",
        "modules": {"m": {"features": {"x": {"kind": "quota"}}}},
        "features": {
            "x": {"kind": "quota"},
            "y": {"kind": "quota"},
            "a": {"kind": "credit", "pays_for": {"x": 1}},
            "b": {"kind": "credit", "pays_for": {"y": 1}},
            **features,
        },
        "plans": {
            "free": {},
            "both": {"features": {"a": "1/day", "b": "1/day"}},
            "own": {"features": {"a": "1/day", "y": "1/day"}},
        },
        # With which a plan that needs them is not refused when it is read.
        "add_ons": {"some": {"increment": {"x": "1/day", "y": "1/day"}}},
    }
    return world_of(Catalog.load(written))


def test_credits_do_not_open_each_other():
    """What a credit needs must be held otherwise than by credits, whichever is asked first."""
    world = catalog(
        a={"kind": "credit", "requires": ["y"], "pays_for": {"x": 1}},
        b={"kind": "credit", "requires": ["x"], "pays_for": {"y": 1}},
    )

    for key in ("x", "y", "a", "b"):
        assert not decide(tenant(sub("both")), key, world).allowed
    assert decide(tenant(sub("own")), "x", world).allowed


def test_a_credit_that_needs_what_it_pays_for_is_only_for_those_who_have_some():
    """A natural thing to write: more of what you have."""
    world = catalog(a={"kind": "credit", "requires": ["x"], "pays_for": {"x": 1}})

    assert decide(tenant(sub("both")), "x", world).reason is Reason.PLAN_FEATURE_ABSENT
    document = tenant(sub("both"), override("x", Allowance(1)))
    assert [decide(document, key, world).allowed for key in ("x", "a")] == [True, True]


def test_what_credits_pay_for_is_a_gain_without_a_number():
    """Of 0 there is nothing to tell."""
    world = catalog()
    free, both, own = (
        resolve(tenant(sub(plan)), world, NOW, NOW + 1)[0].standpoint for plan in ("free", "both", "own")
    )

    assert gains_and_losses(free, both)[0] == ("x", "y", "a: 1/day", "b: 1/day")
    assert gains_and_losses(own, both) == (("b: 1/day",), ("y: 1/day -> 0",))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([override(CREDITS, to) for to in (Allowance(3), UNLIMITED, DENY)]), max_size=1),
    st.sampled_from(["free", "starter", "enterprise"]),
    st.sampled_from(list(Enforcement)),
)
def test_it_is_never_sold_without_a_credit(overrides, plan, mode):
    """Where the credit is refused, so is what only it pays for, in every mode alike."""
    world = World.of(published_of(EXAMPLE), Controls(modes={"crm": mode}))
    document = tenant(sub(plan), *overrides)
    paid, credit = decide(document, SUMMARIES, world), decide(document, CREDITS, world)

    assert (paid.reason is Reason.CREDIT_PAYS) is (credit.allowed and credit.reason not in SOFTENED)
