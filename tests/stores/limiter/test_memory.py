"""The limiter in memory: bounded without forgetting anybody, exact at any moment, safe to be forked."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from payaid_entitlements.core.ratelimit.policy import MOST_ENTRIES, Algorithm, Policy
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores import memory_counters
from payaid_entitlements.stores.limiter import Group, Ruling
from payaid_entitlements.stores.memory_counters import COUNTER
from payaid_entitlements.stores.memory_limiter import AsyncMemoryLimiter, MemoryLimiter
from payaid_entitlements.testing.contracts.limiter_calls import (
    AT_ONCE,
    FIVE,
    MINUTE,
    NOW,
    POLICIES,
    RATES,
    WINDOW,
    call,
    counter,
    digest,
    group,
    remaining,
)
from payaid_entitlements.testing.contracts.limiter_replaying import TOGETHER, replay

UNEVEN = replace(FIVE, quota=7)


@pytest.fixture
def eagerly():
    """Threads take turns after a microsecond: wherever one can be interrupted, it is."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def crowd(limiter, hit, threads=8):
    """How many calls of all threads passed."""
    gate = threading.Barrier(threads)

    def come(who):
        gate.wait(30)
        return hit(who)

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(come, range(threads)))


@pytest.mark.parametrize("policy", [*POLICIES, UNEVEN], ids=lambda policy: f"{policy.algorithm}-{policy.quota}")
def test_it_is_exact_wherever_threads_are_interrupted(eagerly, policy):
    limiter = MemoryLimiter()
    wide = replace(policy, quota=policy.quota * 40, burst=200)
    for turn in range(3):
        used = group(wide, owner=f"owner-{turn}")

        def hit(who, used=used):
            return sum(limiter.hit(used, permit=1 + who * 60 + n, now=NOW).is_allowed for n in range(60))

        room = 200 if policy.algorithm is Algorithm.GCRA else wide.quota
        assert crowd(limiter, hit) == room
        assert limiter.hit(used, 0, now=NOW).verdicts[0].remaining == 0


def test_several_limits_are_exact_wherever_threads_are_interrupted(eagerly):
    limiter = MemoryLimiter()
    wide = [replace(FIVE, quota=quota, burst=quota, window=WINDOW + quota) for quota in (300, 200, 400)]
    even = [replace(each, window=each.quota * 1_000_000) for each in wide]
    for policies in (even, wide):
        used = group(*policies)
        passed = crowd(limiter, lambda who, used=used: sum(limiter.hit(used, now=NOW).is_allowed for _ in range(60)))
        assert passed == 200
        assert [verdict.remaining for verdict in limiter.hit(used, 0, now=NOW).verdicts] == [100, 0, 200]


@pytest.mark.soak
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.algorithm)
def test_exactness_as_it_is_specified(eagerly, policy):
    limiter = MemoryLimiter()
    for turn in range(3):
        names = [f"owner-{turn}-{number}" for number in range(200)]

        def hit(who, names=names):
            return sum(
                call(limiter, policy, permit=1 + who * 20 + n, owner=name).is_allowed
                for n in range(20)
                for name in names
            )

        assert crowd(limiter, hit) == 1_000


@pytest.mark.soak
@pytest.mark.parametrize("algorithms", TOGETHER, ids="+".join)
def test_it_decides_as_the_core_does_for_long(algorithms):
    for seed in range(100):
        replay(MemoryLimiter(), algorithms, 200, seed=seed)


@pytest.mark.parametrize("seed", range(12))
def test_it_decides_as_the_core_does_however_quotas_come_out(seed):
    for algorithms in TOGETHER:
        replay(MemoryLimiter(), algorithms, 60, seed=1_000 + seed)


def full(policy, number=10):
    """A limiter that has room for so many counters of *policy*, all of which are live, and one call on each."""
    one = MemoryLimiter()
    call(one, policy, permit=1)
    limiter = MemoryLimiter(most_bytes=number * one._counters.bytes)
    for each in range(number):
        assert call(limiter, policy, permit=1, owner=f"owner-{each}").is_allowed
    return limiter


