"""JsonLogic and flagd's operators."""

from __future__ import annotations

import json
from math import inf, nan
from typing import Any

import pytest

from payaid_entitlements.core.flags.failing import EvaluationFailed, RuleInvalid
from payaid_entitlements.core.flags.jsonlogic.reading import DEPTH, LONGEST, MOST_VALUES, read
from payaid_entitlements.core.flags.nodes import Call, Const, Distribute, If, Var
from tests.core.flags.asking import apply, ask
from tests.core.flags.conformance import outside_json


def test_the_classic_suite() -> None:
    cases = [case for case in outside_json("json-logic/tests.json") if isinstance(case, list)]
    assert len(cases) == 275
    for rule, data, expected in cases:
        said = apply(rule, data)
        # In Python True == 1.
        assert json.dumps(said) == json.dumps(expected) or (said == expected and type(expected) is int), rule


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        # Null is nothing when texts are joined, and undefined is no number.
        ({"cat": ["a", None, 1.0, True, [1, None]]}, "a1true1,"),
        ({"cat": []}, ""),
        ({"<": [1]}, False),
        ({">": []}, False),
        ({"<=": [1, 1, 1]}, True),
        ({">=": [3, 2, 2]}, True),
        ({">": [3, 2, 2]}, False),
        ({"==": [1]}, False),
        ({"===": []}, True),
        ({"!==": [1, True]}, True),
        ({"!=": ["a", "b"]}, True),
        ({"!": []}, True),
        ({"!!": [{}]}, True),
        ({"+": []}, 0),
        ({"+": ["3", True, None]}, 4),
        ({"*": []}, 1),
        ({"/": [7, 2]}, 3.5),
        ({"/": [1, 0]}, inf),
        ({"/": [-1, 0]}, -inf),
        ({"%": [-7, 3]}, -1),
        ({"%": [7, -3]}, 1),
        ({"%": [7.5, 2]}, 1.5),
        ({"min": []}, None),
        ({"max": ["2", 10]}, 10),
        ({"*": [2**63, 2**63]}, float(2**126)),
        ({"in": [1, [True, "1"]]}, False),
        ({"in": [None, [None]]}, True),
        ({"in": [1, "a1"]}, True),
        ({"in": ["a"]}, False),
        ({"in": ["a", 5]}, False),
        ({"substr": ["jsonlogic", "x"]}, "jsonlogic"),
        ({"substr": ["jsonlogic", -100]}, "jsonlogic"),
        ({"substr": ["jsonlogic", 100]}, ""),
        ({"substr": ["jsonlogic", 0, -100]}, ""),
        ({"substr": ["jsonlogic", 1e400, 1]}, ""),
        ({"substr": []}, "null"),
        ({"merge": [1, [2, [3]]]}, [1, 2, [3]]),
        ({"and": []}, None),
        ({"or": []}, None),
        ({"if": []}, None),
        ({"missing_some": [1]}, []),
        ({"missing_some": ["x", ["a"]]}, ["a"]),
        ({"map": [[1, 2]]}, [None, None]),
        ({"reduce": [[1, 2], {"var": "current"}]}, 2),
        ({"filter": ["ab", True]}, []),
        ({"all": [[1, 0], {"var": ""}]}, False),
        ({"none": [[0, 1], {"var": ""}]}, False),
        ({"a": 1, "b": [{"var": "x"}]}, {"a": 1, "b": [{"var": "x"}]}),
        ({"starts_with": ["abc", "ab"]}, True),
        ({"starts_with": ["abc", "b"]}, False),
        ({"ends_with": ["abc", "bc"]}, True),
        # flagd's say null to what they cannot read.
        ({"starts_with": [1, "ab"]}, None),
        ({"starts_with": ["ab", 1]}, None),
        ({"starts_with": "ab"}, None),
        ({"ends_with": ["ab", "b", "c"]}, None),
        ({"ends_with": [None, "b"]}, None),
        ({"sem_ver": []}, None),
    ],
)  # fmt: skip
def test_operators(rule: object, expected: object) -> None:
    said = ask(rule)
    assert said == expected
    assert type(said) is type(expected)


