"""What a source sells, and how several become one value."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payaid_entitlements.core.catalog.model import AddOn, ConfigType, Feature, Kind, Merge, Plan
from payaid_entitlements.core.interval import Interval, Unit
from payaid_entitlements.core.merging import Source, is_held, is_zero, largest, merge, plus, size, suits, together
from payaid_entitlements.core.values import UNLIMITED, Allowance
from payaid_entitlements.core.worth import is_less, is_more, told

MONTH, YEAR, DAY, DAYS = (
    Interval(count, unit) for count, unit in ((1, Unit.MONTH), (1, Unit.YEAR), (1, Unit.DAY), (30, Unit.DAY))
)


def config(merge: Merge = Merge.MAX, type: ConfigType = ConfigType.INT, choices: tuple[str, ...] = ()) -> Feature:
    return Feature("m.f", "m", Kind.CONFIG, "F", type=type, merge=merge, choices=choices)


SWITCH = Feature("m.f", "m", Kind.SWITCH, "F")
QUOTA = Feature("m.f", "m", Kind.QUOTA, "F")
SEATS = Feature("m.f", "m", Kind.ALLOCATION, "F")
LEVEL = config(type=ConfigType.CHOICE, choices=("basic", "advanced"))


def plan(value: object = None, *modules: str) -> Plan:
    return Plan("pro", "Pro", 0, modules, {} if value is None else {"m.f": value}, version=2)


def add_on(key: str = "more", **gives: object) -> AddOn:
    return AddOn(key, key, 0, **{what: {"m.f": value} if what != "modules" else value for what, value in gives.items()})


@pytest.mark.parametrize(
    ("feature", "value", "held"),
    [
        (SWITCH, True, True),
        (SWITCH, UNLIMITED, True),
        (SWITCH, False, False),
        (SWITCH, None, False),
        (config(), 0, True),
        (config(), False, True),
        (config(), None, False),
        (QUOTA, Allowance(1), True),
        (QUOTA, Allowance(Decimal("0.1")), True),
        (QUOTA, Allowance(0), False),
        (QUOTA, Allowance(UNLIMITED), True),
        (QUOTA, UNLIMITED, True),
        (QUOTA, None, False),
    ],
)
def test_what_counts_as_held(feature, value, held):
    """A switch must be on and an allowance above 0; a config value of 0 or False is one too."""
    assert is_held(feature, value) is held


def test_zero_is_listed_but_none():
    """Without a limit is not zero."""
    assert is_zero(Allowance(0)) and not is_zero(Allowance(1)) and not is_zero(Allowance(UNLIMITED))


@pytest.mark.parametrize(
    ("feature", "values", "merged"),
    [
        (SWITCH, [False, True], True),
        (SWITCH, [False, False], False),
        (config(Merge.MAX), [3, 9, 5], 9),
        (config(Merge.MAX), [3, UNLIMITED, 5], UNLIMITED),
        (config(Merge.MIN), [3, 9, 5], 3),
        (config(Merge.PRIORITY), [3, 9, 5], 3),
        (LEVEL, ["advanced", "basic"], "advanced"),
        (
            config(Merge.MIN, ConfigType.DURATION),
            [timedelta(hours=24), timedelta(hours=1)],
            timedelta(hours=1),
        ),
        (QUOTA, [Allowance(100, MONTH), Allowance(50, MONTH)], Allowance(150, MONTH)),
        (QUOTA, [Allowance(100, MONTH), Allowance(50, YEAR)], Allowance(100, MONTH)),
        (QUOTA, [Allowance(100, MONTH), Allowance(1201, YEAR)], Allowance(1201, YEAR)),
        (QUOTA, [Allowance(100), Allowance(1000, MONTH)], Allowance(1000, MONTH)),
        (QUOTA, [Allowance(10, DAY), Allowance(200, MONTH), Allowance(150, MONTH)], Allowance(350, MONTH)),
        (QUOTA, [Allowance(5, YEAR), Allowance(7, Interval(12, Unit.MONTH))], Allowance(12, YEAR)),
        (QUOTA, [Allowance(0), Allowance(0, MONTH)], Allowance(0)),
        (QUOTA, [Allowance(100, MONTH), Allowance(UNLIMITED)], Allowance(UNLIMITED)),
        (QUOTA, [Allowance(UNLIMITED), Allowance(5, MONTH)], Allowance(UNLIMITED)),
        (QUOTA, [Allowance(100), UNLIMITED], Allowance(UNLIMITED)),
        (SEATS, [Allowance(2), Allowance(3), Allowance(0)], Allowance(5)),
        (SEATS, [Allowance(7)], Allowance(7)),
    ],
)
def test_each_kind_of_feature_has_its_rule(feature, values, merged):
    """Switches join by or, config values by their stated rule, allowances add up."""
    assert merge(feature, values) == merged


@given(st.permutations([Allowance(1), Allowance(20), Allowance(Decimal("0.5")), Allowance(300)]))
def test_the_order_of_sources_does_not_change_a_sum(values):
    """Allowances of equal windows add up in any order."""
    assert merge(SEATS, values) == Allowance(Decimal("321.5"))


MIXED = st.builds(
    Allowance,
    st.integers(0, 400),
    st.sampled_from([None, DAY, MONTH, YEAR, Interval(12, Unit.MONTH), Interval(7, Unit.DAY), Interval(1, Unit.WEEK)]),
)


@example([Allowance(0), Allowance(0, DAY)], Random(5))
@example([Allowance(0, DAY), Allowance(0)], Random(5))
@example([Allowance(5, YEAR), Allowance(5, Interval(12, Unit.MONTH))], Random(5))
@example([Allowance(5, Interval(12, Unit.MONTH)), Allowance(5, YEAR)], Random(5))
@given(st.lists(MIXED, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_sources_decides_about_no_window(values, random):
    """Whatever windows they have: the same allowance comes out, and none of them gives more."""
    sum_ = merge(QUOTA, values)
    shuffled = random.sample(values, len(values))
    assert merge(QUOTA, shuffled) == sum_
    assert largest(QUOTA, shuffled) == largest(QUOTA, values)
    assert not any(is_less(QUOTA, value, sum_) for value in values)


@pytest.mark.parametrize(
    ("value", "more", "times", "sum_"),
    [
        (None, True, 2, True),
        (None, "basic", 2, "basic"),
        (None, ("a",), 2, ("a",)),
        (None, 5, 2, 10),
        (None, Decimal("0.5"), 3, Decimal("1.5")),
        (None, timedelta(hours=1), 2, timedelta(hours=2)),
        (1, 5, 2, 11),
        (timedelta(hours=1), timedelta(hours=2), 2, timedelta(hours=5)),
        (timedelta(hours=1), timedelta.max, 1, timedelta.max),
        (None, timedelta(hours=1), 10**30, timedelta.max),
        (("a", "b"), ("b", "c"), 2, ("a", "b", "c")),
        ("basic", "advanced", 1, "advanced"),
        (5, UNLIMITED, 1, UNLIMITED),
        (UNLIMITED, 5, 1, UNLIMITED),
    ],
)
def test_an_increment_is_added_times_its_quantity(value, more, times, sum_):
    """Numbers and lengths grow, lists gain items, without a limit stays so."""
    assert plus(value, more, times) == sum_


def test_allowances_are_added_times_their_quantity():
    """What is listed with none takes the window of what is added."""
    assert together([(Allowance(1), 1), (Allowance(5), 3)]) == Allowance(16)
    assert together([(Allowance(0), 1), (Allowance(5, MONTH), 2)]) == Allowance(10, MONTH)
    assert together([(Allowance(3, MONTH), 2)]) == Allowance(6, MONTH)


@pytest.mark.parametrize(
    ("source", "feature", "value"),
    [
        (Source(plan()), QUOTA, None),
        (Source(plan(Allowance(5))), SEATS, Allowance(5)),
        (Source(plan(Allowance(5)), ((add_on(increment=Allowance(2)), 3),)), SEATS, Allowance(11)),
        (Source(plan(), ((add_on(increment=Allowance(2, DAY)), 3),)), QUOTA, Allowance(6, DAY)),
        (
            Source(
                plan(Allowance(10, DAY)),
                ((add_on(increment=Allowance(200, MONTH)), 1), (add_on("b", increment=Allowance(150, MONTH)), 1)),
            ),
            QUOTA,
            Allowance(350, MONTH),
        ),
        (
            Source(plan(), ((add_on(override=Allowance(9, YEAR)), 1), (add_on(override=Allowance(1, MONTH)), 1))),
            QUOTA,
            Allowance(1, MONTH),
        ),
        (Source(plan(9), ((add_on(override=4), 1), (add_on(override=6), 1))), config(), 6),
        (Source(plan(9), ((add_on(override=4, increment=1), 2),)), config(), 6),
        (Source(plan(9), ((add_on(max=4), 1),)), config(), 9),
        (Source(plan(), ((add_on(max=4), 1),)), config(), 4),
        (Source(plan(1), ((add_on(increment=1, max=4), 2),)), config(), 4),
    ],
)
def test_add_ons_replace_then_add_then_lift(source, feature, value):
    """The largest override replaces the plan's value, increments are added, the largest max lifts it."""
    assert source.value(feature) == value


