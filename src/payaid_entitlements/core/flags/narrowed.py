"""Which modules and features flags keep from somebody now: what a change of flags opens and closes."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from payaid_entitlements.core.flags.model import Flag, Progress
from payaid_entitlements.core.flags.stale import same_for_all
from payaid_entitlements.core.instant import Instant


def narrowed(
    flags: Mapping[str, Flag], progress: Mapping[str, Progress], killed: Collection[str], now: Instant
) -> frozenset[str]:
    """Keys that some flag narrows which is not on for everybody."""
    return frozenset(
        key
        for flag in flags.values()
        if flag.narrows and not _is_on_for_all(flag, progress.get(flag.key), killed, now)
        for key in flag.narrows
    )


def _is_on_for_all(flag: Flag, progress: Progress | None, killed: Collection[str], now: Instant) -> bool:
    if flag.key in killed or not flag.enabled or flag.broken:
        return False
    variant = same_for_all(flag, progress, now)
    return variant is not None and flag.variants.get(variant) is True
