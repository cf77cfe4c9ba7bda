"""
Same as `gathering`, for threads: who comes while enough readings are on their way waits for a turn, in the order of
coming, and whoever's turn it is reads for all who wait by then.

Without this, threads fight over the pool's connections, whose queue is not fair: of 16 threads on a pool of 15, one
waited on PostgreSQL until the pool gave up after two seconds, and its customer was told of an outage.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from payaid_entitlements.cache.gathering import LANES, MOST_TOGETHER
from payaid_entitlements.errors import StoreDamaged, StoreUnavailable
from payaid_entitlements.stores.hurry import silence

#: Reads the documents of some tenants; those of whom nothing is known are absent.
Read = Callable[[tuple[str, ...]], Mapping[str, object]]


class _Waiter:
    """
    A thread that waits.

    Attributes:
        called: Wakes it: its turn has come, or it has an answer, or whoever read for it was interrupted.
        leads: It holds a lane and reads for all who wait.
    """

    __slots__ = ("answer", "called", "error", "leads", "tenants")

    def __init__(self, tenants: tuple[str, ...]) -> None:
        self.tenants = tenants
        self.called = threading.Event()
        self.leads = False
        self.answer: Mapping[str, object] | None = None
        self.error: Exception | None = None


class TakingTurns:
    """
    The readings of all threads.

    A reading is always begun after it was asked for, never joined with one on its way: that may have begun too early.

    Args:
        patience_seconds: How long a thread waits for its turn, or for who reads for it, where it is no question's.
    """

    __slots__ = ("_lock", "_patience_seconds", "_running", "_waiting")

    def __init__(self, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._lock = threading.Lock()
        self._running = 0
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
            waiter = self._enter(tenants)
            if waiter is None:
                try:
                    return read(tenants)
                finally:
                    self._leave()
            self._await(waiter)
            if waiter.leads:
                self._lead(waiter, read)
            if waiter.error is not None:
                raise waiter.error
            if waiter.answer is not None:
                return waiter.answer
            # Who read for it was interrupted (KeyboardInterrupt, SystemExit): that harms nobody else; ask again.

    def _enter(self, tenants: tuple[str, ...]) -> _Waiter | None:
        """Take a lane, which is None, or a place in the queue."""
        with self._lock:
            if self._running < LANES:
                self._running += 1
                return None
            waiter = _Waiter(tenants)
            self._waiting.append(waiter)
            return waiter

    def _leave(self) -> None:
        """Hand the lane to who has waited longest."""
        with self._lock:
            if not self._waiting:
                self._running -= 1
                return
            first = self._waiting.pop(0)
            first.leads = True
        first.called.set()

    def _await(self, waiter: _Waiter) -> None:
        patience = silence(self._patience_seconds)
        if waiter.called.wait(patience):
            return
        with self._lock:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif waiter.leads:
                return  # in the very last moment: the lane is its own by now, and must be handed on
        raise StoreUnavailable(f"waited {patience:.2g} s for a turn to ask the store")

    def _lead(self, waiter: _Waiter, read: Read) -> None:
        with self._lock:
            others = self._waiting[: MOST_TOGETHER - 1]
            del self._waiting[: MOST_TOGETHER - 1]
        try:
            _answer([waiter, *others], read)
        finally:
            for other in others:
                other.called.set()
            self._leave()


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
