"""
Holds in the hands of a host: units set aside around slow work, charged by what was really used.

`settle` is the point of no return: what fails afterwards keeps the charge. Whatever ends the block before it gives all
back, a cancellation too. A process that is killed gives back by the hold's expiry.

Who reserves what is reserved already shares the hold of somebody who may be at work: an attempt that fails gives
nothing back then, and the hold ends by its expiry or by who settles it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar

from payaid_entitlements.cache.driving import AsyncDriver, Driver
from payaid_entitlements.cache.setting import Setting
from payaid_entitlements.core.instant import moment
from payaid_entitlements.core.metering.usage import Usage
from payaid_entitlements.core.observing import log
from payaid_entitlements.core.values import Amount
from payaid_entitlements.errors import ConfigurationError, EntitlementError
from payaid_entitlements.metering import holding
from payaid_entitlements.metering.hearing import Handlers
from payaid_entitlements.metering.holding import Held
from payaid_entitlements.metering.promises import Promise
from payaid_entitlements.stores.ports import Transaction

T = TypeVar("T")

#: How long a hold lives when nothing is said.
EXPIRES_IN: Final = timedelta(minutes=5)

#: ``closing``: `settle` or `release` was called, and whatever came of it, the block does not say otherwise.
_State = Literal["open", "closing", "handed over"]

#: Of the program, found before the ledger does anything.
_MISTAKES: Final = (TypeError, ConfigurationError)


class _Handle:
    """What a reservation is in either colour. No I/O."""

    __slots__ = ("_handlers", "_held", "_is_watched", "_setting", "_state")

    def __init__(self, setting: Setting, handlers: Handlers, held: Held, *, is_watched: bool) -> None:
        self._setting = setting
        self._handlers = handlers
        self._held = held
        self._state: _State = "open"
        self._is_watched = is_watched

    @property
    def tenant(self) -> str:
        """Whose units they are."""
        return self._held.tenant

    @property
    def operation(self) -> str:
        """By which it is found in another process, as text."""
        return self._held.operation

    @property
    def feature(self) -> str:
        """What is set aside."""
        return self._held.metered.feature.key

    @property
    def amount(self) -> Amount:
        """How many units are set aside, or were before it was closed."""
        return self._held.amount

    @property
    def expires_at(self) -> datetime:
        """When it is given back by itself."""
        return moment(self._held.expires)

    @property
    def replayed(self) -> bool:
        """It was there already: the same operation had reserved before."""
        return self._held.replayed

    @property
    def _is_shared(self) -> bool:
        """Somebody else has set it aside, and may be at work. One that was looked up was handed over."""
        return self._is_watched and self._held.replayed

    def hand_over(self) -> str:
        """
        Leave it open for another process to settle, which finds it by ``ent.reservation(tenant, operation)``.

        Returns:
            The operation, as text.
        """
        self._state = "handed over"
        return self._held.operation

    def __del__(self) -> None:
        if getattr(self, "_is_watched", False) and self._state == "open":
            warnings.warn(
                f"{self!r} was neither settled nor released; use it with `with`, or say hand_over() "
                "where another process settles it. Its units are set aside until it expires",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.operation!r}: {self.amount} of {self.feature!r} for {self.tenant!r}>"


class Reservation(_Handle):
    """
    Units that are set aside for one act, until they are settled, released or expire. Made by `Entitlements.reserve`.

    As a context manager: a block that ends without `settle` settles all that is held; one that raises before `settle`
    releases all.
    """

    __slots__ = ("_driver",)

    def __init__(
        self, driver: Driver, setting: Setting, handlers: Handlers, held: Held, *, is_watched: bool = True
    ) -> None:
        super().__init__(setting, handlers, held, is_watched=is_watched)
        self._driver = driver

    def settle(self, actual: Amount | None = None, *, tx: Transaction | None = None) -> Usage:
        """
        Charge what was really used, and give the rest back. From here on an exception keeps the charge.

        Settled again with the same amount it says the same again, ``replayed``.

        Args:
            actual: Units, 0 too; None for all that is held. More than that is charged and in ``usage.overage`` as far
                as it is beyond the limit: it was used.
            tx: Your open transaction, to be settled with it.

        Raises:
            ReservationExpired: Too late, or it was released. Nothing was charged.
            OperationConflict: It was settled with another amount.
            UnknownOperation: Nothing was ever reserved by this operation.
            OutcomeUnknown: No answer. Settle again with the same amount to find out.
        """
        self._state = "closing"
        try:
            return self._driver.ask(holding.settle(self._setting, self._handlers, self._held, actual, tx))
        except _MISTAKES:
            # Nothing was asked of the ledger: the block that has this mistake gives all back.
            self._state = "open"
            raise

    def release(self) -> None:
        """
        Give back all that is held; of one that is released or has expired already, nothing.

        Raises:
            OperationConflict: It was settled; `refund` gives that back.
            StoreUnavailable: No answer. It is given back when it expires.
        """
        self._state = "closing"
        self._driver.ask(holding.release(self._setting, self._held))

    def extend(self, by: timedelta) -> None:
        """
        Let it live *by* longer.

        Raises:
            ReservationExpired: Too late.
            OperationConflict: It was settled.
            StoreUnavailable: No answer.
        """
        self._held = self._driver.ask(holding.extend(self._setting, self._held, by))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._state != "open":
            return
        if error is None:
            self.settle()
        elif self._is_shared:
            self.hand_over()
        else:
            try:
                self.release()
            except EntitlementError as failure:
                _say_left(self, error, failure)


class AsyncReservation(_Handle):
    """Same as `Reservation`, awaited, with ``async with``. Where the task is cancelled nothing is left half done."""

    __slots__ = ("_closing", "_driver")

    def __init__(
        self, driver: AsyncDriver, setting: Setting, handlers: Handlers, held: Held, *, is_watched: bool = True
    ) -> None:
        super().__init__(setting, handlers, held, is_watched=is_watched)
        self._driver = driver
        self._closing: Promise[Any] | None = None

    def settle(self, actual: Amount | None = None, *, tx: Transaction | None = None) -> Promise[Usage]:
        """
        Same as `Reservation.settle`, awaited.

        A plain function on purpose: from its call on an exception keeps the charge, and what is not awaited inside of
        ``async with`` is done at the end of the block.
        """
        return self._closes(lambda: self._settle(actual, tx), "settle")

    async def _settle(self, actual: Amount | None, tx: Transaction | None) -> Usage:
        try:
            return await self._driver.ask(holding.settle(self._setting, self._handlers, self._held, actual, tx))
        except _MISTAKES:
            self._state = "open"
            raise

    def release(self) -> Promise[None]:
        """Same as `Reservation.release`, awaited, or done at the end of the block."""
        return self._closes(lambda: self._driver.ask(holding.release(self._setting, self._held)), "release")

    def _closes(self, act: Callable[[], Coroutine[Any, Any, T]], what: str) -> Promise[T]:
        self._state = "closing"
        closing = Promise(act, f"{what}() of {self!r}")
        self._closing = closing
        return closing

    async def extend(self, by: timedelta) -> None:
        """Same as `Reservation.extend`, awaited."""
        self._held = await self._driver.ask(holding.extend(self._setting, self._held, by))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._closing is not None and self._closing.is_pending:
                await self._closing
            elif self._state != "open":
                return
            elif error is None:
                await self.settle()
            elif self._is_shared:
                self.hand_over()
            else:
                await self.release()
        except EntitlementError as failure:
            if error is None:
                raise
            _say_left(self, error, failure)


def _say_left(reservation: _Handle, error: BaseException, failure: EntitlementError) -> None:
    """The block's own error is what its caller has to know; that units stay set aside is told besides."""
    error.add_note(f"{reservation!r} could not be closed, and stays until it expires: {failure}")
    log.warning("reservation.left", operation=reservation.operation, failure=repr(failure))
