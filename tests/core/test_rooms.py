"""Three rooms of the core stand one on the other: what reads documents, flags, and the catalog, which has flags."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import payaid_entitlements.core

CORE = Path(payaid_entitlements.core.__file__).parent
IMPORTS = re.compile(r"^\s*(?:from|import) payaid_entitlements\.core\.(\w+)", re.MULTILINE)


@pytest.mark.parametrize(("room", "above"), [("written", {"flags", "catalog"}), ("flags", {"catalog"})])
def test_no_room_knows_one_above_it_not_even_by_its_types(room: str, above: set[str]):
    found = {file.name: set(IMPORTS.findall(file.read_text())) & above for file in (CORE / room).rglob("*.py")}
    assert {name: named for name, named in found.items() if named} == {}
    assert len(found) > 5
