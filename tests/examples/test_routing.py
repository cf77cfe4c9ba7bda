"""The examples of routing tell what they say they tell."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "routing"

SAID = {
    "asgi.py": [
        "canary of 5 %: 65 of 1000 tenants",
        "canary of 25 %: 265 of 1000 tenants",
        "promoted: {'crm-1.5': 1000} and crm-1.4 is kept for a day",
        "switched back: {'crm-1.4': 1000}",
    ],
    "wsgi.py": ["us crm-1.5", "kaveri crm-1.4", "anand crm-1.4"],
}


@pytest.mark.parametrize("name", SAID)
def test_it_runs_by_itself(name):
    done = subprocess.run([sys.executable, str(FOLDER / name)], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == SAID[name]
