"""
A ledger in the memory of one process: for tests, for trying out, and as the plainest statement of the port.

One lock makes each posting atomic; nothing ever waits, so the asynchronous twin only passes calls on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.book import accounts, needs, post
from payaid_entitlements.core.metering.kept import PARTS
from payaid_entitlements.core.metering.posting import AccountId, Balance, Posted, Posting, Slot
from payaid_entitlements.core.metering.rows import EntryId, Needs, Outcome, Rows, SlotId, as_of, in_order
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.forking import after_fork
from payaid_entitlements.stores.ledger import Book, KeptAccount, KeptEntry, KeptHold, UsageEvent
from payaid_entitlements.stores.ports import LOST_WITH_THE_PROCESS, Transaction

K = TypeVar("K")
V = TypeVar("V")

#: Microseconds for which operations are remembered: 35 days.
KEEPS_FOR: Final = 35 * 24 * 3600 * 1_000_000


@dataclass(slots=True)
class _Kept:
    """What is kept of a tenant."""

    accounts: dict[AccountId, Balance] = field(default_factory=dict)
    folded: dict[AccountId, int] = field(default_factory=dict)
    entries: dict[EntryId, KeptEntry] = field(default_factory=dict)
    holds: dict[str, KeptHold] = field(default_factory=dict)
    slots: dict[SlotId, Slot] = field(default_factory=dict)

    def rows(self, tenant: str, needed: Needs, now: Instant) -> Rows:
        """What a posting must see."""
        rows = Rows(
            tenant,
            entries={key: self.entries[key] for key in needed.entries if key in self.entries},
            holds={key: each for key, each in self.holds.items() if each.expires <= now or key in needed.holds},
            slots={key: each for key, each in self.slots.items() if key[0] == needed.feature},
        )
        wanted = accounts(needed, rows)
        return replace(rows, accounts={key: self.accounts[key] for key in wanted if key in self.accounts})

    def write(self, outcome: Outcome) -> None:
        """Keep what came of a posting."""
        self.accounts.update(outcome.accounts)
        self.entries.update(((entry.operation, entry.part), entry) for entry in outcome.entries)
        _write(self.holds, outcome.holds)
        _write(self.slots, outcome.slots)


@dataclass(slots=True)
class _Told:
    """An event, and until when somebody is telling it."""

    event: UsageEvent
    claimed: Instant = 0


class MemoryLedger:
    """Counts in this process, exactly, and loses what it counted with the process."""

    name = "memory"
    is_durable = False
    concerns = (LOST_WITH_THE_PROCESS,)
    keeps_for = KEEPS_FOR

    def __init__(self) -> None:
        self._tenants: dict[str, _Kept] = {}
        self._events: dict[str, _Told] = {}
        self._renew_lock()
        after_fork(self._renew_lock)

    def _renew_lock(self) -> None:
        # Another thread of the parent may hold it, and is not there to let it go.
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Same as `Ledger.prepare`: there is nothing to make ready."""

    def post(
        self,
        tenant: str,
        postings: Sequence[Posting],
        *,
        operation: str | None = None,
        digest: str | None = None,
        now: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Posted:
        """Same as `Ledger.post`."""
        _refuse(tx)
        needed = needs(postings, operation)
        with self._lock:
            at = _clock(now)
            kept = self._tenants.get(tenant) or _Kept()
            outcome = post(kept.rows(tenant, needed, at), postings, operation, digest, at)
            if outcome.is_change:
                self._tenants.setdefault(tenant, kept).write(outcome)
                self._events.update((event.id, _Told(event)) for event in outcome.events)
            return outcome.posted

    def balances(
        self,
        tenant: str,
        accounts: Sequence[AccountId],
        *,
        now: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Mapping[AccountId, Balance]:
        """Same as `Ledger.balances`."""
        _refuse(tx)
        with self._lock:
            kept = self._tenants.get(tenant) or _Kept()
            found = {account: kept.accounts[account] for account in accounts if account in kept.accounts}
            return as_of(found, kept.holds.values(), kept.slots.values(), _clock(now))

    def hold(self, tenant: str, operation: str, *, now: Instant | None = None) -> KeptHold | None:
        """Same as `Ledger.hold`."""
        with self._lock:
            found = (self._tenants.get(tenant) or _Kept()).holds.get(operation)
            return None if found is None or found.expires <= _clock(now) else found

    def slots(self, tenant: str, feature: str | None = None, *, now: Instant | None = None) -> Sequence[Slot]:
        """Same as `Ledger.slots`."""
        with self._lock:
            kept, at = self._tenants.get(tenant) or _Kept(), _clock(now)
            return [
                slot
                for slot in _sorted(kept.slots.values())
                if feature in (None, slot.feature) and (slot.expires is None or slot.expires > at)
            ]

    def lock(self, tenant: str, feature: str, *, tx: Transaction) -> None:
        """
        Refuse: there is no transaction to wait in.

        Raises:
            ConfigurationError: Always.
        """
        raise _no_transaction()

    def claim_events(self, limit: int, lease: int, *, now: Instant | None = None) -> Sequence[UsageEvent]:
        """Same as `Ledger.claim_events`."""
        with self._lock:
            at = _clock(now)
            free = [told for _, told in sorted(self._events.items()) if told.claimed <= at][:limit]
            for told in free:
                told.claimed = at + lease
            return [told.event for told in free]

    def drop_events(self, ids: Sequence[str]) -> None:
        """Same as `Ledger.drop_events`."""
        with self._lock:
            for each in ids:
                self._events.pop(each, None)

    def entries(self, tenant: str, *, after: tuple[str, int] | None = None, limit: int = 500) -> Sequence[KeptEntry]:
        """Same as `Ledger.entries`."""
        with self._lock:
            kept = self._tenants.get(tenant) or _Kept()
            behind = [key for key in kept.entries if after is None or _bytes(key) > _bytes(after)]
            return [kept.entries[key] for key in sorted(behind, key=_bytes)[:limit]]

    def entries_of(self, tenant: str, operation: str) -> Sequence[KeptEntry]:
        """Same as `Ledger.entries_of`."""
        with self._lock:
            kept = self._tenants.get(tenant) or _Kept()
            return [kept.entries[operation, part] for part in PARTS if (operation, part) in kept.entries]

    def tenants(self, *, after: str | None = None, limit: int = 500) -> Sequence[str]:
        """Same as `Ledger.tenants`."""
        with self._lock:
            behind = [each for each in self._tenants if after is None or each.encode() > after.encode()]
            return sorted(behind, key=str.encode)[:limit]

    def book(self, tenant: str) -> Book:
        """Same as `Ledger.book`."""
        with self._lock:
            kept = self._tenants.get(tenant) or _Kept()
            return Book(
                tuple(
                    KeptAccount(tenant, *each, kept.accounts[each], kept.folded.get(each, 0))
                    for each in in_order(kept.accounts)
                ),
                tuple(kept.holds[each] for each in sorted(kept.holds, key=str.encode)),
                tuple(_sorted(kept.slots.values())),
            )

    def prune(self, before: Instant, *, limit: int = 1000) -> int:
        """Same as `Ledger.prune`."""
        with self._lock:
            # The time of the last entry of each operation says how old it is.
            last: dict[tuple[str, str], Instant] = {}
            for tenant, kept in self._tenants.items():
                for (operation, _), entry in kept.entries.items():
                    last[tenant, operation] = max(entry.at, last.get((tenant, operation), entry.at))
            before, forgotten = min(before, _clock(None) - self.keeps_for), 0
            for (tenant, operation), at in sorted(last.items(), key=lambda each: each[1]):
                if at >= before or forgotten >= limit:
                    break
                if operation not in self._tenants[tenant].holds:
                    forgotten += _fold(self._tenants[tenant], operation)
            return forgotten

    def forget(self, tenant: str, *, tx: Transaction | None = None) -> None:
        """Same as `Ledger.forget`."""
        _refuse(tx)
        with self._lock:
            self._tenants.pop(tenant, None)
            self._events = {key: told for key, told in self._events.items() if told.event.tenant != tenant}

    def restore(self, tenant: str, book: Book, entries: Iterable[KeptEntry]) -> None:
        """Same as `Ledger.restore`."""
        entries = list(entries)
        with self._lock:
            kept = self._tenants.setdefault(tenant, _Kept())
            for account in book.accounts:
                key = account.meter, account.lot
                if key not in kept.accounts:
                    kept.accounts[key], kept.folded[key] = account.balance, account.folded
            for entry in entries:
                kept.entries.setdefault((entry.operation, entry.part), entry)
            for hold in book.holds:
                kept.holds.setdefault(hold.operation, hold)
            for slot in book.slots:
                kept.slots.setdefault((slot.feature, slot.holder), slot)

    def close(self) -> None:
        """Same as `Ledger.close`: what is known stays as long as this object."""


class AsyncMemoryLedger:
    """
    Same as `MemoryLedger`, awaited.

    Args:
        ledger: To share what another client counts; None for an empty one.
    """

    name = MemoryLedger.name
    is_durable = MemoryLedger.is_durable
    concerns = MemoryLedger.concerns
    keeps_for = MemoryLedger.keeps_for

    def __init__(self, ledger: MemoryLedger | None = None) -> None:
        self._ledger = MemoryLedger() if ledger is None else ledger

    async def prepare(self) -> None:
        """Same as `Ledger.prepare`."""

    async def post(
        self,
        tenant: str,
        postings: Sequence[Posting],
        *,
        operation: str | None = None,
        digest: str | None = None,
        now: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Posted:
        """Same as `Ledger.post`."""
        return self._ledger.post(tenant, postings, operation=operation, digest=digest, now=now, tx=tx)

    async def balances(
        self,
        tenant: str,
        accounts: Sequence[AccountId],
        *,
        now: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Mapping[AccountId, Balance]:
        """Same as `Ledger.balances`."""
        return self._ledger.balances(tenant, accounts, now=now, tx=tx)

    async def hold(self, tenant: str, operation: str, *, now: Instant | None = None) -> KeptHold | None:
        """Same as `Ledger.hold`."""
        return self._ledger.hold(tenant, operation, now=now)

    async def slots(self, tenant: str, feature: str | None = None, *, now: Instant | None = None) -> Sequence[Slot]:
        """Same as `Ledger.slots`."""
        return self._ledger.slots(tenant, feature, now=now)

    async def lock(self, tenant: str, feature: str, *, tx: Transaction) -> None:
        """Same as `MemoryLedger.lock`."""
        self._ledger.lock(tenant, feature, tx=tx)

    async def claim_events(self, limit: int, lease: int, *, now: Instant | None = None) -> Sequence[UsageEvent]:
        """Same as `Ledger.claim_events`."""
        return self._ledger.claim_events(limit, lease, now=now)

    async def drop_events(self, ids: Sequence[str]) -> None:
        """Same as `Ledger.drop_events`."""
        self._ledger.drop_events(ids)

    async def entries(
        self, tenant: str, *, after: tuple[str, int] | None = None, limit: int = 500
    ) -> Sequence[KeptEntry]:
        """Same as `Ledger.entries`."""
        return self._ledger.entries(tenant, after=after, limit=limit)

    async def entries_of(self, tenant: str, operation: str) -> Sequence[KeptEntry]:
        """Same as `Ledger.entries_of`."""
        return self._ledger.entries_of(tenant, operation)

    async def tenants(self, *, after: str | None = None, limit: int = 500) -> Sequence[str]:
        """Same as `Ledger.tenants`."""
        return self._ledger.tenants(after=after, limit=limit)

    async def book(self, tenant: str) -> Book:
        """Same as `Ledger.book`."""
        return self._ledger.book(tenant)

    async def prune(self, before: Instant, *, limit: int = 1000) -> int:
        """Same as `Ledger.prune`."""
        return self._ledger.prune(before, limit=limit)

    async def forget(self, tenant: str, *, tx: Transaction | None = None) -> None:
        """Same as `Ledger.forget`."""
        self._ledger.forget(tenant, tx=tx)

    async def restore(self, tenant: str, book: Book, entries: Iterable[KeptEntry]) -> None:
        """Same as `Ledger.restore`."""
        self._ledger.restore(tenant, book, entries)

    async def aclose(self) -> None:
        """Same as `Ledger.close`."""


def _clock(now: Instant | None) -> Instant:
    return time.time_ns() // 1000 if now is None else now


def _write(kept: dict[K, V], changed: Mapping[K, V | None]) -> None:
    for key, value in changed.items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = value


def _fold(kept: _Kept, operation: str) -> int:
    """Forget an operation; what it moved is counted as folded."""
    parts = [part for part in (0, 1, 2) if (operation, part) in kept.entries]
    for part in parts:
        for take in kept.entries.pop((operation, part)).takes:
            account = take.meter, take.lot
            kept.folded[account] = kept.folded.get(account, 0) + take.used
    return len(parts)


def _sorted(slots: Iterable[Slot]) -> list[Slot]:
    return sorted(slots, key=lambda slot: (slot.feature.encode(), slot.since, slot.holder.encode()))


def _bytes(key: EntryId) -> tuple[bytes, int]:
    return key[0].encode(), key[1]


def _refuse(tx: Transaction | None) -> None:
    if tx is not None:
        raise _no_transaction()


def _no_transaction() -> ConfigurationError:
    return ConfigurationError("a memory ledger cannot join a transaction; leave tx= out, or open a database")
