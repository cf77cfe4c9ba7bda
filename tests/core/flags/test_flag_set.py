"""The flag set as it is stored: what was written is read, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from payaid_entitlements.core.flags.flag_set import from_json, to_json
from payaid_entitlements.core.flags.model import (
    All,
    AnyOf,
    Flag,
    FlagSet,
    FlagType,
    Guard,
    Metric,
    Needs,
    Not,
    Progress,
    Rollout,
    Rule,
    Segment,
    Share,
    Stage,
    Test,
    Unread,
)
from tests.core.flags.generated import flag_sets

FULL = FlagSet(
    7,
    {
        "gone": None,
        "look": Flag(
            "look",
            FlagType.STRING,
            {"a": "old", "b": "new"},
            "a",
            None,
            salt="look",
            rules=(
                Rule("everybody", (("a", 1), ("b", 3))),
                Rule(
                    "pro",
                    "b",
                    All((Test("plan", "eq", "pro"), AnyOf((Not(Segment("staff")), Segment("staff"))))),
                    Rollout(
                        ((0, 5_000), (10, 100_000)), Guard((Metric("latency", 95_000, 500_000, False),), 100, True)
                    ),
                ),
            ),
            needs=(Needs("base", frozenset({"on"})),),
            exclusion=Share("g", 0, 50_000),
        ),
    },
    {"staff": Test("user", "ends_with", "@payaid.example")},
    {"look": Progress("pro", Stage.RUNNING, 1, 10, 2)},
    {"gone": Flag("gone", FlagType.BOOLEAN, {"on": True}, None, None, salt="gone")},
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a set is much to draw
@given(flag_sets())
def test_what_is_written_is_read(flag_set: FlagSet) -> None:
    """Reading gives the same set, and writing that gives the same text."""
    text = to_json(flag_set)
    assert from_json(text) == flag_set
    assert to_json(from_json(text)) == text


def test_equal_sets_are_equal_texts() -> None:
    """The order in which flags came in says nothing."""
    there = FlagSet(flags={"a": None, "b": None})
    assert to_json(there) == to_json(FlagSet(flags={"b": None, "a": None}))
    assert to_json(FlagSet()) == '{"flags":{},"progress":{},"revision":0,"schema":1,"segments":{}}'


def _look(change: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda data: change(data["flags"]["look"])


def _rule(change: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda data: change(data["flags"]["look"]["rules"][1])


# fmt: off
#: By what it spoils.
WHOLE: dict[str, Callable[[Any], object]] = {
    "a newer release": lambda data: data.update(schema=2),
    "no revision": lambda data: data.pop("revision"),
    "a revision that is true": lambda data: data.update(revision=True),
    "flags in a list": lambda data: data.update(flags=[]),
    "segments of nothing": lambda data: data.update(segments=None),
    "what was removed in a list": lambda data: data.update(removed=[]),
}
FLAG: dict[str, Callable[[Any], object]] = {
    "a flag that is a list": lambda data: data["flags"].update(look=[]),
    "a flag that is true": lambda data: data["flags"].update(look=True),
    "another flag under its key": lambda data: data["flags"]["look"].update(key="other"),
    "a flag without a type": _look(lambda flag: flag.pop("type")),
    "a flag with one field more": _look(lambda flag: flag.update(colour="red")),
    "a type that there is not": _look(lambda flag: flag.update(type="number")),
    "a day that there is not": _look(lambda flag: flag.update(remove_by="2026-02-30")),
    "a default that is no variant": _look(lambda flag: flag.update(default="c")),
    "an off variant that is none": _look(lambda flag: flag.update(off="c")),
    "a number for a key": _look(lambda flag: flag.update(narrows=[1])),
    "a share of two": _look(lambda flag: flag.update(exclusion=["g", 1])),
    "a share of truth": _look(lambda flag: flag.update(holdout=["g", True, 2])),
    "needs nothing": _look(lambda flag: flag.update(needs=[["base", []]])),
    "a rule that is text": _look(lambda flag: flag.update(rules=["a"])),
    "an arm of three": _look(lambda flag: flag["rules"][0].update(serve=[["a", 1, 2]])),
    "a rule without its id": _rule(lambda rule: rule.pop("id")),
    "a rule with one field more": _rule(lambda rule: rule.update(note="")),
    "all of nothing": _rule(lambda rule: rule.update(when={"all": []})),
    "any of nothing": _rule(lambda rule: rule.update(when={"any": []})),
    "a condition of another sort": _rule(lambda rule: rule.update(when={"xor": []})),
    "no steps": _rule(lambda rule: rule["rollout"].update(steps=[])),
    "a step of one": _rule(lambda rule: rule["rollout"].update(steps=[[1]])),
    "a rollout with one field more": _rule(lambda rule: rule["rollout"].update(note=1)),
    "a hold that is true": _rule(lambda rule: rule["rollout"].update(hold=True)),
    "a guard that is a list": _rule(lambda rule: rule["rollout"].update(guard=[])),
    "a guard with one field more": _rule(lambda rule: rule["rollout"]["guard"].update(hold=1)),
    "a metric of three": _rule(lambda rule: rule["rollout"]["guard"].update(metrics=[["latency", None, 1]])),
    "a quantile that is true": _rule(lambda rule: rule["rollout"]["guard"].update(metrics=[["p", True, 1, True]])),
    "a number that is none": _look(lambda flag: flag["metadata"].update(a=float("nan"))),
}
REMOVED: dict[str, Callable[[Any], object]] = {
    "what was removed is nothing": lambda data: data["removed"].update(gone=None),
    "what was removed under another key": lambda data: data["removed"]["gone"].update(key="other"),
}
SEGMENT: dict[str, Callable[[Any], object]] = {
    "a segment of nothing": lambda data: data["segments"].update(staff={}),
}
PROGRESS: dict[str, Callable[[Any], object]] = {
    "a stage that there is not": lambda data: data["progress"]["look"].update(stage="walking"),
    "progress without its rule": lambda data: data["progress"]["look"].pop("rule"),
    "progress with one field more": lambda data: data["progress"]["look"].update(note=""),
}
# fmt: on
ONE = {
    name: (kind, damage)
    for kind, each in {"flag": FLAG, "removed": REMOVED, "segment": SEGMENT, "progress": PROGRESS}.items()
    for name, damage in each.items()
}
NAMES = {"flag": "look", "removed": "gone", "segment": "staff", "progress": "look"}


@pytest.mark.parametrize(("kind", "damage"), ONE.values(), ids=ONE)
def test_what_cannot_be_read_is_kept_as_it_is_and_the_rest_is_read(kind: str, damage: Callable[[Any], object]) -> None:
    """What does not read as it was written fails alone, and is written back to the letter."""
    data = json.loads(to_json(FULL))
    damage(data)
    text = json.dumps(data, separators=(",", ":"), sort_keys=True)
    found = from_json(text)
    assert found.damage is None
    assert list(found.unread) == [(kind, NAMES[kind])]
    unread = found.unread[kind, NAMES[kind]]
    parts = {"flag": "flags", "removed": "removed", "segment": "segments", "progress": "progress"}
    assert unread.text == json.dumps(data[parts[kind]][NAMES[kind]], separators=(",", ":"), sort_keys=True)
    assert unread.why.endswith(": damaged, or of a newer release")
    for each, whole in (
        ("flag", FULL.flags),
        ("segment", FULL.segments),
        ("progress", FULL.progress),
        ("removed", FULL.removed),
    ):
        rest = {name: value for name, value in whole.items() if (each, name) != (kind, NAMES[kind])}
        assert getattr(found, parts[each]) == rest
    assert to_json(found) == text
    assert from_json(to_json(found)) == found


def test_what_is_written_back_is_as_it_was_to_the_letter() -> None:
    """Blanks, the order of names, a number that nothing here can hold, and a name that stands there twice."""
    odd = '{ "b" : 1e999, "a": [ NaN , "\\ud800\\u00e9" ] ,"b":-0.10}'
    text = '\n{"flags" : {"x": 1, "y":null , "x":' + odd + '},"progress":{ },"revision":4, "schema":1,"segments":{}} '
    found = from_json(text)
    assert found == from_json(to_json(found))
    assert found.unread["flag", "x"].text == odd
    assert found.flags == {"y": None}
    assert to_json(found) == '{"flags":{"x":' + odd + ',"y":null},"progress":{},"revision":4,"schema":1,"segments":{}}'


def test_it_says_which_fields_are_not_known() -> None:
    """Somebody looks for the release that wrote it."""
    data = json.loads(to_json(FULL))
    data["flags"]["look"].update(colour="red", animal=1)
    why = from_json(json.dumps(data)).unread["flag", "look"].why
    assert why.startswith("a flag has other fields than this release knows: animal, colour: damaged")


@pytest.mark.parametrize("damage", WHOLE.values(), ids=WHOLE)
def test_what_is_a_set_of_another_sort_is_damage(damage: Callable[[Any], object]) -> None:
    """No part of it is used: nobody knows what it means there."""
    data = json.loads(to_json(FULL))
    damage(data)
    _is_damage(json.dumps(data))


NO_SET = [
    "",
    "null",
    "[]",
    "{",
    "[" * 100_000,
    '{"schema": NaN}',
    "1" * 5000,
    "{}",
    "{1:2}",
    '{"a":1',
    '{"a" 1}',
    "{}}",
]


@pytest.mark.parametrize("text", NO_SET)
def test_what_is_no_set_at_all_is_damage(text: str) -> None:
    """Neither another text nor a deep one gets past the reader, and none is lost."""
    _is_damage(text)


def test_what_is_no_text_is_damage() -> None:
    """Redis keeps bytes."""
    found = from_json(b'{"flags":\xff', 3)
    assert found.damage is not None
    assert (found.revision, found.damage.text) == (3, '{"flags":\\xff')
    assert from_json(to_json(FULL).encode(), 9).revision == 9


def _is_damage(text: str) -> None:
    found = from_json(text, 5)
    assert found.damage is not None
    assert found == FlagSet(5, damage=Unread(text, found.damage.why))
    assert found.damage.why == f"it reads {text[:60]!r}: damaged, or of a newer release"
    # As a backup has it.
    assert json.loads(to_json(found)) == {"damage": text, "revision": 5, "schema": 1}
    assert from_json(to_json(found)) == found
    assert from_json(text).revision == 0
