"""Flags narrow what is sold: never more than it, everywhere alike, and nothing beside it."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from payaid_entitlements import OBSERVE, OFF, Catalog
from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.values import DENY
from payaid_entitlements.errors import NotReleased, QuotaExceeded, Refused
from tests.entitlements.conftest import Stage
from tests.entitlements.flagging import flag, kill, percent, put, where

EXCLUDED, DISABLED = Reason.FLAG_ROLLOUT_EXCLUDED, Reason.FLAG_OFF


@pytest.fixture
def closed(stage, ent):
    """The flag that narrows `crm.export` lets nobody in."""
    put(stage, flag("new", narrows=("crm.export",)))
    return ent


def open_it(stage, *rules, **named):
    put(stage, flag("new", *rules, narrows=("crm.export",), **named))
    stage.clock.advance(seconds=3)


def test_a_flag_that_is_off_refuses_what_is_sold(stage, closed):
    """By check, require and a view; near and cold; the reason names the flag."""
    for _ in range(2):
        decision = closed.check("acme", "crm.export")
        assert (decision.allowed, decision.reason, decision.source) == (False, EXCLUDED, "flag new")
    assert closed.check("acme", "crm.import").allowed
    view = closed.tenant("acme")
    assert not view.check("crm.export").allowed
    assert not view.check("crm.export", access="read").allowed
    assert closed.check_many("acme", ["crm.export", "crm"])["crm.export"].reason is EXCLUDED
    assert closed.peek("acme", "crm.export").reason is EXCLUDED
    assert closed.peek("zenith", "crm.export") is None
    with pytest.raises(NotReleased) as refused:
        closed.require("acme", "crm.export")
    assert refused.value.reference
    with pytest.raises(NotReleased):
        view.require("crm.export")


def test_a_flag_that_is_on_lets_what_is_sold_pass_and_grants_nothing(stage, closed):
    """Who has not bought it is refused as ever."""
    open_it(stage, default="on")
    for _ in range(2):
        decision = closed.check("acme", "crm.export")
        assert (decision.allowed, decision.reason, decision.beneath) == (True, Reason.PLAN_GRANTED, None)
        assert closed.peek("acme", "crm.export") == decision
        assert closed.check("zenith", "crm.export").reason is Reason.PLAN_FEATURE_ABSENT
    assert not [name for name in closed.counts if name[0] == "decision"]


def test_a_hit_on_a_narrowed_key_asks_nobody(stage, closed):
    """Allowed or refused, as long as it is sure."""
    closed.check("acme", "crm.export")
    stage.faults.calls.clear()
    assert not closed.check("acme", "crm.export").allowed
    open_it(stage, default="on")
    assert closed.check("acme", "crm.export").allowed
    stage.faults.calls.clear()
    assert closed.check("acme", "crm.export").allowed
    assert closed.check("acme", "crm.export", user="mia").allowed
    assert stage.faults.calls == []


def test_nobody_is_refused_by_a_flag_that_is_older_than_a_second(stage, closed):
    """The log is read before: it may have been opened meanwhile."""
    assert not closed.check("acme", "crm.export").allowed
    put(stage, flag("new", default="on", narrows=("crm.export",)))
    stage.clock.advance(seconds=1.5)
    assert closed.check("acme", "crm.export").allowed


def test_a_flag_on_a_module_refuses_all_that_is_in_it(stage, ent):
    """And says so to whoever asks which modules there are."""
    assert "crm" in ent.tenant("acme").modules
    put(stage, flag("crm-two", narrows=("crm",)))
    stage.clock.advance(seconds=3)
    view = ent.tenant("acme")
    assert {key: view.check(key).reason for key in ("crm", "crm.export")} == {"crm": EXCLUDED, "crm.export": EXCLUDED}
    assert view.modules == frozenset()
    assert view.to_public()["modules"] == []
    put(stage, flag("crm-two", where("plan", "eq", "pro"), narrows=("crm",)))
    stage.clock.advance(seconds=3)
    assert ent.tenant("acme").modules == {"crm"}


def test_of_several_flags_each_must_be_on(stage, ent):
    """That of the module is asked first."""
    put(
        stage,
        flag("a", default="on", narrows=("crm.export",)),
        flag("b", narrows=("crm.export",)),
        flag("m", default="on", narrows=("crm",)),
    )
    assert ent.check("acme", "crm.export").source == "flag b"
    assert ent.check("acme", "crm.import").allowed
    put(stage, flag("m", narrows=("crm",)))
    stage.clock.advance(seconds=3)
    assert ent.check("acme", "crm.export").source == "flag m"


def test_a_percentage_of_users_narrows_by_the_user_who_is_named(stage, closed):
    """One flag for both questions."""
    open_it(stage, percent(50_000), bucket_by="user")
    view = closed.tenant("acme")
    users = [f"user-{number}" for number in range(40)]
    there = [view.flag("new", user=user) for user in users]
    assert {True, False} == set(there)
    assert [closed.check("acme", "crm.export", user=user).allowed for user in users] == there
    assert [view.for_user(user).check("crm.export").allowed for user in users] == there
    assert not view.check("crm.export").allowed


def test_attributes_of_a_view_narrow_too_and_stay_when_it_is_confirmed(stage, closed):
    """A refusal is made sure of by the same question."""
    open_it(stage, where("country", "eq", "IN"))
    view = closed.tenant("acme", attributes={"country": "IN"})
    assert view.check("crm.export").allowed
    assert not closed.tenant("acme", attributes={"country": "DE"}).check("crm.export").allowed
    stage.clock.advance(seconds=1.5)
    assert closed.confirm(view).check("crm.export").allowed
    assert not closed.check("acme", "crm.export").allowed


def test_a_view_does_not_follow_what_becomes_of_the_hosts_attributes(stage, closed):
    """It is pinned also before it has asked its first flag."""
    open_it(stage, where("country", "eq", "IN"))
    said = {"country": "DE"}
    view = closed.tenant("acme", attributes=said)
    other = view.for_user("mia", said)
    said["country"] = "IN"
    assert not view.check("crm.export").allowed
    assert not other.check("crm.export").allowed


def test_a_kill_switch_of_the_flag_refuses_within_one_poll(stage, closed):
    """Instantly reversible, on every process."""
    open_it(stage, default="on")
    assert closed.check("acme", "crm.export").allowed
    kill(stage, "new")
    stage.clock.advance(seconds=2)
    assert closed.check("acme", "crm.export").reason is DISABLED


@pytest.mark.parametrize("mode", [OFF, OBSERVE])
def test_no_enforcement_mode_opens_what_a_flag_keeps_back(stage, closed, mode):
    """It is not about money: what is not released is not released for those who need not pay."""
    stage.elsewhere.set_enforcement("*", mode)
    assert closed.check("acme", "crm.export").reason is EXCLUDED
    assert closed.check("zenith", "crm.export").reason is EXCLUDED
    assert closed.check("acme", "crm.export", legacy=True).reason is EXCLUDED
    open_it(stage, default="on")
    would = closed.check("zenith", "crm.export")
    assert (would.allowed, would.advisories) == (True, (Reason.PLAN_FEATURE_ABSENT,))
    assert closed.counts["decision", "crm.export", would.reason.value] == 1


def test_an_override_is_narrowed_as_what_is_bought(stage, closed):
    """By hand one gives what is sold; what a denial takes away stays away."""
    stage.elsewhere.override("zenith", "crm.export", True)
    assert closed.check("zenith", "crm.export").reason is EXCLUDED
    open_it(stage, default="on")
    assert closed.check("zenith", "crm.export").reason is Reason.OVERRIDE_GRANTED
    stage.elsewhere.override("acme", "crm.export", DENY)
    stage.clock.advance(seconds=3)
    assert closed.check("acme", "crm.export").reason is Reason.OVERRIDE_DENIED


def test_a_flag_that_leaves_the_value_open_lets_nobody_in(stage, closed):
    """Neither does one that cannot be evaluated, or that is not enabled."""
    open_it(stage, default=None)
    assert closed.check("acme", "crm.export").reason is EXCLUDED
    open_it(stage, default="on", enabled=False)
    assert closed.check("acme", "crm.export").reason is DISABLED


def test_a_value_is_not_given_to_who_is_kept_back(stage, ent):
    """As a feature that is not held."""
    assert ent.value("acme", "crm.page_size", int) == 50
    put(stage, flag("new", narrows=("crm.page_size",)))
    stage.clock.advance(seconds=3)
    with pytest.raises(NotReleased):
        ent.value("acme", "crm.page_size", int)
    put(stage, flag("new", default="on", narrows=("crm.page_size",)))
    stage.clock.advance(seconds=3)
    assert ent.value("acme", "crm.page_size", int) == 50


def test_an_explanation_ends_with_the_flags(stage, closed):
    """By a view, and past every cache, at any instant."""
    for found in (closed.tenant("acme").explain("crm.export"), closed.explain("acme", "crm.export")):
        assert (found.decision.reason, found.read) == (EXCLUDED, None)
        step = found.steps[-1]
        assert (step.rule, step.outcome) == ("flag", "deny")
        assert "new is off (STATIC)" in step.text
    assert closed.explain("acme", "crm.import").decision.allowed
    assert closed.tenant("acme").explain("crm.import").decision.allowed
    # What is refused anyway needs no flag.
    assert closed.explain("zenith", "crm.export").steps[-1].rule != "flag"
    began = stage.clock_now()
    stage.clock.advance(minutes=5)
    kill(stage, "new")
    assert closed.explain("acme", "crm.export").decision.reason is DISABLED
    assert closed.explain("acme", "crm.export", at=began).decision.reason is EXCLUDED


def test_an_explanation_names_the_rule_that_let_pass(stage, closed):
    """And keeps what it said before."""
    open_it(stage, percent(100_000))
    found = closed.tenant("acme").explain("crm.export")
    assert found.decision.reason is Reason.PLAN_GRANTED
    assert found.steps[-1].text == "new is on (SPLIT): rule r1"
    assert "flag: new is on" in found.to_text()


def test_only_reading_may_be_left_to_narrow(stage, closed):
    """A subscription that is paused reads; the flag refuses that too."""
    stage.elsewhere.pause("acme")
    found = closed.tenant("acme").explain("crm.export")
    assert found.decision.reason is not EXCLUDED
    assert found.read.reason is EXCLUDED


def test_nothing_is_offered_to_who_would_be_kept_back_all_the_same(stage, closed):
    """Whoever paid for it would not get it."""
    assert closed.remedies("zenith", "crm.export") == ()
    assert closed.remedies("acme", "crm.export") == ()
    open_it(stage, default="on")
    assert closed.remedies("zenith", "crm.export")


def test_in_an_outage_the_last_known_flags_narrow(stage, closed):
    """An outage opens nothing that a flag keeps back, and nothing that fails open either."""
    put(stage, flag("new", narrows=("crm.export", "crm.import")), flag("on", default="on", narrows=("crm.report",)))
    assert not closed.check("acme", "crm.export").allowed
    stage.faults.is_down = True
    stage.clock.advance(minutes=1)
    view = closed.tenant("acme")
    assert view.stale
    assert view.check("crm.export").reason is EXCLUDED
    assert closed.check("acme", "crm.import").reason is EXCLUDED
    assert view.check("crm.report").allowed
    assert view.check("crm.report").degraded
    stage.clock.advance(hours=9)
    assert closed.check("acme", "crm.import").reason is EXCLUDED


def test_a_revoked_tenant_is_refused_for_that(stage, closed):
    """A flag says nothing about who has nothing."""
    stage.elsewhere.revoke("acme")
    assert closed.check("acme", "crm.export").reason is Reason.SUBSCRIPTION_REVOKED


OTHER = Catalog.load(
    {
        "catalog": 1,
        "modules": {
            "mail": {
                "requires": ["crm"],
                "features": {
                    "sent": {"kind": "quota"},
                    "seats": {"kind": "allocation"},
                    "signed": {"kind": "switch", "requires": ["crm.export"]},
                },
            },
            "crm": {"features": {"export": {"kind": "switch"}}},
        },
        "plans": {
            "p": {
                "modules": ["mail", "crm"],
                "features": {"mail.sent": "3/month", "mail.seats": 2, "mail.signed": True, "crm.export": True},
            }
        },
        "default_plan": "p",
    }
)


@pytest.fixture(params=["sync", "async"])
def other(request):
    """A stage where units are counted, and one module needs another."""
    with asyncio.Runner() as runner:
        found = Stage(request.param, runner, OTHER)
        found.elsewhere.set_timezone("acme", "UTC")
        yield found
        found.close()


def test_what_is_required_does_not_count_flags(other):
    """A rollout of one feature breaks no other."""
    put(other, flag("f", narrows=("crm", "crm.export")))
    view = other.open().tenant("acme")
    assert not view.check("crm").allowed
    assert not view.check("crm.export").allowed
    assert view.check("mail").allowed
    assert view.check("mail.signed").allowed


def test_nothing_is_counted_of_what_a_flag_keeps_back(other):
    """Neither consumed, nor assigned, nor said to be there."""
    put(other, flag("new", narrows=("mail",)))
    ent = other.open()
    with pytest.raises(NotReleased):
        ent.consume("acme", "mail.sent", operation="one")
    assert ent.try_consume("acme", "mail.sent", operation="two").reason is EXCLUDED
    with pytest.raises(Refused):
        ent.assign("acme", "mail.seats", "mia")
    assert ent.check("acme", "mail.sent", amount=1).reason is EXCLUDED
    assert ent.usage("acme") == {}
    put(other, flag("new", default="on", narrows=("mail",)))
    other.clock.advance(seconds=3)
    assert ent.consume("acme", "mail.sent", 3, operation="three").remaining == Decimal(0)
    with pytest.raises(QuotaExceeded):
        ent.consume("acme", "mail.sent", operation="four")
    assert ent.assign("acme", "mail.seats", "mia").holder == "mia"
