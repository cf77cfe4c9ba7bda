"""Which flags answer otherwise than before: for those who keep answers, or show them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from payaid_entitlements.core.flags.model import All, AnyOf, Condition, Not, Segment
from payaid_entitlements.core.flags.snapshot import FlagSnapshot


def differing(before: FlagSnapshot, now: FlagSnapshot) -> list[str]:
    """
    Name the flags that may answer otherwise, sorted.

    Those that came, went, are defined, killed or rolled out otherwise; that ask for a segment of which this is so; and
    all whose prerequisites are among them.
    """
    keys = before.flags.keys() | now.flags.keys()
    names = before.segments.keys() | now.segments.keys()
    moved = {name for name in names if before.segments.get(name) != now.segments.get(name)}
    # A segment may be in another one.
    while more := {name for name, each in now.segments.items() if name not in moved and _asks((each,), moved)}:
        moved |= more
    found = {key for key in keys if _said(before, key) != _said(now, key)}
    found |= {key for key, flag in now.flags.items() if _asks((rule.when for rule in flag.flag.rules), moved)}
    while more := {
        key
        for key, flag in now.flags.items()
        if key not in found and any(needs.flag in found for needs in flag.flag.needs)
    }:
        found |= more
    return sorted(found)


def _said(snapshot: FlagSnapshot, key: str) -> object:
    flag = snapshot.flags.get(key)
    if flag is None:
        return None
    # A flag that was killed is defined as before, and is off for everybody.
    return flag.flag, snapshot.progress.get(key), key in snapshot.killed


def _asks(conditions: Iterable[Condition | None], names: Collection[str]) -> bool:
    """Does one of *conditions* ask for one of the segments *names*?"""
    for condition in conditions:
        match condition:
            case Segment(name) if name in names:
                return True
            case All(inner) | AnyOf(inner) if _asks(inner, names):
                return True
            case Not(inner) if _asks((inner,), names):
                return True
    return False
