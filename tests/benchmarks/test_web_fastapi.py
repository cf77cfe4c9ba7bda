"""Benchmarks of gates measure what they say; run here with so little effort that their figures mean nothing."""

from __future__ import annotations

import asyncio
import builtins

import pytest

from benchmarks import web_fastapi
from benchmarks.measuring import Effort
from benchmarks.stage import Absent, Stage

LITTLE = Effort(repeats=4, rounds=1, seconds=0.00001, samples=20, pairs=3, checks=40, starts=1)


@pytest.fixture
def stage():
    with Stage(LITTLE, tick=lambda: None) as made:
        yield made


def test_each_gate_has_a_ratio_and_percentiles(stage):
    rows = web_fastapi.gates(stage)

    assert len(rows) == 5
    for row in rows:
        assert row.ratio > 0
        assert row.p50_ms <= row.p99_ms


@pytest.mark.parametrize("name", web_fastapi.PEERS)
def test_peers_answer_the_same_request(stage, name):
    [benchmark] = [each for each in web_fastapi.BENCHMARKS if each.name == f"web_fastapi.{name}"]
    try:
        [row] = benchmark.run(stage)
    except Absent:
        pytest.skip("it is not installed")
    assert row.ratio > 0
    assert row.operation.endswith(f"ours over {name}")


def test_what_is_refused_is_not_measured():
    app = web_fastapi.app_of_nothing()

    with pytest.raises(RuntimeError, match="was refused"):
        asyncio.run(web_fastapi.asking(app)())


def test_peers_that_are_not_installed_are_left_out(monkeypatch):
    imported = builtins.__import__

    def bare(name, *rest):
        if name.partition(".")[0] in ("slowapi", "fastapi_limiter"):
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", bare)
    for make in web_fastapi.PEERS.values():
        with pytest.raises(Absent):
            make("memory://")
