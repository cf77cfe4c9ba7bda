"""Enforcement comes last and is loud when it is not on; the host's own old answer decides until then."""

from __future__ import annotations

import pytest

from payaid_entitlements import DENY, Reason
from payaid_entitlements.errors import ConfigurationError, NotEntitled


def test_unset_means_enforce(ent):
    """Nothing is opened by forgetting to configure it."""
    assert not ent.check("acme", "hr.payroll").allowed


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_a_commercial_refusal_is_softened_and_says_what_it_would_have_been(stage, mode):
    """With an advisory, and counted each time, near or not."""
    ent = stage.open(enforcement=mode)
    reason = Reason.ENFORCEMENT_OFF if mode == "off" else Reason.ENFORCEMENT_OBSERVED
    for _ in range(3):
        decision = ent.check("acme", "hr.payroll")
        assert (decision.allowed, decision.reason) == (True, reason)
        assert decision.advisories[0] is Reason.PLAN_MODULE_ABSENT
    assert ent.counts[("decision", "hr.payroll", reason.value)] == 3


def test_modules_may_have_modes_of_their_own(stage):
    """A product is moved over module by module."""
    ent = stage.open(enforcement={"hr": "observe"})
    assert ent.check("acme", "hr.payroll").reason is Reason.ENFORCEMENT_OBSERVED
    assert not ent.check("acme", "crm.merge").allowed
    with pytest.raises(ConfigurationError, match=r"enforcement= is about module 'hrr', .* did you mean 'hr'"):
        stage.open(enforcement={"hrr": "observe"})


def test_it_is_loud_when_it_is_not_on(stage, caplog):
    """Whoever starts such a process reads it."""
    stage.open()
    assert caplog.text == ""
    stage.open(enforcement="off")
    assert "enforcement.is_not_on" in caplog.text


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("PAYAID_ENFORCEMENT", "observe"),
        ("PAYAID_ENFORCEMENT_HR", "off"),
        ("FEATURE_LICENSING", "false"),
        ("FEATURE_MODULE_GATING", "0"),
    ],
)
def test_the_environment_goes_before_the_argument(stage, monkeypatch, caplog, name, word):
    """Operators can soften a running version without changing its code, and it is loud."""
    monkeypatch.setenv(name, word)
    assert stage.open(enforcement="enforce").check("acme", "hr.payroll").allowed
    assert "enforcement.is_not_on" in caplog.text


def test_the_environment_can_enforce_what_the_argument_softens(stage, monkeypatch):
    """In one module; the others follow the argument."""
    monkeypatch.setenv("PAYAID_ENFORCEMENT_HR", "enforce")
    ent = stage.open(enforcement="off")
    assert not ent.check("acme", "hr.payroll").allowed
    assert ent.check("acme", "crm.export").allowed


@pytest.mark.parametrize("word", ["enforced", "", "OFF!", None, 1])
def test_a_word_that_nobody_knows_fails_start_up(stage, word):
    """A typo must never open what is sold."""
    with pytest.raises(ConfigurationError, match="'off', 'observe' or 'enforce'"):
        stage.open(enforcement=word)


def test_a_word_in_the_environment_fails_start_up_too(stage, monkeypatch):
    """Naming the variable."""
    monkeypatch.setenv("PAYAID_ENFORCEMENT_CRM", "enfroce")
    with pytest.raises(ConfigurationError, match="PAYAID_ENFORCEMENT_CRM"):
        stage.open()


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_what_is_not_about_money_is_never_softened(stage, mode):
    """A kill, a revocation, a DENY, a wrong key and an outage stay what they are; legacy= cannot open them either."""
    ent = stage.open(enforcement=mode)
    stage.elsewhere.revoke("gone")
    stage.elsewhere.override("denied", "crm", DENY)
    stage.elsewhere.kill("crm.import")
    for legacy in (None, True):
        assert ent.check("gone", "crm", legacy=legacy).reason is Reason.SUBSCRIPTION_REVOKED
        assert ent.check("denied", "crm", legacy=legacy).reason is Reason.OVERRIDE_DENIED
        assert ent.check("any", "crm.import", legacy=legacy).reason is Reason.ENFORCEMENT_KILLED
        assert ent.check("any", "crm.exprot", legacy=legacy).reason is Reason.CATALOG_UNKNOWN
    stage.faults.is_down = True
    for legacy in (None, True):
        assert ent.check("cold", "crm", legacy=legacy).reason is Reason.STORE_UNAVAILABLE
    assert stage.open(enforcement=mode).check("cold", "crm", legacy=True).reason is Reason.STORE_UNAVAILABLE


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("feature", ["crm", "hr"])
def test_until_a_module_is_enforced_the_old_answer_decides(stage, feature, legacy):
    """Either way; what we would have said is an advisory."""
    ent = stage.open(enforcement="observe")
    decision = ent.check("acme", feature, legacy=legacy)
    assert (decision.allowed, decision.reason) == (legacy, Reason.ENFORCEMENT_LEGACY)
    would = Reason.PLAN_DEFAULT if feature == "crm" else Reason.PLAN_MODULE_ABSENT
    assert would in decision.advisories


def test_once_a_module_is_enforced_the_old_answer_only_counts(ent):
    """Differences are counted in both directions."""
    assert ent.check("acme", "crm.export", legacy=False).allowed
    assert not ent.check("acme", "hr.payroll", legacy=True).allowed
    assert ent.check("acme", "crm", legacy=True).allowed
    assert ent.counts[("legacy.differs", "crm.export", "legacy_refuses")] == 1
    assert ent.counts[("legacy.differs", "hr.payroll", "legacy_allows")] == 1
    assert ("legacy.differs", "crm", "legacy_refuses") not in ent.counts


def test_an_old_answer_that_refuses_is_required_too(stage):
    """require raises by what decided."""
    ent = stage.open(enforcement="observe")
    assert ent.require("acme", "hr.payroll", legacy=True).reason is Reason.ENFORCEMENT_LEGACY
    with pytest.raises(NotEntitled):
        ent.require("acme", "crm", legacy=False)


@pytest.mark.parametrize("legacy", [1, "yes", object()])
def test_an_old_answer_is_true_or_false(ent, legacy):
    """Anything else may be a forgotten call."""
    with pytest.raises(TypeError, match="legacy"):
        ent.check("acme", "crm.export", legacy=legacy)


def test_a_mode_that_operators_set_is_followed_at_once_by_who_set_it(ent, stage):
    """And within two seconds by the others."""
    other = stage.open()
    assert not other.check("acme", "hr.payroll").allowed
    ent.admin().set_enforcement("hr", "observe")
    assert ent.check("acme", "hr.payroll").allowed
    stage.clock.advance(seconds=2)
    assert other.check("acme", "hr.payroll").allowed


def test_a_softened_feature_has_no_value_to_give(stage):
    """By the reason for which it would have been refused."""
    ent = stage.open(enforcement="off")
    with pytest.raises(NotEntitled) as caught:
        ent.value("acme", "crm.colours", list)
    assert caught.value.decision.reason is Reason.PLAN_FEATURE_ABSENT
