"""What the tests of changing share: a shop of either colour, on a store that can fail and a clock that they move."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from payaid_entitlements.admin import Change
from payaid_entitlements.cache.driving import Driver
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.facts import TenantDocument
from payaid_entitlements.core.instant import moment
from payaid_entitlements.core.observing import Tally
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.testing.clock import FakeClock
from payaid_entitlements.testing.faults import Faults, FaultyStore
from tests.core.conftest import NOW, SMALL

SOLD = Catalog.load(SMALL)
#: The instant at which every test begins, as people write it: 2026-09-21T14:13:20Z.
TODAY: datetime = moment(NOW)


def days(count: float) -> timedelta:
    return timedelta(days=count)


def edited(**plans: Mapping[str, Any]) -> dict[str, Any]:
    """The small catalog with features of some plans replaced: ``edited(pro={"seats": 3})``."""
    written = {
        plan: {**said, "features": {**said["features"], **plans.get(plan, {})}} for plan, said in SMALL["plans"].items()
    }
    return {**SMALL, "plans": written}


class Desk:
    """An `Admin` or `AsyncAdmin`, called in the same words: what is awaited is awaited here."""

    def __init__(self, admin: object, run: Callable[[Any], Any]) -> None:
        self._admin = admin
        self._run = run

    def __getattr__(self, name: str) -> Callable[..., Any]:
        verb = getattr(self._admin, name)
        return lambda *args, **named: self._run(verb(*args, **named))


class Shop:
    """
    A client of one colour and what it stands on.

    Attributes:
        memory: What is really stored, unless it is another store.
        faults: What goes wrong on the way to it.
    """

    def __init__(
        self,
        colour: str,
        *,
        memory: MemoryStore | None = None,
        clock: FakeClock | None = None,
        store: Any = None,
        runner: asyncio.Runner | None = None,
        **options: Any,
    ) -> None:
        self.colour = colour
        self.clock = clock or FakeClock(TODAY)
        self.memory = memory or MemoryStore()
        self.faults = Faults()
        self.runner = runner
        options = {"catalog": SOLD, "clock": self.clock, "observer": Tally(), **options}
        if colour == "sync":
            self.ent: Any = Entitlements(store or FaultyStore(self.memory, self.faults), **options)
        else:
            self.runner = runner or asyncio.Runner()
            self.ent = AsyncEntitlements(store or FaultyStore(AsyncMemoryStore(self.memory), self.faults), **options)

    def close(self) -> None:
        if self.colour == "sync":
            self.ent.close()
        else:
            self.run(self.ent.aclose())
            self.runner.close()

    def run(self, answer: Any) -> Any:
        """Await what this colour gives to be awaited. A `Decision` looks like that in both."""
        if self.colour == "sync":
            return answer
        if inspect.isasyncgen(answer):
            return self.runner.run(_all(answer))
        if inspect.isawaitable(answer):
            return self.runner.run(_awaited(answer))
        return answer

    def admin(self, actor: str = "asha", *, because: str | None = "a test", dry_run: bool = False) -> Any:
        return Desk(self.ent.admin(actor, because=because, dry_run=dry_run), self.run)

    def beside(self, **options: Any) -> Shop:
        """Another process on the same store: a client with caches of its own."""
        return Shop(self.colour, memory=self.memory, clock=self.clock, runner=self.runner, **options)

    def rival(self) -> Any:
        """Somebody in another process; plain calls, which may come while this one waits."""
        other = Shop("sync", memory=self.memory, clock=self.clock)
        other.ent._driver = Driver(self.memory, never_waits=True)
        return other.admin("ravi")

    def check(self, tenant: str, key: str, **named: Any) -> Any:
        answer = self.ent.check(tenant, key, **named)
        return self.run(answer)

    def worth(self, tenant: str, key: str) -> Any:
        """What a feature is worth to a tenant; None where it is refused."""
        return self.check(tenant, key).value

    def view(self, tenant: str) -> Any:
        return self.run(self.ent.tenant(tenant))

    def trail(self, *args: Any, **named: Any) -> list[Any]:
        return list(self.admin().audit(*args, **named))

    def document(self, tenant: str) -> TenantDocument:
        return self.memory.read([tenant])[tenant]


async def _all(answers: Any) -> list[Any]:
    return [answer async for answer in answers]


async def _awaited(answer: Any) -> Any:
    return await answer


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def shop(colour: str) -> Iterator[Shop]:
    opened = Shop(colour)
    yield opened
    opened.close()


@pytest.fixture
def admin(shop: Shop) -> Any:
    return shop.admin()


def facts(change: Change) -> tuple[bool, str]:
    """What a change came to, in short."""
    return change.applied, change.reason.value


def at(days_from_now: float) -> datetime:
    return TODAY + days(days_from_now)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type] # year, month, day ..., however many of them
