"""The operators' switches: unset means enforce, and a typo is never open."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.controls import (
    ENFORCE,
    EVERYWHERE,
    OBSERVE,
    OFF,
    Controls,
    Enforcement,
    Stage,
    enforcement,
)
from payaid_entitlements.core.flags.model import PARTS
from payaid_entitlements.errors import ConfigurationError, StoreDamaged


@pytest.mark.parametrize(
    ("word", "mode"),
    [("off", OFF), ("observe", OBSERVE), ("enforce", ENFORCE), (" Enforce ", ENFORCE), ("OFF", OFF)],
)
def test_modes_are_read_as_people_write_them(word, mode):
    """Case and blanks do not matter."""
    assert enforcement(word, source="PAYAID_ENFORCEMENT") is mode


@pytest.mark.parametrize("word", ["", "of", "false", "0", "on", None, 1])
def test_an_unknown_word_stops_the_start(word):
    """A typo must never open what is sold; the message says where it was written."""
    with pytest.raises(ConfigurationError, match="PAYAID_ENFORCEMENT"):
        enforcement(word, source="PAYAID_ENFORCEMENT")


def test_each_change_is_one_revision_later_and_leaves_the_old_alone():
    """Controls are values; what caches compare grows with each change."""
    first = Controls()
    second = first.with_mode("crm", OBSERVE)
    third = second.with_killed("crm.export").with_killed("hr")
    fourth = third.with_restored("hr")
    assert [each.revision for each in (first, second, third, fourth)] == [0, 1, 3, 4]
    assert first == Controls()
    assert second.modes == {"crm": OBSERVE}
    assert fourth.killed == {"crm.export"}
    assert third.with_mode("crm", OFF).modes == {"crm": OFF}


@given(
    st.builds(
        Controls,
        st.integers(0),
        st.dictionaries(st.text() | st.just(EVERYWHERE), st.sampled_from(list(Enforcement))),
        st.frozensets(st.text()),
    ),
    st.dictionaries(
        st.sampled_from(["crm", "time-sheets", "§", EVERYWHERE]),
        st.builds(Stage, st.sampled_from(list(Enforcement)), st.integers(0, PARTS)),
        max_size=2,
    ),
)
def test_controls_come_back_from_their_text(controls, stages):
    """The one text that is stored has all of it, and equal controls have the same one."""
    for scope, stage in stages.items():
        controls = controls.with_mode(scope, OBSERVE, stage)
    again = Controls.from_json(controls.to_json())
    assert again == controls
    assert again.to_json() == controls.to_json()


@pytest.mark.parametrize(
    ("switch", "positions"),
    [
        (("killed", "crm"), [True, False, True]),
        (("mode", "crm"), ["observe", None, "off", "enforce"]),
        (("mode", EVERYWHERE), ["off", None]),
        (
            ("mode", "crm"),
            ["enforce 5% else observe", "enforce 0.001% else off", None, "off 0% else enforce", "enforce"],
        ),
    ],
)
def test_a_switch_stands_where_it_was_turned_to(switch, positions):
    """Each turn is a revision; other switches stay where they are."""
    others = Controls(4, {"hr": OBSERVE}, frozenset({"hr.payroll"}))
    controls = others
    assert controls.position(switch) == (False if switch[0] == "killed" else None)
    for number, position in enumerate(positions, start=5):
        controls = controls.turned(switch, position)
        assert (controls.position(switch), controls.revision) == (position, number)
        assert controls.position(("mode", "hr")) == "observe"
        assert controls.position(("killed", "hr.payroll")) is True


def test_an_older_release_answers_everybody_by_the_mode_of_the_others():
    """It does not know stages; what it reads is as it wrote it where there are none."""
    plain = Controls(1, {"crm": OBSERVE})
    assert "stages" not in plain.to_json()
    assert json.loads(plain.with_mode("crm", OBSERVE, Stage(ENFORCE, PARTS // 20)).to_json()) == {
        "schema": 1,
        "revision": 2,
        "modes": {"crm": "observe"},
        "killed": [],
        "stages": {"crm": "enforce 5%"},
    }


@pytest.mark.parametrize(
    "stages",
    ['{"hr":"enforce 5%"}', '{"crm":"enforce"}', '{"crm":"enforce 5"}', '{"crm":"open 5%"}', '{"crm":5}', "[1]", "7"],
)
def test_a_damaged_stage_is_no_stage(stages):
    """Read as none it would open what somebody enforces."""
    with pytest.raises(StoreDamaged):
        Controls.from_json(f'{{"schema":1,"revision":1,"modes":{{"crm":"observe"}},"killed":[],"stages":{stages}}}')


def test_a_stage_is_not_yet_enforced():
    """Whoever must know whether everybody is refused whom the catalog refuses."""
    controls = Controls(1, {"crm": ENFORCE, "hr": OBSERVE, "books": ENFORCE}, stages={"books": Stage(ENFORCE, 7)})
    assert [controls.is_enforced(scope) for scope in ("crm", "hr", "books")] == [True, False, False]
