"""
Versions, compared as Semantic Versioning 2.0.0 section 11 does; read as leniently as flagd's ``sem_ver``.

A leading ``v`` is nothing, ``1`` and ``1.2`` are ``1.0.0`` and ``1.2.0``, numbers are read as they are written,
and build metadata is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from re import compile as pattern
from typing import Final, TypeAlias

#: The numbers; then whether it is a release, which is after all of its pre-releases; then the parts of the
#: pre-release, of which numbers come before words.
Version: TypeAlias = tuple[tuple[int, int, int], bool, tuple[tuple[bool, int, str], ...]]

_LONGEST: Final = 256
_NUMBER: Final = r"(?:0|[1-9][0-9]*)"
_PART: Final = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
# One way to read each text, so that there is nothing to go back to.
_FORM: Final = pattern(
    rf"[vV]?({_NUMBER})(?:\.({_NUMBER}))?(?:\.({_NUMBER}))?(?:-({_PART}(?:\.{_PART})*))?(?:\+[0-9A-Za-z.-]+)?"
)


def version(value: object) -> Version | None:
    """Read a text or a number; None where that is no version, or longer than 256 characters."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, int) and abs(value) >= 1 << 64:
        return None
    written = value if isinstance(value, str) else str(value)
    return None if len(written) > _LONGEST else _read(written)


# The versions of a host's clients are few, and each is asked about again and again.
@lru_cache(maxsize=1_024)
def _read(written: str) -> Version | None:
    found = _FORM.fullmatch(written)
    if found is None:
        return None
    major, minor, patch, before = found.groups()
    parts = () if before is None else tuple(_part(part) for part in before.split("."))
    return (int(major), int(minor or 0), int(patch or 0)), before is None, parts


def _part(written: str) -> tuple[bool, int, str]:
    return (False, int(written), "") if written.isdigit() else (True, 0, written)


#: What ``sem_ver`` may ask, in flagd's signs. ``^`` is the same major version, ``~`` the same minor one too.
COMPARISONS: Final[Mapping[str, Callable[[Version, Version], bool]]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "^": lambda a, b: a[0][0] == b[0][0],
    "~": lambda a, b: a[0][:2] == b[0][:2],
}


def sem_ver(*operands: object) -> bool | None:
    """Compare two versions as flagd does; None, never false, where one is none or the sign is unknown."""
    if len(operands) != 3:
        return None
    one, sign, other = operands
    compare = COMPARISONS.get(sign) if isinstance(sign, str) else None
    left, right = version(one), version(other)
    if compare is None or left is None or right is None:
        return None
    return compare(left, right)
