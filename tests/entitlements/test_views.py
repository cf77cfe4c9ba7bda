"""One truth for one request: a view is pinned, pure, immutable and shows nobody what is not his."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from payaid_entitlements import DENY, Reason, State
from payaid_entitlements.core.observing import MISREAD
from payaid_entitlements.errors import NotEntitled, StoreUnavailable, SubscriptionExpired, UnknownFeature, ViewExpired
from payaid_entitlements.view import MAX_AGE, typed
from tests.entitlements.conftest import START


def test_a_view_says_whom_it_is_about_and_what_they_hold(ent, stage):
    """Everything that a page about the plan shows."""
    stage.elsewhere.subscribe("acme", "all", trial=False, ends=START + timedelta(days=30))
    view = ent.tenant("acme", user="ann")
    assert (view.tenant, view.user, view.at, view.plan, view.state) == ("acme", "ann", START, "all", State.ACTIVE)
    assert view.modules == {"crm", "hr"}
    assert view.revision == 2
    assert view.valid_until is not None
    assert not view.stale
    assert repr(view) == "<TenantView 'acme' plan='all' at=2030-05-01T12:00:00+00:00 revision=2>"


def test_a_view_of_somebody_unknown_holds_the_default_plan(ent):
    """Revision 0: nothing was ever recorded."""
    view = ent.tenant("nobody-yet")
    assert (view.plan, view.state, view.revision, view.valid_until) == ("free", None, 0, None)


def test_a_view_is_pinned_to_its_instant(ent, stage):
    """What changes meanwhile belongs to the next request."""
    view = ent.tenant("acme")
    stage.elsewhere.revoke("acme")
    ent.check("acme", "crm", after=2)
    stage.clock.advance(seconds=10)
    for _ in range(2):
        assert view.check("crm.export").allowed
        assert view.at == START


def test_a_view_that_is_older_than_a_request_refuses_to_be_used(ent, stage):
    """A minute, exclusive: require and value ask the clock."""
    view = ent.tenant("acme")
    stage.clock.advance(seconds=MAX_AGE - 0.001)
    assert view.require("crm.export").allowed
    assert view.value("crm.page_size", int) == 50
    stage.clock.advance(seconds=0.001)
    for late in (view, view.for_user("ann")):
        with pytest.raises(ViewExpired, match="'acme'"):
            late.require("crm.export")
        with pytest.raises(ViewExpired):
            late.value("crm.page_size", int)
        with pytest.raises(ViewExpired):
            late.require_young()


@pytest.mark.parametrize(
    "name", ["tenant", "user", "at", "plan", "modules", "state", "revision", "valid_until", "stale", "anything"]
)
def test_a_view_cannot_be_changed(ent, name):
    """It is shared by everything that works for the request."""
    with pytest.raises(AttributeError):
        setattr(ent.tenant("acme"), name, "other")


def test_a_user_can_be_named_once(ent, stage):
    """for_user gives the same truth with the overrides of the user, and back again."""
    stage.elsewhere.override("acme", "crm.export", DENY, user="bob")
    view = ent.tenant("acme")
    bobs = view.for_user("bob")
    assert (bobs.user, bobs.at, bobs.revision, bobs.tenant) == ("bob", view.at, view.revision, "acme")
    assert bobs.check("crm.export").reason is Reason.OVERRIDE_DENIED
    assert view.check("crm.export").allowed
    assert bobs.for_user(None).check("crm.export").allowed
    for nobody in ("", "None"):
        with pytest.raises(TypeError, match="user"):
            view.for_user(nobody)


def test_where_no_user_has_overrides_naming_one_changes_nothing(ent):
    """And costs nothing."""
    view = ent.tenant("acme").for_user("ann")
    assert (view.user, view.check("crm.export").allowed) == ("ann", True)


def test_require_on_a_view_refuses_as_the_client_does(ent, stage):
    """With tenant and reference."""
    with pytest.raises(NotEntitled) as caught:
        ent.tenant("acme").require("hr.payroll")
    assert (caught.value.tenant, bool(caught.value.reference)) == ("acme", True)
    stage.elsewhere.pause("acme")
    view = ent.tenant("acme", fresh=True)
    assert view.require("crm.export", access="read").allowed
    with pytest.raises(SubscriptionExpired):
        view.require("crm.export")
    with pytest.raises(ValueError, match="'read' or 'write'"):
        view.require("crm.export", access="delete")


def test_a_view_counts_what_is_to_be_counted(stage):
    """Softened refusals and wrong keys, each time; plain answers never."""
    ent = stage.open(enforcement="observe")
    view = ent.tenant("acme")
    for _ in range(2):
        view.check("crm")
        view.check("hr")
        view.check("crm.exprot")
    assert ent.counts == {
        ("decision", "hr", "enforcement.observed"): 2,
        ("decision", "crm.exprot", "catalog.unknown_feature"): 2,
    }


def test_a_strict_view_raises_for_a_wrong_key(stage):
    """And says what was meant."""
    view = stage.open(strict=True).tenant("acme")
    with pytest.raises(UnknownFeature, match=r"did you mean 'crm\.export'"):
        view.check("crm.exprot")


def test_a_view_without_the_store_answers_by_the_fail_policies(ent, stage):
    """Blind: no plan, no modules, nothing to explain; a key is still a string."""
    ent.check("acme", "crm")
    stage.faults.is_down = True
    view = ent.tenant("cold").for_user("ann")
    assert (view.stale, view.plan, view.state, view.modules, view.revision) == (True, None, None, frozenset(), 0)
    assert view.check("crm.export").reason is Reason.STORE_UNAVAILABLE
    assert view.check("crm.import", access="read").reason is Reason.STORE_FAILED_OPEN
    assert view.remedies(view.check("crm.export")) == ()
    with pytest.raises(StoreUnavailable):
        view.explain("crm.export")
    with pytest.raises(StoreUnavailable):
        view.require("crm.export")
    with pytest.raises(TypeError, match="str"):
        view.check(None)
    assert view.to_public()["stale"] is True


def test_a_blind_view_that_knows_no_catalog_shows_nothing(ent, stage):
    """The first question of a process, and the store is down."""
    stage.faults.is_down = True
    public = ent.tenant("acme").to_public()
    assert public == {
        "tenant": "acme",
        "plan": None,
        "state": None,
        "modules": [],
        "valid_until": None,
        "stale": True,
        "features": {},
    }


def test_an_old_view_says_how_old_in_its_reference_and_for_users(ent, stage):
    """A view for a user is as old as the one it came from."""
    ent.check("acme", "crm.export")
    stage.faults.is_down = True
    stage.clock.advance(seconds=299)
    view = ent.tenant("acme")
    stage.clock.advance(seconds=30)
    assert view.check("crm.export").allowed
    assert view.for_user("ann").check("crm.export").allowed
    assert view.for_user("ann").stale


def test_explain_on_a_view_is_about_its_instant(ent):
    """Every rule, in its order, from what the view knows."""
    explanation = ent.tenant("acme").explain("hr.payroll")
    assert explanation.decision.reason is Reason.PLAN_MODULE_ABSENT
    assert "hr.payroll" in explanation.to_text()


def test_remedies_of_a_view_are_about_its_decision(ent):
    """Nothing for what is open."""
    view = ent.tenant("acme")
    assert [remedy.plan for remedy in view.remedies(view.check("hr"))] == ["all"]
    assert view.remedies(view.check("crm")) == ()


def test_what_the_browser_sees_names_no_actor_reason_of_ours_or_price(ent, stage):
    """Data for the tenant's own pages: JSON, nothing internal."""
    stage.elsewhere.override("acme", "hr.payroll", True, because="the CEO is a friend", user="ann")
    stage.elsewhere.override("acme", "crm.import", DENY, because="abuse")
    view = ent.tenant("acme", user="ann")
    text = json.dumps(view.to_public())
    for secret in ("friend", "abuse", "because", "other", "elsewhere", "EUR", "monthly", "source", "override'"):
        assert secret not in text
    public = view.to_public()
    assert public["modules"] == ["crm"]
    assert public["features"]["crm.page_size"] == {
        "feature": "crm.page_size",
        "allowed": True,
        "reason": "plan.granted",
        "plan": "pro",
        "value": 50,
        "advisories": [],
        "degraded": False,
    }
    assert set(public["features"]) == {
        "crm",
        "hr",
        "crm.export",
        "crm.import",
        "crm.report",
        "crm.page_size",
        "crm.colours",
        "hr.payroll",
    }


