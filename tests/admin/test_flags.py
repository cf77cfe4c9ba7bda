"""Flags are turned by verbs, in both colours: written once, audited, safe to repeat."""

from __future__ import annotations

from decimal import Decimal

import pytest

from payaid_entitlements.core.flags.model import Flag, FlagType
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.errors import (
    CatalogInvalid,
    ChangeConflict,
    ConfigurationError,
    FlagsInvalid,
    OperationConflict,
    UnknownFeature,
    UnknownFlag,
)
from tests.admin.conftest import TODAY, edited, facts

COLOURS = {
    "variants": ["red", "blue"],
    "default": "red",
    "rules": [
        {"id": "pros", "when": {"plan": "pro"}, "serve": "blue"},
        {"id": "rest", "serve": "blue", "rollout": "5%"},
    ],
}


def held(shop):
    return shop.memory.flags()


def shares(shop, key):
    """Steps of each rule of a flag as it is stored; None where it lets everybody in."""
    flag = held(shop).flags[key]
    return {rule.id: rule.rollout and rule.rollout.steps[-1][1] for rule in flag.rules}


def test_a_flag_is_defined_and_rolled_out(shop, admin):
    """From then on it lives in the flag set, whole; what it becomes is said in words."""
    change = admin.define_flag("look", {"owner": "growth"}, operation="a")
    assert (facts(change), change.revision, change.tenants, change.effective_at) == (
        (True, "change.applied"),
        None,
        0,
        TODAY,
    )
    assert [str(each) for each in change.altered] == [
        'flag look: none -> boolean {"on": true, "off": false}, no rules, else off'
    ]
    change = admin.rollout("look", "25%")
    assert [str(each) for each in change.altered] == ["look rule rollout: none -> rollout: 25% get on"]
    change = admin.rollout("look", Decimal("50.5"))
    assert [str(each) for each in change.altered] == ["look rollout: 25% -> 50.5%"]
    admin.rollout("look", 100)
    assert shares(shop, "look") == {"rollout": 100_000}
    assert held(shop).revision == 4


@pytest.mark.parametrize("percent", [0.5, True, None, 25.0])
def test_a_share_is_never_a_float(admin, percent):
    admin.define_flag("look", {})
    with pytest.raises(TypeError, match="a percentage is"):
        admin.rollout("look", percent)


@pytest.mark.parametrize(
    "percent", ["25", "101%", "0.0001%", 101, -1, Decimal("NaN"), Decimal("1e9"), Decimal("0.00001")]
)
def test_a_share_is_from_0_to_100(admin, percent):
    admin.define_flag("look", {})
    with pytest.raises(ValueError):
        admin.rollout("look", percent)


def test_a_share_is_that_of_a_rule(shop, admin):
    """Of the one that grows; another one is named."""
    admin.define_flag("colour", COLOURS)
    admin.rollout("colour", 30)
    assert shares(shop, "colour") == {"pros": None, "rest": 30_000}
    admin.rollout("colour", 40, rule="pros")
    assert shares(shop, "colour") == {"pros": 40_000, "rest": 30_000}
    with pytest.raises(ConfigurationError, match="say which"):
        admin.rollout("colour", 50)


def test_everybody_gets_a_variant_until_the_rules_decide_again(shop, admin):
    admin.define_flag("colour", COLOURS)
    change = admin.set_flag("colour", "blue")
    assert [str(each) for each in change.altered] == ["colour rule set: none -> set: all get blue"]
    assert facts(admin.set_flag("colour", "blue")) == (False, "change.unchanged")
    before = held(shop).flags
    assert facts(admin.set_flag("colour", None)) == (True, "change.applied")
    assert facts(admin.set_flag("colour", None)) == (False, "change.unchanged")
    assert held(shop).flags != before
    with pytest.raises(ConfigurationError, match="no variant 'bleu'; did you mean 'blue'"):
        admin.set_flag("colour", "bleu")


