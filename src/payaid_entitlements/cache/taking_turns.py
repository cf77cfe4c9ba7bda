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

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from payaid_entitlements.cache.gathering import LANES, MOST_TOGETHER
from payaid_entitlements.errors import StoreDamaged, StoreUnavailable
from payaid_entitlements.stores.hurry import silence

#: Seconds after which whoever else has read gives way to a reading: those after which, by default, a thread demands the
#: interpreter.
OVERDUE: Final = 0.005
#: Seconds for which it gives way: some that a thread takes to wake up.
WAY: Final = 0.00005

#: Reads the documents of some tenants; those of whom nothing is known are absent.
Read = Callable[[tuple[str, ...]], Mapping[str, object]]


class _Reader:
    """
    A thread that wants to read.

    Attributes:
        called: Wakes it where it waits: its turn has come, or it has an answer, or who read for it was interrupted.
    """

    __slots__ = ("answer", "called", "error", "tenants")

    called: threading.Event

    def __init__(self, tenants: tuple[str, ...]) -> None:
        self.tenants = tenants
        self.answer: Mapping[str, object] | None = None
        self.error: Exception | None = None

    @property
    def is_served(self) -> bool:
        """Has somebody read for it?"""
        return self.answer is not None or self.error is not None


class TakingTurns:
    """
    The readings of all threads.

    A reading is always begun after it was asked for, never joined with one on its way: that may have begun too early.

    Args:
        patience_seconds: How long a thread waits for its turn, or for who reads for it, where it is no question's.
    """

    __slots__ = ("_lanes", "_lock", "_patience_seconds", "_waiting")

    def __init__(self, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._lock = threading.Lock()
        # Who reads, and since when; the longest first.
        self._lanes: dict[_Reader, float] = {}
        self._waiting: list[_Reader] = []

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
            me = _Reader(tenants)
            # Whatever interrupts it, and wherever (a time limit of the host's, KeyboardInterrupt): it keeps no lane.
            try:
                if self._enter(me):
                    return read(tenants)
                self._await(me)
                if me in self._lanes:
                    self._lead(me, read)
            finally:
                try:
                    self._leave(me)
                except BaseException:
                    self._leave(me)  # interrupted while it left: it may have the lane still
                    raise
            if me.error is not None:
                raise me.error
            if me.answer is not None:
                return me.answer
            # Who read for it was interrupted: that harms nobody else; ask again.

    def _enter(self, me: _Reader) -> bool:
        """Take a lane; else, and this says False, a place in the queue."""
        with self._lock:
            if len(self._lanes) < LANES:
                self._lanes[me] = time.monotonic()
                return True
            me.called = threading.Event()
            self._waiting.append(me)
            return False

    def _await(self, me: _Reader) -> None:
        patience = silence(self._patience_seconds)
        # What comes in the very last moment counts, as does an answer whose reader was interrupted before it called.
        if not (me.called.wait(patience) or me in self._lanes or me.is_served):
            raise StoreUnavailable(f"waited {patience:.2g} s for a turn to ask the store")

    def _lead(self, me: _Reader, read: Read) -> None:
        with self._lock:
            others = self._waiting[: MOST_TOGETHER - 1]
            del self._waiting[: MOST_TOGETHER - 1]
        try:
            _answer([me, *others], read)
        finally:
            for other in others:
                other.called.set()

    def _leave(self, me: _Reader) -> None:
        """Leave the queue; hand a lane to who has waited longest, and give way to a reading that is long on its way."""
        with self._lock:
            if me in self._waiting:
                self._waiting.remove(me)
            if self._lanes.pop(me, None) is None:
                return
            first = self._waiting.pop(0) if self._waiting else None
            if first is not None:
                self._lanes[first] = time.monotonic()
            began = next(iter(self._lanes.values()), None)
        if first is not None:
            first.called.set()
        # Looked up at each call: gevent puts its own in place, in which a greenlet waits and not the thread.
        if began is not None and time.monotonic() - began > OVERDUE:
            time.sleep(WAY)


def _answer(going: Sequence[_Reader], read: Read) -> None:
    everybody = tuple(dict.fromkeys(tenant for reader in going for tenant in reader.tenants))
    try:
        found = read(everybody)
    except Exception as error:
        if len(going) > 1 and (isinstance(error, StoreDamaged) or not isinstance(error, StoreUnavailable)):
            # One document is damaged. That harms nobody else: by halves, until it is alone.
            _answer(going[: len(going) // 2], read)
            _answer(going[len(going) // 2 :], read)
            return
        for reader in going:
            reader.error = error
    else:
        for reader in going:
            reader.answer = found
