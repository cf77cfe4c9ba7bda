"""
What a change of plan does with what was used in the windows that are running.

- ``carry_usage``: it counts against the new limit. The new plan goes on in the same lot, until its window ends. Who
  comes back to a window that still runs goes on where that was counted.
- ``carry_balance``: what was left may be used up until the old window ends, and the new allowance is whole.
- ``fresh``: what was used, and what was left, is gone; the new allowance is whole.

Each is worked out from facts at the change, nothing is read from the ledger: a lot of another name is a new account,
and an old one whose name is not said any more is out of use. A window that begins when the plan changes
(``when="period_end"``) leaves no balance: else its allowance would be given twice. A source may say more than once
which plan is held: of that nothing begins anew, or each repetition would give an allowance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from payaid_entitlements.core.catalog.model import Feature, Kind
from payaid_entitlements.core.facts import NewFact, Timeline, joined
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.merging import is_held
from payaid_entitlements.core.metering.carrying import Carry, CarryMode, Kept, carried_subject, kept_at, written
from payaid_entitlements.core.metering.lots import Own, own_allowance
from payaid_entitlements.core.resolution import Segment, resolve

if TYPE_CHECKING:
    from payaid_entitlements.core.ground import Ground


def carried(
    on: Ground, facts: Sequence[NewFact], name: str, since: Instant, mode: CarryMode | None
) -> tuple[NewFact, ...]:
    """
    Give the facts about what a change of the plan of *name* at *since* leaves.

    Args:
        facts: Those of the change.
        mode: None where the plan is held already: then only what was to be left later is dropped.
    """
    about = carried_subject(name)
    line = on.document.timelines.get(about, Timeline())
    before = kept_at(on.document, name, since)
    kept = before if mode is None else tuple(_kept(on, facts, name, since, mode, before))
    # What was to be left by a change that was scheduled for later is dropped with it.
    if kept == before and not any(fact.since > since for fact in line.facts):
        return ()
    ends = [each.ends for each in kept]
    last = [max(end for end in ends if end is not None)] if kept and None not in ends else []
    return (NewFact(about, since, written(kept)), *(NewFact(about, end, None) for end in last))


def _kept(
    on: Ground, facts: Sequence[NewFact], name: str, since: Instant, mode: CarryMode, before: Sequence[Kept]
) -> list[Kept]:
    after = joined(on.document, facts, recorded=on.now, as_of=on.as_of).document
    old, new = (resolve(document, on.world, since, since)[0] for document in (on.document, after))
    kept = list(before)
    for feature in _sold_by(on, (old, new), name):
        was, now = (
            own_allowance(feature, since, standpoint=each.standpoint, meters=each.meters) for each in (old, new)
        )
        kept = [each for each in kept if each.carry.feature != feature.key or mode != "fresh"]
        earlier = [each.carry for each in kept if each.carry.feature == feature.key]
        kept += _left(feature, was, now, since, mode, earlier)
    return kept


def _left(
    feature: Feature, was: Own | None, now: Own | None, at: Instant, mode: CarryMode, earlier: Sequence[Carry]
) -> Iterator[Kept]:
    if now is None:
        return
    if mode == "carry_usage":
        if was is None or (was.lot == now.lot and was.window == now.window):
            return
        # Also where the name stays: it says in which lot the window of *was* was counted, for who comes back to it.
        carry = Carry(at, mode, feature.key, was.lot, _end(was))
        before = _counted_in(now, earlier)
        if before is not None and before != was.lot:
            yield _until_window_ends(feature, carry, now)
            carry = Carry(at, mode, feature.key, before, _end(now))
    elif mode == "fresh":
        carry = Carry(at, mode, feature.key, now.lot, _end(now))
    elif was is not None and was.cap is not None and (was.window is None or was.window.start < at):
        carry = Carry(at, mode, feature.key, was.lot, _end(was), was.cap)
    else:
        # There is no balance: nothing was held, or everything, or from now on. Those of earlier changes stay.
        carry = Carry(at, mode, feature.key, now.lot, at)
    yield _until_window_ends(feature, carry, now)


def _counted_in(own: Own, earlier: Sequence[Carry]) -> str | None:
    """
    In which lot the window of *own* was counted before another plan was held for a while; None where none was.

    Else a year that is used up would be given again to whoever is on months in between: those begin anew.
    """
    end = _end(own)
    for carry in reversed(earlier):
        if own.window is not None and carry.at not in own.window:
            continue
        if carry.mode != "carry_usage":
            return None
        if carry.until == end:
            return carry.lot
    return None


def _end(own: Own) -> Instant | None:
    return None if own.window is None else own.window.end


def _until_window_ends(feature: Feature, carry: Carry, now: Own) -> Kept:
    """A name matters until the new window ends, and longer where that rolls over; a balance until its own window."""
    if now.window is None or carry.until is None:
        return Kept(carry, None)
    length = now.window.end - now.window.start
    named = now.window.end + (2 * length if feature.rollover is not None else 0)
    return Kept(carry, max(named, carry.until))


def _sold_by(on: Ground, segments: Sequence[Segment], name: str) -> Iterator[Feature]:
    """Quotas and credits that the subscription *name* sells before or after the change."""
    held = [each for segment in segments for each in segment.standpoint.situation.held if each.name == name]
    for feature in on.world.catalog.features.values():
        if feature.kind in (Kind.QUOTA, Kind.CREDIT):
            if any(is_held(feature, each.source.value(feature)) for each in held):
                yield feature
