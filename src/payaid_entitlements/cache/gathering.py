"""
Many cold readings at once, in few statements: who comes while enough are on their way waits, and they go together.

Without this, 64 tasks that each read one tenant fight over the pool's connections: on PostgreSQL some waited until the
pool gave up. Together they cost little more than one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from payaid_entitlements.errors import StoreDamaged, StoreUnavailable

#: Statements on their way at once, for each loop. A reading that finds fewer goes alone and at once. Measured with 64
#: tasks: with two the slowest of a hundred waits half as long as with eight, since more go together; with one, a
#: statement that hangs would hold up everybody.
LANES: Final = 2
#: Most tenants in one statement.
MOST_TOGETHER: Final = 200

#: Reads the documents of some tenants; those of whom nothing is known are absent.
Read = Callable[[tuple[str, ...]], Awaitable[Mapping[str, object]]]
#: Somebody who waits: for which tenants, and where the answer goes.
_Waiter = tuple[tuple[str, ...], asyncio.Future[Mapping[str, object]]]


class Gathering:
    """
    The readings of one event loop.

    A reading is always begun after it was asked for, never joined with one on its way: that may have begun too early.
    Who came first goes first.

    Args:
        read: Reads, in one statement.
    """

    __slots__ = ("_lanes", "_read", "_running", "_waiting")

    def __init__(self, read: Read) -> None:
        self._read = read
        self._running = 0
        self._waiting: list[_Waiter] = []
        # A loop holds its tasks weakly.
        self._lanes: set[asyncio.Task[None]] = set()

    @property
    def is_idle(self) -> bool:
        """Is nothing on its way?"""
        return self._running == 0

    async def read(self, tenants: tuple[str, ...]) -> Mapping[str, object]:
        """
        Read *tenants*, perhaps with others. Cancelling it harms nobody else.

        Returns:
            Documents by tenant; those of others may be among them.

        Raises:
            StoreUnavailable: The store gave no answer, to these tenants or to all that were read with them.
        """
        if self._running < LANES:
            self._running += 1
            try:
                return await self._read(tenants)
            finally:
                self._go_on()
        answer: asyncio.Future[Mapping[str, object]] = asyncio.get_running_loop().create_future()
        self._waiting.append((tenants, answer))
        return await answer

    def _go_on(self) -> None:
        """Give a lane that has become free to those who still wait."""
        waiting = [waiter for waiter in self._waiting if not waiter[1].done()]
        going, self._waiting = waiting[:MOST_TOGETHER], waiting[MOST_TOGETHER:]
        if not going:
            self._running -= 1
            return
        # In a task of its own: whoever has an answer must not wait for those who have none yet.
        lane = asyncio.get_running_loop().create_task(self._together(going))
        self._lanes.add(lane)
        lane.add_done_callback(self._lanes.discard)

    async def _together(self, going: Sequence[_Waiter]) -> None:
        try:
            await self._answer(going)
        finally:
            for _, answer in going:
                # Only where the lane itself was cancelled, as a loop does at its end: nobody may wait for ever.
                answer.cancel()
            self._go_on()

    async def _answer(self, going: Sequence[_Waiter]) -> None:
        everybody = tuple(dict.fromkeys(tenant for tenants, _ in going for tenant in tenants))
        try:
            found = await self._read(everybody)
        except Exception as error:
            if len(going) > 1 and (isinstance(error, StoreDamaged) or not isinstance(error, StoreUnavailable)):
                # One document is damaged. That harms nobody else: by halves, until it is alone.
                await self._answer(going[: len(going) // 2])
                await self._answer(going[len(going) // 2 :])
                return
            for _, answer in going:
                if not answer.done():
                    answer.set_exception(error)
        else:
            for _, answer in going:
                if not answer.done():
                    answer.set_result(found)
