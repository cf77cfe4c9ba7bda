"""
The answer to a write is lost after the server has done it: nobody is told that it failed, and repeating it with the
same operation does it once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from payaid_entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import OutcomeUnknown, StoreUnavailable
from payaid_entitlements.stores.redis.scripts import APPLY
from tests.faults.apps import CATALOG
from tests.servers.proxy import Proxy
from tests.waiting import until

#: What is said last to make a write true, by store.
DECIDES = {"postgresql": b"COMMIT\x00", "mysql": b"\x03COMMIT", "redis": APPLY.sha.encode()}


class Told:
    """A client of either colour, by way of a network that fails."""

    def __init__(self, url: str, colour: str) -> None:
        self._runner = asyncio.Runner() if colour == "async" else None
        self.inner: Any = (AsyncEntitlements if self._runner else Entitlements).open(url, catalog=CATALOG)

    def run(self, answer: Any) -> Any:
        return self._runner.run(_awaited(answer)) if self._runner else answer

    def change(self, value: int, operation: str | None) -> Any:
        admin = self.inner.admin("test", because="test")
        return self.run(admin.override("acme", "crm.page_size", value, operation=operation))

    def value(self) -> Any:
        return self.run(self.inner.check("acme", "crm.page_size")).value

    def hears(self) -> bool:
        """Does it hear of changes?"""
        return bool(self.run(self.inner.health()).channel.connected)

    def close(self) -> None:
        self.run(self.inner.aclose() if self._runner else self.inner.close())
        if self._runner:
            self._runner.close()


async def _awaited(answer: Any) -> Any:
    return await answer


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=list(DECIDES))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def direct_url(kind: str, ready_url: Callable[[str], str]) -> str:
    return ready_url(kind)


@pytest.fixture
def proxy(direct_url: str, proxies: Callable[[str], Proxy]) -> Proxy:
    return proxies(direct_url)


@pytest.fixture
def told(proxy: Proxy, colour: str) -> Iterator[Told]:
    made = Told(proxy.url, colour)
    yield made
    made.close()


def trail(url: str) -> list[tuple[str | None, int]]:
    with Entitlements.open(url) as ent:
        return [(entry.operation, entry.revision) for entry in ent._store.audit(tenant="acme")]


@pytest.mark.parametrize("kind", ["postgresql"])
def test_whoever_connects_to_hear_of_changes_says_nothing_that_makes_a_write_true(told, proxy, kind):
    """He does so beside what is asked below, and the reply that is lost there must be that to the write."""
    proxy.drop_reply(DECIDES[kind])
    assert told.value() == 0
    until(told.hears)
    assert proxy.dropped == 0


def test_a_write_whose_answer_was_lost_is_done_once_however_often_it_is_repeated(told, proxy, kind, direct_url):
    told.change(1, "first")
    assert told.value() == 1
    proxy.drop_reply(DECIDES[kind])
    with pytest.raises(OutcomeUnknown) as caught:
        told.change(2, "second")
    assert caught.value.operation == "second"
    for _ in range(2):
        change = told.change(2, "second")
        assert (change.applied, change.revision) == (False, 2)
    assert told.value() == 2
    assert proxy.dropped == 1
    assert trail(direct_url) == [("first", 1), ("second", 2)]


@pytest.mark.soak
def test_answers_that_are_lost_again_and_again_lose_no_change_and_repeat_none(told, proxy, kind, direct_url):
    """Each change is repeated until somebody says that it is done, as a queue does with a message."""
    expected = []
    for value in range(1, 9):
        operation, tries = f"n-{value}", 0
        expected.append((operation, value))
        while True:
            if tries < value % 3:
                proxy.drop_reply(DECIDES[kind])
            tries += 1
            try:
                told.change(value, operation)
            except (OutcomeUnknown, StoreUnavailable):
                continue
            finally:
                proxy.heal()
            break
        assert told.value() == value
    assert proxy.dropped >= 5
    assert trail(direct_url) == expected


def test_a_write_without_an_operation_is_not_repeated_by_us(told, proxy, kind, direct_url):
    """Whether it was done, only a look at the trail says."""
    told.change(1, None)
    proxy.drop_reply(DECIDES[kind])
    with pytest.raises(OutcomeUnknown) as caught:
        told.change(2, None)
    assert caught.value.operation is None
    assert trail(direct_url) == [(None, 1), (None, 2)]
