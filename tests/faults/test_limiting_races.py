"""
Processes that are limited at once, on each store: no call passes that is too many, and none is refused too soon.

The long form is that of the promise: 8 processes, 200 keys of which 5 calls pass, 32,000 attempts.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import pytest

from payaid_entitlements.stores.hurry import within
from payaid_entitlements.stores.memory_limiter import MemoryLimiter
from payaid_entitlements.stores.opening import open_store
from tests.faults.limiting import CAP, NOW, Used, group_of, open_empty, use_up, use_up_on
from tests.faults.metering import PATIENCE

#: Seconds that a long form may take on a machine that does much else.
LONGEST = 900
#: A thread yields after so many seconds: many times within one call.
OFTEN = 1e-6


@pytest.fixture
def limiting_url(counting_url):
    """The URL of an empty store of each kind in turn, in which calls can be counted."""
    open_empty(counting_url).close()
    return counting_url


def assert_as_many_as_said(used, keys):
    """Exactly as many as the policy says; less only by those of whose call nobody had an answer."""
    for key in range(keys):
        assert used.passed[key] <= CAP
        assert CAP - used.passed[key] <= used.unanswered[key]


def assert_nobody_passes_twice(racers, url, keys, times, processes, record):
    began = time.monotonic()
    used = sum(racers.race(use_up, url, keys, times, within=LONGEST), Used())
    record("attempts", keys * times * processes)
    record("passed", used.passed.total())
    record("unanswered", used.unanswered.total())
    record("seconds", round(time.monotonic() - began, 1))
    assert_as_many_as_said(used, keys)
    store: Any = open_store(url)
    store.limiter.prepare()
    with within(PATIENCE):
        for key in range(keys):
            assert not store.limiter.hit(group_of(key), now=NOW).is_allowed
    store.close()


def test_as_many_calls_pass_as_a_policy_says(four, limiting_url, record):
    assert_nobody_passes_twice(four, limiting_url, 20, 16, 4, record)


@pytest.mark.soak
def test_as_many_calls_pass_as_200_policies_say_in_32000_attempts(eight, limiting_url, record):
    assert_nobody_passes_twice(eight, limiting_url, 200, 20, 8, record)


def test_a_limiter_that_asks_and_then_takes_would_be_found_out(four, tmp_path):
    """This test can fail: past a naive limiter the same processes get more calls than the policy says."""
    url = f"sqlite:///{tmp_path / 'naive.db'}"
    open_empty(url).close()
    used = sum(four.race(use_up, url, 20, 16, True), Used())
    assert used.passed.total() > 20 * CAP


def use_up_by_threads(limiter, keys, times, threads=8):
    """What eight threads get that may be interrupted anywhere."""
    met = threading.Barrier(threads)
    got = []

    def run(number):
        met.wait()
        got.append(use_up_on(limiter, number, keys, times))

    usual = sys.getswitchinterval()
    sys.setswitchinterval(OFTEN)
    try:
        running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
        for each in running:
            each.start()
        for each in running:
            each.join()
    finally:
        sys.setswitchinterval(usual)
    return sum(got, Used())


@pytest.mark.parametrize(
    ("keys", "times"), [(20, 8), pytest.param(200, 20, marks=pytest.mark.soak, id="in 32000 attempts")]
)
def test_as_many_calls_of_threads_pass_as_a_policy_says(keys, times):
    used = use_up_by_threads(MemoryLimiter(), keys, times)
    assert not used.unanswered
    assert_as_many_as_said(used, keys)
    assert used.passed.total() == CAP * keys


# -- all or nothing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("calls", [50, pytest.param(1_000, marks=pytest.mark.soak)])
def test_what_the_third_policy_refuses_is_not_counted_by_the_first_two(limiting_url, calls):
    store: Any = open_store(limiting_url)
    limiter = store.limiter
    limiter.prepare()
    with within(PATIENCE):
        first, third = group_of(7, calls + 1, 2), group_of(7, CAP, 3).counters[2]
        group = type(first)(first.owner, (*first.counters, third))
        for _ in range(CAP):
            assert limiter.hit(group, now=NOW).is_allowed
        before = limiter.hit(first, 0, now=NOW).verdicts
        assert [verdict.remaining for verdict in before] == [calls + 1 - CAP] * 2
        for _ in range(calls):
            ruling = limiter.hit(group, now=NOW)
            assert not ruling.is_allowed
            assert [verdict.is_within for verdict in ruling.verdicts] == [True, True, False]
        assert limiter.hit(first, 0, now=NOW).verdicts == before
    store.close()


@pytest.mark.parametrize("calls", [50, pytest.param(1_000, marks=pytest.mark.soak)])
def test_in_memory_too(calls):
    limiter = MemoryLimiter()
    first, third = group_of(7, calls + 1, 2), group_of(7, CAP, 3).counters[2]
    group = type(first)(first.owner, (*first.counters, third))
    passed = sum(limiter.hit(group, now=NOW).is_allowed for _ in range(calls + CAP))
    assert passed == CAP
    assert [verdict.remaining for verdict in limiter.hit(first, 0, now=NOW).verdicts] == [calls + 1 - CAP] * 2
