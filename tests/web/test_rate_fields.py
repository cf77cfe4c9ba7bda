"""What clients are told of limits: in fields that any parser of RFC 9651 reads, and that are true."""

import random
from collections.abc import Sequence

import http_sf
import pytest

from payaid_entitlements.core.ratelimit.deciding import decide
from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy, State, Verdict
from payaid_entitlements.limiting.outcome import RateLimitOutcome, Terms
from payaid_entitlements.stores.limiter import Ruling
from payaid_entitlements.web.rate_fields import rate_fields

SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND


def gcra(quota: int, seconds: float, burst: int | None = None, name: str = "export", **more: bool) -> Policy:
    return Policy(name, Algorithm.GCRA, quota, int(seconds * SECOND), burst or quota, **more)


def called(policies: Sequence[Policy], states: Sequence[State], now: int, cost: int = 1) -> RateLimitOutcome:
    decided = decide(policies, states, now, cost)
    return RateLimitOutcome(Terms("export", tuple(policies)), Ruling(decided.is_allowed, now, decided.verdicts), cost)


def parsed(field: str) -> dict[str, dict[str, object]]:
    read = http_sf.parse(field.encode(), tltype="list")
    assert all(isinstance(name, str) for name, _ in read)
    return {str(name): dict(parameters) for name, parameters in read}


def test_what_is_left_and_of_what() -> None:
    fields = rate_fields([called([gcra(30, 60, name="api.60s"), gcra(1_000, 86_400, name="api.1d")], [(), ()], NOW)])
    assert parsed(fields["RateLimit-Policy"]) == {"api.60s": {"q": 30, "w": 60}, "api.1d": {"q": 1_000, "w": 86_400}}
    assert parsed(fields["RateLimit"]) == {"api.60s": {"r": 29, "t": 2}, "api.1d": {"r": 999, "t": 87}}
    assert "Retry-After" not in fields


def test_a_refusal_names_what_refused_and_when_to_come_again() -> None:
    policies = [gcra(1, 60, name="api.60s"), gcra(1_000, 86_400, name="api.1d")]
    fields = rate_fields([called(policies, [(NOW + 60 * SECOND, 0, 1), ()], NOW)])
    assert parsed(fields["RateLimit"]) == {"api.60s": {"r": 0, "t": 60}}
    assert set(parsed(fields["RateLimit-Policy"])) == {"api.60s", "api.1d"}
    assert fields["Retry-After"] == "60"


def test_a_cost_that_never_fits_is_given_no_time() -> None:
    fields = rate_fields([called([gcra(5, 60)], [()], NOW, cost=6)])
    assert parsed(fields["RateLimit"]) == {"export": {"r": 5}}
    assert "Retry-After" not in fields
    assert rate_fields([called([gcra(5, 60)], [()], NOW, cost=6)], legacy=True)["X-RateLimit-Reset"] == "0"


def test_permits_are_concurrent_requests_and_short_windows_are_not_told() -> None:
    permits = Policy("jobs", Algorithm.CONCURRENCY, 3, 60 * SECOND, 3)
    assert rate_fields([called([permits], [()], NOW, cost=0)])["RateLimit-Policy"] == (
        '"jobs";q=3;qu="concurrent-requests"'
    )
    assert rate_fields([called([gcra(10, 0.5)], [()], NOW)])["RateLimit-Policy"] == '"export";q=10'


def test_what_is_only_observed_is_not_told() -> None:
    assert rate_fields([called([gcra(1, 60, is_enforced=False)], [(NOW + 60 * SECOND, 0, 1)], NOW)]) == {}


def test_nothing_is_said_of_what_nobody_knows() -> None:
    blind = RateLimitOutcome(Terms("export", ()), Ruling(True, NOW, ()), 1, "open")
    assert rate_fields([blind], legacy=True) == {}
    assert rate_fields([]) == {}


def test_several_limits_are_told_together_and_what_they_share_once() -> None:
    one, other = called([gcra(30, 60)], [()], NOW), called([gcra(30, 60), gcra(5, 1, name="api")], [(), ()], NOW)
    fields = rate_fields([one, other], legacy=True)
    assert fields["RateLimit-Policy"] == '"export";q=30;w=60, "api";q=5;w=1'
    assert fields["X-RateLimit-Limit"] == "5"
    assert fields["X-RateLimit-Remaining"] == "4"
    assert fields["X-RateLimit-Reset"] == "1"


@pytest.mark.parametrize("algorithm", [Algorithm.GCRA, Algorithm.FIXED_WINDOW, Algorithm.SLIDING_LOG])
def test_whoever_waits_as_told_comes_through(algorithm: Algorithm) -> None:
    """RL-9: each of 1,000 refusals parses; a call after the wait is let through, one a second before it is not."""
    chance = random.Random(algorithm)
    refused = 0
    while refused < 1_000:
        quota, cost = chance.randint(1, 20), 1
        policy = Policy(
            "export", algorithm, quota, chance.randint(quota, 600) * SECOND + chance.randrange(SECOND), quota
        )
        state: State = ()
        now = NOW + chance.randrange(10**12)
        for _ in range(60):
            cost = chance.randint(1, quota)
            decided = decide([policy], [state], now, cost)
            if decided.states is not None:
                (state,) = decided.states
            if not decided.is_allowed:
                refused += 1
                fields = rate_fields([called([policy], [state], now, cost)])
                after = int(fields["Retry-After"])
                assert parsed(fields["RateLimit"])["export"]["t"] == after
                assert called([policy], [state], now + after * SECOND, cost).allowed
                assert not called([policy], [state], now + (after - 1) * SECOND, cost).allowed
            now += chance.randrange(policy.window // quota + 1)


def test_a_verdict_of_no_room_without_a_policy_that_refuses_is_no_wait() -> None:
    observed = gcra(1, 60, is_enforced=False)
    ruling = Ruling(True, NOW, (Verdict(False, 0, 60 * SECOND, 60 * SECOND),))
    assert rate_fields([RateLimitOutcome(Terms("export", (observed,)), ruling, 1)]) == {}
