"""Same as `verbs`, awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from payaid_entitlements.errors import Refused
from payaid_entitlements.rollouts.samples import Sample, Value
from payaid_entitlements.view import TenantView

if TYPE_CHECKING:
    from payaid_entitlements.cache.driving import AsyncDriver
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.rollouts.measuring import Measuring


class AsyncMeasuringVerbs:
    """Same as `MeasuringVerbs`, awaited."""

    _driver: AsyncDriver
    _setting: Setting
    _measuring: Measuring

    @asynccontextmanager
    async def measured(self, view: TenantView, flag: str) -> AsyncIterator[Sample]:
        """Same as `Entitlements.measured`: with ``async with``."""
        sample, began = Sample(), self._setting.near.clock()
        try:
            yield sample
        except Exception as error:
            await self._tell(view, flag, sample, not isinstance(error, Refused), self._since(began))
            raise
        await self._tell(view, flag, sample, False, self._since(began))

    async def measure(
        self,
        view: TenantView,
        flag: str,
        *,
        failed: bool = False,
        latency: timedelta | None = None,
        **metrics: Value,
    ) -> None:
        """Same as `Entitlements.measure`, awaited."""
        sample = Sample()
        sample.note(**metrics)
        await self._tell(view, flag, sample, failed, latency)

    async def _tell(self, view: TenantView, flag: str, sample: Sample, failed: bool, latency: timedelta | None) -> None:
        flow = self._measuring.note(view, flag, sample, failed=failed or sample.failed, latency=latency)
        if flow is not None:
            try:
                await self._driver.ask(flow)
            except Exception as error:  # whatever it is: the host's request was served
                self._measuring.complain(error)

    def _since(self, began: float) -> timedelta:
        return timedelta(seconds=self._setting.near.clock() - began)

    async def _tell_measurements(self) -> None:
        """Same as in `MeasuringVerbs`, awaited."""
        try:
            await self._driver.ask(self._measuring.flush())
        except Exception as error:  # closing goes on
            self._measuring.complain(error)
