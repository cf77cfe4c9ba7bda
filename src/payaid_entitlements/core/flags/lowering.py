"""Conditions of ours as nodes, and the functions that the one compiler makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from payaid_entitlements.core.flags.compiling import compile as compiled
from payaid_entitlements.core.flags.conditions import segments_asked
from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.details import FlagError, FlagValue
from payaid_entitlements.core.flags.failing import EvaluationFailed, RuleInvalid
from payaid_entitlements.core.flags.model import All, AnyOf, Condition, Not, Segment
from payaid_entitlements.core.flags.model import Test as Comparison
from payaid_entitlements.core.flags.nodes import Call, Const, InSegment, Node, Var
from payaid_entitlements.core.flags.ordering import MOST_ASKED, in_order

#: Says whether a condition is true.
Test: TypeAlias = Callable[[FlagContext], bool]


def node(condition: Condition) -> Node:
    """Write *condition* in the form that every notation is read into."""
    match condition:
        case All(conditions):
            return Call("and", tuple(node(each) for each in conditions))
        case AnyOf(conditions):
            return Call("or", tuple(node(each) for each in conditions))
        case Not(inner):
            return Call("!", (node(inner),))
        case Segment(name):
            return InSegment(name)
        case Comparison(attribute, operator, value):  # pragma: no branch - the types leave nothing else
            return Call(operator, (Var(tuple(attribute.split("."))), Const(value)))


def conditions(segments: Mapping[str, Condition]) -> Callable[[Condition], Test]:
    """
    Make what compiles conditions, of which some may name *segments*.

    A segment that cannot be evaluated fails whoever names it, when it is asked.
    """
    known: dict[str, Callable[[FlagContext], FlagValue]] = {}
    edges = {name: tuple(segments_asked(condition)) for name, condition in segments.items()}
    asked: dict[str, int] = {}
    for name, broken in in_order(edges):
        asked[name] = 1 if broken else 1 + sum(asked.get(each, 0) for each in edges[name])
        known[name] = _failing(f"the segment {name!r}: {broken}") if broken else _compiled(name, segments[name], known)

    def compile_condition(condition: Condition) -> Test:
        if sum(asked.get(each, 0) for each in segments_asked(condition)) > MOST_ASKED:
            raise RuleInvalid(f"its segments, and what these name, are asked more than {MOST_ASKED:,} times; name less")
        return compiled(node(condition), segments=known)  # type: ignore[return-value] # conditions claim

    return compile_condition


def _compiled(
    name: str, condition: Condition, known: Mapping[str, Callable[[FlagContext], FlagValue]]
) -> Callable[[FlagContext], FlagValue]:
    try:
        return compiled(node(condition), segments=known)
    except RuleInvalid as error:
        return _failing(f"the segment {name!r}: {error}")


def _failing(message: str) -> Callable[[FlagContext], FlagValue]:
    def fail(_: FlagContext) -> FlagValue:
        raise EvaluationFailed(FlagError.PARSE_ERROR, message)

    return fail
