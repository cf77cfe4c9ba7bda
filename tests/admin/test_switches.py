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


def test_a_mode_reaches_a_part_of_the_tenants_and_grows(shop, admin):
    """The same ones everywhere; who is in stays in, and each step can be taken back."""
    tenants = [f"tenant-{number}" for number in range(60)]
    other = shop.beside()

    def refused(ent):
        shop.clock.advance(seconds=3)
        return {tenant for tenant in tenants if not ent.check(tenant, "books").allowed}

    steps = []
    for percent in ("5%", 25, 100):
        change = admin.set_enforcement("books", ENFORCE, percent=percent)
        steps.append((refused(shop), change))
        assert refused(other) == steps[-1][0]
    assert steps[0][0] < steps[1][0] < steps[2][0] == set(tenants)
    assert [str(each) for _, change in steps for each in change.altered] == [
        "enforcement of books: not set -> enforce 5% else observe",
        "enforcement of books: enforce 5% else observe -> enforce 25% else observe",
        "enforcement of books: enforce 25% else observe -> enforce",
    ]
    admin.undo(steps[2][1].id)
    assert refused(other) == steps[1][0]
    assert facts(admin.set_enforcement("books", "enforce", percent=25)) == (False, "change.unchanged")
    some = next(iter(steps[1][0]))
    assert (
        "mode enforce for 25% of tenants has reached this tenant" in shop.run(shop.ent.explain(some, "books")).to_text()
    )
    before = shop.clock.now()
    shop.clock.advance(seconds=1)
    admin.set_enforcement("books", "observe")
    assert refused(other) == set()
    assert not shop.run(shop.ent.explain(some, "books", at=before)).decision.allowed


@pytest.mark.parametrize(
    ("stored", "mode", "otherwise"),
    [
        ({}, ENFORCE, OBSERVE),
        ({}, OBSERVE, ENFORCE),
        ({"books": OFF}, ENFORCE, OFF),
        ({"books": ENFORCE}, ENFORCE, OBSERVE),
        ({"books": ENFORCE}, OFF, ENFORCE),
        ({"books": OFF}, OFF, ENFORCE),
        ({"*": OFF}, ENFORCE, OFF),
        ({"*": OFF, "books": OBSERVE}, ENFORCE, OBSERVE),
    ],
)
def test_who_is_not_reached_stays_as_he_is(admin, stored, mode, otherwise):
    """By the mode that is stored; where that is the same one, or none, the other way round."""
    for scope, word in stored.items():
        admin.set_enforcement(scope, word)
    change = admin.set_enforcement("books", mode, percent="10%", operation="week 1")
    assert change.altered[0].after == f"{mode.value} 10% else {otherwise.value}"
    assert facts(admin.set_enforcement("books", mode, percent="10%", operation="week 1")) == (False, "change.repeated")


@pytest.mark.parametrize(
    ("percent", "error"), [(0.5, TypeError), (True, TypeError), (101, ConfigurationError), ("5", ConfigurationError)]
)
def test_a_part_is_a_percentage(admin, percent, error):
    """Never a float, which is rarely what was written."""
    with pytest.raises(error):
        admin.set_enforcement("books", ENFORCE, percent=percent)
