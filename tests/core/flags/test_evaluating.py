"""What a flag answers: what comes first decides, and why is said in OpenFeature's words."""

# ruff: noqa: E501 - tables of cases, a line each

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from payaid_entitlements.core.flags.bucketing import identify
from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.details import FlagDetails, FlagError, FlagReason
from payaid_entitlements.core.flags.hashed import arm_bytes, exposure_bytes, group_bytes
from payaid_entitlements.core.flags.hashing import murmur3, position
from payaid_entitlements.core.flags.model import (
    PARTS,
    All,
    AnyOf,
    Condition,
    Flag,
    FlagSet,
    FlagType,
    Guard,
    Needs,
    Not,
    Progress,
    Rollout,
    Rule,
    Segment,
    Share,
    Stage,
    Test,
)
from payaid_entitlements.core.flags.snapshot import FlagSnapshot, effective
from payaid_entitlements.core.instant import DAY, EARLIEST
from tests.core.flags.native import ask, context, percentage, snapshot, switch

ON = Rule("everybody", "on")
KILLED = {"killed": {"look"}}
ALL = Share("g", 0, PARTS)
NEVER = Share("g", 0, 0)
NEEDS = (Needs("base", frozenset({"on"})),)
BASE = switch("base")

# What is on in each way, and off in one: each line takes back what the next one would give.
# fmt: off
PRECEDENCE = [
    ("the environment", switch(rules=(ON,)), {"environment": {"LOOK"}}, FlagReason.DISABLED, "PAYAID_FLAG_LOOK"),
    ("the environment over an operator", switch(rules=(ON,)), {"environment": {"LOOK"}, **KILLED}, FlagReason.DISABLED, "PAYAID_FLAG_LOOK"),
    ("an operator", switch(rules=(ON,)), KILLED, FlagReason.DISABLED, "an operator"),
    ("an operator over what is not enabled", switch(enabled=False), KILLED, FlagReason.DISABLED, "an operator"),
    ("not enabled", switch(enabled=False, rules=(ON,)), {}, FlagReason.DISABLED, "not enabled"),
    ("not enabled over a holdout", switch(enabled=False, holdout=ALL), {}, FlagReason.DISABLED, "not enabled"),
    ("a holdout", switch(holdout=ALL, rules=(ON,)), {}, FlagReason.SPLIT, "held out by the group 'g'"),
    ("a holdout over an exclusion", switch(holdout=ALL, exclusion=NEVER), {}, FlagReason.SPLIT, "held out by the group 'g'"),
    ("an exclusion", switch(exclusion=NEVER, rules=(ON,)), {}, FlagReason.SPLIT, "outside of its share of the group 'g'"),
    ("an exclusion over a prerequisite", switch(exclusion=NEVER, needs=NEEDS), {}, FlagReason.SPLIT, "outside of its share of the group 'g'"),
    ("a prerequisite", switch(needs=NEEDS, rules=(ON,)), {}, FlagReason.DEFAULT, "its prerequisite 'base' is not on"),
    ("a prerequisite that there is not", switch(needs=(Needs("x", frozenset({"on"})),), rules=(ON,)), {}, FlagReason.DEFAULT, "its prerequisite 'x' does not exist"),
]
# fmt: on


@pytest.mark.parametrize(
    ("flag", "more", "reason", "says"), [row[1:] for row in PRECEDENCE], ids=[r[0] for r in PRECEDENCE]
)
def test_what_comes_first_decides(flag: Flag, more: Mapping[str, Any], reason: FlagReason, says: str) -> None:
    """The off variant comes out, with what switched it off."""
    flag = replace(flag, variants={**flag.variants, "dark": False}, off="dark")
    found = ask(flag, None, BASE, **more)
    assert (found.variant, found.value, found.reason, found.error) == ("dark", False, reason, None)
    assert says in found.message


