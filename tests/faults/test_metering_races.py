"""
Processes that meter at once, on each store: nothing is sold twice, and nothing is counted twice.

The long forms are those of the promises: 8 processes, 200 meters, 32,000 attempts; 5,000 keys, each sent up to 6 times.
"""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict

import pytest

from payaid_entitlements import Entitlements
from tests.faults.linearizing import is_possible
from tests.faults.metering import FEW, SOLD, TENS, live, sell, send, use_up

#: Seconds that a long form may take on a machine that does much else.
LONGEST = 900


def left(url, tenants):
    """What is left of each of the ten features, and what was used, summed."""
    with Entitlements.open(url) as ent:
        usages = [usage for tenant in tenants for usage in ent.usage(tenant, *TENS).values()]
    return {usage.remaining for usage in usages}, sum(usage.used for usage in usages)


def assert_sold_once(racers, url, tenants, times, processes, record):
    began = time.monotonic()
    got = racers.race(use_up, url, tenants, times, within=LONGEST)
    taken = sum(got, Counter())
    record("attempts", processes * len(tenants) * len(TENS) * times)
    record("granted", taken.total())
    record("seconds", round(time.monotonic() - began, 1))
    assert taken == {(tenant, feature): SOLD for tenant in tenants for feature in TENS}
    assert left(url, tenants) == ({0}, SOLD * len(TENS) * len(tenants))


def test_all_units_are_sold_and_none_twice(four, counting_url, sold, record):
    assert_sold_once(four, counting_url, sold(2), 3, 4, record)


@pytest.mark.soak
def test_all_units_of_200_meters_are_sold_and_none_twice_in_32000_attempts(eight, counting_url, sold, record):
    assert_sold_once(eight, counting_url, sold(20), 20, 8, record)


def test_a_ledger_that_reads_and_then_writes_would_be_found_out(four, tmp_path):
    """These tests can fail: of a naive ledger the same processes get more than is sold."""
    url, tenants = f"sqlite:///{tmp_path / 'naive.db'}", ["tenant-0", "tenant-1"]
    sell(url, tenants)
    got = sum(four.race(use_up, url, tenants, 3, True), Counter())
    assert got.total() > SOLD * len(TENS) * len(tenants)


def test_a_history_of_a_ledger_that_reads_and_then_writes_would_be_found_out(four, tmp_path):
    """What is seen of it has no order in which it would be right."""
    url = f"sqlite:///{tmp_path / 'naive.db'}"
    sell(url, ["tenant-0"])
    ((one,), *others) = four.race(live, url, ["tenant-0"], 12, True)
    history = [*one, *(seen for (each,) in others for seen in each)]
    assert sum(seen.amount for seen in history if seen.answer == "new") > FEW
    assert not is_possible(history, FEW)


def letters_of(count, processes, seed):
    """
    What each process sends: *count* keys, each 1 to 6 times, one in ten with another amount at one of the times.

    A key that is sent but once is not changed.
    """
    chance, every = random.Random(seed), []
    for key in range(count):
        amount, times = chance.randint(1, 9), chance.randint(1, 6)
        letters = [(key, amount)] * times
        if key % 10 == 0:
            letters = [*letters, (key, amount)][: max(2, times)]
            letters[-1] = (key, amount + 1)
        every.extend(letters)
    chance.shuffle(every)
    return [every[number::processes] for number in range(processes)]


def assert_counted_once(racers, url, tenant, count, processes, record):
    letters, began = letters_of(count, processes, 7), time.monotonic()
    by_key = defaultdict(list)
    for each in racers.race(send, url, tenant, letters, within=LONGEST):
        for sent in each:
            by_key[sent.key].append(sent)
    record("sent", sum(map(len, by_key.values())))
    record("conflicts", sum(sent.answer is None for every in by_key.values() for sent in every))
    record("seconds", round(time.monotonic() - began, 1))
    assert sum(map(len, by_key.values())) == sum(map(len, letters))
    total, changed = 0, 0
    for every in by_key.values():
        (won,) = {sent.amount for sent in every if sent.answer is not None}
        answers = [sent.answer for sent in every if sent.amount == won]
        assert sorted(answers) == [(False, won), *[(True, won)] * (len(answers) - 1)]
        others = [sent.answer for sent in every if sent.amount != won]
        assert others == [None] * len(others)
        total, changed = total + won, changed + bool(others)
    assert (len(by_key), changed) == (count, count // 10)
    with Entitlements.open(url) as ent:
        assert ent.usage(tenant, "shop.many")["shop.many"].used == total


def test_each_key_counts_once_however_often_and_from_wherever_it_is_sent(four, counting_url, sold, record):
    assert_counted_once(four, counting_url, *sold(1), 60, 4, record)


@pytest.mark.soak
def test_each_of_5000_keys_counts_once(four, counting_url, sold, record):
    assert_counted_once(four, counting_url, *sold(1), 5000, 4, record)
