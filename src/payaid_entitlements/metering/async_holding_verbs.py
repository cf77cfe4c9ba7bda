"""Same as `holding_verbs`, awaited."""

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
from payaid_entitlements.metering.promises import Reserving
from payaid_entitlements.metering.reservations import EXPIRES_IN, AsyncReservation
from payaid_entitlements.stores.ports import Transaction

if TYPE_CHECKING:
    from payaid_entitlements.cache.driving import AsyncDriver
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.metering.hearing import Handlers


class AsyncHoldingVerbs:
    """Same as `HoldingVerbs`, awaited."""

    _driver: AsyncDriver
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
    ) -> Reserving:
        """Same as `Entitlements.reserve`: awaited, or with ``async with``. Who is cancelled meanwhile holds nothing."""

        async def set_aside() -> AsyncReservation:
            flow = holding.reserve(
                self._setting, self._handlers, tenant, feature, amount, operation=operation, expires_in=expires_in
            )
            return AsyncReservation(self._driver, self._setting, self._handlers, await self._driver.ask(flow))

        return Reserving(set_aside, f"reserve({tenant!r}, {feature!r})")

    async def reservation(self, tenant: str, operation: Operation) -> AsyncReservation:
        """Same as `Entitlements.reservation`, awaited."""
        held = await self._driver.ask(holding.find(self._setting, tenant, operation))
        return AsyncReservation(self._driver, self._setting, self._handlers, held, is_watched=False)

    async def assign(
        self,
        tenant: str,
        feature: str,
        holder: str,
        *,
        expires_in: timedelta | None = None,
        tx: Transaction | None = None,
    ) -> Assignment:
        """Same as `Entitlements.assign`, awaited."""
        wanted = assigning.seat(tenant, feature, holder, expires_in=expires_in, tx=tx)
        return await self._driver.ask(assigning.assign(self._setting, wanted))

    async def try_assign(
        self,
        tenant: str,
        feature: str,
        holder: str,
        *,
        expires_in: timedelta | None = None,
        tx: Transaction | None = None,
    ) -> Decision:
        """Same as `Entitlements.try_assign`, awaited."""
        wanted = assigning.seat(tenant, feature, holder, expires_in=expires_in, tx=tx)
        return await self._driver.ask(assigning.try_assign(self._setting, wanted))

    async def unassign(self, tenant: str, feature: str, holder: str, *, tx: Transaction | None = None) -> None:
        """Same as `Entitlements.unassign`, awaited."""
        wanted = assigning.seat(tenant, feature, holder, tx=tx)
        await self._driver.ask(assigning.unassign(self._setting, wanted))

    async def reassign(
        self, tenant: str, feature: str, holder: str, to: str, *, tx: Transaction | None = None
    ) -> Assignment:
        """Same as `Entitlements.reassign`, awaited."""
        wanted = assigning.seat(tenant, feature, holder, tx=tx)
        return await self._driver.ask(assigning.reassign(self._setting, wanted, to))

    async def assignments(self, tenant: str, feature: str) -> list[Assignment]:
        """Same as `Entitlements.assignments`, awaited."""
        return await self._driver.ask(assigning.assignments(self._setting, tenant, feature))

    async def require_room(self, tenant: str, feature: str, amount: int = 1, *, tx: Transaction) -> Usage:
        """Same as `Entitlements.require_room`, awaited."""
        return await self._driver.ask(require_room(self._setting, self._counters, tenant, feature, amount, tx))
