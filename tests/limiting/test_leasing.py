"""Leased limits: blocks of units, spent in process, and never more than is stated."""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.ratelimit.limits import Limit
from payaid_entitlements.core.ratelimit.policy import NEVER, Algorithm, Policy
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.limiting import leasing
from payaid_entitlements.limiting.groups import course_of
from payaid_entitlements.limiting.leasing import Leases
from payaid_entitlements.stores.memory_limiter import MemoryLimiter

SECOND = 1_000_000
LEASE = 20


def course(*policies, lease=LEASE, tenant="acme", key="hot"):
    return course_of({key: Limit(key, "tenant", policies, lease=lease)}, key, tenant, None, None)


def per_second(quota, burst=None, seconds=1):
    return Policy("hot", Algorithm.GCRA, quota, seconds * SECOND, burst or quota)


class Process:
    """One of several that have a limiter in common, and a clock."""

    def __init__(self, limiter, clock, *policies, lease=LEASE):
        self.limiter = limiter
        self.leases = Leases(lambda: clock[0] / SECOND)
        self.clock = clock
        self.course = course(*policies, lease=lease)
        #: What the limiter was asked for, each time.
        self.asked = []

    def call(self, cost=1):
        ruling = self.leases.spend(self.course, cost)
        if ruling is None:
            with self.leases.taking(self.course, self.course.group, cost) as taking:
                ruling = taking.ruling or taking.told(self._hit(taking.units)) or self._hit(cost)
        return ruling

    def _hit(self, units):
        self.asked.append(units)
        return self.limiter.hit(self.course.group, units, now=self.clock[0])


def processes(*policies, number=1, lease=LEASE):
    limiter, clock = MemoryLimiter(), [1_800_000_000 * SECOND]
    found = [Process(limiter, clock, *policies, lease=lease) for _ in range(number)]
    return found if number > 1 else found[0]


def test_blocks_grow_with_what_is_asked():
    one = processes(per_second(1_000))
    for _ in range(100):
        assert one.call().is_allowed
    assert one.asked == [1, 2, 4, 8, 16, 20, 20, 20, 20]
    assert one.limiter.hit(one.course.group, 0, now=one.clock[0]).verdicts[0].remaining == 1_000 - sum(one.asked)


def test_whoever_is_asked_seldom_loses_nothing():
    one = processes(per_second(1_000))
    for _ in range(50):
        assert one.call().is_allowed
        one.clock[0] += SECOND
    assert one.asked == [1] * 50


def test_blocks_shrink_to_what_was_spent():
    one = processes(per_second(1_000))
    for _ in range(40):
        one.call()
    one.clock[0] += SECOND
    for _ in range(3):
        one.asked.clear()
        for _ in range(5):
            one.call()
        one.clock[0] += SECOND
    assert one.asked == [5]


@pytest.mark.parametrize(("policy", "life"), [(per_second(100), SECOND), (per_second(100, seconds=60), SECOND)])
def test_a_block_can_be_spent_for_a_second(policy, life):
    one = processes(policy)
    for _ in range(4):
        one.call()
    one.asked.clear()
    one.clock[0] += life - 1
    assert one.call().is_allowed
    assert one.asked == []
    one.clock[0] += 1
    assert one.call().is_allowed
    assert one.asked == [2]


