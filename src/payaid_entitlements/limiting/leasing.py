"""
Leased limits: a process takes a block of units at once, and spends them on its own, for hot keys.

A block is counted by the limiter before a unit of it is spent, and a process has one block of the same counters at a
time, of at most ``lease`` units. So in any span of W no more is let through than the limit lets through in W, and
``lease`` units for each process: those that it had taken before and not spent yet. What is not spent within a second,
or the shortest window if that is less, is lost: nobody is let through for it. A process that is killed, and one that is
forked, loses its block too.

A block grows with what is asked: it is at most twice what this process spent lately in a block's time, so whoever is
asked seldom takes one unit at a time, and loses none. Where the limiter has no room for a block, the call is asked
alone, and its answer is told as it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.ratelimit.policy import Verdict
from payaid_entitlements.forking import after_fork
from payaid_entitlements.stores.limiter import Group, Ruling

if TYPE_CHECKING:
    from payaid_entitlements.limiting.groups import Course

#: Seconds for which a block can be spent at most.
LIFE: Final = 1.0
#: So many groups are leased at most; calls of others are asked one by one.
MOST_GROUPS: Final = 4_096
_MICROSECONDS: Final = 1_000_000
_NEVER: Final = float("-inf")


class Block:
    """
    What a process has of one group of counters.

    Attributes:
        lock: Of whoever spends or takes.
        left: Units that are not spent.
        until: By the clock of `Leases`; from then on nothing is spent.
        units: How many the block had when it was taken.
        size: How many the next one is to have, as far as ``lease`` goes.
        taken: What the limiter said when it was taken, and `begun` when it was asked.
        is_taking: Somebody asks for a block; who comes meanwhile does not wait for it, and asks alone.
        is_gone: Another block may have come in its place.
    """

    __slots__ = ("begun", "is_gone", "is_taking", "left", "life", "lock", "size", "taken", "units", "until")

    def __init__(self, group: Group) -> None:
        self.lock = threading.Lock()
        self.left = 0
        self.until = _NEVER
        self.units = 0
        self.size = 1
        self.taken: Ruling
        self.begun = _NEVER
        self.life = min(LIFE, min(each.policy.window for each in group.counters) / _MICROSECONDS)
        self.is_taking = False
        self.is_gone = False

    def spend(self, cost: int, now: float) -> Ruling | None:
        """Let a call through, where there is enough for it. With the lock."""
        if self.left < cost or self.until <= now:
            return None
        self.left -= cost
        return LeasedRuling(self.taken, self.left, int((now - self.begun) * _MICROSECONDS))


class LeasedRuling(Ruling):
    """What became of a call that was let through here. What the limiter said is told as it would say it now."""

    __slots__ = ("_left", "_passed", "_taken")

    def __init__(self, taken: Ruling, left: int, passed: int) -> None:
        self.is_allowed = True
        self.now = taken.now + passed
        self._taken = taken
        self._left = left
        self._passed = passed

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Same as `Ruling.verdicts`; units that are left here could be taken at once, too."""
        return tuple(
            Verdict(True, each.remaining + self._left, 0, max(each.reset_after - self._passed, 0))
            for each in self._taken.verdicts
        )


class Taking:
    """
    Asking the limiter for a call that nothing is here for.

    Attributes:
        units: To be asked of it: a block, or the call alone.
        ruling: What became of the call, where it need not be asked: somebody else has just taken a block.
        has_block: A block has come of it.
        kept: Units of the block before, which can be spent still where none has come.
    """

    __slots__ = ("_begun", "_block", "_cost", "has_block", "kept", "ruling", "units")

    def __init__(self, block: Block | None, cost: int, units: int, now: float, ruling: Ruling | None = None) -> None:
        self.units = units
        self.ruling = ruling
        self.has_block = False
        self.kept = 0
        self._block = block
        self._cost = cost
        self._begun = now

    def told(self, ruling: Ruling) -> Ruling | None:
        """
        Hear what the limiter says to `units`.

        Returns:
            What becomes of the call; None where it is to be asked alone, by its own cost.
        """
        block = self._block
        if block is None:
            return ruling
        if not ruling.is_allowed:
            # The next one is small again.
            block.units = 0
            return None if self.units > self._cost else ruling
        left = self.units - self._cost
        with block.lock:
            block.taken = ruling
            block.begun = self._begun
            # From when it was asked for: the answer may have taken its time.
            block.until = self._begun + block.life
            block.units = self.units
            block.left = left
            self.has_block = True
        return ruling if left == 0 else LeasedRuling(ruling, left, 0)


