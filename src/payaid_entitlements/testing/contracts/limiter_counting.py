"""Contract: a call is counted on all counters of its group, or on none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payaid_entitlements.core.ratelimit.policy import MOST_UNITS, NEVER, Algorithm, Policy, Verdict
from payaid_entitlements.stores.limiter import Counter, Group, Limiter, Ruling
from payaid_entitlements.testing.contracts.limiter_calls import (
    FIVE,
    MINUTE,
    NOW,
    POLICIES,
    RATES,
    SECOND,
    WINDOW,
    call,
    counter,
    digest,
    group,
    observed,
    remaining,
)

each_policy = pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.algorithm)
each_rate = pytest.mark.parametrize("policy", RATES, ids=lambda policy: policy.algorithm)
#: Seven in an hour: a unit takes no whole number of microseconds.
UNEVEN = Policy("seven", Algorithm.GCRA, 7, WINDOW, 3)


class Counting:
    """`Limiter.hit` and `Limiter.reset`."""

    @each_policy
    def test_so_many_pass_and_no_more(self, limiter: Limiter, policy: Policy) -> None:
        rulings = [call(limiter, policy, permit=permit) for permit in range(1, 9)]
        assert [ruling.is_allowed for ruling in rulings] == [True] * 5 + [False] * 3
        assert [ruling.verdicts[0].remaining for ruling in rulings] == [4, 3, 2, 1, 0, 0, 0, 0]
        assert [ruling.verdicts[0].is_within for ruling in rulings] == [True] * 5 + [False] * 3
        assert [ruling.verdicts[0].retry_after > 0 for ruling in rulings] == [False] * 5 + [True] * 3

    @each_rate
    def test_a_call_may_cost_more_than_one(self, limiter: Limiter, policy: Policy) -> None:
        assert call(limiter, policy, cost=3).verdicts[0].remaining == 2
        refused = call(limiter, policy, cost=3)
        assert not refused.is_allowed
        assert refused.verdicts[0].remaining == 2
        assert call(limiter, policy, cost=2).is_allowed

    @each_rate
    @pytest.mark.parametrize("cost", [6, MOST_UNITS])
    def test_what_never_fits_is_told_so(self, limiter: Limiter, policy: Policy, cost: int) -> None:
        refused = call(limiter, policy, cost=cost)
        assert refused == Ruling(False, NOW, (Verdict(False, 5, NEVER, 0),))
        assert remaining(limiter, policy) == [5]

    @each_policy
    def test_cost_0_asks_and_writes_nothing(self, limiter: Limiter, policy: Policy) -> None:
        for _ in range(2):
            assert call(limiter, policy, cost=0) == Ruling(True, NOW, (Verdict(True, 5, 0, 0),))
        for permit in range(1, 6):
            assert call(limiter, policy, permit=permit).is_allowed
        before = call(limiter, policy, cost=0)
        assert before.is_allowed
        assert before.verdicts[0].is_within
        assert before.verdicts[0].remaining == 0
        assert before.verdicts[0].reset_after > 0
        assert call(limiter, policy, cost=0) == before
        assert not call(limiter, policy, permit=6).is_allowed

    def test_all_have_room_or_nothing_is_counted(self, limiter: Limiter) -> None:
        for place in range(len(RATES)):
            full = replace(RATES[place], quota=1, burst=1)
            policies = [*RATES[:place], full, *RATES[place + 1 :]]
            owner = f"acme-{place}"
            assert call(limiter, *policies, owner=owner).is_allowed
            before = remaining(limiter, *policies, owner=owner)
            refused = call(limiter, *policies, owner=owner)
            assert not refused.is_allowed
            assert [verdict.is_within for verdict in refused.verdicts] == [each is not full for each in policies]
            assert [verdict.remaining for verdict in refused.verdicts] == before
            assert before == [4 * (each is not full) for each in policies]
            assert remaining(limiter, *policies, owner=owner) == before

    def test_answers_come_in_the_order_of_the_counters(self, limiter: Limiter) -> None:
        policies = [replace(policy, quota=quota, burst=quota) for quota, policy in enumerate(RATES, 3)]
        assert [verdict.remaining for verdict in call(limiter, *policies).verdicts] == [2, 3, 4, 5]
        assert [verdict.remaining for verdict in call(limiter, *reversed(policies)).verdicts] == [4, 3, 2, 1]

    @each_policy
    def test_what_is_observed_refuses_nobody(self, limiter: Limiter, policy: Policy) -> None:
        rulings = [call(limiter, observed(policy), permit=permit) for permit in range(1, 8)]
        assert [ruling.is_allowed for ruling in rulings] == [True] * 7
        assert [ruling.verdicts[0].is_within for ruling in rulings] == [True] * 5 + [False] * 2
        assert rulings[5].verdicts[0].retry_after == rulings[6].verdicts[0].retry_after > 0
        assert remaining(limiter, policy) == [0]

    def test_what_is_observed_lets_others_count(self, limiter: Limiter) -> None:
        watched = observed(replace(RATES[1], quota=1, burst=1))
        assert [call(limiter, FIVE, watched).is_allowed for _ in range(6)] == [True] * 5 + [False]
        assert remaining(limiter, FIVE, watched) == [0, 0]

    def test_what_is_refused_is_not_observed(self, limiter: Limiter) -> None:
        watched = observed(RATES[1])
        for _ in range(7):
            call(limiter, replace(FIVE, quota=2, burst=2), watched)
        assert remaining(limiter, watched) == [3]

    @each_policy
    def test_what_was_counted_stands_when_the_quota_changes(self, limiter: Limiter, policy: Policy) -> None:
        for permit in range(1, 4):
            call(limiter, policy, permit=permit)
        wider, narrower = replace(policy, quota=10, burst=10), replace(policy, quota=2, burst=2)
        assert remaining(limiter, wider) == [7]
        assert remaining(limiter, narrower) == [0]
        assert not call(limiter, narrower, permit=9).is_allowed
        assert call(limiter, wider, permit=9).is_allowed
        assert remaining(limiter, wider) == [6]

    def test_what_was_taken_by_another_quota_is_worked_off_as_before_until_a_call_passes(
        self, limiter: Limiter
    ) -> None:
        call(limiter, FIVE, cost=5)
        wider, narrower = replace(FIVE, quota=60), replace(FIVE, quota=1)
        # One of five in an hour comes back after twelve minutes, whatever the quota is by then.
        for other in (wider, narrower):
            refused = call(limiter, other).verdicts[0]
            assert refused == Verdict(False, 0, 12 * MINUTE, WINDOW)
        later = call(limiter, wider, now=NOW + 12 * MINUTE)
        assert later.verdicts[0] == Verdict(True, 0, 0, 5 * MINUTE)

    def test_a_changed_burst_holds_at_once(self, limiter: Limiter) -> None:
        call(limiter, FIVE, cost=3)
        assert remaining(limiter, replace(FIVE, burst=4)) == [1]
        assert remaining(limiter, replace(FIVE, burst=9)) == [6]

    def test_what_remains_of_a_microsecond_is_kept(self, limiter: Limiter) -> None:
        for _ in range(3):
            call(limiter, UNEVEN)
        # Three units take 1,542,857,142 6/7 microseconds to be worked off; a third of that frees the next.
        refused = call(limiter, UNEVEN).verdicts[0]
        assert refused == Verdict(False, 0, 514_285_715, 1_542_857_143)
        assert not call(limiter, UNEVEN, now=NOW + 514_285_714).is_allowed
        assert call(limiter, UNEVEN, now=NOW + 514_285_715).is_allowed

    @pytest.mark.parametrize("quota", [5, 2, 1])
    def test_what_remains_of_a_microsecond_outlives_another_quota(self, limiter: Limiter, quota: int) -> None:
        call(limiter, UNEVEN)
        # 2/7 of a microsecond remain. Of a unit a seven millionth or so is worked off when the next one is taken.
        used = group(replace(UNEVEN, quota=quota, burst=10))
        assert limiter.hit(used, 0, now=NOW).verdicts[0].reset_after == 514_285_715
        two = -((7 - 2 * WINDOW) // quota)
        assert limiter.hit(used, now=NOW + 1).verdicts[0].reset_after == two
        assert limiter.hit(used, 0, now=NOW + two).verdicts[0].reset_after == 1

    @pytest.mark.parametrize("other", ["owner", "name", "window", "algorithm"])
    def test_counters_are_told_apart(self, limiter: Limiter, other: str) -> None:
        call(limiter, FIVE, cost=5)
        match other:
            case "owner":
                apart = group(FIVE, owner="beta")
            case "name":
                apart = group(FIVE, name="other")
            case "window":
                apart = group(replace(FIVE, window=WINDOW + MINUTE))
            case _:
                apart = group(RATES[1])
        assert limiter.hit(apart, 5, now=NOW).is_allowed
        assert not call(limiter, FIVE).is_allowed

    def test_owner_and_key_do_not_run_into_each_other(self, limiter: Limiter) -> None:
        whole = digest("both")
        pairs = [(whole[:cut], whole[cut:]) for cut in range(1, len(whole))]
        pairs += [(whole, whole), (whole * 2, whole[:1]), (whole[:1], "a" * 40), ("a" * 40, whole[:1])]
        pairs = [(owner[:40], key) for owner, key in pairs]
        assert len(set(pairs)) == len(pairs)
        for owner, key in pairs:
            assert limiter.hit(Group(owner, [Counter(key, FIVE)]), 4, now=NOW).is_allowed, (owner, key)

    def test_a_group_can_be_used_again(self, limiter: Limiter) -> None:
        for used in (group(FIVE), group(FIVE, RATES[1])):
            for _ in range(2):
                for cost, left in ((1, 4), (1, 3), (0, 3)):
                    verdicts = limiter.hit(used, cost, now=NOW).verdicts
                    assert [verdict.remaining for verdict in verdicts] == [left] * len(used.counters)
                assert not limiter.hit(used, 4, now=NOW).is_allowed
                limiter.reset(used)

    def test_groups_share_counters(self, limiter: Limiter) -> None:
        together, alone = group(FIVE, RATES[1]), group(RATES[1])
        limiter.hit(together, 2, now=NOW)
        limiter.hit(alone, 2, now=NOW)
        assert [verdict.remaining for verdict in limiter.hit(together, 0, now=NOW).verdicts] == [3, 1]

    def test_nothing_to_count_on_lets_pass(self, limiter: Limiter) -> None:
        assert limiter.hit(Group(digest("acme"), ()), 3, now=NOW) == Ruling(True, NOW, ())

    @each_policy
    def test_reset_forgets_what_was_counted(self, limiter: Limiter, policy: Policy) -> None:
        for permit in range(1, 6):
            call(limiter, policy, permit=permit)
        limiter.reset(group(policy))
        assert call(limiter, policy, cost=0) == Ruling(True, NOW, (Verdict(True, 5, 0, 0),))
        assert call(limiter, policy, permit=9).verdicts[0].remaining == 4

    def test_reset_forgets_nothing_else(self, limiter: Limiter) -> None:
        for owner in ("acme", "beta"):
            call(limiter, *RATES, cost=2, owner=owner)
        limiter.reset(group(*RATES[:2]))
        assert remaining(limiter, *RATES) == [5, 5, 3, 3]
        assert remaining(limiter, *RATES, owner="beta") == [3, 3, 3, 3]

    def test_reset_of_nothing_is_no_error(self, limiter: Limiter) -> None:
        limiter.reset(group(*POLICIES))
        assert remaining(limiter, *POLICIES) == [5] * 5

    def test_the_largest_units_are_counted_to_the_last(self, limiter: Limiter) -> None:
        for each in (Algorithm.GCRA, Algorithm.FIXED_WINDOW, Algorithm.SLIDING_COUNTER):
            largest = Policy("largest", each, MOST_UNITS, WINDOW, MOST_UNITS)
            assert call(limiter, largest, cost=MOST_UNITS - 1).verdicts[0].remaining == 1
            assert call(limiter, largest).verdicts[0].remaining == 0
            assert not call(limiter, largest).is_allowed

    def test_several_windows_hold_at_once(self, limiter: Limiter) -> None:
        fast = Policy("limit.60s", Algorithm.GCRA, 2, MINUTE, 2)
        slow = replace(FIVE, name="limit.3600s")
        allowed = [call(limiter, fast, slow, now=NOW + at * 40 * SECOND).is_allowed for at in range(8)]
        assert allowed == [True] * 5 + [False] * 3
        assert counter(fast).key != counter(slow).key