def test_or_for_the_shortest_window():
    one = processes(per_second(100), Policy("hot.0", Algorithm.FIXED_WINDOW, 100, SECOND // 4, 100))
    for _ in range(4):
        one.call()
    one.asked.clear()
    one.clock[0] += SECOND // 4
    one.call()
    assert one.asked != []


def test_a_call_may_cost_more_than_a_block():
    one = processes(per_second(1_000))
    assert one.call(50).is_allowed
    assert one.call(3).is_allowed
    assert one.call(30).is_allowed
    assert one.asked == [50, 20, 30]


def test_what_is_left_of_a_block_that_is_too_small_is_spent_by_smaller_calls():
    one = processes(per_second(10, 10, seconds=3600))
    for _ in range(4):
        assert one.call().is_allowed
    assert one.asked == [1, 2, 4]
    # 3 are left here, and 3 there.
    refused = one.call(4)
    assert not refused.is_allowed
    assert refused.verdicts[0].remaining == 3
    assert refused.verdicts[0].retry_after == 360 * SECOND
    for _ in range(6):
        assert one.call().is_allowed
    assert not one.call().is_allowed


def test_where_there_is_no_room_for_a_block_the_call_is_asked_alone():
    one = processes(per_second(5, 5, seconds=3600))
    assert [one.call().is_allowed for _ in range(7)] == [True] * 5 + [False] * 2
    # A block of 4 was refused, and then each call was asked for alone.
    assert one.asked == [1, 2, 4, 1, 1, 2, 1, 1]
    alone = MemoryLimiter()
    alone.hit(one.course.group, 5, now=one.clock[0])
    assert one.call() == alone.hit(one.course.group, 1, now=one.clock[0])
    assert one.call(6).verdicts[0].retry_after == NEVER


def test_it_tells_what_the_limiter_would():
    one = processes(per_second(100, 100, seconds=100))
    for _ in range(3):
        ruling = one.call()
    assert one.asked == [1, 2]
    one.clock[0] += 0
    ruling = one.call()
    assert one.asked == [1, 2, 4]
    assert ruling.is_allowed
    assert ruling.now == one.clock[0]
    # 7 were counted, and 3 of them are here.
    assert ruling.verdicts == ((True, 96, 0, 7 * SECOND),)
    one.clock[0] += SECOND // 2
    ruling = one.call()
    assert abs(ruling.now - one.clock[0]) <= 1
    assert ruling.verdicts[0].remaining == 95
    assert abs(ruling.verdicts[0].reset_after - 13 * SECOND // 2) <= 1


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([0, 0, 0, 0, 1, 10_000, 300_000, 1_100_000]),
        st.sampled_from([1, 1, 1, 2, 7]),
    ),
    min_size=1,
    max_size=150,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, lease=st.sampled_from([2, 5, 20]), burst=st.sampled_from([1, 6, 30]))
def test_never_more_than_is_stated(steps, lease, burst):
    """In any span of W: the burst, the rate times W, and a block for each process."""
    rate = 10
    several = processes(per_second(rate, burst), number=3, lease=lease)
    passed = []
    for who, wait, cost in steps:
        several[who].clock[0] += wait
        if several[who].call(cost).is_allowed:
            passed.append((several[who].clock[0], cost))
    for place, (since, _) in enumerate(passed):
        total = 0
        for at, cost in passed[place:]:
            total += cost
            assert total <= burst + rate * (at - since) / SECOND + lease * 3


@pytest.mark.parametrize("algorithm", [Algorithm.GCRA, Algorithm.SLIDING_LOG, Algorithm.FIXED_WINDOW])
def test_one_process_lets_through_exactly_what_the_limit_says(algorithm):
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        one = processes(Policy("hot", algorithm, 500, 3600 * SECOND, 500))
        gate = threading.Barrier(8)

        def come(_):
            gate.wait(30)
            return sum(one.call().is_allowed for _ in range(100))

        with ThreadPoolExecutor(8) as pool:
            passed = sum(pool.map(come, range(8)))
    finally:
        sys.setswitchinterval(before)
    # Whoever asked alone while another's block was on its way may have been refused by what that block holds.
    left = 0
    while one.call().is_allowed:
        left += 1
    assert passed + left == 500
    assert left <= LEASE


def test_who_comes_while_a_block_is_asked_for_asks_alone():
    one = processes(per_second(1_000))
    for _ in range(3):
        one.call()
    with one.leases.taking(one.course, one.course.group, 1) as first:
        with one.leases.taking(one.course, one.course.group, 1) as second:
            assert (first.units, second.units) == (4, 1)
            assert second.told(one.limiter.hit(one.course.group, 1, now=one.clock[0])).is_allowed
        assert one.leases.spend(one.course, 1) is None


def test_who_finds_a_block_after_all_spends_from_it():
    """Between the look and the asking somebody else has taken one."""
    one = processes(per_second(1_000))
    for _ in range(4):
        one.call()
    with one.leases.taking(one.course, one.course.group, 2) as taking:
        assert taking.ruling.is_allowed
    assert one.leases.spend(one.course, 2) is None
    assert one.leases.spend(one.course, 1).is_allowed


def test_where_nobody_answers_what_is_here_can_be_spent_still():
    one = processes(per_second(1_000))
    for _ in range(4):
        one.call()
    for error in (StoreUnavailable("the limiter is down"), asyncio.CancelledError()):
        with pytest.raises(type(error)), one.leases.taking(one.course, one.course.group, 7):
            raise error
    one.asked.clear()
    for _ in range(3):
        assert one.call().is_allowed
    assert one.asked == []


def test_courses_of_the_same_counters_have_one_block():
    one = processes(per_second(1_000))
    for _ in range(4):
        one.call()
    one.course = course(per_second(2_000))
    one.asked.clear()
    assert one.call().is_allowed
    assert one.asked == []
    assert len(one.leases._blocks) == 1


def test_so_many_groups_are_leased_and_no_more(monkeypatch):
    monkeypatch.setattr(leasing, "MOST_GROUPS", 2)
    one = processes(per_second(1_000))
    courses = [course(per_second(1_000), tenant=f"tenant-{number}") for number in range(3)]

    def asked(which, times=3):
        one.course = courses[which]
        one.asked.clear()
        for _ in range(times):
            assert one.call().is_allowed
        return one.asked

    assert asked(0) == [1, 2]
    assert asked(1) == [1, 2]
    assert asked(2) == [1, 1, 1]
    one.clock[0] += SECOND
    assert asked(2) == [1, 2]
    # One of the others has made room, and finds some where the last one was.
    [gone] = [which for which in (0, 1) if courses[which].block.is_gone]
    assert asked(gone) == [1, 2]
    assert asked(1 - gone) == [1, 1, 1]
    assert len(one.leases._blocks) == 2


def test_a_block_that_is_gone_is_not_taken():
    one = processes(per_second(1_000))
    one.call()
    one.course.block.is_gone = True
    block, one.leases._block = one.course.block, lambda course, group: block
    with one.leases.taking(one.course, one.course.group, 1) as taking:
        assert taking.units == 1
        assert taking.told(one.limiter.hit(one.course.group, 1, now=one.clock[0])) is not None
    assert not block.is_taking


def test_permits_and_what_is_only_observed_are_never_leased():
    at_once = Policy("jobs", Algorithm.CONCURRENCY, 30, 60 * SECOND, 30)
    assert course(per_second(100)).lease == LEASE
    assert course(at_once).lease == 1
    assert course(per_second(100), replace(per_second(100), is_enforced=False)).lease == 1


@pytest.fixture
def apart(monkeypatch):
    """The limiter is not in this process, as far as the client knows."""
    monkeypatch.setattr(MemoryLimiter, "is_shared", True)
    monkeypatch.setattr("payaid_entitlements.stores.memory_limiter.AsyncMemoryLimiter.is_shared", True)


def hits(stage):
    return stage.faults.calls.count("hit")


def test_a_client_asks_the_limiter_for_blocks(stage, apart, ent):
    for _ in range(50):
        assert ent.rate_limit("acme", "hot").allowed
    assert 4 < hits(stage) < 12
    ent.try_rate_limit("acme", "hot", cost=0)
    assert ent.rate_limit_status("acme", "hot").remaining <= 50


def test_of_a_limiter_in_memory_it_asks_for_each_call(stage, ent):
    for _ in range(10):
        ent.rate_limit("acme", "hot")
    assert hits(stage) == 10


def test_a_reset_forgets_what_is_here(stage, apart, ent):
    for _ in range(8):
        ent.rate_limit("acme", "hot")
    ent.reset_rate_limit("acme", "hot")
    ent.reset_rate_limit("acme", "api")
    assert ent.rate_limit_status("acme", "hot").remaining == 100
    before = hits(stage)
    ent.rate_limit("acme", "hot")
    assert hits(stage) == before + 1


def test_an_outage_ends_a_lease_by_the_policy_of_the_limit(stage, apart, ent):
    for _ in range(4):
        ent.rate_limit("acme", "hot")
    with stage.limiter_down():
        spent = [ent.rate_limit("acme", "hot").on_outage for _ in range(3)]
        assert spent == [None] * 3
        assert ent.rate_limit("acme", "hot").on_outage == "open"
        stage.clock.advance(timedelta(seconds=2))
        assert ent.rate_limit("acme", "hot").on_outage == "open"
    stage.clock.advance(timedelta(seconds=2))
    assert ent.rate_limit("acme", "hot").on_outage is None


def test_a_refusal_tells_how_it_is(stage, apart, ent):
    outcomes = [ent.try_rate_limit("acme", "hot") for _ in range(120)]
    passed = sum(outcome.allowed for outcome in outcomes)
    assert passed == 100
    refused = outcomes[-1]
    assert (refused.limit, refused.remaining, refused.limited_by) == (100, 0, ("hot",))
    stage.clock.advance(refused.retry_after)
    assert ent.rate_limit("acme", "hot").allowed