def test_a_share_of_what_is_given_to_everybody_is_refused(shop, admin):
    """Else who takes it back to 0 % is told that it is done, while everybody is still in."""
    admin.define_flag("look", {"rollout": "5%"})
    admin.set_flag("look", "on")
    with pytest.raises(ConfigurationError, match=r"everybody gets 'on' of flag 'look'.*set_flag\('look', None\)"):
        admin.rollout("look", 0)
    admin.set_flag("look", None)
    assert facts(admin.rollout("look", 0)) == (True, "change.applied")


@pytest.mark.parametrize(
    ("verb", "arguments"), [("rollout", ("loo", 5)), ("set_flag", ("loo", "on")), ("remove_flag", ("loo",))]
)
def test_an_unknown_flag_is_named_with_the_one_that_is_meant(admin, verb, arguments):
    admin.define_flag("look", {})
    with pytest.raises(UnknownFlag, match="no flag 'loo'; did you mean 'look'"):
        getattr(admin, verb)(*arguments)


def test_a_definition_that_is_wrong_is_refused_with_all_problems(shop, admin):
    with pytest.raises(FlagsInvalid) as caught:
        admin.define_flag("look", {"narrows": ["crn"], "default": "onn", "rollout": "500%"})
    assert all(what in str(caught.value) for what in ("'onn'", "did you mean 'crm'", "'500%' is more than 100%"))
    with pytest.raises(FlagsInvalid, match="is a module and cannot be a flag too"):
        admin.define_flag("crm", {})
    assert held(shop).revision == 0


def test_a_flag_may_be_given_as_it_is_kept(shop, admin):
    look = Flag("look", FlagType.BOOLEAN, {"on": True, "off": False}, "off", "off", salt="look")
    admin.define_flag("look", look, operation="a")
    assert held(shop).flags["look"] == look
    assert facts(admin.define_flag("look", look, operation="a")) == (False, "change.repeated")


@pytest.mark.parametrize("edit", [{"salt": "other"}, {"bucket_by": "user"}])
def test_what_deals_buckets_does_not_change_on_a_live_flag(admin, edit):
    """Not by a definition, and not by a file; a flag that was removed is not live."""
    admin.define_flag("look", {})
    for act in (
        lambda: admin.define_flag("look", edit),
        lambda: admin.import_flags({"flags": {"look": edit}}),
    ):
        with pytest.raises(ConfigurationError, match="while it is live: everybody would be dealt anew"):
            act()
    admin.remove_flag("look")
    admin.define_flag("look", edit)


def test_a_flag_of_the_catalog_is_copied_whole_by_its_first_change(shop, admin):
    """From then on the catalog's word of it does not count; removed, it does not come back."""
    admin.publish({**edited(), "flags": {"look": {"rollout": "5%"}, "other": {}}})
    change = admin.rollout("look", 25)
    assert [str(each) for each in change.altered] == ["look rollout: 5% -> 25%"]
    admin.publish({**edited(), "flags": {"look": {"rollout": "70%"}, "other": {}}})
    assert shares(shop, "look") == {"rollout": 25_000}
    assert set(held(shop).flags) == {"look"}
    admin.remove_flag("look")
    assert held(shop).flags == {"look": None}
    with pytest.raises(UnknownFlag):
        admin.rollout("look", 50)


def test_what_another_flag_needs_is_not_removed(admin):
    admin.define_flag("look", {})
    admin.define_flag("more", {"needs": {"look": "on"}})
    with pytest.raises(ConfigurationError, match="'look' is a prerequisite of 'more'"):
        admin.remove_flag("look")
    admin.remove_flag("more")
    assert facts(admin.remove_flag("look")) == (True, "change.applied")


