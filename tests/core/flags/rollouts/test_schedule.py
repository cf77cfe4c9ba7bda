"""How many are in at an instant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.flags.model import PARTS, Guard, Progress, Rollout, Stage
from payaid_entitlements.core.flags.rollouts.schedule import reads_clock, share
from payaid_entitlements.core.instant import DAY, EARLIEST, LATEST

PLAN = ((10 * DAY, 5_000), (11 * DAY, 25_000), (12 * DAY, 50_000), (13 * DAY, 100_000))


def test_a_step_counts_from_its_instant_on() -> None:
    plan = Rollout(PLAN)
    assert [share(plan, None, at) for at in (EARLIEST, 10 * DAY - 1, 10 * DAY)] == [0, 0, 5_000]
    assert [share(plan, None, at) for at in (11 * DAY - 1, 11 * DAY, 13 * DAY, LATEST)] == [
        *(5_000, 25_000, 100_000, 100_000),
    ]
    assert share(Rollout(()), None, LATEST) == 0


def test_a_plain_percentage_needs_no_clock() -> None:
    plain = Rollout(((EARLIEST, 30_000),))
    assert [share(plain, None, at) for at in (EARLIEST, 0, LATEST)] == [30_000] * 3
    assert not reads_clock(plain)
    assert reads_clock(Rollout(PLAN))
    assert not reads_clock(Rollout(PLAN, Guard()))


@pytest.mark.parametrize("at", [EARLIEST, 11 * DAY, LATEST])
@pytest.mark.parametrize(
    ("stage", "step", "expected"),
    [
        (Stage.PENDING, 0, 0),
        (Stage.RUNNING, 0, 5_000),
        (Stage.RUNNING, 2, 50_000),
        (Stage.PAUSED, 1, 25_000),
        (Stage.COMPLETED, 3, 100_000),
        (Stage.RUNNING, 9, 100_000),
        (Stage.ROLLED_BACK, 2, 0),
    ],
)
def test_with_a_guard_time_says_nothing(at: int, stage: Stage, step: int, expected: int) -> None:
    plan = Rollout(PLAN, Guard(samples=1))
    assert share(plan, Progress("all", stage, step, 0, 1), at) == expected
    assert share(plan, None, at) == 0


@given(
    st.lists(st.integers(0, 100), unique=True, max_size=6),
    st.lists(st.integers(0, PARTS), max_size=6),
    st.integers(-1, 101),
    st.integers(0, 101),
)
def test_it_never_shrinks_by_time(begins: list[int], shares: list[int], at: int, later: int) -> None:
    plan = Rollout(tuple(zip(sorted(begins), sorted(shares), strict=False)))
    assert 0 <= share(plan, None, at) <= share(plan, None, at + later) <= PARTS
