"""What the tests of channels share: stores of real servers that tell of changes, and small programs that hear them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from payaid_entitlements import Catalog, Entitlements
from payaid_entitlements.stores.opening import open_store
from tests.channels.staleness import FLAG
from tests.waiting import LONGEST, until

CATALOG = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "modules": {
            "crm": {"features": {"export": {"kind": "switch"}}},
            "hr": {"features": {"payroll": {"kind": "switch"}}},
        },
        "plans": {
            "free": {"modules": ["crm"]},
            "pro": {"extends": "free", "modules": ["hr"], "features": {"crm.export": True, "hr.payroll": True}},
        },
        "flags": {FLAG: {"bucket_by": "tenant", "rollout": "0%"}},
    }
)


def listeners() -> list[threading.Thread]:
    """The threads of this process that hear of changes."""
    return [each for each in threading.enumerate() if each.name == "payaid-channel"]


def prepared(url: str) -> str:
    """*url*, of a store that has our tables, our catalog, and acme on a plan."""
    store: Any = open_store(url)
    if hasattr(store, "upgrade"):
        store.upgrade()
    with Entitlements(store, catalog=CATALOG) as ent:
        ent.admin("test", because="test").subscribe("acme", "pro")
    return url


@pytest.fixture(params=["postgres_url", "redis_url", "redis_cluster_url"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a store on each kind of server that tells of changes; acme is on the plan pro."""
    return prepared(str(request.getfixturevalue(request.param)))


@pytest.fixture(params=["postgres_url", "redis_url"])
def either_url(request: pytest.FixtureRequest) -> str:
    """The same without a cluster, where each test starts a process."""
    return prepared(str(request.getfixturevalue(request.param)))


@pytest.fixture
def one_url(postgres_url: str) -> str:
    """The same on one of them, where that says enough."""
    return prepared(postgres_url)


@pytest.fixture
def open_client() -> Iterator[Callable[..., Entitlements]]:
    """A function that opens a client; all are closed after the test, and nobody listens any more."""
    opened: list[Entitlements] = []

    def open_client(url: str, **options: Any) -> Entitlements:
        opened.append(Entitlements.open(url, **options))
        return opened[-1]

    yield open_client
    for ent in opened:
        ent.close()
    until(lambda: not listeners())


def is_connected(ent: Any) -> bool:
    """Does *ent* hear of changes?"""
    return bool(ent._setting.listener.status.connected)


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """
    Run *program* in a process of its own, and fail when it hangs.

    What it is told at its start about the server, which keeps nothing here, is left out of what it said.
    """
    # From Python 3.12 on forking where there are threads is warned of; that it works is what we show.
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=2 * LONGEST,
        check=False,
    )
    lines = done.stderr.splitlines(keepends=True)
    done.stderr = "".join(line for line in lines if not line.startswith("store.concern "))
    return done