def test_segments_are_defined_and_removed(shop, admin):
    change = admin.define_segment("indian", {"country": "IN"})
    assert [str(each) for each in change.altered] == ['segment indian: none -> {"test": ["country", "eq", "IN"]}']
    admin.define_segment("close", {"any": [{"segment": "indian"}, {"country": "NP"}]})
    admin.define_flag("look", {"rules": [{"when": {"segment": "close"}}]})
    assert facts(admin.define_segment("indian", held(shop).segments["indian"])) == (False, "change.unchanged")
    with pytest.raises(ConfigurationError, match="'indian' is named by segment 'close'"):
        admin.remove_segment("indian")
    with pytest.raises(ConfigurationError, match="'close' is named by flag 'look'"):
        admin.remove_segment("close")
    admin.remove_flag("look")
    admin.remove_segment("close")
    assert facts(admin.remove_segment("indian")) == (True, "change.applied")
    with pytest.raises(ConfigurationError, match="no segment 'indian'"):
        admin.remove_segment("indian")
    with pytest.raises(FlagsInvalid, match="must stand alone"):
        admin.define_segment("own", {"segment": "own"})


def test_a_segment_of_the_catalog_is_replaced_and_comes_back(shop, admin):
    """Also where a flag names it: what the catalog says of it counts again then."""
    sold = {
        **edited(),
        "segments": {"indian": {"country": "IN"}},
        "flags": {"look": {"rules": [{"when": {"segment": "indian"}}]}},
    }
    admin.publish(sold)
    with pytest.raises(ConfigurationError, match="'indian' is the catalog's; take it out there"):
        admin.remove_segment("indian")
    admin.define_segment("indian", {"country": ["IN", "NP"]})
    assert facts(admin.remove_segment("indian")) == (True, "change.applied")
    assert held(shop).segments == {}


def test_a_dry_run_tells_and_writes_nothing(shop):
    dry = shop.admin(dry_run=True)
    change = dry.define_flag("look", {"rollout": "5%"})
    assert (facts(change), len(change.altered)) == ((False, "change.dry_run"), 1)
    assert held(shop).revision == 0
    shop.admin().define_flag("look", {"rollout": "5%"})
    assert facts(dry.define_flag("look", {"rollout": "5%"})) == (False, "change.unchanged")


def test_an_operation_is_done_once(shop, admin):
    """Also when what it said is not true any more, or would be refused now; it names the first change."""
    admin.define_flag("look", {})
    first = admin.rollout("look", 25, operation="a")
    admin.rollout("look", 50)
    again = admin.rollout("look", 25, operation="a")
    assert (facts(again), again.id, again.altered) == ((False, "change.repeated"), first.id, ())
    assert shares(shop, "look") == {"rollout": 50_000}
    with pytest.raises(OperationConflict):
        admin.rollout("look", 30, operation="a")
    admin.remove_flag("look")
    assert facts(admin.rollout("look", 25, operation="a")) == (False, "change.repeated")
    assert facts(shop.admin(dry_run=True).rollout("look", 25, operation="a")) == (False, "change.repeated")
    with pytest.raises(UnknownFlag):
        admin.rollout("look", 25, operation="b")


def test_an_act_that_changes_nothing_is_remembered_by_its_operation(shop, admin):
    admin.define_flag("look", {})
    assert facts(admin.set_flag("look", None, operation="a")) == (True, "change.applied")
    assert facts(admin.set_flag("look", None, operation="a")) == (False, "change.repeated")


def test_who_looked_at_an_older_revision_is_refused(shop, admin):
    admin.define_flag("look", {})
    assert facts(admin.rollout("look", 5, expect=1)) == (True, "change.applied")
    with pytest.raises(ChangeConflict, match="at revision 2, and you looked at 1") as caught:
        admin.rollout("look", 25, expect=1)
    assert (caught.value.expected, caught.value.found) == (1, 2)
    with pytest.raises(TypeError, match="expect='1'"):
        admin.rollout("look", 25, expect="1")


def test_a_kill_switch_takes_the_key_of_a_flag(shop, admin):
    """Its rules stay, and come back."""
    admin.define_flag("look", {"rollout": "100%"})
    change = admin.kill("look")
    assert [str(each) for each in change.altered] == ["kill switch of look: off -> on"]
    assert shop.memory.controls().killed == {"look"}
    assert facts(admin.restore("look")) == (True, "change.applied")
    admin.kill("look")
    admin.remove_flag("look")
    assert facts(admin.restore("look")) == (True, "change.applied")
    admin.define_flag("book-look", {})
    for verb in ("kill", "restore"):
        with pytest.raises(UnknownFeature, match="no module, feature or flag 'book-lok'; did you mean 'book-look'"):
            getattr(admin, verb)("book-lok")


