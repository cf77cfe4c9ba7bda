"""A sandbox is your own client with another inside, and leaves no trace."""

from __future__ import annotations

import asyncio
import inspect
from datetime import UTC, datetime

import pytest

from payaid_entitlements import DENY, UNLIMITED, AsyncEntitlements, Catalog, Entitlements, Subscription
from payaid_entitlements.errors import ConfigurationError, StoreUnavailable, UnknownFeature, UnknownPlan
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.testing import FakeClock, sandbox

NOON = datetime(2026, 9, 21, 12, tzinfo=UTC)
CATALOG = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "modules": {"crm": {"features": {"export": {"kind": "switch"}}}, "hr": {"on_outage": "open"}},
        "features": {"seats": {"kind": "allocation", "unit": "seat"}},
        "plans": {
            "free": {"modules": ["crm"], "features": {"seats": 1}},
            "pro": {"extends": "free", "trial": "14 days", "modules": ["hr"], "features": {"crm.export": True}},
        },
        "add_ons": {"more": {"increment": {"seats": 5}}},
    }
)
COLOURS = pytest.mark.parametrize("kind", [Entitlements, AsyncEntitlements], ids=["sync", "async"])


def answer(asked):
    """What either colour says."""
    if not inspect.isawaitable(asked):
        return asked

    async def awaited():
        return await asked

    return asyncio.run(awaited())


def allowed(client, tenant, key, **named):
    return answer(client.check(tenant, key, **named)).allowed


def snapshot(client):
    """All that a client is made of, and what its driver is made of, by identity."""
    parts = {name: id(getattr(client, name)) for name in vars(client)}
    inner = {name: id(getattr(client._setting, name)) for name in type(client._setting).__slots__}
    return parts | inner | {"store": id(client._driver.store), "host": id(client._driver.host)}


@COLOURS
def test_what_happens_inside_stays_inside(kind):
    memory = MemoryStore()
    client = kind(memory if kind is Entitlements else AsyncMemoryStore(memory), catalog=CATALOG)
    assert not allowed(client, "acme", "hr")
    before = snapshot(client)

    with sandbox(client) as inside:
        assert inside.client is client
        inside.subscribe("acme", "pro")
        assert allowed(client, "acme", "hr")

    assert snapshot(client) == before
    assert not allowed(client, "acme", "hr")
    assert memory.read(("acme",)) == {}


@COLOURS
def test_it_leaves_no_trace_after_an_error_either(kind):
    client = kind.open("memory://", catalog=CATALOG)
    before = snapshot(client)

    with pytest.raises(ZeroDivisionError), sandbox(client) as inside, inside.outage():
        raise ZeroDivisionError

    assert snapshot(client) == before


@COLOURS
def test_a_sandbox_may_stand_in_another(kind):
    client = kind.open("memory://", catalog=CATALOG)

    with sandbox(client) as outer:
        outer.subscribe("acme", "pro")
        with sandbox(client) as inner:
            assert not allowed(client, "acme", "hr")
            inner.override("acme", "hr", True)
        assert allowed(client, "acme", "hr")
        assert list(outer.admin().audit("acme", feature="hr")) == []


@COLOURS
def test_an_admin_that_the_app_made_when_it_was_imported_is_inside_too(kind):
    """
    A webhook handler of the host must not write into the host's database during a test.
    """
    memory = MemoryStore()
    client = kind(memory if kind is Entitlements else AsyncMemoryStore(memory), catalog=CATALOG)
    admin = client.admin("webhook:payments", because="paid")

    with sandbox(client) as inside:
        answer(admin.subscribe("acme", "pro"))
        assert allowed(client, "acme", "hr")
        assert [entry.actor for entry in inside.admin().audit("acme")] == ["webhook:payments"]

    assert memory.read(("acme",)) == {}
    answer(admin.subscribe("acme", "pro"))
    assert allowed(client, "acme", "hr")


@COLOURS
def test_time_is_the_tests(kind):
    clock = FakeClock(NOON)
    client = kind.open("memory://", catalog=CATALOG)

    with sandbox(client, clock=clock) as inside:
        assert inside.clock is clock
        inside.subscribe("acme", "pro", trial=True)
        assert allowed(client, "acme", "hr")
        clock.advance(days=14)
        assert not allowed(client, "acme", "hr")
        clock.travel_to(NOON)
        assert allowed(client, "acme", "hr")

    clock.advance(days=400)  # nobody listens any more


@COLOURS
def test_add_ons_and_values_of_all_kinds(kind):
    client = kind.open("memory://", catalog=CATALOG)

    with sandbox(client) as inside:
        inside.subscribe("acme", "pro", add_ons={"more": 2})
        assert answer(client.check("acme", "seats")).value.limit == 11
        inside.override("acme", "seats", UNLIMITED)
        assert answer(client.check("acme", "seats")).value.limit is UNLIMITED


@COLOURS
def test_an_override_ends_with_its_block_and_gives_back_the_one_before(kind):
    client = kind.open("memory://", catalog=CATALOG)

    with sandbox(client) as inside:
        inside.override("acme", "crm", DENY)
        with inside.override("acme", "crm", True):
            assert allowed(client, "acme", "crm")
            with inside.override("acme", "crm", True):  # it is so already
                assert allowed(client, "acme", "crm")
            assert allowed(client, "acme", "crm")
        assert answer(client.check("acme", "crm")).reason == "override.denied"


