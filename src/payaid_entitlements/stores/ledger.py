"""
What a ledger must promise: the `Ledger` protocol, its async twin, and what passes through them.

A ledger counts; it decides by what each posting brings and by nothing else. Every sentence below is a test in
`payaid_entitlements.testing.LedgerContract`, which runs on every ledger in both colours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.kept import Book, KeptAccount, KeptEntry, KeptHold, UsageEvent
from payaid_entitlements.core.metering.posting import AccountId, Balance, Posted, Posting, Slot
from payaid_entitlements.stores.ports import Concern, Transaction

__all__ = ["AsyncLedger", "Book", "KeptAccount", "KeptEntry", "KeptHold", "Ledger", "UsageEvent"]


class Ledger(Protocol):
    """
    Usage, holds and slots of tenants: atomic, idempotent by operation, never cached.

    Every method may raise `StoreUnavailable`, with the driver's error as its cause. Identifiers are compared by their
    bytes. ``now`` is the ledger's own clock where it is None; tests hand in theirs.
    """

    @property
    def name(self) -> str:
        """Where this is, for people: without a password."""
        ...

    @property
    def is_durable(self) -> bool:
        """False where what is counted is lost with the process that keeps it, or where that is not known yet."""
        ...

    @property
    def concerns(self) -> Sequence[Concern]:
        """What about this ledger, as it is configured, breaks a promise. Complete after `prepare`."""
        ...

    @property
    def keeps_for(self) -> int:
        """Microseconds for which operations are remembered at least: 32 days or more."""
        ...

    def prepare(self) -> None:
        """Make ready for use, as `Store.prepare`."""
        ...

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
        """
        Carry out all of *postings*, or none.

        Must be atomic among all processes: of two that want the last unit exactly one gets it. Holds and slots that
        have expired are free before anybody is refused. The same operation takes effect once, also when two do it at
        once: the second gets what the first got, ``replayed``. A shortage is not remembered: repeated, it is decided
        anew.

        Args:
            postings: At least one, and besides `Debit` each kind alone. Of debits each has a feature of its own; where
                one account pays for several, each finds what those before it have left, and a mark is reached once.
            operation: The caller's id of the act; required for `Debit`, `Hold` and `Adjust`, where it makes the hold's
                name too. Others are known by what they are about.
            digest: What the same act, repeated, is known by; given with *operation*.
            tx: The host's open transaction to join; it commits, or nothing happened.

        Raises:
            OperationConflict: The operation was used before for another act; a hold was settled by another amount, or
                a refund repeated with another.
            ReservationExpired: A hold to settle or extend has expired or was released.
            UnknownOperation: Nothing is known of what is to be settled, released, extended or refunded.
            SlotTaken: `Reassign` between two of whom both have a slot, or neither.
            OutcomeUnknown: No answer. Repeat with the same operation to find out.
            ConfigurationError: *tx* is not an open transaction of this ledger's database.
        """
        ...

    def balances(
        self,
        tenant: str,
        accounts: Sequence[AccountId],
        *,
        now: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Mapping[AccountId, Balance]:
        """
        Read *accounts* in one statement; those to which nothing was ever posted are absent.

        What is held does not count where the hold has expired, nor do slots that have: their account is the feature's
        with the lot `SLOTS`, where *used* is how many there are.
        """
        ...

    def hold(self, tenant: str, operation: str, *, now: Instant | None = None) -> KeptHold | None:
        """Read the hold that *operation* made; None where it is settled, released, expired or was never made."""
        ...

    def slots(self, tenant: str, feature: str | None = None, *, now: Instant | None = None) -> Sequence[Slot]:
        """List who holds slots, of *feature* or of all, by feature, then by since, then by holder."""
        ...

    def lock(self, tenant: str, feature: str, *, tx: Transaction) -> None:
        """
        Let no other transaction past this for *tenant* and *feature* until the host's *tx* ends.

        What *tx* reads afterwards is what the others before it have committed.

        Raises:
            ChangeConflict: *tx* sees the database as it was before somebody else passed; the host must begin again.
            ConfigurationError: As in `post`.
        """
        ...

    def claim_events(self, limit: int, lease: int, *, now: Instant | None = None) -> Sequence[UsageEvent]:
        """
        Take the oldest events that nobody has claimed within *lease* microseconds; each is told at least once.

        Those of a transaction that is open are not there yet, and are not waited for.
        """
        ...

    def drop_events(self, ids: Sequence[str]) -> None:
        """Forget events that were told."""
        ...

    def entries(self, tenant: str, *, after: tuple[str, int] | None = None, limit: int = 500) -> Sequence[KeptEntry]:
        """Read what is kept of a tenant's acts, by (operation, part), behind *after*."""
        ...

    def entries_of(self, tenant: str, operation: str) -> Sequence[KeptEntry]:
        """Read what is kept of one act and of what became of it, by part, whatever else is kept of the tenant."""
        ...

    def tenants(self, *, after: str | None = None, limit: int = 500) -> Sequence[str]:
        """List tenants of whom anything is kept, by their id, byte by byte, behind *after*."""
        ...

    def book(self, tenant: str) -> Book:
        """Read all accounts, holds (also those that have expired) and slots of a tenant, as they are kept."""
        ...

    def prune(self, before: Instant, *, limit: int = 1000) -> int:
        """
        Forget entries from before *before*, about *limit*; their movements stay in the balances, as ``folded``.

        Never those of an open hold, nor those younger than `keeps_for`. An operation is forgotten as a whole, when
        the last of its entries may be: what was given back of it is not to be given back again.

        Returns:
            How many were forgotten.
        """
        ...

    def forget(self, tenant: str, *, tx: Transaction | None = None) -> None:
        """Forget everything about a tenant."""
        ...

    def restore(self, tenant: str, book: Book, entries: Iterable[KeptEntry]) -> None:
        """
        Write what another ledger kept of *tenant*, of whom nothing is kept here.

        What is there already stays as it is, so repeating it is harmless.
        """
        ...

    def close(self) -> None:
        """Let go of connections of its own."""
        ...


