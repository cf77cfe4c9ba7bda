"""What applications call to count: `consume` and what belongs to it. The flows decide; this performs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, cast

from payaid_entitlements.core.decision import Decision
from payaid_entitlements.core.identity import Operation
from payaid_entitlements.core.metering.usage import Usage
from payaid_entitlements.core.values import Amount
from payaid_entitlements.metering.act import WhenShort, act
from payaid_entitlements.metering.consuming import count, trying
from payaid_entitlements.metering.counting import Counters
from payaid_entitlements.metering.hearing import H, Handlers
from payaid_entitlements.metering.returning import refund
from payaid_entitlements.metering.showing import show
from payaid_entitlements.stores.ports import Transaction

if TYPE_CHECKING:
    from payaid_entitlements.cache.driving import Driver
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.metering.ending import Ending
    from payaid_entitlements.metering.leasing import Leases


class MeteringVerbs:
    """The verbs of `Entitlements` that count."""

    _driver: Driver
    _setting: Setting
    _handlers: Handlers
    _counters: Counters
    _leases: Leases | None
    _ending: Ending | None

    def consume(
        self,
        tenant: str,
        feature: str,
        amount: Amount = 1,
        *,
        operation: Operation,
        tx: Transaction | None = None,
        when_short: WhenShort = "reject",
        user: str | None = None,
        legacy: bool | None = None,
        occurred_at: datetime | None = None,
    ) -> Usage:
        """
        Use up *amount* of a quota or a credit, once for *operation*, or raise and count nothing.

        Atomic among all processes: of two who want the last unit exactly one gets it. Repeated with the same operation
        it counts nothing more and gives the `Usage` again, marked ``replayed``. What is spent from a lease (`Lease`)
        only this process knows: repeated by another one it counts again, and it cannot be refunded.

        Args:
            amount: An int, or a Decimal with no more digits than the feature has.
            operation: Your id of the act, the same on each try: a str, a UUID or a tuple such as
                ``("invoice", invoice.id)``. Remembered for 35 days, or as the ledger's URL says.
            tx: Your open transaction: your rows and the usage commit together, or neither does.
            when_short: When fewer are left: ``"reject"`` refuses; ``"cap"`` takes what is left and says how many in
                `Usage.taken`, and refuses when nothing is; ``"overflow"`` takes all and records what is beyond.
            user: Whose overrides count too.
            legacy: Your own old answer; decides until the module is enforced. Differences are counted.
            occurred_at: When it happened, where that was not now: at most 35 days ago and 5 minutes ahead. It counts in
                the window that runs now.

        Raises:
            QuotaExceeded: Too little is left; ``.decision.usage`` says how much.
            Refused: It is not sold to the tenant, or the tenant is suspended.
            OperationConflict: The operation was used before for something else.
            StoreUnavailable: No answer, whatever the feature's fail policy: who cannot count lets nobody pass.
            OutcomeUnknown: It may have been counted. Repeat it with the same operation: it counts once.
            TypeError: An id or the operation identifies nothing, the feature is not used up, or the amount no number.
            ConfigurationError: The amount, the time or *tx* is not possible, or there is no ledger.
        """
        leases = self._leases
        if (
            leases is not None
            and tx is None
            and when_short == "reject"
            and user is None
            and legacy is None
            and occurred_at is None
        ):
            spent = leases.spend(tenant, feature, amount, operation)
            if spent is not None:
                return spent
            if feature in leases.terms:
                flow = leases.consume(tenant, feature, amount, operation)
                try:
                    return self._driver.ask(flow)
                finally:
                    # At once where it was interrupted: what it was about to take is to be given back.
                    flow.close()
                    cast("Ending", self._ending).watch()
        asked = act(
            tenant,
            "consume",
            {feature: amount},
            operation,
            when_short=when_short,
            user=user,
            legacy=legacy,
            tx=tx,
            occurred_at=occurred_at,
        )
        counted = self._driver.ask(count(self._setting, self._handlers, asked))
        return counted.or_raise()[feature]

    def try_consume(
        self,
        tenant: str,
        feature: str,
        amount: Amount = 1,
        *,
        operation: Operation,
        tx: Transaction | None = None,
        when_short: WhenShort = "reject",
        user: str | None = None,
        legacy: bool | None = None,
        occurred_at: datetime | None = None,
    ) -> Decision:
        """
        Same as `consume`, but a refusal is a value: the decision, with ``.usage``. An outage is `store.unavailable`.

        Raises:
            OutcomeUnknown: It may have been counted, which is no decision.
            StoreUnavailable: No answer within *tx*, which has failed.
            OperationConflict, TypeError, ConfigurationError: As for `consume`.
        """
        asked = act(
            tenant,
            "consume",
            {feature: amount},
            operation,
            when_short=when_short,
            user=user,
            legacy=legacy,
            tx=tx,
            occurred_at=occurred_at,
        )
        return self._driver.ask(trying(self._setting, self._handlers, asked))

    def consume_many(
        self,
        tenant: str,
        amounts: Mapping[str, Amount],
        *,
        operation: Operation,
        tx: Transaction | None = None,
        when_short: WhenShort = "reject",
        user: str | None = None,
        legacy: bool | None = None,
        occurred_at: datetime | None = None,
    ) -> dict[str, Usage]:
        """
        Use up several features in one act: all of them, or none. Otherwise as `consume`.

        Args:
            amounts: By feature.
        """
        asked = act(
            tenant,
            "consume",
            amounts,
            operation,
            when_short=when_short,
            user=user,
            legacy=legacy,
            tx=tx,
            occurred_at=occurred_at,
        )
        counted = self._driver.ask(count(self._setting, self._handlers, asked))
        return counted.or_raise()

    def refund(
        self,
        tenant: str,
        *,
        operation: Operation,
        amounts: Mapping[str, Amount] | None = None,
        tx: Transaction | None = None,
    ) -> dict[str, Usage]:
        """
        Give back what *operation* has used up, once, to the lots that it was taken from.

        Args:
            operation: That of the `consume`, or of the reservation that was settled.
            amounts: By feature, at most what was used up of each; None for all of all.

        Returns:
            By feature of which units came back. Where credits had paid for it they came back. Of what is sold no more,
            and in an outage of the store, the limit is 0.

        Raises:
            UnknownOperation: It used up nothing, or was too long ago.
            OperationConflict: It was given back before, in another amount; or is a reservation that is open.
            ConfigurationError: More than was used up.
            StoreUnavailable: No answer, and nothing was given back.
        """
        return self._driver.ask(refund(self._setting, tenant, operation, amounts, tx))

    def usage(
        self, tenant: str, *features: str, user: str | None = None, tx: Transaction | None = None
    ) -> dict[str, Usage]:
        """
        Read how much is used and left, in one statement; of all metered features that are sold where none is named.

        Args:
            tx: Your open transaction: what it has used is in it, and your own rows (``count: host``) are counted in it.

        Raises:
            UnknownFeature: The catalog has no such feature.
            TypeError: A feature is of a kind that is not counted, or is counted on your own rows and there is no *tx*.
            StoreUnavailable: No answer.
        """
        return self._driver.ask(show(self._setting, tenant, features, user, tx=tx, counters=self._counters))

    def on(self, event: str) -> Callable[[H], H]:
        """
        Call the decorated function when something has happened: ``@ent.on("usage.threshold")``.

        After the commit, in the thread of the process that did it, or of one that meters later where that one died: at
        least once, and once as a rule (`Event.id`). What it raises is logged and counted, and it is called again.

        Raises:
            ConfigurationError: There is no such event, or the function would have to be awaited.
        """
        return lambda handler: self._handlers.add(event, handler)
