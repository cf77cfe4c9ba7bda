"""
Rows of a ledger: which of them a posting must see, what it sees, and which it changes.

A ledger that keeps rows does this in one transaction::

    needed = needs(postings, operation)
    rows = ...  # load entries, holds and slots; then lock and load ``accounts(needed, rows)``
    outcome = post(rows, postings, operation, digest, now)
    ...  # write what the outcome says, commit, and return ``outcome.posted``

Where `post` raises, nothing is to be written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.kept import KeptEntry, KeptHold, UsageEvent
from payaid_entitlements.core.metering.posting import SLOTS, AccountId, Balance, Posted, Slot

#: An entry: operation and part.
EntryId: TypeAlias = tuple[str, int]

#: A slot: feature and holder.
SlotId: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Needs:
    """
    Which rows a posting must see, each kind in ascending order of its bytes.

    Besides these: holds and slots that have expired, with the accounts of those holds (see `Rows`).

    Attributes:
        accounts: To be locked. More may come of what *entries* and *holds* say: see `accounts`.
        entries, holds, slots: Those that are there.
        feature: Of which slots are given or handed over; None where it is not about slots.
    """

    accounts: tuple[AccountId, ...] = ()
    entries: tuple[EntryId, ...] = ()
    holds: tuple[str, ...] = ()
    slots: tuple[SlotId, ...] = ()
    feature: str | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """
    What a ledger has loaded of *tenant*, and keeps locked until it has written what came of it. More does no harm.

    Attributes:
        accounts: All that `accounts` names and that are there.
        entries: Those that are needed and there.
        holds: Those that are needed, and others that have expired and touch an account that is needed. Expired ones
            are freed. A ledger may load some of them only, or none; then it must load others and post again before
            it says that something is short.
        slots: Those that are needed, all of `Needs.feature` that have expired, and the one of it that expires next.
    """

    tenant: str
    accounts: Mapping[AccountId, Balance] = field(default_factory=dict)
    entries: Mapping[EntryId, KeptEntry] = field(default_factory=dict)
    holds: Mapping[str, KeptHold] = field(default_factory=dict)
    slots: Mapping[SlotId, Slot] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What came of a posting: the answer, and the rows that differ from those that were loaded.

    There may be some also where it was short: what has expired is free now.

    Attributes:
        accounts: As they are now; some may be new.
        entries: All are new. Where one is there already, somebody did the same at once: load again, post again.
        holds, slots: As they are now; None where they are gone.
        events: All are new.
    """

    posted: Posted
    accounts: Mapping[AccountId, Balance] = field(default_factory=dict)
    entries: tuple[KeptEntry, ...] = ()
    holds: Mapping[str, KeptHold | None] = field(default_factory=dict)
    slots: Mapping[SlotId, Slot | None] = field(default_factory=dict)
    events: tuple[UsageEvent, ...] = ()

    @property
    def is_change(self) -> bool:
        """Is there anything to write?"""
        return bool(self.accounts or self.entries or self.holds or self.slots)


def as_of(
    balances: Mapping[AccountId, Balance], holds: Iterable[KeptHold], slots: Iterable[Slot], now: Instant
) -> dict[AccountId, Balance]:
    """What accounts say at *now*: without those of *holds* and *slots* that have expired. Others do not matter."""
    found = dict(balances)
    for hold in holds:
        if hold.expires <= now:
            for take in hold.takes:
                _less(found, (take.meter, take.lot), 0, take.held)
    for slot in slots:
        if slot.expires is not None and slot.expires <= now:
            _less(found, (slot.feature, SLOTS), 1, 0)
    return found


def _less(found: dict[AccountId, Balance], account: AccountId, used: int, held: int) -> None:
    if account in found:
        was = found[account]
        found[account] = replace(was, used=was.used - used, held=was.held - held)


def in_order(accounts: Iterable[AccountId]) -> tuple[AccountId, ...]:
    """Each account once, in the order in which all lock them: of their bytes."""
    return tuple(sorted(set(accounts), key=lambda each: (each[0].encode(), each[1].encode())))
