"""Rollouts as people write them, and back: a percentage, steps that hold, or a schedule."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from payaid_entitlements.core.flags.bounds import bound, written_bound
from payaid_entitlements.core.flags.model import Guard, Rollout
from payaid_entitlements.core.flags.shares import parts, percent
from payaid_entitlements.core.instant import EARLIEST, LATEST, Instant, instant, moment
from payaid_entitlements.core.interval import format_duration, parse_duration
from payaid_entitlements.core.written.plain import described

if TYPE_CHECKING:
    from payaid_entitlements.core.flags import written
    from payaid_entitlements.core.written.problems import Path
    from payaid_entitlements.core.written.reading import Reading


def read_rollout(data: str | written.WrittenRollout, who: str, path: Path, reading: Reading) -> Rollout | None:
    """Read what *who* writes; None, and problems of *reading*, where it means nothing."""
    found = reading.findings.count
    if isinstance(data, str):
        share = reading.take(path, who, parts, data)
        return None if share is None else Rollout(((EARLIEST, share),))
    hold = _hold(data, who, path, reading)
    steps = _steps(data, hold, who, path, reading)
    guard = _guard(data, who, path, reading)
    if reading.findings.count > found:
        return None
    only_hold = hold if guard is not None and len(steps) == 1 else 0
    if guard is not None:
        _check_measured(steps, only_hold, guard, who, path, reading)
    for (_, smaller), (_, share) in pairwise(steps):
        if share < smaller:
            message = (
                f"{who} shrinks from {percent(smaller)} to {percent(share)}; a rollout only grows: kill it instead"
            )
            reading.findings.add("rollout.shrinks", message, path)
            return None
    return Rollout(steps, guard, only_hold)


def _check_measured(
    steps: tuple[tuple[Instant, int], ...], hold: int, guard: Guard, who: str, path: Path, reading: Reading
) -> None:
    """Refuse what would be measured for no time, or of nobody."""
    if len(steps) == 1 and not (hold or guard.samples or guard.approval):
        message = (
            f"{who} does not say how long it is watched; write `steps: [{percent(steps[0][1])}]` with `hold: 1 day`, "
            "`samples` or `approval: true`"
        )
        reading.findings.add("rollout.unclear", message, path)
    if steps[0][1] == 0 and (guard.metrics or guard.samples):
        message = f"{who}: in a step of 0% nobody is in, so that nothing is measured and it never ends; begin with more"
        reading.findings.add("rollout.nobody", message, path)


def _hold(data: written.WrittenRollout, who: str, path: Path, reading: Reading) -> int:
    if data.steps is None or data.hold is None:
        return 0
    hold = reading.take((*path, "hold"), who, parse_duration, data.hold)
    if hold == 0:
        reading.findings.add("rollout.unclear", f"{who}: {data.hold!r} is no time at all", (*path, "hold"))
    return hold or 0


def _steps(
    data: written.WrittenRollout, hold: int, who: str, path: Path, reading: Reading
) -> tuple[tuple[Instant, int], ...]:
    ways = [name for name in ("percent", "steps", "schedule") if getattr(data, name) is not None]
    if len(ways) != 1:
        said = " and ".join(f"`{way}`" for way in ways) or "nothing"
        message = f"{who} says {said}; write one of `percent`, `steps` and `schedule`"
        reading.findings.add("rollout.unclear", message, path)
        return ()
    if data.steps is None and (data.hold is not None or data.from_ is not None):
        reading.findings.add("rollout.unclear", f"{who}: only `steps` have `hold` and `from`", path)
        return ()
    if data.percent is not None:
        share = reading.take((*path, "percent"), who, parts, data.percent)
        return () if share is None else ((EARLIEST, share),)
    return _held(data, hold, who, path, reading) if data.steps is not None else _scheduled(data, who, path, reading)


def _held(
    data: written.WrittenRollout, hold: int, who: str, path: Path, reading: Reading
) -> tuple[tuple[Instant, int], ...]:
    shares = [reading.take((*path, "steps", index), who, parts, text) for index, text in enumerate(data.steps or ())]
    if not shares:
        reading.findings.add("rollout.unclear", f"{who} has no steps; write `steps: [5%, 25%, 100%]`", path)
    start = EARLIEST if data.from_ is None else reading.take((*path, "from"), who, time, data.from_)
    waits = data.samples is not None or data.approval
    if len(shares) > 1 and data.hold is None and not waits:
        message = f"{who} does not say how long a step lasts; write `hold: 1 day`, `samples` or `approval: true`"
        reading.findings.add("rollout.unclear", message, path)
    is_guarded = waits or data.roll_back_if is not None
    if len(shares) > 1 and data.from_ is None and not is_guarded:
        message = f"{who} does not say when its first step begins; write `from: 2026-12-01T09:00:00+05:30`"
        reading.findings.add("rollout.unclear", message, path)
    if start is None:
        return ()
    if start + hold * len(shares) > LATEST:
        reading.findings.add("rollout.unclear", f"{who} would end after the year 9999", path)
    return tuple((start + hold * index, share) for index, share in enumerate(shares) if share is not None)


def _scheduled(data: written.WrittenRollout, who: str, path: Path, reading: Reading) -> tuple[tuple[Instant, int], ...]:
    steps: list[tuple[Instant, int]] = []
    for index, entry in enumerate(data.schedule or ()):
        here = (*path, "schedule", index)
        share = reading.take((*here, "percent"), who, parts, entry.percent)
        at: Instant | None = EARLIEST
        if entry.at is not None:
            at = reading.take((*here, "at"), who, time, entry.at)
        elif index:
            reading.findings.add("rollout.unclear", f"{who}: only the first entry may leave out `at`", here)
        if share is not None and at is not None:
            steps.append((at, share))
    if not data.schedule:
        message = f"{who} has an empty schedule; write `[{{at: 2026-12-01T09:00:00+05:30, percent: 5%}}]`"
        reading.findings.add("rollout.unclear", message, path)
    if any(later <= earlier for (earlier, _), (later, _) in pairwise(steps)):
        reading.findings.add("rollout.order", f"{who}: each entry of `schedule` is later than the one before", path)
    return tuple(steps)


def _guard(data: written.WrittenRollout, who: str, path: Path, reading: Reading) -> Guard | None:
    if data.roll_back_if is None and data.samples is None and not data.approval:
        return None
    read = [reading.take((*path, "roll_back_if"), who, bound, text) for text in data.roll_back_if or ()]
    metrics = tuple(metric for metric in read if metric is not None)
    return Guard(metrics, data.samples or 0, data.approval)


def time(text: str) -> Instant:
    """
    Read an instant: ISO 8601 with its zone.

    Raises:
        ValueError: It is none, or says no zone.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"write a time such as 2026-12-01T09:00:00+05:30, not {described(text)}") from None
    if at.utcoffset() is None:
        raise ValueError(f"{text!r} has no time zone, so it names no moment; add Z or an offset such as +05:30")
    return instant(at)


