"""What clients are told of limits: in fields that any parser of RFC 9651 reads, and that are true."""

import random
from collections.abc import Sequence

import http_sf
import pytest

from payaid_entitlements.core.ratelimit.deciding import decide
from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy, State, Verdict
from payaid_entitlements.limiting.outcome import RateLimitOutcome, Terms
from payaid_entitlements.stores.limiter import Ruling
from payaid_entitlements.web.rate_fields import fields_beside, rate_fields

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


def test_when_nothing_is_left_it_says_when_there_is_something() -> None:
    """The last one of ten thousand a day: all of them are back in a day, and the next one in nine seconds."""
    policies = [gcra(10, 1, name="api.1s"), gcra(10_000, 86_400, name="api.86400s")]
    last = called(policies, [(), (NOW + 86_391 * SECOND, 0, 10_000)], NOW)
    fields = rate_fields([last], legacy=True)
    assert parsed(fields["RateLimit"]) == {"api.1s": {"r": 9, "t": 1}, "api.86400s": {"r": 0, "t": 9}}
    assert (fields["X-RateLimit-Remaining"], fields["X-RateLimit-Reset"]) == ("0", "9")


def test_a_limit_that_let_it_through_before_another_one_refused_it_has_a_say_too() -> None:
    full = (NOW + 60 * SECOND, 0, 1)
    refused = called([gcra(1, 60, name="export")], [full], NOW)
    # Of six in a minute, five at once, three cost 30 seconds: two of them are left, and the third is there in ten.
    before = called([gcra(6, 60, burst=5, name="api")], [()], NOW, cost=3)
    for second, after in ((before, "60"), (called([gcra(1, 90, name="near")], [()], NOW), "90")):
        fields = rate_fields([second, refused])
        assert fields["Retry-After"] == after
        assert all(item["t"] <= int(after) for item in parsed(fields["RateLimit"]).values())
    assert parsed(rate_fields([before, refused])["RateLimit"]) == {
        "api": {"r": 2, "t": 10},
        "export": {"r": 0, "t": 60},
    }
    roomy = called([gcra(6, 60, burst=5, name="api")], [()], NOW)
    assert parsed(rate_fields([roomy, refused])["RateLimit"]) == {"export": {"r": 0, "t": 60}}


def test_where_nobody_could_say_what_refused_only_times_are_told_that_are_sure() -> None:
    closed = RateLimitOutcome(Terms("export", ()), Ruling(False, NOW, ()), 1, "closed")
    assert rate_fields([called([gcra(6, 60, name="api")], [()], NOW), closed]) == {"RateLimit-Policy": '"api";q=6;w=60'}


def test_whatever_has_refused_retry_after_waits_for_the_limits_before() -> None:
    """Such as a store that gives no answer, or a limit that lets nobody pass then: no time is told that is later."""
    used_up = called([gcra(1, 86400, name="daily")], [()], NOW)
    closed = RateLimitOutcome(Terms("export", ()), Ruling(False, NOW, ()), 1, "closed")
    for outcomes in ([used_up], [used_up, closed]):
        fields = fields_beside({"retry-after": "2"}, outcomes)
        assert (fields["Retry-After"], fields["RateLimit"]) == ("86400", '"daily";r=0;t=86400')
    roomy = called([gcra(6, 60)], [()], NOW)
    assert "Retry-After" not in fields_beside({"retry-after": "2"}, [roomy])
    assert "Retry-After" not in fields_beside({"retry-after": "86401"}, [used_up])


def test_what_a_response_says_by_itself_stands() -> None:
    refused = called([gcra(1, 60)], [(NOW + 60 * SECOND, 0, 1)], NOW)
    before = called([gcra(1, 90, name="near")], [()], NOW)
    assert fields_beside({}, [before]) == rate_fields([before])
    assert "RateLimit-Policy" not in fields_beside({"ratelimit-policy": "theirs"}, [before])
    said = {"ratelimit": '"export";r=0;t=60', "retry-after": "60"}
    assert fields_beside(said, [refused]) == {}
    assert fields_beside(said, [before, refused]) == {"Retry-After": "90"}
    assert fields_beside(said | {"retry-after": "Thu, 26 Nov 2026 00:00:00 GMT"}, [before, refused]) == {}
    assert fields_beside({"ratelimit": "theirs"}, [before]) == {}


def _route(chance: random.Random) -> list[tuple[tuple[Policy, ...], int]]:
    """The limits of a route, in the order in which it asks them: the policies of each, and what a request costs."""
    route = []
    for number in range(chance.choice((1, 1, 2, 3))):
        algorithm = chance.choice([each for each in Algorithm if each is not Algorithm.CONCURRENCY])
        policies = []
        for place in range(chance.choice((1, 1, 2))):
            quota, window = (
                chance.randint(1, 12),
                chance.randint(1, 90) * SECOND + chance.choice((0, chance.randrange(SECOND))),
            )
            burst = chance.randint(1, 15) if algorithm is Algorithm.GCRA else quota
            policies.append(Policy(f"{number}.{place}", algorithm, quota, window, burst))
        route.append((tuple(policies), chance.randint(1, min(each.burst for each in policies))))
    return route


@pytest.mark.parametrize("routes", [300, pytest.param(20_000, marks=pytest.mark.soak)])
def test_whoever_does_what_the_fields_say_is_never_refused_twice(routes: int) -> None:
    """
    By all algorithms, with several policies and limits on a route, of which one may count what another one refuses.

    Only of what was not asked before, since it stands behind the one that refused, nobody could say.
    """
    refused = 0
    for number in range(routes):
        chance = random.Random(number)
        route = _route(chance)
        states: dict[str, State] = {}
        now, waited_for = NOW + chance.randrange(10**12), len(route)
        for _ in range(30):
            outcomes: list[RateLimitOutcome] = []
            for policies, cost in route:
                decided = decide(policies, [states.get(each.name, ()) for each in policies], now, cost)
                states.update(zip([each.name for each in policies], decided.states or (), strict=decided.is_allowed))
                terms = Terms("route", policies)
                outcomes.append(RateLimitOutcome(terms, Ruling(decided.is_allowed, now, decided.verdicts), cost))
                if not decided.is_allowed:
                    break
            fields = rate_fields(outcomes)
            is_refused = not outcomes[-1].allowed
            assert not is_refused or len(outcomes) > waited_for, (number, route, now)
            refused += is_refused
            costs = {each.name: cost for policies, cost in route for each in policies}
            times = [item["t"] for name, item in parsed(fields["RateLimit"]).items() if item["r"] < costs[name]]
            if is_refused:
                assert max(times) <= int(fields["Retry-After"])
            # Some do as they are told, some come all the same. What stands behind a limit that refused was not asked.
            wait = int(fields.get("Retry-After", max(times, default=0)))
            waited_for = len(outcomes) if chance.random() < 0.5 or not wait else 0
            wait = wait if waited_for else 0
            now += wait * SECOND + chance.choice((0, chance.randrange(SECOND)))
    assert refused > routes


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
