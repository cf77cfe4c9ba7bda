"""
What looks wrong with flags as they are: what never decides, what refers to nothing any more, what nobody owns.

Reading refuses what is wrong when it is written. But flags live in a set of their own, and what they name may go from
under them: a module is retired, a segment removed. Flags that have done their work are for
`payaid_entitlements.core.flags.stale`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.flags.conditions import named_segments
from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.details import FlagReason
from payaid_entitlements.core.flags.model import Condition, Flag, Rule
from payaid_entitlements.core.flags.snapshot import FlagSnapshot, effective
from payaid_entitlements.core.written.problems import Problem

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Catalog
    from payaid_entitlements.core.flags.model import FlagSet

#: Names in one line, and characters of each.
_MOST_NAMES: Final = 5
_LONGEST: Final = 80
#: Somebody of whom nothing is known. What cannot be evaluated at all fails for him too.
_SOMEBODY = FlagContext(
    tenant="somebody", user="somebody", at=0, attributes={}, tenant_text=b"\x68somebody", user_text=b"\x68somebody"
)


def lint_flags(catalog: Catalog, flag_set: FlagSet) -> tuple[Problem, ...]:
    """
    List what looks wrong with the flags that count, by their keys, and with segments.

    Fatal is what keeps a flag from answering, or makes it answer otherwise than it says; the rest is only suspicious.
    Each problem is a line, however much its flag says.
    """
    flags = effective(catalog.flags, flag_set)
    snapshot = FlagSnapshot.of(catalog.flags, flag_set, segments=catalog.segments)
    found: list[Problem] = []
    for key in sorted(flags):
        flag = flags[key]
        details = snapshot.flags[key].evaluate(_SOMEBODY)
        if details.reason is FlagReason.ERROR:
            found.append(_of(key, "flag.broken", f"it has no answer: {details.message}", fatal=True))
        found += _references(flag, flags, catalog)
        found += _rules(flag)
        found += _unserved(flag)
        if flag.owner is None:
            found.append(
                _of(key, "flag.no_owner", "nobody is named who could say whether it may go; give it an `owner`")
            )
        if flag.narrows and "user" in (flag.bucket_by, flag.fallback) and any(_has_share(rule) for rule in flag.rules):
            message = "it narrows and buckets by user, so it refuses whoever asks without one; bucket by tenant"
            found.append(_of(key, "flag.narrows_by_user", message))
    found += _unused_segments(flags, snapshot.segments)
    return tuple(found)


def _references(flag: Flag, flags: Mapping[str, Flag], catalog: Catalog) -> Iterator[Problem]:
    for needs in flag.needs:
        other = flags.get(needs.flag)
        if other is None:
            yield _of(flag.key, "flag.needs", f"it needs {needs.flag!r}, which there is not, so it is off", fatal=True)
        elif not needs.variants & other.variants.keys():
            wanted = _listed(sorted(needs.variants), "{}", " or ")
            message = f"it needs {needs.flag!r} to be {wanted}, which that never is, so it is off"
            yield _of(flag.key, "flag.needs", message, fatal=True)
    for key in flag.narrows:
        if key not in catalog.modules and key not in catalog.features:
            message = f"it narrows {key!r}, which is neither a module nor a feature any more"
            yield _of(flag.key, "flag.narrows", message, fatal=True)


def _rules(flag: Flag) -> Iterator[Problem]:
    decides = next((index for index, rule in enumerate(flag.rules) if rule.when is None and rule.rollout is None), None)
    if decides is not None and decides + 1 < len(flag.rules):
        after = _listed([rule.id for rule in flag.rules[decides + 1 :]])
        message = (
            f"its rule {flag.rules[decides].id!r} decides for everybody, so what comes after it never does: {after}"
        )
        yield _of(flag.key, "flag.unreached", message)
    for rule in flag.rules:
        if rule.rollout is not None and not any(share for _, share in rule.rollout.steps):
            yield _of(flag.key, "flag.nobody", f"its rule {rule.id!r} lets nobody in, at any time")


def _unserved(flag: Flag) -> Iterator[Problem]:
    if flag.targeting is not None:
        return  # it may put the name of a variant together
    served = {flag.default, flag.off, *(name for rule in flag.rules for name in _arms(rule))}
    unserved = sorted(flag.variants.keys() - served)
    if unserved:
        yield _of(flag.key, "flag.unserved", f"no rule gives its variant {_listed(unserved, between=' or ')}")


def _arms(rule: Rule) -> tuple[str, ...]:
    return (rule.serve,) if isinstance(rule.serve, str) else tuple(name for name, weight in rule.serve if weight)


def _has_share(rule: Rule) -> bool:
    return rule.rollout is not None or not isinstance(rule.serve, str)


def _unused_segments(flags: Mapping[str, Flag], segments: Mapping[str, Condition]) -> Iterator[Problem]:
    conditions = [rule.when for flag in flags.values() for rule in flag.rules if rule.when is not None]
    used = {name for condition in (*conditions, *segments.values()) for name in named_segments(condition)}
    for name in sorted(segments.keys() - used):
        message = f"segment {name!r}: no rule names it"
        yield Problem("segment.unused", message, f"segments.{name}", "<flags>", fatal=False)


def _listed(names: Sequence[str], each: str = "{!r}", between: str = ", ") -> str:
    shown = between.join(each.format(name[:_LONGEST]) for name in names[:_MOST_NAMES])
    return shown + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")


def _of(key: str, code: str, message: str, *, fatal: bool = False) -> Problem:
    return Problem(code, f"flag {key!r}: {message}", f"flags.{key}", "<flags>", fatal=fatal)
