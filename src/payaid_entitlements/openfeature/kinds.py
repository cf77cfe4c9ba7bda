"""
Our own checks of types, before the SDK makes its own.

It takes a bool for an int, and no int for a float; awaited, it gives out what is of the wrong type (seen in 0.10.0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import cast

from openfeature.exception import TypeMismatchError
from openfeature.flag_evaluation import FlagValueType


class Kind(Enum):
    """What a question asks for."""

    BOOLEAN = "a boolean"
    STRING = "a string"
    INTEGER = "an integer"
    FLOAT = "a float"
    OBJECT = "an object"


def fitting(key: str, value: object, kind: Kind) -> FlagValueType:
    """
    Give *value* as *kind*: a whole number passes for a float, and nothing else for something that it is not.

    Objects and lists are copies, so that whoever changes one changes nobody else's.

    Raises:
        TypeMismatchError: It is of another kind.
    """
    match kind, value:
        case (Kind.BOOLEAN, bool() as given) | (Kind.STRING, str() as given):
            return given
        case (Kind.INTEGER | Kind.FLOAT, bool()):
            pass
        case (Kind.INTEGER, int()):
            return value
        case (Kind.FLOAT, int() | float()):
            return float(value)
        case (Kind.OBJECT, Mapping() | list() | tuple()):
            return cast("FlagValueType", _copied(value))
    raise TypeMismatchError(f"{key!r} is worth a {type(value).__name__}; {kind.value} was asked for")


def _copied(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _copied(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_copied(each) for each in value]
    return value
