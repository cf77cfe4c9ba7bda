"""A program that uses a client ends as it would without one: at once, with its own status, and says nothing."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from tests.faults.exits import LONGEST

#: How a program ends, and its status then.
ENDS = {"return": 0, "exit": 3, "raise": 1, "signal": -15, "thread": 0, "asks late": 0, "child": 0}
STATES = ["cold", "asked", "closed", "used again"]
#: Seconds that an end may take; without a client it takes about 0.05.
BOUND = 3.0


def ends(tmp_path, scenarios: Sequence[dict[str, str]]) -> list[tuple[int | None, float, str]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.exits", str(tmp_path / "said")],
        input="".join(f"{json.dumps(each)}\n" for each in scenarios),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=len(scenarios) * LONGEST,
    )
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def of(url: str, pairs: Iterable[tuple[str, str]], colours: Sequence[str] = ("sync", "async")) -> list[dict[str, str]]:
    return [
        {"url": url, "colour": colour, "state": state, "end": end}
        for (state, end), colour in itertools.product(pairs, colours)
    ]


def wrong(scenarios: Sequence[dict[str, str]], found: Sequence[tuple[int | None, float, str]]) -> list[object]:
    assert len(found) == len(scenarios)
    return [
        (scenario, outcome)
        for scenario, outcome in zip(scenarios, found, strict=True)
        if outcome[0] != ENDS[scenario["end"]] or outcome[1] > BOUND or is_strange(scenario, outcome[2])
    ]


def is_strange(scenario: dict[str, str], said: str) -> bool:
    """Was anything said besides the error that the program ended with?"""
    if scenario["end"] == "raise":
        return not said.rstrip().endswith("RuntimeError: no more") or said.count("Traceback") != 1
    return "Traceback" in said or "Fatal" in said or "ignored" in said


def url_of(backend: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if backend == "memory":
        return "memory://"
    if backend == "sqlite":
        return f"sqlite:///{folder}/payaid.db"
    ready: Callable[[str], str] = request.getfixturevalue("ready_url")
    return ready(backend)


@pytest.mark.parametrize("backend", ["postgresql", "redis"])
def test_programs_end_at_once(tmp_path, request, backend: str):
    pairs = [("asked", "return"), ("asked", "raise"), ("asked", "asks late"), ("used again", "thread")]
    scenarios = of(url_of(backend, request, tmp_path), pairs)
    assert wrong(scenarios, ends(tmp_path, scenarios)) == []


@pytest.mark.soak
@pytest.mark.parametrize("backend", ["memory", "sqlite", "postgresql", "redis"])
def test_all_programs_end_at_once(tmp_path, request, backend: str):
    scenarios = of(url_of(backend, request, tmp_path), itertools.product(STATES, ENDS))
    assert wrong(scenarios, ends(tmp_path, scenarios)) == []


@pytest.mark.parametrize("backend", [pytest.param("postgresql", marks=pytest.mark.soak), "redis"])
def test_programs_end_at_once_whose_store_says_nothing(tmp_path, request, proxies, backend: str):
    """Connections are open or being made, and nobody answers."""
    proxy = proxies(url_of(backend, request, tmp_path))
    proxy.freeze()
    scenarios = of(proxy.url, [("asked", "return"), ("asked", "exit")])
    assert wrong(scenarios, ends(tmp_path, scenarios)) == []


@pytest.mark.soak
@pytest.mark.parametrize("backend", ["postgresql", "redis"])
def test_all_programs_end_at_once_whose_store_says_nothing(tmp_path, request, proxies, backend: str):
    proxy = proxies(url_of(backend, request, tmp_path))
    proxy.freeze()
    scenarios = of(proxy.url, itertools.product(STATES, [end for end in ENDS if end != "asks late"]))
    assert wrong(scenarios, ends(tmp_path, scenarios)) == []
