"""
Every exception that this library raises on purpose.

::

    EntitlementError
    ├── Refused                    raised by require() and the guards; carries .decision .tenant .reference
    │   ├── NotEntitled            the plan, an add-on or an override would have to change
    │   ├── SubscriptionExpired    a trial or subscription has ended, is past due or paused
    │   ├── TenantSuspended        suspended or revoked by the vendor; paying more does not help
    │   ├── QuotaExceeded          it is sold, and used up: a quota, a credit, the last slot
    │   ├── RateLimited            too many calls in too short a time; carries .outcome
    │   └── NotReleased            a flag does not let them in (yet); there is nothing to buy
    ├── OperationConflict          the same operation was used before for something else
    ├── OperationUnnamed           a request that uses something up does not say what it does
    ├── ReservationExpired         a hold was not settled in time, or was released; nothing was charged
    ├── ChangeConflict             somebody else changed the same thing first; carries what changed
    ├── SlotTaken                  a slot cannot be handed over: both hold one, or neither does
    ├── UnknownTenant, UnknownPlan, UnknownFeature, UnknownFlag, UnknownRateLimit,
    │   UnknownOperation, NoCurrentTenant                                                        LookupErrors
    ├── ViewExpired                a view was kept longer than one request
    ├── TenantUnidentified         a request of nobody: the host's login named no tenant
    ├── TenantConflict             a request of two: what names its tenant disagrees
    ├── RouteUnknown               a table of routes does not know the path of a request
    ├── UnknownApiVersion          which version of the host's API a request asks for is not known, or it is none
    ├── ModuleFailed               a module of the host raised; __cause__ has what
    ├── ModuleUnavailable          it did so again and again, and is left alone for a moment
    ├── StoreUnavailable           the driver's error is __cause__
    │   ├── OutcomeUnknown         a write got no answer; repeat it with the same .operation
    │   ├── StoreIncomplete        a backup is being read into the store, or that was broken off
    │   └── StoreDamaged           also ValueError: what is stored cannot be read
    └── ConfigurationError         also ValueError: our caller's mistake, raised at start-up
        ├── CatalogInvalid         carries every problem found, not only the first
        ├── FlagsInvalid           so does this, of flags: of a file to import, or that another format cannot say
        ├── BackupInvalid          a backup file is damaged, cut short, no backup, or of a later release
        ├── StoreNotEmpty          a backup is read into an empty store only
        └── SchemaOutOfDate        the database lacks a migration; the message has the command

A wrong *kind* of argument (an id that identifies nobody, a naive datetime, a sync call
inside a running event loop) is a plain ``TypeError``: no program should catch it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal, TypeAlias

    from payaid_entitlements.core.decision import Decision
    from payaid_entitlements.core.written.problems import Problem
    from payaid_entitlements.limiting.outcome import RateLimitOutcome

    VersionProblem: TypeAlias = Literal["unknown", "conflict", "missing", "retired", "absent"]


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


class RateLimited(Refused):
    """
    More calls were made than a rate limit lets through, or an override lets none. It was not counted.

    Attributes:
        outcome: Which policy had no room, and when there is some.
        tenant: Whose call it was; empty where it was limited by its address and nobody had logged in.
    """

    def __init__(self, outcome: RateLimitOutcome, *, tenant: str) -> None:
        self.outcome = outcome
        # Without a reference: whoever is refused a thousand times a second must not cost more than the answer.
        super().__init__(outcome.decision(), tenant=tenant)

    def __reduce__(self) -> tuple[object, ...]:
        return _restore_limited, (self.outcome, self.tenant)


def _restore_limited(outcome: RateLimitOutcome, tenant: str) -> RateLimited:
    return RateLimited(outcome, tenant=tenant)


class NotReleased(Refused):
    """A flag does not let this tenant or user in, or is switched off; ``.decision.source`` names it."""


class OperationConflict(EntitlementError):
    """An *operation* was repeated with other content than the first time."""


class OperationUnnamed(EntitlementError):
    """A request that uses something up names no operation: its ``Idempotency-Key`` is missing, or no key."""


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


class UnknownFlag(EntitlementError, LookupError):
    """Neither the catalog nor the flag set has a flag of this key."""


class UnknownRateLimit(EntitlementError, LookupError):
    """The catalog has no rate limit of this key."""


class UnknownOperation(EntitlementError, LookupError):
    """Nothing is known of what is to be settled, released, extended or refunded: never done, or long ago."""


class NoCurrentTenant(EntitlementError, LookupError):
    """Nothing is bound: a guard or ``current_tenant()`` ran outside a request and ``ent.bind(...)``."""


class ViewExpired(EntitlementError):
    """A view was asked long after it was made; take a new one for each request."""


class TenantUnidentified(EntitlementError):
    """A request of nobody: what the host verified names no tenant. Never a default tenant."""


class TenantConflict(EntitlementError):
    """
    What names the tenant of a request disagrees: its token and its address, two fields of one name.

    Attributes:
        found: Each place that named one, and whom; it goes into the log, never to the client.
    """

    def __init__(self, found: Mapping[str, str]) -> None:
        self.found = dict(found)
        super().__init__(f"a request names several tenants: by {', '.join(self.found)}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.found,)


class RouteUnknown(EntitlementError):
    """A request for a path that no pattern of a table matches, or that could be read in two ways."""


class UnknownApiVersion(EntitlementError):
    """
    A request asks for a version of the host's API that it cannot have.

    Attributes:
        kind: ``unknown``: there is none of this name. ``conflict``: it asks for several. ``missing``: it names none
            and must. ``retired``: that one has ended. ``absent``: that one has no such route.
        versions: The names of those that it can have, the oldest first.
        fields: Fields of the answer: what was said of the version before it ended.
    """

    def __init__(self, kind: VersionProblem, versions: Sequence[str], fields: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self.versions = tuple(versions)
        self.fields = dict(fields or {})
        super().__init__(f"the version of the API is {kind}; there is {', '.join(self.versions)}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.kind, self.versions, self.fields)


class ModuleFailed(EntitlementError):
    """
    Code of the host inside ``module_boundary(...)`` raised what is no answer to a request.

    Attributes:
        module: Key of the module.
        reference: To quote to support; the log has it beside the error.
    """

    def __init__(self, module: str, *, reference: str) -> None:
        super().__init__(f"the module {module!r} failed (reference {reference})")
        self.module = module
        self.reference = reference

    def __reduce__(self) -> tuple[object, ...]:
        return _restore_failed, (self.module, self.reference)


def _restore_failed(module: str, reference: str) -> ModuleFailed:
    return ModuleFailed(module, reference=reference)


class ModuleUnavailable(EntitlementError):
    """
    A module has failed repeatedly and is left alone for a moment, so that what it waits for can recover.

    Attributes:
        module: Key of the module.
    """

    def __init__(self, module: str) -> None:
        super().__init__(f"the module {module!r} has failed repeatedly and is left alone for a moment")
        self.module = module

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.module,)


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


class FlagsInvalid(ConfigurationError):
    """
    Flags cannot be read, or cannot be written in another format without changing what they mean.

    Attributes:
        problems: All of them, each with its place: ``flags.new-checkout.state``.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        # One slip in an evaluator that all flags name is a problem of each.
        lines = "\n".join(f"  {_placed(problem)}" for problem in self.problems[:_MOST_LINES])
        more = f"\n  and {count - _MOST_LINES:,} more" if count > _MOST_LINES else ""
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the flags:\n{lines}{more}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.problems,)


#: Problems that a message lists; the exception carries all.
_MOST_LINES = 100


def _placed(problem: Problem) -> str:
    where = problem.file if problem.line is None else f"{problem.file}:{problem.line}"
    return f"{where}: {problem.path or 'the whole'}: {problem.message} [{problem.code}]"
