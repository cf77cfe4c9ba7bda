"""
What was seen is told to the store some seconds later, by a thread, or by a task, that lives as long as something waits.

Nothing that goes wrong there reaches anybody's request. A batch that the store did not take is tried again, some times;
then it is given up, and counted.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
import weakref
from collections.abc import Generator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, Final

from payaid_entitlements.cache.seen.sightings import Sightings
from payaid_entitlements.core.observing import Observer
from payaid_entitlements.forking import after_fork
from payaid_entitlements.stores.activity import Activity, AsyncActivity, Sighting
from payaid_entitlements.stores.hurry import within

#: Seconds between the first sighting that waits and when the store is told.
EVERY: Final = 3.0
#: Times that a batch is told before it is given up: through an outage of half a minute.
TRIES: Final = 10
#: Seconds that the store may take for a batch.
PATIENCE: Final = 2.0
#: Seconds that closing waits for a thread that is telling.
_CLOSING: Final = PATIENCE + 0.5
#: Batches that are swept in a day, at most, by each process.
_SWEEPS: Final = 40

#: What is to be done on an activity: the name of a method and its arguments. Its answer comes back, or its error.
_Asking = Generator[tuple[str, tuple[Any, ...]], Any, None]


class _Telling:
    """
    What both colours are made of.

    Args:
        keeps: Days for which sightings are kept.
    """

    def __init__(self, sightings: Sightings, observer: Observer, keeps: int) -> None:
        self._sightings = sightings
        self._observer = observer
        self._keeps = keeps
        self._is_prepared = False
        self._swept: object = None
        self._failures = 0

    def _tell(self) -> _Asking:
        """Tell all that waits, one batch after the other, until one fails."""
        if not self._is_prepared:
            yield "prepare", ()
            self._is_prepared = True
        while taken := self._sightings.take():
            try:
                yield "record", (taken,)
            except BaseException:
                self._sightings.give_back(taken)
                raise
            self._failures = 0
        yield from self._sweep()

    def _sweep(self) -> _Asking:
        """Forget what is older than it shall be, once a day."""
        today = self._sightings.today
        if self._swept == today:
            return
        self._swept = today
        for _ in range(_SWEEPS):
            if not (yield "sweep", (today - timedelta(days=self._keeps),)):
                return

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        self._observer.count("activity.untold", type(error).__name__)
        self._observer.once(
            "activity.untold", store_error=str(error), meaning="who used what is not recorded until the store answers"
        )
        if self._failures >= TRIES:
            self._failures = 0
            self._give_up()

    def _give_up(self) -> None:
        dropped: tuple[Sighting, ...]
        while dropped := self._sightings.take():
            self._sightings.drop(dropped)


class Telling(_Telling):
    """Tells *activity* from a thread of its own."""

    def __init__(self, activity: Activity, sightings: Sightings, observer: Observer, keeps: int) -> None:
        super().__init__(sightings, observer, keeps)
        self.activity = activity
        self.reset()
        after_fork(self.reset)

    def reset(self) -> None:
        """Have no thread, as after a fork."""
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._has_exit = False

    def watch(self) -> None:
        """See to it that what waits is told."""
        with self._lock:
            if self._thread is None:
                if not self._has_exit:
                    self._has_exit = True
                    atexit.register(partial(_at_exit, weakref.ref(self)))
                self._thread = threading.Thread(target=self._watch, name="payaid-activity", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Tell what waits now; what the store does not take is given up. The client may be used further."""
        self._closed.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_CLOSING)
        if not self._sightings.is_idle:
            self._try()
            self._give_up()
        self._closed = threading.Event()

    def _watch(self) -> None:
        closed = self._closed
        while not closed.wait(EVERY):
            self._try()
            with self._lock:
                if self._sightings.is_idle:
                    self._thread = None
                    return
        with self._lock:
            self._thread = None

    def _try(self) -> None:
        flow = self._tell()
        try:
            with within(PATIENCE), suppress(StopIteration):
                name, arguments = next(flow)
                while True:
                    try:
                        answer = getattr(self.activity, name)(*arguments)
                    except Exception as error:  # it belongs to the flow, which gives back what it has taken
                        flow.throw(error)
                    else:
                        name, arguments = flow.send(answer)
        except Exception as error:  # whatever it is: nobody asked for this
            self._failed(error)


class AsyncTelling(_Telling):
    """Same as `Telling`, by a task of the loop that has seen something. At the interpreter's end nothing is awaited."""

    def __init__(self, activity: AsyncActivity, sightings: Sightings, observer: Observer, keeps: int) -> None:
        super().__init__(sightings, observer, keeps)
        self.activity = activity
        self.reset()
        after_fork(self.reset)

    def reset(self) -> None:
        """Have no task, as after a fork."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """See to it that what waits is told. From a thread without a loop, by the loop that was last seen."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            if self._loop is not None:
                with suppress(RuntimeError):  # it is closed
                    self._loop.call_soon_threadsafe(self.watch)
            return
        if self._loop is not loop:
            # A timer of another loop may never come.
            self._loop, self._timer = loop, None
        if self._timer is None:
            # No task that sleeps: a loop that ends does not miss a timer.
            self._timer = loop.call_later(EVERY, self._start)

    def _start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        await self._try()
        self._timer = None
        if not self._sightings.is_idle:
            self.watch()

    async def aclose(self) -> None:
        """Same as `Telling.close`, awaited."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        task = self._task
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            await asyncio.wait({task}, timeout=PATIENCE)
        if not self._sightings.is_idle:
            await self._try()
            self._give_up()

    async def _try(self) -> None:
        flow = self._tell()
        try:
            with within(PATIENCE), suppress(StopIteration):
                async with asyncio.timeout(PATIENCE):
                    name, arguments = next(flow)
                    while True:
                        try:
                            answer = await getattr(self.activity, name)(*arguments)
                        except Exception as error:  # as above
                            flow.throw(error)
                        else:
                            name, arguments = flow.send(answer)
        except Exception as error:  # as above
            self._failed(error)
        finally:
            # At once where it was cancelled: what it has taken waits again.
            flow.close()


def _at_exit(reference: weakref.ReferenceType[Telling]) -> None:
    telling = reference()
    if telling is not None:
        telling.close()
