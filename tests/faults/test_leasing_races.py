"""Processes that lease from one limit at once: never more passes than is stated."""

from __future__ import annotations

import pytest

from tests.faults.leasing import BURST, LEASE, RATE, spend
from tests.faults.limiting import NOW


def test_while_time_stands_still_no_more_pass_than_there_are(four, redis_url):
    spent = four.race(spend, redis_url, NOW, BURST, 0.0)
    # Fewer only where a process took longer than a block lasts.
    assert BURST // 2 < sum(each.passed for each in spent) <= BURST


@pytest.mark.parametrize("seconds", [1.5, pytest.param(10.0, marks=pytest.mark.soak)])
def test_while_time_goes_on_no_more_pass_than_is_stated(four, redis_url, record, seconds):
    spent = four.race(spend, redis_url, None, 0, seconds)
    passed, asked = (sum(getattr(each, name) for each in spent) for name in ("passed", "asked"))
    lasted = max(each.ended for each in spent) - min(each.began for each in spent)
    record("passed", passed)
    record("asked", asked)
    record("seconds", round(lasted, 2))
    assert passed <= BURST + RATE * lasted + LEASE * 4
    assert passed >= BURST
