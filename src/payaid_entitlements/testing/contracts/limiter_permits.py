"""Contract: so many at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payaid_entitlements.core.ratelimit.policy import Verdict
from payaid_entitlements.stores.limiter import Limiter, Ruling
from payaid_entitlements.testing.contracts.limiter_calls import (
    AT_ONCE,
    FIVE,
    MINUTE,
    NOW,
    RATES,
    WINDOW,
    call,
    group,
    remaining,
)

#: The largest number of a permit.
LAST = 2**52
TWO = replace(AT_ONCE, quota=2, burst=2)


class Permits:
    """`Limiter.hit` with a permit, and `Limiter.give_back`."""

    def test_what_is_given_back_is_free(self, limiter: Limiter) -> None:
        for permit in (1, LAST):
            assert call(limiter, TWO, permit=permit).is_allowed
        assert not call(limiter, TWO, permit=3).is_allowed
        limiter.give_back(group(TWO), LAST)
        assert remaining(limiter, TWO) == [1]
        assert call(limiter, TWO, permit=3).is_allowed
        limiter.give_back(group(TWO), 1)
        limiter.give_back(group(TWO), 3)
        assert call(limiter, TWO, cost=0) == Ruling(True, NOW, (Verdict(True, 2, 0, 0),))

    def test_what_is_free_already_is_no_error(self, limiter: Limiter) -> None:
        limiter.give_back(group(TWO), 1)
        call(limiter, TWO, permit=1)
        limiter.give_back(group(TWO), 2)
        assert remaining(limiter, TWO) == [1]
        for _ in range(2):
            limiter.give_back(group(TWO), 1)
        assert remaining(limiter, TWO) == [2]

    def test_taken_again_it_is_extended_and_counts_once(self, limiter: Limiter) -> None:
        for permit in (1, 2):
            call(limiter, TWO, permit=permit)
        again = call(limiter, TWO, permit=1, now=NOW + MINUTE)
        assert again.is_allowed
        assert again.verdicts[0] == Verdict(True, 0, 0, WINDOW)
        # Now the other one is the first that runs out.
        assert call(limiter, TWO, permit=3, now=NOW + MINUTE).verdicts[0].retry_after == WINDOW - MINUTE
        assert remaining(limiter, TWO, now=NOW + WINDOW) == [1]
        assert remaining(limiter, TWO, now=NOW + WINDOW + MINUTE) == [2]

    def test_nobody_gives_it_back_and_it_runs_out(self, limiter: Limiter) -> None:
        for permit in (1, 2):
            call(limiter, TWO, permit=permit)
        assert not call(limiter, TWO, permit=3, now=NOW + WINDOW - 1).is_allowed
        assert call(limiter, TWO, permit=3, now=NOW + WINDOW).is_allowed

    def test_whose_permit_ran_out_gives_back_nobody_elses(self, limiter: Limiter) -> None:
        call(limiter, TWO, permit=1)
        for permit in (2, 3):
            assert call(limiter, TWO, permit=permit, now=NOW + WINDOW).is_allowed
        limiter.give_back(group(TWO), 1)
        assert remaining(limiter, TWO, now=NOW + WINDOW) == [0]

    def test_giving_back_leaves_rates_as_they_are(self, limiter: Limiter) -> None:
        call(limiter, FIVE, TWO, *RATES[1:], permit=7)
        limiter.give_back(group(FIVE, TWO, *RATES[1:]), 7)
        assert remaining(limiter, FIVE, TWO, *RATES[1:]) == [4, 2, 4, 4, 4]

    def test_who_finds_no_room_takes_no_permit(self, limiter: Limiter) -> None:
        full = replace(FIVE, quota=1, burst=1)
        assert call(limiter, full, TWO, permit=1).is_allowed
        assert not call(limiter, full, TWO, permit=2).is_allowed
        assert remaining(limiter, TWO) == [1]

    @pytest.mark.parametrize("owner", ["acme", "beta"])
    def test_it_is_given_back_by_its_owner(self, limiter: Limiter, owner: str) -> None:
        for each in ("acme", "beta"):
            call(limiter, TWO, permit=1, owner=each)
        limiter.give_back(group(TWO, owner=owner), 1)
        left = [remaining(limiter, TWO, owner=each) for each in ("acme", "beta")]
        assert left == [[2 if each == owner else 1] for each in ("acme", "beta")]