@pytest.mark.parametrize("policy", [*POLICIES, UNEVEN], ids=lambda policy: f"{policy.algorithm}-{policy.quota}")
def test_a_live_counter_is_never_dropped(policy, caplog):
    limiter = full(policy)
    for each in range(50):
        with pytest.raises(StoreUnavailable, match="no room"):
            call(limiter, policy, permit=1, owner=f"stranger-{each}")
    assert limiter.refused == 50
    assert [record.message.split()[0] for record in caplog.records] == ["limiter.full:"]
    room = call(MemoryLimiter(), policy, permit=1).verdicts[0].remaining
    for each in range(10):
        assert remaining(limiter, policy, owner=f"owner-{each}") == [room]
        assert call(limiter, policy, permit=1, owner=f"owner-{each}").is_allowed
    assert remaining(limiter, policy, owner="stranger-0") == [policy.quota if policy is not UNEVEN else 5]


@pytest.mark.parametrize("policy", [*POLICIES, UNEVEN], ids=lambda policy: f"{policy.algorithm}-{policy.quota}")
def test_what_has_ended_makes_room_at_that_microsecond(policy):
    limiter = full(policy)
    ends = call(limiter, policy, cost=0, owner="owner-0").verdicts[0].reset_after
    if policy.algorithm is Algorithm.SLIDING_COUNTER:
        assert ends == 2 * WINDOW - 30 * MINUTE
    with pytest.raises(StoreUnavailable):
        call(limiter, policy, permit=1, owner="stranger", now=NOW + ends - 1)
    for each in range(10):
        assert call(limiter, policy, permit=1, owner=f"stranger-{each}", now=NOW + ends).is_allowed
    with pytest.raises(StoreUnavailable):
        call(limiter, policy, permit=1, owner="owner-0", now=NOW + ends)
    assert len(limiter._counters) == 10


def test_where_one_counter_has_no_room_none_is_written():
    limiter = full(FIVE)
    before = remaining(limiter, FIVE, owner="owner-0")
    with pytest.raises(StoreUnavailable):
        call(limiter, FIVE, *RATES[1:], owner="owner-0")
    assert remaining(limiter, FIVE, *RATES[1:], owner="owner-0") == [*before, 5, 5, 5]


def test_a_log_that_grows_takes_room_too():
    limiter = MemoryLimiter(most_bytes=4 * COUNTER)
    log = replace(RATES[1], quota=MOST_ENTRIES, burst=MOST_ENTRIES)
    passed = 0
    with pytest.raises(StoreUnavailable):
        for turn in range(MOST_ENTRIES):
            call(limiter, log, now=NOW + turn)
            passed += 1
    assert 3 * COUNTER < limiter._counters.bytes <= 4 * COUNTER
    assert remaining(limiter, log) == [MOST_ENTRIES - passed]


def test_reset_and_giving_back_make_room():
    for policy, free in ((FIVE, MemoryLimiter.reset), (AT_ONCE, lambda limiter, used: limiter.give_back(used, 1))):
        limiter = full(policy)
        free(limiter, group(policy, owner="owner-3"))
        assert call(limiter, policy, permit=1, owner="stranger").is_allowed
        assert len(limiter._counters) == 10


def test_what_is_observed_and_never_fits_takes_no_room():
    limiter = MemoryLimiter()
    assert call(limiter, replace(RATES[2], is_enforced=False), cost=6).is_allowed
    assert (len(limiter._counters), limiter._counters.bytes) == (0, 0)


def test_a_flood_of_keys_that_end_leaves_few():
    limiter = MemoryLimiter(most_bytes=2**20)
    quick = Policy("quick", Algorithm.GCRA, 1_000, 1_000_000, 10)
    for number in range(3_000):
        assert limiter.hit(group(quick, owner=str(number)), now=NOW + 100 * number).is_allowed
    # A counter lives for a millisecond, which is for ten others. Each part has a few before it is looked through.
    assert len(limiter._counters) <= 4 * 64
    assert limiter._counters.bytes == len(limiter._counters) * COUNTER