def test_what_does_not_stand_in_the_way_lets_the_rules_decide() -> None:
    """A holdout beside, a share within, and a prerequisite that is met say nothing."""
    flag = switch(holdout=NEVER, exclusion=ALL, needs=NEEDS, rules=(ON,))
    found = ask(flag, None, switch("base", rules=(ON,)), environment={"OTHER"}, killed={"other", "crm"})
    assert found == FlagDetails("look", True, "on", FlagReason.TARGETING_MATCH, "everybody")


# fmt: off
REASONS: list[tuple[str, Flag, str | None, FlagReason, str | None]] = [
    ("no rules", switch(), "off", FlagReason.STATIC, None),
    ("no rules and no default", switch(default=None), None, FlagReason.DEFAULT, None),
    ("a holdout and no rules", switch(holdout=NEVER), "off", FlagReason.DEFAULT, None),
    ("no rule that applies", switch(rules=(Rule("pro", "on", Test("plan", "eq", "pro")),)), "off", FlagReason.DEFAULT, None),
    ("a rule", switch(rules=(ON,)), "on", FlagReason.TARGETING_MATCH, "everybody"),
    ("a rule with a condition", switch(rules=(Rule("free", "on", Test("plan", "eq", "free")),)), "on", FlagReason.TARGETING_MATCH, "free"),
    ("the first of two", switch(rules=(Rule("a", "off"), ON)), "off", FlagReason.TARGETING_MATCH, "a"),
    ("in", switch(rules=(percentage(PARTS),)), "on", FlagReason.SPLIT, "rollout"),
    ("a user who is in, with a condition", switch(bucket_by="user", rules=(percentage(PARTS, when=Test("plan", "eq", "free")),)), "on", FlagReason.SPLIT, "rollout"),
    ("in, with a condition", switch(rules=(percentage(PARTS, when=Test("plan", "eq", "free")),)), "on", FlagReason.SPLIT, "rollout"),
    ("out", switch(rules=(percentage(0),)), "off", FlagReason.DEFAULT, None),
    ("out, and a rule after it", switch(rules=(percentage(0), ON)), "on", FlagReason.TARGETING_MATCH, "everybody"),
    ("arms", switch(rules=(Rule("arms", (("on", 1), ("off", 0))),)), "on", FlagReason.SPLIT, "arms"),
    ("arms of those who are in", switch(rules=(percentage(PARTS, (("off", 0), ("on", 3))),)), "on", FlagReason.SPLIT, "rollout"),
]
# fmt: on


@pytest.mark.parametrize(
    ("flag", "variant", "reason", "rule"), [row[1:] for row in REASONS], ids=[r[0] for r in REASONS]
)
def test_reasons_are_openfeatures(flag: Flag, variant: str | None, reason: FlagReason, rule: str | None) -> None:
    """A share that decided is SPLIT, a rule without one TARGETING_MATCH, none DEFAULT, and where there are none STATIC."""
    found = ask(flag, context(plan="free"))
    assert (found.variant, found.reason, found.rule, found.error) == (variant, reason, rule, None)
    assert found.value is (None if variant is None else flag.variants[variant])


def test_nothing_is_built_when_a_flag_is_asked() -> None:
    """The same details come out for everybody who gets the same."""
    evaluate = snapshot(switch(metadata={"team": "growth"}, rules=(percentage(PARTS),))).flags["look"].evaluate
    assert evaluate(context("a")) is evaluate(context("b"))
    assert evaluate(context("a")).metadata == {"team": "growth"}


@pytest.mark.parametrize("bucket_by", ["tenant", "user", "company.id"])
@pytest.mark.parametrize("rule", [percentage(PARTS), Rule("rollout", (("on", 1),))], ids=["share", "arms"])
@pytest.mark.parametrize("salt", ["look", "other"])
def test_nobody_is_hashed_who_is_nobody(bucket_by: str, rule: Rule, salt: str) -> None:
    """Without an id, or with an empty one, no share lets anybody in, and the answer says what is missing."""
    flag = switch(bucket_by=bucket_by, salt=salt, rules=(rule,), metadata={"team": "growth"})
    for missing in (None, ""):
        found = ask(flag, context(missing, missing, company__id=missing))
        assert (found.variant, found.reason) == ("off", FlagReason.DEFAULT)
        assert found.message == f"TARGETING_KEY_MISSING: the flag buckets by {bucket_by}, of which there is none"
    assert ask(flag, context("a", "b", company__id="c")).variant == "on"