@pytest.mark.parametrize(
    "rule",
    [
        {"-": []}, {"/": [1]}, {"%": [1]}, {"/": [0, 0]}, {"/": ["x", 0]}, {"%": [1, 0]}, {"%": [{"/": [1, 0]}, 2]},
        {"max": [1, "x"]}, {"+": ["x"]},
    ],
)  # fmt: skip
def test_no_numbers(rule: object) -> None:
    said = ask(rule)
    assert said != said  # noqa: PLR0124 - NaN is not itself


DATA = {
    "plan": "pro",
    "n": 5,
    "zero": 0,
    "t": True,
    "none": None,
    "empty": "",
    "list": ["a", {"b": "c"}],
    "company": {"size": 40},
    "path": "company.size",
    "$flagd": {"flagKey": "mine"},
}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"var": "plan"}, "pro"),
        ({"var": "company.size"}, 40),
        ({"var": "list.1.b"}, "c"),
        ({"var": "list.01"}, None),
        ({"var": "list.2"}, None),
        ({"var": "list.-1"}, None),
        ({"var": "list.9999999999"}, None),
        ({"var": "list.length"}, 2),
        ({"var": "plan.0"}, "p"),
        ({"var": "n.0"}, None),
        ({"var": ["none", 7]}, 7),
        ({"var": ["zero", 7]}, 0),
        ({"var": ["x", {"var": "n"}]}, 5),
        ({"var": [{"var": "path"}]}, 40),
        ({"var": [{"cat": ["company", ".size"]}]}, 40),
        ({"var": True}, None),
        # The flag's own surroundings are over everybody's attributes.
        ({"var": "$flagd.flagKey"}, "f"),
        ({"var": "$flagd.timestamp"}, 1_800_000_000),
        ({"var": "$flagd"}, {"flagKey": "f", "timestamp": 1_800_000_000}),
        ({"var": [{"cat": ["$flagd", ".flagKey"]}]}, "f"),
        ({"var": "$flagd.x"}, None),
        ({"var": ""}, {**DATA, "$flagd": {"flagKey": "f", "timestamp": 1_800_000_000}}),
        ({"missing": ["plan", "none", "empty", "x", "$flagd.flagKey"]}, ["none", "empty", "x"]),
        ({"missing": [["x"], "y"]}, ["x"]),
        ({"missing_some": [2, ["plan", "n", "x"]]}, []),
        ({"missing_some": [3, ["plan", "n", "x"]]}, ["x"]),
        ({"map": [{"var": "list"}, {"missing": "b"}]}, [["b"], []]),
        ({"map": [{"var": "list"}, {"var": "$flagd.flagKey"}]}, [None, None]),
        ({"map": [{"var": "list"}, {"var": [{"cat": "b"}]}]}, [None, "c"]),
        ({"==": [{"var": "plan"}, "pro"]}, True),
        ({"!=": ["pro", {"var": "plan"}]}, False),
        ({"==": [{"var": "n"}, "5"]}, True),
        ({"<": [{"var": "n"}, 6]}, True),
        ({"<": [{"var": "n"}, True]}, False),
        ({"<=": [{"var": "plan"}, 6]}, False),
        ({">": [{"var": "n"}, 4.5]}, True),
        ({">=": [{"var": "none"}, 0]}, True),
        ({"in": [{"var": "plan"}, ["pro", "team", 1]]}, True),
        ({"in": [{"var": "n"}, ["pro", 5]]}, True),
        ({"in": [{"var": "t"}, ["pro", 1]]}, False),
        ({"starts_with": [{"var": "plan"}, "p"]}, True),
        ({"ends_with": [{"var": "n"}, "p"]}, None),
        ({"sem_ver": [{"var": "plan"}, "=", "1"]}, None),
        ({"sem_ver": [{"var": "n"}, ">", "1"]}, True),
        ({"sem_ver": [{"var": "n"}, ">", "one"]}, None),
        ({"and": [{"var": "n"}, {"var": "plan"}]}, "pro"),
        ({"and": [{"var": "zero"}, {"var": "plan"}]}, 0),
        ({"or": [{"var": "zero"}, {"var": "x"}, {"var": "plan"}]}, "pro"),
        ({"or": [{"==": [{"var": "n"}, "x"]}, {"==": [{"var": "n"}, 5]}]}, True),
        ({"and": [{"==": [{"var": "n"}, "5"]}, {"<": [{"var": "n"}, 9]}, {">": [{"var": "n"}, 9]}]}, False),
        ({"and": [{"==": [{"var": "n"}, "5"]}, {"<": [{"var": "n"}, 9]}, {"!": {"var": "zero"}}]}, True),
        ({"if": [{"and": [{"var": "n"}, {"var": "plan"}]}, "yes", "no"]}, "yes"),
        ({"if": [{"or": [{"var": "x"}, {"var": "zero"}]}, "yes", "no"]}, "no"),
        ({"if": [{"and": []}, "yes", "no"]}, "no"),
        ({"if": [{"var": "x"}, 1, {"var": "zero"}, 2, {"var": "n"}, 3, 4]}, 3),
        ({"if": [{"var": "x"}, 1, {"var": "zero"}, 2]}, None),
        ({"if": [True, {"var": "n"}, 2]}, 5),
        ({"if": [False, 1, {"var": "x"}, 2, True, 3, 4]}, 3),
        ({"if": [{"var": "x"}, 1, False, 2]}, None),
        ([{"var": "n"}, 1, [{"var": "plan"}]], [5, 1, ["pro"]]),
        ({"some": [{"var": "list"}, {"in": [{"var": ""}, ["a", "b"]]}]}, True),
        ({"map": [[[1, 2], [3]], {"reduce": [{"var": ""}, {"+": [{"var": "current"}, {"var": "accumulator"}]}, 0]}]},
         [3, 3]),
    ],
)  # fmt: skip
def test_attributes(rule: object, expected: object) -> None:
    said = ask(rule, DATA)
    assert said == expected
    assert type(said) is type(expected)


