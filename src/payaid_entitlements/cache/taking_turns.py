"""
Same as `gathering`, for threads: who comes while enough readings are on their way waits for a turn, in the order of
coming, and whoever's turn it is reads for all who wait by then.

Without this, threads fight over the pool's connections, whose queue is not fair: of 16 threads on a pool of 15, one
waited on PostgreSQL until the pool gave up after two seconds, and its customer was told of an outage.

The interpreter is not fair either. A thread that reads SQLite lets go of it for a few microseconds at a time, again and
again, and each time has it back before one on another processor is awake; and whoever is woken so does not demand it,
as others do after five milliseconds. One that had read for all who waited came to its answer 0.22 s later.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from time import monotonic, sleep
from typing import Final

from payaid_entitlements.cache.gathering import LANES, MOST_TOGETHER
from payaid_entitlements.errors import StoreDamaged, StoreUnavailable
from payaid_entitlements.stores.hurry import silence

#: Seconds after which whoever else has read gives way to a reading: those after which a thread demands the interpreter.
OVERDUE: Final = 0.005
#: Seconds for which it gives way: some that a thread takes to wake up.
WAY: Final = 0.00005

#: Reads the documents of some tenants; those of whom nothing is known are absent.
Read = Callable[[tuple[str, ...]], Mapping[str, object]]


class _Waiter:
    """
    A thread that waits.

    Attributes:
        called: Wakes it: its turn has come, or it has an answer, or whoever read for it was interrupted.
        lane: The one that it holds, to read for all who wait; None while it waits itself.
    """

    __slots__ = ("answer", "called", "error", "lane", "tenants")

    def __init__(self, tenants: tuple[str, ...]) -> None:
        self.tenants = tenants
        self.called = threading.Event()
        self.lane: int | None = None
        self.answer: Mapping[str, object] | None = None
        self.error: Exception | None = None


class TakingTurns:
    """
    The readings of all threads.

    A reading is always begun after it was asked for, never joined with one on its way: that may have begun too early.

    Args:
        patience_seconds: How long a thread waits for its turn, or for who reads for it, where it is no question's.
    """

    __slots__ = ("_lanes", "_lock", "_numbers", "_patience_seconds", "_waiting")

    def __init__(self, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        # When each reading that is on its way began; the oldest first.
        self._lanes: dict[int, float] = {}
        self._waiting: list[_Waiter] = []

    def read(self, tenants: tuple[str, ...], read: Read) -> Mapping[str, object]:
        """
        Read *tenants*, perhaps with others.

        Args:
            read: Reads, in one statement; the same for everybody, whoever reads for whom.

        Returns:
            Documents by tenant; those of others may be among them.

        Raises:
            StoreUnavailable: The store gave no answer, to these tenants or to all that were read with them, or there
                was no turn in time.
        """
        while True:
            place = self._enter(tenants)
            if isinstance(place, int):
                try:
                    return read(tenants)
                finally:
                    self._leave(place)
            self._await(place)
            if place.lane is not None:
                self._lead(place, place.lane, read)
            if place.error is not None:
                raise place.error
            if place.answer is not None:
                return place.answer
            # Who read for it was interrupted (KeyboardInterrupt, SystemExit): that harms nobody else; ask again.

    def _enter(self, tenants: tuple[str, ...]) -> int | _Waiter:
        """Take a lane, or a place in the queue."""
        with self._lock:
            if len(self._lanes) < LANES:
                return self._begin()
            waiter = _Waiter(tenants)
            self._waiting.append(waiter)
            return waiter

    def _begin(self) -> int:
        lane = next(self._numbers)
        self._lanes[lane] = monotonic()
        return lane

    def _leave(self, lane: int) -> None:
        """Hand the lane to who has waited longest, or let those who are at it get on."""
        with self._lock:
            del self._lanes[lane]
            first = self._waiting.pop(0) if self._waiting else None
            if first is not None:
                first.lane = self._begin()
            began = next(iter(self._lanes.values()), None)
        if first is not None:
            first.called.set()
        if began is not None and monotonic() - began > OVERDUE:
            sleep(WAY)

    def _await(self, waiter: _Waiter) -> None:
        patience = silence(self._patience_seconds)
        try:
            if waiter.called.wait(patience):
                return
        except BaseException:
            # Interrupted, as by a time limit of the host's: a lane that it had, or was handed later, would be lost.
            if (lane := self._withdraw(waiter)) is not None:
                self._leave(lane)
            raise
        if self._withdraw(waiter) is None:
            raise StoreUnavailable(f"waited {patience:.2g} s for a turn to ask the store")
        # Else its turn came in the very last moment: the lane is its own by now, and must be handed on.

    def _withdraw(self, waiter: _Waiter) -> int | None:
        """Take it from the queue; returns the lane that it holds, which cannot change any more."""
        with self._lock:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            return waiter.lane

    def _lead(self, waiter: _Waiter, lane: int, read: Read) -> None:
        others: list[_Waiter] = []
        try:
            with self._lock:
                others = self._waiting[: MOST_TOGETHER - 1]
                del self._waiting[: MOST_TOGETHER - 1]
            _answer([waiter, *others], read)
        finally:
            for other in others:
                other.called.set()
            self._leave(lane)


def _answer(going: Sequence[_Waiter], read: Read) -> None:
    everybody = tuple(dict.fromkeys(tenant for waiter in going for tenant in waiter.tenants))
    try:
        found = read(everybody)
    except Exception as error:
        if len(going) > 1 and (isinstance(error, StoreDamaged) or not isinstance(error, StoreUnavailable)):
            # One document is damaged. That harms nobody else: by halves, until it is alone.
            _answer(going[: len(going) // 2], read)
            _answer(going[len(going) // 2 :], read)
            return
        for waiter in going:
            waiter.error = error
    else:
        for waiter in going:
            waiter.answer = found
