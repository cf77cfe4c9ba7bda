"""What tests of SQL limiters share: databases of their own, in which only the counters are emptied between tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import pytest
from sqlalchemy import text

from payaid_entitlements.stores.hurry import within
from payaid_entitlements.stores.limiter import Limiter
from payaid_entitlements.stores.sql import SQLStore
from payaid_entitlements.testing.contracts.awaiting import Awaited
from tests.stores.conftest import Opened, made_on

NAME = "payaid_limited"
#: Seconds that tests wait for a database, on a machine that does much else.
PATIENCE = 30.0


@pytest.fixture(autouse=True)
def patient() -> Iterator[None]:
    """Let limiters wait longer than they do for a question."""
    with within(PATIENCE):
        yield


@pytest.fixture(scope="session", params=["sqlite", "postgresql", "mysql"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any]]:
    """The URL of a database of each kind with our tables, and an engine of a host on it."""
    yield from made_on(request, request.param, NAME, tmp_path_factory.mktemp("limited"))


@pytest.fixture
def url(made: tuple[str, Any]) -> str:
    """The URL of a database of each kind, in which nothing is counted."""
    url, engine = made
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM payaid_rates"))
    return url


@dataclass
class Limited:
    """
    A limiter on a database of each kind in each colour.

    Attributes:
        limiter: As plain calls.
        own: As it is.
        opened: Its store.
        another: A limiter of another store in the same database, as plain calls that do not wait for a loop.
    """

    limiter: Limiter
    own: Any
    opened: Opened
    another: Limiter


@pytest.fixture
def limited(url: str, open_sql: Callable[..., Opened]) -> Iterator[Limited]:
    """A limiter on a database of each kind in each colour, in which nothing is counted."""
    another = SQLStore(url)
    opened = open_sql(url)
    yield Limited(plain(opened), opened.own.limiter, opened, another.limiter)
    another.close()


def plain(opened: Opened) -> Limiter:
    """The limiter of a store, as plain calls."""
    if opened.run is None:
        return cast("Limiter", opened.own.limiter)
    loop: Any = opened.run.__self__  # type: ignore[attr-defined] # it is a method of the loop's thread
    return cast("Limiter", Awaited(opened.own.limiter, loop))
