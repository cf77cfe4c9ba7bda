"""`payaid` as a process of its own: pipes, terminals and environments as shells have them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Terminal

PAYAID = [sys.executable, "-m", "payaid_entitlements.cli"]


def run(*arguments: str, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PAYAID, *arguments],
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_who_stops_reading_ends_it_without_a_word(terminal: Terminal) -> None:
    """As ``payaid audit | head -0`` does."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        for arguments in (["audit", "--limit", "1000"], ["audit", "--json"]):
            done = subprocess.run(
                [*PAYAID, *arguments], cwd=terminal.directory, stdout=writing, stderr=subprocess.PIPE, check=False
            )
            assert (done.returncode, done.stderr) == (1, b"")
    finally:
        os.close(writing)


@pytest.mark.skipif(sys.platform == "win32", reason="the shell's >&- is that of POSIX")
def test_a_closed_stdout_is_no_error(terminal: Terminal) -> None:
    command = f"'{sys.executable}' -m payaid_entitlements.cli check kaveri hr >&-"
    done = subprocess.run(["/bin/sh", "-c", command], cwd=terminal.directory, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"")


def test_colours_are_for_terminals_and_for_who_asks(terminal: Terminal) -> None:
    plain = run("check", "kaveri", "crm", directory=terminal.directory)
    forced = run("check", "kaveri", "crm", directory=terminal.directory, FORCE_COLOR="1")
    refused = run("check", "kaveri", "crm", directory=terminal.directory, FORCE_COLOR="1", NO_COLOR="1")
    assert "\x1b[" not in plain.stdout
    assert "\x1b[1;32mallowed" in forced.stdout
    assert "\x1b[1;32m" not in refused.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are those of POSIX")
def test_at_a_real_terminal_a_no_changes_nothing(terminal: Terminal) -> None:
    import pty

    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [*PAYAID, "override", "set", "kaveri", "hr", "true", "--forever", "--because", "x"],
        cwd=terminal.directory,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    os.write(ours, b"n\n")
    out, err = done.communicate(timeout=60)
    os.close(ours)
    assert done.returncode == 1
    assert out.startswith("database sqlite:///payaid.db\n")
    assert err.endswith("payaid: nothing was changed\n")


def test_an_output_that_is_piped_is_not_folded_at_80_columns(terminal: Terminal) -> None:
    lines = run("tenant", "list", directory=terminal.directory).stdout.splitlines()
    assert any("accounting analytics crm hr invoicing whatsapp" in line for line in lines)


# -- the demo -------------------------------------------------------------------------------------------------------


@pytest.mark.soak  # people are told it in test_demo.py
def test_the_demo_tells_its_story_to_programs(tmp_path: Path) -> None:
    """Once, end to end, over real HTTP: each step as expected, and the process ends by itself."""
    done = run("demo", "--json", directory=tmp_path, PAYAID_ENFORCEMENT="observe", PAYAID_URL="sqlite:///not-this.db")
    steps = json.loads(done.stdout)
    assert [step for step in steps if not step["ok"]] == []
    assert done.returncode == 0
    assert len(steps) == 46
    assert {tuple(step) for step in steps} == {("step", "expected", "got", "ok", "ms")}
    assert all(step["expected"] == step["got"] and step["ms"] > 0 for step in steps)
    assert list(tmp_path.iterdir()) == []