def test_who_is_nobody_still_gets_a_rule_that_asks_for_no_id() -> None:
    """A rule after the share that needs no id decides."""
    assert ask(switch(rules=(percentage(PARTS, "off"), ON)), context(None)).rule == "everybody"


def test_who_is_nobody_is_in_no_share_of_a_group() -> None:
    """Nobody is held out of nothing, and excluded from what only a share may have."""
    out = replace(switch(rules=(ON,)), off="off")
    assert ask(replace(out, holdout=ALL), context(None)).variant == "on"
    found = ask(replace(out, exclusion=ALL), context(None))
    assert (found.variant, found.reason) == ("off", FlagReason.DEFAULT)
    assert found.message.startswith("TARGETING_KEY_MISSING")


# fmt: off
IDS: list[tuple[str, str | None, FlagContext, str | None]] = [
    ("tenant", None, context("t", "u"), "t"),
    ("user", None, context("t", "u"), "u"),
    ("user", "tenant", context("t", None), "t"),
    ("user", "tenant", context("t", ""), "t"),
    ("user", "company.id", context("t", None, company__id="c"), "c"),
    ("user", "tenant", context(None, None), None),
    ("targetingKey", None, context("t", "u", targetingKey="k"), "k"),
    ("company.id", None, context(company__id=42), "42"),
    ("company.id", None, context(company__id=True), None),
    ("company.id", None, context(company__id=1.5), None),
    ("company.id", None, context(company__id=5.0), "5"),
    ("company.id", None, context(company="c"), None),
    ("company.id", None, context(), None),
]
# fmt: on


@pytest.mark.parametrize(("by", "fallback", "asker", "found"), IDS)
def test_whose_id_is_hashed(by: str, fallback: str | None, asker: FlagContext, found: str | None) -> None:
    """An id is a text that is not empty, or a whole number; where there is none the fallback's counts."""
    assert identify(switch(bucket_by=by, fallback=fallback), asker) == found


def test_the_missing_id_of_two_is_told() -> None:
    """Both that were looked for are named."""
    found = ask(switch(bucket_by="user", fallback="tenant", rules=(percentage(PARTS),)), context(None, None))
    assert "buckets by user, else by tenant, of which there is none" in found.message


@pytest.mark.parametrize(
    ("bucket_by", "fallback", "salt"),
    [
        ("tenant", None, "look"),
        ("user", None, "look"),
        ("user", "tenant", "look"),
        ("tenant", None, "x"),
        ("user", None, "x"),
        ("company.id", None, "look"),
    ],
)
@pytest.mark.parametrize("parts", [1, 25_000, 50_000, 99_999])
def test_who_is_in_is_what_the_bytes_say(bucket_by: str, fallback: str | None, salt: str, parts: int) -> None:
    """However a flag is compiled, its buckets are those of the bytes that are pinned."""
    flag = switch(bucket_by=bucket_by, fallback=fallback, salt=salt, rules=(percentage(parts),))
    evaluate = snapshot(flag).flags["look"].evaluate
    for number in range(200):
        name = f"id-{number}"
        inside = position(murmur3(exposure_bytes(salt, "look", name))) < parts
        assert evaluate(context(name, name, company__id=name)).value is inside


