"""
What four processes see of one meter is what they would see of a plain counter that does one thing after the other.

Each takes, holds, settles, releases, gives back, repeats and reads, by chance, near the limit. On servers a proxy ends
all connections again and again in half of the histories: what got no answer may or may not have happened, and what is
said not to have happened has not.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from math import inf

import pytest

from tests.faults.linearizing import is_possible
from tests.faults.metering import FEW, live, sell

#: Seconds that a long form may take on a machine that does much else.
LONGEST = 900
#: So many bytes are answered between two times that all connections end: a few dozen answers.
BETWEEN = (4000, 20000)


class Cutting:
    """Ends all connections by way of a proxy again and again, inside of ``with``."""

    def __init__(self, proxy):
        self._proxy, self._ended = proxy, threading.Event()
        self._thread = threading.Thread(target=self._cut)

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *error):
        self._ended.set()
        self._thread.join()

    def _cut(self):
        chance, until = random.Random(7), 0
        while not self._ended.wait(0.002):
            # By what was answered, not by time: on a slow machine too something gets through in between.
            if self._proxy.answered > until:
                self._proxy.cut()
                until = self._proxy.answered + chance.randint(*BETWEEN)


def histories(racers, url, tenants, length):
    """What the processes saw of each tenant, together."""
    lives = racers.race(live, url, tenants, length, within=LONGEST)
    return [[seen for each in life for seen in each] for life in zip(*lives, strict=True)]


def assert_all_possible(found, record):
    answers = Counter(str(seen.answer) if seen.verb != "read" else "read" for each in found for seen in each)
    record("histories", len(found))
    record("acts", sum(map(len, found)))
    record("answers", dict(answers))
    began = time.monotonic()
    wrong = [each for each in found if not is_possible(each, FEW)]
    record("judging_seconds", round(time.monotonic() - began, 1))
    assert not wrong, "\n".join(map(str, sorted(wrong[0], key=lambda seen: seen.began)))
    assert answers["new"] > 0
    assert answers["short"] > 0
    return answers


SHORT, LONG = (2, 25), (200, 25)
sizes = pytest.mark.parametrize("size", [SHORT, pytest.param(LONG, marks=pytest.mark.soak)], ids=["short", "long"])


@sizes
def test_every_history_has_an_order_in_which_it_is_right(four, counting_url, sold, size, record):
    count, length = size
    began = time.monotonic()
    # Twice as many where no proxy can be put before it: 400 of each store in the long run.
    is_cut_too = counting_url.startswith(("postgresql", "mysql", "redis:"))
    found = histories(four, counting_url, sold(count * (1 if is_cut_too else 2)), length)
    record("seconds", round(time.monotonic() - began, 1))
    assert_all_possible(found, record)


@sizes
@pytest.mark.parametrize("named", ["postgres_url", "mariadb_url", "redis_url"])
def test_every_history_has_one_where_connections_end_all_the_time(request, four, proxies, named, size, record):
    count, length = size
    url = request.getfixturevalue(named)
    tenants = [f"tenant-{number}" for number in range(count)]
    sell(url, tenants)
    proxy = proxies(url)
    began = time.monotonic()
    with Cutting(proxy):
        found = histories(four, proxy.url, tenants, length)
    record("seconds", round(time.monotonic() - began, 1))
    record("connections", proxy.accepted)
    assert_all_possible(found, record)
    assert any(seen.ended == inf for each in found for seen in each) or size == SHORT
