"""
What a change of the flag set touched, kept so that it can be taken back exactly.

Of each thing that was touched its state before is kept as JSON data, under what it is: ``flag``, ``segment``,
``progress`` or ``removed``, and its name. A flag that only the catalog spoke of is kept as ``"catalog"``: undoing
leaves it to the catalog again. A flag that was removed, and what was not there, is None. What could not be read is
``{"unread": text}``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from payaid_entitlements.core.flags.model import Flag, FlagSet, Thing
from payaid_entitlements.core.flags.rollouts.machine import taken_back
from payaid_entitlements.core.flags.slices import read
from payaid_entitlements.core.flags.storing import (
    decode_condition,
    decode_flag,
    decode_progress,
    encode_condition,
    encode_flag,
    encode_progress,
)
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.errors import ConfigurationError

_T = TypeVar("_T")
_CATALOG: Final = "catalog"


def same(one: object, other: object) -> bool:
    """Tell whether two values, with all that is in them, are one: 1, 1.0 and True are three, and equal to Python."""
    return one == other and _told_apart(one) == _told_apart(other)


def same_flag(one: Flag | None, other: Flag | None) -> bool:
    """Tell whether two flags are defined alike, to the sort of each number."""
    return one == other and (one is None or other is None or same(encode_flag(one), encode_flag(other)))


def touched(before: FlagSet, after: FlagSet) -> set[Thing]:
    """What is otherwise in *after* than in *before*: flags and segments. Where a rollout stands belongs to its flag."""
    flags = {key for key in {*before.flags, *after.flags} if not same(_flag(before, key), _flag(after, key))}
    flags |= {key for key in {*before.progress, *after.progress} if before.progress.get(key) != after.progress.get(key)}
    segments = {*before.segments, *after.segments}
    reread = {thing for thing in {*before.unread, *after.unread} if before.unread.get(thing) != after.unread.get(thing)}
    flags |= {name for kind, name in reread if kind != "segment"}
    segments |= {name for kind, name in reread if kind == "segment"}
    return {("flag", key) for key in flags} | {
        ("segment", name) for name in segments if not same(_segment(before, name), _segment(after, name))
    }


def kept(flag_set: FlagSet, things: Iterable[Thing]) -> dict[str, dict[str, object]]:
    """Write how *things* stand in *flag_set*, as JSON data that `back` takes."""
    said: dict[str, dict[str, object]] = {"flag": {}, "segment": {}, "progress": {}, "removed": {}}
    for kind, name in sorted(things):
        if kind == "flag":
            said["flag"][name] = _flag(flag_set, name)
            said["progress"][name] = _progress(flag_set, name)
            if name in flag_set.removed:
                said["removed"][name] = encode_flag(flag_set.removed[name])
            elif ("removed", name) in flag_set.unread:
                said["removed"][name] = _unread(flag_set, ("removed", name))
        else:
            said["segment"][name] = _segment(flag_set, name)
    return said


def things_of(said: Mapping[str, Mapping[str, object]]) -> set[Thing]:
    """Which things `kept` was given."""
    return {(kind, name) for kind in ("flag", "segment") for name in said[kind]}


def is_note(was: Mapping[str, Mapping[str, object]], becomes: Mapping[str, Mapping[str, object]]) -> bool:
    """
    Tell whether a change, as `kept` wrote it, does no more than say why a rollout holds, or since when its step lasts.

    Whoever takes back what he did takes back none of these: the next look would say the same again.
    """
    return _silent(was) == _silent(becomes)


def _silent(said: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    progress = {
        key: {**data, "because": "", "since": 0} if isinstance(data, dict) and "because" in data else data
        for key, data in said["progress"].items()
    }
    return {**said, "progress": progress}


def back(flag_set: FlagSet, said: Mapping[str, Mapping[str, object]], now: Instant) -> FlagSet:
    """
    Let everything that `kept` wrote be as it was then; the rest stays as it is. Of rollouts see `taken_back`.

    Raises:
        ConfigurationError: Something of it could not be read then, and cannot now.
    """
    flags = {key: flag for key, flag in flag_set.flags.items() if key not in said["flag"]}
    flags |= {
        key: None if data is None else _decoded(f"flag {key!r}", data, decode_flag)
        for key, data in said["flag"].items()
        if data != _CATALOG
    }
    segments = {name: each for name, each in flag_set.segments.items() if name not in said["segment"]}
    segments |= {
        name: _decoded(f"segment {name!r}", data, decode_condition)
        for name, data in said["segment"].items()
        if data is not None
    }
    progress = {key: each for key, each in flag_set.progress.items() if key not in said["progress"]}
    for key, data in said["progress"].items():
        was = None if data is None else _decoded(f"where the rollout of flag {key!r} stood", data, decode_progress)
        then = taken_back(was, flag_set.progress.get(key), now)
        if then is not None:
            progress[key] = then
    removed = {key: flag for key, flag in flag_set.removed.items() if key not in said["flag"]}
    removed |= {
        key: _decoded(f"how flag {key!r} was when it was removed", data, decode_flag)
        # Nothing was remembered by the release before.
        for key, data in said.get("removed", {}).items()
    }
    gone = {(kind, name) for kind in said for name in said[kind]} | {("removed", key) for key in said["flag"]}
    unread = flag_set.without(*gone)
    return replace(flag_set, flags=flags, segments=segments, progress=progress, removed=removed, unread=unread)


def _decoded(what: str, data: object, decode: Callable[[object], _T]) -> _T:
    match data:
        case {"unread": str(text)}:
            try:
                return decode(read(text))
            except (TypeError, ValueError, RecursionError) as error:
                raise ConfigurationError(
                    f"{what} could not be read before that change, so there is nothing to go back to: {error}"
                ) from error
    return decode(data)


def _unread(flag_set: FlagSet, thing: Thing) -> object:
    """What is kept of something that could not be read; None where it could."""
    unread = flag_set.unread.get(thing)
    return None if unread is None else {"unread": unread.text}


def _flag(flag_set: FlagSet, key: str) -> object:
    if key not in flag_set.flags:
        return _unread(flag_set, ("flag", key)) or _CATALOG
    flag = flag_set.flags[key]
    return None if flag is None else encode_flag(flag)


def _segment(flag_set: FlagSet, name: str) -> object:
    condition = flag_set.segments.get(name)
    return _unread(flag_set, ("segment", name)) if condition is None else encode_condition(condition)


def _progress(flag_set: FlagSet, key: str) -> object:
    progress = flag_set.progress.get(key)
    return _unread(flag_set, ("progress", key)) if progress is None else encode_progress(progress)


def _told_apart(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=repr)
