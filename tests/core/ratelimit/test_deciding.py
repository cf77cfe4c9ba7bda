"""Several policies decide one call: all that are enforced have room, or nothing is counted."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.ratelimit.deciding import STEPS, decide
from payaid_entitlements.core.ratelimit.policy import Algorithm, Policy, State
from tests.core.ratelimit.vectors import NOW, SECOND

SECONDLY = Policy("api.1s", Algorithm.GCRA, 2, SECOND, 2)
MINUTELY = Policy("api.60s", Algorithm.FIXED_WINDOW, 10, 60 * SECOND, 10)
AT_ONCE = Policy("jobs", Algorithm.CONCURRENCY, 2, 5 * SECOND, 2)
#: The machine may be busy.
UNHURRIED = settings(deadline=None)
EMPTY: tuple[State, ...] = ((), (), ())


def test_all_count_what_all_let_through() -> None:
    states, is_allowed, verdicts = decide((SECONDLY, MINUTELY, AT_ONCE), EMPTY, NOW, 2, 7)
    assert is_allowed
    assert states == ((NOW + SECOND, 0, 2), (NOW // (60 * SECOND) * 60 * SECOND, 2), (NOW + 5 * SECOND, 7))
    assert [verdict.remaining for verdict in verdicts] == [0, 8, 1]


def test_of_a_refused_call_nothing_is_counted() -> None:
    states = decide((SECONDLY, MINUTELY, AT_ONCE), EMPTY, NOW, 2, 7).states
    assert states is not None
    refused = decide((SECONDLY, MINUTELY, AT_ONCE), states, NOW, 1, 8)
    assert refused.states is None
    assert not refused.is_allowed
    # Those that had room tell how things stand without the call.
    assert [tuple(verdict)[:3] for verdict in refused.verdicts] == [(False, 0, SECOND // 2), (True, 8, 0), (True, 1, 0)]


def test_three_policies_of_which_the_third_refuses_leave_the_first_two_as_they_are() -> None:
    chance = random.Random(10)
    for _ in range(1_000):
        third = Policy("third", chance.choice(tuple(Algorithm)), 1, SECOND, 1)
        policies = (SECONDLY, MINUTELY, third)
        full = STEPS[third.algorithm](third, (), NOW, 1, 1)[0]
        states = (
            (NOW + chance.randrange(SECOND // 2), 1, 2),
            (NOW // (60 * SECOND) * 60 * SECOND, chance.randrange(9)),
            full,
        )
        before = decide(policies, states, NOW, 0)
        after = decide(policies, states, NOW, 1, 2)
        assert (after.states, after.is_allowed) == (None, False)
        assert after.verdicts[:2] == before.verdicts[:2]
        assert after.verdicts[2].retry_after > 0


def test_what_is_only_observed_refuses_nobody_and_counts_what_it_has_room_for() -> None:
    observed = replace(SECONDLY, is_enforced=False)
    states, is_allowed, verdicts = decide((observed, MINUTELY), ((), ()), NOW, 3)
    assert is_allowed
    assert states == ((), (NOW // (60 * SECOND) * 60 * SECOND, 3))
    assert [verdict.is_within for verdict in verdicts] == [False, True]
    states, is_allowed, verdicts = decide((observed, MINUTELY), states, NOW, 2)
    assert states is not None and states[0] == (NOW + SECOND, 0, 2)
    refused = decide((observed, MINUTELY), states, NOW, 6)
    assert refused.states is None
    assert [verdict.is_within for verdict in refused.verdicts] == [False, False]


def test_a_question_writes_nothing() -> None:
    full = STEPS[Algorithm.GCRA](SECONDLY, (), NOW, 2, 0)[0]
    asked = decide((SECONDLY, MINUTELY), (full, ()), NOW, 0)
    assert (asked.states, asked.is_allowed) == (None, True)
    assert [verdict.remaining for verdict in asked.verdicts] == [0, 10]


def test_nothing_is_held_against_nobody() -> None:
    assert decide((), (), NOW, 1) == ((), True, ())


@UNHURRIED
@given(st.data())
def test_several_together_let_through_what_each_alone_would(data: st.DataObject) -> None:
    policies = tuple(
        Policy(str(algorithm), algorithm, quota, window, quota, is_enforced)
        for algorithm, quota, window, is_enforced in data.draw(
            st.lists(
                st.tuples(
                    st.sampled_from(tuple(Algorithm)), st.integers(1, 5), st.sampled_from([7, 100]), st.booleans()
                ),
                min_size=1,
                max_size=4,
            )
        )
    )
    states: tuple[State, ...] = ((),) * len(policies)
    now = NOW
    for wait, cost in data.draw(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3)), max_size=12)):
        now += wait
        alone = [
            STEPS[policy.algorithm](policy, state, now, cost, wait + 1)
            for policy, state in zip(policies, states, strict=True)
        ]
        decided = decide(policies, states, now, cost, wait + 1)
        assert decided.is_allowed is all(
            verdict.is_within for policy, (_, verdict) in zip(policies, alone, strict=True) if policy.is_enforced
        )
        if decided.is_allowed:
            assert decided.verdicts == tuple(verdict for _, verdict in alone)
        assert (decided.states is None) is (cost == 0 or not decided.is_allowed)
        if decided.states is not None:
            assert decided.states == tuple(state for state, _ in alone)
            states = decided.states
