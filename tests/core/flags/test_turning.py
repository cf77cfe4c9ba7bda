"""What operators do to one flag: how many are in, and which variant everybody gets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.flags.model import (
    Flag,
    FlagType,
    Guard,
    Rollout,
    Rule,
    Test,
)
from payaid_entitlements.core.flags.turning import (
    FIXED,
    fixed,
    fixed_at,
    rolled_out,
)
from payaid_entitlements.core.instant import EARLIEST
from payaid_entitlements.errors import ConfigurationError
from tests.core.flags.generated import flags

BOOLEAN = Flag("look", FlagType.BOOLEAN, {"on": True, "off": False}, "off", "off", salt="look")
COLOUR = Flag("colour", FlagType.STRING, {"red": "r", "blue": "b"}, "red", "red", salt="colour")
INDIA = Test("country", "eq", "IN")


def shares(flag: Flag) -> dict[str, object]:
    """Steps of each rule; None where it lets everybody in."""
    return {rule.id: rule.rollout and rule.rollout.steps for rule in flag.rules}


def at(share: int) -> object:
    return ((EARLIEST, share),)


def test_a_boolean_flag_without_rules_gets_one_for_everybody():
    grown = rolled_out(BOOLEAN, 25_000)
    assert grown.rules == (Rule("rollout", "on", rollout=Rollout(((EARLIEST, 25_000),))),)
    assert shares(rolled_out(grown, 50_000)) == {"rollout": at(50_000)}


def test_the_variant_that_a_share_gets_is_the_true_one_that_is_not_the_default():
    """A flag that is on by default has none: a share of it says nothing."""
    with pytest.raises(ConfigurationError, match="nothing says which of its variants"):
        rolled_out(replace(BOOLEAN, default="on"), 1)
    with pytest.raises(ConfigurationError, match="nothing says which of its variants"):
        rolled_out(COLOUR, 1)


def test_the_only_rule_that_grows_is_meant_else_the_only_one():
    """Of several it must be said."""
    staff = Rule("staff", "blue", when=INDIA)
    grown = Rule("grown", "blue", rollout=Rollout(((5, 1_000), (9, 2_000)), Guard(samples=3)))
    assert shares(rolled_out(replace(COLOUR, rules=(staff, grown)), 7)) == {"staff": None, "grown": at(7)}
    assert shares(rolled_out(replace(COLOUR, rules=(staff,)), 7)) == {"staff": at(7)}
    both = replace(COLOUR, rules=(staff, Rule("rest", "red")))
    with pytest.raises(ConfigurationError, match=r"several rules that may be meant: 'staff', 'rest'; say which"):
        rolled_out(both, 7)
    with pytest.raises(ConfigurationError, match=r"several rules that may be meant: 'a', 'b'"):
        rolled_out(replace(COLOUR, rules=(replace(grown, id="a"), replace(grown, id="b"), staff)), 7)
    assert shares(rolled_out(both, 7, "rest")) == {"staff": None, "rest": at(7)}
    with pytest.raises(ConfigurationError, match="no rule 'staf'; did you mean 'staff'"):
        rolled_out(both, 7, "staf")


def test_the_share_of_a_flag_of_flagd_is_in_its_targeting():
    with pytest.raises(ConfigurationError, match="read from flagd"):
        rolled_out(replace(BOOLEAN, targeting={}), 1)


def test_a_variant_for_everybody_is_a_rule_before_all_others():
    """The share can be changed under it, and counts when the rules decide again."""
    grown = rolled_out(BOOLEAN, 25_000)
    on = fixed(grown, "on")
    assert (on.rules[0], fixed_at(on), fixed_at(grown)) == (Rule(FIXED, "on"), "on", None)
    assert fixed_at(fixed(on, "off")) == "off"
    assert len(fixed(on, "off").rules) == 2
    assert fixed(rolled_out(on, 50_000), None) == rolled_out(grown, 50_000)
    with pytest.raises(ConfigurationError, match=r"no variant 'onn'; did you mean 'on'\?; it has 'on', 'off'"):
        fixed(grown, "onn")


def test_a_rule_of_its_own_by_that_name_is_not_taken_for_it():
    own = replace(BOOLEAN, rules=(Rule(FIXED, "on", when=INDIA),))
    assert fixed_at(own) is None
    assert fixed(own, None) == own
    with pytest.raises(ConfigurationError, match="rule 'set' of its own"):
        fixed(own, "on")


def test_a_flag_of_flagd_keeps_its_targeting_meanwhile():
    targeting = {"if": [{"==": [{"var": "plan"}, "pro"]}, "on", "off"]}
    own = replace(BOOLEAN, targeting=targeting)
    on = fixed(own, "on")
    assert on.targeting == {"if": [True, "on", targeting]}
    assert (fixed_at(on), fixed_at(own)) == ("on", None)
    assert fixed(on, "off").targeting == {"if": [True, "off", targeting]}
    assert fixed(on, None) == own == fixed(own, None)


@settings(max_examples=15, deadline=None)
@given(flags(), st.data())
def test_what_is_fixed_is_let_go_exactly(flag: Flag, data: st.DataObject):
    variant = data.draw(st.sampled_from(sorted(flag.variants)))
    assert fixed_at(fixed(flag, variant)) == variant
    assert fixed(fixed(flag, variant), None) == fixed(flag, None)
