"""
One flag as the JSON data that is stored, exactly: every field is there, nothing is inferred, nothing is checked twice.

What people write is for `payaid_entitlements.core.flags.reading`; that form may change with a release, this one may not
without a new number of its schema (`payaid_entitlements.core.flags.flag_set`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Literal, TypeVar, cast

from payaid_entitlements.core.flags.details import FlagValue
from payaid_entitlements.core.flags.model import (
    All,
    AnyOf,
    Condition,
    Flag,
    FlagType,
    Guard,
    Metric,
    Needs,
    Not,
    Progress,
    Rollout,
    Rule,
    Segment,
    Share,
    Stage,
    Test,
)

_T = TypeVar("_T")


def encode_flag(flag: Flag) -> dict[str, object]:
    """Write *flag* as JSON data."""
    return {
        "key": flag.key,
        "type": flag.type.value,
        "variants": dict(flag.variants),
        "default": flag.default,
        "off": flag.off,
        "enabled": flag.enabled,
        "salt": flag.salt,
        "bucket_by": flag.bucket_by,
        "fallback": flag.fallback,
        "rules": [_encode_rule(rule) for rule in flag.rules],
        "needs": [[needs.flag, sorted(needs.variants)] for needs in flag.needs],
        "exclusion": _encode_share(flag.exclusion),
        "holdout": _encode_share(flag.holdout),
        "narrows": list(flag.narrows),
        "owner": flag.owner,
        "remove_by": None if flag.remove_by is None else flag.remove_by.isoformat(),
        "title": flag.title,
        "metadata": dict(flag.metadata),
        "targeting": flag.targeting,
        "scheme": flag.scheme,
    }


def decode_flag(data: object) -> Flag:
    """
    Read what `encode_flag` wrote.

    Raises:
        ValueError: It is something else.
    """
    match data:
        case {
            "key": str(key),
            "type": str(kind),
            "variants": dict(variants),
            "default": None | str() as default,
            "off": None | str() as off,
            "enabled": bool(enabled),
            "salt": str(salt),
            "bucket_by": str(bucket_by),
            "fallback": None | str() as fallback,
            "rules": list(rules),
            "needs": list(needs),
            "exclusion": exclusion,
            "holdout": holdout,
            "narrows": list(narrows),
            "owner": None | str() as owner,
            "remove_by": None | str() as remove_by,
            "title": str(title),
            "metadata": dict(metadata),
            "targeting": targeting,
            "scheme": "v2" | "v3" as scheme,
        } if _has(data, len(_FIELDS)):
            if not {default, off} <= {None, *variants}:
                raise ValueError(f"the flag {key[:80]!r} has a default or off variant that is none of its variants")
            return Flag(
                key=key,
                type=FlagType(kind),
                variants=variants,
                default=default,
                off=off,
                enabled=enabled,
                salt=salt,
                bucket_by=bucket_by,
                fallback=fallback,
                rules=tuple(_decode_rule(rule) for rule in rules),
                needs=tuple(_decode_needs(each) for each in needs),
                exclusion=_decode_share(exclusion),
                holdout=_decode_share(holdout),
                narrows=tuple(_text(each) for each in narrows),
                owner=owner,
                remove_by=None if remove_by is None else date.fromisoformat(remove_by),
                title=title,
                metadata=metadata,
                targeting=cast("FlagValue", targeting),
                scheme=cast('Literal["v2", "v3"]', scheme),
            )
    if isinstance(data, dict) and (other := data.keys() ^ _FIELDS):
        raise ValueError(f"a flag has other fields than this release knows: {', '.join(sorted(other))[:100]}")
    raise _unreadable("flag", data)


#: All but `Flag.broken`: what cannot be read is kept as it was written (`payaid_entitlements.core.flags.model.Unread`).
_FIELDS = frozenset(Flag.__dataclass_fields__) - {"broken"}


def encode_condition(condition: Condition) -> dict[str, object]:
    """Write *condition* as JSON data; the key of the only entry tells which sort it is."""
    match condition:
        case Test(attribute, operator, value):
            return {"test": [attribute, operator, value]}
        case All(conditions):
            return {"all": [encode_condition(each) for each in conditions]}
        case AnyOf(conditions):
            return {"any": [encode_condition(each) for each in conditions]}
        case Not(inner):
            return {"not": encode_condition(inner)}
        case Segment(name):  # pragma: no branch - the types leave nothing else
            return {"segment": name}


def decode_condition(data: object) -> Condition:
    """
    Read what `encode_condition` wrote.

    Raises:
        ValueError: It is something else.
    """
    match data:
        case {"test": [str(attribute), str(operator), value]}:
            return Test(attribute, operator, cast("FlagValue", value))
        case {"all": [_, *_] as conditions}:
            return All(tuple(decode_condition(each) for each in conditions))
        case {"any": [_, *_] as conditions}:
            return AnyOf(tuple(decode_condition(each) for each in conditions))
        case {"not": inner}:
            return Not(decode_condition(inner))
        case {"segment": str(name)}:
            return Segment(name)
    raise _unreadable("condition", data)


def encode_progress(progress: Progress) -> dict[str, object]:
    """Write where a rollout stands as JSON data."""
    return {
        "rule": progress.rule,
        "stage": progress.stage.value,
        "step": progress.step,
        "since": progress.since,
        "attempt": progress.attempt,
        "approved": progress.approved,
        "because": progress.because,
    }


def decode_progress(data: object) -> Progress:
    """
    Read what `encode_progress` wrote.

    Raises:
        ValueError: It is something else.
    """
    match data:
        case {
            "rule": str(rule),
            "stage": str(stage),
            "step": int(step),
            "since": int(since),
            "attempt": int(attempt),
            "approved": bool(approved),
            "because": str(because),
        } if _has(data, len(Progress.__dataclass_fields__)):
            return Progress(rule, Stage(stage), _whole(step), _whole(since), _whole(attempt), approved, because)
    raise _unreadable("progress", data)


def _encode_rule(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.id,
        "serve": rule.serve if isinstance(rule.serve, str) else [list(arm) for arm in rule.serve],
        "when": None if rule.when is None else encode_condition(rule.when),
        "rollout": None if rule.rollout is None else _encode_rollout(rule.rollout),
    }


def _decode_rule(data: object) -> Rule:
    match data:
        case {"id": str(name), "serve": str() | list() as serve, "when": when, "rollout": rollout} if _has(data, 4):
            return Rule(
                name,
                serve if isinstance(serve, str) else tuple(_decode_arm(arm) for arm in serve),
                _optional(when, decode_condition),
                _optional(rollout, _decode_rollout),
            )
    raise _unreadable("rule", data)


def _decode_arm(data: object) -> tuple[str, int]:
    match data:
        case [str(variant), int(weight)]:
            return variant, _whole(weight)
    raise _unreadable("arm", data)


def _encode_rollout(rollout: Rollout) -> dict[str, object]:
    guard = rollout.guard
    return {
        **({"hold": rollout.hold} if rollout.hold else {}),
        "steps": [list(step) for step in rollout.steps],
        "guard": None
        if guard is None
        else {
            "metrics": [[each.name, each.quantile, each.bound, each.against_control] for each in guard.metrics],
            "samples": guard.samples,
            "approval": guard.approval,
        },
    }


def _decode_rollout(data: object) -> Rollout:
    match data:
        case {"steps": [_, *_] as steps, "guard": guard, **rest} if rest.keys() <= {"hold"}:
            decoded = tuple(_decode_step(step) for step in steps)
            return Rollout(decoded, _optional(guard, _decode_guard), _whole(rest.get("hold", 0)))
    raise _unreadable("rollout", data)


def _decode_step(data: object) -> tuple[int, int]:
    match data:
        case [int(at), int(parts)]:
            return _whole(at), _whole(parts)
    raise _unreadable("step", data)


def _decode_guard(data: object) -> Guard:
    match data:
        case {"metrics": list(metrics), "samples": int(samples), "approval": bool(approval)} if _has(data, 3):
            return Guard(tuple(_decode_metric(each) for each in metrics), _whole(samples), approval)
    raise _unreadable("guard", data)


def _decode_metric(data: object) -> Metric:
    match data:
        case [str(name), None | int() as quantile, int(bound), bool(against_control)]:
            return Metric(name, _optional(quantile, _whole), _whole(bound), against_control)
    raise _unreadable("metric", data)


def _decode_needs(data: object) -> Needs:
    match data:
        case [str(flag), [_, *_] as variants]:
            return Needs(flag, frozenset(_text(variant) for variant in variants))
    raise _unreadable("prerequisite", data)


def _encode_share(share: Share | None) -> object:
    return None if share is None else [share.group, share.start, share.end]


def _decode_share(data: object) -> Share | None:
    match data:
        case None:
            return None
        case [str(group), int(start), int(end)]:
            return Share(group, _whole(start), _whole(end))
    raise _unreadable("share", data)


def _has(data: object, fields: int) -> bool:
    return isinstance(data, dict) and len(data) == fields


def _optional(data: Any, decode: Callable[[Any], _T]) -> _T | None:
    return None if data is None else decode(data)


def _whole(data: object) -> int:
    if isinstance(data, int) and not isinstance(data, bool):
        return data
    raise _unreadable("number", data)


def _text(data: object) -> str:
    if isinstance(data, str):
        return data
    raise _unreadable("text", data)


def _unreadable(what: str, data: object) -> ValueError:
    shown = sorted(data) if isinstance(data, Mapping) else data
    return ValueError(f"a {what} reads {str(shown)[:100]!r}")
