"""While the limiter gives no answer each limit says what holds: all pass, none does, or a share of it does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from payaid_entitlements import UNLIMITED, Reason
from payaid_entitlements.errors import ConfigurationError, RateLimited, StoreUnavailable
from payaid_entitlements.limiting import outage
from payaid_entitlements.stores.memory_limiter import MemoryLimiter
from tests.limiting.holding import held
from tests.limiting.test_verbs import let_through


def test_open_lets_all_pass_and_says_nothing_of_what_is_left(stage, ent):
    with stage.limiter_down():
        outcomes = [ent.rate_limit("acme", "feed") for _ in range(10)]
    assert {(each.reason, each.on_outage, each.policies, each.limit) for each in outcomes} == {
        (Reason.STORE_FAILED_OPEN, "open", (), None)
    }
    assert ent.counts[("rate_limit.on_outage.open", "feed")] == 10
    assert "on_outage='open'" in repr(outcomes[0])
    assert ent.rate_limit("acme", "feed").on_outage is None


def test_closed_lets_none_pass_and_is_no_refusal(stage, ent):
    """The strictest of all that a call is counted on holds."""
    with stage.limiter_down():
        outcome = ent.try_rate_limit("acme", "crm.export", user="asha")
        assert (outcome.allowed, outcome.reason, outcome.on_outage) == (False, Reason.STORE_UNAVAILABLE, "closed")
        assert (outcome.retry_after, outcome.limited_by, outcome.remaining) == (None, (), None)
        assert outcome.decision().degraded
        with pytest.raises(StoreUnavailable, match="not a refusal"):
            ent.rate_limit("acme", "crm.export", user="asha")
        with pytest.raises(StoreUnavailable):
            ent.reset_rate_limit("acme", "crm.export", user="asha")
    assert ent.counts[("rate_limit.on_outage.closed", "crm.export")] == 2


def test_what_refuses_nobody_refuses_nobody_in_an_outage(stage, ent):
    """A limit that is only observed, or that lets everything pass, has no say in what holds then."""
    ent.admin().override("acme", "rate_limits.crm.export", UNLIMITED)
    with stage.limiter_down():
        outcomes = [ent.rate_limit("acme", "tried") for _ in range(4)]
        assert ent.rate_limit("acme", "crm.export", user="asha").on_outage == "local_share"
    assert {(each.allowed, each.on_outage) for each in outcomes} == {(True, "open")}


@pytest.mark.parametrize(("processes", "share"), [(1, 20), (3, 6), (None, 5), (50, 1)])
def test_a_share_is_counted_in_this_process(stage, processes, share):
    """At least one unit of it; what was counted by the limiter before is not known."""
    stage.elsewhere.subscribe("acme", "pro")
    ent = stage.open(processes=processes)
    ent.rate_limit("acme", "api", cost=19)
    with stage.limiter_down():
        assert let_through(ent, "acme", "api", 30) == share
        outcome = ent.try_rate_limit("acme", "api")
        assert (outcome.limit, outcome.on_outage, outcome.reason) == (share, "local_share", Reason.RATE_LIMITED)
        with pytest.raises(RateLimited):
            ent.rate_limit("acme", "api")
    assert ent.counts[("rate_limit.on_outage.local_share", "api")] == 32
    assert ent.rate_limit("acme", "api").remaining == 0
    ent.reset_rate_limit("acme", "api")
    with stage.limiter_down():
        assert let_through(ent, "acme", "api", 1) == 1


@pytest.mark.parametrize(("cost", "passes"), [(5, 1), (6, 1), (20, 1), (21, 0)])
def test_a_call_that_weighs_more_than_a_share_takes_all_of_it(stage, cost, passes):
    """But for what the limit never lets through."""
    stage.elsewhere.subscribe("acme", "pro")
    ent = stage.open(processes=4)
    with stage.limiter_down():
        outcomes = [ent.try_rate_limit("acme", "api", cost=cost) for _ in range(2)]
        assert [each.allowed for each in outcomes] == [passes == 1, False]
        assert (outcomes[1].retry_after is not None) == bool(passes)
        assert outcomes[0].remaining == (0 if passes else 5)
        assert ent.try_rate_limit("acme", "api").allowed != bool(passes)


def test_more_callers_than_memory_has_room_for_are_let_nowhere(stage, monkeypatch):
    """Who cannot be counted would be let through without a limit."""
    monkeypatch.setattr(outage, "MemoryLimiter", lambda: MemoryLimiter(most_bytes=0))
    ent = stage.open()
    with stage.limiter_down():
        outcome = ent.try_rate_limit("acme", "api")
    assert (outcome.allowed, outcome.on_outage, outcome.reason) == (False, "closed", Reason.STORE_UNAVAILABLE)


def test_permits_of_a_share_are_given_back_there(stage, ent):
    ent = stage.open(processes=2)
    with stage.limiter_down():
        for _ in range(3):
            with held(ent, "acme", "jobs") as outcome:
                assert (outcome.limit, outcome.on_outage) == (1, "local_share")
    with held(ent, "acme", "jobs"), held(ent, "acme", "jobs"):
        pass


def test_a_permit_that_cannot_be_given_back_is_free_at_the_latest_when_its_time_is_over(stage, ent):
    with held(ent, "acme", "jobs"):
        stage.faults.before = _no_giving_back
    stage.faults.before = None
    assert ent.counts[("rate_limit.not_given_back", "jobs")] == 1
    assert ent.rate_limit_status("acme", "jobs").remaining == 1
    stage.clock.advance(timedelta(seconds=60))
    assert ent.rate_limit_status("acme", "jobs").remaining == 2


def _no_giving_back(name):
    if name == "give_back":
        raise StoreUnavailable("the limiter is down (a test says so)")


def test_health_says_whether_the_limiter_answers(stage, ent):
    found = ent.health()
    assert (found.ok, found.limiter, found.limiter_answers) == (True, "memory", True)
    assert any("rate limit" in each.promise for each in found.concerns)
    with stage.limiter_down():
        found = ent.health()
    assert (found.ok, found.limiter_answers) == (True, False)


def test_how_many_processes_there_are(stage, monkeypatch):
    monkeypatch.setenv("PAYAID_PROCESSES", "7")
    assert stage.open().inner._limiting.processes == 7
    monkeypatch.setenv("PAYAID_PROCESSES", "")
    assert stage.open().inner._limiting.processes == 4
    assert stage.open(processes=2).inner._limiting.processes == 2
    for wrong in (0, -1, True, 2.5):
        with pytest.raises(ConfigurationError, match="processes="):
            stage.open(processes=wrong)
    monkeypatch.setenv("PAYAID_PROCESSES", "many")
    with pytest.raises(ConfigurationError, match="PAYAID_PROCESSES"):
        stage.open()
