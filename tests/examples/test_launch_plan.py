"""The launch plan goes all the way, and back by itself when it fails."""

import subprocess
import sys
from pathlib import Path

FILE = Path(__file__).parents[2] / "examples" / "launch_plan" / "launch.py"

SAID = """\
It fails no more often than the old one:
  01 Dec 04:00 running: 5% is in
  02 Dec 04:00 waits for samples: 194 of 200 when it was due
  02 Dec 05:00 running: 25% is in
  03 Dec 05:00 running: 50% is in
  04 Dec 05:00 running: 100% is in
  05 Dec 05:00 completed: 100% is in
It fails once in ten times:
  01 Dec 04:00 running: 5% is in
  02 Dec 00:00 error_rate: at least 3.083% inside (15 of 148), at most 2.194% outside (32 of 2852), and 0.5% more \
is the bound
"""


def test_it_runs_by_itself():
    done = subprocess.run([sys.executable, str(FILE)], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout == SAID
