"""Contract: whoever comes at once, exactly so many pass."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from payaid_entitlements.core.ratelimit.policy import Policy
from payaid_entitlements.stores.limiter import Limiter
from payaid_entitlements.testing.contracts.limiter_calls import (
    AT_ONCE,
    FIVE,
    NOW,
    POLICIES,
    RATES,
    call,
    group,
    remaining,
)

#: Who come at once, and how often each of them.
CROWD, TIMES = 4, 4


class Exactness:
    """`Limiter.hit` of several at once."""

    @pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.algorithm)
    def test_of_those_who_come_at_once_exactly_so_many_pass(
        self, open_limiter: Callable[[], Limiter], policy: Policy
    ) -> None:
        crowd = [open_limiter() for _ in range(CROWD)]

        def hit(limiter: Limiter, who: int, turn: int) -> bool:
            return call(limiter, policy, permit=1 + who * TIMES + turn).is_allowed

        assert _passed(crowd, hit) == 5
        assert remaining(crowd[0], policy) == [0]

    def test_what_they_cost_is_never_more_than_there_is(self, open_limiter: Callable[[], Limiter]) -> None:
        crowd = [open_limiter() for _ in range(CROWD)]
        wide = replace(FIVE, quota=20, burst=20)

        def hit(limiter: Limiter, who: int, turn: int) -> bool:
            return call(limiter, wide, cost=3).is_allowed

        assert _passed(crowd, hit) == 6
        assert remaining(crowd[0], wide) == [2]

    def test_where_several_limits_hold_none_is_charged_for_who_is_refused(
        self, open_limiter: Callable[[], Limiter]
    ) -> None:
        crowd = [open_limiter() for _ in range(CROWD)]
        wide = [replace(policy, quota=40, burst=40) for policy in (FIVE, RATES[2])]

        def hit(limiter: Limiter, who: int, turn: int) -> bool:
            return call(limiter, wide[0], RATES[1], wide[1]).is_allowed

        assert _passed(crowd, hit) == 5
        assert remaining(crowd[0], wide[0], RATES[1], wide[1]) == [35, 0, 35]

    def test_permits_that_come_back_are_taken_by_one_each(self, open_limiter: Callable[[], Limiter]) -> None:
        crowd = [open_limiter() for _ in range(CROWD)]
        inside, most, lock = 0, 0, threading.Lock()
        two = replace(AT_ONCE, quota=2, burst=2)

        def hit(limiter: Limiter, who: int, turn: int) -> bool:
            nonlocal inside, most
            permit = 1 + who * TIMES + turn
            if not call(limiter, two, permit=permit).is_allowed:
                return False
            with lock:
                inside += 1
                most = max(most, inside)
            with lock:
                inside -= 1
            limiter.give_back(group(two), permit)
            return True

        assert _passed(crowd, hit) >= 2
        assert most <= 2
        assert remaining(crowd[0], two) == [2]

    def test_different_owners_do_not_meet(self, open_limiter: Callable[[], Limiter]) -> None:
        crowd = [open_limiter() for _ in range(CROWD)]

        def hit(limiter: Limiter, who: int, turn: int) -> bool:
            return limiter.hit(group(FIVE, owner=f"owner-{who}"), 2, now=NOW).is_allowed

        assert _passed(crowd, hit) == 2 * CROWD


def _passed(crowd: list[Limiter], hit: Callable[[Limiter, int, int], bool]) -> int:
    """How many of all calls passed, where everybody began at once."""
    gate = threading.Barrier(len(crowd))

    def come(who: int) -> int:
        gate.wait(30)
        return sum(hit(crowd[who], who, turn) for turn in range(TIMES))

    with ThreadPoolExecutor(len(crowd)) as pool:
        return sum(pool.map(come, range(len(crowd))))
