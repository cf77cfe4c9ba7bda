"""
Closures for what rules say most: an attribute against a constant. They answer as the general operators do, sooner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import ge, gt, le, lt
from typing import Final, TypeAlias

from payaid_entitlements.core.flags.coercion import equal
from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.details import FlagValue
from payaid_entitlements.core.flags.jsonlogic.operators import OPERATORS
from payaid_entitlements.core.flags.versions import COMPARISONS, version

Step: TypeAlias = Callable[[FlagContext], object]

_ORDERS: Final[Mapping[str, Callable[[float, float], bool]]] = {"<": lt, "<=": le, ">": gt, ">=": ge}


def together(steps: Sequence[Step], *, stop: bool) -> Step:
    """All of *steps*, or with *stop* one of them; each gives true or false and nothing else."""
    if len(steps) == 2:
        one, other = steps
        if stop:
            return lambda context: one(context) or other(context)
        return lambda context: one(context) and other(context)

    def decide(context: FlagContext) -> object:
        for step in steps:
            if step(context) is stop:
                return stop
        return not stop

    return decide


def compared(step: Step, wanted: str, *, equals: bool) -> Step:
    """``==`` with a text, or ``!=``."""

    def compare(context: FlagContext) -> bool:
        value = step(context)
        return (value == wanted if type(value) is str else equal(value, wanted)) is equals

    return compare


def ordered(step: Step, operator: str, bound: float) -> Step:
    """``< <= > >=`` with a number on the right."""
    plain, generic = _ORDERS[operator], OPERATORS[operator]

    def compare(context: FlagContext) -> object:
        value = step(context)
        return plain(value, bound) if type(value) is int or type(value) is float else generic(value, bound)

    return compare


def listed(step: Step, values: Sequence[FlagValue]) -> Step:
    """``in`` a list of literals: those that are texts are looked up."""
    texts = frozenset(value for value in values if isinstance(value, str))
    within = OPERATORS["json:in"]
    others = [value for value in values if not isinstance(value, str)]

    def listed(context: FlagContext) -> object:
        value = step(context)
        return value in texts if type(value) is str else within(value, others)

    return listed


def affixed(step: Step, has: Callable[[str, str], bool], wanted: str) -> Step:
    """Flagd's ``starts_with`` and ``ends_with`` with a text."""

    def ask(context: FlagContext) -> bool | None:
        value = step(context)
        return has(value, wanted) if isinstance(value, str) else None

    return ask


def versioned(step: Step, sign: str, wanted: FlagValue) -> Step:
    """``sem_ver`` with a sign and a version."""
    compare, bound = COMPARISONS[sign], version(wanted)
    if bound is None:
        return lambda _: None

    def compared(context: FlagContext) -> object:
        read = version(step(context))
        return None if read is None else compare(read, bound)

    return compared


def applied(apply: Callable[..., object], steps: Sequence[Step]) -> Step:
    """Any operator of which nothing is known beforehand."""
    if len(steps) == 1:
        (only,) = steps
        return lambda context: apply(only(context))
    if len(steps) == 2:
        one, other = steps
        return lambda context: apply(one(context), other(context))
    return lambda context: apply(*[step(context) for step in steps])
