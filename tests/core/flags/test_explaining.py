"""Explanations say what was looked at, and anybody can compute the bucket again."""

# ruff: noqa: E501 - tables of cases

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Literal

import mmh3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.details import FlagReason
from payaid_entitlements.core.flags.explaining import explain_flag
from payaid_entitlements.core.flags.model import (
    PARTS,
    All,
    AnyOf,
    Flag,
    FlagSet,
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
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.instant import EARLIEST
from tests.core.flags.generated import flags
from tests.core.flags.native import context, percentage, snapshot, switch

SEGMENTS = {"staff": Test("user", "ends_with", "@payaid.example")}
NEEDS = (Needs("base", frozenset({"on"})),)


def told(flag: Flag, asker: FlagContext | None = None, *others: Flag, **more: Any) -> list[str]:
    found = explain_flag(snapshot(flag, *others, segments=SEGMENTS, **more), flag.key, asker or context())
    return found.to_text().splitlines()


def test_all_that_was_looked_at_is_told_in_its_order() -> None:
    """One line each, and the bytes under it."""
    flag = switch(
        holdout=Share("h", 0, 1),
        exclusion=Share("g", 0, PARTS),
        needs=NEEDS,
        rules=(
            Rule("staff", "on", Segment("staff")),
            Rule("large", "on", All((Not(Test("plan", "eq", "free")), AnyOf((Test("company.size", "gte", 50),))))),
            percentage(0),
            Rule("arms", (("on", 3), ("off", 1))),
        ),
    )
    lines = told(flag, context(plan="pro", company__size=5), switch("base", rules=(Rule("everybody", "on"),)))
    assert lines == [
        "flag look: on (true), SPLIT",
        "  at 1970-01-01T00:00:00+00:00, for tenant 'acme'",
        "  -  switch: it is on: neither the environment nor an operator has killed it",
        "  -  holdout 'h': 0% to 0.001% are held out",
        "       group: position 92,016 of 100,000 is not in 0 to 1: murmur3(6d2467726f75702f682f61636d65) = 3952085908",
        "  -  exclusion 'g': it may be on for 0% to 100%",
        "       group: position 98,010 of 100,000 is in 0 to 100,000: murmur3(6d2467726f75702f672f61636d65) = 4209516060",
        "  -  prerequisite 'base': is on, and must be on",
        '  -  rule \'staff\': does not apply: {"segment": "staff"} no',
        '  -  rule \'large\': does not apply: (not {"plan": "free"} no, it is "pro" and '
        '({"company.size": {"gte": 50}} no, it is 5))',
        "  -  rule 'rollout': 0% are in",
        f"       rollout: position {lines[11].split('position ')[1].split(' of')[0]} of 100,000 is not in 0 to 0: "
        f"murmur3(82646c6f6f6b6461636d65) = {mmh3.hash(bytes.fromhex('82646c6f6f6b6461636d65'), 0, signed=False)}",
        "  => rule 'arms': gives on, by on 3, off 1",
        f"       arm: position 1 of 4 is in 0 to 3: murmur3({b'olook/split/acme'.hex()}) = "
        f"{mmh3.hash(b'olook/split/acme', 0, signed=False)}",
    ]


# fmt: off
DECIDED = [
    ("killed", switch(), {"killed": {"look"}}, context(), "  => switch: killed by an operator"),
    ("killed here", switch(), {"environment": {"LOOK"}}, context(), "  => switch: killed in this process by PAYAID_FLAG_LOOK"),
    ("not enabled", switch(enabled=False), {}, context(), "  => switch: it is not enabled"),
    ("broken", switch(rules=(Rule("r", "on", Segment("x")),)), {}, context(), "  => error: it names the segment 'x', which does not exist"),
    ("held out", switch(holdout=Share("h", 0, PARTS)), {}, context(), "  => holdout 'h': 0% to 100% are held out"),
    ("excluded", switch(exclusion=Share("h", 0, 0)), {}, context(), "  => exclusion 'h': it may be on for 0% to 0%"),
    ("excluded, nobody", switch(exclusion=Share("h", 0, PARTS)), {}, context(None), "  => exclusion 'h': it may be on for 0% to 100%, and there is no id"),
    ("no prerequisite", switch(needs=NEEDS), {}, context(), "  => prerequisite 'base': does not exist, and must be on"),
    ("no rules", switch(), {}, context(), "  => default: it has no rules"),
    ("no rule", switch(rules=(Rule("r", "on", Test("plan", "eq", "pro")),)), {}, context(), "  => default: no rule decided"),
    ("nobody", switch(rules=(percentage(PARTS),)), {}, context(None), "  => default: no rule decided; TARGETING_KEY_MISSING: the flag buckets by tenant, of which there is none"),
    ("in", switch(rules=(percentage(PARTS),)), {}, context(), "  => rule 'rollout': 100% are in; gives on"),
    ("a rule", switch(rules=(Rule("r", "on", Test("plan", "eq", "pro")),)), {}, context(plan="pro"), "  => rule 'r': applies: {\"plan\": \"pro\"} yes, it is \"pro\"; gives on"),
    ("targeting", switch(targeting={"if": [True, "on"]}), {}, context(), '  => targeting: {"if": [true, "on"]} gives on'),
    ("no targeting", switch(targeting={"if": [False, "on"]}), {}, context(), "  => default: it has no rules"),
]
# fmt: on


@pytest.mark.parametrize(
    ("flag", "more", "asker", "line"), [row[1:] for row in DECIDED], ids=[row[0] for row in DECIDED]
)
def test_what_decided_is_the_last_that_is_told(
    flag: Flag, more: dict[str, object], asker: FlagContext, line: str
) -> None:
    """With an arrow, and nothing after it but its buckets."""
    lines = told(flag, asker, **more)
    assert line in lines
    assert [each[2:4] for each in lines].count("=>") == 1
    assert all(each.startswith("       ") for each in lines[lines.index(line) + 1 :])


def test_nobody_is_told_as_such() -> None:
    """Who has no id is in no share, and is held out of nothing."""
    lines = told(switch(holdout=Share("h", 0, 1), rules=(percentage(1),), bucket_by="user"), context(user=None))
    assert lines[1].endswith("for no user")
    assert "  -  holdout 'h': there is no id, so nobody is held out" in lines
    assert "  -  rule 'rollout': a share decides, and there is no id of user" in lines


def test_where_a_guarded_rollout_stands_is_told() -> None:
    """The stage and the step, where the flag set knows them."""
    rollout = Rollout(((EARLIEST, 0), (EARLIEST, PARTS)), Guard((), 5))
    flag = switch(rules=(Rule("rollout", "on", rollout=rollout),))
    lines = told(flag, progress=Progress("rollout", Stage.RUNNING, 1, 0, 1))
    assert "  => rule 'rollout': 100% are in (running, step 2); gives on" in lines


def test_the_callers_own_default_is_told_as_such() -> None:
    """It is no variant of the flag."""
    assert told(replace(switch(), default=None))[0] == "flag look: the caller's own default, DEFAULT"


def fractional(scheme: Literal["v2", "v3"], *operands: Any) -> tuple[str, ...]:
    """What is told of the split of a file of flagd; the key and the id are those of the golden values."""
    targeting = {"if": [{"==": [{"var": "plan"}, "pro"]}, {"fractional": [["on", 1], ["off", 1]]}, *operands]}
    flag = switch("new-checkout", targeting=targeting, scheme=scheme, bucket_by="targetingKey")
    asker = context("acme", None, targetingKey="user-1")
    explained = explain_flag(snapshot(flag), "new-checkout", asker)
    return tuple(map(str, explained.looks[1].buckets))


def test_a_bucket_of_flagd_is_told_with_its_bytes() -> None:
    """Of each of its splits, asked or not, in both generations."""
    flagds = ["on", 45_498], ["off", {"-": [100_000, 45_498]}]
    written = "826c6e65772d636865636b6f757466757365722d31"
    assert fractional("v3", {"fractional": flagds}) == (
        f"position 0 of 2 is in 0 to 1: murmur3({written}) = 2132831605",
        f"position 49,658 of 100,000 is in 45,498 to 100,000: murmur3({written}) = 2132831605",
    )
    assert fractional("v2", {"fractional": flagds})[1] == (
        f"position 45,498 of 100,000 is in 45,498 to 100,000: murmur3({b'new-checkoutuser-1'.hex()}) = 1954156369"
    )
    # Nobody is dealt by what is missing, or has no weight; and one of many is as good as all.
    nobody = {"if": [{"fractional": [{"var": "email"}, ["on", 1]]}, {"fractional": [["on", 0]]}]}
    assert len(fractional("v3", nobody)) == 1
    assert len(fractional("v3", {"or": [{"fractional": flagds}] * 20})) == 10


def test_what_cannot_be_read_where_nobody_looked_is_left_out() -> None:
    deep: Any = "user-1"
    for _ in range(40):
        deep = [deep]
    unread = {"fractional": [{"cat": [{"var": "deep"}]}, ["on", 1]]}
    targeting = {"if": [{"==": [{"var": "plan"}, "pro"]}, unread, "on"]}
    explained = explain_flag(snapshot(switch(targeting=targeting)), "look", context(deep=deep))
    assert (explained.details.variant, explained.looks[1].buckets) == ("on", ())


def test_an_explanation_is_json_data() -> None:
    """With the hash and its bytes, for whoever computes it again."""
    found = explain_flag(snapshot(switch(rules=(percentage(PARTS),))), "look", context()).to_json()
    assert json.loads(json.dumps(found)) == found
    assert (found["flag"], found["value"], found["variant"], found["reason"]) == ("look", True, "on", "SPLIT")
    (look,) = [each for each in found["looks"] if each["decided"]]  # type: ignore[attr-defined]
    (bucket,) = look["buckets"]
    assert mmh3.hash(bytes.fromhex(bucket["hashed"]), 0, signed=False) == bucket["hash"]
    assert (bucket["position"], bucket["inside"]) == ((bucket["hash"] * PARTS) >> 32, True)
    assert (
        explain_flag(snapshot(switch(rules=(Rule("r", "on", Segment("x")),))), "look", context()).to_json()["error"]
        == "PARSE_ERROR"
    )


def test_explaining_shows_nobody_anything() -> None:
    """Where exposures are told, an explanation is asked of the flags as they are without."""
    quiet = snapshot(switch(rules=(percentage(PARTS),)))
    loud = replace(quiet, flags={}, origin=quiet)
    assert explain_flag(loud, "look", context()).details.value is True


def test_an_unknown_flag_is_no_explanation() -> None:
    """Whoever asks knows what there is."""
    with pytest.raises(KeyError):
        explain_flag(FlagSnapshot(), "look", context())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a flag is much to draw
@given(flags(), st.sampled_from(["a", "acme", "", None]), st.integers(0, 4 * 10**15))
def test_what_is_explained_is_what_was_answered(flag: Flag, tenant: str | None, at: int) -> None:
    """Of any flag: the rule that is told to have decided is the one that did."""
    flag = replace(flag, targeting=None, rules=tuple(rule for rule in flag.rules if _weighs(rule)))
    found = FlagSnapshot.of(
        {flag.key: flag},
        FlagSet(segments=dict.fromkeys(("a", "b", "c", "new-look", "plan", "user"), Test("plan", "exists", True))),
    )
    asker = context(tenant, tenant, at=at, plan="a")
    explained = explain_flag(found, flag.key, asker)
    details = found.flags[flag.key].evaluate(asker)
    assert explained.details == details
    last = explained.looks[-1]
    assert last.decided
    assert (last.what == "rule") is (details.rule is not None)
    if details.rule is not None:
        assert last.name == details.rule
        if any(bucket.what == "arm" for bucket in last.buckets):
            assert f"gives {details.variant}," in last.says
    assert (last.what == "error") is (details.reason is FlagReason.ERROR)
    assert explained.to_text()


def _weighs(rule: Rule) -> bool:
    return isinstance(rule.serve, str) or any(weight for _, weight in rule.serve)
