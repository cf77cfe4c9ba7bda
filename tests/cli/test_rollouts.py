"""`payaid flag step` and its like: a guarded rollout, driven from a terminal."""

from __future__ import annotations

import json

import pytest

from payaid_entitlements.stores.sql import SQLStore
from tests.cli.conftest import Terminal

FLAG = "new-checkout"
BECAUSE = ("--because", "INC-1", "--yes")


@pytest.fixture
def begun(terminal: Terminal) -> Terminal:
    """The day on which the example's rollout begins, and it has."""
    terminal.later(days=9)
    output = terminal.run("flag", "step", "--yes")
    assert output.code == 0, output.err
    return terminal


def measured(terminal: Terminal, attempt: int, **fields: int) -> None:
    """Let processes have measured."""
    store = SQLStore(f"sqlite:///{terminal.directory / 'payaid.db'}")
    store.add_tallies(f"rollout/{FLAG}/{attempt}", {name.replace("__", "/"): n for name, n in fields.items()})
    store.close()


WELL = {
    "in__samples": 500,
    "in__error_rate__of": 500,
    "out__samples": 9_500,
    "out__error_rate__of": 9_500,
    "out__error_rate__bad": 90,
}


def test_nothing_goes_on_before_its_time(terminal: Terminal) -> None:
    output = terminal.run("flag", "step", "--yes")
    assert (output.code, output.out.strip()) == (0, "no rollout is to go on now")
    assert terminal.run("flag", "step", "--yes", "--json").data == []


def test_a_step_is_shown_before_and_made_after_a_yes(terminal: Terminal, somebody) -> None:
    terminal.later(days=9)
    output = terminal.run("flag", "step")
    assert (output.code, "there is no terminal to ask at" in output.err) == (2, True)
    somebody()
    output = terminal.run("flag", "step", answers="y\n")
    lines = output.out.splitlines()
    assert lines[0] == "database sqlite:///payaid.db"
    assert "new-checkout guarded rollout" in lines[1]
    assert "  because it is time, by what was measured" in lines
    assert lines[-1] == "done new-checkout is running, 5% is in"
    assert terminal.run("flag", "step", "--yes", "--json").data == []


def test_steps_are_data_too(terminal: Terminal) -> None:
    terminal.later(days=9)
    [step] = terminal.run("flag", "step", FLAG, "--yes", "--json").data
    assert (step["flag"], step["stage"], step["step"], step["share"], step["because"]) == (
        FLAG,
        "running",
        0,
        5_000,
        "",
    )
    assert step["applied"]


def test_a_flag_that_there_is_not_is_a_mistake(terminal: Terminal) -> None:
    output = terminal.run("flag", "step", "new-chekout", "--yes")
    assert output.code == 2
    assert "did you mean 'new-checkout'?" in output.err


def test_what_was_measured_is_shown(begun: Terminal) -> None:
    measured(begun, 1, **WELL, in__error_rate__bad=5)
    text = begun.run("flag", "measured", FLAG).out
    assert "500 inside, 9500 outside" in text
    assert "(5 of 500)" in text
    measured(begun, 1, in__ids=50, out__ids=50, processes=1)
    text = begun.run("flag", "measured", FLAG).out
    assert "sample ratio mismatch" in text
    data = begun.run("flag", "measured", FLAG, "--json").data
    assert (data["share"], data["samples"]) == (5_000, {"inside": 500, "control": 9_500})
    assert [each["broken"] for each in data["metrics"]] == [False]
    assert data["mismatch"].startswith("50.00%")


def test_a_breach_goes_back_and_says_why(begun: Terminal) -> None:
    measured(begun, 1, **WELL, in__error_rate__bad=60)
    assert begun.run("flag", "measured", FLAG, "--json").data["metrics"][0]["broken"]
    output = begun.run("flag", "step", "--yes")
    assert "done new-checkout is rolled_back, 0% is in: error_rate: at least " in output.out.replace("\n", " ")
    assert begun.run("flag", "measured", FLAG, "--json").data["share"] == 0
    assert begun.run("flag", "restart", FLAG, *BECAUSE).code == 0
    assert begun.run("flag", "step", "--yes", "--json").data[0]["stage"] == "running"


def test_a_list_says_how_far_it_is(terminal: Terminal) -> None:
    """The plan is the same before it begins, at a quarter and after it went back."""

    def state() -> str:
        [listed] = terminal.run("flag", "list", "--json").data
        assert terminal.run("flag", "show", FLAG, "--json").data["state"] == listed["state"]
        return str(listed["state"]).partition(": ")[0]

    assert state() == "pending at 0%"
    assert "pending, from 2026-12-01 03:30:00+00:00 on\n" in terminal.run("flag", "measured", FLAG).out
    terminal.later(days=9)
    assert terminal.run("flag", "step", "--yes").code == 0
    assert state() == "running at 5%"
    assert terminal.run("flag", "roll-back", FLAG, *BECAUSE).code == 0
    assert state() == "rolled_back at 0%"
    assert "rolled_back at 0%" in terminal.run("flag", "list").out.replace("\n", " ")


def test_people_turn_it(begun: Terminal) -> None:
    output = begun.run("flag", "pause", FLAG, *BECAUSE)
    assert output.code == 0
    assert "running at step 1" in output.out
    assert "-> paused at step 1" in output.out
    assert "take it back: payaid flag undo new-checkout" in output.out
    assert begun.run("flag", "resume", FLAG, *BECAUSE, "--json").data["applied"]
    output = begun.run("flag", "approve", FLAG, *BECAUSE)
    assert (output.code, "waits for no approval" in output.err) == (2, True)
    assert begun.run("flag", "roll-back", FLAG, *BECAUSE).code == 0
    stands = begun.run("flag", "measured", FLAG, "--json").data["progress"]
    assert (stands["stage"], stands["because"]) == ("rolled_back", "INC-1")


def test_who_restores_a_flag_is_told_that_its_rollout_stands_still(begun: Terminal) -> None:
    assert begun.run("flag", "pause", FLAG, *BECAUSE).code == 0
    assert begun.run("flag", "kill", FLAG, *BECAUSE).code == 0
    assert begun.run("flag", "step", "--yes", "--json").data == []
    output = begun.run("flag", "restore", FLAG, *BECAUSE)
    assert "  its rollout stands still until `payaid flag resume new-checkout`\n" in output.out


def test_undoing_passes_over_what_only_says_why_it_holds(begun: Terminal) -> None:
    assert begun.run("flag", "pause", FLAG, *BECAUSE).code == 0
    assert begun.run("flag", "resume", FLAG, *BECAUSE).code == 0
    begun.later(days=2)
    [held] = begun.run("flag", "step", "--yes", "--json").data
    assert held["because"] == "nothing is measured: of error_rate"
    output = begun.run("flag", "undo", FLAG, *BECAUSE)
    assert "-> paused at step 1" in output.out.replace("\n", " ")


def test_what_has_no_guard_is_said(terminal: Terminal) -> None:
    (terminal.directory / "plain.json").write_text(json.dumps({"flags": {"look": {"rollout": "5%"}}}))
    assert terminal.run("flag", "import", "plain.json", *BECAUSE).code == 0
    output = terminal.run("flag", "measured", "look")
    assert (output.code, output.err) == (2, "payaid: flag 'look' has no guarded rollout")
    output = terminal.run("flag", "pause", "look", *BECAUSE)
    assert (output.code, "has no guarded rollout" in output.err) == (2, True)
