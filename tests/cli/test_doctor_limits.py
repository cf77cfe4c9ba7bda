"""What the doctor says of where calls are counted for rate limits."""

from __future__ import annotations

from tests.cli.conftest import Terminal

MISSING = "redis://127.0.0.1:1/0"


def finding(terminal: Terminal):
    found = [each for each in terminal.run("doctor", "--json").data["findings"] if each["check"] == "rate limits"]
    assert len(found) == 1
    return found[0]


def test_they_are_counted_beside_the_facts(terminal: Terminal) -> None:
    found = finding(terminal)
    assert (found["state"], found["found"]) == ("ok", "are counted")


def test_they_are_counted_elsewhere(terminal: Terminal) -> None:
    terminal.environment["PAYAID_LIMITER"] = "memory://"
    found = finding(terminal)
    assert found["state"] == "warn"
    assert "memory of each process" in found["found"]
    assert "in memory; not so: a rate limit holds for all processes" in found["found"]


def test_a_limiter_that_is_down(terminal: Terminal) -> None:
    terminal.environment["PAYAID_LIMITER"] = MISSING
    found = finding(terminal)
    assert (found["state"], "PAYAID_LIMITER" in found["way_out"]) == ("fail", True)
    assert terminal.run("doctor").code == 1
