"""A flag that is stored in a way that cannot be read: it alone fails, closed, and the others answer as before."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.flags.asking import refusal
from payaid_entitlements.core.flags.details import FlagReason
from payaid_entitlements.core.flags.flag_set import from_json, to_json
from payaid_entitlements.core.flags.model import FlagSet, Needs, Progress, Rule, Segment, Share, Stage, Test
from payaid_entitlements.core.flags.salvaging import salvaged, unread
from payaid_entitlements.core.flags.snapshot import FlagSnapshot, counting, effective
from payaid_entitlements.core.flags.storing import encode_flag
from tests.core.flags.generated import VALUES
from tests.core.flags.native import context, percentage, switch

LOOK = replace(
    switch("look", rules=(percentage(30_000),), narrows=("crm.export", "crm")),
    exclusion=Share("g", 0, 50_000),
    owner="growth",
)
OTHERS = (
    switch("half", rules=(percentage(50_000),), narrows=("hr",)),
    switch("pros", rules=(Rule("pros", "on", Test("plan", "eq", "pro")),)),
    switch("staff", rules=(Rule("staff", "on", Segment("staff")),), needs=(Needs("half", frozenset({"on"})),)),
)
WHOLE = FlagSet(
    3,
    {flag.key: flag for flag in (LOOK, *OTHERS)},
    {"staff": Test("user", "starts_with", "a")},
    {"half": Progress("rollout", Stage.RUNNING, 0, 0, 1)},
)
ASKERS = [context(f"t{number}", plan="pro" if number % 2 else "free") for number in range(6)]


def _with(value: str) -> FlagSet:
    """The set, as it is read where *value* stands in the place of the flag."""
    data = json.loads(to_json(WHOLE))
    data["flags"]["look"] = "\0"
    return from_json(json.dumps(data).replace('"\\u0000"', value))


def _answers(flag_set: FlagSet) -> dict[str, list[object]]:
    snapshot = FlagSnapshot.of({}, flag_set)
    return {flag.key: [snapshot.flags[flag.key].evaluate(each) for each in ASKERS] for flag in OTHERS}


@st.composite
def _damaged(draw: st.DrawFn) -> object:
    """Anything, or the flag with something else in the place of a few fields, without some, or with more."""
    if draw(st.booleans()):
        return draw(VALUES)
    fields = st.sampled_from([*encode_flag(LOOK), "colour"])
    data: dict[str, Any] = {**encode_flag(LOOK), **draw(st.dictionaries(fields, VALUES, max_size=3))}
    for gone in draw(st.lists(fields, max_size=2)):
        data.pop(gone, None)
    return data


@settings(max_examples=40, deadline=None)
@given(_damaged(), st.sampled_from([None, 0, 3]))
def test_whatever_stands_for_one_flag_the_others_answer_as_before(data: object, indent: int | None) -> None:
    """And it is written back as it was."""
    text = json.dumps(data, indent=indent)
    found = _with(text)
    assert found.damage is None
    assert _answers(found) == _answers(WHOLE)
    if found.unread:
        assert {thing: each.text for thing, each in found.unread.items()} == {("flag", "look"): text}
        flag = effective({"look": LOOK}, found)["look"]
        assert flag.broken
        snapshot = FlagSnapshot.of({"look": LOOK}, found)
        for key in flag.narrows:
            assert refusal(snapshot.narrowing[key], key, ASKERS[0]) is not None
    assert to_json(from_json(to_json(found))) == to_json(found)


@pytest.mark.parametrize(
    ("narrows", "expected"),
    [
        (["hr.payroll"], ("hr.payroll",)),
        ([], ()),
        (["hr.payroll", 1, "crm"], ("hr.payroll", "crm", "crm.export")),
        ("crm", ("crm.export", "crm")),
        (None, ("crm.export", "crm")),
    ],
)
def test_what_it_surely_narrows_is_refused(narrows: object, expected: tuple[str, ...]) -> None:
    """Where that is not surely known, what the catalog's flag narrows is refused too."""
    text = json.dumps({**encode_flag(LOOK), "narrows": narrows, "colour": "red"})
    flag = effective({"look": LOOK}, _with(text))["look"]
    assert flag.narrows == expected
    snapshot = FlagSnapshot.of({"look": LOOK}, _with(text))
    for key in expected:
        decision = refusal(snapshot.narrowing[key], key, ASKERS[0])
        assert decision is not None
        assert (decision.allowed, decision.reason.value, decision.source) == (
            False,
            "flag.rollout_excluded",
            "flag look",
        )
    details = snapshot.flags["look"].evaluate(ASKERS[0])
    assert (details.reason, details.value, details.message) == (FlagReason.ERROR, None, flag.broken)


def test_each_part_that_can_be_read_is() -> None:
    """A field that is not known takes none of the others with it."""
    data = encode_flag(LOOK)
    assert salvaged("look", json.dumps({**data, "colour": "red"})) == LOOK
    spoilt = {**data, "rules": 7, "default": "blue", "key": "other", "title": [["a"]], "owner": None}
    assert salvaged("look", json.dumps(spoilt)) == replace(LOOK, rules=(), owner=None)
    assert salvaged("look", json.dumps(data).replace('"growth"', "1e999")) == replace(LOOK, owner=None)


@pytest.mark.parametrize("text", ["[]", "7", '"look"', "true", "{}"])
def test_of_nothing_a_switch_is_left_that_is_off(text: str) -> None:
    """Whoever misspells a key is told so, and nobody is told that of this one."""
    assert salvaged("look", text) == unread("look")
    assert salvaged("look", text, LOOK) == replace(unread("look"), narrows=LOOK.narrows)


def test_a_flag_that_is_not_enabled_is_broken_all_the_same() -> None:
    """What cannot be read may say otherwise."""
    text = json.dumps({**encode_flag(LOOK), "enabled": False, "colour": "red"})
    flag = effective({}, _with(text))["look"]
    assert flag.enabled
    assert flag.broken


def test_a_rollout_of_which_it_cannot_be_read_where_it_stands_lets_nobody_in() -> None:
    """Begun anew, one that was rolled back would let people in again."""
    data = json.loads(to_json(WHOLE))
    data["progress"]["half"]["stage"] = "walking"
    data["progress"]["gone"] = 1
    found = from_json(json.dumps(data))
    flags = effective({}, found)
    assert flags["half"].broken.startswith("where its rollout stands cannot be read: 'walking'")
    assert "gone" not in flags
    snapshot = FlagSnapshot.of({}, found)
    assert refusal(snapshot.narrowing["hr"], "hr", ASKERS[0]) is not None


def test_a_segment_that_cannot_be_read_is_not_the_catalogs_again() -> None:
    """Flags that name it fail, and others do not."""
    data = json.loads(to_json(WHOLE))
    data["segments"]["staff"] = {"xor": []}
    found = from_json(json.dumps(data))
    assert counting({"staff": Test("user", "exists", True), "own": Segment("staff")}, found) == {
        "own": Segment("staff")
    }
    snapshot = FlagSnapshot.of({}, found, segments={"staff": Test("user", "exists", True)})
    assert snapshot.flags["half"].evaluate(ASKERS[0]).reason is not FlagReason.ERROR
    asked = replace(found, flags={**found.flags, "staff": replace(OTHERS[2], needs=())})
    details = FlagSnapshot.of({}, asked).flags["staff"].evaluate(ASKERS[0])
    assert details.reason is FlagReason.ERROR
    assert "staff" in details.message
