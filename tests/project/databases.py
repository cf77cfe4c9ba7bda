"""Databases of the project, which come and go with a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import make_url

from tests.project import begun

_ENGINES = {"sqlite": "sqlite3", "postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}


def settings_for(url: str, **options: Any) -> dict[str, Any]:
    """Write what ``DATABASES`` says of the database at *url*; with *options*, ``transaction_mode`` for SQLite too."""
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    query: dict[str, Any] = dict(parsed.query)
    host = query.pop("host", None) or query.pop("unix_socket", None) or parsed.host or ""
    if backend == "sqlite":
        options = {"transaction_mode": "IMMEDIATE", "timeout": 30, **options}
    return {
        "ENGINE": f"django.db.backends.{_ENGINES[backend]}",
        "NAME": parsed.database,
        "USER": parsed.username or "",
        "PASSWORD": parsed.password or "",
        "HOST": host,
        "PORT": query.pop("port", None) or (str(parsed.port) if parsed.port else ""),
        "OPTIONS": {name: value for name, value in {**query, **options}.items() if value is not None},
    }


@contextmanager
def databases(**named: dict[str, Any]) -> Iterator[None]:
    """Give the project the databases *named* inside the block, and no others besides ``default``."""
    begun()
    from django.db import connections

    before = dict(connections.settings)
    connections.settings.update(connections.configure_settings({"default": {}, **named}))
    for alias in named:
        _forget(connections, alias)
    try:
        yield
    finally:
        for alias in named:
            _forget(connections, alias)
        connections.settings.clear()
        connections.settings.update(before)


def _forget(connections: Any, alias: str) -> None:
    """Let this thread connect anew."""
    if hasattr(connections._connections, alias):
        connections[alias].close()
        del connections[alias]
