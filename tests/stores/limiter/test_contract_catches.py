"""The contract of limiters is worth something: limiters that break a promise fail the test of that promise."""

from __future__ import annotations

import pytest

pytest_plugins = "pytester"

#: As the author of another limiter writes it.
PREAMBLE = """
import time
from dataclasses import replace

import pytest

from payaid_entitlements.core.ratelimit.policy import Algorithm
from payaid_entitlements.stores.limiter import Counter, Group, Ruling
from payaid_entitlements.stores.memory_limiter import MemoryLimiter
from payaid_entitlements.testing import LimiterContract


def contract(limiter):
    class Contract(LimiterContract):
        @pytest.fixture
        def new_limiter(self):
            shared = limiter()
            return lambda: shared
    return Contract


def with_policies(group, change):
    return Group(group.owner, [Counter(each.key, change(each.policy)) for each in group.counters])


class TestHealthy(contract(MemoryLimiter)):
    pass
"""

#: A promise that is broken: the method that breaks it, and the test that must fail.
BROKEN = {
    "it reads, then writes": (
        """
    def hit(self, group, cost=1, *, permit=0, now=None):
        before = super().hit(group, 0, permit=permit, now=now).verdicts
        time.sleep(0.01)
        super().hit(group, min([cost, *(each.remaining for each in before)]), permit=permit, now=now)
        is_allowed = all(each.remaining >= cost for each in before)
        return Ruling(is_allowed, now, before)
        """,
        "test_of_those_who_come_at_once_exactly_so_many_pass[fixed_window]",
    ),
    "it counts one limit after the other": (
        """
    def hit(self, group, cost=1, **named):
        rulings = [MemoryLimiter.hit(self, Group(group.owner, [each]), cost, **named) for each in group.counters]
        now = rulings[0].now if rulings else named["now"]
        return Ruling(all(each.is_allowed for each in rulings), now, tuple(each.verdicts[0] for each in rulings))
        """,
        "test_all_have_room_or_nothing_is_counted",
    ),
    "who asks is counted": (
        """
    def hit(self, group, cost=1, **named):
        ruling = super().hit(group, cost, **named)
        if cost == 0:
            super().hit(group, 1, **named)
        return ruling
        """,
        "test_cost_0_asks_and_writes_nothing[gcra]",
    ),
    "what is observed refuses": (
        """
    def hit(self, group, cost=1, **named):
        return super().hit(with_policies(group, lambda policy: replace(policy, is_enforced=True)), cost, **named)
        """,
        "test_what_is_observed_refuses_nobody[sliding_log]",
    ),
    "what is observed counts beyond what there is": (
        """
    def hit(self, group, cost=1, **named):
        wide = with_policies(
            group, lambda each: each if each.is_enforced else replace(each, quota=1_000, burst=1_000)
        )
        return super().hit(wide, cost, **named)
        """,
        "test_what_is_observed_refuses_nobody[fixed_window]",
    ),
    "a changed quota begins anew": (
        """
    def hit(self, group, cost=1, **named):
        counters = [Counter(f"{each.key}{each.policy.quota}", each.policy) for each in group.counters]
        return super().hit(Group(group.owner, counters), cost, **named)
        """,
        "test_what_was_counted_stands_when_the_quota_changes[sliding_counter]",
    ),
    "a time is remembered, and not by which quota it was counted": (
        """
    def hit(self, group, cost=1, **named):
        made = self._made(group)
        for (part, key), policy in zip(made.places, made.policies):
            if policy.algorithm is Algorithm.GCRA and key in part.states:
                part.states[key] = policy.quota << 53 | part.states[key] & 2**53 - 1
        return super().hit(group, cost, **named)
        """,
        "test_what_was_counted_stands_when_the_quota_changes[gcra]",
    ),
    "owner and key run into each other": (
        """
    def _key(self, owner, counter):
        return super()._key("", Counter(owner + counter.key, counter.policy))
        """,
        "test_owner_and_key_do_not_run_into_each_other",
    ),
    "all owners are one": (
        """
    def _key(self, owner, counter):
        return super()._key("", counter)
        """,
        "test_counters_are_told_apart[owner]",
    ),
    "a permit that is taken again counts twice": (
        """
    taken = 0
    def hit(self, group, cost=1, *, permit=0, now=None):
        self.taken += 1
        return super().hit(group, cost, permit=permit + 8 * self.taken, now=now)
        """,
        "test_taken_again_it_is_extended_and_counts_once",
    ),
    "giving back gives all of it back": (
        """
    def give_back(self, group, permit):
        self.reset(group)
        """,
        "test_giving_back_leaves_rates_as_they_are",
    ),
    "reset forgets all of an owner": (
        """
    def reset(self, group):
        for part in self._counters._parts:
            part.states.clear()
        """,
        "test_reset_forgets_nothing_else",
    ),
    "time that runs backwards begins anew": (
        """
    latest = 0
    def hit(self, group, cost=1, *, permit=0, now=None):
        if now is not None and now < self.latest:
            self.reset(group)
        self.latest = max(self.latest, now or 0)
        return super().hit(group, cost, permit=permit, now=now)
        """,
        "test_time_that_runs_backwards_stands_still[gcra]",
    ),
    "it goes by its own clock": (
        """
    def hit(self, group, cost=1, *, permit=0, now=None):
        return super().hit(group, cost, permit=permit)
        """,
        "test_it_answers_by_the_clock_that_is_handed_in",
    ),
    "it counts in milliseconds": (
        """
    def hit(self, group, cost=1, *, permit=0, now=None):
        ruling = super().hit(group, cost, permit=permit, now=None if now is None else now // 1_000 * 1_000)
        return Ruling(ruling.is_allowed, now or ruling.now, ruling.verdicts)
        """,
        "test_after_what_it_says_there_is_room_and_not_a_microsecond_before[gcra]",
    ),
    "parts of a microsecond are dropped": (
        """
    def hit(self, group, cost=1, **named):
        even = with_policies(
            group,
            lambda each: replace(each, window=each.window // each.quota * each.quota)
            if each.algorithm is Algorithm.GCRA
            else each,
        )
        return super().hit(even, cost, **named)
        """,
        "test_what_remains_of_a_microsecond_is_kept",
    ),
    "one too many passes": (
        """
    def hit(self, group, cost=1, **named):
        more = with_policies(group, lambda each: replace(each, quota=each.quota + 1, burst=each.burst + 1))
        return super().hit(more, cost, **named)
        """,
        "test_so_many_pass_and_no_more[concurrency]",
    ),
    "closed it forgets": (
        """
    def close(self):
        for part in self._counters._parts:
            part.states.clear()
        """,
        "test_a_closed_limiter_can_be_used_again",
    ),
}


