"""Flags that have done their work: what a flag costs is code that is never taken out again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Final

from payaid_entitlements.core.flags.model import PARTS, Flag, Progress, Stage
from payaid_entitlements.core.flags.rollouts.schedule import share
from payaid_entitlements.core.flags.turning import fixed_at
from payaid_entitlements.core.instant import DAY, Instant

#: How long a flag may answer everybody alike before it is called stale, in microseconds.
SETTLED: Final = 30 * DAY


@dataclass(frozen=True, slots=True)
class Stale:
    """A flag that is to be taken out of the code, and why."""

    key: str
    why: tuple[str, ...]


def stale(
    flag: Flag,
    *,
    progress: Progress | None,
    killed: Collection[str],
    changed: Instant | None,
    now: Instant,
    today: date,
) -> Stale | None:
    """
    Say why *flag* is stale; None where it is not.

    Args:
        changed: When it, or its kill switch, was last changed; None where that never was, so that nobody can say since
            when it is as it is.
        today: In the zone of the catalog; a flag may stay for the whole of its last day.
    """
    why = []
    if flag.remove_by is not None and flag.remove_by < today:
        days = (today - flag.remove_by).days
        why.append(f"it was to be removed by {flag.remove_by}, {days} day{'' if days == 1 else 's'} ago")
    same = "its off variant" if flag.key in killed or not flag.enabled else same_for_all(flag, progress, now)
    if same is not None and changed is not None and now - changed >= SETTLED:
        why.append(f"everybody has got {same} for {(now - changed) // DAY} days")
    return Stale(flag.key, tuple(why)) if why else None


def same_for_all(flag: Flag, progress: Progress | None, now: Instant) -> str | None:
    """The variant that everybody gets, in words; None where it depends on who asks, or when."""
    if flag.needs or flag.exclusion is not None or flag.holdout is not None:
        return None
    if flag.targeting:
        return fixed_at(flag)
    for rule in flag.rules:
        if rule.rollout is not None:
            own = progress if progress is not None and progress.rule == rule.id else None
            inside = share(rule.rollout, own, now)
            # One that went back grows no more until somebody starts it anew.
            went_back = rule.rollout.guard is not None and own is not None and own.stage is Stage.ROLLED_BACK
            most = 0 if went_back else max(parts for _, parts in rule.rollout.steps)
            if inside < most or 0 < inside < PARTS:
                return None  # it is to grow yet, or decides by who asks
            if not inside:
                continue
        if rule.when is not None or not isinstance(rule.serve, str):
            return None
        return rule.serve
    return flag.default or "its default"