def written_time(at: Instant) -> str:
    """Write *at* in UTC; `time` reads it back."""
    return moment(at).isoformat().replace("+00:00", "Z")


def written_rollout(rollout: Rollout) -> str | dict[str, object]:
    """Write *rollout* as `read_rollout` reads it."""
    shares, instants = [percent(share) for _, share in rollout.steps], [at for at, _ in rollout.steps]
    if rollout.guard is None and instants == [EARLIEST]:
        return shares[0]
    steps = _written_steps(instants, shares, rollout.hold, is_guarded=rollout.guard is not None)
    return {**steps, **_written_guard(rollout.guard)}


def _written_steps(instants: list[Instant], shares: list[str], hold: int, *, is_guarded: bool) -> dict[str, object]:
    if instants == [EARLIEST] and not hold:
        return {"percent": shares[0]}
    holds = {later - earlier for earlier, later in pairwise(instants)} or {hold}
    is_even = len(holds) < 2 and instants[-1] + min(holds) <= LATEST
    if not is_even or (instants[0] == EARLIEST and not is_guarded):
        entries = [{"at": written_time(at), "percent": share} for at, share in zip(instants, shares, strict=True)]
        if instants[0] == EARLIEST:
            del entries[0]["at"]
        return {"schedule": entries}
    written: dict[str, object] = {"steps": shares}
    if any(holds):
        written["hold"] = format_duration(max(holds))
    if instants[0] != EARLIEST:
        written["from"] = written_time(instants[0])
    return written


def _written_guard(guard: Guard | None) -> dict[str, object]:
    if guard is None:
        return {}
    written: dict[str, object] = {}
    if guard.metrics:
        written["roll_back_if"] = [written_bound(metric) for metric in guard.metrics]
    if guard.samples:
        written["samples"] = guard.samples
    if guard.approval:
        written["approval"] = True
    return written
