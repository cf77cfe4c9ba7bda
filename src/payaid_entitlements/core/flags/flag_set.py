"""
The flag set as the one text that is stored: canonical, so that equal sets are equal texts.

What is in it is read one by one: what cannot be read is kept as it is, and the rest is read all the same. A newer
release may have written it, and a flag that fails must not take the others with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from payaid_entitlements.core.flags.model import Flag, FlagSet, Thing, Unread
from payaid_entitlements.core.flags.slices import members, read
from payaid_entitlements.core.flags.storing import (
    decode_condition,
    decode_flag,
    decode_progress,
    encode_condition,
    encode_flag,
    encode_progress,
)

_T = TypeVar("_T")
#: What reading raises where something else is written.
_OTHER: Final = (LookupError, TypeError, ValueError, RecursionError)
_MAYBE: Final = "damaged, or of a newer release"
#: What is to be done where a flag set cannot be read at all.
WAY_OUT: Final = (
    "put a backup back, or run `payaid flag import FILE --replace` with all flags that are to differ from the catalog; "
    "kill switches work meanwhile"
)


def to_json(flag_set: FlagSet) -> str:
    """Write *flag_set*; keys are sorted, and there are no spaces. What could not be read is written as it was."""
    if flag_set.damage is not None:
        # It may be no JSON at all, and a backup has to carry it.
        return _object({"damage": _json(flag_set.damage.text), "revision": str(flag_set.revision), "schema": "1"})
    written: dict[str, dict[str, str]] = {
        "flag": {key: _json(None if flag is None else encode_flag(flag)) for key, flag in flag_set.flags.items()},
        "segment": {name: _json(encode_condition(each)) for name, each in flag_set.segments.items()},
        "progress": {key: _json(encode_progress(each)) for key, each in flag_set.progress.items()},
        "removed": {key: _json(encode_flag(flag)) for key, flag in flag_set.removed.items()},
    }
    for (kind, name), unread in flag_set.unread.items():
        written[kind][name] = unread.text
    return _object(
        {
            "flags": _object(written["flag"]),
            "progress": _object(written["progress"]),
            "revision": str(flag_set.revision),
            "schema": "1",
            "segments": _object(written["segment"]),
            # Only where there is one: what was stored by releases that did not remember is the same text.
            **({"removed": _object(written["removed"])} if written["removed"] else {}),
        }
    )


def from_json(text: str | bytes, revision: int | None = None) -> FlagSet:
    """
    Read what `to_json` wrote. It never fails: what cannot be read is in `FlagSet.unread`, or, where that is all of it,
    in `FlagSet.damage`.

    Args:
        revision: As the store knows it; None where only *text* says it.
    """
    if isinstance(text, bytes):
        content = text
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return _damaged(content.decode(errors="backslashreplace"), revision or 0)
    try:
        return _whole(text, revision)  # fast, and nearly always right
    except _OTHER:
        pass
    try:
        return _part_by_part(members(text), revision)
    except _OTHER:
        return _damaged(text, revision or 0)


def _whole(text: str, revision: int | None) -> FlagSet:
    match read(text):
        case {
            "schema": 1,
            "revision": int(said),
            "flags": dict(flags),
            "segments": dict(segments),
            "progress": dict(progress),
            **others,
        } if not isinstance(said, bool) and isinstance(removed := others.get("removed", {}), dict):
            return FlagSet(
                said if revision is None else revision,
                {key: _flag(key, each) for key, each in flags.items()},
                {name: decode_condition(each) for name, each in segments.items()},
                {key: decode_progress(each) for key, each in progress.items()},
                {key: _removed(key, each) for key, each in removed.items()},
            )
    raise ValueError("it is no flag set")


def _part_by_part(parts: Mapping[str, str], revision: int | None) -> FlagSet:
    schema, said = read(parts["schema"]), read(parts["revision"])
    if schema != 1 or type(said) is not int:
        raise ValueError("it is no flag set of this release")
    at = said if revision is None else revision
    if "damage" in parts:
        return _damaged(str(read(parts["damage"])), at)
    unread: dict[Thing, Unread] = {}
    return FlagSet(
        at,
        _each("flag", parts["flags"], _flag, unread),
        _each("segment", parts["segments"], lambda _, data: decode_condition(data), unread),
        _each("progress", parts["progress"], lambda _, data: decode_progress(data), unread),
        _each("removed", parts.get("removed", "{}"), _removed, unread),
        unread,
    )


def _damaged(text: str, revision: int) -> FlagSet:
    return FlagSet(revision, damage=Unread(text, f"it reads {text[:60]!r}: {_MAYBE}"))


def _each(kind: str, text: str, decode: Callable[[str, object], _T], unread: dict[Thing, Unread]) -> dict[str, _T]:
    found: dict[str, _T] = {}
    for name, part in members(text).items():
        try:
            found[name] = decode(name, read(part))
        except _OTHER as error:
            unread[kind, name] = Unread(part, f"{error}: {_MAYBE}")
    return found


def _flag(key: str, data: object) -> Flag | None:
    return None if data is None else _removed(key, data)


def _removed(key: str, data: object) -> Flag:
    flag = decode_flag(data)
    if flag.key != key:
        raise ValueError(f"the flag {flag.key[:80]!r} stands under {key[:80]!r}")
    return flag


def _json(data: object) -> str:
    return json.dumps(data, allow_nan=False, separators=(",", ":"), sort_keys=True)


def _object(texts: Mapping[str, str]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{texts[name]}" for name in sorted(texts)) + "}"