def test_arms_and_groups_are_what_the_bytes_say() -> None:
    """Arms by weight, and places in a group, are hashed apart from who is in."""
    flag = switch(salt="s", rules=(Rule("arms", (("on", 30), ("off", 70))),), exclusion=Share("g", 20_000, 70_000))
    evaluate = snapshot(flag).flags["look"].evaluate
    for number in range(300):
        found = evaluate(context(name := f"id-{number}"))
        if 20_000 <= position(murmur3(group_bytes("g", name))) < 70_000:
            arm = "on" if position(murmur3(arm_bytes("s", name)), 100) < 30 else "off"
            assert (found.variant, found.rule) == (arm, "arms")
        else:
            assert (found.variant, found.rule) == ("off", None)


def test_a_schedule_is_a_function_of_time() -> None:
    """Before the first step nobody is in; each step counts from its instant on."""
    flag = switch(rules=(Rule("rollout", "on", rollout=Rollout(((10, 0), (20, 50_000), (30, PARTS)))),))
    compiled = snapshot(flag).flags["look"]
    assert compiled.reads_clock
    many = [f"id-{number}" for number in range(400)]
    counts = [
        sum(compiled.evaluate(context(each, at=at)).value is True for each in many) for at in (9, 10, 19, 20, 29, 30)
    ]
    assert counts[:3] == [0, 0, 0]
    assert counts[3] == counts[4]
    assert 150 < counts[3] < 250
    assert counts[5] == len(many)


GUARDED = switch(rules=(Rule("rollout", "on", rollout=Rollout(((EARLIEST, 0), (DAY, PARTS)), Guard(samples=5))),))


@pytest.mark.parametrize(
    ("progress", "variant"),
    [
        (None, "off"),
        (Progress("rollout", Stage.RUNNING, 0, 0, 1), "off"),
        (Progress("rollout", Stage.RUNNING, 1, 0, 1), "on"),
        (Progress("rollout", Stage.PAUSED, 1, 0, 1), "on"),
        (Progress("rollout", Stage.ROLLED_BACK, 1, 0, 1), "off"),
        (Progress("another", Stage.RUNNING, 1, 0, 1), "off"),
    ],
)
def test_a_guarded_rollout_stands_where_the_flag_set_says(progress: Progress | None, variant: str) -> None:
    """Time alone changes nothing, and progress of another rule is none of this one."""
    found = snapshot(GUARDED, progress=progress).flags["look"]
    assert not found.reads_clock
    assert found.evaluate(context(at=10 * DAY)).variant == variant


def test_a_flag_reads_the_clock_where_what_it_needs_does() -> None:
    """A schedule of a prerequisite changes the answer with time."""
    timed = switch("base", rules=(Rule("rollout", "on", rollout=Rollout(((10, PARTS),))),))
    found = snapshot(switch(needs=NEEDS, rules=(ON,)), timed)
    assert {key: flag.reads_clock for key, flag in found.flags.items()} == {"look": True, "base": True}
    assert found.flags["look"].evaluate(context(at=9)).variant == "off"
    assert found.flags["look"].evaluate(context(at=10)).variant == "on"


CONDITIONS = [
    (Test("plan", "eq", "pro"), True),
    (Test("plan", "neq", "pro"), False),
    (Test("company.size", "gte", 50), True),
    (Test("company.name", "exists", True), False),
    (All((Test("plan", "eq", "pro"), Test("company.size", "lt", 10))), False),
    (AnyOf((Test("plan", "eq", "free"), Test("company.size", "gt", 10))), True),
    (Not(Test("plan", "eq", "free")), True),
    (Segment("large"), True),
    (Not(Segment("both")), False),
    (Segment("neither"), False),
]
SEGMENTS: dict[str, Condition] = {
    "both": All((Segment("large"), Test("plan", "eq", "pro"))),
    "large": Test("company.size", "gte", 50),
    "neither": Not(AnyOf((Segment("large"), Segment("both")))),
}


@pytest.mark.parametrize(("condition", "is_true"), CONDITIONS)
def test_conditions_are_put_together(condition: Any, is_true: bool) -> None:
    """Comparisons, segments that name segments, and what puts them together."""
    flag = switch(rules=(Rule("rule", "on", condition),))
    assert ask(flag, context(plan="pro", company__size=50), segments=SEGMENTS).value is is_true


