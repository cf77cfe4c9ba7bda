"""Three rooms of the core stand one on the other: what reads documents, flags, and the catalog, which has flags."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import payaid_entitlements.core

CORE = Path(payaid_entitlements.core.__file__).parent


def imported(source: str) -> Iterator[str]:
    """What a file names in its imports, also those that only type checkers follow."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{each.name}" for each in node.names)


def rooms(source: str) -> set[str]:
    """Which parts of the core these are of."""
    named = (name.split(".") for name in imported(source))
    return {parts[2] for parts in named if parts[:2] == ["payaid_entitlements", "core"] and len(parts) > 2}


@pytest.mark.parametrize(("room", "above"), [("written", {"flags", "catalog"}), ("flags", {"catalog"})])
def test_no_room_knows_one_above_it_not_even_by_its_types(room: str, above: set[str]):
    found = {file.name: rooms(file.read_text()) & above for file in (CORE / room).rglob("*.py")}
    assert {name: named for name, named in found.items() if named} == {}
    assert len(found) > 5


@pytest.mark.parametrize(
    "source",
    [
        "from payaid_entitlements.core import catalog",
        "from payaid_entitlements.core import errors as e, catalog as c",
        "from payaid_entitlements.core.catalog import model",
        "import payaid_entitlements.core.catalog.model",
        "if TYPE_CHECKING:\n    from payaid_entitlements.core.catalog.model import Catalog",
    ],
)
def test_a_room_is_known_however_it_is_imported(source: str):
    assert "catalog" in rooms(source)
