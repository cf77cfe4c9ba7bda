"""Contract: what the clock does to counters."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy
from payaid_entitlements.stores.limiter import Limiter
from payaid_entitlements.testing.contracts.limiter_calls import (
    AT_ONCE,
    FIVE,
    MINUTE,
    NOW,
    POLICIES,
    RATES,
    SECOND,
    WINDOW,
    call,
    group,
    remaining,
)

#: Microseconds by which a server's clock may differ from this process's.
APART = 10 * MINUTE


class Timing:
    """`Limiter.hit` by the clock that is handed in, and by its own."""

    def test_it_has_a_clock_of_its_own(self, limiter: Limiter) -> None:
        begun = time.time_ns() // 1000
        rulings = [limiter.hit(group(FIVE), cost) for cost in (1, 0, 5)]
        ended = time.time_ns() // 1000
        assert [ruling.is_allowed for ruling in rulings] == [True, True, False]
        for ruling in rulings:
            assert type(ruling.now) is int
            assert begun - APART < ruling.now < ended + APART
        assert rulings[0].now <= rulings[1].now <= rulings[2].now

    def test_its_own_clock_runs(self, limiter: Limiter) -> None:
        quick = Policy("quick", Algorithm.GCRA, 20, SECOND, 1)
        used = group(quick)
        ruling = limiter.hit(used)
        assert ruling.is_allowed
        allowed_at = ruling.now
        until = time.monotonic() + 10
        while not (ruling := limiter.hit(used)).is_allowed:
            assert ruling.verdicts[0].retry_after > 0
            assert ruling.now < allowed_at + 50_000
            assert time.monotonic() < until
            time.sleep(ruling.verdicts[0].retry_after / 1e6)
        assert ruling.now >= allowed_at + 50_000

    def test_it_answers_by_the_clock_that_is_handed_in(self, limiter: Limiter) -> None:
        for now in (NOW, NOW + 1, NOW + 20 * WINDOW):
            assert call(limiter, FIVE, now=now).now == now
            assert call(limiter, FIVE, cost=6, now=now).now == now

    @pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.algorithm)
    def test_after_what_it_says_there_is_room_and_not_a_microsecond_before(
        self, limiter: Limiter, policy: Policy
    ) -> None:
        for permit in range(1, 6):
            call(limiter, policy, permit=permit, now=NOW + permit)
        refused = call(limiter, policy, permit=9, now=NOW + 10)
        retry_after = refused.verdicts[0].retry_after
        assert 0 < retry_after <= 2 * WINDOW
        assert not call(limiter, policy, permit=9, now=NOW + 10 + retry_after - 1).is_allowed
        assert call(limiter, policy, permit=9, now=NOW + 10 + retry_after).is_allowed

    @pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.algorithm)
    def test_after_what_it_says_all_is_as_new(self, limiter: Limiter, policy: Policy) -> None:
        call(limiter, policy, permit=1)
        reset_after = call(limiter, policy, permit=2).verdicts[0].reset_after
        assert 0 < reset_after <= 2 * WINDOW
        before, after = (call(limiter, policy, cost=0, now=NOW + reset_after - left) for left in (1, 0))
        assert before.verdicts[0].reset_after == 1
        assert after.verdicts[0][1:] == (5, 0, 0)

    @pytest.mark.parametrize("policy", RATES, ids=lambda policy: policy.algorithm)
    def test_time_that_runs_backwards_stands_still(self, limiter: Limiter, policy: Policy) -> None:
        call(limiter, policy, cost=5)
        # Far enough that a window before this one would have begun.
        for back in (1, MINUTE, WINDOW - 1, 3 * WINDOW):
            refused = call(limiter, policy, now=NOW - back)
            assert not refused.is_allowed, back
            assert refused.now == NOW - back
        assert not call(limiter, policy).is_allowed

    def test_a_permit_outlives_a_clock_that_was_set_back(self, limiter: Limiter) -> None:
        one = replace(AT_ONCE, quota=1, burst=1)
        call(limiter, one, permit=1)
        assert not call(limiter, one, permit=2, now=NOW - 3 * WINDOW).is_allowed

    def test_a_quota_holds_in_every_window(self, limiter: Limiter) -> None:
        log = RATES[1]
        assert log.algorithm is Algorithm.SLIDING_LOG
        passed: list[int] = []
        for step in range(60):
            now = NOW + step * 7 * MINUTE
            if call(limiter, log, now=now).is_allowed:
                passed.append(now)
        assert len(passed) > 30
        for since in passed:
            assert sum(since <= now < since + WINDOW for now in passed) <= 5

    def test_a_full_burst_and_the_rate_is_the_most(self, limiter: Limiter) -> None:
        policy = replace(FIVE, burst=3)
        passed = [step for step in range(120) if call(limiter, policy, now=NOW + step * MINUTE).is_allowed]
        # One unit takes twelve minutes.
        assert passed[:4] == [0, 1, 2, 12]
        for since in passed:
            for minutes in range(1, 60):
                assert sum(since <= step < since + minutes for step in passed) <= 3 + minutes / 12

    def test_what_is_asked_later_writes_nothing(self, limiter: Limiter) -> None:
        call(limiter, *RATES, cost=5)
        call(limiter, *RATES, cost=0, now=NOW + 5 * WINDOW)
        assert remaining(limiter, *RATES) == [0, 0, 0, 0]
