"""While the limiter gives no answer each limit says what holds: all pass, none does, or a share of it does."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from payaid_entitlements import UNLIMITED, Catalog, Reason
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


@pytest.mark.parametrize(
    ("cost", "left"), [(1, [4, 149]), (4, [1, 146]), (5, [0, 145]), (6, [0, 144]), (20, [0, 130]), (21, [5, 150])]
)
def test_every_window_counts_all_that_a_call_weighs(stage, cost, left):
    """Also the one of which the share is large, when it weighs more than that of another."""
    stage.elsewhere.subscribe("acme", "pro")
    ent = stage.open(processes=4)
    with stage.limiter_down():
        assert [each.remaining for each in ent.try_rate_limit("acme", "api", cost=cost).policies] == left
        assert [each.remaining for each in ent.rate_limit_status("acme", "api").policies] == left


def test_what_a_heavy_call_took_comes_back_as_fast_as_the_share(stage):
    """Five a second: whoever has taken twenty waits for the fifteen that no share has, and one."""
    stage.elsewhere.subscribe("acme", "pro")
    ent = stage.open(processes=4)
    with stage.limiter_down():
        assert ent.try_rate_limit("acme", "api", cost=20).allowed
        assert ent.try_rate_limit("acme", "api").retry_after == timedelta(seconds=3.2)
        assert ent.try_rate_limit("acme", "api", cost=20).retry_after == timedelta(seconds=4)
        stage.clock.advance(timedelta(seconds=3.2))
        refused = ent.try_rate_limit("acme", "api", cost=20)
        assert (refused.remaining, refused.retry_after) == (1, timedelta(seconds=0.8))
        assert ent.try_rate_limit("acme", "api").allowed
        stage.clock.advance(timedelta(seconds=1))
        assert ent.try_rate_limit("acme", "api", cost=20).allowed


@pytest.mark.parametrize("cost", [1, 4, 5, 6, 20, 21])
@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log", "sliding_counter", "fixed_window"])
def test_shares_of_several_processes_are_the_limit(stage, algorithm, cost):
    """Each is asked once a second, also by calls that weigh more than the smaller share and less than the other."""
    catalog = _with_limit(["20/second", "200/minute"], algorithm)
    processes = [stage.open(catalog=catalog, processes=4) for _ in range(4)]
    passed = 0
    with stage.limiter_down():
        for _ in range(120):
            passed += cost * sum(let_through(each, "acme", "api", 1, cost=cost) for each in processes)
            stage.clock.advance(timedelta(seconds=1))
    burst = 200 if algorithm == "gcra" else 0
    assert passed <= burst + 2 * 200
    # Of a share of fifty, calls of twenty leave ten.
    assert passed >= (2 * 160 if cost <= 20 else 0)


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log", "sliding_counter", "fixed_window"])
def test_a_call_that_weighs_more_than_a_share_passes_once_in_a_window_at_most(stage, algorithm):
    ent = stage.open(catalog=_with_limit(["100/minute"], algorithm), processes=4)
    passed = []
    with stage.limiter_down():
        for second in range(0, 300, 6):
            if let_through(ent, "acme", "api", 2, cost=60):
                passed.append(second)
            stage.clock.advance(timedelta(seconds=6))
    assert len(passed) >= 2
    assert all(later - earlier >= 60 for earlier, later in pairwise(passed))


def test_what_would_take_centuries_to_come_back_comes_back_sooner(stage):
    """No counter reaches so far ahead: it would be read as another one."""
    ent = stage.open(catalog=_with_limit(["1000/3650 days"], "gcra"), processes=1_000)
    with stage.limiter_down():
        assert ent.try_rate_limit("acme", "api", cost=1_000).allowed
        refused = ent.try_rate_limit("acme", "api", cost=900)
        assert not refused.allowed
        assert timedelta(days=100 * 365) < refused.retry_after < timedelta(days=150 * 365)


def _with_limit(rates, algorithm):
    """A catalog in which everybody has them."""
    return Catalog.load(
        {
            "catalog": 1,
            "default_plan": "free",
            "modules": {"crm": {}},
            "plans": {"free": {"modules": ["crm"]}},
            "rate_limits": {"api": {"default": rates, "algorithm": algorithm}},
        }
    )


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
