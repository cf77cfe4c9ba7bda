"""What processes do that lease from one limit at once: each function here runs in a process of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from payaid_entitlements.core.ratelimit.limits import Limit
from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy
from payaid_entitlements.limiting.groups import course_of
from payaid_entitlements.limiting.leasing import Leases
from payaid_entitlements.stores.hurry import within
from payaid_entitlements.stores.opening import open_store
from tests.faults.metering import PATIENCE, known

#: What they lease: so many in a second, so many at once, and so many in a block.
RATE, BURST, LEASE = 100, 60, 20


@dataclass(frozen=True)
class Spent:
    """How many calls passed, how often the limiter was asked, and from when to when, in seconds."""

    passed: int
    asked: int
    began: float
    ended: float


def spend(number: int, url: str, now: int | None, attempts: int, seconds: float) -> Spent:
    """
    Call so many times, and on until so many *seconds* have passed.

    Args:
        now: The time by which the limiter decides; None for its own.
    """
    store: Any = open_store(url)
    limiter, leases = store.limiter, Leases(time.monotonic)
    policy = Policy("hot", Algorithm.GCRA, RATE, 1_000_000, BURST)
    course = course_of({"hot": Limit("hot", "tenant", (policy,), lease=LEASE)}, "hot", "acme", None, None)
    group, passed, asked = course.group, 0, 0
    assert group is not None
    try:
        known(limiter.prepare)
        with within(PATIENCE):
            began = time.time()
            while attempts > 0 or time.time() < began + seconds:
                attempts -= 1
                ruling = leases.spend(course, 1)
                if ruling is None:
                    with leases.taking(course, group, 1) as taking:
                        asked += 1
                        ruling = taking.told(limiter.hit(group, taking.units, now=now))
                        if ruling is None:
                            asked += 1
                            ruling = limiter.hit(group, now=now)
                passed += ruling.is_allowed
            return Spent(passed, asked, began, time.time())
    finally:
        store.close()
