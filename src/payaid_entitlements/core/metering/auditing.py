"""
Self-audit: what a ledger says of its balances beside what its own entries, holds and slots add up to.

Pure. Nothing here repairs anything: a finding is for somebody who looks into why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.kept import Book, KeptEntry
from payaid_entitlements.core.metering.posting import SLOTS, AccountId


class Trouble(StrEnum):
    """What can be found. `OVERDUE` is harmless: whoever comes next frees it before anybody is refused."""

    DRIFT = "drift"  # a balance is not what its entries add up to
    ORPHAN = "orphan"  # a hold without the act that made it, or the act of a hold that is neither there nor closed
    OVERDUE = "overdue"  # a hold or a slot that has expired, and is still counted


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that does not add up, or is overdue.

    Attributes:
        meter, lot: Of the account; *lot* is empty where it is about an act as a whole.
        what: ``used``, ``held``, ``hold`` or ``slot``.
        counted, recomputed: What the ledger says, and what it should; equal for what is only overdue.
        operation: Of the hold; the holder, for a slot.
    """

    trouble: Trouble
    tenant: str
    meter: str
    lot: str
    what: str
    counted: int
    recomputed: int
    operation: str = ""


def audited(tenant: str, book: Book, entries: Iterable[KeptEntry], now: Instant) -> Iterator[Finding]:
    """
    Recompute all balances of *tenant*.

    Args:
        book: As the ledger keeps it, read while nobody posts; else what was posted in between looks like drift.
        entries: All there are, each once; only sums are kept.
        now: By the ledger's clock.
    """
    used: Counter[AccountId] = Counter()
    held: Counter[AccountId] = Counter()
    made: dict[str, str] = {}
    closed: set[str] = set()
    for entry in entries:
        for take in entry.takes:
            used[take.meter, take.lot] += take.used
            held[take.meter, take.lot] += take.held
        if entry.kind == "hold":
            made[entry.operation] = entry.takes[0].meter if entry.takes else ""
        elif entry.part == 1:
            closed.add(entry.operation)
    kept: Counter[AccountId] = Counter()
    for hold in book.holds:
        for take in hold.takes:
            kept[take.meter, take.lot] += take.held
    for slot in book.slots:
        used[slot.feature, SLOTS] += 1
    yield from _drift(tenant, book, used, held, kept)
    yield from _orphans(tenant, book, made, closed)
    for hold in book.holds:
        if hold.expires <= now:
            units = sum(take.held for take in hold.takes)
            yield Finding(Trouble.OVERDUE, tenant, hold.debit.feature, "", "hold", units, units, hold.operation)
    for slot in book.slots:
        if slot.expires is not None and slot.expires <= now:
            yield Finding(Trouble.OVERDUE, tenant, slot.feature, SLOTS, "slot", 1, 1, slot.holder)


def _drift(
    tenant: str, book: Book, used: Counter[AccountId], held: Counter[AccountId], kept: Counter[AccountId]
) -> Iterator[Finding]:
    known = {(each.meter, each.lot): each for each in book.accounts}
    for account in sorted({*known, *used, *held, *kept}):
        meter, lot = account
        found = known.get(account)
        counted = (0, 0, 0) if found is None else (found.balance.used, found.balance.held, found.folded)
        should = counted[2] + used[account]
        if counted[0] != should:
            yield Finding(Trouble.DRIFT, tenant, meter, lot, "used", counted[0], should)
        # What is held is written down twice: by the holds that are open, and by the acts that made and closed them.
        for recomputed in dict.fromkeys((kept[account], held[account])):
            if counted[1] != recomputed:
                yield Finding(Trouble.DRIFT, tenant, meter, lot, "held", counted[1], recomputed)


def _orphans(tenant: str, book: Book, made: dict[str, str], closed: set[str]) -> Iterator[Finding]:
    open_now = {hold.operation: hold for hold in book.holds}
    for operation, hold in open_now.items():
        if operation not in made or operation in closed:
            units = sum(take.held for take in hold.takes)
            yield Finding(Trouble.ORPHAN, tenant, hold.debit.feature, "", "hold", units, 0, operation)
    for operation, meter in made.items():
        if operation not in open_now and operation not in closed:
            yield Finding(Trouble.ORPHAN, tenant, meter, "", "hold", 0, 0, operation)
