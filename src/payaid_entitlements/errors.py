"""
Every exception that this library raises on purpose.

::

    EntitlementError
    ├── Refused                    raised by require() and the guards; carries .decision .tenant .reference
    │   ├── NotEntitled            the plan, an add-on or an override would have to change
    │   ├── SubscriptionExpired    a trial or subscription has ended, is past due or paused
    │   ├── TenantSuspended        suspended or revoked by the vendor; paying more does not help
    │   └── QuotaExceeded          it is sold, and used up: a quota, a credit, the last slot
    ├── OperationConflict          the same operation was used before for something else
    ├── ReservationExpired         a hold was not settled in time, or was released; nothing was charged
    ├── ChangeConflict             somebody else changed the same thing first; carries what changed
    ├── SlotTaken                  a slot cannot be handed over: both hold one, or neither does
    ├── UnknownTenant, UnknownPlan, UnknownFeature, UnknownOperation, NoCurrentTenant           also LookupError
    ├── ViewExpired                a view was kept longer than one request
    ├── TenantUnidentified         a request of nobody: the host's login named no tenant
    ├── StoreUnavailable           the driver's error is __cause__
    │   ├── OutcomeUnknown         a write got no answer; repeat it with the same .operation
    │   ├── StoreIncomplete        a backup is being read into the store, or that was broken off
    │   └── StoreDamaged           also ValueError: what is stored cannot be read
    └── ConfigurationError         also ValueError: our caller's mistake, raised at start-up
        ├── CatalogInvalid         carries every problem found, not only the first
        ├── BackupInvalid          a backup file is damaged, cut short, no backup, or of a later release
        ├── StoreNotEmpty          a backup is read into an empty store only
        └── SchemaOutOfDate        the database lacks a migration; the message has the command

A wrong *kind* of argument (an id that identifies nobody, a naive datetime, a sync call
inside a running event loop) is a plain ``TypeError``: no program should catch it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payaid_entitlements.core.catalog.problems import Problem
    from payaid_entitlements.core.decision import Decision


class EntitlementError(Exception):
    """Root of all errors of this library."""


class Refused(EntitlementError):
    """
    Raised when somebody had to be entitled and is not.

    Attributes:
        decision: The refusal as a value: reason, feature, advisories.
        tenant: Whose request was refused.
        reference: Short code to quote to support; ``payaid explain --reference`` reads it.
    """

    def __init__(self, decision: Decision, *, tenant: str, reference: str = "") -> None:
        self.decision = decision
        self.tenant = tenant
        self.reference = reference
        quoted = f" (reference {reference})" if reference else ""
        super().__init__(f"{decision.feature!r} is refused: {decision.reason.value}{quoted}")

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling; task queues pickle exceptions.
        return _restore, (type(self), self.decision, self.tenant, self.reference)


def _restore(kind: type[Refused], decision: Decision, tenant: str, reference: str) -> Refused:
    return kind(decision, tenant=tenant, reference=reference)


class NotEntitled(Refused):
    """What the tenant holds does not include the feature."""


class SubscriptionExpired(Refused):
    """The tenant's trial or subscription has ended, is past due or is paused."""


class TenantSuspended(Refused):
    """The tenant is suspended or revoked."""


class QuotaExceeded(Refused):
    """What is sold of it is used up; ``.decision.usage`` has the numbers. Nothing was counted."""


class OperationConflict(EntitlementError):
    """An *operation* was repeated with other content than the first time."""


class ReservationExpired(EntitlementError):
    """
    A hold that was to be settled or extended had expired, or was released. Nothing was charged.

    Consume what was used as an operation of its own, if it is to be charged all the same.

    Attributes:
        operation: Of the hold.
    """

    def __init__(self, message: str, *, operation: str) -> None:
        super().__init__(message)
        self.operation = operation

    def __reduce__(self) -> tuple[object, ...]:
        return _restore_expired, (self.args[0], self.operation)


def _restore_expired(message: str, operation: str) -> ReservationExpired:
    return ReservationExpired(message, operation=operation)


class SlotTaken(EntitlementError):
    """A slot cannot be handed over: who is to give it and who is to get it both have one, or neither has."""


class ChangeConflict(EntitlementError):
    """
    A change was based on a revision that is no longer the newest.

    Attributes:
        expected: The revision that the change was based on.
        found: The revision that is in the store now; *expected* again where the database has ended one of those who
            waited for each other, and nobody knows it.
    """

    def __init__(self, message: str, *, expected: int, found: int) -> None:
        super().__init__(message)
        self.expected = expected
        self.found = found

    def __reduce__(self) -> tuple[object, ...]:
        return _restore_conflict, (self.args[0], self.expected, self.found)


def _restore_conflict(message: str, expected: int, found: int) -> ChangeConflict:
    return ChangeConflict(message, expected=expected, found=found)


class UnknownTenant(EntitlementError, LookupError):
    """No fact was ever recorded about this tenant."""


class UnknownPlan(EntitlementError, LookupError):
    """The catalog has no plan or add-on of this key."""


class UnknownFeature(EntitlementError, LookupError):
    """The catalog has no module or feature of this key."""


class UnknownOperation(EntitlementError, LookupError):
    """Nothing is known of what is to be settled, released, extended or refunded: never done, or long ago."""


class NoCurrentTenant(EntitlementError, LookupError):
    """Nothing is bound: a guard or ``current_tenant()`` ran outside a request and ``ent.bind(...)``."""


class ViewExpired(EntitlementError):
    """A view was asked long after it was made; take a new one for each request."""


class TenantUnidentified(EntitlementError):
    """A request of nobody: what the host verified names no tenant. Never a default tenant."""


class StoreUnavailable(EntitlementError):
    """The store gave no answer, and nothing recent enough is known. Never means "not entitled"."""


class OutcomeUnknown(StoreUnavailable):
    """
    A write got no answer: it may or may not have happened.

    Attributes:
        operation: Repeat the call with this operation to find out; it then takes effect once.
    """

    def __init__(self, message: str, *, operation: str | None = None) -> None:
        super().__init__(message)
        self.operation = operation


class StoreDamaged(StoreUnavailable, ValueError):
    """
    What is stored cannot be read: it is damaged, of somebody else, or of a newer release.

    No answer is made of the parts that can be read: a suspension may be in the others.
    """


class StoreIncomplete(StoreUnavailable):
    """A backup is being read into the store, or that was broken off and must be done again."""


class ConfigurationError(EntitlementError, ValueError):
    """The program that embeds the library is set up wrongly."""


class SchemaOutOfDate(ConfigurationError):
    """The database's tables are missing or older than this version needs."""


class BackupInvalid(ConfigurationError):
    """A backup file cannot be used: it is damaged, cut short, no backup at all, or of a later release."""


class StoreNotEmpty(ConfigurationError):
    """A store is filled from a backup only where nothing was ever written to it."""


class CatalogInvalid(ConfigurationError):
    """
    A catalog cannot be used.

    Attributes:
        problems: All of them, in the order of the file.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the catalog:\n{lines}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.problems,)
