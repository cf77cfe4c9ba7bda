"""
Acts that are still to be awaited. A forgotten ``await`` is loud, and reads neither as yes nor as no.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from payaid_entitlements.metering.cancelling import begun, ended

if TYPE_CHECKING:
    from payaid_entitlements.metering.reservations import AsyncReservation

T = TypeVar("T")


class Promise(Generic[T]):
    """
    Something that is done when it is awaited, to its end also where the task is cancelled meanwhile.

    Attributes:
        is_pending: Nobody has awaited it yet.
    """

    __slots__ = ("_act", "_what", "is_pending")

    def __init__(self, act: Callable[[], Coroutine[Any, Any, T]], what: str) -> None:
        self._act = act
        self._what = what
        self.is_pending = True

    def __await__(self) -> Generator[Any, None, T]:
        self.is_pending = False
        return ended(self._act()).__await__()

    def __del__(self) -> None:
        if self.is_pending:
            warnings.warn(f"{self._what} was never awaited: nothing was done", RuntimeWarning, stacklevel=2)

    if not TYPE_CHECKING:  # pragma: no branch - whatever runs is not being type-checked

        def __bool__(self) -> NoReturn:
            raise TypeError(f"{self._what} has no truth value: await it")


class Reserving(Promise["AsyncReservation"]):
    """A reservation to be: await it, or use it with ``async with``."""

    __slots__ = ("_reservation",)

    def __await__(self) -> Generator[Any, None, AsyncReservation]:
        self.is_pending = False
        return begun(self._act(), _give_back).__await__()

    async def __aenter__(self) -> AsyncReservation:
        self._reservation = await self
        return self._reservation

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._reservation.__aexit__(kind, error, trace)


async def _give_back(reservation: AsyncReservation) -> None:
    await reservation.__aexit__(asyncio.CancelledError, asyncio.CancelledError(), None)
