"""What is tracked by OpenFeature counts in the guards of rollouts: on its side, as its kind, and never as a request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.track import TrackingEventDetails

from payaid_entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.core.flags.rollouts.histogram import bucket
from payaid_entitlements.openfeature import FlagProvider
from payaid_entitlements.rollouts import measuring
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.testing import FakeClock, FaultyStore
from tests.rollouts.conftest import FLAG, START, sold

CATALOG = sold(
    {"steps": ["50%", "100%"], "roll_back_if": ["error_rate > 5%", "empty_cart > control + 1%", "rows p50 > 10"]}
)
TALLY = f"rollout/{FLAG}/1"


class Shop:
    """A client whose rollout stands at half of all, with its provider."""

    def __init__(self) -> None:
        self.clock = FakeClock(START)
        self.store = FaultyStore(MemoryStore())
        self.ent = Entitlements(self.store, catalog=CATALOG, clock=self.clock)
        self.ent.admin("asha").step_rollouts()
        self.inside = next(tenant for tenant in map(str, range(99)) if self.ent.tenant(tenant).flag(FLAG))
        self.outside = next(tenant for tenant in map(str, range(99)) if not self.ent.tenant(tenant).flag(FLAG))
        self.provider = FlagProvider(self.ent)

    def track(self, name: str, tenant: str | None, value: float | None = None) -> None:
        self.provider.track(name, EvaluationContext(tenant), TrackingEventDetails(value))

    def told(self) -> dict[str, int]:
        """What was measured until now."""
        self.ent._driver.run(self.ent._measuring.flush())
        return self.stored()

    def stored(self) -> dict[str, int]:
        return dict(self.store.inner.tallies(TALLY))


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    with made.ent:
        yield made


def eventually(is_so: Callable[[], Any]) -> None:
    end = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_that_it_happened_is_bad_and_nought_is_good(shop):
    shop.track("empty_cart", shop.inside)
    shop.track("empty_cart", shop.inside, 0)
    shop.track("empty_cart", shop.outside, 1.0)

    assert shop.told() == {
        "processes": 1,
        "in/ids": 1,
        "in/empty_cart/of": 2,
        "in/empty_cart/bad": 1,
        "out/ids": 1,
        "out/empty_cart/of": 1,
        "out/empty_cart/bad": 1,
    }


def test_an_amount_counts_in_its_unit(shop):
    shop.track("rows", shop.inside, 7)
    shop.track("rows", shop.inside)

    assert shop.told() == {"processes": 1, "in/ids": 1, f"in/rows/le/{bucket(7)}": 1}


def test_it_is_no_request(shop):
    """
    Neither a sample more nor one that went well: that would hide those that fail.
    """
    shop.ent.measure(shop.ent.tenant(shop.inside), FLAG, failed=True)
    shop.track("rows", shop.inside, 7)

    told = shop.told()
    assert (told["in/samples"], told["in/error_rate/of"], told["in/error_rate/bad"]) == (1, 1, 1)


@pytest.mark.parametrize("name", ["seen", "error_rates"])
def test_what_no_guard_looks_at_is_not_counted(shop, name):
    shop.track(name, shop.inside, 1)

    assert shop.told() == {}


def test_who_is_not_near_is_not_measured(shop):
    shop.track("empty_cart", None)
    shop.track("empty_cart", "somebody-new")

    assert shop.told() == {}


def test_of_a_bound_view_it_is_that_tenant(shop):
    with shop.ent.bind(shop.inside):
        shop.track("empty_cart", None)
        shop.provider.track("empty_cart", EvaluationContext(None, {"user": "ann"}))

    assert shop.told()["in/empty_cart/bad"] == 2


def test_a_flag_of_which_no_step_runs_counts_nothing(shop):
    shop.ent.admin("asha").kill(FLAG)
    shop.ent.tenant(shop.inside)
    shop.track("empty_cart", shop.inside)

    assert shop.told() == {}


def test_it_reaches_the_store_by_itself_and_nobody_waits(shop):
    shop.track("empty_cart", shop.inside)
    shop.clock.advance(timedelta(seconds=10))
    shop.track("empty_cart", shop.inside)

    eventually(lambda: shop.stored().get("in/empty_cart/bad") == 2)


def test_an_outage_is_counted_and_harms_nobody(shop):
    shop.store.faults.is_down = True
    shop.clock.advance(timedelta(seconds=10))
    shop.track("empty_cart", shop.inside)

    eventually(lambda: any(name == "rollout.unflushed" for name, *_ in shop.ent.counts))
    shop.store.faults.is_down = False


def test_more_than_is_kept_is_said(shop, monkeypatch):
    monkeypatch.setattr(shop.ent._measuring._tallies, "add", lambda *counts: False)

    shop.track("empty_cart", shop.inside)

    assert shop.ent.counts["rollout.unmeasured", FLAG] == 1


def test_a_client_that_is_awaited_tells_the_store_in_its_loop():
    memory, clock = MemoryStore(), FakeClock(START)
    store = FaultyStore(AsyncMemoryStore(memory))

    async def run() -> AsyncEntitlements:
        ent = AsyncEntitlements(store, catalog=CATALOG, clock=clock)
        await ent.admin("asha").step_rollouts()
        views = [await ent.tenant(str(number)) for number in range(20)]
        inside = next(view.tenant for view in views if view.flag(FLAG))
        provider = FlagProvider(ent)

        clock.advance(timedelta(seconds=10))
        provider.track("empty_cart", EvaluationContext(inside))
        end = time.monotonic() + 10
        while not memory.tallies(TALLY) and time.monotonic() < end:
            await asyncio.sleep(0.001)
        assert memory.tallies(TALLY)["in/empty_cart/bad"] == 1

        store.faults.is_down = True
        clock.advance(timedelta(seconds=10))
        provider.track("empty_cart", EvaluationContext(inside))
        while provider._beside._tasks:
            await asyncio.sleep(0.001)
        store.faults.is_down = False
        assert ("rollout.unflushed", "StoreUnavailable") in ent.counts

        # Where no loop runs it waits for the next one.
        clock.advance(timedelta(seconds=10))
        await asyncio.to_thread(provider.track, "empty_cart", EvaluationContext(inside))
        assert provider._beside._tasks == set()
        await ent.aclose()
        return ent

    asyncio.run(run())
    assert memory.tallies(TALLY)["in/empty_cart/bad"] >= 2
    assert measuring.EVERY < 10
