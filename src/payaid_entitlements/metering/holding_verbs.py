"""What applications call to set units aside, and to give slots. The flows decide; this performs them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from payaid_entitlements.core.decision import Decision
from payaid_entitlements.core.identity import Operation
from payaid_entitlements.core.metering.assignment import Assignment
from payaid_entitlements.core.metering.usage import Usage
from payaid_entitlements.core.values import Amount
from payaid_entitlements.metering import assigning, holding
from payaid_entitlements.metering.counting import Counters, require_room
from payaid_entitlements.metering.reservations import EXPIRES_IN, Reservation
from payaid_entitlements.stores.ports import Transaction

if TYPE_CHECKING:
    from payaid_entitlements.cache.driving import Driver
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.metering.hearing import Handlers


class HoldingVerbs:
    """The verbs of `Entitlements` for reservations, slots and limits over the host's own rows."""

    _driver: Driver
    _setting: Setting
    _handlers: Handlers
    _counters: Counters

    def reserve(
        self,
        tenant: str,
        feature: str,
        amount: Amount,
        *,
        operation: Operation,
        expires_in: timedelta = EXPIRES_IN,
    ) -> Reservation:
        """
        Set *amount* of a quota or a credit aside around slow work, once for *operation*::

            with ent.reserve("acme", "crm.ai_summaries", 8, operation=("summary", job.id)) as hold:
                answer = llm(prompt)
                hold.settle(answer.pages)

        A block that ends without `Reservation.settle` charges all, one that raises before it releases all. It takes no
        ``tx``: a row would be locked for minutes. Repeated with the same operation it finds the same hold, and a block
        that raises then leaves it to who made it; what an earlier attempt has given back is set aside anew.

        Args:
            amount: As much as may be used.
            operation: Your id of the act, as for `consume`; it finds the hold in another process.
            expires_in: Given back by itself after so long, by the ledger's clock: when the process was killed.

        Raises:
            QuotaExceeded: Less is left; ``.decision.usage`` says how much.
            Refused: It is not sold to the tenant, or the tenant is suspended.
            OperationConflict: The operation was used before for something else, or another amount.
            StoreUnavailable: No answer, whatever the feature's fail policy.
            OutcomeUnknown: It may be set aside. Repeat it with the same operation; else it expires.
            TypeError, ConfigurationError: As for `consume`, and *expires_in* is no time or longer than 366 days.
        """
        held = self._driver.ask(
            holding.reserve(
                self._setting, self._handlers, tenant, feature, amount, operation=operation, expires_in=expires_in
            )
        )
        return Reservation(self._driver, self._setting, self._handlers, held)

    def reservation(self, tenant: str, operation: Operation) -> Reservation:
        """
        Find what `reserve` has set aside, in another process. Settling says so where it is too late.

        Raises:
            UnknownOperation: Nothing was ever reserved by this operation, or long ago.
            StoreUnavailable: No answer.
        """
        held = self._driver.ask(holding.find(self._setting, tenant, operation))
        return Reservation(self._driver, self._setting, self._handlers, held, is_watched=False)

    def assign(
        self,
        tenant: str,
        feature: str,
        holder: str,
        *,
        expires_in: timedelta | None = None,
        tx: Transaction | None = None,
    ) -> Assignment:
        """
        Give a slot of an allocation to *holder*, who has one at most; repeating it gives no second one.

        Atomic among all processes. Who has a slot keeps it when the plan gets smaller; new ones are refused then.

        Args:
            holder: Your id of who or what holds it: ``f"member:{member.id}"``.
            expires_in: Freed by itself after so long, by the ledger's clock; None for never. Given again, it counts
                anew.
            tx: Your open transaction: your row and the slot commit together, or neither does.

        Raises:
            QuotaExceeded: No slot is free; ``.decision.usage`` says how many there are.
            Refused: None is sold to the tenant, or the tenant is suspended.
            StoreUnavailable: No answer, whatever the feature's fail policy. `OutcomeUnknown`: repeat it.
            TypeError: An id identifies nothing, or the feature is no allocation.
            ConfigurationError: It is counted on your own rows; *expires_in* or *tx* is not possible; no ledger.
        """
        wanted = assigning.seat(tenant, feature, holder, expires_in=expires_in, tx=tx)
        return self._driver.ask(assigning.assign(self._setting, wanted))

    def try_assign(
        self,
        tenant: str,
        feature: str,
        holder: str,
        *,
        expires_in: timedelta | None = None,
        tx: Transaction | None = None,
    ) -> Decision:
        """
        Same as `assign`, but a refusal is a value: the decision, with ``.usage``. An outage is `store.unavailable`.

        Raises:
            OutcomeUnknown: It may have been given, which is no decision.
            StoreUnavailable: No answer within *tx*, which has failed.
            TypeError, ConfigurationError: As for `assign`.
        """
        wanted = assigning.seat(tenant, feature, holder, expires_in=expires_in, tx=tx)
        return self._driver.ask(assigning.try_assign(self._setting, wanted))

    def unassign(self, tenant: str, feature: str, holder: str, *, tx: Transaction | None = None) -> None:
        """
        Free the slot of *holder*; who has none has none. Also of a feature that is sold no more.

        Raises:
            StoreUnavailable: No answer. `OutcomeUnknown`: repeat it.
            UnknownFeature: The key is in no catalog, and the client is strict.
            TypeError, ConfigurationError: As for `assign`.
        """
        wanted = assigning.seat(tenant, feature, holder, tx=tx)
        self._driver.ask(assigning.unassign(self._setting, wanted))

    def reassign(self, tenant: str, feature: str, holder: str, to: str, *, tx: Transaction | None = None) -> Assignment:
        """
        Hand the slot of *holder* over to *to*, at once: an invitation becomes a member, and nobody takes it in between.

        It does not expire any more, whatever `assign` has said of the invitation. Repeated, where *holder* has none and
        *to* has one, it answers with that, ``replayed``: an invitation that is accepted twice, or a lost reply.

        Raises:
            SlotTaken: Both have one, or neither.
            StoreUnavailable: No answer. `OutcomeUnknown`: repeat it.
            UnknownFeature, TypeError, ConfigurationError: As for `unassign`.
        """
        wanted = assigning.seat(tenant, feature, holder, tx=tx)
        return self._driver.ask(assigning.reassign(self._setting, wanted, to))

    def assignments(self, tenant: str, feature: str) -> list[Assignment]:
        """
        List who holds slots of *feature*, who holds one longest first.

        Raises:
            StoreUnavailable: No answer.
            UnknownFeature, TypeError, ConfigurationError: As for `unassign`.
        """
        return self._driver.ask(assigning.assignments(self._setting, tenant, feature))

    def require_room(self, tenant: str, feature: str, amount: int = 1, *, tx: Transaction) -> Usage:
        """
        Return only if there is room for *amount* more of your own rows, which you are about to add in *tx*.

        For allocations with ``count: host``. Your rows are counted by the function below ``@ent.counts(feature)``,
        under a lock of this tenant and feature that is held until *tx* ends: whoever else asks for room waits.

        Returns:
            How many there are, without those that you are about to add.

        Raises:
            QuotaExceeded: There is no room; ``.decision.usage`` says how many there are.
            Refused: None is sold to the tenant, or the tenant is suspended.
            ChangeConflict: *tx* sees the database as it was before others added theirs; begin it again.
            StoreUnavailable: No answer.
            TypeError: The feature is no allocation, or what counts it gave no number.
            ConfigurationError: It is counted by the ledger; nothing counts it; *amount* or *tx* is not possible.
        """
        return self._driver.ask(require_room(self._setting, self._counters, tenant, feature, amount, tx))