def test_read_into_nodes() -> None:
    assert read({"var": ["a.b", 1]}) == Var(("a", "b"), Const(1))
    assert read({"?:": [{"var": "a"}, "x"]}) == If(((Var(("a",)), Const("x")),))
    assert read({"fractional": [["a"], ["b", 3]]}, flag="f", scheme="v2") == Distribute(
        "f", None, ((Const("a"), 1), (Const("b"), Const(3))), "v2"
    )
    assert read({"fractional": [{"var": "k"}, ["a"]]}, flag="f") == Distribute("f", Var(("k",)), ((Const("a"), 1),))
    assert read([1, {"var": "a"}]) == Call("array", (Const(1), Var(("a",))))


def _nested(depth: int) -> Any:
    rule: Any = True
    for _ in range(depth):
        rule = {"!": [rule]}
    return rule


def test_bounds() -> None:
    assert ask(_nested(DEPTH)) is True
    assert ask({"in": ["x", ["y"] * (MOST_VALUES - 3)]}) is False
    for beyond in (
        _nested(DEPTH + 1),
        _nested(100_000),
        ["y"] * MOST_VALUES,
        {"a": {"b": {"c": [[["y"] * MOST_VALUES]]}}, "z": 1},
        "x" * (LONGEST + 1),
        {"cat": "x" * (LONGEST + 1)},
        {"a": 1, 2: 3},
        {1: 2},
        {"cat": [{1, 2}]},
        {"a": 1, "b": b"x"},
    ):
        with pytest.raises(RuleInvalid):
            read(beyond)


@pytest.mark.parametrize(
    "rule",
    [
        {"unknown": [1]},
        {"$ref": "x"},
        {"if": [True, 1, {"log": 1}]},
        {"eq": [1, 1]},
        {"json:in": [1, 1]},
        {"fractional": [["a", {"nope": 1}], ["b"]]},
        {"map": [[1], {"nope": 1}]},
    ],
)
def test_an_unknown_operator_breaks_the_rule_for_everybody(rule: object) -> None:
    with pytest.raises(EvaluationFailed) as failed:
        ask(rule)
    assert failed.value.code == "PARSE_ERROR"


LIST: list[Any] = [*range(2_000)]


