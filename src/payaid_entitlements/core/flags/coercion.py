"""
What JavaScript makes of JSON values where it compares, adds and joins them: the rules that JsonLogic is written in.

ECMA-262: ToNumber 7.1.4, ToString 7.1.17, ToBoolean 7.1.2, IsLooselyEqual 7.2.13, IsLessThan 7.2.12, Number::toString
6.1.6.1.20. Not as there: texts are counted in characters, not in UTF-16 units; integers are exact to 64 bits; lists
that are nested too deeply, or are too long, are no texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from math import inf, isfinite, nan
from re import ASCII
from re import compile as pattern
from typing import Final, TypeAlias

from payaid_entitlements.core.flags.details import FlagError
from payaid_entitlements.core.flags.failing import EvaluationFailed

Number: TypeAlias = int | float

#: How deep a list may be nested that is read as a text or a number.
DEPTH: Final = 32

#: How many characters a text may have that is put together.
LONGEST: Final = 10_000

_EXACT: Final = 1 << 64
_LONGEST: Final = 1_000
_DECIMAL: Final = pattern(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", ASCII)
_OTHER_BASE: Final = pattern(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)", ASCII)
_INFINITE: Final = {"Infinity": inf, "+Infinity": inf, "-Infinity": -inf}


def truthy(value: object) -> bool:
    """Whether *value* counts as true. As JsonLogic wants it, and JavaScript does not, an empty list does not."""
    if value is True or value is False:
        return value
    if isinstance(value, float):
        return value == value and value != 0  # noqa: PLR0124 - NaN is not itself
    if value is None or isinstance(value, int | str | list | tuple):
        return bool(value)
    return True


def bounded(value: Number) -> Number:
    """Keep integers within 64 bits exact; greater ones become doubles, so that no number grows without end."""
    if isinstance(value, int) and not -_EXACT < value < _EXACT:
        try:
            return float(value)
        except OverflowError:
            return inf if value > 0 else -inf
    return value


def number(value: object) -> Number:
    """Read any value as a number; NaN where it is none."""
    for depth in range(DEPTH):
        if value is None:
            return 0
        if isinstance(value, bool):
            return nan if depth else int(value)
        if isinstance(value, int | float):
            return bounded(value)
        if isinstance(value, str):
            return _read(value.strip())
        if not isinstance(value, list | tuple) or len(value) > 1:
            return nan
        value = value[0] if value else None
    return nan


def _read(written: str) -> Number:
    if not written:
        return 0
    if len(written) > _LONGEST:
        return nan
    if _DECIMAL.fullmatch(written):
        return bounded(int(written)) if written.isdigit() else _whole(float(written))
    if _OTHER_BASE.fullmatch(written):
        return bounded(int(written, 0))
    return _INFINITE.get(written, nan)


def _whole(value: float) -> Number:
    return int(value) if isfinite(value) and value.is_integer() and abs(value) < _EXACT else value


def text(value: object, depth: int = 0) -> str:
    """Write any value as a text."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _written(bounded(value))
    if isinstance(value, list | tuple):
        if depth >= DEPTH:
            raise EvaluationFailed(FlagError.GENERAL, f"a list nested deeper than {DEPTH} cannot be read as a text")
        return fitting(",".join(["" if item is None else text(item, depth + 1) for item in value]))
    return "[object Object]"


def fitting(made: str) -> str:
    """
    Let a text that was put together pass, so that no rule can make one that grows without end.

    Raises:
        EvaluationFailed: It is longer than `LONGEST` characters.
    """
    if len(made) > LONGEST:
        raise EvaluationFailed(FlagError.GENERAL, f"a text of more than {LONGEST} characters was put together")
    return made


def _written(value: Number) -> str:
    if isinstance(value, int):
        return str(value)
    if not isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"  # noqa: PLR0124 - as above
    size = abs(value)
    if size == 0:
        return "0"
    if 1e-6 <= size < 1e21:
        plain = format(Decimal(repr(value)), "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    digits, _, power = f"{Decimal(repr(value)):e}".partition("e")
    return f"{digits.rstrip('0').rstrip('.') if '.' in digits else digits}e{int(power):+d}"


def same(one: object, other: object) -> bool:
    """Compare as ``===``: no kind is another, a bool is no number, and a list is equal to itself alone."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float):
        return isinstance(other, int | float) and one == other
    if isinstance(one, str):
        return isinstance(other, str) and one == other
    return one is other


def equal(one: object, other: object) -> bool:
    """Compare as ``==``: kinds are made alike first; null is equal to null alone."""
    if one is None or other is None:
        return one is other
    nested = isinstance(one, list | tuple | Mapping), isinstance(other, list | tuple | Mapping)
    if all(nested):
        return one is other
    if nested[0]:
        one = text(one)
    if nested[1]:
        other = text(other)
    if isinstance(one, str) and isinstance(other, str):
        return one == other
    return number(one) == number(other)


def less(one: object, other: object) -> bool:
    """Compare as ``<``: texts as texts, all else as numbers; false where one is none."""
    one, other = _primitive(one), _primitive(other)
    if isinstance(one, str) and isinstance(other, str):
        return one < other
    return number(one) < number(other)


def at_most(one: object, other: object) -> bool:
    """Compare as ``<=``; as `less`."""
    one, other = _primitive(one), _primitive(other)
    if isinstance(one, str) and isinstance(other, str):
        return one <= other
    return number(one) <= number(other)


def _primitive(value: object) -> object:
    return text(value) if isinstance(value, list | tuple | Mapping) else value
