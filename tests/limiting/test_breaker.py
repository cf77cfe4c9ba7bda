"""A limiter that gives no answer is left alone for a moment: nobody waits for it, and it is soon asked again."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from payaid_entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import StoreUnavailable
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.stores.ports import Concern
from payaid_entitlements.testing import FakeClock
from tests.limiting.conftest import CATALOG, START

CONCERN = Concern("it is there", "it is not", "look for it")


class Far:
    """A limiter in another process, which may be down; of both colours."""

    name = "far"
    is_shared = True

    def __init__(self, inner):
        self.inner = inner
        self.is_down = False
        self.asked = []

    @property
    def concerns(self):
        return (CONCERN,)

    def prepare(self):
        return self._asked("prepare", self.inner.prepare)

    def hit(self, *args, **named):
        return self._asked("hit", self.inner.hit, *args, **named)

    def close(self):
        self.asked.append("close")

    async def aclose(self):
        self.asked.append("close")

    def _asked(self, name, method, *args, **named):
        self.asked.append(name)
        if self.is_down:
            raise StoreUnavailable("far is down")
        return method(*args, **named)


class Both:
    """A client of one colour with a limiter that is far."""

    def __init__(self, colour, runner):
        self.clock = FakeClock(START)
        store = MemoryStore() if colour == "sync" else AsyncMemoryStore()
        self.far = Far(store.limiter)
        kind = Entitlements if colour == "sync" else AsyncEntitlements
        self.client = kind(store, limiter=self.far, catalog=CATALOG, clock=self.clock)
        self._run = (lambda asked: asked) if colour == "sync" else lambda asked: runner.run(_awaited(asked))

    def __getattr__(self, name):
        return lambda *args, **named: self._run(getattr(self.client, name)(*args, **named))

    def end(self):
        self._run(self.client.close() if isinstance(self.client, Entitlements) else self.client.aclose())


async def _awaited(asked):
    return await asked


@pytest.fixture(params=["sync", "async"])
def both(request):
    with asyncio.Runner() as runner:
        yield Both(request.param, runner)


def test_it_is_made_ready_once_and_closed_with_the_client(both):
    for _ in range(3):
        assert both.rate_limit("acme", "feed").on_outage is None
    assert both.health().concerns[-1:] == (CONCERN,)
    both.end()
    assert both.far.asked == ["prepare", "hit", "hit", "hit", "hit", "close"]


def test_it_is_left_alone_and_asked_again_by_one(both):
    far = both.far
    far.is_down = True
    for _ in range(20):
        assert both.rate_limit("acme", "feed").on_outage == "open"
    assert far.asked == ["prepare"] * 5
    assert both.client.counts[("breaker", "limiter", "open")] == 1
    assert both.health().limiter_answers is False
    assert far.asked == ["prepare"] * 5
    for _ in range(4):
        both.clock.advance(timedelta(seconds=1))
        for _ in range(5):
            assert both.rate_limit("acme", "feed").on_outage == "open"
    # Never left alone for longer than a second.
    assert far.asked == ["prepare"] * 9
    far.is_down = False
    both.clock.advance(timedelta(seconds=1))
    for _ in range(3):
        assert both.rate_limit("acme", "feed").on_outage is None
    assert both.client.counts[("breaker", "limiter", "closed")] == 1
    assert both.client.counts[("rate_limit.on_outage.open", "feed")] == 40


def test_a_failure_now_and_then_is_no_outage(both):
    for turn in range(12):
        both.far.is_down = turn % 2 == 1
        both.rate_limit_status("acme", "feed")
    assert len(both.far.asked) == 13
    assert ("breaker", "limiter", "open") not in both.client.counts


def test_an_event_loop_does_not_wait_for_it():
    both = Both("sync", None)
    assert both.client.rate_limit("acme", "api").allowed

    async def main():
        both.client.rate_limit("acme", "api")

    with pytest.raises(TypeError, match="event loop"):
        asyncio.run(main())


def test_a_forked_child_believes_nothing():
    """Neither that the limiter is down, nor what was worked out."""
    limiting = Both("sync", None).client._limiting
    limiting._courses["acme", "api"] = None
    breaker = limiting.breaker
    limiting.reset()
    assert limiting._courses == {}
    assert limiting.breaker is not breaker
