"""
Asking the limiter, with a breaker in front, and what holds where it gives no answer: in either colour.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from payaid_entitlements.cache.driving import refuse_in_loop
from payaid_entitlements.core.ratelimit.policy import MOST_UNITS
from payaid_entitlements.errors import ConfigurationError, StoreUnavailable
from payaid_entitlements.limiting.finding import Limiting
from payaid_entitlements.limiting.outcome import RateLimitOutcome
from payaid_entitlements.limiting.permits import FEW, no_permit
from payaid_entitlements.stores.limiter import AsyncLimiter, Limiter

if TYPE_CHECKING:
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.core.instant import Instant
    from payaid_entitlements.limiting.groups import Course
    from payaid_entitlements.stores.limiter import Group, Ruling

L = TypeVar("L")


class SyncLimiting(Limiting):
    """Asks in the thread of the caller."""

    def __init__(self, setting: Setting, limiter: Limiter | None, processes: int) -> None:
        super().__init__(setting, processes)
        self.limiter = limiter
        #: Once it is ready, where it is in memory: nobody waits for it, so it is asked without a breaker.
        self._near: Limiter | None = None

    def ask(self, course: Course, cost: int, permit: int = 0) -> RateLimitOutcome:
        """
        Count a call, as far as there is room.

        Args:
            permit: Of a limit of so many at once.

        Raises:
            ConfigurationError: There is no limiter, or no limit ever lets so many units through.
            TypeError: *cost* is no number, a permit is needed, or an event loop is running in this thread.
        """
        if type(cost) is not int or not 0 <= cost <= MOST_UNITS:
            require_cost(cost)
        if course.is_held and cost and not permit:
            raise no_permit(course)
        group = course.group
        if group is None:
            return self._unasked(course, cost)
        setting = self.setting
        now = setting.told_time() if setting.tells_time else None
        try:
            if (limiter := self._near) is not None:
                ruling = limiter.hit(group, cost, permit=permit, now=now)
            elif course.lease > 1 and cost:
                ruling = self._leased(course, group, cost, now)
            elif self._is_ready and not self.due:
                refuse_in_loop()
                with self.breaker.asking():
                    ruling = there(self.limiter).hit(group, cost, permit=permit, now=now)
            else:
                with self._asking() as limiter:
                    ruling = limiter.hit(group, cost, permit=permit, now=now)
        except StoreUnavailable as error:
            self.due.doubt(permit, error)
            return self.standby.answer(course, cost, permit, error)
        if not ruling.is_allowed:
            setting.observer.count("rate_limit.refused", course.terms.key)
        outcome = RateLimitOutcome(course.terms, ruling, cost)
        if course.is_observed:
            self._observed(outcome)
        return outcome

    def _leased(self, course: Course, group: Group, cost: int, now: Instant | None) -> Ruling:
        ruling = self.leases.spend(course, cost)
        if ruling is None:
            with self._asking() as limiter, self.leases.taking(course, group, cost) as taking:
                ruling = taking.ruling or taking.told(limiter.hit(group, taking.units, now=now))
                if ruling is None:
                    ruling = limiter.hit(group, cost, now=now)
        return ruling

    def give_back(self, course: Course, permit: int, taken: RateLimitOutcome) -> None:
        """
        Free a permit, if there is one. Where there is no answer it is given back when there is one again.

        Args:
            taken: What became of the call that asked for it.
        """
        group = course.group
        if group is None:
            return
        is_doubted = self.due.is_doubted(permit)
        if taken.on_outage is not None or not taken.allowed:
            self.standby.give_back(course, permit, taken)
            if is_doubted:
                self.due.add(group, permit)
            return
        try:
            with self._asking() as limiter:
                limiter.give_back(group, permit)
        except StoreUnavailable:
            self.due.add(group, permit)
            self.setting.observer.count("rate_limit.not_given_back", course.terms.key)

    def forget(self, course: Course) -> None:
        """
        Forget what was counted.

        Raises:
            StoreUnavailable: The limiter gave no answer.
        """
        self.standby.reset(course)
        if course.group is None:
            return
        self.leases.drop(course.group)
        with self._asking() as limiter:
            limiter.reset(course.group)

    def answers(self) -> bool:
        """Does the limiter answer just now?"""
        try:
            with self._asking() as limiter:
                limiter.hit(self._nobody, 0)
        except (StoreUnavailable, ConfigurationError):
            return False
        return True

    def close(self) -> None:
        """Let go of connections."""
        if self.limiter is not None:
            self.limiter.close()

    @contextmanager
    def _asking(self) -> Iterator[Limiter]:
        limiter = there(self.limiter)
        if limiter.is_shared:
            refuse_in_loop()
        with self.breaker.asking():
            if not self._is_ready:
                # Of two that come first both make it ready: that is harmless.
                limiter.prepare()
                self._prepared(limiter)
                self._near = None if limiter.is_shared else limiter
            yield limiter
        if self.due:
            self._give_back_due(limiter)

    def _give_back_due(self, limiter: Limiter) -> None:
        """Give some permits back that could not be, now that there is an answer."""
        with suppress(StoreUnavailable):
            for _ in range(FEW):
                if (due := self.due.take()) is None:
                    return
                try:
                    with self.breaker.asking():
                        limiter.give_back(*due)
                except BaseException:
                    self.due.add(*due)
                    raise


class AsyncLimiting(Limiting):
    """Same as `SyncLimiting`, awaited."""

    def __init__(self, setting: Setting, limiter: AsyncLimiter | None, processes: int) -> None:
        super().__init__(setting, processes)
        self.limiter = limiter
        self._near: AsyncLimiter | None = None
        self._preparing: asyncio.Task[None] | None = None

    async def ask(self, course: Course, cost: int, permit: int = 0) -> RateLimitOutcome:
        """Same as `SyncLimiting.ask`, awaited."""
        if type(cost) is not int or not 0 <= cost <= MOST_UNITS:
            require_cost(cost)
        if course.is_held and cost and not permit:
            raise no_permit(course)
        group = course.group
        if group is None:
            return self._unasked(course, cost)
        setting = self.setting
        now = setting.told_time() if setting.tells_time else None
        try:
            if (limiter := self._near) is not None:
                ruling = await limiter.hit(group, cost, permit=permit, now=now)
            elif course.lease > 1 and cost:
                ruling = await self._leased(course, group, cost, now)
            elif self._is_ready and not self.due:
                # A generator around it would cost more than a call's part of a round trip that many share.
                with self.breaker.asking():
                    ruling = await there(self.limiter).hit(group, cost, permit=permit, now=now)
            else:
                async with self._asking() as limiter:
                    ruling = await limiter.hit(group, cost, permit=permit, now=now)
        except StoreUnavailable as error:
            self.due.doubt(permit, error)
            return self.standby.answer(course, cost, permit, error)
        if not ruling.is_allowed:
            setting.observer.count("rate_limit.refused", course.terms.key)
        outcome = RateLimitOutcome(course.terms, ruling, cost)
        if course.is_observed:
            self._observed(outcome)
        return outcome

    async def _leased(self, course: Course, group: Group, cost: int, now: Instant | None) -> Ruling:
        ruling = self.leases.spend(course, cost)
        if ruling is None:
            async with self._asking() as limiter:
                with self.leases.taking(course, group, cost) as taking:
                    ruling = taking.ruling or taking.told(await limiter.hit(group, taking.units, now=now))
                    if ruling is None:
                        ruling = await limiter.hit(group, cost, now=now)
        return ruling

    async def give_back(self, course: Course, permit: int, taken: RateLimitOutcome) -> None:
        """Same as `SyncLimiting.give_back`, awaited."""
        group = course.group
        if group is None:
            return
        is_doubted = self.due.is_doubted(permit)
        if taken.on_outage is not None or not taken.allowed:
            self.standby.give_back(course, permit, taken)
            if is_doubted:
                self.due.add(group, permit)
            return
        try:
            async with self._asking() as limiter:
                await limiter.give_back(group, permit)
        except StoreUnavailable:
            self.due.add(group, permit)
            self.setting.observer.count("rate_limit.not_given_back", course.terms.key)

    async def forget(self, course: Course) -> None:
        """Same as `SyncLimiting.forget`, awaited."""
        self.standby.reset(course)
        if course.group is None:
            return
        self.leases.drop(course.group)
        async with self._asking() as limiter:
            await limiter.reset(course.group)

    async def answers(self) -> bool:
        """Same as `SyncLimiting.answers`, awaited."""
        try:
            async with self._asking() as limiter:
                await limiter.hit(self._nobody, 0)
        except (StoreUnavailable, ConfigurationError):
            return False
        return True

    async def aclose(self) -> None:
        """Same as `SyncLimiting.close`, awaited."""
        if self.limiter is not None:
            await self.limiter.aclose()

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[AsyncLimiter]:
        limiter = there(self.limiter)
        with self.breaker.asking():
            if not self._is_ready:
                await self._prepare_once(limiter)
                self._prepared(limiter)
                self._near = None if limiter.is_shared else limiter
            yield limiter
        if self.due:
            await self._give_back_due(limiter)

    async def _give_back_due(self, limiter: AsyncLimiter) -> None:
        """Same as `SyncLimiting._give_back_due`, awaited."""
        with suppress(StoreUnavailable):
            for _ in range(FEW):
                if (due := self.due.take()) is None:
                    return
                try:
                    with self.breaker.asking():
                        await limiter.give_back(*due)
                except BaseException:
                    self.due.add(*due)
                    raise

    async def _prepare_once(self, limiter: AsyncLimiter) -> None:
        """
        Make it ready, with all who come meanwhile: a hundred first calls would open a hundred connections for it, and
        some would have to wait longer for theirs than for an answer.
        """
        loop = asyncio.get_running_loop()
        preparing = self._preparing
        if preparing is None or preparing.done() or preparing.get_loop() is not loop:
            preparing = self._preparing = loop.create_task(limiter.prepare())
            # Also where nobody waits for it any more.
            preparing.add_done_callback(lambda task: None if task.cancelled() else task.exception())
        await asyncio.shield(preparing)


def there(limiter: L | None) -> L:
    """
    Give *limiter*.

    Raises:
        ConfigurationError: There is none.
    """
    if limiter is None:
        raise ConfigurationError(
            "no calls can be limited: the store has no limiter. Name one, as in "
            "Entitlements.open(url, limiter='redis://...'), or 'memory://' for one that counts in each process"
        )
    return limiter


def require_cost(cost: int) -> int:
    """
    Return *cost*.

    Raises:
        TypeError: It is no int.
        ConfigurationError: It is negative, or more than any limit lets through.
    """
    if type(cost) is not int:
        raise TypeError(f"cost={cost!r}: give a whole number of units")
    if not 0 <= cost <= MOST_UNITS:
        raise ConfigurationError(f"cost is {cost}; it is 0 to {MOST_UNITS:,} units")
    return cost
