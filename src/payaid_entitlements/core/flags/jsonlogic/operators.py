"""
The operators of JsonLogic and flagd that only look at their operands.

A missing operand is what JavaScript makes of ``undefined``: a comparison with it is false, and arithmetic with it is
NaN. Dividing by zero is infinite or NaN. flagd's operators say None, never false, to what they cannot read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import fmod, inf, isfinite, nan
from typing import Final, TypeAlias, TypeGuard

from payaid_entitlements.core.flags.coercion import (
    Number,
    at_most,
    bounded,
    equal,
    fitting,
    less,
    number,
    same,
    text,
    truthy,
)
from payaid_entitlements.core.flags.details import FlagError
from payaid_entitlements.core.flags.failing import EvaluationFailed
from payaid_entitlements.core.flags.versions import sem_ver

Operator: TypeAlias = Callable[..., object]

#: How many elements a list may have that is put together.
MOST_ITEMS: Final = 10_000


def strict_equality(one: object = None, other: object = None, *_: object) -> bool:
    """Compare as ``===`` does; what is missing is null."""
    return same(one, other)


def equality(one: object = None, other: object = None, *_: object) -> bool:
    """Compare as ``==`` does; what is missing is null."""
    return equal(one, other)


def _ordered(order: Callable[[object, object], bool], operands: tuple[object, ...]) -> bool:
    if len(operands) == 2:
        return order(operands[0], operands[1])
    # With three operands, the second is between the others.
    return len(operands) > 2 and order(operands[0], operands[1]) and order(operands[1], operands[2])


def _ascending(*operands: object) -> bool:
    return _ordered(less, operands)


def _ascending_or_equal(*operands: object) -> bool:
    return _ordered(at_most, operands)


def _descending(*operands: object) -> bool:
    return _ordered(lambda one, other: less(other, one), operands)


def _descending_or_equal(*operands: object) -> bool:
    return _ordered(lambda one, other: at_most(other, one), operands)


def _sum(*operands: object) -> Number:
    made: Number = 0
    for operand in operands:
        made = bounded(made + number(operand))
    return made


def _product(*operands: object) -> Number:
    made: Number = 1
    for operand in operands:
        made = bounded(made * number(operand))
    return made


def _difference(*operands: object) -> Number:
    match operands:
        case ():
            return nan
        case (one,):
            return -number(one)
    return bounded(number(operands[0]) - number(operands[1]))


def _quotient(*operands: object) -> Number:
    if len(operands) < 2:
        return nan
    one, other = number(operands[0]), number(operands[1])
    if other == 0:
        return nan if one == 0 or one != one else inf if one > 0 else -inf  # noqa: PLR0124 - NaN is not itself
    return one / other


def _remainder(*operands: object) -> Number:
    """What is left has the sign of the dividend."""
    if len(operands) < 2:
        return nan
    one, other = number(operands[0]), number(operands[1])
    if other == 0 or not isfinite(one):
        return nan
    if isinstance(one, int) and isinstance(other, int):
        left = abs(one) % abs(other)
        return -left if one < 0 else left
    return fmod(one, other)


def _extreme(choose: Callable[[list[Number]], Number], operands: tuple[object, ...]) -> Number | None:
    if not operands:
        return None
    numbers = [number(operand) for operand in operands]
    return nan if any(item != item for item in numbers) else choose(numbers)  # noqa: PLR0124 - NaN is not itself


def _least(*operands: object) -> Number | None:
    return _extreme(min, operands)


def _greatest(*operands: object) -> Number | None:
    return _extreme(max, operands)


def _merge(*operands: object) -> list[object]:
    made: list[object] = []
    for operand in operands:
        if isinstance(operand, list | tuple):
            made.extend(operand)
        else:
            made.append(operand)
        if len(made) > MOST_ITEMS:
            raise EvaluationFailed(FlagError.GENERAL, f"a list of more than {MOST_ITEMS} elements was put together")
    return made


def _cat(*operands: object) -> str:
    """Null is nothing, as in flagd's daemon and in JavaScript; some Python packages write it out."""
    return fitting("".join(["" if operand is None else text(operand) for operand in operands]))


def _within(needle: object = None, haystack: object = None, *_: object) -> bool:
    if isinstance(haystack, list | tuple):
        return any(same(needle, item) for item in haystack)
    return isinstance(haystack, str) and text(needle) in haystack


def _substring(source: object = None, start: object = None, length: object = None, *_: object) -> str:
    """A negative start counts from the end; a negative length leaves off so many characters at the end."""
    written = text(source)
    first = _whole(start, len(written))
    rest = written[first:] if first >= 0 else written[max(0, len(written) + first) :]
    return rest if length is None else rest[: _whole(length, len(written))]


def _whole(value: object, most: int) -> int:
    read = number(value)
    # Beyond the length of the text all numbers are the same, and infinity is no index.
    return 0 if read != read else int(max(-most, min(most, read)))  # noqa: PLR0124 - NaN is not itself


def _negation(value: object = None, *_: object) -> bool:
    return not truthy(value)


def _truth(value: object = None, *_: object) -> bool:
    return truthy(value)


def _prefix(*operands: object) -> bool | None:
    match operands:
        case (str(written), str(wanted)):
            return written.startswith(wanted)
    return None


def _suffix(*operands: object) -> bool | None:
    match operands:
        case (str(written), str(wanted)):
            return written.endswith(wanted)
    return None


def _array(*operands: object) -> list[object]:
    return list(operands)


def _arm(made: object = None, *_: object) -> object:
    """What comes out of an arm of ``fractional`` that a rule makes: a list of it and, where it is not 1, its weight."""
    return made[0] if _is_arm(made) else None


def _weight(made: object = None, *_: object) -> object:
    """The weight of such an arm; None where it is no arm, which is no weight."""
    if not _is_arm(made):
        return None
    return made[1] if len(made) == 2 else 1


def _is_arm(made: object) -> TypeGuard[Sequence[object]]:
    return isinstance(made, list | tuple) and 1 <= len(made) <= 2


#: By their names in nodes.
OPERATORS: Final[Mapping[str, Operator]] = {
    "==": equality,
    "===": strict_equality,
    "!=": lambda *operands: not equality(*operands),
    "!==": lambda *operands: not strict_equality(*operands),
    "<": _ascending,
    "<=": _ascending_or_equal,
    ">": _descending,
    ">=": _descending_or_equal,
    "!": _negation,
    "!!": _truth,
    "+": _sum,
    "-": _difference,
    "*": _product,
    "/": _quotient,
    "%": _remainder,
    "min": _least,
    "max": _greatest,
    "merge": _merge,
    "cat": _cat,
    "json:in": _within,
    "substr": _substring,
    "sem_ver": sem_ver,
    "flagd:starts_with": _prefix,
    "flagd:ends_with": _suffix,
    "array": _array,
    "arm": _arm,
    "weight": _weight,
}

#: Those that are true or false and nothing else, so that nobody needs to ask what their answer counts as.
CLAIMS: Final = frozenset({"==", "===", "!=", "!==", "<", "<=", ">", ">=", "!", "!!", "json:in"})
