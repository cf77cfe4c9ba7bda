"""What the tests of measured rollouts share: a launch plan, a clock that they move, and requests that they serve."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from payaid_entitlements import AsyncEntitlements, Catalog, Entitlements
from payaid_entitlements.core.flags.model import Progress, Stage
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.testing.clock import FakeClock
from payaid_entitlements.testing.faults import Faults, FaultyStore

START = datetime(2026, 12, 1, 3, 30, tzinfo=UTC)
FLAG = "new-checkout"
DAY = timedelta(days=1)


def sold(rollout: Mapping[str, Any]) -> Catalog:
    """A catalog with one flag that is rolled out so."""
    plan = {"steps": ["5%", "25%", "50%", "100%"], "hold": "1 day", "from": "2026-12-01T09:00:00+05:30", **rollout}
    return Catalog.load(
        {
            "catalog": 1,
            "default_plan": "free",
            "modules": {"invoicing": {}},
            "plans": {"free": {"modules": ["invoicing"]}},
            "flags": {FLAG: {"bucket_by": "tenant", "rollout": plan}},
        }
    )


WATCHED = sold({"roll_back_if": "error_rate > control + 0.5%"})


class CheckoutFailed(Exception):
    """What a request comes to."""


class Place:
    """
    Clients of one colour on one store, called in the same words.

    Attributes:
        memory: What is really stored.
        faults: What goes wrong on the way to it, for all of them.
    """

    def __init__(self, is_async: bool, catalog: Catalog = WATCHED) -> None:
        self.is_async = is_async
        self.memory = MemoryStore()
        self.clock = FakeClock(START - timedelta(hours=1))
        self.loop = asyncio.new_event_loop() if is_async else None
        self.catalog = catalog
        self.faults = Faults()
        self.opened: list[Any] = []
        self.ent = self.client()

    def client(self) -> Any:
        """Open another client, as another process would."""
        store: Any = AsyncMemoryStore(self.memory) if self.is_async else self.memory
        made = AsyncEntitlements if self.is_async else Entitlements
        client = made(FaultyStore(store, self.faults), catalog=self.catalog, clock=self.clock)  # type: ignore[arg-type] # of its colour
        self.opened.append(client)
        return client

    def run(self, answer: Any) -> Any:
        """Await what must be."""
        if inspect.isawaitable(answer):
            assert self.loop is not None

            async def wait() -> Any:
                return await answer

            return self.loop.run_until_complete(wait())
        return answer

    def admin(self, **named: Any) -> Any:
        """Somebody who changes things."""
        return self.ent.admin("asha", **named)

    def view(self, tenant: str, ent: Any = None) -> Any:
        """A view of *tenant*."""
        return self.run((ent or self.ent).tenant(tenant))

    def is_in(self, tenant: str, ent: Any = None) -> bool:
        """What the flag says to *tenant*."""
        said: bool = self.view(tenant, ent).flag(FLAG)
        return said

    def insiders(self, ent: Any = None, among: int = 200) -> set[str]:
        """Who is in."""
        return {tenant for tenant in (f"t{n}" for n in range(among)) if self.is_in(tenant, ent)}

    def serve(self, tenant: str, fails: Callable[[bool], bool], ent: Any = None) -> None:
        """Serve one request, measured."""
        client = ent or self.ent
        view = self.view(tenant, client)

        async def awaited() -> None:
            async with client.measured(view, FLAG):
                if fails(view.flag(FLAG)):
                    raise CheckoutFailed

        with contextlib.suppress(CheckoutFailed):
            if self.is_async:
                self.run(awaited())
                return
            with client.measured(view, FLAG):
                if fails(view.flag(FLAG)):
                    raise CheckoutFailed

    def progress(self) -> Progress | None:
        """Where the rollout stands in the store."""
        return self.memory.flags().progress.get(FLAG)

    def stands(self) -> tuple[Stage, int]:
        """Its stage and step."""
        progress = self.progress()
        assert progress is not None
        return progress.stage, progress.step

    def step(self, **named: Any) -> Any:
        """Let rollouts go on."""
        return self.run(self.admin(**named).step_rollouts())

    def close(self) -> None:
        """Let go of all clients."""
        for client in self.opened:
            self.run(client.aclose() if isinstance(client, AsyncEntitlements) else client.close())
        if self.loop is not None:
            self.loop.close()


@pytest.fixture(params=["sync", "async"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    found = Place(request.param == "async", WATCHED)
    yield found
    found.close()


@pytest.fixture
def quiet(place: Place) -> Place:
    """A place in which a step runs that nothing was measured of yet."""
    place.clock.travel_to(START)
    assert [each.stage for each in place.step()] == [Stage.RUNNING]
    return place


def never(_: bool) -> bool:
    return False
