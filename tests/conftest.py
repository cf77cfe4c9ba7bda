"""What all tests share: the real servers."""

from __future__ import annotations

# Each behind those that it imports.
pytest_plugins = [
    "tests.servers.postgres",
    "tests.servers.mariadb",
    "tests.servers.redis",
    "tests.servers.cluster",
    "tests.servers.proxy",
]
