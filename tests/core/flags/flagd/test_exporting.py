"""Flags of ours as flagd's JSON: how they are written, and what is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from payaid_entitlements.core.flags.details import FlagValue
from payaid_entitlements.core.flags.flagd import dump, load
from payaid_entitlements.core.flags.flagd.conditions import MOST
from payaid_entitlements.core.flags.model import (
    PARTS,
    All,
    AnyOf,
    Condition,
    Flag,
    FlagType,
    Guard,
    Needs,
    Not,
    Rollout,
    Rule,
    Segment,
    Share,
    Test,
)
from payaid_entitlements.core.instant import EARLIEST
from payaid_entitlements.errors import FlagsInvalid

LOOK = Flag(
    key="look", type=FlagType.BOOLEAN, variants={"on": True, "off": False}, default="off", off="off", salt="look"
)
HALF = Rollout(((EARLIEST, PARTS // 2),))
ID = {"var": "targetingKey"}


def with_rules(*rules: Rule, **changed: Any) -> Flag:
    return replace(LOOK, rules=rules, **changed)


def written(flag: Flag, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(dump({flag.key: flag}, **options))["flags"][flag.key]
    return found


def refused(*flags: Flag, **options: Any) -> list[str]:
    with pytest.raises(FlagsInvalid) as caught:
        dump({flag.key: flag for flag in flags}, **options)
    assert {problem.code for problem in caught.value.problems} == {"flagd.unsayable"}
    return [f"{problem.path}: {problem.message}" for problem in caught.value.problems]


def test_a_flag_without_rules_is_its_default() -> None:
    assert written(LOOK) == {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}


def test_a_percentage_is_hashed_with_the_key_of_the_flag() -> None:
    assert written(with_rules(Rule("r", "on", rollout=HALF)))["targeting"] == {
        "if": [{"fractional": [[True, 50_000], [False, 50_000]]}, "on", None]
    }


def test_another_salt_is_hashed_before_the_id() -> None:
    salted = with_rules(Rule("r", "on", rollout=HALF), salt="2026")
    key = {"cat": ["2026/", ID]}
    share = {"and": [{"!!": [ID]}, {"fractional": [key, [True, 50_000], [False, 50_000]]}]}
    assert written(salted)["targeting"] == {"if": [share, "on", None]}


def test_arms_have_a_hash_of_their_own() -> None:
    arms = with_rules(Rule("r", (("on", 1), ("off", 3))), Rule("never", "on"))
    assert written(arms)["targeting"] == {
        "if": [{"!!": [ID]}, {"fractional": [{"cat": ["look/split/", ID]}, ["on", 1], ["off", 3]]}, "on"]
    }


def test_a_rule_for_everybody_ends_the_rules() -> None:
    assert written(with_rules(Rule("all", "on"), Rule("never", "off")))["targeting"] == {"if": [True, "on"]}


def test_a_schedule_is_a_weight_of_the_time() -> None:
    steps = Rollout(((EARLIEST, 0), (1_000_000, 5_000), (2_000_000, PARTS)))
    now = {"var": "$flagd.timestamp"}
    share = {"if": [{">=": [now, 2]}, PARTS, {">=": [now, 1]}, 5_000, 0]}
    scheduled = written(with_rules(Rule("r", "on", rollout=steps)))["targeting"]["if"][0]
    assert scheduled == {"fractional": [[True, share], [False, {"-": [PARTS, share]}]]}
    later = written(with_rules(Rule("r", "on", rollout=Rollout(steps.steps[1:]))))["targeting"]["if"][0]
    assert later == scheduled
    never = written(with_rules(Rule("r", "on", rollout=Rollout(()))))["targeting"]["if"][0]
    assert never == {"fractional": [[True, 0], [False, PARTS]]}


def test_off_without_a_value_is_the_default_of_flagd_and_ours_is_said() -> None:
    held = written(replace(LOOK, off=None, holdout=Share("all", 0, 5_000)))
    assert held["defaultVariant"] is None
    assert held["targeting"]["if"][1:] == [None, "off"]


def test_what_is_off_is_its_off_variant_or_disabled() -> None:
    assert written(replace(LOOK, enabled=False, default="on"))["defaultVariant"] == "off"
    assert written(replace(LOOK, enabled=False, default="on"))["state"] == "ENABLED"
    left = written(with_rules(Rule("r", "on"), enabled=False, off=None))
    assert (left["state"], left["targeting"]) == ("DISABLED", {"if": [True, "on"]})


def test_segments_are_evaluators_and_only_those_that_are_used() -> None:
    segments: dict[str, Condition] = {
        "pro": Test("plan", "eq", "pro"),
        "large": All((Segment("pro"), Test("size", "exists", True))),
        "other": Test("plan", "matches", "x"),
    }
    document = json.loads(dump({"look": with_rules(Rule("r", "on", Segment("large")))}, segments=segments))
    assert document["flags"]["look"]["targeting"] == {"if": [{"$ref": "large"}, "on", None]}
    pro = {"===": [{"var": "plan"}, "pro"]}
    assert document["$evaluators"] == {"large": {"and": [pro, {"!==": [{"var": "size"}, None]}]}}


@pytest.mark.parametrize("text", ["é", '"', "\\", "\n"])
def test_segments_that_flagd_for_python_would_fail_on_are_written_where_they_are_used(text: str) -> None:
    segments: dict[str, Condition] = {"odd": Test("city", "eq", text), "plain": Test("city", "eq", "x")}
    rules = (Rule("a", "on", AnyOf((Segment("odd"), Segment("plain")))),)
    document = json.loads(dump({"look": with_rules(*rules)}, segments=segments))
    either = {"or": [{"===": [{"var": "city"}, text]}, {"$ref": "plain"}]}
    assert document["flags"]["look"]["targeting"] == {"if": [either, "on", None]}
    assert list(document["$evaluators"]) == ["plain"]


def test_what_people_read_is_metadata_and_so_is_the_generation() -> None:
    told = replace(
        LOOK, owner="growth", title="A look", remove_by=date(2027, 3, 31), narrows=("a", "b"), metadata={"owner": "me"}
    )
    assert written(told)["metadata"] == {
        "owner": "me",
        "title": "A look",
        "remove_by": "2027-03-31",
        "narrows": "a, b",
    }
    document = json.loads(dump({"look": LOOK}, metadata={"flagSetId": "web"}))
    assert document["metadata"] == {"flagSetId": "web", "fractional": "v3"}


def test_whole_numbers_of_a_float_flag_stay_floats() -> None:
    flag = replace(LOOK, type=FlagType.FLOAT, variants={"on": 1, "off": 2.5}, default=None)
    text = dump({"look": flag})
    assert load(text).flags["look"].type is FlagType.FLOAT
    assert '"on": 1.0' in text


def test_flags_of_flagd_go_back_as_they_came() -> None:
    rule: FlagValue = {"fractional": [["on", 1], ["off", 1]]}
    of_flagd = replace(LOOK, targeting=rule, off=None)
    assert written(of_flagd)["targeting"] == rule
    older = replace(of_flagd, scheme="v2")
    assert json.loads(dump({"look": older}))["metadata"] == {"fractional": "v2"}
    assert load(dump({"look": older})).flags["look"].scheme == "v2"
    plain = replace(of_flagd, key="plain", targeting={"if": [["a"], "on"]}, scheme="v2")
    assert json.loads(dump({"look": of_flagd, "plain": plain}))["metadata"] == {"fractional": "v3"}
    assert written(replace(of_flagd, enabled=False, off="off"))["defaultVariant"] == "off"


@pytest.mark.parametrize(
    ("test", "rule"),
    [
        (Test("a", "eq", 1), {"===": ["a", 1]}),
        (Test("a", "neq", "x"), {"and": [{"===": [{"cat": ["a"]}, "a"]}, {"!==": ["a", "x"]}]}),
        (Test("a", "neq", 1), {"and": [{"===": [{"+": ["a"]}, "a"]}, {"!==": ["a", 1]}]}),
        (
            Test("a", "neq", True),
            {"and": [{"or": [{"===": ["a", True]}, {"===": ["a", False]}]}, {"!==": ["a", True]}]},
        ),
        (Test("a", "in", ["x", "y"]), {"in": ["a", ["x", "y"]]}),
        (Test("a", "in", ["x", 1]), {"or": [{"===": ["a", "x"]}, {"===": ["a", 1]}]}),
        (Test("a", "exists", False), {"===": ["a", None]}),
        (Test("a", "contains", "x"), {"in": ["x", "a"]}),
        (Test("a", "contains", 1), {"and": [{"!": [{"===": [{"cat": ["a"]}, "a"]}]}, {"in": [1, "a"]}]}),
        (Test("a", "gte", 5), {"and": [{"===": [{"+": ["a"]}, "a"]}, {">=": ["a", 5]}]}),
        (Test("a", "ends_with", ["x", "y"]), {"or": [{"ends_with": ["a", "x"]}, {"ends_with": ["a", "y"]}]}),
        (Test("a", "semver_caret", "1.2"), {"and": [{"sem_ver": ["a", "^", "1.2"]}, {"sem_ver": ["a", ">=", "1.2"]}]}),
    ],
)
def test_conditions_say_the_kind_where_flagd_would_turn_one_into_another(test: Test, rule: Any) -> None:
    assert written(with_rules(Rule("r", "on", test)))["targeting"]["if"][0] == with_variable(rule)


def with_variable(rule: Any) -> Any:
    """*rule* with the attribute for each ``"a"``."""
    if isinstance(rule, dict):
        return {name: with_variable(each) for name, each in rule.items()}
    if isinstance(rule, list):
        return [with_variable(each) for each in rule]
    return {"var": "a"} if rule == "a" else rule


OTHER = replace(LOOK, key="other", salt="other", targeting={"fractional": [["on", 1]]}, scheme="v2")


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        (replace(LOOK, needs=(Needs("pay", frozenset({"on"})),)), "needs 'pay'"),
        (with_rules(Rule("r", "on", rollout=replace(HALF, guard=Guard()))), "'r' is a guarded rollout"),
        (with_rules(Rule("r", "on", rollout=HALF), bucket_by="user"), "buckets by user with its own key"),
        (with_rules(Rule("r", "on", rollout=HALF), fallback="user"), "buckets by tenant, else user with"),
        (with_rules(Rule("r", "on", rollout=HALF), bucket_by="a.0", salt="s"), "'a.0'"),
        (with_rules(Rule("r", "on", rollout=Rollout(((1, 5),)))), "within a second"),
        (with_rules(Rule("r", (("on", 2**31),))), "weights of rule 'r'"),
        (with_rules(Rule("r", "on", Segment("who"))), "no segment 'who'"),
        (with_rules(Rule("r", "on", Test("$flagd.timestamp", "gt", 1))), "flagd's own name"),
        (with_rules(Rule("r", "on", Test("plan", "matches", "x"))), "no regular expressions"),
        (with_rules(Rule("r", "on", Test("ip", "cidr", "10.0.0.0/8"))), "no networks"),
        (with_rules(Rule("r", "on", Test("born", "before", "2026-01-01"))), "no dates"),
        (with_rules(Rule("r", "on", Test("plan", "eq", []))), "plain values"),
        (with_rules(Rule("r", "on", Test("plan", "in", []))), "at least one"),
        (with_rules(Rule("r", "on", Test("plan", "in", [{}]))), "plain values"),
        (with_rules(Rule("r", "on", Test("plan", "contains", {}))), "plain values"),
        (with_rules(Rule("r", "on", Test("plan", "lt", "5"))), "plain values"),
        (with_rules(Rule("r", "on", AnyOf((Test("plan", "eq", 1),) * MOST))), "conditions with all segments"),
        (replace(LOOK, type=FlagType.OBJECT, variants={"on": [], "off": {}}), "variant 'on'"),
        (replace(LOOK, metadata={"a": None}), "metadata 'a'"),
        (replace(LOOK, targeting={"var": "a"}, holdout=Share("g", 0, 1)), "gates of ours"),
    ],
)
def test_what_flagd_cannot_say_is_refused_by_name(flag: Flag, told: str) -> None:
    (problem,) = refused(flag)
    assert problem.startswith("flags.look: flagd cannot say it: ")
    assert told in problem


def test_rules_that_are_too_large_are_refused() -> None:
    values: list[FlagValue] = [f"v{each}" for each in range(60_000)]
    (problem,) = refused(with_rules(Rule("r", "on", Test("plan", "in", values))))
    assert "50,000 values" in problem


def test_two_generations_are_two_files() -> None:
    ours = with_rules(Rule("r", (("on", 1), ("off", 1)), rollout=HALF), holdout=Share("g", 0, 1))
    newer = replace(OTHER, key="newer", scheme="v3")
    problems = refused(ours, newer, OTHER)
    assert [problem.partition(": ")[0] for problem in problems] == ["flags.look", "flags.newer"]
    assert all("two files" in problem for problem in problems)


def test_every_flag_that_cannot_be_said_is_named() -> None:
    needy = replace(LOOK, key="needy", needs=(Needs("pay", frozenset({"on"})),), metadata={"a": []})
    problems = refused(LOOK, needy, replace(needy, key="other"))
    assert [problem.partition(":")[0] for problem in problems] == ["flags.needy"] * 2 + ["flags.other"] * 2


def test_segments_are_refused_where_they_stand() -> None:
    rules = (Rule("r", "on", AnyOf((Segment("a"), Segment("b"), Segment("c")))),)
    circle: dict[str, Condition] = {"a": Not(Segment("b")), "b": Not(Segment("a")), "c": Test("x", "matches", "y")}
    problems = refused(with_rules(*rules), segments=circle)
    assert [problem.partition(": ")[0] for problem in problems] == ["segments.a", "segments.b", "segments.c"]
    assert "refers to itself" in problems[0]


def test_a_segment_that_names_others_twice_each_is_refused_and_not_written_out() -> None:
    segments: dict[str, Condition] = {"s0": Test("x", "eq", 1)}
    for each in range(1, 40):
        segments[f"s{each}"] = All((Segment(f"s{each - 1}"), Segment(f"s{each - 1}")))
    problems = refused(with_rules(Rule("r", "on", Segment("s39"))), segments=segments)
    assert "in fewer" in problems[0]
