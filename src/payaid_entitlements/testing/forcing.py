"""Flags that a test forces: what comes out is said, and nothing else decides."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from payaid_entitlements.cache.renewing import renew_flags
from payaid_entitlements.cache.steps import Apply, ReadFlags
from payaid_entitlements.core.flags.model import Flag, FlagSet, FlagType
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.ports import Write

if TYPE_CHECKING:
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.cache.steps import Flow
    from payaid_entitlements.core.flags.details import FlagValue

#: Name of the variant that is made for a value which no variant has.
FORCED: Final = "forced"


def forced(flag: Flag | None, key: str, to: FlagValue) -> Flag:
    """
    The flag where *to* always comes out: the variant of that name, or that is worth it, or a new one.

    Raises:
        ConfigurationError: The flag has no such variant, and *to* is of another type than its own.
    """
    kind = _type_of(to)
    if flag is None:
        return Flag(key, kind, {FORCED: to}, FORCED, FORCED)
    variants, name = flag.variants, FORCED
    if isinstance(to, str) and to in variants:
        name = to
    elif (worth := [each for each, value in variants.items() if type(value) is type(to) and value == to]) != []:
        name = worth[0]
    elif kind is flag.type or (kind is FlagType.INTEGER and flag.type is FlagType.FLOAT):
        variants = {**variants, FORCED: to}
    else:
        known = ", ".join(variants)
        raise ConfigurationError(f"flag {key!r} is a {flag.type.value} with the variants {known}; {to!r} is none of it")
    return replace(
        flag,
        variants=variants,
        default=name,
        off=name,
        enabled=True,
        rules=(),
        needs=(),
        exclusion=None,
        holdout=None,
        targeting=None,
    )


def _type_of(to: FlagValue) -> FlagType:
    match to:
        case bool():
            return FlagType.BOOLEAN
        case str():
            return FlagType.STRING
        case int():
            return FlagType.INTEGER
        case float():
            return FlagType.FLOAT
        case _:
            return FlagType.OBJECT


def force(setting: Setting, key: str, to: FlagValue) -> Flow[tuple[bool, Flag | None]]:
    """
    Let *to* come out of the flag *key* for everybody.

    Returns:
        Whether the flag set had the key, and what under it: `put_back` takes both.
    """
    flags = yield from renew_flags(setting)
    compiled = flags.flags.get(key)
    flag = forced(None if compiled is None else compiled.flag, key, to)
    flag_set = cast("FlagSet", (yield ReadFlags()))
    was = key in flag_set.flags, flag_set.flags.get(key)
    yield from _write(setting, flag_set, {**flag_set.flags, key: flag})
    return was


def put_back(setting: Setting, key: str, was: tuple[bool, Flag | None]) -> Flow[None]:
    """Let the flag *key* be what it was."""
    flag_set = cast("FlagSet", (yield ReadFlags()))
    others = {other: flag for other, flag in flag_set.flags.items() if other != key}
    had, flag = was
    yield from _write(setting, flag_set, {**others, key: flag} if had else others)


def _write(setting: Setting, flag_set: FlagSet, flags: dict[str, Flag | None]) -> Flow[None]:
    now = setting.now()
    changed = replace(flag_set, revision=flag_set.revision + 1, flags=flags)
    write = Write(setting.new_id(now), "set_flag", now, flags=changed)
    yield Apply(write, flag_set.revision, "test", "test")
    yield from renew_flags(setting)
