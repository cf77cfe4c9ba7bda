"""flagd's ``fractional``, and shares of ours."""

from __future__ import annotations

from collections import Counter
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.flags.hashing import MOST_WEIGHT
from payaid_entitlements.core.flags.nodes import Scheme
from tests.core.flags.asking import ask

KEY = {"targetingKey": "user-1"}
HALVES = (["a", 50], ["b", 50])


def _counts(rule: Any, scheme: Scheme = "v3") -> Counter[object]:
    return Counter(ask(rule, {"targetingKey": f"id-{number}", "n": number}, scheme=scheme) for number in range(1_000))


@pytest.mark.parametrize("scheme", ["v2", "v3"])
def test_weights(scheme: Scheme) -> None:
    counts = _counts({"fractional": [["a", 70], ["b", 20], ["c", 10], ["never", 0]]}, scheme)
    assert set(counts) == {"a", "b", "c"}
    assert counts["a"] > 600
    assert 50 < counts["c"] < counts["b"]


def test_a_weight_that_is_missing_is_one_and_a_negative_one_is_zero() -> None:
    assert _counts({"fractional": [["a"], ["b", 1]]}) == _counts({"fractional": [["a", 1], ["b", 1]]})
    assert _counts({"fractional": [["a", -5], ["b", 100.0]]}) == {"b": 1_000}
    assert _counts({"fractional": [["only", 1]]}) == {"only": 1_000}


@pytest.mark.parametrize(
    "arms",
    [
        [],
        [["a", 0], ["b", 0]],
        [["a", MOST_WEIGHT], ["b", 1]],
        [["a", True], ["b"]],
        [["a", "1"], ["b"]],
        [["a", 1.5], ["b"]],
        [["a", inf], ["b"]],
        [["a", nan], ["b"]],
        [["a", None], ["b"]],
        [["a", 1, 2], ["b"]],
        [[], ["b"]],
        [["a"], "b"],
        [["a", {"cat": "x"}], ["b"]],
        [["a", {"var": "targetingKey"}], ["b"]],
        [["a", 10**400], ["b"]],
        [["b"], {"var": "targetingKey"}],
        [["b"], {"if": [True, ["a", 1, 2]]}],
        [["b"], {"a": 1, "b": 2}],
    ],
)
def test_arms_that_cannot_be_read_are_null(arms: list[Any]) -> None:
    assert ask({"fractional": arms}, KEY) is None
    assert ask({"fractional": [{"var": "targetingKey"}, *arms]}, KEY) is None


@pytest.mark.parametrize("key", [None, "", 5, ["a"], {"a": 1}, "\ud800"])
def test_without_a_targeting_key_that_is_a_text_nothing_is_hashed(key: object) -> None:
    for scheme in ("v2", "v3"):
        assert ask({"fractional": HALVES}, {"targetingKey": key}, scheme=scheme) is None  # type: ignore[arg-type]
    assert ask({"fractional": HALVES}) is None


@pytest.mark.parametrize(
    ("key", "v2", "v3"),
    [
        ("user1", True, True),
        ("", True, True),
        (123, False, True),
        (1.5, False, True),
        (True, False, True),
        ({"a": 1}, False, True),
        (None, False, False),
        ([1], False, False),
        (nan, False, False),
        (2**70, False, False),
        ("\ud800", False, False),
    ],
)
def test_what_an_explicit_key_may_be(key: object, v2: bool, v3: bool) -> None:
    rule = {"fractional": [{"var": "k"}, *HALVES]}
    assert (ask(rule, {"k": key}, scheme="v2") is not None) is v2
    assert (ask(rule, {"k": key}, scheme="v3") is not None) is v3


@given(st.integers(-(2**53), 2**53), st.lists(st.integers(0, 100), min_size=2, max_size=4).filter(any))
def test_numbers_of_one_value_are_one_key(key: int, weights: list[int]) -> None:
    rule = {"fractional": [{"var": "k"}, *([str(index), weight] for index, weight in enumerate(weights))]}
    assert ask(rule, {"k": key}) == ask(rule, {"k": float(key)})


def test_weights_and_arms_may_be_rules() -> None:
    by_time = {"-": [{"var": "$flagd.timestamp"}, 1_800_000_000 - 60]}
    assert _counts({"fractional": [["on", by_time], ["off", {"-": [60, by_time]}]]}) == {"on": 1_000}
    counts = _counts({"fractional": [[{"var": "targetingKey"}, {"var": "n"}], [{"if": [False, 1, "off"]}, 1_000]]})
    # Grows with n, so that the first ones are off and about a third is on.
    assert 200 < 1_000 - counts["off"] < 450
    assert counts["id-0"] == 0
    assert _counts({"fractional": [[{"var": "targetingKey"}, 1], ["b", {"var": "x"}]]}) == {None: 1_000}
    assert ask({"fractional": [[{"var": "targetingKey"}, 1], ["b", {"+": 1}]]}) is None
    assert ask({"fractional": [["a", {"+": 1}], [{"var": "targetingKey"}, 0]]}, KEY) == "a"


def test_an_arm_may_be_made_by_a_rule() -> None:
    half = {"if": [{"var": "n"}, ["a"], ["never", 1]]}
    # Beside a list in front, as a first operand would be the key.
    rule = {"fractional": [["never", 0], half, {"merge": ["b", {"var": "x"}]}, {"merge": ["c", 8]}]}
    counts = _counts({"fractional": [["never", 0], half, {"merge": ["c", 9]}]})
    assert 800 < counts["c"] < 960
    assert counts["a"] + counts["c"] + counts["never"] == 1_000
    assert _counts(rule) == {None: 1_000}


def test_within_a_loop_the_element_says_who_it_is() -> None:
    rule = {"map": [{"var": "l"}, {"fractional": [["in", 1]]}]}
    assert ask(rule, {"l": [KEY, {}, "x", None], **KEY}) == ["in", None, None, None]


def test_arms_are_chosen_apart_from_shares() -> None:
    """Of those who are in a half, half get each arm: the hashes do not know of each other."""
    inside = {"fractional": [[True, 1], [False, 1]]}
    arm = {"fractional": [{"cat": ["f/split/", {"var": "targetingKey"}]}, ["a", 1], ["b", 1]]}
    counts = _counts({"if": [inside, arm, "out"]})
    assert 400 < counts["out"] < 600
    assert abs(counts["a"] - counts["b"]) < 100