class Leases:
    """
    The blocks of this process. Safe to share between threads and tasks: nobody waits for an answer to another one.

    Args:
        clock: Seconds, never running backwards.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.forget()
        after_fork(self.forget)

    def forget(self) -> None:
        """Have nothing, as after a fork: what the parent has is the parent's to spend."""
        self._lock = threading.Lock()
        self._blocks: dict[tuple[str, ...], Block] = {}

    def spend(self, course: Course, cost: int) -> Ruling | None:
        """
        Let a call of at least one unit through, where enough is here.

        Returns:
            None where the limiter is to be asked.
        """
        block = course.block
        if block is None:
            return None
        now = self._clock()
        with block.lock:
            return block.spend(cost, now)

    @contextmanager
    def taking(self, course: Course, group: Group, cost: int) -> Iterator[Taking]:
        """Ask the limiter for a call of *group*, and perhaps for others that come after it."""
        block, now = self._block(course, group), self._clock()
        if block is None:
            yield Taking(None, cost, cost, now)
            return
        taking = None
        try:
            with block.lock:
                ruling = block.spend(cost, now)
                # One that is gone may have another in its place, and of both together there may be too much.
                if ruling is None and not block.is_taking and not block.is_gone:
                    _grow(block, now)
                    taking = Taking(block, cost, max(cost, min(block.size, course.lease)), now)
                    # While another is asked for nothing of this one is spent, for the same reason.
                    block.is_taking = True
                    taking.kept, block.left = block.left, 0
            yield taking or Taking(None, cost, cost, now, ruling)
        finally:
            if taking is not None:
                with block.lock:
                    block.is_taking = False
                    if not taking.has_block:
                        block.left = taking.kept

    def drop(self, group: Group) -> None:
        """Have nothing of the counters of *group*, which were reset."""
        keys = {counter.key for counter in group.counters}
        for (owner, *named), block in list(self._blocks.items()):
            if owner == group.owner and not keys.isdisjoint(named):
                with block.lock:
                    block.left = 0

    def _block(self, course: Course, group: Group) -> Block | None:
        """The block of *group*; None where too many others are leased."""
        block = course.block
        if block is not None and not block.is_gone:
            return block
        with self._lock:
            block = self._blocks.get(_named(group))
            if block is None:
                if len(self._blocks) >= MOST_GROUPS and not self._let_go():
                    return None
                self._blocks[_named(group)] = block = Block(group)
        course.block = block
        return block

    def _let_go(self) -> bool:
        """Forget the oldest block, unless it can be spent still."""
        named = next(iter(self._blocks))
        block = self._blocks.pop(named)
        with block.lock:
            block.is_gone = not block.is_taking and block.until <= self._clock()
        if not block.is_gone:
            # The next time another one is the oldest.
            self._blocks[named] = block
        return block.is_gone


def _grow(block: Block, now: float) -> None:
    """Choose the size of the next block by what became of this one, which holds no longer or not enough."""
    if block.until > now:
        block.size = max(2 * block.units, 1)
    else:
        block.size = max(block.units - block.left, 1)
        block.left = 0


def _named(group: Group) -> tuple[str, ...]:
    return (group.owner, *(counter.key for counter in group.counters))
