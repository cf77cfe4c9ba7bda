"""Postings about slots, each of which somebody holds: `Assign`, `Unassign`, `Reassign`, and slots that expire."""

from __future__ import annotations

from collections.abc import Iterable

from payaid_entitlements.core.metering.draft import Draft
from payaid_entitlements.core.metering.posting import (
    SLOTS,
    Assign,
    Balance,
    Filled,
    Line,
    Posted,
    Reassign,
    Shortage,
    Slot,
    Take,
    Unassign,
)
from payaid_entitlements.errors import SlotTaken


def free_expired(draft: Draft, slots: Iterable[Slot]) -> None:
    """Take back slots that have expired."""
    for slot in slots:
        if slot.expires is not None and slot.expires <= draft.now:
            _take_back(draft, slot)


def assign(draft: Draft, posting: Assign, slots: Iterable[Slot]) -> Posted:
    """Give a slot, if there is one left."""
    feature, holder, cap = posting.feature, posting.holder, posting.cap
    expires = None if posting.expires_in is None else draft.now + posting.expires_in
    had = draft.slot(feature, holder)
    if had is not None:
        slot = Slot(feature, holder, had.since, expires)
        draft.put_slot(feature, holder, slot)
        return _done(draft, feature, Filled(slot=slot, was_there=True))
    used = _counted(draft, feature).used
    if cap is not None and posting.beyond is not None and used >= cap + posting.beyond:
        short = Shortage(0, feature, 0, (_counted(draft, feature),), _next_free(draft, feature, slots))
        return Posted(at=draft.now, short=short)
    slot = Slot(feature, holder, draft.now, expires)
    draft.put_slot(feature, holder, slot)
    draft.move(Take(feature, SLOTS, used=1), Line(feature, SLOTS, cap))
    return _done(draft, feature, Filled(1, int(cap is not None and used >= cap), slot=slot))


def unassign(draft: Draft, posting: Unassign) -> Posted:
    """Take back a slot, if there is one."""
    had = draft.slot(posting.feature, posting.holder)
    if had is None:
        return _done(draft, posting.feature, Filled())
    _take_back(draft, had)
    return _done(draft, posting.feature, Filled(1, was_there=True))


def reassign(draft: Draft, posting: Reassign) -> Posted:
    """Hand a slot over; done before, it is done."""
    feature, holder, to = posting.feature, posting.holder, posting.to
    had, there = draft.slot(feature, holder), draft.slot(feature, to)
    if had is None and there is None:
        raise SlotTaken(f"{holder!r} has no slot of {feature!r} to hand over")
    if had is None:
        return _done(draft, feature, Filled(slot=there, was_there=True))
    if there is not None:
        raise SlotTaken(f"{to!r} has a slot of {feature!r} already")
    # An invitation expires; who has accepted it is there to stay.
    slot = Slot(feature, to, draft.now, None)
    draft.put_slot(feature, holder, None)
    draft.put_slot(feature, to, slot)
    return _done(draft, feature, Filled(slot=slot))


def _take_back(draft: Draft, slot: Slot) -> None:
    draft.put_slot(slot.feature, slot.holder, None)
    draft.move(Take(slot.feature, SLOTS, used=-1))


def _counted(draft: Draft, feature: str) -> Balance:
    return draft.balance((feature, SLOTS))


def _next_free(draft: Draft, feature: str, slots: Iterable[Slot]) -> int | None:
    """When the next slot expires by itself."""
    times = [
        slot.expires
        for slot in slots
        if slot.feature == feature and slot.expires is not None and slot.expires > draft.now
    ]
    return min(times, default=None)


def _done(draft: Draft, feature: str, filled: Filled) -> Posted:
    said = Filled(
        filled.amount,
        filled.overage,
        balances=(_counted(draft, feature),),
        slot=filled.slot,
        was_there=filled.was_there,
        feature=feature,
    )
    return Posted((said,), draft.now)
