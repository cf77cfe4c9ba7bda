"""Outside data that is never copied into the project: a test that needs it is skipped where it is not there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "PAYAID_CONFORMANCE_DIR"


def outside(name: str) -> Path:
    """Find a file or folder of the conformance data, or skip the test."""
    folder = os.environ.get(VARIABLE)
    if not folder or not (Path(folder) / name).exists():
        pytest.skip(f"needs outside test data: set {VARIABLE} to a folder that has {name}")
    return Path(folder) / name


def outside_json(name: str) -> Any:
    return json.loads(outside(name).read_text(encoding="utf-8"))


def outside_lines(name: str) -> list[dict[str, Any]]:
    """Read a file of one JSON object a line; not `splitlines`, which splits at U+2028 too."""
    return [json.loads(line) for line in outside(name).read_text(encoding="utf-8").split("\n") if line]
