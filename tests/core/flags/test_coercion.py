"""What JavaScript makes of JSON values."""

from __future__ import annotations

from math import inf, isnan, nan
from typing import Any

import pytest

from payaid_entitlements.core.flags.coercion import DEPTH, LONGEST, at_most, equal, less, number, same, text, truthy
from payaid_entitlements.core.flags.failing import EvaluationFailed

LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize("value", [1, -0.5, "0", "false", [0], {}, {"a": 1}, True, object()])
def test_true(value: object) -> None:
    assert truthy(value)


@pytest.mark.parametrize("value", [0, 0.0, nan, "", [], (), None, False])
def test_false(value: object) -> None:
    assert not truthy(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, 0),
        (True, 1),
        ("", 0),
        ("  12 ", 12),
        ("-12.50", -12.5),
        ("1.0", 1),
        ("1e3", 1000),
        (".5", 0.5),
        ("0x1f", 31),
        ("0b101", 5),
        ("1e400", inf),
        ("-Infinity", -inf),
        ([], 0),
        (["7"], 7),
        ([[["7"]]], 7),
        (2**70, float(2**70)),
        (10**400, inf),
        (-(10**400), -inf),
    ],
)
def test_numbers(value: object, expected: float) -> None:
    assert number(value) == expected


def test_whole_numbers_stay_exact() -> None:
    assert number("9007199254740993") == 9_007_199_254_740_993
    assert isinstance(number("1.0"), int)


@pytest.mark.parametrize(
    "value", ["1_000", "nan", "inf", "12a", "٣", "1" * 1_001, [1, 2], [True], {}, {"a": 1}, object(), LOOP]
)
def test_no_numbers(value: object) -> None:
    assert isnan(number(value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "a"),
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (12, "12"),
        (-0.0, "0"),
        (1.0, "1"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e-7, "1.5e-7"),
        (0.000001, "0.000001"),
        (-123456.75, "-123456.75"),
        (nan, "NaN"),
        (inf, "Infinity"),
        (-inf, "-Infinity"),
        (10**400, "Infinity"),
        ([1, None, ["b", []]], "1,,b,"),
        ({"a": 1}, "[object Object]"),
    ],
)
def test_texts(value: object, expected: str) -> None:
    assert text(value) == expected


def test_a_list_that_is_no_text() -> None:
    doubled: list[Any] = ["a"]
    for _ in range(DEPTH - 1):
        doubled = [doubled, doubled]
    for value in (LOOP, doubled, ["a" * LONGEST, ""]):
        with pytest.raises(EvaluationFailed):
            text(value)


@pytest.mark.parametrize(
    ("one", "other", "loosely", "strictly"),
    [
        (1, 1.0, True, True),
        (1, "1", True, False),
        ("1", 1, True, False),
        ("a", "a", True, True),
        ("a", "b", False, False),
        (True, 1, True, False),
        (True, True, True, True),
        ("true", True, False, False),
        ("", 0, True, False),
        (None, None, True, True),
        (None, 0, False, False),
        ("", None, False, False),
        (nan, nan, False, False),
        ([1], 1, True, False),
        ("1,2", [1, 2], True, False),
        ([1], [1], False, False),
        (LOOP, LOOP, True, True),
        ({}, "[object Object]", True, False),
        (1, "x", False, False),
    ],
)
def test_equality(one: object, other: object, loosely: bool, strictly: bool) -> None:
    assert equal(one, other) is loosely
    assert same(one, other) is strictly


@pytest.mark.parametrize(
    ("one", "other", "below", "not_above"),
    [
        (1, 2, True, True),
        ("10", 9, False, False),
        ("10", "9", True, True),
        (None, 1, True, True),
        (1, 1, False, True),
        ("a", "a", False, True),
        ([2], 10, True, True),
        ([2], "10", False, False),
        ("x", 1, False, False),
        ({}, 1, False, False),
        (2**70, inf, True, True),
    ],
)
def test_order(one: object, other: object, below: bool, not_above: bool) -> None:
    assert less(one, other) is below
    assert at_most(one, other) is not_above