def test_the_sets_segments_count_over_the_catalogs() -> None:
    """A segment that was changed since is what was made of it."""
    flag = switch(rules=(Rule("rule", "on", Segment("large")),))
    changed = FlagSet(3, segments={"large": Test("plan", "eq", "pro")})
    found = FlagSnapshot.of({"look": flag}, changed, segments=SEGMENTS)
    assert found.flags["look"].evaluate(context(plan="pro")).variant == "on"
    assert found.revision == 3


# fmt: off
BROKEN: list[tuple[str, Flag, FlagError, str]] = [
    ("no such segment", switch(rules=(Rule("r", "on", Segment("x")),)), FlagError.PARSE_ERROR, "'x'"),
    ("a circle of segments", switch(rules=(Rule("r", "on", Segment("a")),)), FlagError.PARSE_ERROR, "the segment 'a': what it needs is a circle"),
    ("names a circle", switch(rules=(Rule("r", "on", Segment("c")),)), FlagError.PARSE_ERROR, "what it needs is a circle"),
    ("a deep segment", switch(rules=(Rule("r", "on", Segment("deep")),)), FlagError.PARSE_ERROR, "the segment 'deep'"),
    ("no such operator", switch(rules=(Rule("r", "on", Test("plan", "like", "p")),)), FlagError.PARSE_ERROR, "'like'"),
    ("another operand", switch(rules=(Rule("r", "on", Test("plan", "lt", "p")),)), FlagError.PARSE_ERROR, "'lt'"),
    ("a circle", switch(needs=(Needs("look", frozenset({"on"})),)), FlagError.GENERAL, "what it needs is a circle"),
    ("targeting with an unknown operator", switch(targeting={"xor": [1]}), FlagError.PARSE_ERROR, "xor"),
    ("targeting with an unknown variant", switch(targeting={"if": [True, "red"]}), FlagError.GENERAL, "'red'"),
]
# fmt: on


def nested(depth: int) -> Any:
    condition: Any = Test("plan", "eq", "pro")
    for _ in range(depth):
        condition = Not(condition)
    return condition


