"""Measuring what requests come to, on both sides of a rollout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from payaid_entitlements.errors import Refused
from payaid_entitlements.rollouts.samples import Sample, Value
from payaid_entitlements.view import TenantView

if TYPE_CHECKING:
    from payaid_entitlements.cache.driving import Driver
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.rollouts.measuring import Measuring


class MeasuringVerbs:
    """Of a client: what guards of rollouts are told."""

    _driver: Driver
    _setting: Setting
    _measuring: Measuring

    @contextmanager
    def measured(self, view: TenantView, flag: str) -> Iterator[Sample]:
        """
        Measure the block for the rollout of *flag*: whether it fails, and how long it takes.

        It is measured for those inside and for those outside, so put it around what either does. Where no guarded step
        of the flag runs nothing is counted. An exception that leaves the block is a failure, but a refusal (`Refused`)
        is not, and what is cancelled counts for nothing.

        Args:
            view: Of the tenant and the user that the block serves.

        Raises:
            UnknownFlag: There is no such flag, and the client is strict. An outage raises nothing here.
        """
        sample, began = Sample(), self._setting.near.clock()
        try:
            yield sample
        except Exception as error:
            self._tell(view, flag, sample, not isinstance(error, Refused), self._since(began))
            raise
        self._tell(view, flag, sample, False, self._since(began))

    def measure(
        self,
        view: TenantView,
        flag: str,
        *,
        failed: bool = False,
        latency: timedelta | None = None,
        **metrics: Value,
    ) -> None:
        """
        Say what one request came to, for the rollout of *flag*.

        Args:
            view: Of the tenant and the user that was served.
            failed: It counts in ``error_rate``.
            latency: How long it took.
            metrics: Of your own, by the names in the guard: True or False for a rate (True is bad), a number of its
                unit for an amount.

        Raises:
            TypeError: A value is none.
            UnknownFlag: There is no such flag, and the client is strict. An outage raises nothing here.
        """
        sample = Sample()
        sample.note(**metrics)
        self._tell(view, flag, sample, failed, latency)

    def _tell(self, view: TenantView, flag: str, sample: Sample, failed: bool, latency: timedelta | None) -> None:
        flow = self._measuring.note(view, flag, sample, failed=failed or sample.failed, latency=latency)
        if flow is not None:
            try:
                self._driver.ask(flow)
            except Exception as error:  # whatever it is: the host's request was served
                self._measuring.complain(error)

    def _since(self, began: float) -> timedelta:
        return timedelta(seconds=self._setting.near.clock() - began)

    def _tell_measurements(self) -> None:
        """Tell the store what was measured, before the client is closed; whatever goes wrong is counted."""
        try:
            self._driver.ask(self._measuring.flush())
        except Exception as error:  # closing goes on
            self._measuring.complain(error)
