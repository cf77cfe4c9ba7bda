"""
What processes do that are limited at once: each function here runs in a process of its own, with a limiter of its own.

They ask the limiter itself, at a time that stands still, so that exactly as many calls pass as a policy says.
"""

from __future__ import annotations

import random
import time
from collections import Counter as Counts
from dataclasses import dataclass, field
from typing import Any

from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores.hurry import within
from payaid_entitlements.stores.limiter import Counter, Group, Limiter, Ruling
from payaid_entitlements.stores.opening import open_store
from payaid_entitlements.stores.sql import SQLStore, schema
from tests.faults.metering import PATIENCE, known

#: How many calls pass on each key, and when all of them come: microseconds, in the middle of a window.
CAP, NOW = 5, 1_800_000_000_000_000
HOUR = 3_600_000_000

#: Keys are counted by each of these in turn. Permits are no calls: they come back.
COUNTED_BY = (Algorithm.GCRA, Algorithm.FIXED_WINDOW, Algorithm.SLIDING_LOG, Algorithm.SLIDING_COUNTER)


def word(number: int) -> str:
    """*number* in the letters of which owners and keys are made."""
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    return "".join(letters[number >> 5 * place & 31] for place in reversed(range(4)))


def group_of(number: int, cap: int = CAP, policies: int = 1) -> Group:
    """The group of key *number*: an owner of its own, and counters by one algorithm after the other."""
    kinds = [COUNTED_BY[(number + place) % len(COUNTED_BY)] for place in range(policies)]
    counters = [Counter(word(place), Policy(f"p{place}", kind, cap, HOUR, cap)) for place, kind in enumerate(kinds)]
    return Group(f"owner{word(number)}", counters)


def open_empty(url: str) -> Any:
    """The store at *url*, which has its tables, if need be; to migrate to them takes ten times as long."""
    store: Any = open_store(url)
    if isinstance(store, SQLStore):
        with store._writing.begin() as connection:
            schema.create(connection, store._statements)
    return store


@dataclass
class Used:
    """What one process got: how many calls passed on each key, and how many were not answered."""

    passed: Counts[int] = field(default_factory=Counts)
    unanswered: Counts[int] = field(default_factory=Counts)

    def __add__(self, other: Used) -> Used:
        return Used(self.passed + other.passed, self.unanswered + other.unanswered)


def use_up(number: int, url: str, keys: int, times: int, is_naive: bool = False) -> Used:
    """Call so many *times* on each of so many *keys*, in an order of one's own."""
    store: Any = open_store(url)
    limiter: Limiter = Naive(store.limiter) if is_naive else store.limiter
    try:
        # While others connect too, the first answer may take longer than a limiter waits.
        known(limiter.prepare)
        return use_up_on(limiter, number, keys, times)
    finally:
        store.close()


def use_up_on(limiter: Limiter, number: int, keys: int, times: int) -> Used:
    """Same as `use_up`, on a limiter that is there."""
    # One in four is held against three policies: all of them count, or none does.
    groups = [group_of(key, policies=3 if key % 4 == 3 else 1) for key in range(keys)]
    turns = [key for key in range(keys) for _ in range(times)]
    random.Random(number).shuffle(turns)
    used = Used()
    with within(PATIENCE):
        for key in turns:
            try:
                used.passed[key] += limiter.hit(groups[key], now=NOW).is_allowed
            except StoreUnavailable:
                # Perhaps it was counted, and nobody knows that it passed.
                used.unanswered[key] += 1
    return used


class Naive:
    """A limiter that asks whether there is room, and then takes it as if there were: what a limiter must not be."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._limiter, name)

    def hit(self, group: Group, cost: int = 1, **named: Any) -> Any:
        """Same as `Limiter.hit`, until two do it at once."""
        seen = self._limiter.hit(group, 0, **named)
        has_room = all(verdict.remaining >= cost for verdict in seen.verdicts)
        if has_room:
            # Longer than a process needs to come to the same counter, also where the disk is memory.
            time.sleep(0.02)
        self._limiter.hit(group, cost, **named)
        return Ruling(has_room, seen.now, seen.verdicts)
