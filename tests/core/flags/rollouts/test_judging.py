"""Guards: false alarms, what is found, and ids that are not where they should be."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from payaid_entitlements.core.flags.model import Guard, Metric, Rollout
from payaid_entitlements.core.flags.rollouts.histogram import bucket
from payaid_entitlements.core.flags.rollouts.judging import Judged, judge, mismatch
from payaid_entitlements.core.flags.rollouts.measured import Measured, Rate, Side
from payaid_entitlements.core.instant import DAY

ERRORS = Metric("error_rate", None, 500, against_control=True)
ERRORS_AT_ALL = Metric("error_rate", None, 2_000, against_control=False)
SLOW = Metric("latency", 95_000, 50_000, against_control=True)
SLOW_AT_ALL = Metric("latency", 95_000, 400_000, against_control=False)


def judged(metric: Metric, measured: Measured, share: int = 5_000, *, steps: int = 1) -> Judged:
    plan = Rollout(tuple((n * DAY, 5_000 + n) for n in range(steps)), Guard((metric,)))
    (found,) = judge(plan, share, measured)
    return found


def errors(inside: tuple[int, int], control: tuple[int, int]) -> Measured:
    return Measured(Side(rates={"error_rate": Rate(*inside)}), Side(rates={"error_rate": Rate(*control)}))


def latencies(inside: dict[int, int], control: dict[int, int]) -> Measured:
    return Measured(
        Side(amounts={"latency": {bucket(amount): n for amount, n in inside.items()}}),
        Side(amounts={"latency": {bucket(amount): n for amount, n in control.items()}}),
    )


def test_a_rate_is_broken_when_it_surely_is_beyond_control_and_bound() -> None:
    broken = judged(ERRORS, errors((61, 1_000), (48, 9_800)))
    assert broken.is_broken
    assert broken.is_measured
    assert broken.figures == (
        "at least 3.618% inside (61 of 1000), at most 0.841% outside (48 of 9800), and 0.5% more is the bound"
    )
    assert not judged(ERRORS, errors((12, 1_000), (48, 9_800))).is_broken
    assert not judged(ERRORS, errors((3, 3), (0, 0))).is_broken


def test_a_rate_is_broken_when_it_surely_is_beyond_its_own_bound() -> None:
    broken = judged(ERRORS_AT_ALL, errors((61, 1_000), (0, 0)))
    assert broken.is_broken
    assert broken.figures == "at least 3.718% (61 of 1000), and 2% is the bound"
    assert not judged(ERRORS_AT_ALL, errors((25, 1_000), (0, 0))).is_broken


def test_a_quantile_is_broken_in_both_ways() -> None:
    fast, slow = {100_000: 1_000}, {100_000: 800, 900_000: 200}
    broken = judged(SLOW, latencies(slow, fast))
    assert broken.is_broken
    assert broken.figures == (
        "p95 is more than 851.967 ms inside (1000 measured), at most 106.495 ms outside (1000 measured), and 50 ms "
        "more is the bound"
    )
    assert not judged(SLOW, latencies(fast, fast)).is_broken
    assert not judged(SLOW, latencies(slow, {100_000: 3})).is_broken
    assert "unknown outside" in judged(SLOW, latencies(slow, {100_000: 3})).figures
    broken = judged(SLOW_AT_ALL, latencies(slow, {}))
    assert broken.is_broken
    assert broken.figures == "p95 is more than 851.967 ms (1000 measured), and 400 ms is the bound"
    assert not judged(SLOW_AT_ALL, latencies(fast, {})).is_broken


def test_an_amount_of_the_hosts_own_has_its_own_unit() -> None:
    rows = Metric("rows", 50_000, 10, against_control=False)
    found = judged(rows, Measured(Side(amounts={"rows": {bucket(12): 100, 0: 0}})))
    assert found.is_broken
    assert found.figures == "p50 is more than 11 (100 measured), and 10 is the bound"
    assert judged(rows, Measured()).figures == "p50 is more than 0 (0 measured), and 10 is the bound"


@pytest.mark.parametrize("metric", [ERRORS, SLOW])
def test_where_all_are_in_there_is_nobody_to_compare_with(metric: Metric) -> None:
    measured = errors((900, 1_000), (1, 1_000)) if metric is ERRORS else latencies({10**6: 1_000}, {1: 1_000})
    assert judged(metric, measured).is_broken
    assert not judged(metric, measured, share=100_000).is_broken
    assert judged(metric, Measured(measured.inside), share=100_000).is_measured
    assert not judged(metric, Measured(measured.inside)).is_measured
    assert not judged(metric, Measured(control=measured.control)).is_measured


@pytest.mark.parametrize("metric", [ERRORS_AT_ALL, SLOW_AT_ALL])
def test_an_absolute_bound_needs_no_control(metric: Metric) -> None:
    measured = errors((1, 10), (0, 0)) if metric is ERRORS_AT_ALL else latencies({1: 10}, {})
    assert judged(metric, measured).is_measured
    assert not judged(metric, Measured()).is_measured


def test_more_steps_ask_for_more() -> None:
    measured = errors((17, 1_000), (60, 9_800))
    once, often = (judged(ERRORS, measured, steps=steps).figures for steps in (1, 20))
    assert float(once.split()[2].rstrip("%")) > float(often.split()[2].rstrip("%"))


def test_without_a_guard_nothing_is_judged() -> None:
    assert judge(Rollout(((0, 5_000),)), 5_000, Measured()) == ()


def simulated(seed: int, inside: float, control: float, runs: int, samples: int) -> list[int | None]:
    """When each of *runs* was rolled back, by samples inside; looked at again and again."""
    random, found = Random(seed), []
    for _ in range(runs):
        bad, ok, at = 0, 0, None
        for n in range(1, samples + 1):
            bad += random.random() < inside
            ok += random.random() < control
            if n % 20 == 0 and judged(ERRORS, errors((bad, n), (ok, n)), 50_000).is_broken:
                at = n
                break
        found.append(at)
    return found


def test_who_is_no_worse_is_seldom_rolled_back() -> None:
    assert sum(at is not None for at in simulated(3, 0.02, 0.015, 80, 1_000)) <= 0.05 * 80


def test_who_is_much_worse_is_rolled_back_soon() -> None:
    found = simulated(4, 0.2, 0.02, 40, 1_000)
    assert all(at is not None for at in found)
    assert sorted(at or 0 for at in found)[20] <= 160


@pytest.mark.soak
def test_false_alarms_in_many_runs() -> None:
    """At the edge of the bound, where false alarms are most likely."""
    assert sum(at is not None for at in simulated(5, 0.02, 0.015, 1_000, 4_000)) <= 0.05 * 1_000


def ids(inside: int, control: int, processes: int = 1) -> Measured:
    return Measured(Side(ids=inside), Side(ids=control), processes)


def test_ids_on_the_wrong_side_are_noticed() -> None:
    assert mismatch(25_000, ids(250, 750)) is None
    assert mismatch(25_000, ids(350, 650)) == ("35.00% of those who were measured are inside, and 25% should be")
    assert mismatch(25_000, ids(0, 50)) is not None
    assert mismatch(25_000, ids(0, 0, 0)) is None
    assert mismatch(25_000, ids(8, 12)) is None


def test_where_nobody_or_everybody_is_in_no_share_is_wrong() -> None:
    assert mismatch(0, ids(500, 500)) is None
    assert mismatch(100_000, ids(500, 500)) is None


def test_an_id_that_all_processes_saw_is_one() -> None:
    assert mismatch(25_000, ids(70 * 8, 130 * 8, 80)) is None
    assert mismatch(25_000, ids(70 * 8, 130 * 8, 1)) is not None


def test_ids_that_are_where_they_should_be_are_seldom_called_wrong() -> None:
    random, runs, alarms = Random(6), 200, 0
    for _ in range(runs):
        seen: Counter[bool] = Counter()
        for _ in range(400):
            seen[random.random() < 0.25] += 1
            if mismatch(25_000, ids(seen[True], seen[False])):
                alarms += 1
                break
    assert alarms <= 1
