"""What a ledger keeps: as callers read it, as a backup carries it, as the book (`core.metering.book`) writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.posting import Balance, Crossing, Debit, Slot, Take

#: What there can be of one operation: the act, what became of a hold, what was given back.
PARTS: Final = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class KeptHold:
    """A hold that is open: what it holds, and until when at most."""

    tenant: str
    operation: str
    debit: Debit
    takes: tuple[Take, ...]
    since: Instant
    expires: Instant


@dataclass(frozen=True, slots=True)
class KeptEntry:
    """
    One act, as the ledger keeps it: what a repetition is known by, and what the balances are made of.

    Attributes:
        part: 0 the act, 1 what became of a hold (settled, released, expired), 2 what was given back.
        kind: The posting's name in small letters: ``debit``, ``hold``, ``settle`` ...; ``expire`` for a hold
            that nobody settled.
        digest: As the caller gave it; None for parts 1 and 2, which are known by what they are about.
        takes: All movements; each account's balance is the sum of them, but for what `prune` has folded.
        answer: The `Posted` of the act, as JSON data (`core.metering.encoding`): what a repetition gets.
    """

    tenant: str
    operation: str
    part: int
    kind: str
    digest: str | None
    at: Instant
    takes: tuple[Take, ...]
    answer: object = None


@dataclass(frozen=True, slots=True)
class KeptAccount:
    """An account; *folded* is the part of ``balance.used`` whose entries were pruned."""

    tenant: str
    meter: str
    lot: str
    balance: Balance
    folded: int = 0


@dataclass(frozen=True, slots=True)
class UsageEvent:
    """A mark that was reached, to be told to others after the commit. *id* sorts by when it was recorded."""

    id: str
    tenant: str
    operation: str
    crossing: Crossing
    at: Instant


@dataclass(frozen=True, slots=True)
class Book:
    """All that a ledger knows of one tenant, but for its entries."""

    accounts: tuple[KeptAccount, ...] = ()
    holds: tuple[KeptHold, ...] = ()
    slots: tuple[Slot, ...] = ()
