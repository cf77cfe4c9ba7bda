"""Who is counted as moved by a change of a flag, and what nobody can know from a listing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.flags.forecasting import Counting, Forecast
from payaid_entitlements.core.flags.model import All, AnyOf, Condition, Flag, FlagSet, Needs, Not, Rule, Segment, Test
from payaid_entitlements.core.flags.turning import fixed, rolled_out
from tests.core.conftest import NOW, SMALL
from tests.core.flags.test_turning import BOOLEAN, COLOUR

SOLD = Catalog.load(SMALL)


def counted(before: Flag | None, after: Flag | None, *, segments: dict[str, Condition] | None = None) -> Forecast:
    key = (before or after or BOOLEAN).key
    sets = (FlagSet(1, {key: each}, segments or {}) for each in (before, after))
    counting = Counting.of(key, SOLD.flags, *sets, NOW, segments=SOLD.segments)
    for number in range(30):
        plan = None if number % 3 == 0 else "pro" if number % 3 == 1 else "free"
        counting.count(f"tenant-{number}", plan, ["crm"] if number % 2 else [])
    return counting.forecast


def moves(told: Forecast) -> tuple[int, int, int]:
    return told.enter, told.leave, told.change


def test_who_gets_another_variant_than_the_default_and_the_off_one_is_in():
    assert moves(counted(BOOLEAN, fixed(BOOLEAN, "on"))) == (30, 0, 0)
    assert moves(counted(fixed(BOOLEAN, "on"), BOOLEAN)) == (0, 30, 0)
    assert moves(counted(BOOLEAN, BOOLEAN)) == (0, 0, 0)


def test_another_arm_is_a_change():
    three = replace(COLOUR, variants={"red": "r", "blue": "b", "green": "g"})
    told = counted(fixed(three, "blue"), fixed(three, "green"))
    assert (moves(told), told.before, told.after) == ((0, 0, 30), 30, 30)
    assert str(told) == "+0 tenants, none leaves, 30 change arm"


def test_a_flag_that_comes_or_goes_moves_whoever_is_in():
    on = fixed(BOOLEAN, "on")
    assert moves(counted(None, on)) == (30, 0, 0)
    assert moves(counted(on, None)) == (0, 30, 0)


def test_the_counts_are_said_in_words():
    assert str(Forecast("a", enter=1, leave=1, change=1)) == "+1 tenant, 1 leaves, 1 changes arm"
    assert str(Forecast("a", enter=1_234, leave=0, change=2)) == "+1,234 tenants, none leaves, 2 change arm"


@pytest.mark.parametrize(
    ("when", "inside"),
    [
        (Test("plan", "eq", "pro"), 10),
        (Test("plan", "exists", True), 20),
        (Test("modules", "contains", "crm"), 15),
        (Test("tenant", "eq", "tenant-7"), 1),
        (Test("targetingKey", "eq", "tenant-7"), 1),
        (Not(Test("plan", "eq", "pro")), 20),
        (Segment("pros"), 10),
    ],
)
def test_what_a_listing_says_is_looked_at(when: Condition, inside: int):
    after = replace(BOOLEAN, rules=(Rule("r", "on", when=when),))
    told = counted(BOOLEAN, after, segments={"pros": Test("plan", "eq", "pro")})
    assert (told.enter, told.unknown) == (inside, ())


@pytest.mark.parametrize(
    ("changed", "unknown"),
    [
        ({"bucket_by": "user"}, ("user",)),
        ({"fallback": "company.id"}, ("company",)),
        ({"rules": (Rule("r", "on", when=Test("state", "eq", "active")),)}, ("state",)),
        ({"rules": (Rule("r", "on", when=All((Test("a.b", "eq", 1), Not(Test("plan", "eq", "pro"))))),)}, ("a",)),
        ({"rules": (Rule("r", "on", when=AnyOf((Test("z", "eq", 1), Segment("deep")))),)}, ("country", "z")),
        ({"rules": (Rule("r", "on", when=Segment("nothing")),)}, ()),
        ({"targeting": {"if": [{"==": [{"var": "plan"}, {"var": ["size.x", 5]}]}, "on"]}}, ("size",)),
        ({"targeting": {"<": [{"var": "$flagd.timestamp"}, {"var": {"cat": ["a"]}}, {"var": []}]}}, ()),
        ({"targeting": {"fractional": [{"var": "email"}, ["on", 1]]}}, ("email",)),
        ({"targeting": {"if": [{"missing": ["country", "plan"]}, "on"]}}, ("country",)),
        ({"targeting": {"if": [{"missing": "country"}, "on"]}}, ("country",)),
        ({"targeting": {"if": [{"missing_some": [1, ["age", "size.x"]]}, "on"]}}, ("age", "size")),
    ],
)
def test_what_decides_and_is_not_known_is_named(changed: dict[str, Any], unknown: tuple[str, ...]):
    segments: dict[str, Condition] = {"deep": Segment("deeper"), "deeper": AnyOf((Test("country", "eq", 1),))}
    assert counted(BOOLEAN, replace(BOOLEAN, **changed), segments=segments).unknown == unknown


def test_segments_that_name_one_another_are_looked_at_once():
    segments: dict[str, Condition] = {"a": Segment("b"), "b": AnyOf((Segment("a"), Test("x", "eq", 1)))}
    after = replace(BOOLEAN, rules=(Rule("r", "on", when=Segment("a")),))
    assert counted(BOOLEAN, after, segments=segments).unknown == ("x",)


def test_what_its_prerequisites_look_at_is_looked_at():
    """Each once, though they need one another; and one that there is not is off for everybody."""
    users = replace(BOOLEAN, key="users", bucket_by="user", needs=(Needs("child", frozenset({"on"})),))
    child = replace(BOOLEAN, key="child", needs=(Needs("users", frozenset({"on"})), Needs("gone", frozenset({"on"}))))
    flag_set = FlagSet(1, {"users": users, "child": child})
    assert Counting.of("child", SOLD.flags, flag_set, flag_set, NOW).unknown == ("user",)


def test_growing_lets_nobody_out():
    for small, large in ((0, 30_000), (30_000, 31_000), (31_000, 100_000)):
        told = counted(rolled_out(BOOLEAN, small), rolled_out(BOOLEAN, large))
        assert (told.leave, told.change) == (0, 0)
        assert told.enter == told.after - told.before


def test_segments_are_looked_at_once_however_often_they_are_named():
    """Two to the fortieth looks would never end."""
    segments: dict[str, Condition] = {
        f"s{number}": AnyOf((Segment(f"s{number + 1}"), Segment(f"s{number + 1}"))) for number in range(40)
    }
    segments["s40"] = Test("country", "eq", "IN")
    named = replace(BOOLEAN, rules=(Rule("a", "on", Segment("s0")),))
    assert counted(BOOLEAN, named, segments=segments).unknown == ("country",)
