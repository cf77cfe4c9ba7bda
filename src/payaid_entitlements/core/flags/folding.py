"""Working out beforehand what does not depend on the context."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from payaid_entitlements.core.flags.coercion import truthy
from payaid_entitlements.core.flags.details import FlagValue
from payaid_entitlements.core.flags.failing import EvaluationFailed
from payaid_entitlements.core.flags.jsonlogic.operators import OPERATORS
from payaid_entitlements.core.flags.jsonlogic.reading import split
from payaid_entitlements.core.flags.nodes import Call, Const, Distribute, If, Node, Var


def fold(node: Node) -> Node:
    """Put constants for all parts of *node* that are the same for everybody."""
    match node:
        case Var(path, default):
            given = None if default is None else fold(default)
            if isinstance(path, tuple):
                return Var(path, given)
            found = fold(path)
            return Var(split(found.value) if isinstance(found, Const) else found, given)
        case Call(operator, operands):
            return _call(operator, tuple(fold(operand) for operand in operands))
        case If(branches, otherwise):
            return _if(branches, otherwise)
        case Distribute(key=key, arms=arms):
            folded = tuple((fold(serve), weight if isinstance(weight, int) else fold(weight)) for serve, weight in arms)
            return replace(node, key=None if key is None else fold(key), arms=folded)
    return node


def _call(operator: str, operands: tuple[Node, ...]) -> Node:
    apply = OPERATORS.get(operator)
    values = [operand.value for operand in operands if isinstance(operand, Const)]
    if apply is None or len(values) < len(operands):
        return Call(operator, operands)
    try:
        return Const(cast("FlagValue", apply(*values)))
    except EvaluationFailed:
        # It fails when it is asked, as it would have.
        return Call(operator, operands)


def _if(branches: tuple[tuple[Node, Node], ...], otherwise: Node) -> Node:
    kept: list[tuple[Node, Node]] = []
    for condition, consequence in branches:
        known = fold(condition)
        if not isinstance(known, Const):
            kept.append((known, fold(consequence)))
        elif truthy(known.value):
            return If(tuple(kept), fold(consequence)) if kept else fold(consequence)
    return If(tuple(kept), fold(otherwise)) if kept else fold(otherwise)
