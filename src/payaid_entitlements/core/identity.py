"""
Ids identify somebody, or they are refused.

``f"invoice:{invoice.id}"`` before a flush is ``invoice:None``; an anonymous user is ``"None"``;
a script's missing field is ``"undefined"``. Taken for ids, these would make one shared tenant of
all who have none, and one operation of all that follow. They raise ``TypeError`` instead.
"""

from __future__ import annotations

import json
from uuid import UUID

#: What callers may use as an operation's id; it must be the same when the call is repeated.
Operation = str | UUID | tuple[str | int | UUID, ...]

_NOBODY = frozenset({"", "none", "null", "undefined", "nan"})
_MAX_LENGTH = 255


def identify(name: str, value: object) -> str:
    """
    Return *value*, an id of what the argument *name* stands for.

    Ids are compared by their bytes: case, accents and blanks matter.

    Raises:
        TypeError: *value* is no string, or one that identifies nobody (empty, ``None``, ``null``,
            ``undefined``), is longer than 255 characters, has control characters or cannot be written as UTF-8.
    """
    if type(value) is not str:
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a str that identifies it, not {type(value).__name__} ({value!r})")
        value = str.__str__(value)
    if value.strip().lower() in _NOBODY:
        raise TypeError(f"{name}={value!r} identifies nobody; pass the id that your login has verified")
    if len(value) > _MAX_LENGTH:
        raise TypeError(f"{name} has {len(value)} characters; an id has at most {_MAX_LENGTH}")
    if not value.isprintable():
        raise TypeError(f"{name}={value!r} has characters that cannot be printed; ids are plain text")
    return value


def plain(name: str, value: object) -> str:
    """
    Return *value*, a key or a word for the argument *name*, as a plain text.

    Raises:
        TypeError: *value* is no string.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} is a str, not {type(value).__name__} ({value!r})")
    return str.__str__(value)


def operation_id(operation: object) -> str:
    """
    Write *operation* as one string, so that different operations never meet.

    A tuple is written as JSON with its types, hence ``("a", "b:c")`` and ``("a:b", "c")`` differ.

    Raises:
        TypeError: A part is None, a bool or a string that identifies nothing, also inside a longer
            string: ``invoice:None`` is what a missing flush looks like.
    """
    match operation:
        case str():
            text = identify("operation", operation)
            # It is parted only where there may be such a part: most have none.
            if "None" in text or "null" in text or "undefined" in text:
                _require_parts(text)
        case UUID():
            text = f"uuid:{operation}"
        case tuple() if operation:
            text = json.dumps([_operation_part(part) for part in operation], ensure_ascii=True, separators=(",", ":"))
        case _:
            raise TypeError(
                f"operation must be a str, a UUID or a tuple of them that is the same on each try, not {operation!r}"
            )
    if len(text) > _MAX_LENGTH:
        raise TypeError(f"operation has {len(text)} characters when written; at most {_MAX_LENGTH}")
    return text


_MISSING = ("None", "null", "undefined")


def _require_parts(operation: str) -> None:
    for part in operation.replace("/", ":").replace("-", ":").replace("_", ":").split(":"):
        if part.strip() in _MISSING:
            raise TypeError(
                f"operation={operation!r} has the part {part!r}: an id was missing when it was made; "
                "flush first, or pass a tuple such as ('invoice', invoice.id)"
            )


def _operation_part(part: object) -> object:
    match part:
        case bool() | None:
            raise TypeError(f"an operation has the part {part!r}; it must identify what is done")
        case int():
            return part
        case UUID():
            return {"uuid": str(part)}
        case str():
            return identify("operation part", part)
    raise TypeError(f"an operation is made of str, int and UUID, not {type(part).__name__}")


_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def crockford(number: int, length: int) -> str:
    """Write *number* in Crockford's base 32, *length* characters, the most significant first."""
    return "".join(_CROCKFORD[(number >> (5 * place)) & 31] for place in reversed(range(length)))


def uncrockford(text: str) -> int:
    """
    Read what `crockford` wrote, forgiving case, dashes, O for 0, I and L for 1.

    Raises:
        ValueError: Another character is in it.
    """
    number = 0
    for letter in text.upper().replace("-", "").translate(str.maketrans("OIL", "011")):
        number = (number << 5) | _CROCKFORD.index(letter)
    return number


def change_id(recorded: int, entropy: int) -> str:
    """Make the id of a change: sorts by *recorded* (microseconds), unique by 74 bits of *entropy*; 26 characters."""
    return crockford((recorded << 74 | entropy & ((1 << 74) - 1)) & ((1 << 130) - 1), 26)
