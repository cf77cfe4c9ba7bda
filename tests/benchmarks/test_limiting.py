"""Benchmarks of rate limits measure what they say; run here with so little effort that their figures mean nothing."""

from __future__ import annotations

import builtins

import pytest

from benchmarks import limiting
from benchmarks.measuring import Effort
from benchmarks.stage import Absent, Stage

LITTLE = Effort(repeats=4, rounds=1, seconds=0.00001, samples=20, pairs=3, checks=40, starts=1)


@pytest.fixture
def stage():
    with Stage(LITTLE, tick=lambda: None) as made:
        yield made


@pytest.mark.parametrize("benchmark", [limiting.alone, limiting.leased, limiting.whole])
def test_what_is_counted_in_memory_has_a_ratio_and_percentiles(stage, benchmark):
    for row in benchmark(stage):
        assert row.ratio > 0
        assert row.p50_ms <= row.p99_ms


@pytest.mark.parametrize("name", limiting.PEERS)
def test_peers_let_through_as_many_as_ours(name):
    try:
        _, theirs = limiting.PEERS[name](3)
    except Absent:
        pytest.skip("it is not installed")
    _, mine = limiting.ours(3)
    assert [ask() for ask in (mine, theirs) for _ in range(5)] == [True, True, True, False, False] * 2


def test_who_gets_too_much_is_told(stage, monkeypatch):
    monkeypatch.setattr(limiting, "ROUNDS", 1)
    monkeypatch.setattr(limiting, "PEERS", {"generous": lambda quota: (None, lambda: True)})
    ours, generous = limiting.exact(stage)
    assert (ours.ratio, ours.budget) == (1.0, 1)
    assert generous.ratio == 0.5
    monkeypatch.setattr(limiting, "ours", limiting.PEERS["generous"])
    with pytest.raises(RuntimeError, match="of 500 calls were let through"):
        limiting.exact(stage)


def test_peers_that_are_not_installed_are_left_out(stage, monkeypatch):
    imported = builtins.__import__

    def bare(name, *rest):
        if name.partition(".")[0] in ("limits", "throttled", "pyrate_limiter"):
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", bare)
    monkeypatch.setattr(limiting, "ROUNDS", 1)
    for make in limiting.PEERS.values():
        with pytest.raises(Absent):
            make(3)
    assert [row.operation.rpartition(", ")[2] for row in limiting.exact(stage)] == ["ours"]
