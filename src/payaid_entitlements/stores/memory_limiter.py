"""
A limiter in the memory of one process: exact among its threads, bounded, and fast.

One lock makes each call atomic; nothing ever waits for anything else, so the asynchronous twin only passes calls on.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import blake2b
from time import time_ns
from typing import Final

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.ratelimit import concurrency
from payaid_entitlements.core.ratelimit.deciding import decide
from payaid_entitlements.core.ratelimit.policy import LONGEST_DEBT, Algorithm, State
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.forking import after_fork
from payaid_entitlements.stores.limiter import Counter, Group, Ruling
from payaid_entitlements.stores.memory_counters import Counters, unpack
from payaid_entitlements.stores.memory_groups import Even, EvenRuling, Made, count
from payaid_entitlements.stores.ports import Concern

#: Bytes that the counters of a limiter may take, unless told otherwise: some 800,000 counters.
MOST_BYTES: Final = 2**27
#: What each process counts on its own.
COUNTS_ALONE: Final = Concern(
    promise="a rate limit holds for all processes together",
    found="the limiter is the memory of each process: of two, each lets pass what the limit says",
    way_out="keep rate limits in Redis or in the database; or run one process",
)
#: Bytes of a key: no two counters come to have the same.
_KEY_BYTES: Final = 15
#: An instant before which nothing ends.
_EARLIEST: Final = 0

_log = logging.getLogger(__name__)


class MemoryLimiter:
    """
    Counts in this process, exactly, and loses what it counted with the process.

    A live counter is never dropped. When there is no room for a new one (or for a log or semaphore to grow), after
    those that have ended made theirs, a call that needs it raises `StoreUnavailable`: each limit's ``on_outage`` says
    what becomes of it then. All other calls are decided as ever. The first that finds no room is logged, and `refused`
    says how many there were.

    A forked child goes on from what its parent had counted, on its own.

    Args:
        clock: Says the time in microseconds since the epoch; None for the system's.
        most_bytes: Which all counters may take, estimated: some 170 each, and more for sliding logs and semaphores.
    """

    name = "memory"
    is_shared = False
    concerns = (COUNTS_ALONE,)

    def __init__(self, *, clock: Callable[[], Instant] | None = None, most_bytes: int = MOST_BYTES) -> None:
        self._clock = clock
        self._counters = Counters(most_bytes)
        # Nobody can look for two keys of one digest without it.
        self._secret = os.urandom(16)
        #: Calls for which there was no room.
        self.refused = 0
        self._renew_lock()
        after_fork(self._renew_lock)

    def _renew_lock(self) -> None:
        # Another thread of the parent may hold it, and is not there to let it go. It knows who holds it: only then can
        # whoever was interrupted tell whether to let it go.
        self._lock = threading.RLock()

    def prepare(self) -> None:
        """Same as `Limiter.prepare`: there is nothing to make ready."""

    def hit(self, group: Group, cost: int = 1, permit: int = 0, now: Instant | None = None) -> Ruling:
        """
        Same as `Limiter.hit`.

        Raises:
            StoreUnavailable: There is no room for another counter.
        """
        if now is None:
            now = time_ns() // 1000 if self._clock is None else self._clock()
        even = group.made
        if type(even) is not Even or even.limiter is not self or cost < 1:
            return self._decide(group, cost, permit, now)
        at = even.empty + now
        states, lock = even.states, self._lock
        # Half of what `with` takes. A signal's handler may raise anywhere, as those do that limit the time of a task.
        try:
            lock.acquire()
            tat = states[even.key]
            if tat < at:
                tat = at if tat >= even.empty else even.foreign
            # Mostly it is one unit, and nothing is to be multiplied: that takes longer than a sum.
            tat += even.interval if cost == 1 else even.interval * cost
            debt = tat - at
            if is_within := debt <= even.tolerance:
                states[even.key] = tat
            lock.release()
        except KeyError:
            lock.release()
            debt, is_within = even.foreign, False
        except BaseException:
            with suppress(RuntimeError):  # not acquired yet, or released already
                lock.release()
            raise
        if not is_within and debt > LONGEST_DEBT:
            # Not there yet, or foreign: so much that nothing fits.
            return self._decide(group, cost, permit, now)
        ruling: EvenRuling = EvenRuling()
        ruling.is_allowed = is_within or not even.is_enforced
        ruling.now = now
        ruling.even = even
        ruling.cost = cost
        ruling.debt = debt
        return ruling

    def _decide(self, group: Group, cost: int, permit: int, now: Instant) -> Ruling:
        made = self._made(group)
        with self._lock:
            if made.rates and cost and (ruling := count(made.rates, cost, now)) is not None:
                return ruling
            states = [unpack(part.states.get(key)) for part, key in made.places]
            decided = decide(made.policies, states, now, cost, permit)
            if decided.states is not None:
                self._write(made, decided.states, now)
        return Ruling(decided.is_allowed, now, decided.verdicts)

    def _write(self, made: Made, states: Sequence[State], now: Instant) -> None:
        packed = [pack(state) for pack, state in zip(made.packs, states, strict=True)]
        if self._counters.write(made.places, packed, now):
            return
        self.refused += 1
        if self.refused == 1:
            _log.warning(
                "limiter.full: %s counters take all of most_bytes=%s; calls on others are not counted from now on",
                len(self._counters),
                self._counters.most_bytes,
            )
        raise StoreUnavailable("the limiter in memory has no room for another counter: all that it has are live")

    def give_back(self, group: Group, permit: int) -> None:
        """Same as `Limiter.give_back`."""
        made = self._made(group)
        with self._lock:
            states = [unpack(part.states.get(key)) for part, key in made.places]
            left = [
                concurrency.release(state, permit) if policy.algorithm is Algorithm.CONCURRENCY else state
                for policy, state in zip(made.policies, states, strict=True)
            ]
            self._write(made, left, _EARLIEST)

    def reset(self, group: Group) -> None:
        """Same as `Limiter.reset`."""
        made = self._made(group)
        with self._lock:
            self._counters.write(made.places, [None] * len(made.places), _EARLIEST)

    def close(self) -> None:
        """Same as `Limiter.close`: what was counted stays as long as this object."""

    def _made(self, group: Group) -> Made:
        made = group.made
        if isinstance(made, Even):
            made = made.made
        if not isinstance(made, Made) or made.limiter is not self:
            keys = [self._key(group.owner, each) for each in group.counters]
            made = Made(
                self, [(self._counters.part(key), key) for key in keys], [each.policy for each in group.counters]
            )
            group.made = made.rates[0] if made.rates and type(made.rates[0]) is Even else made
        return made

    def _key(self, owner: str, counter: Counter) -> bytes:
        """What stands for a counter: neither of both has a ``:``, so no two are one."""
        named = f"{owner}:{counter.key}".encode()
        return blake2b(named, digest_size=_KEY_BYTES, key=self._secret, usedforsecurity=False).digest()


class AsyncMemoryLimiter:
    """
    Same as `MemoryLimiter`, awaited.

    Args:
        limiter: To share what another client counts; None for one of its own, made with the other arguments.
    """

    name = MemoryLimiter.name
    is_shared = MemoryLimiter.is_shared
    concerns = MemoryLimiter.concerns

    def __init__(
        self,
        limiter: MemoryLimiter | None = None,
        *,
        clock: Callable[[], Instant] | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._limiter = MemoryLimiter(clock=clock, most_bytes=most_bytes) if limiter is None else limiter

    async def prepare(self) -> None:
        """Same as `Limiter.prepare`."""

    async def hit(self, group: Group, cost: int = 1, *, permit: int = 0, now: Instant | None = None) -> Ruling:
        """Same as `MemoryLimiter.hit`."""
        return self._limiter.hit(group, cost, permit=permit, now=now)

    async def give_back(self, group: Group, permit: int) -> None:
        """Same as `Limiter.give_back`."""
        self._limiter.give_back(group, permit)

    async def reset(self, group: Group) -> None:
        """Same as `Limiter.reset`."""
        self._limiter.reset(group)

    async def aclose(self) -> None:
        """Same as `Limiter.close`."""
