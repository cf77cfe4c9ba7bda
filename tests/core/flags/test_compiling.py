"""From nodes to closures."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from payaid_entitlements.core.flags import compiling
from payaid_entitlements.core.flags.closures import Closures
from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.failing import EvaluationFailed, RuleInvalid
from payaid_entitlements.core.flags.folding import fold
from payaid_entitlements.core.flags.jsonlogic.reading import read
from payaid_entitlements.core.flags.nodes import (
    Broken,
    Call,
    Const,
    Distribute,
    If,
    InSegment,
    Node,
    Var,
)
from payaid_entitlements.core.flags.walking import DEPTH, MOST_LOOPS, MOST_NODES, reads_clock, walk
from tests.core.flags.asking import ask, context, evaluate

X = Var(("x",))


def test_segments_are_those_that_are_given() -> None:
    def compiled(node: Node) -> compiling.Compiled:
        return compiling.compile(node, segments={"big": lambda asked: asked.attributes.get("x")})

    both = compiled(
        If(((Call("and", (Call("exists", (X, Const(True))), InSegment("big"))), Const("yes")),), Const("no"))
    )
    assert both(context({"x": 1})) == "yes"
    assert both(context({"x": 0})) == "no"
    # What is in a segment is true or false, whatever the segment's rule gives.
    assert compiled(InSegment("big"))(context({"x": "a"})) is True
    assert compiled(InSegment("big"))(context({"x": []})) is False


def _fails(_: FlagContext) -> Any:
    raise LookupError("no such thing of acme")


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (Broken("it is broken"), "it is broken"),
        (InSegment("gone"), "'gone'"),
        (Call("nope", ()), "'nope'"),
        (Call("eq", (X,)), "'eq'"),
        (Call("eq", (X, X)), "'eq'"),
        (Call("matches", (X, Const("("))), "pattern"),
        (If(((X, Broken("in a branch")),)), "in a branch"),
        (Var(Broken("in a path")), "in a path"),
        (Var(("x",), Broken("in a default")), "in a default"),
        (Distribute("f", Broken("in a key"), ()), "in a key"),
        (Distribute("f", None, ((Broken("in an arm"), 1),)), "in an arm"),
        (Distribute("f", None, ((X, Broken("in a weight")),)), "in a weight"),
    ],
)
def test_what_is_broken_fails_for_everybody(node: Node, message: str) -> None:
    with pytest.raises(EvaluationFailed, match=message) as failed:
        evaluate(If(((X, node),), Const("fine")))
    assert failed.value.code == "PARSE_ERROR"


def test_a_broken_node_is_never_compiled() -> None:
    closures = Closures({}, "f", element=False)
    with pytest.raises(AssertionError):
        closures.step(Broken("x"))


def test_errors_of_a_context_name_nobody() -> None:
    compiled = compiling.compile(InSegment("s"), segments={"s": _fails})
    with pytest.raises(EvaluationFailed) as failed:
        compiled(context())
    assert failed.value.code == "GENERAL"
    assert failed.value.message == str(failed.value) == "the context cannot be read: LookupError"


def test_a_stack_that_is_nearly_full() -> None:
    compiled = compiling.compile(read(_negated(60)), segments={})
    asked = context({"x": 1})

    def deep(left: int) -> object:
        return deep(left - 1) if left else compiled(asked)

    limit = sys.getrecursionlimit()
    said: list[object] = []
    for room in range(5, 120):
        try:
            said.append(_at_the_end(deep, limit - room))
        except EvaluationFailed:
            said.append("typed")
        except RecursionError:
            # Before the rule was asked at all.
            said.append("before")
    assert "typed" in said
    assert True in said


def _negated(times: int) -> Any:
    rule: Any = {"var": "x"}
    for _ in range(times):
        rule = {"!": [rule]}
    return rule


def _at_the_end(deep: Any, frames: int) -> object:
    frame, used = sys._getframe(), 0
    while frame is not None:
        used += 1
        frame = frame.f_back  # type: ignore[assignment]
    return deep(max(0, frames - used))


def test_what_is_the_same_for_everybody_is_worked_out_before() -> None:
    def folded(rule: object) -> Node:
        return fold(read(rule, flag="f"))

    assert folded({"cat": ["a", {"+": [1, 2]}]}) == Const("a3")
    assert folded({"var": [{"cat": ["a", ".b"]}, {"+": [1, 1]}]}) == Var(("a", "b"), Const(2))
    assert folded({"var": [{"var": "p"}]}) == Var(Var(("p",)))
    assert folded({"if": [{"==": [1, 2]}, "a", {"==": [1, 1]}, "b", "c"]}) == Const("b")
    assert folded({"if": [False, "a", "c"]}) == Const("c")
    assert folded({"if": [{"var": "x"}, "a", True, {"cat": ["b"]}, "c"]}) == If(((X, Const("a")),), Const("b"))
    assert folded({"fractional": [{"cat": "k"}, ["a", {"+": [1, 1]}]]}) == Distribute(
        "f", Const("k"), ((Const("a"), Const(2)),)
    )
    # It fails when it is asked: the flag is read all the same.
    growing = {"cat": ["x" * 9_000, "y" * 9_000]}
    assert isinstance(folded(growing), Call)
    with pytest.raises(EvaluationFailed, match="characters"):
        ask(growing)


def test_bounds_of_nodes() -> None:
    node: Node = X
    for _ in range(DEPTH):
        node = Call("!", (node,))
    assert evaluate(node, {"x": 1}) is (DEPTH % 2 == 0)
    loop = Call("map", (X, Const(1)))
    for beyond in (
        Call("!", (node,)),
        Call("and", (X,) * MOST_NODES),
        Call("array", (loop,) * (MOST_LOOPS + 1)),
    ):
        with pytest.raises(RuleInvalid):
            compiling.compile(beyond, segments={})


@pytest.mark.parametrize(
    ("rule", "reads"),
    [
        ({"var": "$flagd.timestamp"}, True),
        ({"if": [{"<": [{"var": "$flagd.timestamp"}, 5]}, "a", "b"]}, True),
        ({"fractional": [["a", {"var": "$flagd.timestamp"}], ["b", 1]]}, True),
        ({"var": "$flagd"}, True),
        ({"var": ""}, True),
        ({"var": [{"var": "x"}]}, True),
        ({"var": ["x", {"var": "$flagd.timestamp"}]}, True),
        ({"var": "$flagd.flagKey"}, False),
        ({"missing": ["a"]}, False),
        ({"fractional": [["a"], ["b", 1]]}, False),
    ],
)
def test_whether_the_clock_is_read(rule: object, reads: bool) -> None:
    assert reads_clock(read(rule)) is reads


def test_everything_is_walked_in_order() -> None:
    node = If(((X, Var(X)),), Distribute("f", Const("k"), ((Const("a"), Const(1)), (Const("b"), 2))))
    assert list(walk(node))[1:] == [
        X, Var(X), X, node.otherwise, Const("k"), Const("a"), Const(1), Const("b"),
    ]  # fmt: skip
