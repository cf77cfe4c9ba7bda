"""
From nodes to closures: what a flag does when it is asked.

Paths are taken apart, constants worked out, lists of literals made sets, and buckets made one comparison, once. What
comes out is a function of the context alone; it reads no clock, takes no lock, and fails with `EvaluationFailed` only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

from payaid_entitlements.core.flags.closures import Closures
from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.details import FlagError, FlagValue
from payaid_entitlements.core.flags.failing import EvaluationFailed, RuleInvalid
from payaid_entitlements.core.flags.folding import fold
from payaid_entitlements.core.flags.jsonlogic.operators import OPERATORS as PLAIN
from payaid_entitlements.core.flags.nodes import (
    Broken,
    Call,
    Const,
    InSegment,
    Node,
)
from payaid_entitlements.core.flags.operators import OPERATORS as CONDITIONS
from payaid_entitlements.core.flags.operators import predicate
from payaid_entitlements.core.flags.walking import LOOPS, walk

Step: TypeAlias = Callable[[FlagContext], object]
Compiled: TypeAlias = Callable[[FlagContext], FlagValue]


def compile(  # noqa: A001 - always read as compiling.compile
    node: Node,
    *,
    segments: Mapping[str, Callable[[FlagContext], FlagValue]],
    key: str = "",
    element: bool = False,
) -> Compiled:
    """
    Make a closure of *node*.

    A part that is broken breaks the whole: it then fails for everybody, and not for some only.

    Args:
        segments: Says of each segment whether a context is in it.
        key: Of the flag, which rules read as ``$flagd.flagKey``.
        element: The attributes of the context may be any JSON value, as an element of a list may, and nothing is
            known besides them. For rules outside of flags.

    Raises:
        RuleInvalid: The rule is beyond the bounds of `walking`.
    """
    for part in walk(node):
        problem = _problem(part, segments)
        if problem:
            return _failing(problem)
    folded = fold(node)
    step = Closures(segments, key, element).step(folded)
    return cast("Compiled", step) if isinstance(folded, Const) else _guarded(step)


def _problem(node: Node, segments: Mapping[str, object]) -> str:
    """Why *node* itself cannot be evaluated; empty where it can."""
    match node:
        case Broken(message):
            return message
        case InSegment(segment) if segment not in segments:
            return f"it names the segment {segment!r}, which does not exist"
        case Call(operator, operands) if operator in CONDITIONS:
            match operands:
                case (_, Const(value)):
                    try:
                        predicate(operator, value)
                    except RuleInvalid as error:
                        return str(error)
                case _:
                    return f"{operator!r} needs an attribute and a value that is written there"
        case Call(operator) if operator not in PLAIN and operator not in _SPECIAL:
            return f"there is no operator {operator!r}"
    return ""


_SPECIAL = frozenset({"and", "or", "missing", "missing_some", *LOOPS})


def _failing(message: str) -> Compiled:
    def fail(_: FlagContext) -> FlagValue:
        raise EvaluationFailed(FlagError.PARSE_ERROR, message)

    return fail


def _guarded(step: Step) -> Compiled:
    def evaluate(context: FlagContext) -> FlagValue:
        try:
            return step(context)  # type: ignore[return-value] # of JSON data rules make JSON data
        except EvaluationFailed:
            raise
        except Exception as error:
            # The operators are total on JSON data. What the host puts into a context may be anything, and the
            # caller's stack may be nearly full. The text of the error is left out: it may say who was asked about.
            raise EvaluationFailed(FlagError.GENERAL, f"the context cannot be read: {type(error).__name__}") from error

    return evaluate