@pytest.mark.parametrize(("flag", "error", "says"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_broken_flag_fails_alone(flag: Flag, error: FlagError, says: str) -> None:
    """It says what is wrong when it is asked, the caller's default counts, and the flags beside it answer."""
    segments = {"a": Segment("b"), "b": Segment("a"), "c": Segment("a"), "deep": nested(100)}
    found = snapshot(flag, switch("beside", rules=(ON,)), segments=segments)
    answer = found.flags["look"].evaluate(context())
    assert (answer.error, answer.reason, answer.variant, answer.value) == (error, FlagReason.ERROR, None, None)
    assert says in answer.message
    assert found.flags["beside"].evaluate(context()).value is True
    assert ask(flag, None, killed={"look"}).variant == "off"


def test_a_rule_that_is_too_deep_is_found_when_it_is_compiled() -> None:
    """It fails as other broken flags do."""
    found = ask(switch(rules=(Rule("r", "on", nested(100)),)))
    assert found.error is FlagError.PARSE_ERROR


@pytest.mark.parametrize(
    "flag",
    [
        switch(rules=(Rule("r", (("on", 0),)),)),
        switch(rules=(Rule("r", "red"),)),
        switch(rules=(Rule("r", (("red", 1),)),)),
        switch(default="red"),
        switch(enabled=False, off="red"),
        switch(rules=(Rule("r", "on", rollout=Rollout((), Guard(samples=1))),)),
    ],
)
def test_a_flag_that_no_reader_would_let_through_fails_alone(flag: Flag) -> None:
    """Somebody else may have written the set: the flags beside it must answer."""
    found = snapshot(flag, switch("beside", rules=(ON,)), progress=Progress("r", Stage.RUNNING, 0, 0, 1))
    answer = found.flags["look"].evaluate(context())
    assert (answer.error, answer.variant) == (FlagError.PARSE_ERROR, None)
    assert "cannot be used as it is stored" in answer.message
    assert found.flags["beside"].evaluate(context()).value is True


@pytest.mark.parametrize(
    "flag",
    [
        switch(bucket_by="company.id", rules=(percentage(PARTS),)),
        switch(rules=(Rule("r", "on", Test("company.id", "eq", 1)),)),
    ],
)
def test_a_context_that_cannot_be_read_is_an_error_of_the_answer(flag: Flag) -> None:
    """Whatever a host puts into a context, asking raises nothing and tells nothing of it."""

    class Company(dict[str, object]):
        def get(self, name: str, default: object = None) -> object:
            raise RuntimeError("secret")

        __getitem__ = get

    found = ask(flag, context(company=Company(id=1)))
    assert (found.error, found.reason) == (FlagError.GENERAL, FlagReason.ERROR)
    assert "secret" not in found.message


def test_an_id_that_no_text_can_hold_is_an_error_of_the_answer() -> None:
    """Half of a surrogate pair has no UTF-8."""
    found = ask(
        switch(salt="s", rules=(percentage(PARTS),)),
        FlagContext(tenant="\ud800", user=None, at=0, attributes={}, tenant_text=None, user_text=None),
    )
    assert found.error is FlagError.GENERAL


def test_targeting_of_flagd_is_asked_as_flagd_does() -> None:
    """A bucket is TARGETING_MATCH there; gates of ours come before it."""
    targeting: Any = {"if": [{"==": [{"var": "plan"}, "pro"]}, "on"]}
    flag = switch(targeting=targeting)
    assert ask(flag, context(plan="pro")) == FlagDetails("look", True, "on", FlagReason.TARGETING_MATCH)
    assert ask(flag, context(plan="free")).reason is FlagReason.DEFAULT
    assert ask(replace(flag, holdout=ALL), context(plan="pro")).variant == "off"
    assert not snapshot(flag).flags["look"].reads_clock
    timed: Any = {"if": [{">": [{"var": "$flagd.timestamp"}, 5]}, "on"]}
    assert snapshot(switch(targeting=timed)).flags["look"].reads_clock


def test_values_of_all_types_come_out() -> None:
    """A variant is worth what it is worth."""
    flag = Flag("look", FlagType.OBJECT, {"a": {"x": [1, 2.5, None]}}, "a", "a")
    assert ask(flag).value == {"x": [1, 2.5, None]}


def test_the_set_counts_over_the_catalog() -> None:
    """A flag that was changed is the set's, one that was removed is gone, and others are the catalog's."""
    catalog = {"a": switch("a"), "b": switch("b"), "c": switch("c")}
    changed = FlagSet(flags={"b": switch("b", rules=(ON,)), "c": None, "d": switch("d")})
    assert effective(catalog, changed) == {"a": catalog["a"], "b": changed.flags["b"], "d": changed.flags["d"]}
    assert list(FlagSnapshot.of(catalog, changed).flags) == ["a", "b", "d"]


def test_flags_that_narrow_are_found_by_what_they_narrow() -> None:
    """In the order of their keys, also those that are killed: they refuse."""
    flags = [switch("b", narrows=("crm", "crm.export")), switch("a", narrows=("crm",)), switch("c")]
    found = snapshot(*flags, killed={"a"})
    assert {key: [each.flag.key for each in those] for key, those in found.narrowing.items()} == {
        "crm": ["a", "b"],
        "crm.export": ["b"],
    }
    assert found.narrowing["crm"][0].evaluate(context()).reason is FlagReason.DISABLED


def test_where_there_are_no_flags_a_condition_is_read_too():
    condition = FlagSnapshot().around.condition(Test("plan", "eq", "pro"))
    assert condition(context(plan="pro")) is True
    assert condition(context(plan="free")) is False
