"""Work beside a question that must not wait: in a thread, or in a task of the event loop that is running."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements

if TYPE_CHECKING:
    from payaid_entitlements.cache.steps import Flow


class Beside:
    """
    Lets the store add up what was measured, every few seconds.

    Args:
        ent: Of either colour. What an async one has to do is done in the loop of whoever asks; where none is running,
            it waits for the next one.
    """

    def __init__(self, ent: Entitlements | AsyncEntitlements) -> None:
        self._ent = ent
        # A loop keeps no task alive that nobody else does.
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, flow: Flow[None]) -> None:
        """Run *flow*, and wait for nothing. What goes wrong is counted and said as with all that is measured."""
        ent = self._ent
        if isinstance(ent, Entitlements):
            threading.Thread(target=self._wait, args=(ent, flow), name="payaid-tracking", daemon=True).start()
            return
        try:
            task = asyncio.get_running_loop().create_task(self._await(ent, flow))
        except RuntimeError:
            return
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _wait(self, ent: Entitlements, flow: Flow[None]) -> None:
        try:
            ent._driver.ask(flow)
        except Exception as error:  # whatever it is, nobody waits for it
            ent._measuring.complain(error)

    async def _await(self, ent: AsyncEntitlements, flow: Flow[None]) -> None:
        try:
            await ent._driver.ask(flow)
        except Exception as error:  # as above
            ent._measuring.complain(error)
