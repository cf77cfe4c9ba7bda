"""What operators turn for everybody: kill switches and enforcement modes."""

from __future__ import annotations

import pytest

from payaid_entitlements.core.controls import ENFORCE, OBSERVE, OFF
from payaid_entitlements.core.decision import Reason
from payaid_entitlements.errors import ConfigurationError, UnknownFeature
from tests.admin.conftest import TODAY, edited, facts


@pytest.mark.parametrize("key", ["crm", "crm.export"])
def test_a_module_or_feature_is_killed_for_everybody_and_restored(shop, admin, key):
    """At once in this process, at the next look at the change log in others."""
    admin.subscribe("acme", "big")
    other = shop.beside()
    assert other.check("acme", "crm.export").allowed
    change = admin.kill(key, operation="INC-1")
    assert (facts(change), change.revision, change.effective_at, change.tenants) == (
        (True, "change.applied"),
        None,
        TODAY,
        0,
    )
    assert [str(each) for each in change.altered] == [f"kill switch of {key}: off -> on"]
    assert shop.check("acme", "crm.export", after=change.revision).reason is Reason.ENFORCEMENT_KILLED
    shop.clock.advance(seconds=5)
    assert other.check("acme", "crm.export").reason is Reason.ENFORCEMENT_KILLED
    assert [str(each) for each in admin.restore(key).altered] == [f"kill switch of {key}: on -> off"]
    assert shop.check("acme", "crm.export").allowed


def test_a_switch_that_stands_so_already_is_not_turned(admin):
    """Nothing is written, unless the act itself is to be remembered by its operation."""
    assert facts(admin.restore("crm")) == (False, "change.unchanged")
    assert facts(admin.set_enforcement("crm", OBSERVE)) == (True, "change.applied")
    assert facts(admin.set_enforcement("crm", "observe")) == (False, "change.unchanged")
    assert facts(admin.set_enforcement("crm", "observe", operation="a")) == (True, "change.applied")


def test_a_repeated_operation_turns_nothing(shop, admin):
    """Also when the switch was turned back meanwhile: it names the first change, and alters nothing."""
    first = admin.kill("crm", operation="INC-1")
    admin.restore("crm", operation="INC-2")
    again = admin.kill("crm", operation="INC-1")
    assert facts(again) == (False, "change.repeated")
    assert (again.id, again.revision, again.altered) == (first.id, first.revision, ())
    assert shop.check("acme", "crm").allowed


def test_only_what_the_catalog_has_can_be_switched(admin):
    """A typo in a kill switch must not look as if something had been turned off."""
    for verb in ("kill", "restore"):
        with pytest.raises(UnknownFeature, match=r"did you mean 'crm\.export'"):
            getattr(admin, verb)("crm.exprot")
    with pytest.raises(UnknownFeature, match=r"no module 'crn'; did you mean 'crm'\?; '\*' is everywhere"):
        admin.set_enforcement("crn", OFF)
    with pytest.raises(UnknownFeature):
        admin.set_enforcement("crm.export", OFF)


def test_what_is_not_sold_any_more_can_still_be_restored(admin):
    """Its kill switch would otherwise stay for ever."""
    admin.kill("crm.calls")
    without = edited()
    without["modules"] = {**without["modules"], "crm": {"features": dict(without["modules"]["crm"]["features"])}}
    del without["modules"]["crm"]["features"]["calls"]
    without["retired"] = {**without["retired"], "crm.calls": "2026-01-01"}
    for plan in without["plans"].values():
        plan["features"].pop("crm.calls", None)
    admin.publish(without)
    assert facts(admin.restore("crm.calls")) == (True, "change.applied")
    with pytest.raises(UnknownFeature):
        admin.restore("crm.calls")


def test_a_mode_softens_refusals_until_it_is_enforced(shop, admin):
    """For one module, or for wherever no module says otherwise."""
    assert not shop.check("acme", "books").allowed
    change = admin.set_enforcement("books", OBSERVE)
    assert [str(each) for each in change.altered] == ["enforcement of books: not set -> observe"]
    assert shop.check("acme", "books").reason is Reason.ENFORCEMENT_OBSERVED
    assert not shop.check("acme", "old").allowed
    everywhere = admin.set_enforcement("*", "off")
    assert [str(each) for each in everywhere.altered] == ["enforcement everywhere: not set -> off"]
    assert shop.check("acme", "old").reason is Reason.ENFORCEMENT_OFF
    admin.set_enforcement("books", ENFORCE)
    admin.set_enforcement("*", ENFORCE)
    assert not shop.check("acme", "books").allowed
    assert not shop.check("acme", "old").allowed


@pytest.mark.parametrize("mode", ["of", "", None, 0, True])
def test_a_mode_is_one_of_three_words(admin, mode):
    """A typo must never open what is sold."""
    with pytest.raises(ConfigurationError, match="'off', 'observe' or 'enforce'"):
        admin.set_enforcement("crm", mode)
