"""What a change altered about flags is said in words, and nothing else is."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date

import pytest
from hypothesis import given, settings

from payaid_entitlements.core.flags.altered import altered_flags, flag_words, progress_words, rollout_words
from payaid_entitlements.core.flags.model import (
    Flag,
    FlagSet,
    FlagType,
    Guard,
    Metric,
    Needs,
    Progress,
    Rollout,
    Rule,
    Segment,
    Share,
    Stage,
    Test,
)
from payaid_entitlements.core.flags.snapshot import effective
from payaid_entitlements.core.flags.touching import touched
from payaid_entitlements.core.instant import EARLIEST, HOUR
from tests.core.flags.generated import flag_sets
from tests.core.flags.test_turning import BOOLEAN, COLOUR

RULE = Rule("near", "blue", when=Test("country", "eq", "IN"))


def said(before: Flag, **changed: object) -> list[str]:
    after = replace(before, **changed)  # type: ignore[arg-type] # a field and what it becomes
    flags = [{each.key: each} for each in (before, after)]
    return [str(each) for each in altered_flags(*flags, FlagSet(), FlagSet())]


@pytest.mark.parametrize(
    ("field", "to", "words"),
    [
        ("type", FlagType.INTEGER, "type: string -> integer"),
        ("variants", {"red": 1}, 'variants: {"red": "r", "blue": "b"} -> {"red": 1}'),
        ("default", "blue", "default: red -> blue"),
        ("default", None, "default: red -> none"),
        ("off", "blue", "off: red -> blue"),
        ("enabled", False, "enabled: yes -> no"),
        ("salt", "new", "salt: colour -> new"),
        ("bucket_by", "user", "bucket by: tenant -> user"),
        ("fallback", "user", "fallback: none -> user"),
        ("needs", (Needs("look", frozenset({"on", "off"})),), "needs: none -> look is off or on"),
        ("exclusion", Share("g", 0, 50_000), "exclusion: none -> 0% to 50% of g"),
        ("holdout", Share("g", 5, 1_000), "holdout: none -> 0.005% to 1% of g"),
        ("narrows", ("crm", "hr"), "narrows: none -> crm, hr"),
        ("owner", "asha", "owner: none -> asha"),
        ("remove_by", date(2027, 3, 31), "remove by: none -> 2027-03-31"),
        ("title", "Colour", "title: none -> Colour"),
        ("metadata", {"a": 1}, 'metadata: {} -> {"a": 1}'),
        ("targeting", {"if": []}, 'targeting: none -> {"if": []}'),
        ("scheme", "v2", "scheme: v3 -> v2"),
    ],
)
def test_each_field_has_a_line(field, to, words):
    assert said(COLOUR, **{field: to}) == [f"colour {words}"]


def test_no_field_is_forgotten():
    """Rules have lines of their own, and a key is never another one."""
    from payaid_entitlements.core.flags.altered import _FIELDS

    assert set(_FIELDS) == {each.name for each in fields(Flag)} - {"key", "rules"}


def test_rules_are_compared_by_their_ids():
    other = Rule("rest", (("red", 1), ("blue", 2)), rollout=Rollout(((EARLIEST, 5_000),)))
    both = replace(COLOUR, rules=(RULE, other))
    assert said(COLOUR, rules=(RULE, other)) == [
        'colour rule near: none -> near: all of {"test": ["country", "eq", "IN"]} get blue',
        "colour rule rest: none -> rest: 5% get red 1, blue 2",
    ]
    assert said(both, rules=(other, RULE)) == ["colour order of rules: near, rest -> rest, near"]
    assert said(both, rules=(RULE,)) == ["colour rule rest: rest: 5% get red 1, blue 2 -> none"]
    assert said(both, rules=(replace(RULE, when=None), replace(other, rollout=None, serve="red"))) == [
        'colour rule near when: {"test": ["country", "eq", "IN"]} -> none',
        "colour rule rest serves: red 1, blue 2 -> red",
        "colour rule rest rollout: 5% -> 100%",
    ]


def test_values_that_python_calls_equal_are_told_apart():
    one = replace(BOOLEAN, metadata={"a": [1, {"b": 2}]})
    assert said(one, metadata={"a": [True, {"b": 2}]}) == [
        'look metadata: {"a": [1, {"b": 2}]} -> {"a": [true, {"b": 2}]}'
    ]
    assert said(one, metadata={"a": [1.0, {"b": 2}]})
    assert said(BOOLEAN, variants={"off": False, "on": True}) == []


def test_a_flag_that_comes_or_goes_is_one_line():
    empty: dict[str, Flag] = {}
    targeted = replace(COLOUR, targeting={"if": []}, default=None)
    [line] = altered_flags(empty, {"colour": targeted}, FlagSet(), FlagSet())
    assert str(line) == f"flag colour: none -> {flag_words(targeted)}"
    assert flag_words(targeted) == 'string {"red": "r", "blue": "b"}, targeting of flagd, else what the caller says'
    [line] = altered_flags({"look": BOOLEAN}, empty, FlagSet(), FlagSet())
    assert str(line) == f"flag look: {flag_words(BOOLEAN)} -> none"
    assert flag_words(BOOLEAN) == 'boolean {"on": true, "off": false}, no rules, else off'


def test_segments_and_where_rollouts_stand_have_lines():
    stood = Progress("r", Stage.RUNNING, 0, HOUR, 1)
    before = FlagSet(1, segments={"near": Segment("a")}, progress={"look": stood})
    after = FlagSet(
        2,
        segments={"far": Segment("a")},
        progress={"look": replace(stood, stage=Stage.PAUSED, step=1, approved=True, because="slow")},
    )
    assert [str(each) for each in altered_flags({}, {}, before, after)] == [
        'segment far: none -> {"segment": "a"}',
        'segment near: {"segment": "a"} -> none',
        "look guarded rollout: running at step 1 since 1970-01-01 01:00:00+00:00 -> "
        "paused at step 2 since 1970-01-01 01:00:00+00:00, approved: slow",
    ]


@pytest.mark.parametrize(
    ("rollout", "words"),
    [
        (Rollout(((EARLIEST, 25_000),)), "25%"),
        (Rollout(((HOUR, 5_000), (2 * HOUR, 50_000))), "5%, 50% from 1970-01-01T01:00:00Z, each for 1 hour"),
        (
            Rollout(((EARLIEST, 5_000), (HOUR, 6_000), (9 * HOUR, 50_000))),
            "5%, 6% from 1970-01-01T01:00:00Z, 50% from 1970-01-01T09:00:00Z",
        ),
        (
            Rollout(
                ((EARLIEST, 5_000), (EARLIEST + HOUR, 50_000)),
                Guard((Metric("error_rate", None, 500, True), Metric("latency", 95_000, 500_000, False)), 30, True),
            ),
            "5%, 50%, each for 1 hour, after 30 samples and approval, rolled back if error_rate > control + 0.5% or "
            "latency p95 > 500 ms",
        ),
        (Rollout(((EARLIEST, 5_000),), Guard(approval=True)), "5%, after approval"),
    ],
)
def test_a_rollout_is_one_line(rollout, words):
    assert rollout_words(rollout) == words


@pytest.mark.parametrize(
    ("since", "words"), [(EARLIEST, "pending"), (HOUR, "pending, from 1970-01-01 01:00:00+00:00 on")]
)
def test_what_has_not_begun_has_a_day_or_none(since: int, words: str):
    assert progress_words(Progress("r", Stage.PENDING, 0, since, 0)) == words


@settings(max_examples=15, deadline=None)
@given(flag_sets(), flag_sets())
def test_something_is_said_of_all_that_counts_otherwise(before: FlagSet, after: FlagSet):
    """And nothing of what is the same."""
    lines = altered_flags(effective({}, before), effective({}, after), before, after)
    counts = any(
        one != other
        for one, other in (
            (effective({}, before), effective({}, after)),
            (before.segments, after.segments),
            (before.progress, after.progress),
        )
    )
    assert bool(lines) >= counts
    assert not lines or touched(before, after)
    assert altered_flags(effective({}, before), effective({}, before), before, before) == ()


def test_what_is_left_to_the_catalog_again_is_said_though_it_is_the_same():
    """What will be published of it counts from then on."""
    flags = {"look": BOOLEAN}
    held, bare = FlagSet(1, flags), FlagSet(2)
    assert [str(line) for line in altered_flags(flags, flags, held, bare)] == [
        "flag look: as it was changed -> as the catalog has it"
    ]
    assert altered_flags(flags, flags, bare, held) == ()
    stood = Progress("r", Stage.RUNNING, 0, HOUR, 1)
    stepped = altered_flags(flags, flags, replace(held, progress={"look": stood}), bare)
    assert [line.what for line in stepped] == ["look guarded rollout"]
