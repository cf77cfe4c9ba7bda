"""The operators of conditions."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

from payaid_entitlements.core.flags.failing import RuleInvalid
from payaid_entitlements.core.flags.nodes import Call, Const, Var
from payaid_entitlements.core.flags.operators import OPERATORS, predicate
from tests.core.flags.asking import evaluate

CASES: list[tuple[str, Any, list[Any], list[Any]]] = [
    ("eq", "pro", ["pro"], ["Pro", None, 1, ["pro"]]),
    ("eq", 1, [1, 1.0], [True, "1", None, 2]),
    ("eq", True, [True], [1, "true", False, None]),
    ("neq", "pro", ["team", ""], ["pro", None, 1, ["team"]]),
    ("neq", 1, [2, 0.5], [1, 1.0, True, "2", None]),
    ("in", ["IN", "US"], ["IN", "US"], ["DE", None, 1, ["IN"]]),
    ("in", [1, "a", True], [1, 1.0, "a", True], [False, 2, "b", None]),
    ("in", [1], [1], [True, "1"]),
    ("in", [], [], ["", None]),
    ("not_in", ["IN", "US"], ["DE"], ["IN", None, 1]),
    ("not_in", [1, "a"], [2, "b"], [1, "a", True, None]),
    ("lt", 10, [9, 9.5, -1], [10, "9", True, None, nan]),
    ("lte", 10, [10], [10.5]),
    ("gt", 10, [11, 2**80], [10, "11"]),
    ("gte", 10, [10], [9]),
    ("lt", 10**400, [1, 1e308], [10**401]),
    ("before", "2026-12-01T09:00:00+05:30", ["2026-12-01T03:29:59Z", "2026-12-01", 0], ["2026-12-01T03:30:00Z"]),
    ("after", "2026-12-01", ["2026-12-01", "2026-12-01T00:00:00+00:00", 1_800_000_000], ["2026-11-30", "soon", None]),
    ("after", 1_000, [1_000, 1_000.5], [999, "2026-12-01T10:00:00", True, [], nan]),
    ("starts_with", "ab", ["abc", "ab"], ["cab", None, 1, ["ab"]]),
    ("starts_with", ["ab", "x"], ["abc", "xy"], ["cab"]),
    ("ends_with", "@a.example", ["me@a.example"], ["me@a.example.com", None]),
    ("ends_with", [], [], ["a"]),
    ("contains", "b", ["abc", ["a", "b"]], ["ac", ["ab"], None, 1]),
    ("contains", 1, [[1, 2], (1.0,)], ["1", [True], ["1"], 1]),
    ("matches", "^a+$", ["aaa"], ["b", None, 1]),
    ("semver_eq", "1.2", ["1.2.0", 1.2, "v1.2.0+x"], ["1.2.1", None, "x"]),
    ("semver_lt", "1.2.0", ["1.2.0-rc", "1"], ["1.2.0"]),
    ("semver_lte", "1.2.0", ["1.2.0"], ["1.2.1"]),
    ("semver_gt", "1.2.0", ["1.10.0"], ["1.2.0"]),
    ("semver_gte", "1.2.0", ["1.2.0"], ["1.2.0-rc"]),
    ("semver_tilde", "1.2.3", ["1.2.3", "1.2.9"], ["1.2.2", "1.3.0", "2.2.3"]),
    ("semver_caret", "1.2.3", ["1.2.3", "1.9"], ["1.2.2", "2.0.0"]),
    ("cidr", "10.0.0.0/8", ["10.1.2.3", "::ffff:10.1.2.3"], ["11.0.0.1", "::1", "x", 167772161, None]),
    ("cidr", ["192.168.1.7", "2001:db8::/32"], ["192.168.1.7", "2001:db8::1"], ["192.168.1.8", "2001:db9::1"]),
    ("exists", True, [0, "", False, []], [None]),
    ("exists", False, [None], [0]),
]


@pytest.mark.parametrize(("operator", "value", "yes", "no"), CASES)
def test_operators(operator: str, value: Any, yes: list[Any], no: list[Any]) -> None:
    ask = predicate(operator, value)
    assert [attribute for attribute in yes if ask(attribute) is not True] == []
    assert [attribute for attribute in no if ask(attribute) is not False] == []


@pytest.mark.parametrize(("operator", "value", "yes", "no"), CASES)
def test_in_a_rule(operator: str, value: Any, yes: list[Any], no: list[Any]) -> None:
    node = Call(operator, (Var(("a",)), Const(value)))
    assert [attribute for attribute in yes if evaluate(node, {"a": attribute}) is not True] == []
    assert [attribute for attribute in no if evaluate(node, {"a": attribute}) is not False] == []


def test_every_operator_is_tried() -> None:
    assert {operator for operator, *_ in CASES} == set(OPERATORS)


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("like", "a"),
        ("eq", None),
        ("eq", ["a"]),
        ("neq", {}),
        ("in", "a"),
        ("in", [None]),
        ("not_in", [["a"]]),
        ("lt", "1"),
        ("lte", True),
        ("gt", nan),
        ("gte", inf),
        ("before", "soon"),
        ("before", "2026-12-01T09:00:00"),
        ("after", inf),
        ("after", None),
        ("starts_with", 1),
        ("ends_with", ["a", 1]),
        ("contains", None),
        ("contains", ["a"]),
        ("matches", 1),
        ("matches", "("),
        ("semver_eq", "one"),
        ("cidr", 1),
        ("cidr", "10.0.0.1/8"),
        ("cidr", [1]),
        ("cidr", "x" * 100),
        ("exists", "yes"),
    ],
)
def test_values_that_an_operator_cannot_be_about(operator: str, value: Any) -> None:
    with pytest.raises(RuleInvalid) as refused:
        predicate(operator, value)
    assert len(str(refused.value)) < 400