class AsyncLedger(Protocol):
    """Same as `Ledger`, awaited."""

    @property
    def name(self) -> str:
        """Same as `Ledger.name`."""
        ...

    @property
    def is_durable(self) -> bool:
        """Same as `Ledger.is_durable`."""
        ...

    @property
    def concerns(self) -> Sequence[Concern]:
        """Same as `Ledger.concerns`."""
        ...

    @property
    def keeps_for(self) -> int:
        """Same as `Ledger.keeps_for`."""
        ...

    async def prepare(self) -> None:
        """Same as `Ledger.prepare`."""
        ...

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
        ...

    async def balances(
        self,
        tenant: str,
        accounts: Sequence[AccountId],
        *,
        now: Instant | None = None,
        tx: Transaction | None = None,
    ) -> Mapping[AccountId, Balance]:
        """Same as `Ledger.balances`."""
        ...

    async def hold(self, tenant: str, operation: str, *, now: Instant | None = None) -> KeptHold | None:
        """Same as `Ledger.hold`."""
        ...

    async def slots(self, tenant: str, feature: str | None = None, *, now: Instant | None = None) -> Sequence[Slot]:
        """Same as `Ledger.slots`."""
        ...

    async def lock(self, tenant: str, feature: str, *, tx: Transaction) -> None:
        """Same as `Ledger.lock`."""
        ...

    async def claim_events(self, limit: int, lease: int, *, now: Instant | None = None) -> Sequence[UsageEvent]:
        """Same as `Ledger.claim_events`."""
        ...

    async def drop_events(self, ids: Sequence[str]) -> None:
        """Same as `Ledger.drop_events`."""
        ...

    async def entries(
        self, tenant: str, *, after: tuple[str, int] | None = None, limit: int = 500
    ) -> Sequence[KeptEntry]:
        """Same as `Ledger.entries`."""
        ...

    async def entries_of(self, tenant: str, operation: str) -> Sequence[KeptEntry]:
        """Same as `Ledger.entries_of`."""
        ...

    async def tenants(self, *, after: str | None = None, limit: int = 500) -> Sequence[str]:
        """Same as `Ledger.tenants`."""
        ...

    async def book(self, tenant: str) -> Book:
        """Same as `Ledger.book`."""
        ...

    async def prune(self, before: Instant, *, limit: int = 1000) -> int:
        """Same as `Ledger.prune`."""
        ...

    async def forget(self, tenant: str, *, tx: Transaction | None = None) -> None:
        """Same as `Ledger.forget`."""
        ...

    async def restore(self, tenant: str, book: Book, entries: Iterable[KeptEntry]) -> None:
        """Same as `Ledger.restore`."""
        ...

    async def aclose(self) -> None:
        """Same as `Ledger.close`."""
        ...