def test_a_page_for_the_browser_is_no_use(stage):
    """Else each page would count every module that a tenant does not hold as one that was used."""
    ent = stage.open(enforcement="observe")
    ent.tenant("acme").to_public()
    assert ent.counts == {}


def test_a_decision_as_a_truth_value_raises_and_is_counted(ent):
    """Some frameworks swallow the error; the count does not."""
    before = MISREAD.counts().get(("decision.truth_value", "crm.export"), 0)
    for decision in (ent.check("acme", "crm.export"), ent.tenant("acme").check("crm.export")):
        with pytest.raises(TypeError, match=r"use \.allowed"):
            bool(decision)
    assert MISREAD.counts()[("decision.truth_value", "crm.export")] == before + 2


@pytest.mark.parametrize(
    ("value", "type_", "given"),
    [
        (True, bool, True),
        (5, int, 5),
        (Decimal("0.1"), Decimal, Decimal("0.1")),
        ("x", str, "x"),
        (timedelta(hours=1), timedelta, timedelta(hours=1)),
        (("a", "b"), list, ["a", "b"]),
        (("a", "b"), tuple, ("a", "b")),
    ],
)
def test_values_have_python_types(value, type_, given):
    """Each kind of config has one."""
    assert typed("crm.x", value, type_) == given


@pytest.mark.parametrize(("value", "type_"), [(True, int), (1, bool), (1, Decimal), ("a", list), (1, float)])
def test_a_value_is_never_converted(value, type_):
    """Not even where Python would."""
    with pytest.raises(TypeError, match=r"crm\.x"):
        typed("crm.x", value, type_)
