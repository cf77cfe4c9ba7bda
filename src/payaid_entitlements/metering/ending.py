"""Leases that nobody spends any more are ended in time: by a thread, or by a task, that lives as long as leases do."""

from __future__ import annotations

import asyncio
import atexit
import threading
import weakref
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from payaid_entitlements.forking import after_fork

if TYPE_CHECKING:
    from payaid_entitlements.cache.driving import AsyncDriver, Driver
    from payaid_entitlements.metering.leasing import Leases

#: Seconds between two looks, at least and at most.
_LEAST: Final = 0.01
_SOON: Final = 0.1
_MOST: Final = 1.0


class Ending:
    """Ends leases that are over, and all of them when the interpreter ends."""

    def __init__(self, leases: Leases, driver: Driver) -> None:
        self._leases = leases
        self._driver = driver
        self.reset()
        after_fork(self.reset)
        atexit.register(partial(_at_exit, weakref.ref(self)))

    def reset(self) -> None:
        """Have no thread, as after a fork."""
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def watch(self) -> None:
        """See to it that what is leased ends."""
        if not self._leases.is_idle:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._watch, name="payaid-leases", daemon=True)
                    self._thread.start()

    def close(self) -> None:
        """End all leases. The client may be used further."""
        self._closed.set()
        thread = self._thread
        if thread is not None:
            thread.join(_MOST)
        with suppress(Exception):
            self._driver.run(self._leases.end())
        self._closed = threading.Event()

    def _watch(self) -> None:
        closed, pause = self._closed, None
        while not closed.wait(_bounded(pause)):
            pause = None
            with suppress(Exception):
                pause = self._driver.run(self._leases.end_overdue())
            with self._lock:
                if self._leases.is_idle:
                    self._thread = None
                    return
        with self._lock:
            self._thread = None


class AsyncEnding:
    """Same as `Ending`, by a task of the loop that leases. Nothing can be awaited when the interpreter ends."""

    def __init__(self, leases: Leases, driver: AsyncDriver) -> None:
        self._leases = leases
        self._driver = driver
        self.reset()
        after_fork(self.reset)

    def reset(self) -> None:
        """Have no task, as after a fork."""
        self._tasks: dict[asyncio.AbstractEventLoop, asyncio.Task[None]] = {}

    def watch(self) -> None:
        """See to it that what is leased ends."""
        loop = asyncio.get_running_loop()
        if loop not in self._tasks and not self._leases.is_idle:
            task = self._tasks[loop] = loop.create_task(self._watch())
            task.add_done_callback(lambda _: self._tasks.pop(loop, None))

    async def aclose(self) -> None:
        """End all leases. The client may be used further."""
        with suppress(Exception):
            await self._driver.run(self._leases.end())
        task = self._tasks.get(asyncio.get_running_loop())
        if task is not None:
            task.cancel()

    async def _watch(self) -> None:
        while not self._leases.is_idle:
            pause = None
            with suppress(Exception):
                pause = await self._driver.run(self._leases.end_overdue())
            await asyncio.sleep(_bounded(pause))


def _bounded(pause: float | None) -> float:
    return _SOON if pause is None else min(max(pause, _LEAST), _MOST)


def _at_exit(reference: weakref.ReferenceType[Ending]) -> None:
    ending = reference()
    if ending is not None:
        ending.close()