@pytest.fixture
def theirs(pytester):
    """The tests of somebody else's limiters: one that keeps all promises, and many that break one each."""
    broken = []
    for number, (method, _) in enumerate(BROKEN.values()):
        broken.append(f"class Broken{number}(MemoryLimiter):\n{method}\n")
        broken.append(f"class TestBroken{number}(contract(Broken{number})):\n    pass\n")
    pytester.makepyfile(test_theirs="\n\n".join([PREAMBLE, *broken]))
    return pytester


def _run(theirs, names):
    # Other plugins of this environment are imported anew in each session, which takes seconds.
    return theirs.inline_run(
        "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *(f"test_theirs.py::{name}" for name in names)
    )


def test_each_broken_promise_fails_its_test_and_a_limiter_that_keeps_it_passes(theirs):
    broken = {f"TestBroken{number}::{test}": promise for number, (promise, (_, test)) in enumerate(BROKEN.items())}
    healthy = [f"TestHealthy::{test}" for test in {test for _, test in BROKEN.values()}]
    passed, skipped, failed = _run(theirs, [*broken, *healthy]).listoutcomes()
    ended = {report.nodeid.partition("::")[2] for report in passed}
    assert [broken[name] for name in broken if name in ended] == []
    assert sorted(ended) == sorted(healthy)
    assert skipped == []
    assert sorted(report.nodeid.partition("::")[2] for report in failed) == sorted(broken)
    # By what they answer, not by an error of their own.
    where = {broken[report.nodeid.partition("::")[2]]: report.longrepr.reprcrash.path for report in failed}
    assert [promise for promise, path in where.items() if "contracts" not in path] == []
