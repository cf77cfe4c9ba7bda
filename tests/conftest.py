"""What all tests share: the real servers."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

# Each behind those that it imports.
pytest_plugins = [
    "tests.servers.postgres",
    "tests.servers.mariadb",
    "tests.servers.redis",
    "tests.servers.cluster",
    "tests.servers.proxy",
]

#: Where tests measure time, kill servers or load the machine: at most two of them run at once.
_ALONE = ("benchmarks", "channels", "faults")
#: Where some do. `nox -s tests` looks for what is alone in these folders and in no other.
_PARTLY_ALONE = "stores/redis/limiter"


@pytest.fixture(autouse=True)
def logging_of_nobody() -> None:
    """No test before has configured structlog: what the library says goes to `logging`, which pytest keeps."""
    structlog.reset_defaults()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what must not share the machine."""
    here = Path(__file__).parent
    for item in items:
        if not item.path.is_relative_to(here):
            continue
        place = item.path.relative_to(here)
        if place.parts[0] in _ALONE:
            item.add_marker(pytest.mark.alone)
        elif item.get_closest_marker("alone") and not place.is_relative_to(_PARTLY_ALONE):
            raise pytest.UsageError(f"{item.nodeid} is alone: move it to tests/faults, where such tests are looked for")
