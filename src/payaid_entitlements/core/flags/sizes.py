"""
How much one flag, and all of them together, may say: each process reads the whole set after each change of it.

Bounded is what people define, and not what turns a flag: nobody must be kept from killing, undoing or rolling back.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Final

from payaid_entitlements.core.flags.flag_set import to_json
from payaid_entitlements.core.flags.model import Flag, FlagSet
from payaid_entitlements.core.flags.storing import encode_condition, encode_flag
from payaid_entitlements.core.written.problems import Problem
from payaid_entitlements.errors import FlagsInvalid

#: Of one flag or segment as it is stored: bytes of canonical JSON, 256 KiB.
MOST_FLAG: Final = 256 * 1024
#: Of the flag set as it is stored: bytes of canonical JSON, 4 MiB.
MOST_SET: Final = 4 * 1024 * 1024


def too_large(flags: Collection[Flag]) -> Iterator[Problem]:
    """Name the flags that say more than one may."""
    for flag in flags:
        yield from _of_one("flag", flag.key, encode_flag(flag))


def require_bounded(before: FlagSet, after: FlagSet) -> None:
    """
    Refuse what is defined too large.

    Raises:
        FlagsInvalid: A flag or segment that is new is above `MOST_FLAG`, or the set above `MOST_SET` and not smaller
            than it was. Each is named with its size and the bound.
    """
    problems = list(
        too_large([flag for key, flag in after.flags.items() if flag is not None and flag is not before.flags.get(key)])
    )
    for name, condition in after.segments.items():
        if condition is not before.segments.get(name):
            problems += _of_one("segment", name, encode_condition(condition))
    size = len(to_json(after))
    if not problems and size > MOST_SET and size > len(to_json(before)):
        message = f"all flags that were changed have {size:,} bytes of JSON together; at most {MOST_SET:,} are stored"
        changed = sorted(key for key, flag in after.flags.items() if flag is not before.flags.get(key))
        which = ", ".join(map(repr, changed[:5])) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        way_out = f"remove some that have done their work before you define {which}" if which else "remove some"
        problems.append(Problem("flags.too_large", f"{message}; {way_out}", "flags", "<flags>"))
    if problems:
        raise FlagsInvalid(problems)


def _of_one(kind: str, name: str, data: object) -> Iterator[Problem]:
    size = len(json.dumps(data, separators=(",", ":")))
    if size > MOST_FLAG:
        message = (
            f"{kind} {name!r} has {size:,} bytes of JSON; one may have {MOST_FLAG:,}. What is as long as this is data: "
            "keep it where your data are, and let a variant name it"
        )
        yield Problem(f"{kind}.too_large", message, f"{kind}s.{name}", "<flags>")
