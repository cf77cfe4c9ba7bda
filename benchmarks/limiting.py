"""
What a rate limit costs in memory: the limiter alone, a leased block, and all of a call; then others beside it.

Others count the same calls in the same process and in turns, each as its documentation says, with a limiter, a key and
a rate that are made once. They keep less: none decides several limits together, or tells how each of them stands. Those
that are not installed are left out.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from benchmarks.measuring import UNIT, Timed, looped, measure, sampled
from benchmarks.reporting import Row, row_of
from benchmarks.stage import Absent, Benchmark, Stage
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.ratelimit.limits import Limit
from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.limiting.groups import course_of
from payaid_entitlements.limiting.leasing import Leases
from payaid_entitlements.stores.limiter import Counter, Group
from payaid_entitlements.stores.memory_limiter import MemoryLimiter

#: What is promised of a limiter in memory and one GCRA counter, of a call that passes and one that does not.
BUDGET: Final = 12.0
#: What is promised of a leased call: of the block that it is spent from.
LEASED_BUDGET: Final = 20.0
#: All of `try_rate_limit`, of a tenant who is near: a call that passes, one that does not, and one of two policies.
#: Measured, not promised beforehand: it is not to become worse unseen.
WHOLE_BUDGETS: Final = {"api": 35.0, "none": 55.0, "several": 75.0}
#: Ours may take so much of what theirs takes.
BESIDE_BUDGET: Final = 0.3
#: Units in an hour that nobody takes all of.
PLENTY: Final = 3_600_000
HOUR: Final = 3_600_000_000
#: Who come at once, how much there is for them, and how often they come, where it is counted who gets too much.
CROWD, ROOM, ROUNDS = 8, 500, 10

SOLD: Final = {
    "catalog": 1,
    "default_plan": "pro",
    "modules": {"crm": {}},
    "plans": {"pro": {"modules": ["crm"]}},
    "rate_limits": {
        "api": {"default": f"{PLENTY}/hour"},
        "several": {"default": [f"{PLENTY}/hour", f"{PLENTY}/minute"]},
        "none": {"default": "1/hour"},
    },
}


def policy(quota: int, algorithm: Algorithm = Algorithm.GCRA, window: int = HOUR) -> Policy:
    """So many in an hour."""
    return Policy("api", algorithm, quota, window, quota)


def group(*policies: Policy, owner: str = "a") -> Group:
    """Counters of *policies*."""
    return Group(owner * 26, [Counter(f"k{number}", each) for number, each in enumerate(policies)])


def alone(stage: Stage) -> list[Row]:
    """The limiter in memory: one GCRA counter, which passes or refuses; and what is asked less."""
    limiter = MemoryLimiter()
    full = group(policy(1), owner="f")
    limiter.hit(full)
    assert not limiter.hit(full).is_allowed
    plenty = policy(PLENTY)
    asked: list[tuple[str, Group, float | None]] = [
        ("allowed", group(plenty, owner="a"), BUDGET),
        ("refused", full, BUDGET),
        ("two policies", group(plenty, replace(plenty, window=HOUR // 60), owner="c"), None),
        ("a rate that comes out uneven", group(policy(PLENTY - 1), owner="d"), None),
        ("a fixed window", group(policy(PLENTY, Algorithm.FIXED_WINDOW), owner="e"), None),
        ("a sliding counter", group(policy(PLENTY, Algorithm.SLIDING_COUNTER), owner="g"), None),
    ]
    rows = []
    for what, each, budget in asked:
        limiter.hit(each)
        timed = looped("hit(group)", hit=limiter.hit, group=each)
        measured = measure(timed, UNIT, stage.effort, stage.tick)
        samples = sampled(lambda each=each: limiter.hit(each), stage.effort.samples)  # type: ignore[misc] # bound at once
        rows.append(row_of(f"limiter in memory, {what}", measured, budget, samples))
    return rows


def leased(stage: Stage) -> list[Row]:
    """A call that is spent from a block, which is renewed in the loop too, from a limiter in memory."""
    limiter, leases = MemoryLimiter(), Leases(time.monotonic)
    course = course_of({"api": Limit("api", "tenant", (policy(2**26),), lease=100)}, "api", "acme", None, None)

    def take() -> object:
        assert course.group is not None
        with leases.taking(course, course.group, 1) as taking:
            return taking.told(limiter.hit(course.group, taking.units))

    assert course.lease == 100
    take()
    timed = looped("spend(course, 1) or take()", spend=leases.spend, course=course, take=take)
    measured = measure(timed, UNIT, stage.effort, stage.tick)
    samples = sampled(lambda: leases.spend(course, 1) or take(), stage.effort.samples)
    return [row_of("leased call, blocks of 100", measured, LEASED_BUDGET, samples)]


def whole(stage: Stage) -> list[Row]:
    """All of `try_rate_limit`, of a tenant who is near, with a limiter in memory."""
    rows = []
    with Entitlements.open("memory://", catalog=Catalog.load(SOLD)) as ent:
        for key, what in (("api", "allowed"), ("none", "refused"), ("several", "two policies")):
            ent.try_rate_limit("acme", key)
            assert ent.try_rate_limit("acme", key).allowed is (key != "none")
            timed = looped("ask('acme', key)", ask=ent.try_rate_limit, key=key)
            measured = measure(timed, UNIT, stage.effort, stage.tick)
            samples = sampled(lambda key=key: ent.try_rate_limit("acme", key), stage.effort.samples)  # type: ignore[misc] # bound at once
            rows.append(row_of(f"ent.try_rate_limit, {what}", measured, WHOLE_BUDGETS[key], samples))
    return rows


#: Counts a call of somebody; was it let through?
Ask = Callable[[], bool]


def fixed_window_of_limits(quota: int) -> tuple[Timed, Ask]:
    """`limits`, in fixed windows, which is its fastest."""
    try:
        from limits import RateLimitItemPerHour
        from limits.storage import MemoryStorage
        from limits.strategies import FixedWindowRateLimiter
    except ImportError:
        raise Absent("limits is not installed") from None
    return _limits(FixedWindowRateLimiter(MemoryStorage()).hit, RateLimitItemPerHour(quota))


def moving_window_of_limits(quota: int) -> tuple[Timed, Ask]:
    """`limits`, exactly: it remembers each call."""
    try:
        from limits import RateLimitItemPerHour
        from limits.storage import MemoryStorage
        from limits.strategies import MovingWindowRateLimiter
    except ImportError:
        raise Absent("limits is not installed") from None
    return _limits(MovingWindowRateLimiter(MemoryStorage()).hit, RateLimitItemPerHour(quota))


def _limits(hit: Callable[..., bool], item: object) -> tuple[Timed, Ask]:
    def ask() -> bool:
        # Two threads may start the timer of its storage at once, of which one fails: it lets nobody through.
        with suppress(RuntimeError):
            return hit(item, "acme")
        return False

    return looped("hit(item, 'acme')", hit=hit, item=item), ask


def throttled(quota: int) -> tuple[Timed, Ask]:
    """`throttled-py`, by GCRA."""
    try:
        from throttled import MemoryStore, RateLimiterType, Throttled, rate_limiter
    except ImportError:
        raise Absent("throttled-py is not installed") from None
    per_hour = rate_limiter.per_hour(quota, burst=quota)
    limit: Any = Throttled(using=RateLimiterType.GCRA.value, quota=per_hour, store=MemoryStore()).limit
    return looped("limit('acme')", limit=limit), lambda: not limit("acme").limited


def pyrate(quota: int) -> tuple[Timed, Ask]:
    """`pyrate-limiter`, by GCRA, without waiting."""
    try:
        from pyrate_limiter import GCRA, InMemoryStateStore, Limiter, Rate, StateBucket
    except ImportError:
        raise Absent("pyrate-limiter is not installed") from None
    bucket = StateBucket([Rate(quota, HOUR // 1_000)], GCRA(), InMemoryStateStore())
    acquire: Any = Limiter(bucket).try_acquire
    return looped("acquire('acme', blocking=False)", acquire=acquire), lambda: bool(acquire("acme", blocking=False))


PEERS: Final[Mapping[str, Callable[[int], tuple[Timed, Ask]]]] = {
    "limits, fixed window": fixed_window_of_limits,
    "limits, moving window": moving_window_of_limits,
    "throttled-py, GCRA": throttled,
    "pyrate-limiter, GCRA": pyrate,
}


def ours(quota: int) -> tuple[Timed, Ask]:
    """The limiter in memory."""
    hit, each = MemoryLimiter().hit, group(policy(quota))
    return looped("hit(group)", hit=hit, group=each), lambda: hit(each).is_allowed


def _beside(name: str) -> Benchmark:
    def rows(stage: Stage) -> list[Row]:
        """One counter of ours over one of theirs, so 1 is as fast."""
        found = []
        for what, quota in (("allowed", PLENTY), ("refused", 1)):
            (timed, mine), (baseline, theirs) = ours(quota), PEERS[name](quota)
            assert [ask() for ask in (mine, theirs) for _ in range(2)] == [True, quota > 1] * 2
            measured = measure(timed, baseline, stage.effort, stage.tick)
            found.append(row_of(f"{what} call, memory: ours over {name}", measured, BESIDE_BUDGET))
        return found

    return Benchmark(f"limit.{name.replace(',', '').replace(' ', '-').lower()}", rows)


def exact(stage: Stage) -> list[Row]:
    """
    Let a crowd of threads come at once, that take turns after a microsecond, and count who is let through.

    Raises:
        RuntimeError: Ours let through more or fewer than there was room for.
    """
    found = []
    for name, make in {"ours": ours, **PEERS}.items():
        try:
            counts = [_crowd(make(ROOM)[1]) for _ in range(ROUNDS)]
        except Absent:
            continue
        stage.tick()
        if name == "ours" and set(counts) != {ROOM}:
            raise RuntimeError(f"of {ROOM} calls were let through: {counts}")
        # What is promised is ours; another one may let through less than there is room for, as long as it is something.
        budget = 1 if name == "ours" else ROOM
        found.append(Row(f"room over what is let through at most: {CROWD} threads, {name}", ROOM / max(counts), budget))
    return found


def _crowd(ask: Ask) -> int:
    gate = threading.Barrier(CROWD)

    def come(_: int) -> int:
        gate.wait()
        return sum(ask() for _ in range(2 * ROOM // CROWD))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(CROWD) as pool:
            return sum(pool.map(come, range(CROWD)))
    finally:
        sys.setswitchinterval(before)


BENCHMARKS: Final = (
    Benchmark("limit.memory", alone),
    Benchmark("limit.leased", leased),
    Benchmark("limit.whole", whole),
    *map(_beside, PEERS),
    Benchmark("limit.exact", exact),
)
