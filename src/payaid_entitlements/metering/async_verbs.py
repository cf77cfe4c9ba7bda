"""The verbs of `AsyncEntitlements` that count: same as those of `Entitlements`, awaited."""

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
    from payaid_entitlements.cache.driving import AsyncDriver
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.metering.ending import AsyncEnding
    from payaid_entitlements.metering.leasing import Leases


class AsyncMeteringVerbs:
    """Same as `MeteringVerbs`, awaited."""

    _driver: AsyncDriver
    _setting: Setting
    _handlers: Handlers
    _counters: Counters
    _leases: Leases | None
    _ending: AsyncEnding | None

    async def consume(
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
        """Same as `Entitlements.consume`, awaited."""
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
                    return await self._driver.ask(flow)
                finally:
                    # At once where it was interrupted: what it was about to take is to be given back.
                    flow.close()
                    cast("AsyncEnding", self._ending).watch()
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
        counted = await self._driver.ask(count(self._setting, self._handlers, asked))
        return counted.or_raise()[feature]

    async def try_consume(
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
        """Same as `Entitlements.try_consume`, awaited."""
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
        return await self._driver.ask(trying(self._setting, self._handlers, asked))

    async def consume_many(
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
        """Same as `Entitlements.consume_many`, awaited."""
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
        counted = await self._driver.ask(count(self._setting, self._handlers, asked))
        return counted.or_raise()

    async def refund(
        self,
        tenant: str,
        *,
        operation: Operation,
        amounts: Mapping[str, Amount] | None = None,
        tx: Transaction | None = None,
    ) -> dict[str, Usage]:
        """Same as `Entitlements.refund`, awaited."""
        return await self._driver.ask(refund(self._setting, tenant, operation, amounts, tx))

    async def usage(
        self, tenant: str, *features: str, user: str | None = None, tx: Transaction | None = None
    ) -> dict[str, Usage]:
        """Same as `Entitlements.usage`, awaited."""
        return await self._driver.ask(show(self._setting, tenant, features, user, tx=tx, counters=self._counters))

    def on(self, event: str) -> Callable[[H], H]:
        """Same as `Entitlements.on`; the function may be a coroutine function, which is awaited."""
        return lambda handler: self._handlers.add(event, handler)
