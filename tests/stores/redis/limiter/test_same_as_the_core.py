"""The script decides as the core does, call by call, and leaves the same text behind."""

from __future__ import annotations

import random

import pytest
import redis

from payaid_entitlements.core.ratelimit.concurrency import release
from payaid_entitlements.core.ratelimit.deciding import decide
from payaid_entitlements.core.ratelimit.policy import MOST_UNITS, Algorithm, Policy
from payaid_entitlements.core.ratelimit.text import decode, encode
from payaid_entitlements.stores.limiter import Group, Ruling
from payaid_entitlements.stores.redis import RedisLimiter
from tests.core.ratelimit.vectors import load
from tests.stores.redis.conftest import PATIENT
from tests.stores.redis.limiter.calling import group, policy

#: Some day in 2026, in microseconds.
BEGIN = 1_790_000_000_000_000

#: What is no state of ours, and what is one of another algorithm.
ODD = (
    "",
    "x",
    "1",
    "-5 0",
    "1 2 3",
    " 1 2",
    "1  2",
    "1 2 ",
    "12345678901234567 1",
    "9007199254740992 1",
    "1,2",
    "7 0",
    "7 0 0",
    "7 5 5",
)


@pytest.fixture(params=["redis_url", pytest.param("redis_cluster_url", marks=pytest.mark.soak)])
def limiter(request: pytest.FixtureRequest):
    limiter = RedisLimiter(str(request.getfixturevalue(request.param)) + PATIENT)
    yield limiter
    limiter.close()


