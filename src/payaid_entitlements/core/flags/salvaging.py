"""What is left of a flag that is stored in a way that cannot be read: each part of it that can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from payaid_entitlements.core.flags.model import Flag, FlagType
from payaid_entitlements.core.flags.slices import members, read
from payaid_entitlements.core.flags.storing import decode_flag, encode_flag

#: What makes sense together only; everything else is read by itself.
_TOGETHER: Final = ("type", "variants", "default", "off")


def unread(key: str) -> Flag:
    """A flag of which nothing could be read but that it is there: a switch that is off."""
    return Flag(key, FlagType.BOOLEAN, {"on": True, "off": False}, "off", "off", salt=key)


def salvaged(key: str, text: str, before: Flag | None = None) -> Flag:
    """
    Read what can be read of the flag *key*.

    Where it is not surely known what it narrows, what the catalog's flag of that key narrows is added: a key that was
    narrowed stays refused.

    Args:
        text: As it is stored; JSON.
        before: The catalog's flag of that key.
    """
    said = _said(text)
    known = encode_flag(unread(key))
    names = [(name,) for name in known if name not in ("key", *_TOGETHER)]
    for group in (_TOGETHER, *names):
        tried = {**known, **{name: said[name] for name in group if name in said}}
        if _is_readable(tried):
            known = tried
    narrows = said.get("narrows")
    if known["narrows"] != narrows:
        keys = [each for each in narrows if isinstance(each, str)] if isinstance(narrows, list) else []
        known["narrows"] = [*dict.fromkeys([*keys, *(() if before is None else before.narrows)])]
    return decode_flag(known)


def _said(text: str) -> dict[str, object]:
    found: dict[str, object] = {}
    try:
        parts = members(text)
    except ValueError:
        return found  # a list, or a number
    for name, part in parts.items():
        try:
            found[name] = read(part)
        except (ValueError, RecursionError):
            continue
    return found


def _is_readable(data: Mapping[str, object]) -> bool:
    try:
        decode_flag(data)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
