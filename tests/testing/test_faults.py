"""Stores that fail on demand."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable

import pytest

from payaid_entitlements import AsyncEntitlements, Catalog, Entitlements
from payaid_entitlements.errors import OutcomeUnknown, StoreUnavailable
from payaid_entitlements.stores.ledger import AsyncLedger, Ledger
from payaid_entitlements.stores.limiter import AsyncLimiter, Limiter
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.stores.ports import AsyncStore, Store
from payaid_entitlements.testing import FaultyStore
from payaid_entitlements.testing.faults import _READS, _WRITES, Faults

CATALOG = Catalog.load({"catalog": 1, "modules": {"crm": {}}, "plans": {"free": {"modules": ["crm"]}}})


class Both:
    """A client of one colour on a faulty store, asked alike."""

    def __init__(self, colour: str) -> None:
        self.colour = colour
        self.faults = Faults()
        if colour == "sync":
            self.ent = Entitlements(FaultyStore(MemoryStore(), self.faults), catalog=CATALOG)
        else:
            self.ent = AsyncEntitlements(FaultyStore(AsyncMemoryStore(MemoryStore()), self.faults), catalog=CATALOG)

    def run(self, ask: Callable[[], object]) -> object:
        if self.colour == "sync":
            return ask()

        async def awaited() -> object:
            return await ask()

        return asyncio.run(awaited())


@pytest.fixture(params=["sync", "async"])
def both(request):
    return Both(request.param)


def test_everything_is_passed_on(both):
    change = both.run(lambda: both.ent.admin("a", because="b").subscribe("acme", "free", operation="one"))

    assert change.applied
    assert both.run(lambda: both.ent.check("acme", "crm")).allowed
    assert both.run(both.ent.health).store == MemoryStore().name


def test_calls_are_noted_in_their_order():
    store = FaultyStore(MemoryStore())

    store.prepare()
    store.read(("acme",))
    store.catalog()

    assert store.faults.calls == ["prepare", "read", "catalog"]


@pytest.mark.parametrize("ports", [(Store, Ledger, Limiter), (AsyncStore, AsyncLedger, AsyncLimiter)])
def test_every_question_of_the_ports_can_fail(ports):
    methods = {
        name
        for port in ports
        for name, member in vars(port).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }

    assert methods - {"close", "aclose"} == _READS | _WRITES


def test_when_it_is_down_every_call_fails(both):
    both.faults.is_down = True

    assert both.run(lambda: both.ent.check("acme", "crm")).reason == "store.unavailable"
    with pytest.raises(StoreUnavailable, match="a test says so"):
        both.run(lambda: both.ent.admin("a", because="b").subscribe("acme", "free"))


def test_a_lost_reply_leaves_the_write_done(both):
    both.run(lambda: both.ent.check("acme", "crm"))
    both.faults.loses_replies = True

    with pytest.raises(OutcomeUnknown) as lost:
        both.run(lambda: both.ent.admin("a", because="b").subscribe("acme", "free", operation="one"))
    both.faults.loses_replies = False
    repeated = both.run(lambda: both.ent.admin("a", because="b").subscribe("acme", "free", operation="one"))

    assert lost.value.operation == "one"
    assert (repeated.applied, repeated.reason) == (False, "change.repeated")


def test_a_lost_reply_without_an_operation_names_none():
    with pytest.raises(OutcomeUnknown) as lost:
        faults = Faults()
        faults.loses_replies = True
        faults.leave(None)

    assert lost.value.operation is None


def test_something_may_happen_before_each_call(both):
    seen: list[str] = []
    both.faults.before = seen.append

    both.run(lambda: both.ent.check("acme", "crm"))

    assert seen == both.faults.calls


def test_faults_may_be_shared():
    faults = Faults()
    one, other = FaultyStore(MemoryStore(), faults), FaultyStore(AsyncMemoryStore(MemoryStore()), faults)
    faults.is_down = True

    with pytest.raises(StoreUnavailable):
        one.read(("acme",))
    with pytest.raises(StoreUnavailable):
        asyncio.run(other.read(("acme",)))
    assert faults.calls == ["read", "read"]
    assert FaultyStore(MemoryStore()).faults is not faults