def _policy(draw: random.Random) -> Policy:
    algorithm = draw.choice([Algorithm.GCRA, Algorithm.GCRA, *Algorithm])
    quota = draw.choice([1, 2, 3, 7, 10, draw.randrange(1, 60)])
    if algorithm is Algorithm.GCRA:
        quota = draw.choice([quota, draw.randrange(1, MOST_UNITS), MOST_UNITS])
    window = draw.choice([1, 7, 1_000, 1_000_000, 60_000_000, draw.randrange(1, 10**9), 86_400_000_000])
    burst = max(1, draw.choice([quota, quota // 2, min(3 * quota, MOST_UNITS)])) if algorithm == "gcra" else quota
    return Policy("p", algorithm, quota, window, burst, is_enforced=draw.random() < 0.8)


def _later(draw: random.Random, now: int, policies: list[Policy]) -> int:
    window = draw.choice(policies).window
    return now + draw.choice([0, 0, 1, draw.randrange(window + 1), window, window - 1, 2 * window, -draw.randrange(99)])


class _Model:
    """What the core makes of the same calls."""

    def __init__(self, policies: list[Policy]) -> None:
        self.policies = policies
        self.states: list[tuple[int, ...]] = [()] * len(policies)

    def hit(self, cost: int, permit: int, now: int) -> Ruling:
        decided = decide(self.policies, self.states, now, cost, permit)
        if decided.states is not None:
            self.states = list(decided.states)
        return Ruling(decided.is_allowed, now, decided.verdicts)


def _texts(limiter: RedisLimiter, asked: Group) -> list[str]:
    return [(limiter._client.call("GET", key) or b"").decode() for key in limiter._made(asked).keys]


def test_golden_vectors(limiter: RedisLimiter) -> None:
    for number, vector in enumerate(load()):
        asked = group(f"owner{number}", vector.policy)
        (key,) = limiter._made(asked).keys
        limiter._client.call("SET", key, encode(vector.state))
        ruling = limiter.hit(asked, vector.cost, permit=vector.permit, now=vector.now)
        assert ruling == Ruling(vector.verdict.is_within, vector.now, (vector.verdict,)), vector
        assert _texts(limiter, asked) == [encode(vector.after)], vector


@pytest.mark.parametrize("runs", [30, pytest.param(3_000, marks=pytest.mark.soak)])
def test_random_calls(limiter: RedisLimiter, runs: int) -> None:
    allowed = refused = 0
    for run in range(runs):
        draw = random.Random(run)
        policies = [_policy(draw) for _ in range(draw.choice([1, 1, 2, 3]))]
        asked = group(f"owner{run}", *policies)
        model, now = _Model(policies), BEGIN + draw.randrange(10**12)
        for _ in range(25):
            now = _later(draw, now, policies)
            cost = draw.choice([0, 1, 1, 1, 2, draw.choice(policies).quota, draw.choice(policies).burst + 1])
            permit = draw.randrange(1, 8) if draw.random() < 0.9 else 2**52
            before = model.states
            ruling = limiter.hit(asked, cost, permit=permit, now=now)
            case = run, policies, before, now, cost, permit
            assert ruling == model.hit(cost, permit, now), case
            assert [*map(decode, _texts(limiter, asked))] == model.states, case
            allowed, refused = allowed + ruling.is_allowed, refused + (not ruling.is_allowed)
            if draw.random() < 0.1:
                limiter.give_back(asked, permit)
                model.states = [
                    release(state, permit) if policy.algorithm is Algorithm.CONCURRENCY else state
                    for state, policy in zip(model.states, policies, strict=True)
                ]
                assert [*map(decode, _texts(limiter, asked))] == model.states, case
    assert min(allowed, refused) > 3 * runs


@pytest.mark.parametrize("algorithm", Algorithm)
def test_what_nobody_of_us_has_written(limiter: RedisLimiter, algorithm: Algorithm) -> None:
    policies = [Policy("p", algorithm, 5, 60_000_000, 5)]
    for place, odd in enumerate(
        (
            *ODD,
            f"{BEGIN} 1 {BEGIN} 0",
            f"{BEGIN - 9} 0 {BEGIN} 3 {BEGIN} 0",
            f"{BEGIN} 9",
            f"{BEGIN + 9} 3 4",
            f"{BEGIN + 9} 4 4",
            f"{BEGIN + 9} 0 67108864",
            f"{BEGIN + 9} 0 67108865",
            f"{BEGIN + 9} 0 0",
        )
    ):
        for cost in (0, 1, 3, 6):
            asked = group(f"owner{place}x{cost}", policies[0])
            (key,) = limiter._made(asked).keys
            limiter._client.call("SET", key, odd)
            model = _Model(policies)
            model.states = [decode(odd)]
            assert limiter.hit(asked, cost, permit=3, now=BEGIN) == model.hit(cost, 3, BEGIN), (odd, cost)
            after = encode(model.states[0])
            assert _texts(limiter, asked) == [after if model.states[0] != decode(odd) else odd], (odd, cost)


def test_a_policy_that_changes_holds_against_what_was_counted(limiter: RedisLimiter) -> None:
    draw = random.Random(1)
    state: tuple[int, ...] = ()
    now = BEGIN
    for _ in range(300):
        quota = draw.randrange(1, 40)
        changed = policy(quota, window=1_000_003, burst=draw.randrange(1, 40))
        asked = group("owner", changed)
        now += draw.randrange(60_000)
        model = _Model([changed])
        model.states = [state]
        assert limiter.hit(asked, now=now) == model.hit(1, 0, now)
        (state,) = model.states
        assert _texts(limiter, asked) == [encode(state)]


def test_the_servers_clock(limiter: RedisLimiter) -> None:
    asked = group("owner", policy(2))
    (key,) = limiter._made(asked).keys
    model = _Model([counter.policy for counter in asked.counters])
    for _ in range(3):
        before, after = limiter._client.call_at(key, "TIME"), limiter.hit(asked)
        assert before[0] * 1_000_000 + before[1] <= after.now
        assert after == model.hit(1, 0, after.now)
    assert not after.is_allowed


def test_redis_answers_whole_numbers_as_such(redis_url: str) -> None:
    """Whatever the script hands to a command arrives in full: a longest time to live, say."""
    limiter = RedisLimiter(redis_url + PATIENT)
    limiter.hit(group("owner", policy(1, window=2**50 - 1, burst=4)), 4, now=BEGIN)
    with redis.Redis.from_url(redis_url) as client:
        (key,) = client.keys()
        assert client.get(key) == b"%d 0 1" % (BEGIN + 4 * (2**50 - 1))
        assert client.pttl(key) == pytest.approx(4 * (2**50 - 1) / 1000, rel=1e-9)
    limiter.close()
