"""What the tests of stores share: databases of both kinds, and the host's engines on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from payaid_entitlements.stores.sql import SQLStore, begin_immediate


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A URL of an SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'payaid.db'}"


@pytest.fixture
def migrated_url(postgres_url: str) -> str:
    """The URL of a PostgreSQL database that has our tables, and nothing in them."""
    store = SQLStore(postgres_url)
    store.upgrade()
    store.close()
    return postgres_url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database with our tables, of each kind in turn."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("migrated_url"))
    url = str(request.getfixturevalue("sqlite_url"))
    store = SQLStore(url)
    store.prepare()
    store.close()
    return url


@pytest.fixture
def host_engine(database_url: str) -> Iterator[Engine]:
    """An engine as a host makes it, on the same database."""
    engine = create_engine(driven(database_url))
    if engine.dialect.name == "sqlite":
        begin_immediate(engine)
    yield engine
    engine.dispose()


def driven(url: str, *, is_async: bool = False) -> str:
    """*url* with the driver's name, as SQLAlchemy wants it of a host."""
    if is_async:
        url = url.replace("sqlite:", "sqlite+aiosqlite:")
    return url.replace("postgresql:", "postgresql+psycopg:")
