"""How long an asynchronous driver waits for a step of a question, where its store does not look at the time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from types import TracebackType
from typing import Final, Self

from payaid_entitlements.cache.counting import PrepareLedger
from payaid_entitlements.cache.steps import AskShared, CallHost, HostUnavailable, Join, Pause, Prepare, ReadHost, Step
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores.hurry import BEGINNING, GRACE, QUESTION, is_question


def in_time(step: Step) -> AbstractAsyncContextManager[None]:
    """Give up a step that a question has waited for long enough: for stores whose drivers do not look at the time."""
    if not is_question() or isinstance(step, Join | Pause | AskShared | CallHost):
        return _UNLIMITED
    return _limited(step)


_UNLIMITED: Final[AbstractAsyncContextManager[None]] = nullcontext()


@asynccontextmanager
async def _limited(step: Step) -> AsyncIterator[None]:
    seconds = BEGINNING if isinstance(step, Prepare | PrepareLedger) else QUESTION + GRACE
    limit = Ticking(seconds)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        silent = HostUnavailable if isinstance(step, ReadHost) else StoreUnavailable
        raise silent(f"no answer within {seconds} s") from error


class Ticking:
    """
    Same as ``asyncio.timeout``, but ends when the loop has had *seconds* to take in an answer, in ten parts.

    A loop that was busy with something else for a second has not waited for a second, and the answer may be there.
    """

    __slots__ = ("_each", "_handle", "_left", "_limit", "_loop")

    def __init__(self, seconds: float) -> None:
        self._limit = asyncio.timeout(None)
        self._loop = asyncio.get_running_loop()
        self._each = seconds / 10
        self._left = 10

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        self._handle = self._loop.call_later(self._each, self._tick)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.cancel()
        await self._limit.__aexit__(kind, error, trace)

    def _tick(self) -> None:
        self._left -= 1
        if self._left:
            self._handle = self._loop.call_later(self._each, self._tick)
        else:
            self._limit.reschedule(self._loop.time())

    def expired(self) -> bool:
        """Was it this that ended the block?"""
        return self._limit.expired()
