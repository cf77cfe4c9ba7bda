"""While coverage traces, threads may end at any time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("greenlet")

ROOT = Path(__file__).parent.parent

#: Eight threads at a time end, again and again, while the main thread goes on calling.
PROGRAM = """
import threading, time

def work(x):
    return x + 1

def spawn(until):
    while time.monotonic() < until:
        ending = [threading.Thread(target=work, args=(1,)) for _ in range(8)]
        [thread.start() for thread in ending]
        [thread.join() for thread in ending]

until = time.monotonic() + 2
spawners = [threading.Thread(target=spawn, args=(until,)) for _ in range(6)]
[spawner.start() for spawner in spawners]
x = 0
while time.monotonic() < until:
    x = work(x)
[spawner.join() for spawner in spawners]
print("ended")
"""


def test_threads_that_end_do_not_hang_what_is_traced(tmp_path):
    """Without the plugin CPython 3.11 hung in each of three runs of such a program."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COV")}
    environment |= {"PYTHONPATH": str(ROOT), "COVERAGE_FILE": str(tmp_path / "data")}
    command = [sys.executable, "-m", "coverage", "run", f"--rcfile={ROOT / 'pyproject.toml'}", str(program)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert "ended" in done.stdout, done.stderr
