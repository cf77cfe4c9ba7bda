"""Contract: whatever is called, the answers are those of `payaid_entitlements.core.ratelimit.deciding.decide`."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Final

import pytest

from payaid_entitlements.core.ratelimit import concurrency
from payaid_entitlements.core.ratelimit.deciding import decide
from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy, State
from payaid_entitlements.stores.limiter import Counter, Group, Limiter, Ruling
from payaid_entitlements.testing.contracts.limiter_calls import NOW, WINDOW, counter, digest

#: Calls of one replay.
CALLS: Final = 50
#: Algorithms that are replayed: each alone, then several in one group.
TOGETHER: Final = (
    *((each,) for each in Algorithm),
    (Algorithm.GCRA, Algorithm.GCRA),
    (Algorithm.FIXED_WINDOW, Algorithm.SLIDING_LOG, Algorithm.GCRA),
    tuple(Algorithm),
)


class Model:
    """What a limiter is to answer: the states of its counters, and the algorithms of the core."""

    def __init__(self) -> None:
        self.states: dict[tuple[str, str], State] = {}

    def hit(self, group: Group, cost: int, permit: int, now: int) -> Ruling:
        """Same as `Limiter.hit`."""
        keys = [(group.owner, each.key) for each in group.counters]
        policies = [each.policy for each in group.counters]
        states, is_allowed, verdicts = decide(policies, [self.states.get(key, ()) for key in keys], now, cost, permit)
        self.states.update(zip(keys, states or (), strict=states is not None))
        return Ruling(is_allowed, now, verdicts)

    def give_back(self, group: Group, permit: int) -> None:
        """Same as `Limiter.give_back`."""
        for each in group.counters:
            if each.policy.algorithm is Algorithm.CONCURRENCY:
                key = group.owner, each.key
                self.states[key] = concurrency.release(self.states.get(key, ()), permit)

    def reset(self, group: Group) -> None:
        """Same as `Limiter.reset`."""
        for each in group.counters:
            self.states.pop((group.owner, each.key), None)


class Replaying:
    """Every method of `Limiter`, at random."""

    @pytest.mark.parametrize("algorithms", TOGETHER, ids="+".join)
    def test_it_decides_as_the_core_does(self, limiter: Limiter, algorithms: tuple[Algorithm, ...]) -> None:
        replay(limiter, algorithms, CALLS, seed=len(algorithms))


def replay(limiter: Limiter, algorithms: tuple[Algorithm, ...], calls: int, *, seed: int) -> None:
    """
    Compare *limiter* with the model, call by call; both are empty when it begins.

    Owners, quotas, bursts, costs, permits and what is enforced change on the way. Time goes on, mostly up to where an
    answer changes, or to the microsecond before; now and then it runs backwards a little. Most groups are used again.
    """
    drawn, model, now, waits = random.Random(seed), Model(), NOW, [1]
    made: dict[tuple[str, tuple[Counter, ...]], Group] = {}
    for step in range(calls):
        now += drawn.choice([0, 0, 1, drawn.choice(waits), drawn.choice(waits) - 1, drawn.randrange(WINDOW // 3), -1])
        used = _group(drawn, algorithms)
        if step % 5:
            used = made.setdefault((used.owner, used.counters), used)
        where = f"call {step} at {now - NOW}: {[each.policy for each in used.counters]}"
        match drawn.randrange(20):
            case 0:
                limiter.reset(used)
                model.reset(used)
            case 1 | 2:
                permit = drawn.randint(1, 4)
                limiter.give_back(used, permit)
                model.give_back(used, permit)
            case _:
                cost, permit = drawn.choice([0, 1, 1, 1, 1, 2, 3, 30]), drawn.randint(1, 4)
                answered = limiter.hit(used, cost, permit=permit, now=now)
                expected = model.hit(used, cost, permit, now)
                assert answered == expected, f"{where}, cost {cost}, permit {permit}"
                waits = [1, *(each.retry_after for each in expected.verdicts if 0 < each.retry_after < 3 * WINDOW)]


def _group(drawn: random.Random, algorithms: tuple[Algorithm, ...]) -> Group:
    policies = []
    for place, algorithm in enumerate(algorithms):
        # Windows of one algorithm differ, as those of one limit do; counters of one name are one counter.
        policy = Policy(f"p{place}", algorithm, drawn.choice([3, 4, 7]), WINDOW + place * 1_000_003, 0)
        burst = drawn.choice([1, 3, 9]) if algorithm is Algorithm.GCRA else policy.quota
        policies.append(replace(policy, burst=burst, is_enforced=drawn.random() < 0.8))
    return Group(digest(drawn.choice(["acme", "beta"])), [counter(each) for each in policies])