def test_the_trail_says_what_was_done_to_a_flag(shop, admin):
    """Its changes and its kill switch; each change with what was before and after."""
    admin.define_flag("look", {"rollout": "5%"})
    admin.define_flag("other", {})
    admin.rollout("look", 25, because="day 2")
    admin.kill("look")
    admin.define_segment("indian", {"country": "IN"})
    trail = shop.trail(flag="look")
    assert [entry.verb for entry in trail] == ["define_flag", "rollout", "kill"]
    assert [str(each) for each in trail[1].altered] == ["look rollout: 5% -> 25%"]
    assert (trail[1].because, trail[1].detail["asked"]) == ("day 2", {"flag": "look", "parts": 25_000, "rule": None})
    before, after = (trail[1].detail[name]["flag"]["look"]["rules"][0]["rollout"] for name in ("was", "is"))
    assert [each["steps"][0][1] for each in (before, after)] == [5_000, 25_000]
    assert [entry.verb for entry in shop.trail(feature="other")] == ["define_flag"]
    assert len(shop.trail()) == 6


def test_flags_of_a_file_are_all_defined_or_none(shop, admin, tmp_path):
    """They may name one another; others stay as they are, and what says nothing new is not copied."""
    admin.publish({**edited(), "flags": {"kept": {"rollout": "5%"}}})
    admin.define_flag("mine", {})
    file = tmp_path / "flags.yaml"
    file.write_text(
        """
        segments: {indian: {country: IN}}
        flags:
          kept: {rollout: 5%}
          look: {needs: {base: on}, rules: [{when: {segment: indian}}]}
          base: {rollout: 5%}
        """
    )
    change = admin.import_flags(file)
    assert [each.what for each in change.altered] == ["flag base", "flag look", "segment indian"]
    assert set(held(shop).flags) == {"mine", "look", "base"}
    assert facts(admin.import_flags(file)) == (False, "change.unchanged")
    file.write_text("flags: {look: {rollout: 5}, crm: {}, more: {needs: {nothing: on}}}")
    with pytest.raises(FlagsInvalid) as caught:
        admin.import_flags(str(file))
    assert len(caught.value.problems) == 3
    assert held(shop).revision == 2


def test_flags_of_flagd_are_imported(shop, admin):
    document = {
        "flags": {
            "new-colour": {
                "state": "ENABLED",
                "variants": {"red": "r", "blue": "b"},
                "defaultVariant": "red",
                "targeting": {"fractional": [["red", 50], ["blue", 50]]},
            }
        }
    }
    admin.import_flags(document)
    assert held(shop).flags["new-colour"].targeting == {"fractional": [["red", 50], ["blue", 50]]}
    with pytest.raises(ConfigurationError, match="read from flagd"):
        admin.rollout("new-colour", 5)
    admin.set_flag("new-colour", "blue")
    snapshot = FlagSnapshot.of({}, held(shop))
    assert snapshot.flags["new-colour"].flag.targeting["if"][:2] == [True, "blue"]
    bad = {"flags": {"crm": {"state": "ENABLED", "variants": {"on": True}, "defaultVariant": "on"}}}
    with pytest.raises(FlagsInvalid, match="cannot have the key of the module or feature 'crm'"):
        admin.import_flags(bad)


