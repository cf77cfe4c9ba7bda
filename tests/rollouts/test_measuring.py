"""What `measured` and `measure` count, of whom, and what they never do to a request."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest

from payaid_entitlements import AsyncEntitlements, Catalog, Entitlements
from payaid_entitlements.core.flags.rollouts.histogram import bucket
from payaid_entitlements.errors import Refused, UnknownFlag
from payaid_entitlements.rollouts import measuring, tallies
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.stores.ports import MOST_TALLIES
from payaid_entitlements.testing.clock import FakeClock
from tests.rollouts.conftest import FLAG, START, CheckoutFailed, Place, never, sold

BOUNDS = [
    *("error_rate > control + 0.5%", "latency p95 > 500 ms", "empty_cart > control + 1%", "rows p50 > 10"),
]
TALLY = f"rollout/{FLAG}/1"


class Shop:
    """A synchronous client whose rollout stands at half of all."""

    def __init__(self, catalog: Catalog, **named: Any) -> None:
        self.memory = MemoryStore()
        self.clock = FakeClock(START)
        self.ent = Entitlements(self.memory, catalog=catalog, clock=self.clock, **named)
        self.ent.admin("asha").step_rollouts()
        self.inside = next(tenant for tenant in map(str, range(99)) if self.ent.tenant(tenant).flag(FLAG))
        self.outside = next(tenant for tenant in map(str, range(99)) if not self.ent.tenant(tenant).flag(FLAG))

    def told(self) -> dict[str, int]:
        """What was measured until now."""
        self.ent._driver.run(self.ent._measuring.flush())
        return dict(self.memory.tallies(TALLY))


@pytest.fixture
def shop() -> Any:
    shop = Shop(sold({"steps": ["50%", "100%"], "roll_back_if": BOUNDS}))
    with shop.ent:
        yield shop


def test_a_block_is_measured_on_its_side(shop: Shop) -> None:
    with shop.ent.measured(shop.ent.tenant(shop.inside), FLAG) as sample:
        shop.clock.advance(timedelta(milliseconds=120))
        sample.note(empty_cart=True, rows=7)
    with shop.ent.measured(shop.ent.tenant(shop.outside), FLAG):
        pass
    assert shop.told() == {
        "processes": 1,
        "in/samples": 1,
        "in/ids": 1,
        "in/error_rate/of": 1,
        f"in/latency/le/{bucket(120_000)}": 1,
        "in/empty_cart/of": 1,
        "in/empty_cart/bad": 1,
        "in/rows/le/7": 1,
        "out/samples": 1,
        "out/ids": 1,
        "out/error_rate/of": 1,
        "out/latency/le/0": 1,
    }


def test_an_exception_is_a_failure_and_leaves_the_block(shop: Shop) -> None:
    view = shop.ent.tenant(shop.inside)
    with pytest.raises(CheckoutFailed), shop.ent.measured(view, FLAG):
        raise CheckoutFailed
    with shop.ent.measured(view, FLAG) as sample:
        sample.fail()
    assert shop.told()["in/error_rate/bad"] == 2


def test_a_refusal_is_no_failure(shop: Shop) -> None:
    view = shop.ent.tenant(shop.inside)
    with pytest.raises(Refused), shop.ent.measured(view, FLAG):
        shop.ent.require(shop.inside, "crm")
    assert shop.told()["in/error_rate/of"] == 1
    assert "in/error_rate/bad" not in shop.told()


def test_what_is_interrupted_counts_for_nothing(shop: Shop) -> None:
    with pytest.raises(KeyboardInterrupt), shop.ent.measured(shop.ent.tenant(shop.inside), FLAG):
        raise KeyboardInterrupt
    assert shop.told() == {}


def test_measure_says_it_without_a_block(shop: Shop) -> None:
    view = shop.ent.tenant(shop.inside)
    shop.ent.measure(view, FLAG, failed=True, latency=timedelta(milliseconds=3), rows=2)
    assert shop.told() == {
        "processes": 1,
        "in/samples": 1,
        "in/ids": 1,
        "in/error_rate/of": 1,
        "in/error_rate/bad": 1,
        f"in/latency/le/{bucket(3_000)}": 1,
        "in/rows/le/2": 1,
    }


def test_metrics_may_have_any_name(shop: Shop) -> None:
    with shop.ent.measured(shop.ent.tenant(shop.inside), FLAG) as sample:
        sample.note(view=3, flag=True, latency=7)
    assert shop.told()["in/samples"] == 1


def test_many_fields_are_told_in_parts(shop: Shop) -> None:
    view = shop.ent.tenant(shop.inside)
    for power in range(33):
        for eighth in range(8):
            shop.ent.measure(view, FLAG, latency=timedelta(microseconds=(8 + eighth) << power))
    assert len(shop.told()) > MOST_TALLIES
    assert shop.told()["in/samples"] == 33 * 8


def test_what_is_said_wrongly_is_refused(shop: Shop) -> None:
    view = shop.ent.tenant(shop.inside)
    with pytest.raises(TypeError, match="latency=3: give a timedelta"):
        shop.ent.measure(view, FLAG, latency=3)  # type: ignore[arg-type] # that is what is tried
    with pytest.raises(TypeError, match="rows='2'"):
        shop.ent.measure(view, FLAG, rows="2")  # type: ignore[arg-type] # as above
    assert shop.told() == {}


def test_a_view_measures_what_it_answered(shop: Shop) -> None:
    """A step that begins while a request runs is not credited with it."""
    view = shop.ent.tenant(shop.inside)
    shop.ent.admin("asha").roll_back(FLAG, "in between")
    with shop.ent.measured(view, FLAG):
        pass
    assert shop.told()["in/samples"] == 1
    with shop.ent.measured(shop.ent.tenant(shop.inside), FLAG):
        pass
    assert shop.told()["in/samples"] == 1


def test_a_flag_that_there_is_not_is_counted_and_in_strict_clients_raised() -> None:
    for strict in (False, True):
        shop = Shop(sold({"roll_back_if": BOUNDS, "steps": ["50%", "100%"]}), strict=strict)
        with shop.ent:
            view = shop.ent.tenant("acme")
            if strict:
                with pytest.raises(UnknownFlag):
                    shop.ent.measure(view, "new-chekout")
            else:
                shop.ent.measure(view, "new-chekout")
            assert shop.ent.counts["flag.unknown", "new-chekout"] == 1


def test_too_much_that_waits_is_not_counted_and_said(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "MOST_WAITING", 0)
    shop.ent.measure(shop.ent.tenant(shop.inside), FLAG)
    assert shop.told() == {}
    assert shop.ent.counts["rollout.unmeasured", FLAG] == 1


def test_of_many_threads_that_find_it_is_time_one_tells(shop: Shop) -> None:
    shop.clock.advance(seconds=10)
    view, calls, gate = shop.ent.tenant(shop.inside), [], threading.Barrier(4)
    original = shop.memory.add_tallies
    shop.memory.add_tallies = lambda name, amounts: (calls.append(name), original(name, amounts))[1]  # type: ignore[method-assign]

    def measure() -> None:
        gate.wait()
        shop.ent.measure(view, FLAG)

    threads = [threading.Thread(target=measure) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [TALLY]
    assert shop.told()["in/samples"] == 4


def test_whoever_waited_for_the_lock_finds_it_done(shop: Shop) -> None:
    measures = shop.ent._measuring
    shop.clock.advance(seconds=10)
    with measures._lock:
        waiting = threading.Thread(target=measures._is_due)
        waiting.start()
        measures._due = measures._next()
    waiting.join()
    assert not measures._is_due()


def test_processes_tell_every_few_seconds(shop: Shop) -> None:
    view = shop.ent.tenant(shop.inside)
    shop.ent.measure(view, FLAG)
    assert shop.memory.tallies(TALLY) == {}
    shop.clock.advance(seconds=measuring.EVERY * 1.5)
    shop.ent.measure(view, FLAG)
    assert shop.memory.tallies(TALLY)["in/samples"] == 2
    shop.ent.measure(view, FLAG)
    assert shop.memory.tallies(TALLY)["in/samples"] == 2


def test_an_addition_that_failed_is_not_made_again(quiet: Place) -> None:
    """It may have been made; what was measured since then waits on."""
    quiet.serve("t0", never)
    quiet.clock.advance(seconds=10)
    failing: list[str] = []

    def before(name: str) -> None:
        if name == "add_tallies":
            failing.append(name)
            quiet.faults.before = None
            raise ConnectionError("reset by peer")

    before_that = dict(quiet.memory.tallies(TALLY))
    quiet.faults.before = before
    quiet.serve("t1", never)
    assert failing
    assert quiet.memory.tallies(TALLY) == before_that
    assert quiet.ent.counts["rollout.unflushed", "ConnectionError"] == 1
    quiet.serve("t2", never)
    quiet.clock.advance(seconds=10)
    quiet.serve("t3", never)
    total = sum(amount for name, amount in quiet.memory.tallies(TALLY).items() if name.endswith("/samples"))
    assert total == 1 + 2


def test_a_loop_that_runs_is_in_nobodys_way() -> None:
    """Of a synchronous client nothing can be asked there: what was measured waits for a thread that has none."""
    shop = Shop(sold({"steps": ["50%", "100%"], "roll_back_if": BOUNDS}), shared=None)
    shop.ent._driver._never_waits = False
    view = shop.ent.tenant(shop.inside)
    shop.clock.advance(seconds=10)

    async def serve() -> None:
        shop.ent.measure(view, FLAG)

    asyncio.run(serve())
    assert shop.ent.counts["rollout.unflushed", "TypeError"] == 1
    assert shop.told()["in/samples"] == 1
    shop.ent.close()


def test_cancelled_requests_count_for_nothing() -> None:
    memory, clock = MemoryStore(), FakeClock(START)

    async def serve() -> dict[str, int]:
        store = AsyncMemoryStore(memory)
        async with AsyncEntitlements(store, catalog=sold({"roll_back_if": BOUNDS}), clock=clock) as ent:
            await ent.admin("asha").step_rollouts()

            async def request() -> None:
                async with ent.measured(await ent.tenant("acme"), FLAG):
                    await asyncio.sleep(10)

            task = asyncio.create_task(request())
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with ent.measured(await ent.tenant("acme"), FLAG) as sample:
                sample.fail()
            await ent.measure(await ent.tenant("acme"), FLAG, rows=3)
        return dict(memory.tallies(TALLY))

    told = asyncio.run(serve())
    assert sum(amount for name, amount in told.items() if name.endswith("/samples")) == 2
    assert sum(amount for name, amount in told.items() if name.endswith("/bad")) == 1