@COLOURS
def test_an_override_may_be_for_one_user(kind):
    client = kind.open("memory://", catalog=CATALOG)

    with sandbox(client) as inside, inside.override("acme", "hr", True, user="asha"):
        assert allowed(client, "acme", "hr", user="asha")
        assert not allowed(client, "acme", "hr", user="ravi")


@COLOURS
def test_what_no_catalog_has_is_loud(kind):
    client = kind.open("memory://", catalog=CATALOG)

    with sandbox(client) as inside:
        with pytest.raises(UnknownFeature, match=r"did you mean 'crm\.export'"):
            inside.override("acme", "crm.exprot", True)
        with pytest.raises(UnknownPlan):
            inside.subscribe("acme", "platinum")
        with pytest.raises(UnknownFeature, match=r"did you mean 'crm\.export'"):
            allowed(client, "acme", "crm.exprot")


@COLOURS
def test_unless_the_client_says_otherwise(kind):
    client = kind.open("memory://", catalog=CATALOG, strict=False)

    with sandbox(client):
        assert answer(client.check("acme", "crm.exprot")).reason == "catalog.unknown_feature"


@COLOURS
def test_an_outage_at_a_cold_start_knows_nothing(kind):
    client = kind.open("memory://", catalog=CATALOG)

    with sandbox(client) as inside:
        inside.subscribe("acme", "pro")
        assert allowed(client, "acme", "crm")
        with inside.outage() as faults:
            assert answer(client.check("acme", "crm")).reason == "store.unavailable"
            assert answer(client.check("acme", "hr")).reason == "store.failed_open"
            with pytest.raises(StoreUnavailable):
                answer(client.require("acme", "crm"))
            assert faults is inside.faults
        assert allowed(client, "acme", "crm")


@COLOURS
def test_an_outage_minutes_after_a_good_time_repeats_grants(kind):
    clock = FakeClock(NOON)
    client = kind.open("memory://", catalog=CATALOG)

    with sandbox(client, clock=clock) as inside:
        assert allowed(client, "acme", "crm")
        with inside.outage(is_warm=True):
            decision = answer(client.check("acme", "crm"))
            assert (decision.allowed, decision.degraded) == (True, True)
            assert answer(client.check("acme", "crm.export")).reason == "store.unavailable"
        assert not answer(client.check("acme", "crm")).degraded


@COLOURS
def test_an_outage_that_lasts_outlives_what_was_known(kind):
    """
    Time goes on in an outage; grants are repeated for five minutes.
    """
    clock = FakeClock(NOON)
    client = kind.open("memory://", catalog=CATALOG)

    with sandbox(client, clock=clock) as inside:
        assert allowed(client, "acme", "crm")
        with inside.outage(is_warm=True):
            clock.advance(minutes=5)
            assert allowed(client, "acme", "crm")
            clock.advance(seconds=1)
            assert answer(client.check("acme", "crm")).reason == "store.unavailable"


@COLOURS
def test_an_outage_inside_an_outage_does_not_end_it(kind):
    client = kind.open("memory://", catalog=CATALOG)

    with sandbox(client) as inside, inside.outage():
        with inside.outage():
            pass
        assert answer(client.check("acme", "crm")).reason == "store.unavailable"


@COLOURS
def test_the_hosts_own_subscriptions_are_not_asked_inside(kind):
    def sold(tenant: str) -> Subscription:
        return Subscription(plan="pro")

    client = kind.open("memory://", catalog=CATALOG, subscriptions=sold)
    assert allowed(client, "acme", "hr")

    with sandbox(client):
        assert not allowed(client, "acme", "hr")
    assert allowed(client, "acme", "hr")


@COLOURS
def test_counts_are_those_of_the_sandbox(kind):
    client = kind.open("memory://", catalog=CATALOG, strict=False)
    answer(client.check("acme", "nothing"))
    before = dict(client.counts)

    with sandbox(client) as inside:
        assert inside.counts == client.counts == {}
        answer(client.check("acme", "nothing"))
        assert inside.counts == {("decision", "nothing", "catalog.unknown_feature"): 1}

    assert client.counts == before


def test_verbs_are_plain_calls_in_asynchronous_tests():
    client = AsyncEntitlements.open("memory://", catalog=CATALOG)

    async def story():
        with sandbox(client) as inside:
            inside.subscribe("acme", "pro")
            with inside.override("acme", "crm", DENY):
                denied = (await client.check("acme", "crm")).allowed
            return denied, (await client.check("acme", "crm")).allowed

    assert asyncio.run(story()) == (False, True)


def test_a_synchronous_client_refuses_to_wait_in_an_event_loop_as_in_production():
    """
    A test that passes must not hide what would fail behind a real store.
    """
    client = Entitlements.open("memory://", catalog=CATALOG)

    async def story():
        with sandbox(client):
            client.check("acme", "crm")

    with pytest.raises(TypeError, match="Use AsyncEntitlements in coroutines"):
        asyncio.run(story())


def test_a_client_without_a_catalog_has_nothing_to_publish():
    with pytest.raises(ConfigurationError, match="opened without catalog="), sandbox(Entitlements.open("memory://")):
        pass


def test_a_clock_of_another_kind_is_refused():
    client = Entitlements.open("memory://", catalog=CATALOG)

    with pytest.raises(TypeError, match="give a FakeClock"), sandbox(client, clock=lambda: 0.0):
        pass