def test_a_source_opens_what_its_plan_or_an_add_on_has():
    """Modules of add-ons count, and what sells something is named."""
    source = Source(plan(Allowance(1), "crm"), ((add_on("wa", modules=("whatsapp",), increment=Allowance(1)), 1),))
    assert [source.opens(module) for module in ("crm", "whatsapp", "hr")] == [True, True, False]
    assert source.named("crm") == "plan pro@2"
    assert source.named("m.f") == "plan pro@2"
    assert source.named("whatsapp") == "add-on wa@0"
    assert source.named("hr") == "plan pro@2"
    assert Source(plan(), ((add_on("x", max=Allowance(1)), 1),)).named("m.f") == "add-on x@0"


def test_the_largest_of_choices_is_the_later_one():
    """Choices are ordered as the catalog writes them; one that it does not have is the smallest."""
    assert largest(LEVEL, ["advanced", "basic", "gone"]) == "advanced"
    assert size(LEVEL, "gone") < size(LEVEL, "basic")
    assert size(config(type=ConfigType.LIST), ("a", "b")) > size(config(type=ConfigType.LIST), ("c",))
    assert size(config(), UNLIMITED) > size(config(), 10**40)


@pytest.mark.parametrize(
    ("feature", "before", "after", "less", "more"),
    [
        (QUOTA, Allowance(5), Allowance(4), True, False),
        (QUOTA, Allowance(5), Allowance(5), False, False),
        (QUOTA, Allowance(5), Allowance(UNLIMITED), False, True),
        (QUOTA, Allowance(UNLIMITED, MONTH), Allowance(10**9, MONTH), True, False),
        (QUOTA, Allowance(100, MONTH), Allowance(1000, YEAR), True, False),
        (QUOTA, Allowance(100, MONTH), Allowance(1200, YEAR), False, False),
        (QUOTA, Allowance(100, MONTH), Allowance(1300, YEAR), False, True),
        (QUOTA, Allowance(100, MONTH), Allowance(99, DAYS), False, True),
        (QUOTA, Allowance(1, Interval(1, Unit.HOUR)), Allowance(23, Interval(1, Unit.DAY)), True, False),
        (QUOTA, Allowance(100, MONTH), Allowance(10**6), True, False),
        (QUOTA, Allowance(10**6), Allowance(1, MONTH), False, True),
        (QUOTA, Allowance(0), Allowance(1, MONTH), False, True),
        (QUOTA, Allowance(1, MONTH), Allowance(0), True, False),
        (QUOTA, Allowance(0, MONTH), Allowance(5), False, True),
        (config(Merge.MAX), 5, 6, False, True),
        (config(Merge.PRIORITY), 6, 5, True, False),
        (config(Merge.MIN, ConfigType.DURATION), timedelta(hours=24), timedelta(hours=1), False, True),
        (config(Merge.MIN, ConfigType.DURATION), timedelta(hours=1), timedelta(hours=24), True, False),
        (config(type=ConfigType.LIST), ("a", "b"), ("b", "a", "c"), False, True),
        (config(type=ConfigType.LIST), ("a", "b"), ("b", "c"), True, True),
        (config(Merge.PRIORITY, ConfigType.STRING), "mail", "phone", False, False),
        (LEVEL, "advanced", "basic", True, False),
        (replace(LEVEL, merge=Merge.MIN), "advanced", "basic", False, True),
        (replace(LEVEL, merge=Merge.MIN), "basic", "advanced", True, False),
        (config(Merge.PRIORITY, ConfigType.BOOL), True, False, True, False),
    ],
)
def test_more_and_less_are_what_a_customer_would_say(feature, before, after, less, more):
    """Windows, lists, minimums and texts are compared by what somebody may miss."""
    assert (is_less(feature, before, after), is_more(feature, before, after)) == (less, more)


