"""What is counted in this process: all of it, once, and bounded."""

from __future__ import annotations

import os
import threading

import pytest

from payaid_entitlements.core.flags.rollouts.measured import Arm
from payaid_entitlements.rollouts import tallies
from payaid_entitlements.rollouts.tallies import Tallies

IN, OUT = Arm.INSIDE, Arm.CONTROL


def test_samples_ids_and_processes_are_counted() -> None:
    counted = Tallies()
    for whose in ("a", "b", "a"):
        assert counted.add("f", "rollout/f/1", IN, whose, ["in/samples"])
    counted.add("f", "rollout/f/1", OUT, "c", ["out/samples", "out/error_rate/of"])
    assert counted.names() == ["rollout/f/1"]
    assert counted.take("rollout/f/1") == {
        "processes": 1,
        "in/samples": 3,
        "in/ids": 2,
        "out/samples": 1,
        "out/error_rate/of": 1,
        "out/ids": 1,
    }
    assert counted.take("rollout/f/1") == {}
    # Who was counted is not counted again, and this process neither.
    counted.add("f", "rollout/f/1", IN, "a", ["in/samples"])
    assert counted.take("rollout/f/1") == {"in/samples": 1}


def test_a_step_counts_ids_anew() -> None:
    counted = Tallies()
    for attempt in (1, 2):
        counted.add("f", f"rollout/f/{attempt}", IN, "a", ["in/samples"])
        assert counted.take(f"rollout/f/{attempt}") == {"processes": 1, "in/samples": 1, "in/ids": 1}


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "MOST_IDS", 2)
    monkeypatch.setattr(tallies, "MOST_WAITING", 2)
    counted = Tallies()
    for whose in ("a", "b", "c"):
        assert counted.add("f", "1", IN, whose, ["in/samples"])
    assert counted.add("g", "2", IN, "a", [])
    assert not counted.add("h", "3", IN, "a", ["in/samples"])
    assert counted.add("f", "1", IN, "d", ["in/samples"])
    assert counted.names() == ["1", "2"]
    assert counted.take("1") == {"processes": 1, "in/samples": 4, "in/ids": 2}


def test_threads_lose_nothing() -> None:
    counted, taken = Tallies(), 0

    def count(n: int) -> None:
        for each in range(2_000):
            counted.add("f", "1", IN, f"{n}-{each % 7}", ["in/samples"])

    threads = [threading.Thread(target=count, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken += counted.take("1").get("in/samples", 0)
    assert taken + counted.take("1").get("in/samples", 0) == 8_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_tells_nothing_of_its_parent() -> None:
    counted = Tallies()
    counted.add("f", "1", IN, "a", ["in/samples"])
    child = os.fork()
    if child == 0:
        os._exit(len(counted.names()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert counted.names() == ["1"]
