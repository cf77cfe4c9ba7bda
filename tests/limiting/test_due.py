"""
Permits that an outage would leave behind: a server that stood still counts afterwards whatever it was sent.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from payaid_entitlements.errors import RateLimited, StoreUnavailable
from payaid_entitlements.limiting import permits
from payaid_entitlements.limiting.permits import Due
from payaid_entitlements.stores.limiter import Group
from payaid_entitlements.stores.memory_limiter import AsyncMemoryLimiter, MemoryLimiter
from tests.limiting.holding import held


@pytest.fixture(autouse=True)
def _far(monkeypatch):
    """It is asked as one that others share."""
    monkeypatch.setattr(MemoryLimiter, "is_shared", True)
    monkeypatch.setattr(AsyncMemoryLimiter, "is_shared", True)


def _late(operation):
    """It was counted, and nobody has heard of it."""
    raise StoreUnavailable("no answer in time (a test says so)") from TimeoutError()


def test_a_permit_of_a_call_without_an_answer_is_given_back(stage, ent):
    ent.rate_limit_status("acme", "jobs")
    stage.faults.leave = _late
    for _ in range(2):
        with held(ent, "acme", "jobs") as outcome:
            assert outcome.on_outage == "local_share"
    del stage.faults.leave
    # This is the first answer after the outage, and the permits are given back behind it.
    assert ent.rate_limit_status("acme", "jobs").remaining == 0
    assert ent.rate_limit_status("acme", "jobs").remaining == 2


def test_one_that_was_turned_away_holds_nothing(stage):
    ent = stage.open(processes=2)
    ent.rate_limit_status("acme", "jobs")
    stage.faults.leave = _late
    with held(ent, "acme", "jobs"), pytest.raises(RateLimited), held(ent, "acme", "jobs"):
        pass
    del stage.faults.leave
    ent.rate_limit_status("acme", "jobs")
    assert ent.rate_limit_status("acme", "jobs").remaining == 2


def test_who_waits_through_an_outage_has_one_permit_inside_the_block(stage):
    """It was counted when there was no answer; the answer to the next try is about the same one."""
    ent = stage.open(processes=2)
    ent.rate_limit_status("acme", "jobs")
    tries = []

    def once(operation):
        tries.append(operation)
        if len(tries) < 3:
            _late(operation)

    stage.faults.leave = once
    with held(ent, "acme", "jobs"):
        # No share is left: it is tried again.
        with held(ent, "acme", "jobs", wait=timedelta(seconds=10)) as outcome:
            assert (outcome.on_outage, len(tries)) == (None, 3)
            assert ent.rate_limit_status("acme", "jobs").remaining == 0
        assert ent.rate_limit_status("acme", "jobs").remaining == 1
    ent.rate_limit_status("acme", "jobs")
    assert ent.rate_limit_status("acme", "jobs").remaining == 2


def test_a_permit_is_given_back_as_soon_as_there_is_an_answer_again(stage, ent):
    with held(ent, "acme", "jobs"), held(ent, "acme", "jobs"):
        stage.faults.before = _no_giving_back
    assert ent.rate_limit_status("acme", "jobs").remaining == 0
    # It is still down, which harms nobody who asks for something else.
    assert ent.rate_limit_status("acme", "jobs").remaining == 0
    stage.faults.before = None
    ent.rate_limit_status("acme", "jobs")
    assert ent.rate_limit_status("acme", "jobs").remaining == 2
    assert ent.counts[("rate_limit.not_given_back", "jobs")] == 2


def _no_giving_back(name):
    if name == "give_back":
        raise StoreUnavailable("the limiter is down (a test says so)")


def test_what_was_never_sent_is_not_given_back(stage, ent):
    ent.rate_limit_status("acme", "jobs")
    with stage.limiter_down(), held(ent, "acme", "jobs"):
        pass
    ent.rate_limit_status("acme", "jobs")
    assert "give_back" not in stage.faults.calls


def test_one_call_gives_back_only_a_few(stage, ent):
    ent.rate_limit_status("acme", "jobs")
    for permit in range(1, 2 * permits.FEW):
        ent.inner._limiting.due.add(Group("acme", ()), permit)
    ent.rate_limit_status("acme", "jobs")
    assert stage.faults.calls.count("give_back") == permits.FEW
    ent.rate_limit_status("acme", "jobs")
    assert stage.faults.calls.count("give_back") == 2 * permits.FEW - 1


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(permits, "_MOST_DUE", 2)
    due, group = Due(), Group("acme", ())
    for permit in (1, 2, 3):
        due.add(group, permit)
    assert (len(due), due.take(), due.take(), due.take()) == (2, (group, 1), (group, 2), None)