SWITCH = Feature("m.f", "m", Kind.SWITCH, "F")
BOOL, TEXT, LIST = (config(Merge.PRIORITY, each) for each in (ConfigType.BOOL, ConfigType.STRING, ConfigType.LIST))
DURATION, SIZE = config(type=ConfigType.DURATION), config(type=ConfigType.SIZE)


@pytest.mark.parametrize(
    ("feature", "suiting"),
    [
        (None, {True}),
        (SWITCH, {True}),
        (QUOTA, {Allowance(1), UNLIMITED}),
        (BOOL, {True}),
        (TEXT, {"text"}),
        (LEVEL, {"text"}),
        (LIST, {("a",)}),
        (DURATION, {timedelta(1), UNLIMITED}),
        (SIZE, {5, Decimal(7), UNLIMITED}),
        (config(), {5, Decimal(7), UNLIMITED}),
    ],
)
def test_a_value_suits_features_of_its_type(feature, suiting):
    """A number is no truth, a truth no number, and what is held is no plain number."""
    values = [True, 5, Decimal(7), "text", ("a",), timedelta(1), Allowance(1), UNLIMITED]
    assert [value for value in values if suits(feature, value)] == [value for value in values if value in suiting]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Allowance(100, MONTH), "100/month"),
        (Allowance(100), "100"),
        (Allowance(UNLIMITED, MONTH), "unlimited"),
        (UNLIMITED, "unlimited"),
        (timedelta(hours=24), "1 day"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(seconds=-1), "-1 day, 23:59:59"),
        (("a", "b"), "a, b"),
        ((), "nothing"),
        (False, "false"),
        (Decimal("1.50"), "1.50"),
        ("basic", "basic"),
    ],
)
def test_values_are_told_in_the_words_of_the_catalog(value, words):
    """People read what they would write."""
    assert told(value) == words
