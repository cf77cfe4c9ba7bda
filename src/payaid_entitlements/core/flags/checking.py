"""What only shows where flags are looked at together: circles, prerequisites, and shares of one group that overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payaid_entitlements.core.flags.conditions import segments_asked
from payaid_entitlements.core.flags.ordering import CIRCLE, in_order
from payaid_entitlements.core.flags.shares import percent
from payaid_entitlements.core.written.circles import cycles
from payaid_entitlements.core.written.problems import Findings, did_you_mean
from payaid_entitlements.core.written.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payaid_entitlements.core.flags.model import Condition, Flag, Share
    from payaid_entitlements.core.written.problems import Problem


def check_flags(flags: Mapping[str, Flag], reading: Reading) -> None:
    """Check how *flags* fit together."""
    for key, flag in flags.items():
        # A prerequisite that there is not was said where the flag was read.
        for needs in (each for each in flag.needs if each.flag in flags):
            for name in sorted(needs.variants - flags[needs.flag].variants.keys()):
                near = did_you_mean(name, flags[needs.flag].variants)
                message = f"flag {key!r} needs {needs.flag!r} to be {name[:80]!r}, which it has no variant for{near}"
                reading.findings.add("unknown.variant", message, ("flags", key, "needs", needs.flag))
    edges = {key: tuple(each.flag for each in flag.needs) for key, flag in flags.items()}
    for circle in cycles(edges):
        message = f"flag {' needs '.join(map(repr, (*circle, circle[0])))}: one of them must stand alone"
        reading.findings.add("flag.cycle", message, ("flags", circle[0], "needs"))
    for key, why in in_order(edges):
        if why not in ("", CIRCLE):
            reading.findings.add("flag.needs", f"flag {key!r} could not be answered: {why}", ("flags", key, "needs"))
    _check_groups(flags, reading)


def newly_wrong(before: Mapping[str, Flag], after: Mapping[str, Flag], file: str) -> list[Problem]:
    """List what is wrong because of a change of flags, and was not before; *file* is what problems call the source."""
    old, new = (Reading(Findings(file)) for _ in range(2))
    check_flags(before, old)
    check_flags(after, new)
    return [problem for problem in new.findings.fatal if problem not in old.findings.fatal]


def check_segments(segments: Mapping[str, Condition], reading: Reading) -> None:
    """Refuse segments that name one another in a circle, or in so many steps that nobody waits for it."""
    edges = {name: tuple(segments_asked(condition)) for name, condition in segments.items()}
    for circle in cycles({name: tuple(sorted(set(named))) for name, named in edges.items()}):
        message = f"segment {' names '.join(map(repr, (*circle, circle[0])))}: one of them must stand alone"
        reading.findings.add("segment.cycle", message, ("segments", circle[0]))
    for name, why in in_order(edges):
        if why not in ("", CIRCLE):
            reading.findings.add("segment.needs", f"segment {name!r} could not be asked: {why}", ("segments", name))


def _check_groups(flags: Mapping[str, Flag], reading: Reading) -> None:
    groups: dict[str, list[tuple[Share, Flag]]] = {}
    for flag in flags.values():
        if flag.exclusion is not None:
            groups.setdefault(flag.exclusion.group, []).append((flag.exclusion, flag))
    for group, members in groups.items():
        members.sort(key=lambda member: member[0].start)
        far, first = members[0]
        for share, flag in members[1:]:
            if share.start < far.end:
                message = (
                    f"flags {first.key!r} and {flag.key!r} exclude each other in the group {group!r}, but both have "
                    f"{percent(share.start)} to {percent(min(share.end, far.end))} of it; give each a part of its own"
                )
                reading.findings.add("exclusion.overlap", message, ("flags", flag.key, "exclusion"))
            if (first.bucket_by, first.fallback) != (flag.bucket_by, flag.fallback):
                message = (
                    f"flags {first.key!r} and {flag.key!r} exclude each other in the group {group!r}, but bucket by "
                    f"{first.bucket_by} and by {flag.bucket_by}; only ids of one sort can be kept apart"
                )
                reading.findings.add("exclusion.bucket_by", message, ("flags", flag.key, "exclusion"))
            if share.end > far.end:
                far, first = share, flag
