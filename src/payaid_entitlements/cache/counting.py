"""
What a flow asks of a ledger: each step is one call of the port, the same in both colours.

They are `Step`s like those for a store. `on` gives what the ledger answers: of an asynchronous one that is awaited.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.posting import AccountId, Posting
from payaid_entitlements.stores.ledger import AsyncLedger, Ledger
from payaid_entitlements.stores.ports import Transaction


class LedgerStep:
    """
    One call of a ledger.

    Attributes:
        is_write: Whether it was done must be known: it has the time of a change, also within a question.
    """

    # No `ABC`, of which each question whether a step is one costs three times as much.
    __slots__ = ()

    is_write: bool = True

    @property
    def is_joined(self) -> bool:
        """It runs in the host's own transaction, on the host's connection."""
        return getattr(self, "tx", None) is not None

    @abstractmethod
    def on(self, ledger: Ledger | AsyncLedger) -> Any:
        """Call *ledger*."""


class _Reading(LedgerStep):
    __slots__ = ()

    is_write = False


@dataclass(frozen=True, slots=True)
class PrepareLedger(_Reading):
    """Make the ledger ready, or see whether it still answers. Answer: nothing."""

    def on(self, ledger: Ledger | AsyncLedger) -> Any:
        """Same as `LedgerStep.on`."""
        return ledger.prepare()


@dataclass(frozen=True, slots=True)
class Post(LedgerStep):
    """Post. Answer: `Posted`."""

    tenant: str
    postings: Sequence[Posting]
    operation: str | None = None
    digest: str | None = None
    now: Instant | None = None
    tx: Transaction | None = None

    def on(self, ledger: Ledger | AsyncLedger) -> Any:
        """Same as `LedgerStep.on`."""
        return ledger.post(
            self.tenant, self.postings, operation=self.operation, digest=self.digest, now=self.now, tx=self.tx
        )


@dataclass(frozen=True, slots=True)
class ReadBalances(_Reading):
    """Read accounts in one statement. Answer: `Balance` by account; those without a posting are absent."""

    tenant: str
    accounts: Sequence[AccountId]
    now: Instant | None = None
    tx: Transaction | None = None

    def on(self, ledger: Ledger | AsyncLedger) -> Any:
        """Same as `LedgerStep.on`."""
        return ledger.balances(self.tenant, self.accounts, now=self.now, tx=self.tx)


@dataclass(frozen=True, slots=True)
class ReadHold(_Reading):
    """Read the open hold of an operation. Answer: `KeptHold` or None."""

    tenant: str
    operation: str
    now: Instant | None = None

    def on(self, ledger: Ledger | AsyncLedger) -> Any:
        """Same as `LedgerStep.on`."""
        return ledger.hold(self.tenant, self.operation, now=self.now)


@dataclass(frozen=True, slots=True)
class ReadSlots(_Reading):
    """List who holds slots. Answer: a sequence of `Slot`."""

    tenant: str
    feature: str | None = None
    now: Instant | None = None

    def on(self, ledger: Ledger | AsyncLedger) -> Any:
        """Same as `LedgerStep.on`."""
        return ledger.slots(self.tenant, self.feature, now=self.now)


@dataclass(frozen=True, slots=True)
class LockRows(LedgerStep):
    """Let nobody else past this until the host's transaction ends. Answer: nothing."""

    tenant: str
    feature: str
    tx: Transaction

    def on(self, ledger: Ledger | AsyncLedger) -> Any:
        """Same as `LedgerStep.on`."""
        return ledger.lock(self.tenant, self.feature, tx=self.tx)


@dataclass(frozen=True, slots=True)
class ClaimEvents(LedgerStep):
    """Take events to tell; *lease* in microseconds. Answer: a sequence of `UsageEvent`."""

    limit: int
    lease: int
    now: Instant | None = None

    def on(self, ledger: Ledger | AsyncLedger) -> Any:
        """Same as `LedgerStep.on`."""
        return ledger.claim_events(self.limit, self.lease, now=self.now)


@dataclass(frozen=True, slots=True)
class DropEvents(LedgerStep):
    """Forget events that were told. Answer: nothing."""

    ids: Sequence[str]

    def on(self, ledger: Ledger | AsyncLedger) -> Any:
        """Same as `LedgerStep.on`."""
        return ledger.drop_events(self.ids)


@dataclass(frozen=True, slots=True)
class ForgetUsage(LedgerStep):
    """Forget all that was counted of a tenant; where there is no ledger, nothing was. Answer: nothing."""

    tenant: str
    tx: Transaction | None = None

    def on(self, ledger: Ledger | AsyncLedger) -> Any:
        """Same as `LedgerStep.on`."""
        return ledger.forget(self.tenant, tx=self.tx)


@dataclass(frozen=True, slots=True)
class ReadAct(_Reading):
    """Read what is kept of an act and of what became of it. Answer: a sequence of `KeptEntry`."""

    tenant: str
    operation: str

    def on(self, ledger: Ledger | AsyncLedger) -> Any:
        """Same as `LedgerStep.on`."""
        return ledger.entries_of(self.tenant, self.operation)
