"""Which flags a change may move somebody in: those it defines otherwise, and those that look at what it changes."""

from __future__ import annotations

from collections.abc import Mapping

from payaid_entitlements.core.flags.conditions import named_segments
from payaid_entitlements.core.flags.dealing import is_at_rest
from payaid_entitlements.core.flags.model import Condition, Flag
from payaid_entitlements.core.flags.touching import same, same_flag


def moving(
    before: Mapping[str, Flag],
    after: Mapping[str, Flag],
    segments_before: Mapping[str, Condition],
    segments_after: Mapping[str, Condition],
) -> list[str]:
    """
    Name the flags whose answers may be others, in the order of their keys: not those that are off before and after.

    A flag that names a segment is among them when that, or one that it names, is another one; so is a flag that needs
    one of them.
    """
    names = {*segments_before, *segments_after}
    changed = {name for name in names if not same(segments_before.get(name), segments_after.get(name))}
    all_segments = (segments_before, segments_after)
    while more := {
        name
        for segments in all_segments
        for name, condition in segments.items()
        if name not in changed and not changed.isdisjoint(named_segments(condition))
    }:
        changed |= more
    found = {key for key in {*before, *after} if not same_flag(before.get(key), after.get(key))}
    while more := {
        key
        for key, flag in after.items()
        if key not in found and (_names(flag, changed) or not found.isdisjoint(each.flag for each in flag.needs))
    }:
        found |= more
    return sorted(key for key in found if not (_is_off(before.get(key)) and _is_off(after.get(key))))


def _names(flag: Flag, segments: set[str]) -> bool:
    return any(rule.when is not None and not segments.isdisjoint(named_segments(rule.when)) for rule in flag.rules)


def _is_off(flag: Flag | None) -> bool:
    return flag is None or is_at_rest(flag)
