"""Benchmarks measure what they say; run here with so little effort that their figures mean nothing."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace
from functools import partial

import pytest

from benchmarks import consuming, footprint, invalidation, limiting_redis, limiting_sql, load, metering, misses, sharing
from benchmarks.__main__ import SUBJECTS, choose
from benchmarks.hits import check_allowed, check_awaited, check_denied, guard, view_check
from benchmarks.measuring import Effort, alternate, alternate_awaited, frozen, looped, measure
from benchmarks.stage import Stage

LITTLE = Effort(repeats=4, rounds=1, seconds=0.00001, samples=20, pairs=3, checks=40, starts=1)


@pytest.fixture
def stage():
    with Stage(LITTLE, tick=lambda: None) as made:
        yield made


@pytest.fixture
def small(monkeypatch):
    """Fewer tenants than figures need, enough for the order of things."""
    for module, names in ((misses, {"TENANTS": 200, "NEAR": 10}), (load, {"TENANTS": 60, "HOT": 6, "NEAR": 30})):
        for name, value in names.items():
            monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(Stage.database, "__defaults__", (200,))


@pytest.mark.parametrize(
    "benchmark", [view_check, check_allowed, check_denied, check_awaited, guard, metering.consume, metering.post]
)
def test_what_is_answered_from_memory_has_a_ratio_a_budget_and_percentiles(stage, benchmark):
    """Each row of these is promised."""
    for row in benchmark(stage):
        assert row.ratio is not None
        assert row.budget is not None
        assert row.p50_ms <= row.p99_ms


def test_cold_checks_are_one_statement_and_within_a_budget(stage, small):
    """The statement is counted where it is sent, and names the store."""
    (row,) = misses.statements("sqlite", stage)
    assert (row.operation, row.ratio, row.budget) == ("statements of a cold check, sqlite", 1.0, 1)
    for benchmark, budget in ((misses.cold, misses.SQLITE_BUDGET), (misses.cold_awaited, misses.BUDGET)):
        (row,) = benchmark("sqlite", stage)
        assert row.budget == budget
        assert row.p50_ms <= row.p99_ms


def test_a_copy_in_a_shared_redis_is_compared_with_getting_it(stage, small, monkeypatch):
    """And its size is told."""
    monkeypatch.setattr(sharing, "COPIES", 200)
    cold, size = sharing.cold(stage)
    assert cold.budget == sharing.BUDGET
    assert cold.p50_ms <= cold.p99_ms
    assert 0 < size.ratio <= size.budget


def test_what_is_called_cold_is(stage, small, monkeypatch):
    """With room for everybody the benchmark says so, instead of measuring hits under the name of misses."""
    monkeypatch.setattr(misses, "NEAR", 300)
    with pytest.raises(RuntimeError, match="tenants are near; cold checks were to be measured"):
        misses.cold("sqlite", stage)


@pytest.mark.parametrize("benchmark", [load.tasks, load.threads])
def test_a_crowd_is_told_apart_by_what_was_really_read(stage, small, benchmark):
    """Near, cold, and all: each row can fail by the gate."""
    rows = benchmark("sqlite", stage)
    assert [row.operation.rpartition(": ")[2] for row in rows] == ["near", "cold", "every check"]
    assert all(row.p50_ms <= row.p99_ms for row in rows)


@pytest.mark.parametrize(("read", "is_believed"), [(100, True), (102, True), (99, False), (103, False)])
def test_a_load_that_was_not_as_cold_as_said_is_refused(read, is_believed):
    """Fewer were read than cold ones were asked about, or hot ones were read."""
    found = {False: [1.0] * 100, True: [1.0] * 100}
    if is_believed:
        load.require_as_cold_as_said(read, found)
    else:
        with pytest.raises(RuntimeError, match=f"{read} tenants were read for 100 cold questions and 100 hot ones"):
            load.require_as_cold_as_said(read, found)


def test_overridden_tenants_share_nothing_that_would_make_them_cheap(stage, monkeypatch):
    """Each has a value of its own, so their bytes are more than those of tenants who share a plan."""
    monkeypatch.setattr(footprint, "COUNTED", 600)
    (shared,), (own,) = footprint.memory_shared(stage), footprint.memory_overridden(stage)
    assert own.ratio > 2 * shared.ratio
    assert (shared.budget, own.budget) == (400, footprint.OVERRIDDEN_BYTES)


def test_names_of_benchmarks_are_of_one_each():
    """--only would run two otherwise; and none is named as a subject."""
    names = [benchmark.name for benchmark in choose(None)]
    assert len(names) == len({*names, *SUBJECTS}) - len(SUBJECTS)


def test_sides_take_turns_call_by_call():
    """So whatever slows the machine slows both."""
    said: list[str] = []
    measured = alternate(lambda: said.append("ours"), lambda: said.append("theirs"), LITTLE, lambda: None)
    assert said == ["ours", "theirs"] * (1 + LITTLE.repeats * LITTLE.pairs)
    assert len(measured.samples) == LITTLE.repeats * LITTLE.pairs


def test_sides_take_turns_in_a_coroutine_too():
    """Parity."""
    said: list[str] = []

    async def say(word: str) -> None:
        said.append(word)

    measured = asyncio.run(alternate_awaited(lambda: say("ours"), lambda: say("theirs"), LITTLE, lambda: None))
    assert said == ["ours", "theirs"] * (1 + LITTLE.repeats * LITTLE.pairs)
    assert len(measured.samples) == LITTLE.repeats * LITTLE.pairs


def test_a_ratio_is_by_call_whatever_the_number_of_calls():
    """The baseline here pretends to take 2 seconds a call and the operation 6."""
    measured = measure(lambda times: times * 6.0, lambda times: times * 2.0, LITTLE, lambda: None)
    assert measured.ratio == 3.0


def test_something_else_that_runs_at_first_does_not_make_a_round_short():
    """A round of a single call would measure what is around the loop. Here a call costs 1 s, a round takes 1000 s."""
    interrupted, asked = iter([5000.0]), []

    def operation(times: int) -> float:
        asked.append(times)
        return times + next(interrupted, 0.0)

    measure(operation, lambda times: times * 2.0, replace(LITTLE, seconds=1000.0), lambda: None)
    assert asked[-LITTLE.repeats :] == [1000] * LITTLE.repeats


def test_a_statement_is_timed_without_a_call_around_it():
    """A lambda would cost as much as what is measured."""
    said: list[int] = []
    assert looped("say(1)", say=said.append)(3) > 0
    assert said == [1, 1, 1]


def test_garbage_is_collected_while_measuring():
    """Only what was there before is spared, and only so long."""
    with frozen():
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize(
    ("benchmark", "server"), [(invalidation.redis, "redis"), (invalidation.shared, "redis in front of sqlite")]
)
def test_how_soon_a_change_is_seen_is_timed(stage, small, benchmark, server):
    (row,) = benchmark(stage)
    assert row.operation == f"change seen elsewhere, {server}"
    assert 0 < row.p50_ms <= row.p99_ms


def test_where_nobody_tells_the_longest_wait_is_promised(stage, small, monkeypatch):
    monkeypatch.setattr(invalidation, "POLLED", 1)
    (row,) = invalidation.polled(stage)
    assert (row.budget, row.p99_ms) == (5.0, None)
    assert 0 < row.ratio < 5.0


def test_a_change_that_is_never_seen_is_no_figure(monkeypatch):
    monkeypatch.setattr(invalidation, "PATIENCE", 0.01)
    with pytest.raises(RuntimeError, match="not seen"):
        invalidation._wait(lambda: False)


def test_a_consume_is_compared_with_a_counter_by_hand(stage, monkeypatch):
    """
    On a ledger beside what other subjects sell, through the ledger and through all of the library.

    Again where a row was over its budget, when nothing may be a repetition of the time before.
    """
    monkeypatch.setattr(Stage.database, "__defaults__", (20,))
    monkeypatch.setattr(consuming, "TENANTS", 3)
    consuming.consume("sqlite", stage)
    post, whole = consuming.consume("sqlite", stage)
    assert (post.budget, whole.budget) == (2.0, 2.0)
    assert 0 < post.p50_ms <= post.p99_ms
    assert 0 < whole.p50_ms <= whole.p99_ms


@pytest.mark.parametrize("dialect", ["postgresql", "redis"])
def test_a_consume_is_compared_with_what_it_sends(stage, monkeypatch, dialect):
    """The driver sends it by itself, as often, and it counts; the second time too."""
    monkeypatch.setattr(Stage.database, "__defaults__", (20,))
    monkeypatch.setattr(consuming, "TENANTS", 3)
    consuming.consume(dialect, stage)
    same = consuming.consume(dialect, stage)
    assert [row.operation.split(",")[0] for row in same] == ["post of a debit", "consume", "consume"]
    assert all(row.ratio > 0 for row in same)


def test_a_limited_call_is_compared_with_a_script_by_hand(stage):
    """By the same client, in the same process; of a turn, each call is."""
    (one, three), (each, alone) = limiting_redis.one(stage), limiting_redis.together("redis", stage)
    assert (one.budget, three.budget, each.budget, alone.budget) == (1.15, 1.3, 0.4, 1.7)
    assert each.ratio < alone.ratio
    assert all(0 < row.p50_ms <= row.p99_ms for row in (one, three, each, alone))


def test_a_limited_call_that_is_refused_is_no_figure(stage, monkeypatch):
    monkeypatch.setattr(limiting_redis, "PLENTY", 2)
    with pytest.raises(RuntimeError, match="a call was refused"):
        limiting_redis.one(stage)
    with pytest.raises(RuntimeError, match="a call was refused"):
        limiting_redis.together("redis", stage)


def test_a_limited_call_is_compared_with_an_upsert_by_hand(stage, small):
    """Which waits for the disk only where that is said."""
    passes, refused, three, waiting = limiting_sql.calls("sqlite", stage)
    assert (passes.budget, refused.budget, three.budget) == limiting_sql.BUDGETS["sqlite"]
    assert waiting.budget is None
    assert waiting.operation.endswith("that waits for the disk")
    assert refused.ratio < three.ratio
    assert all(0 < row.p50_ms <= row.p99_ms for row in (passes, refused, three, waiting))


def test_a_limited_call_in_a_database_with_another_answer_is_no_figure(stage, small, monkeypatch):
    monkeypatch.setattr(limiting_sql, "group", partial(limiting_sql.group, quota=1))
    with pytest.raises(RuntimeError, match="the answer is not the one"):
        limiting_sql.calls("sqlite", stage)
