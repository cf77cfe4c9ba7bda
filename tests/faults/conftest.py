"""What tests of whole clients share: stores on real servers, ready for use; web servers that end with a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from payaid_entitlements import Entitlements
from payaid_entitlements.stores.opening import open_store
from tests.faults.apps import CATALOG
from tests.faults.metering import sell
from tests.faults.serving import Served
from tests.stores.conftest import Racers

#: What counts among processes, by the name of the fixture that gives its URL.
COUNTING = {
    "sqlite": None,
    "postgresql": "postgres_url",
    "mysql": "mariadb_url",
    "redis": "redis_url",
    "cluster": "redis_cluster_url",
}


@pytest.fixture
def ready_url(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """A function that gives the URL of an empty store of a kind, in which `CATALOG` is published."""

    def ready(kind: str) -> str:
        url = str(
            request.getfixturevalue({"postgresql": "postgres_url", "mysql": "mariadb_url", "redis": "redis_url"}[kind])
        )
        if kind != "redis":
            store: Any = open_store(url)
            store.upgrade()
            store.close()
        with Entitlements.open(url, catalog=CATALOG) as ent:
            ent.health()
        return url

    return ready


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """A function that starts a web server: ``serve("gunicorn", APP_URL=url)``."""
    started: list[Served] = []

    def start(kind: str, **environment: str) -> Served:
        started.append(Served(kind, tmp_path, **environment))
        return started[-1]

    yield start
    for served in started:
        if not served.process.has_ended():
            served.end("KILL")


@pytest.fixture(params=list(COUNTING))
def counting_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store of each kind in turn that several processes can count in."""
    named = COUNTING[request.param]
    return f"sqlite:///{tmp_path / 'counted.db'}" if named is None else str(request.getfixturevalue(named))


@pytest.fixture
def sold(counting_url: str) -> Callable[[int], list[str]]:
    """A function that sells what `tests.faults.metering` is about to so many tenants; their ids."""

    def sold(count: int) -> list[str]:
        tenants = [f"tenant-{number}" for number in range(count)]
        sell(counting_url, tenants)
        return tenants

    return sold


@pytest.fixture(scope="session")
def four() -> Iterator[Racers]:
    """Four processes that begin at one moment."""
    racers = Racers(4)
    yield racers
    racers.close()


@pytest.fixture(scope="session")
def eight() -> Iterator[Racers]:
    """Eight of them."""
    racers = Racers(8)
    yield racers
    racers.close()


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Iterator[Callable[[str, object], None]]:
    """A function that notes a figure; they are printed at the end of the test (``pytest -s``)."""
    figures: dict[str, object] = {}
    yield figures.__setitem__
    print(f"\n{request.node.name}: {figures}")
