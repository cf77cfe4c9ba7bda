"""
Slots for named holders: who has one keeps it, whatever becomes of the plan; a new one is given while there is room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from payaid_entitlements.answering import look, near_view
from payaid_entitlements.cache.counting import Post, ReadSlots
from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.identity import identify
from payaid_entitlements.core.metering.assignment import Assignment
from payaid_entitlements.core.metering.posting import Assign, Posted, Posting, Reassign, Slot, Unassign
from payaid_entitlements.errors import OutcomeUnknown, StoreUnavailable
from payaid_entitlements.metering.holding import microseconds
from payaid_entitlements.metering.judging import unavailable
from payaid_entitlements.metering.room import Room, allocation, room, surely
from payaid_entitlements.view import require_key

if TYPE_CHECKING:
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.cache.steps import Flow
    from payaid_entitlements.stores.ports import Transaction


@dataclass(frozen=True, slots=True)
class Seat:
    """
    A slot that somebody wants.

    Attributes:
        expires_in: Microseconds; None for never.
    """

    tenant: str
    feature: str
    holder: str
    expires_in: int | None = None
    tx: Transaction | None = None


def seat(
    tenant: str, feature: str, holder: str, *, expires_in: timedelta | None = None, tx: Transaction | None = None
) -> Seat:
    """
    Take in what a caller says.

    Raises:
        TypeError: An id identifies nobody, or a length is none.
        ConfigurationError: *expires_in* is not positive, or too long.
    """
    require_key(feature)
    length = None if expires_in is None else microseconds("expires_in", expires_in)
    return Seat(identify("tenant", tenant), feature, identify("holder", holder), length, tx)


@dataclass(frozen=True, slots=True)
class _Given:
    """What became of it: given, also beyond what is sold where that is not enforced; or refused."""

    room: Room
    posted: Posted | None = None
    refusal: Decision | None = None
    is_beyond: bool = False


def assign(setting: Setting, wanted: Seat) -> Flow[Assignment]:
    """
    Give a slot to a holder, or find that the holder has one.

    Raises:
        Refused: No slot is free, or none is sold.
        TypeError, ConfigurationError: The feature is no allocation, or is counted otherwise; there is no ledger.
        StoreUnavailable: No answer, and nothing was given.
        OutcomeUnknown: It may have been given; repeated, it is given once.
    """
    given = yield from _give(setting, wanted)
    if given.refusal is not None:
        given.room.refuse(given.refusal)
    filled = cast("Posted", given.posted).filled[0]
    return Assignment.of(cast("Slot", filled.slot), replayed=filled.was_there)


def try_assign(setting: Setting, wanted: Seat) -> Flow[Decision]:
    """Same as `assign`: a refusal, and an outage outside of a host's transaction, are decisions. Also says how many."""
    try:
        given = yield from _give(setting, wanted)
        if given.refusal is not None:
            return given.refusal
        balances = cast("Posted", given.posted).filled[0].balances
        said = given.room.said(balances, would_refuse=given.is_beyond)
    except OutcomeUnknown:
        raise
    except StoreUnavailable:
        if wanted.tx is not None:
            raise
        return unavailable(wanted.feature)
    return given.room.granted(said, Reason.ALLOCATION_FULL if given.is_beyond else None)


def unassign(setting: Setting, wanted: Seat) -> Flow[None]:
    """
    Free the slot of a holder; who has none has none. Also of what is sold no more, and in an outage of the store.

    Raises:
        StoreUnavailable: No answer. `OutcomeUnknown`: it may have been freed; repeated, it is.
    """
    yield from _require_allocation(setting, wanted)
    yield from _post(setting, wanted, Unassign(wanted.feature, wanted.holder))


def reassign(setting: Setting, wanted: Seat, to: str) -> Flow[Assignment]:
    """
    Hand the slot of a holder over to *to*, at once: nobody can take it in between. Repeated, it says the same.

    Raises:
        SlotTaken: Both have one, or neither.
        StoreUnavailable, OutcomeUnknown: As in `unassign`.
    """
    identify("to", to)
    yield from _require_allocation(setting, wanted)
    posted = yield from _post(setting, wanted, Reassign(wanted.feature, wanted.holder, to))
    (filled,) = posted.filled
    return Assignment.of(cast("Slot", filled.slot), replayed=filled.was_there)


def assignments(setting: Setting, tenant: str, feature: str) -> Flow[list[Assignment]]:
    """
    List who holds slots of *feature*, who holds one longest first.

    Raises:
        StoreUnavailable: No answer.
    """
    return [Assignment.of(slot) for slot in (yield from slots_of(setting, seat(tenant, feature, "all")))]


def slots_of(setting: Setting, wanted: Seat) -> Flow[Sequence[Slot]]:
    """Read the slots of a feature, whoever holds them; raises as `assignments` does."""
    yield from _require_allocation(setting, wanted)
    return (yield from _slots(setting, wanted.tenant, wanted.feature))


def _give(setting: Setting, wanted: Seat) -> Flow[_Given]:
    found = yield from room(setting, wanted.tenant, wanted.feature, "ledger")
    is_beyond = found.is_let_pass
    while found.decision.allowed:
        beyond = None if is_beyond else 0
        posted = yield from _post(
            setting, wanted, Assign(wanted.feature, wanted.holder, found.cap, beyond, wanted.expires_in)
        )
        if posted.short is None:
            if is_beyond:
                setting.observer.count("usage.would_refuse", wanted.feature)
            return _Given(found, posted, is_beyond=is_beyond)
        if not found.is_enforced:
            is_beyond = True
        elif found.is_sure:
            setting.observer.count("usage.refused", wanted.feature, Reason.ALLOCATION_FULL.value)
            return _Given(found, refusal=found.full(Reason.ALLOCATION_FULL, posted.short.balances))
        else:
            found = yield from surely(setting, found, "ledger")
    return _Given(found, refusal=found.decision)


def _post(setting: Setting, wanted: Seat, posting: Posting) -> Flow[Posted]:
    posted = yield Post(wanted.tenant, (posting,), now=setting.told_time(), tx=wanted.tx)
    return cast("Posted", posted)


def _slots(setting: Setting, tenant: str, feature: str) -> Flow[Sequence[Slot]]:
    return cast("Sequence[Slot]", (yield ReadSlots(tenant, feature, setting.told_time())))


def _require_allocation(setting: Setting, wanted: Seat) -> Flow[None]:
    """
    Refuse what is no allocation: a slot that is freed by a wrong key stays taken.

    Raises:
        TypeError, ConfigurationError, UnknownFeature: As in `room`.
    """
    view = near_view(setting, wanted.tenant, None) or (yield from look(setting, wanted.tenant))
    if allocation(view, wanted.feature, "ledger") is None and not view.stale:
        view.note(view.decide(wanted.feature, "write"))