def test_looking_for_room_is_bounded(monkeypatch):
    monkeypatch.setattr(memory_counters, "_PART", 2**10)
    limiter = MemoryLimiter(most_bytes=2**13)
    owners = [f"owner-{number}" for number in range(2**13 // COUNTER)]
    for owner in owners:
        call(limiter, FIVE, owner=owner)
    looked, through = [], type(limiter._counters)._look_through
    monkeypatch.setattr(
        limiter._counters,
        "_look_through",
        lambda part, now: looked.append(part) or through(limiter._counters, part, now),
    )
    for at, parts in ((NOW, 0), (NOW + 20 * MINUTE, 4), (NOW + 20 * MINUTE, 4), (NOW + 20 * MINUTE, 0)):
        if at == NOW:
            # None ends when a part was told that it would.
            for owner in owners:
                call(limiter, FIVE, cost=4, owner=owner)
        with pytest.raises(StoreUnavailable):
            call(limiter, FIVE, owner="stranger", now=at)
        assert len(set(looked)) == parts
        looked.clear()
    assert len(limiter._counters) == len(owners)


MEASURES = """
import resource, sys
from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy
from payaid_entitlements.stores.limiter import Counter, Group
from payaid_entitlements.stores.memory_limiter import MemoryLimiter

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

limiter, keys = MemoryLimiter(), int(sys.argv[1])
policy = Policy("p", Algorithm(sys.argv[2]), 3, 3_600_000_000, 3)
for number in range(1_000):
    limiter.hit(Group(f"warm{number:022}", [Counter("k" * 26, policy)]))
before, most = resident(), 0
for number in range(keys):
    limiter.hit(Group(f"owner{number:021}", [Counter("k" * 26, policy)]))
    if number % 1_000 == 0:
        most = max(most, resident())
assert len(limiter._counters) == keys + 1_000
print((most - before) / keys)
"""


@pytest.mark.parametrize("policy", [FIVE, UNEVEN, *RATES[1:]], ids=lambda policy: f"{policy.algorithm}-{policy.quota}")
def test_a_counter_takes_what_is_estimated(policy):
    limiter = MemoryLimiter(most_bytes=2**20)
    call(limiter, policy)
    tracemalloc.start()
    try:
        for number in range(1_000):
            call(limiter, policy, owner=str(number))
        gc.collect()  # what is left over in circles is no counter's
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Dicts double: they are full, or half empty.
    assert taken < limiter._counters.bytes * 1.3


@pytest.mark.soak
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
@pytest.mark.parametrize(
    ("keys", "algorithm", "most"), [(200_000, "gcra", 32 * 2**20 / 200_000), (200_000, "fixed_window", 230)]
)
def test_a_flood_of_keys_that_stay_takes_few_bytes(keys, algorithm, most):
    told = subprocess.run(
        [sys.executable, "-c", MEASURES, str(keys), algorithm], capture_output=True, text=True, check=True, timeout=120
    )
    assert float(told.stdout) <= most


def test_a_group_made_for_another_limiter_counts_here():
    for policies in ((FIVE,), (FIVE, RATES[1])):
        used, one, other = group(*policies), MemoryLimiter(), MemoryLimiter()
        for limiter in (one, other, one, other):
            limiter.hit(used, 2, now=NOW)
        assert remaining(one, *policies) == remaining(other, *policies) == [1] * len(policies)


def test_groups_with_other_policies_use_one_counter():
    limiter = MemoryLimiter()
    lower = replace(FIVE, quota=2, burst=2)
    for policy, left in ((FIVE, 4), (lower, 1), (FIVE, 3)):
        assert call(limiter, policy, cost=0 if policy is lower else 1).verdicts[0].remaining == left


def test_two_limiters_do_not_know_of_each_other():
    one, other = MemoryLimiter(), MemoryLimiter()
    call(one, FIVE, cost=5)
    assert call(other, FIVE, cost=5).is_allowed


@pytest.mark.anyio
async def test_the_clock_can_be_brought_along():
    ticks = iter([NOW, NOW + MINUTE, NOW + 2 * MINUTE])
    limiter = MemoryLimiter(clock=lambda: next(ticks))
    assert limiter.hit(group(FIVE)).now == NOW
    assert limiter.hit(group(FIVE)).now == NOW + MINUTE
    assert limiter.hit(Group(digest("acme"), [counter(FIVE), counter(UNEVEN, "other")])).now == NOW + 2 * MINUTE
    twin = AsyncMemoryLimiter(clock=lambda: NOW, most_bytes=COUNTER)
    assert (await twin.hit(group(FIVE))).now == NOW
    with pytest.raises(StoreUnavailable):
        await twin.hit(group(FIVE, owner="beta"))


def test_it_says_that_each_process_counts_alone():
    for limiter in (MemoryLimiter(), AsyncMemoryLimiter()):
        assert not limiter.is_shared
        assert [concern.promise for concern in limiter.concerns] == ["a rate limit holds for all processes together"]


def test_rulings_are_compared_by_what_they_say():
    limiter = MemoryLimiter()
    call(limiter, FIVE)
    quick, slow = call(limiter, FIVE, cost=2), Ruling(True, NOW, MemoryLimiter().hit(group(FIVE), 3, now=NOW).verdicts)
    assert quick == slow
    assert hash(quick) == hash(slow)
    assert repr(quick) == repr(slow)
    assert pickle.loads(pickle.dumps(quick)) == copy.deepcopy(quick) == quick
    assert quick != call(limiter, FIVE)
    assert quick != "allowed"


class Interrupted(Exception):
    """Raised by a signal's handler, wherever the main thread is: so do those that limit the time of a task."""


INTERRUPTED = """
import signal, sys, threading
from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy
from payaid_entitlements.stores.limiter import Counter, Group
from payaid_entitlements.stores.memory_limiter import MemoryLimiter

class Interrupted(Exception):
    pass

def interrupt(*_):
    raise Interrupted

# What measures coverage swallows what is raised while it works.
sys.settrace(None)
limiter, groups = MemoryLimiter(), []
for window in (2**27, 2**27 + 1):
    policy = Policy("p", Algorithm.GCRA, 2**26, window, 2**26)
    groups.append(Group("a" * 26, [Counter(f"k{window}", policy)]))
signal.signal(signal.SIGALRM, interrupt)
interrupted = 0
for number in range(400):
    used = groups[number % 4 == 0]
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-5 + number % 20 * 1e-6)
        for _ in range(100_000):
            limiter.hit(used, now=1)
    except Interrupted:
        interrupted += 1
another = threading.Thread(target=limiter.hit, args=(groups[0],), daemon=True)
another.start()
another.join(10)
print(interrupted > 200, another.is_alive())
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="it sets a timer")
def test_whoever_is_interrupted_leaves_no_lock_behind():
    told = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=True, timeout=120)
    assert told.stdout.split() == ["True", "False"]


@pytest.mark.parametrize("error", [Interrupted, KeyboardInterrupt])
def test_whoever_is_interrupted_before_or_behind_the_lock_hears_of_that(error):
    """Before it is acquired, and after it was released: as a handler raises it there."""

    class Lock:
        def __init__(self, place):
            self.place, self.lock = place, threading.RLock()

        def acquire(self):
            if self.place == "before":
                raise error
            self.lock.acquire()
            if self.place == "within":
                raise error

        def release(self):
            self.lock.release()
            if self.place == "behind":
                self.place = None
                raise error

        def is_free(self):
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(self.lock.acquire, False).result()

    used = group(FIVE)
    for place in ("before", "within", "behind"):
        limiter = MemoryLimiter()
        limiter.hit(used, now=NOW)
        limiter._lock = lock = Lock(place)
        with pytest.raises(error):
            limiter.hit(used, now=NOW)
        assert lock.is_free()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_waits_for_no_lock_of_its_parent():
    limiter = MemoryLimiter()
    call(limiter, FIVE, cost=2)
    held, free = threading.Event(), threading.Event()

    def hold():
        with limiter._lock:
            held.set()
            free.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    child = os.fork()
    if child == 0:
        # What the parent had counted counts on.
        os._exit(0 if call(limiter, FIVE, cost=3).is_allowed and not call(limiter, FIVE).is_allowed else 1)
    free.set()
    holder.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert remaining(limiter, FIVE) == [3]
