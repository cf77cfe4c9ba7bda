"""Databases of their own, in which only what was seen is emptied between tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from tests.stores.conftest import made_on

NAME = "payaid_seen"


@pytest.fixture(scope="session", params=["sqlite", "postgresql", "mysql"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any]]:
    """The URL of a database of each kind with our tables, and an engine of a host on it."""
    yield from made_on(request, request.param, NAME, tmp_path_factory.mktemp("seen"))


@pytest.fixture
def url(made: tuple[str, Any]) -> str:
    """The URL of a database of each kind, in which nothing was seen."""
    url, engine = made
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM payaid_activity"))
    return url
