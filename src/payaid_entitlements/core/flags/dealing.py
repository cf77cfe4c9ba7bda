"""
What decides who is in, besides the share: whose id is hashed, with which salt, in which part of a group.

None of it changes under a key for whom somebody may be in: all would be dealt anew, some in and some out, unseen. What
was removed while somebody was in is remembered (`FlagSet.removed`, `Published.dropped`), so that removing is no way
around this.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from payaid_entitlements.core.flags.details import FlagValue
from payaid_entitlements.core.flags.model import Flag, FlagSet, Rule, Share
from payaid_entitlements.core.flags.shares import percent
from payaid_entitlements.core.flags.turning import fixed_at
from payaid_entitlements.errors import ConfigurationError

_LIVE: Final = "while it is live"
_REMOVED: Final = "for it was live when it was removed"


def is_at_rest(flag: Flag) -> bool:
    """
    Tell whether nobody is in, at any time, by the definition alone: it is off for everybody.

    So is one that is not enabled, one of whose rules no share is above 0 %, and one whose off variant everybody gets.
    Kill switches are not asked: they are lifted without a look at the definition. Nor is where a guarded rollout
    stands: it may begin anew.
    """
    if not flag.enabled:
        return True
    if flag.targeting is not None:
        return flag.off is not None and fixed_at(flag) == flag.off
    for rule in flag.rules:
        if rule.serve == flag.off:
            if rule.when is None and rule.rollout is None:
                return True
        elif not _lets_nobody_in(rule):
            return False
    return flag.default == flag.off


def require_same_buckets(before: Flag, after: Flag, *, is_removed: bool = False) -> None:
    """
    Refuse what would deal everybody anew while the flag is live. One that is broken has dealt nobody anything.

    The salt, and whose id is hashed, belong to the key for as long as there is such a flag. Its part of an exclusion
    group and its holdout may change while it `is_at_rest`.

    Args:
        is_removed: *before* was live when it was removed, and comes back as *after*.

    Raises:
        ConfigurationError: One of these is another one. The message says the way out.
    """
    why = _REMOVED if is_removed else _LIVE
    for name in () if before.broken else ("salt", "bucket_by", "fallback"):
        was, is_ = getattr(before, name), getattr(after, name)
        if was != is_:
            raise _dealt_anew(before.key, name, repr(was), repr(is_), why)
    for name in () if before.broken or is_at_rest(before) else ("exclusion", "holdout"):
        was, is_ = getattr(before, name), getattr(after, name)
        if was != is_:
            raise _dealt_anew(before.key, name, _part(was), _part(is_), why)
    dealt, deals = _dealt_by(before.targeting), _dealt_by(after.targeting)
    if not dealt or not deals:
        return
    if before.scheme != after.scheme:
        raise _dealt_anew(before.key, "scheme", repr(before.scheme), repr(after.scheme), why)
    gone, new = sorted(dealt - deals), sorted(deals - dealt)
    if gone and new:
        raise _dealt_anew(before.key, "targeting, by what it deals,", repr(gone[0]), repr(new[0]), why)


def remembering(
    before: Mapping[str, Flag], after: Mapping[str, Flag], wanted: FlagSet, dropped: Mapping[str, Flag]
) -> FlagSet:
    """
    Check all flags of a change by `require_same_buckets`, and remember in *wanted* what it removes while it is live.

    Args:
        before, after: What counts, by key.
        dropped: What catalogs let go while it was live.

    Raises:
        ConfigurationError: A flag would deal everybody anew, or one that was removed while it was live comes back so.
    """
    gone = {**dropped, **wanted.removed}
    for key in before.keys() & after.keys():
        if before[key] is not after[key]:
            require_same_buckets(before[key], after[key])
    for key in gone.keys() & after.keys() - before.keys():
        require_same_buckets(gone[key], after[key], is_removed=True)
    removed = {key: flag for key, flag in wanted.removed.items() if key not in after}
    for key in before.keys() - after.keys():
        if not before[key].broken and not is_at_rest(before[key]):
            removed[key] = before[key]
    return replace(wanted, removed=removed)


def _lets_nobody_in(rule: Rule) -> bool:
    return rule.rollout is not None and not any(share for _, share in rule.rollout.steps)


def _dealt_anew(key: str, name: str, was: str, is_: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"the {name} of flag {key!r} cannot change from {was} to {is_} {why}: everybody would be dealt anew, in and "
        "out; define another flag and retire this one, or, once this one is at 0 % or not enabled, remove it and "
        "define it anew"
    )


def _part(share: Share | None) -> str:
    return "none" if share is None else f"{percent(share.start)} to {percent(share.end)} of {share.group!r}"


def _dealt_by(targeting: FlagValue) -> set[str]:
    """What each ``fractional`` of flagd's hashes, as JSON; empty for the flag's key and the id."""
    found: set[str] = set()
    waiting: list[object] = [targeting]
    while waiting:
        match waiting.pop():
            case {"fractional": [first, *_] as arms}:
                found.add("" if isinstance(first, list) else json.dumps(first, sort_keys=True))
                waiting.extend(arms)
            case dict() as other:
                waiting.extend(other.values())
            case list() as parts:
                waiting.extend(parts)
    return found
