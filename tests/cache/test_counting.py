"""Steps on a ledger: each is one call of the port, has the limits it needs, and a breaker of its own."""

from __future__ import annotations

import asyncio

import pytest

from payaid_entitlements.cache import counting
from payaid_entitlements.cache.counting import (
    ClaimEvents,
    DropEvents,
    ForgetUsage,
    LedgerStep,
    LockRows,
    Post,
    PrepareLedger,
    ReadAct,
    ReadBalances,
    ReadHold,
    ReadSlots,
)
from payaid_entitlements.cache.driving import AsyncDriver, Driver
from payaid_entitlements.errors import ConfigurationError, OutcomeUnknown, StoreUnavailable
from payaid_entitlements.stores.hurry import is_question
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from tests.cache.conftest import Hand

TX = object()
#: Each step, and the call that it is.
CALLS = [
    (PrepareLedger(), "prepare", (), {}),
    (
        Post("acme", ("posting",), "op", "digest", 7, TX),
        "post",
        ("acme", ("posting",)),
        {"operation": "op", "digest": "digest", "now": 7, "tx": TX},
    ),
    (ReadBalances("acme", (("f", "w0"),), 7, TX), "balances", ("acme", (("f", "w0"),)), {"now": 7, "tx": TX}),
    (ReadHold("acme", "op", 7), "hold", ("acme", "op"), {"now": 7}),
    (ReadSlots("acme", "seats", 7), "slots", ("acme", "seats"), {"now": 7}),
    (LockRows("acme", "f", TX), "lock", ("acme", "f"), {"tx": TX}),
    (ClaimEvents(5, 60, 7), "claim_events", (5, 60), {"now": 7}),
    (DropEvents(("e1",)), "drop_events", (("e1",),), {}),
    (ReadAct("acme", "op"), "entries_of", ("acme", "op"), {}),
    (ForgetUsage("acme", TX), "forget", ("acme",), {"tx": TX}),
]


class Recorder:
    """Any ledger: notes what it is called with, and whether a question waits; fails on demand."""

    concerns = ()

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.waits: list[bool] = []
        self.error: Exception | None = None

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*args, **named):
            self.calls.append((name, args, named))
            self.waits.append(is_question())
            if self.error is not None:
                raise self.error
            return f"answer to {name}"

        return call


class AwaitedRecorder(Recorder):
    """Same as `Recorder`, awaited."""

    def __getattr__(self, name):
        call = super().__getattr__(name)

        async def awaited(*args, **named):
            return call(*args, **named)

        return awaited


def one(step):
    return (yield step)


@pytest.fixture(params=["sync", "async"])
def driven(request):
    """A ledger and a function that performs a step on it, as a question or not."""
    clock = Hand()
    if request.param == "sync":
        ledger = Recorder()
        driver = Driver(MemoryStore(), ledger=ledger, clock=clock)

        def perform(step, *, asks=True):
            return (driver.ask if asks else driver.run)(one(step))
    else:
        ledger = AwaitedRecorder()
        driver = AsyncDriver(AsyncMemoryStore(), ledger=ledger, clock=clock)

        def perform(step, *, asks=True):
            return asyncio.run((driver.ask if asks else driver.run)(one(step)))

    perform.clock, perform.driver = clock, driver
    return ledger, perform


def test_every_step_is_tested_here():
    """A step that is added to the module is in the table above."""
    kinds = {kind for kind in vars(counting).values() if isinstance(kind, type) and issubclass(kind, LedgerStep)}
    assert {type(step) for step, *_ in CALLS} == {kind for kind in kinds if hasattr(kind, "__dataclass_fields__")}


@pytest.mark.parametrize(("step", "name", "args", "named"), CALLS, ids=[name for _, name, *_ in CALLS])
def test_a_step_is_one_call_of_the_port(driven, step, name, args, named):
    """With all that it says and nothing else, and the answer comes back. Before the first the ledger is made ready."""
    ledger, perform = driven
    assert perform(step) == f"answer to {name}"
    assert perform(step) == f"answer to {name}"
    assert ledger.calls == [("prepare", (), {}), (name, args, named), (name, args, named)]


@pytest.mark.parametrize("asks", [True, False])
def test_what_is_read_has_the_limits_of_a_question_and_what_is_written_those_of_a_change(driven, asks):
    """Whether a write was done must be known; a reading can be repeated."""
    ledger, perform = driven
    perform(ReadBalances("acme", ()), asks=asks)
    perform(Post("acme", ()), asks=asks)
    perform(Post("acme", (), tx=TX), asks=asks)
    assert ledger.waits == [asks, asks, False, False]


def test_a_ledger_that_fails_three_times_is_left_alone_for_a_moment(driven):
    """Then one caller tries, and its answer lets the others in; the store is another thing."""
    ledger, perform = driven
    perform(PrepareLedger())
    ledger.calls.clear()
    ledger.error = OutcomeUnknown("no reply", operation="op")
    for _ in range(3):
        with pytest.raises(OutcomeUnknown):
            perform(Post("acme", ()))
    with pytest.raises(StoreUnavailable, match="the ledger gave no answer a moment ago"):
        perform(ReadBalances("acme", ()))
    assert len(ledger.calls) == 3
    assert perform.driver.breakers.store.state == "closed"
    perform.clock.advance(1)
    ledger.error = None
    assert perform(Post("acme", ())) == "answer to post"
    assert perform.driver.breakers.ledger.state == "closed"


def test_a_write_that_waited_for_somebody_else_does_not_shut_out_other_tenants(driven):
    """Its row was locked by a transaction of the same tenant; a reading that waits is a server that stands still."""
    ledger, perform = driven
    stopwatch = perform.driver.breakers.ledger
    took = iter([0.0, 0.0, 2.0])  # a patient one is not timed
    stopwatch._stopwatch = lambda: next(took)
    ledger.error = StoreUnavailable("waited for a lock")
    for step in (Post("acme", ()), ReadBalances("acme", ())):
        assert stopwatch.state == "closed"
        with pytest.raises(StoreUnavailable):
            perform(step)
    assert stopwatch.state == "open"


def test_what_fails_on_the_hosts_connection_says_nothing_about_the_ledger(driven):
    """The host's transaction may be broken, many times."""
    ledger, perform = driven
    ledger.error = StoreUnavailable("the host's connection is gone")
    for _ in range(5):
        with pytest.raises(StoreUnavailable):
            perform(Post("acme", (), tx=TX))
    assert perform.driver.breakers.ledger.state == "closed"


def test_without_a_ledger_nothing_can_be_counted():
    """And the way out is said, in both colours."""
    with pytest.raises(ConfigurationError, match="ledger="):
        Driver(MemoryStore()).run(one(Post("acme", ())))
    with pytest.raises(ConfigurationError, match="ledger="):
        asyncio.run(AsyncDriver(AsyncMemoryStore()).run(one(Post("acme", ()))))
