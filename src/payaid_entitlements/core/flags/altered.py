"""What a change altered about flags, in words that people read: ``new-checkout rule rollout: 5% -> 25%``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, cast

from payaid_entitlements.core.altered import Altered
from payaid_entitlements.core.flags.model import (
    Condition,
    Flag,
    FlagSet,
    Needs,
    Progress,
    Rollout,
    Rule,
    Share,
    Stage,
    Unread,
)
from payaid_entitlements.core.flags.schedules import written_rollout
from payaid_entitlements.core.flags.shares import percent
from payaid_entitlements.core.flags.storing import encode_condition
from payaid_entitlements.core.flags.touching import same
from payaid_entitlements.core.flags.writing import ROLLOUT
from payaid_entitlements.core.instant import EARLIEST, Instant, moment

_NONE: Final = "none"


def altered_flags(
    before: Mapping[str, Flag], after: Mapping[str, Flag], was: FlagSet, becomes: FlagSet
) -> tuple[Altered, ...]:
    """Compare what counts before a change and after it: flags, then segments, then where rollouts stand."""
    lines: list[Altered] = []
    for key in sorted({*before, *after}):
        own = [*_flag(key, before.get(key), after.get(key))]
        is_left = key in was.flags and key not in becomes.flags
        if not own and is_left and was.progress.get(key) == becomes.progress.get(key):
            own = [Altered(f"flag {key}", "as it was changed", "as the catalog has it")]
        lines += own
    if (was.damage is None) != (becomes.damage is None):
        before_it, after_it = ("readable" if each.damage is None else "unreadable" for each in (was, becomes))
        lines.append(Altered("the flag set", before_it, after_it))
    unread = {name for kind, name in {*was.unread, *becomes.unread} if kind == "segment"}
    for name in sorted({*was.segments, *becomes.segments, *unread}):
        lines += _one(f"segment {name}", _segment(was, name), _segment(becomes, name), _segment_words)
    for key in sorted({*was.progress, *becomes.progress}):
        lines += _one(f"{key} guarded rollout", was.progress.get(key), becomes.progress.get(key), progress_words)
    return tuple(lines)


def _flag(key: str, before: Flag | None, after: Flag | None) -> Iterator[Altered]:
    if before is after:  # the one that was there: hundreds are, and are not compared field by field
        return
    if before is None or after is None:
        was, becomes = (_NONE if each is None else flag_words(each) for each in (before, after))
        yield Altered(f"flag {key}", was, becomes)
        return
    for name, words in _FIELDS.items():
        yield from _one(f"{key} {name.replace('_', ' ')}", getattr(before, name), getattr(after, name), words)
    old, new = ({rule.id: rule for rule in flag.rules} for flag in (before, after))
    for rule in {**old, **new}:
        yield from _rule(f"{key} rule {rule}", old.get(rule), new.get(rule))
    kept = [rule for rule in old if rule in new]
    order = [rule for rule in new if rule in old]
    if kept != order:
        yield Altered(f"{key} order of rules", ", ".join(kept), ", ".join(order))


def _segment(flag_set: FlagSet, name: str) -> Condition | Unread | None:
    return flag_set.unread.get(("segment", name)) or flag_set.segments.get(name)


def _segment_words(segment: Condition | Unread) -> str:
    return "unreadable" if isinstance(segment, Unread) else condition_words(segment)


def _rule(what: str, before: Rule | None, after: Rule | None) -> Iterator[Altered]:
    if before is None or after is None:
        yield from _one(what, before, after, rule_words)
        return
    yield from _one(f"{what} when", before.when, after.when, condition_words)
    yield from _one(f"{what} serves", before.serve, after.serve, _arms)
    # The rule that stands for the flag's own rollout is not named twice.
    yield from _one(
        f"{what.removesuffix(f' rule {ROLLOUT}')} rollout", before.rollout, after.rollout, rollout_words, missing="100%"
    )


def _one(
    what: str, before: object, after: object, words: Callable[..., str], *, missing: str = _NONE
) -> Iterator[Altered]:
    if not same(before, after):
        was, becomes = (missing if each in (None, (), "") else words(each) for each in (before, after))
        yield Altered(what, was, becomes)


def flag_words(flag: Flag) -> str:
    """A flag in one line: its variants, and what its rules say."""
    rules = "; ".join(rule_words(rule) for rule in flag.rules)
    says = rules or ("targeting of flagd" if flag.targeting is not None else "no rules")
    return f"{flag.type.value} {_json(flag.variants)}, {says}, else {flag.default or 'what the caller says'}"


def rule_words(rule: Rule) -> str:
    """A rule in one line: ``rollout: 25% get on``."""
    who = "" if rule.when is None else f" of {condition_words(rule.when)}"
    share = "all" if rule.rollout is None else rollout_words(rule.rollout)
    return f"{rule.id}: {share}{who} get {_arms(rule.serve)}"


def rollout_words(rollout: Rollout) -> str:
    """A rollout in one line: ``25%``, or ``5%, 25%, 100% from 2026-12-01T09:00:00Z, each for 1 day``."""
    written = written_rollout(rollout)
    if isinstance(written, str):
        return written
    data = cast("dict[str, Any]", written)
    if "schedule" in data:
        words = ", ".join(
            each["percent"] + (f" from {each['at']}" if "at" in each else "") for each in data["schedule"]
        )
    else:
        words = ", ".join(data.get("steps") or [data["percent"]])
    words += f" from {data['from']}" if "from" in data else ""
    words += f", each for {data['hold']}" if "hold" in data else ""
    waits = [f"{data['samples']} samples"] if "samples" in data else []
    waits += ["approval"] if "approval" in data else []
    words += f", after {' and '.join(waits)}" if waits else ""
    return words + (f", rolled back if {' or '.join(data['roll_back_if'])}" if "roll_back_if" in data else "")


def condition_words(condition: Condition) -> str:
    """A condition in one line, as it is stored."""
    return _json(encode_condition(condition))


def progress_words(progress: Progress) -> str:
    """Where a guarded rollout stands, in one line."""
    if progress.stage is Stage.PENDING:
        return "pending" + ("" if progress.since == EARLIEST else f", from {_time(progress.since)} on")
    because = f": {progress.because}" if progress.because else ""
    approved = ", approved" if progress.approved else ""
    return f"{progress.stage.value} at step {progress.step + 1} since {_time(progress.since)}{approved}{because}"


def _arms(serve: str | tuple[tuple[str, int], ...]) -> str:
    return serve if isinstance(serve, str) else ", ".join(f"{arm} {weight}" for arm, weight in serve)


def share_words(share: Share) -> str:
    """A part of a group in words."""
    return f"{percent(share.start)} to {percent(share.end)} of {share.group}"


def needs_words(needs: tuple[Needs, ...]) -> str:
    """Prerequisites in words."""
    return ", ".join(f"{each.flag} is {' or '.join(sorted(each.variants))}" for each in needs)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=dict)


def _time(at: Instant) -> str:
    return moment(at).isoformat(sep=" ", timespec="seconds")


#: How each field of a flag is written; its rules have lines of their own.
_FIELDS: Final[Mapping[str, Callable[..., str]]] = {
    "type": str,
    "variants": _json,
    "default": str,
    "off": str,
    "enabled": lambda is_enabled: "yes" if is_enabled else "no",
    "salt": str,
    "bucket_by": str,
    "fallback": str,
    "needs": needs_words,
    "exclusion": share_words,
    "holdout": share_words,
    "narrows": ", ".join,
    "owner": str,
    "remove_by": str,
    "title": str,
    "metadata": _json,
    "targeting": _json,
    "scheme": str,
    "broken": str,
}