def test_publishing_says_which_flags_are_changed_since(shop, admin):
    """What the catalog says of these does not count any more; of others it does."""
    first = {**edited(), "flags": {"look": {"rollout": "5%"}, "other": {}}, "segments": {"near": {"country": "IN"}}}
    admin.publish(first)
    admin.rollout("look", 25)
    admin.define_segment("near", {"country": "NP"})
    second = {
        **edited(),
        "flags": {"look": {"rollout": "70%"}, "other": {"rollout": "5%"}},
        "segments": {"near": {"country": "LK"}},
    }
    told = [str(each) for each in shop.admin(dry_run=True).publish(second).altered]
    assert told == [
        f"{each}: changed since it was published -> stays so: what the catalog says of it does not count"
        for each in ("flag look", "segment near")
    ]
    assert [str(each) for each in admin.publish(second).altered] == told
    assert shares(shop, "look") == {"rollout": 25_000}


@pytest.mark.parametrize("edit", [{"salt": "new"}, {"bucket_by": "user"}])
def test_publishing_deals_nobody_anew(shop, admin, edit):
    """But for flags that are in the set: what the catalog says of them does not count."""
    admin.publish({**edited(), "flags": {"look": {}, "other": {}, "third": {}}})
    sold = {**edited(), "flags": {"look": edit, "other": edit, "third": {}}}
    with pytest.raises(CatalogInvalid) as caught:
        admin.publish(sold)
    assert [(each.code, each.path) for each in caught.value.problems] == [
        ("flag.dealt_anew", "flags.look"),
        ("flag.dealt_anew", "flags.other"),
    ]
    admin.rollout("look", 5)
    admin.rollout("other", 5)
    admin.publish(sold)


def test_views_follow_what_is_turned(shop, admin):
    """This process at once, others at their next look at the change log; explained by the same rules."""
    admin.publish({**edited(), "segments": {"close": {"country": "IN"}}})
    other = shop.beside()
    admin.define_flag("look", {"rules": [{"id": "near", "when": {"segment": "close"}}]})
    assert shop.run(shop.ent.tenant("acme", attributes={"country": "IN"})).flag("look") is True
    admin.define_flag("look", {"rollout": "0%"})
    for act, expected in (
        (lambda: admin.rollout("look", 100), True),
        (lambda: admin.kill("look"), False),
        (lambda: admin.restore("look"), True),
        (lambda: admin.set_flag("look", "off"), False),
        (lambda: admin.set_flag("look", None), True),
        (lambda: admin.undo(shop.trail(flag="look")[-1].id), False),
    ):
        act()
        assert shop.view("acme").flag("look") is expected
        other.clock.advance(seconds=5)
        assert other.view("acme").flag("look") is expected
    explained = shop.view("acme").explain_flag("look")
    assert (explained.details.rule, explained.identity) == ("set", "acme")
    with pytest.raises(UnknownFlag, match="did you mean 'look'"):
        shop.view("acme").explain_flag("loook")
    named = admin.define_segment("close", {"country": "NP"})
    admin.define_flag("look", {"rules": [{"id": "near", "when": {"segment": "close"}}]})
    view = shop.run(shop.ent.tenant("acme", attributes={"country": "NP"}))
    assert view.flag("look") is True
    assert view.explain_flag("look", attributes={"country": "IN"}).details.rule is None
    admin.undo(named.id)
    assert shop.run(shop.ent.tenant("acme", attributes={"country": "NP"})).flag("look") is False


def test_who_kills_a_flag_has_no_tenant_read_again(shop, admin):
    """In this process and in others: an emergency is no time for every process to read every tenant."""
    admin.define_flag("look", {"serve": "on"})
    admin.subscribe("acme", "big")
    other = shop.beside()
    for each in (shop, other):
        assert each.view("acme").flag("look") is True
        assert each.check("acme", "crm").allowed
        each.faults.calls.clear()
    admin.kill("look")
    assert shop.view("acme").flag("look") is False
    assert "read" not in shop.faults.calls
    other.clock.advance(seconds=5)
    other.view("acme")
    assert other.view("acme").flag("look") is False
    admin.kill("crm")
    assert not shop.check("acme", "crm").allowed
    admin.restore("crm")
    admin.restore("look")
    assert shop.check("acme", "crm").allowed
    assert shop.view("acme").flag("look") is True
    assert shop.ent._setting.near.world.controls.killed == frozenset()
