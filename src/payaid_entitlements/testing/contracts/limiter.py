"""The contract of a limiter, as one class; its parts are in the files beside this one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import cast

import pytest

from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores.limiter import AsyncLimiter, Limiter
from payaid_entitlements.stores.ports import Concern
from payaid_entitlements.testing.contracts.awaiting import Awaited, LoopThread
from payaid_entitlements.testing.contracts.limiter_calls import (
    AT_ONCE,
    FIVE,
    NOW,
    RATES,
    call,
    group,
    remaining,
)
from payaid_entitlements.testing.contracts.limiter_counting import Counting
from payaid_entitlements.testing.contracts.limiter_exactness import Exactness
from payaid_entitlements.testing.contracts.limiter_permits import Permits
from payaid_entitlements.testing.contracts.limiter_replaying import Replaying
from payaid_entitlements.testing.contracts.limiter_time import Timing


class LimiterContract(Counting, Timing, Permits, Exactness, Replaying):
    """
    What every `Limiter` must keep; each sentence of the port is a test.

    Subclass it and override the fixture `new_limiter`; and `unreachable_limiter`, where yours asks a server.
    """

    @pytest.fixture
    def new_limiter(self) -> Callable[[], Limiter]:
        """
        Give a function that makes a client of your limiter.

        All clients of one test are of one place, in which nothing is counted when the test begins, and which has its
        tables where `prepare` does not make them. A client that the function gave is closed after the test.
        """
        # A contract has no limiter of its own: whoever runs it on theirs brings one.
        raise NotImplementedError(
            "override the fixture new_limiter: return a function that makes a client of your limiter"
        )

    @pytest.fixture
    def open_limiter(self, new_limiter: Callable[[], Limiter]) -> Iterator[Callable[[], Limiter]]:
        """A function that opens another client, ready for use; all are closed after the test."""
        with _opening(new_limiter) as another:
            yield another

    @pytest.fixture
    def limiter(self, open_limiter: Callable[[], Limiter]) -> Limiter:
        """A client of a limiter in which nothing is counted."""
        return open_limiter()

    @pytest.fixture
    def unreachable_limiter(self) -> Limiter | AsyncLimiter | None:
        """A client of which the server does not answer, not prepared; None where there is no server."""
        return None

    @pytest.fixture
    def unreachable(self, unreachable_limiter: Limiter) -> Iterator[Limiter | None]:
        """The same, to be called."""
        yield unreachable_limiter
        if unreachable_limiter is not None:
            unreachable_limiter.close()

    def test_it_says_where_it_is_and_who_counts_there(self, limiter: Limiter) -> None:
        assert isinstance(limiter.name, str)
        assert limiter.name != ""
        assert isinstance(limiter.is_shared, bool)
        for concern in limiter.concerns:
            assert isinstance(concern, Concern)
            assert concern.promise
            assert concern.found
            assert concern.way_out

    def test_preparing_again_changes_nothing(self, limiter: Limiter, open_limiter: Callable[[], Limiter]) -> None:
        call(limiter, *RATES, AT_ONCE, cost=3, permit=1)
        before = call(limiter, *RATES, AT_ONCE, cost=0)
        limiter.prepare()
        assert call(limiter, *RATES, AT_ONCE, cost=0) == before
        assert call(open_limiter(), *RATES, AT_ONCE, cost=0) == before

    def test_what_one_client_counts_another_knows(self, limiter: Limiter, open_limiter: Callable[[], Limiter]) -> None:
        call(limiter, *RATES, cost=3)
        another = open_limiter()
        assert not call(another, *RATES, cost=3).is_allowed
        assert call(another, *RATES, cost=2).is_allowed
        assert remaining(limiter, *RATES) == [0, 0, 0, 0]
        another.reset(group(FIVE))
        assert remaining(limiter, *RATES) == [5, 0, 0, 0]
        call(limiter, AT_ONCE, permit=1)
        another.give_back(group(AT_ONCE), 1)
        assert remaining(limiter, AT_ONCE) == [5]

    def test_a_closed_limiter_can_be_used_again(self, limiter: Limiter) -> None:
        call(limiter, FIVE, cost=3)
        limiter.close()
        assert remaining(limiter, FIVE) == [2]
        limiter.close()
        limiter.close()
        assert call(limiter, FIVE, cost=2).is_allowed

    def test_what_cannot_be_reached_is_unavailable(self, unreachable: Limiter | None) -> None:
        if unreachable is None:
            pytest.skip("there is no server to be reached")
        for method in (
            lambda: call(unreachable, FIVE),
            lambda: call(unreachable, *RATES, cost=0),
            lambda: unreachable.give_back(group(AT_ONCE), 1),
            lambda: unreachable.reset(group(FIVE)),
        ):
            with pytest.raises(StoreUnavailable) as raised:
                method()
            assert isinstance(raised.value.__cause__, Exception)


class AsyncLimiterContract(LimiterContract):
    """Same as `LimiterContract`, for an `AsyncLimiter`: `new_limiter` gives a function that makes one."""

    @pytest.fixture
    def loop(self) -> Iterator[LoopThread]:
        """The event loop on which the limiter is used: what belongs to a loop must be made by ``loop.run(...)``."""
        with LoopThread() as loop:
            yield loop

    @pytest.fixture
    def open_limiter(
        self, new_limiter: Callable[[], AsyncLimiter], loop: LoopThread
    ) -> Iterator[Callable[[], Limiter]]:
        """Same as `LimiterContract.open_limiter`."""
        with _opening(lambda: cast("Limiter", Awaited(new_limiter(), loop))) as another:
            yield another

    @pytest.fixture
    def unreachable(self, unreachable_limiter: AsyncLimiter | None, loop: LoopThread) -> Iterator[Limiter | None]:
        """Same as `LimiterContract.unreachable`."""
        if unreachable_limiter is None:
            yield None
        else:
            yield cast("Limiter", Awaited(unreachable_limiter, loop))
            loop.run(unreachable_limiter.aclose())

    def test_calls_of_one_turn_are_answered_each(
        self, limiter: Limiter, new_limiter: Callable[[], AsyncLimiter], loop: LoopThread
    ) -> None:
        async def turn() -> list[int]:
            there = new_limiter()
            await there.prepare()
            try:
                calls = [there.hit(group(FIVE, owner=f"owner-{place % 3}"), now=NOW) for place in range(20)]
                rulings = await asyncio.gather(*calls)
            finally:
                await there.aclose()
            return [sum(ruling.is_allowed for ruling in rulings[place::3]) for place in range(3)]

        assert loop.run(turn()) == [5, 5, 5]
        assert [remaining(limiter, FIVE, owner=f"owner-{place}") for place in range(3)] == [[0]] * 3


@contextmanager
def _opening(new_limiter: Callable[[], Limiter]) -> Iterator[Callable[[], Limiter]]:
    with ExitStack() as stack:

        def another() -> Limiter:
            limiter = new_limiter()
            stack.callback(limiter.close)
            limiter.prepare()
            return limiter

        yield another
