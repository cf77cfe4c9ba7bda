"""
Plain data: what a document may hold, whatever it was written in.

Text, whole numbers, `Decimal`, true, false, nothing, lists, and mappings with text keys. As JSON,
a number with a point is written ``{"$decimal": "9.99"}``, because many JSON readers would make a
float of it; reading turns it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias, cast

if TYPE_CHECKING:
    from payaid_entitlements.core.written.problems import Findings, Path

Plain: TypeAlias = "bool | int | Decimal | str | list[Plain] | dict[str, Plain] | None"

#: How deep a document may be, and how many values it may have once aliases are written out.
DEPTH: Final = 64
NODES: Final = 100_000
#: Numbers have at most so many digits, before and after the point together.
DIGITS: Final = 30
_TOO_MUCH: Final[int] = 10**DIGITS

_DECIMAL: Final = "$decimal"


class _Refused(Exception):
    """A value was noted as a problem and is left out."""


class _Endless(Exception):
    """The document is larger or deeper than any catalog; the walk stops."""


def number(text: str) -> int | Decimal:
    """Read a number exactly; one that no `Decimal` can hold becomes an infinite one, refused later."""
    if len(text) <= DIGITS and text.lstrip("+-").isdecimal():
        return int(text)
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("Infinity")


def plain(data: object, findings: Findings) -> dict[str, Plain]:
    """
    Check and copy what a reader or a caller made, into plain data.

    What cannot be kept is noted in *findings* and left out, so that the rest can be checked too.
    """
    if data is None:
        findings.add("document.empty", "the catalog is empty; it needs at least `plans`", ())
        return {}
    if not isinstance(data, Mapping):
        findings.add("wrong.type", f"a catalog is a mapping of sections, not {described(data)}", ())
        return {}
    # `$schema` is how JSON files name the schema for editors; it says nothing about what is sold.
    content = {key: value for key, value in data.items() if key != "$schema"}
    try:
        return _Walk(findings).mapping(content, ())
    except _Endless:
        return {}


def described(value: object) -> str:
    """Say what *value* is, for people: ``the number 5``, ``a list``."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float() | Decimal():
            return f"the number {value}"
        case str():
            return f"the text {value if len(value) <= 60 else value[:60] + '...'!r}"
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
    return f"a Python {type(value).__name__}"


def is_short(value: int | Decimal) -> bool:
    """Has *value*, which is finite, no more than `DIGITS` digits?"""
    if isinstance(value, int):
        return abs(value) < _TOO_MUCH
    places = cast("int", value.as_tuple().exponent)
    return max(value.adjusted(), 0) - min(places, 0) < DIGITS


class _Walk:
    """One walk over a document, which counts what it has seen."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._seen = 0

    def mapping(self, data: Mapping[object, object], path: Path) -> dict[str, Plain]:
        kept: dict[str, Plain] = {}
        for key, value in data.items():
            try:
                name = self._key(key, path)
                kept[name] = self._value(value, (*path, name))
            except _Refused:
                continue
        return kept

    def _list(self, data: list[object] | tuple[object, ...], path: Path) -> list[Plain]:
        kept: list[Plain] = []
        for index, value in enumerate(data):
            try:
                kept.append(self._value(value, (*path, index)))
            except _Refused:
                continue
        return kept

    def _key(self, key: object, path: Path) -> str:
        if not isinstance(key, str):
            self._refuse("key.not_text", f"a key must be text, not {described(key)}; put it in quotes", path)
        return self._text(key, path)

    def _value(self, value: object, path: Path) -> Plain:
        self._seen += 1
        if self._seen > NODES:
            self._stop("document.too_large", f"the document has more than {NODES:,} values", path)
        if len(path) > DEPTH:
            self._stop("document.too_deep", f"the document is more than {DEPTH} levels deep", path)
        match value:
            case None | bool():
                return value
            case int() | Decimal():
                return self._number(value, path)
            case str():
                return self._text(value, path)
            case date():  # TOML has dates, YAML 1.2 and JSON write them as text
                return value.isoformat()
            case Mapping() if is_decimal(value):
                return self._number(number(value[_DECIMAL]), path)
            case Mapping():
                return self.mapping(value, path)
            case list() | tuple():
                return self._list(value, path)
            case float():
                message = f"{value} is a float, which is not exact; write Decimal('{value}')"
                self._refuse("number.float", message, path)
        self._refuse("wrong.type", f"{described(value)} cannot be part of a catalog", path)

    def _text(self, text: str, path: Path) -> str:
        # Databases keep neither NUL nor half of a surrogate pair, and the hash is over UTF-8.
        if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
            self._refuse("text.invalid", f"the text {text[:60]!a} holds a character that cannot be stored", path)
        return str.__str__(text)  # an enum member that is text becomes just its text

    def _number(self, value: int | Decimal, path: Path) -> int | Decimal:
        if isinstance(value, int):
            if not is_short(value):
                self._refuse("number.range", f"a number has at most {DIGITS} digits", path)
            return int(value)
        if not value.is_finite():
            self._refuse("number.not_finite", "infinite is written `unlimited`, and what is no number not at all", path)
        if not is_short(value):
            self._refuse("number.range", f"a number has at most {DIGITS} digits", path)
        # 999.00 and 999 are one price: equal content is written, and hashed, in one way.
        whole = int(value)
        return whole if whole == value else Decimal(format(value, "f").rstrip("0"))

    def _refuse(self, code: str, message: str, path: Path) -> NoReturn:
        self._findings.add(code, message, path)
        raise _Refused

    def _stop(self, code: str, message: str, path: Path) -> NoReturn:
        self._findings.add(code, message, path[:4])
        raise _Endless


def is_decimal(data: object) -> bool:
    """Tell whether *data* is how a number with a point is written as JSON."""
    return isinstance(data, Mapping) and len(data) == 1 and isinstance(data.get(_DECIMAL), str)


def as_json(data: Plain) -> object:
    """Write plain data as JSON data, without loss; `plain` reads it back."""
    match data:
        case Decimal():
            return {_DECIMAL: str(data)}
        case dict():
            return {key: as_json(value) for key, value in data.items()}
        case list():
            return [as_json(value) for value in data]
    return data
