"""JSON of which each part is kept as it is written, so that what cannot be read is written back unchanged."""

from __future__ import annotations

import json
import math
from typing import Final, NoReturn

#: Finds where a value ends, whatever its numbers are.
_SCANNER: Final = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)
_SPACE: Final = " \t\n\r"


def members(text: str) -> dict[str, str]:
    """
    The members of a JSON object by name, each as it is written; of those with one name the last, as `json.loads` does.

    Raises:
        ValueError: It is no object, or no JSON.
        RecursionError: It is too deep.
    """
    found: dict[str, str] = {}
    at = _after("{", text, 0)
    is_first = True
    while not (is_first and text[at : at + 1] == "}"):
        if text[at : at + 1] != '"':
            raise ValueError("the name of a member is no text")
        name, ends = _SCANNER.raw_decode(text, at)
        begins = _after(":", text, ends)
        _, ends = _SCANNER.raw_decode(text, begins)
        found[name] = text[begins:ends]
        at, is_first = _spaces(text, ends), False
        if text[at : at + 1] == "}":
            break
        at = _after(",", text, at)
    if _spaces(text, at + 1) != len(text):
        raise ValueError("something follows the object")
    return found


def read(text: str) -> object:
    """
    Read JSON strictly.

    Raises:
        ValueError: It is none, or has a number that is none or is beyond all bounds.
        RecursionError: It is too deep.
    """
    return json.loads(text, parse_constant=_refuse, parse_float=_finite)


def _after(mark: str, text: str, at: int) -> int:
    at = _spaces(text, at)
    if text[at : at + 1] != mark:
        raise ValueError(f"{mark!r} is missing")
    return _spaces(text, at + 1)


def _spaces(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _SPACE:
        at += 1
    return at


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:40]} is no number that can be held")
    return number


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")
