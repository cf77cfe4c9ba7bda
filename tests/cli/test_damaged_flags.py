"""`payaid flag` and `payaid doctor` where stored flags cannot be read: shown, killed, repaired."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.cli.conftest import Terminal

BECAUSE = ("--because", "3 a.m.", "--yes")


def changed(terminal: Terminal, *arguments: str) -> str:
    output = terminal.run("flag", *arguments, *BECAUSE)
    assert output.code == 0, output.err
    return output.out


def put(terminal: Terminal, content: str) -> None:
    """What somebody, or a newer release, has written."""
    with closing(sqlite3.connect(terminal.directory / "payaid.db")) as connection, connection:
        connection.execute("UPDATE payaid_flags SET content = ?", (content,))


def stored(terminal: Terminal) -> Any:
    """What is in the store, as JSON data."""
    with closing(sqlite3.connect(terminal.directory / "payaid.db")) as connection:
        [(content,)] = connection.execute("SELECT content FROM payaid_flags").fetchall()
    return json.loads(content)


def findings(terminal: Terminal) -> list[Any]:
    return [each for each in terminal.run("doctor", "--json").data["findings"] if each["check"] == "flags"]


@pytest.fixture
def broken(terminal: Terminal) -> Terminal:
    """The example's flag has a field that this release does not know; another one is well."""
    (terminal.directory / "more.yaml").write_text("flags: {look: {rollout: 5%}}\nsegments: {staff: {user: ann}}")
    changed(terminal, "import", "more.yaml")
    changed(terminal, "rollout", "new-checkout", "25%")
    data = stored(terminal)
    data["flags"]["new-checkout"]["colour"] = "red"
    put(terminal, json.dumps(data))
    return terminal


@pytest.fixture
def damaged(broken: Terminal) -> Terminal:
    """None of it can be read."""
    put(broken, "not JSON")
    return broken


def test_a_broken_flag_is_shown_as_broken_and_the_others_work(broken: Terminal) -> None:
    """With the why."""
    why = "broken: a flag has other fields than this release knows: colour: damaged, or of a newer release"
    listed = {each["flag"]: each for each in broken.run("flag", "list", "--json").data}
    assert listed["new-checkout"]["state"] == why
    assert listed["new-checkout"]["changed"] is True
    assert listed["new-checkout"]["narrows"] == ["invoicing.recurring"]
    assert listed["look"]["state"] == "rollout: 5% get on"
    assert why in broken.run("flag", "show", "new-checkout").out
    assert "5% -> 50%" in changed(broken, "rollout", "look", "50%")
    output = broken.run("flag", "rollout", "new-checkout", "50%", *BECAUSE)
    assert output.code == 2
    assert "payaid flag set new-checkout VARIANT" in output.err
    output = broken.run("flag", "export", "new-checkout")
    assert (output.code, "cannot be read as it is stored" in output.err) == (2, True)
    assert broken.run("flag", "lint").code == 1
    [found] = findings(broken)
    assert (found["state"], found["found"]) == ("fail", f"flag 'new-checkout': {why.removeprefix('broken: ')}")
    changed(broken, "kill", "new-checkout")
    changed(broken, "restore", "new-checkout")
    changed(broken, "set", "new-checkout", "on")
    assert findings(broken) == [
        {"check": "flags", "state": "ok", "found": "2 are known, and can be read", "way_out": ""}
    ]
    [shown] = [each for each in broken.run("flag", "list", "--json").data if each["flag"] == "new-checkout"]
    assert shown["state"] == "on for everybody"


def test_the_doctor_names_some_and_counts_the_rest(broken: Terminal) -> None:
    flags = {f"f{number}": 7 for number in range(5)}
    segments = {"staff": {"xor": []}}
    data = {"schema": 1, "revision": 2, "flags": flags, "segments": segments, "progress": {}}
    put(broken, json.dumps(data))
    found = findings(broken)
    assert [each["found"].split(":")[0] for each in found] == [
        *(f"flag 'f{number}'" for number in range(5)),
        "1 more cannot be read",
    ]
    data["flags"] = {"look": None}
    put(broken, json.dumps(data))
    [found] = findings(broken)
    assert found["found"].startswith("segment 'staff': ")


def test_a_segment_that_cannot_be_read_is_shown_as_that(broken: Terminal) -> None:
    (broken.directory / "near.yaml").write_text("flags: {near: {rules: [{when: {segment: staff}}]}}")
    changed(broken, "import", "near.yaml")
    put(broken, json.dumps({**stored(broken), "segments": {"staff": {"xor": []}}}))
    assert "segment    staff: cannot be read" in broken.run("flag", "show", "near").out


def test_kill_switches_turn_on_a_set_that_cannot_be_read(damaged: Terminal) -> None:
    """Of the catalog's flags, and of any key that may be one."""
    for key in ("new-checkout", "look"):
        changed(damaged, "kill", key)
    assert damaged.run("flag", "list", "--json").data[0]["state"] == "killed"
    changed(damaged, "restore", "look")
    output = damaged.run("flag", "kill", "invoicing", *BECAUSE)
    assert (output.code, "there is no flag 'invoicing'" in output.err) == (2, True)


def test_a_set_that_cannot_be_read_is_told_and_replaced(damaged: Terminal) -> None:
    """Every command names the way out."""
    output = damaged.run("flag", "list")
    assert output.code == 0
    assert "new-checkout" in output.out
    told = " ".join(output.err.split())
    assert "it reads 'not JSON'" in told
    assert "payaid flag import FILE --replace" in told
    [found] = findings(damaged)
    assert (found["state"], "--replace" in found["way_out"]) == ("fail", True)
    assert damaged.run("doctor").code == 1
    for arguments in (("rollout", "new-checkout", "50%"), ("import", "more.yaml")):
        output = damaged.run("flag", *arguments, *BECAUSE)
        assert output.code == 3
        assert "payaid flag import FILE --replace" in " ".join(output.err.split())
    text = changed(damaged, "import", "more.yaml", "--replace")
    assert "the flag set  unreadable -> readable" in text
    assert {each["flag"] for each in damaged.run("flag", "list", "--json").data} == {"look", "new-checkout"}
    assert damaged.run("flag", "list").err == ""
    assert "nothing to do" in damaged.run("flag", "import", "more.yaml", "--replace", *BECAUSE).out
