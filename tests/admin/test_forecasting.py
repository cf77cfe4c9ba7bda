"""Whom a rollout would move is counted beforehand, and is whom it moves."""

from __future__ import annotations

import pytest

from payaid_entitlements.admin import counting, flagging
from payaid_entitlements.core.flags.forecasting import context_of
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.errors import ConfigurationError, UnknownFlag

TENANTS = [f"tenant-{number}" for number in range(40)]


@pytest.fixture
def peopled(shop, admin):
    for number, tenant in enumerate(TENANTS):
        admin.subscribe(tenant, "pro" if number % 2 else "free")
    return shop


def inside(shop, key):
    """Who gets another variant than the default, asked one by one."""
    snapshot = FlagSnapshot.of({}, shop.memory.flags())
    flag = snapshot.flags[key]
    plans = {tenant: "pro" if number % 2 else "free" for number, tenant in enumerate(TENANTS)}
    said = {
        tenant: flag.evaluate(context_of(tenant, plan, (), shop.ent._setting.now())) for tenant, plan in plans.items()
    }
    return {tenant: each.variant for tenant, each in said.items() if each.variant != flag.flag.default}


def test_who_enters_is_who_is_counted(peopled, admin, monkeypatch):
    """Whoever is in stays in, page by page."""
    monkeypatch.setattr(counting, "PAGE", 15)
    admin.define_flag("look", {"rollout": "20%"})
    before, pages = inside(peopled, "look"), []
    told = admin.forecast("look", 70, progress=pages.append)
    admin.rollout("look", 70)
    after = inside(peopled, "look")
    assert before.items() <= after.items()
    assert (told.before, told.after, told.enter) == (len(before), len(after), len(after) - len(before))
    assert (told.leave, told.change, told.tenants, told.unknown) == (0, 0, 40, ())
    assert pages == [15, 30, 40]
    assert str(told) == f"+{told.enter} tenants, none leaves, none changes arm"
    assert admin.forecast("look", "20%").leave == told.enter


def test_the_last_page_may_be_full(peopled, admin, monkeypatch):
    monkeypatch.setattr(counting, "PAGE", 20)
    admin.define_flag("look", {})
    pages = []
    assert admin.forecast("look", 100, progress=pages.append).enter == 40
    assert pages == [20, 40]
    assert admin.forecast("look", 0).enter == 0


def test_of_a_rule_only_those_are_counted_to_whom_it_applies(peopled, admin):
    admin.define_flag("look", {"rules": [{"id": "pros", "when": {"plan": "pro"}, "rollout": "0%"}]})
    told = admin.forecast("look", 100, rule="pros")
    assert (told.enter, told.unknown) == (20, ())


def test_what_is_not_known_here_is_named(peopled, admin):
    """Of users nobody is counted; of the host's own attributes only who has none."""
    admin.define_flag("look", {"bucket_by": "user", "fallback": "company.id"})
    told = admin.forecast("look", 100)
    assert (told.enter, told.unknown) == (0, ("company", "user"))


def test_nothing_is_counted_for_a_flag_that_is_not_there(peopled, admin):
    admin.define_flag("look", {})
    with pytest.raises(UnknownFlag, match="did you mean 'look'"):
        admin.forecast("loook", 5)
    with pytest.raises(ConfigurationError, match="no rule 'x'"):
        admin.define_flag("look", {"rollout": "5%"})
        admin.forecast("look", 5, rule="x")
    with pytest.raises(TypeError):
        admin.forecast("look", 0.5)


def test_what_is_defined_says_whom_it_moves(peopled, admin, monkeypatch):
    """Also dry; what a rollout to the same share would say."""
    monkeypatch.setattr(counting, "PAGE", 15)
    [told] = peopled.admin(dry_run=True).define_flag("look", {"rollout": "20%"}).forecasts
    [done] = admin.define_flag("look", {"rollout": "20%"}).forecasts
    assert told == done
    assert (told.key, told.enter, told.leave, told.after) == ("look", len(inside(peopled, "look")), 0, told.enter)
    expected = admin.forecast("look", "70%")
    assert admin.define_flag("look", {"rollout": "70%"}).forecasts == (expected,)
    [back] = admin.define_flag("look", {"rollout": "20%"}).forecasts
    assert (back.enter, back.leave) == (0, expected.enter)
    assert admin.define_flag("look", {"rollout": "20%"}).forecasts == ()
    assert admin.define_flag("off", {}).forecasts == ()
    assert admin.rollout("look", 30).forecasts == ()


def test_so_does_what_is_imported_for_the_first_of_many(peopled, admin, monkeypatch):
    """Tenants are listed once, whatever the number of flags."""
    monkeypatch.setattr(flagging, "MOST_FLAGS", 2)
    flags = {f"look-{number}": {"rollout": f"{number + 1}0%"} for number in range(5)}
    peopled.faults.calls.clear()
    change = admin.import_flags({"flags": {**flags, "off": {}}})
    assert [each.key for each in change.forecasts] == ["look-0", "look-1"]
    assert [each.after for each in change.forecasts] == [len(inside(peopled, key)) for key in ("look-0", "look-1")]
    assert change.uncounted == 3
    assert peopled.faults.calls.count("find") == 1


def test_a_segment_moves_whom_flags_with_it_move(peopled, admin):
    admin.define_segment("some", {"plan": "pro"})
    admin.define_flag("look", {"rules": [{"when": {"segment": "some"}}]})
    [told] = admin.define_segment("some", {"plan": "free"}).forecasts
    assert (told.key, told.enter, told.leave) == ("look", 20, 20)


@pytest.mark.parametrize(("most", "more"), [(20, True), (40, False)])
def test_of_very_many_tenants_the_first_are_counted(peopled, admin, monkeypatch, most, more):
    """And it is said that there are more."""
    monkeypatch.setattr(counting, "PAGE", 10)
    monkeypatch.setattr(flagging, "MOST_TENANTS", most)
    [told] = admin.define_flag("look", {"serve": "on"}).forecasts
    assert (told.tenants, told.enter, told.more) == (most, most, more)
    assert str(told).endswith(", none changes arm, of the first 20 tenants") is more
