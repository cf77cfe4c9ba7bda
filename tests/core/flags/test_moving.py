"""Whom a change may move: flags that it defines otherwise, and those that look at what it changes."""

from __future__ import annotations

from dataclasses import replace

from payaid_entitlements.core.flags.model import Needs, Rule, Segment, Test
from payaid_entitlements.core.flags.moving import moving
from payaid_entitlements.core.flags.turning import rolled_out
from tests.core.flags.test_turning import BOOLEAN

HALF = rolled_out(BOOLEAN, 50_000)
NEAR = {"near": Test("country", "eq", "IN"), "all": Segment("near"), "far": Test("country", "eq", "US")}
ELSE = {**NEAR, "near": Test("country", "eq", "NP")}


def keyed(key, flag=HALF, **fields):
    return {key: replace(flag, key=key, **fields)}


def test_flags_that_are_defined_otherwise_may_move_somebody():
    """Not those that are off before and after."""
    assert moving({}, keyed("look"), {}, {}) == ["look"]
    assert moving(keyed("look"), {}, {}, {}) == ["look"]
    assert moving(keyed("look"), keyed("look", rolled_out(HALF, 5)), {}, {}) == ["look"]
    assert moving(keyed("look"), keyed("look"), NEAR, NEAR) == []
    assert moving({}, keyed("look", BOOLEAN), {}, {}) == []
    assert moving(keyed("look", BOOLEAN), keyed("look", BOOLEAN, owner="asha"), {}, {}) == []


def test_flags_that_name_a_segment_or_need_a_flag_follow():
    flags = {
        **keyed("a", rules=(Rule("r", "on", when=Segment("all")),)),
        **keyed("b", needs=(Needs("a", frozenset({"on"})),)),
        **keyed("c", rules=(Rule("r", "on", when=Segment("far")),)),
        **keyed("d"),
    }
    assert moving(flags, flags, NEAR, ELSE) == ["a", "b"]
    assert moving(flags, {**flags, **keyed("a")}, NEAR, NEAR) == ["a", "b"]
    assert moving(flags, flags, NEAR, {}) == ["a", "b", "c"]