@pytest.mark.parametrize(
    "rule",
    [
        # Doubles with each element.
        {"reduce": [{"var": "l"}, {"cat": [{"var": "accumulator"}, {"var": "accumulator"}]}, "x"]},
        {"reduce": [{"var": "l"}, {"merge": [{"var": "accumulator"}, {"var": "accumulator"}]}, [1]]},
        {"cat": [{"reduce": [{"var": "l"}, [{"var": "accumulator"}, {"var": "accumulator"}], 1]}]},
        # Four million steps.
        {"map": [{"var": "l"}, {"map": [{"var": "m"}, 1]}]},
        {"map": [{"var": "l"}, {"some": [LIST, {"==": [{"var": ""}, "x"]}]}]},
    ],
)  # fmt: skip
def test_what_grows_without_end_fails(rule: object) -> None:
    element = {"m": LIST}
    with pytest.raises(EvaluationFailed) as failed:
        ask(rule, {"l": [element] * 2_000})
    assert failed.value.code == "GENERAL"


def test_numbers_that_grow_without_end_are_infinite() -> None:
    rule = {"reduce": [{"var": "l"}, {"*": [{"var": "accumulator"}, 10]}, 1]}
    assert ask(rule, {"l": LIST}) == inf
    assert ask({"cat": [rule]}, {"l": LIST}) == "Infinity"


def test_a_list_that_lies_in_itself_twice_is_not_hashed() -> None:
    made = {"reduce": [{"var": "l"}, [{"var": "accumulator"}, {"var": "accumulator"}], 1]}
    assert ask({"fractional": [{"if": [True, made]}, ["a"], ["b"]]}, {"l": LIST[:30]}) is None


class Odd:
    """What no JSON has, and what cannot be compared."""

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError("acme")

    __hash__ = None  # type: ignore[assignment] # as a class that defines __eq__ has it


@pytest.mark.parametrize(
    "rule",
    [
        {"missing": "a"}, {"in": [{"var": "a"}, {"var": "l"}]}, {"==": [{"var": "a"}, "x"]}, {"+": [{"var": "a"}]},
        {"cat": {"var": "a"}},
    ],
)  # fmt: skip
def test_whatever_the_host_puts_in_no_other_error_comes_out(rule: object) -> None:
    try:
        ask(rule, {"a": Odd(), "l": [Odd(), nan]})
    except EvaluationFailed as failed:
        assert "acme" not in failed.message
        assert failed.code == "GENERAL"


#: Each operator of JsonLogic, as jsonlogic.com lists them (but for `log`, which writes), with what it gives.
EACH_OPERATOR: dict[str, tuple[object, object]] = {
    "var": ("a", 1),
    "missing": (["a", "z"], ["z"]),
    "missing_some": ([2, ["a", "y", "z"]], ["y", "z"]),
    "if": ([True, "yes", "no"], "yes"),
    "==": ([1, "1"], True),
    "===": ([1, "1"], False),
    "!=": ([1, "1"], False),
    "!==": ([1, "1"], True),
    "!": ([True], False),
    "!!": (["0"], True),
    "or": ([False, "x"], "x"),
    "and": ([1, 0], 0),
    ">": ([2, 1], True),
    ">=": ([1, 1], True),
    "<": ([1, 2, 3], True),
    "<=": ([1, 1, 3], True),
    "max": ([1, 3, 2], 3),
    "min": ([1, 3, 2], 1),
    "+": ([1, "2"], 3),
    "-": ([2], -2),
    "*": ([2, 3], 6),
    "/": ([6, 4], 1.5),
    "%": ([7, 4], 3),
    "map": ([[1, 2], {"*": [{"var": ""}, 2]}], [2, 4]),
    "filter": ([[1, 2], {">": [{"var": ""}, 1]}], [2]),
    "reduce": ([[1, 2], {"+": [{"var": "current"}, {"var": "accumulator"}]}, 0], 3),
    "all": ([[1, 2], {">": [{"var": ""}, 0]}], True),
    "none": ([[1, 2], {">": [{"var": ""}, 2]}], True),
    "some": ([[1, 2], {">": [{"var": ""}, 1]}], True),
    "merge": ([[1], [2, 3]], [1, 2, 3]),
    "in": (["b", "abc"], True),
    "cat": (["a", 1], "a1"),
    "substr": (["jsonlogic", 4], "logic"),
}


def test_there_are_all_operators() -> None:
    assert len(EACH_OPERATOR) == 33
    for name, (operands, expected) in EACH_OPERATOR.items():
        found = ask({name: operands}, {"a": 1})
        assert (found, type(found)) == (expected, type(expected)), name
