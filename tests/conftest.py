"""What all tests share: the real servers."""

from __future__ import annotations

from pathlib import Path

import pytest

# Each behind those that it imports.
pytest_plugins = [
    "tests.servers.postgres",
    "tests.servers.mariadb",
    "tests.servers.redis",
    "tests.servers.cluster",
    "tests.servers.proxy",
]

#: Where tests measure time, kill servers or load the machine: each has it for itself.
_ALONE = ("benchmarks", "channels", "faults")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what must not share the machine."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.path.relative_to(here).parts[0] in _ALONE:
            item.add_marker(pytest.mark.alone)
