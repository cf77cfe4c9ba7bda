"""Guards that limit how often a function is called, before they ask anything else; and those that wait for room."""

from __future__ import annotations

import asyncio
import time
import weakref
from datetime import timedelta

import pytest

from payaid_entitlements import (
    AsyncEntitlements,
    Catalog,
    Entitlements,
    client,
    consume_quota,
    current_tenant,
    entitlements,
    rate_limit,
    require_feature,
    require_flag,
)
from payaid_entitlements.errors import (
    ConfigurationError,
    NoCurrentTenant,
    NotEntitled,
    RateLimited,
    UnknownRateLimit,
    ViewExpired,
)
from payaid_entitlements.guards import rules_of, whom

CATALOG = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "modules": {"crm": {"features": {"export": {"kind": "switch"}, "imports": {"kind": "quota"}}}},
        "plans": {
            "free": {"modules": ["crm"], "features": {"crm.imports": "5/month"}},
            "pro": {"extends": "free", "features": {"crm.export": True}},
        },
        "rate_limits": {
            "api": {"default": "2/hour"},
            "mine": {"per": "user", "default": "1/hour"},
            "login": {"per": "address", "default": "1/hour"},
            "quick": {"default": "50/second", "burst": 1},
            "brisk": {"default": "2000/second", "burst": 1},
        },
        "flags": {"beta": {"owner": "crm@example.com", "remove_by": "2099-01-01"}},
    }
)


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    """A guard asks the only client that is open: here that is one which the test itself opens."""
    opened = weakref.WeakSet()
    for module in (client, entitlements, whom):
        monkeypatch.setattr(module, "OPENED", opened)


@pytest.fixture
def ent():
    with Entitlements.open("memory://", catalog=CATALOG) as found:
        yield found


def in_async(work):
    """What comes of *work*, a coroutine function that is given a client."""

    async def main():
        async with AsyncEntitlements.open("memory://", catalog=CATALOG) as found:
            return await work(found)

    return asyncio.run(main())


@rate_limit("api")
def plain():
    return current_tenant().tenant


@rate_limit("api")
async def awaited():
    return current_tenant().tenant


@rate_limit("api")
def items():
    yield from (1, 2)


@rate_limit("api")
async def stream():
    yield 1
    yield 2


def test_a_plain_function(ent):
    with ent.bind("acme"):
        assert plain() == plain() == "acme"
        with pytest.raises(RateLimited) as raised:
            plain()
    assert (raised.value.tenant, raised.value.outcome.key) == ("acme", "api")
    with ent.bind("zoho"):
        assert plain() == "zoho"
    with pytest.raises(NoCurrentTenant):
        plain()


def test_a_coroutine_function():
    async def work(found):
        async with found.bind("acme"):
            assert [await awaited(), await awaited()] == ["acme", "acme"]
            with pytest.raises(RateLimited):
                await awaited()

    in_async(work)


def test_a_generator_is_counted_when_it_is_called(ent):
    """A stream is refused before its first byte."""
    with ent.bind("acme"):
        assert list(items()) == [1, 2]
        items()
        with pytest.raises(RateLimited):
            items()


def test_an_asynchronous_generator_is_counted_at_its_first_item():
    async def work(found):
        async with found.bind("acme"):
            for _ in range(2):
                assert [each async for each in stream()] == [1, 2]
            refused = stream()
        # Whose call it is was settled when it was called.
        with pytest.raises(RateLimited):
            await anext(refused)
        with pytest.raises(NoCurrentTenant):
            stream()

    in_async(work)


def test_an_argument_names_the_tenant(ent):
    @rate_limit("api", tenant="org")
    @require_feature("crm.export", tenant="org")
    def export(org):
        return current_tenant().tenant

    @rate_limit("api", tenant="org")
    def bare(org):
        return current_tenant().tenant

    assert bare("acme") == "acme"
    with pytest.raises(NotEntitled):
        export("acme")
    with pytest.raises(RateLimited):
        bare("acme")
    ent.admin("test", because="test").subscribe("zoho", "pro")
    assert export("zoho") == "zoho"
    with pytest.raises(ConfigurationError, match="no such parameter"):
        rate_limit("api", tenant="nobody")(lambda org: org)


def test_an_argument_names_the_tenant_in_coroutines():
    @rate_limit("api", tenant="org")
    @require_feature("crm.export", tenant="org")
    async def export(org):
        return current_tenant().tenant

    @rate_limit("api", tenant="org")
    @require_feature("crm.export", tenant="org")
    async def streamed(org):
        yield org

    async def work(found):
        await found.admin("test", because="test").subscribe("acme", "pro")
        assert await export("acme") == "acme"
        assert [each async for each in streamed("acme")] == ["acme"]
        for refused in (export("acme"), anext(streamed("acme"))):
            with pytest.raises(RateLimited):
                await refused
        with pytest.raises(NotEntitled):
            await anext(streamed("zoho"))

    in_async(work)


def test_it_is_asked_before_all_else_however_guards_are_stacked(ent):
    """A call that is refused for its rate uses up no quota; one that is refused otherwise was counted."""
    calls = []

    @consume_quota("crm.imports", operation="import:{job}")
    @require_flag("beta", otherwise=lambda job: "old")
    @require_feature("crm.export")
    @rate_limit("api")
    def run(job):
        calls.append(job)
        return "new"

    with ent.bind("acme"):
        for _ in range(2):
            with pytest.raises(NotEntitled):
                run("one")
        with pytest.raises(RateLimited):
            run("one")
    ent.admin("test", because="test").subscribe("zoho", "pro")
    with ent.bind("zoho"):
        assert run("one") == "old"
    assert calls == []
    assert ent.usage("zoho", "crm.imports")["crm.imports"].used == 0
    rules = rules_of(run)
    assert [each.key for each in rules.limits] == ["api"]
    assert rules.may_refuse


def test_limits_are_asked_in_the_order_in_which_they_stand(ent):
    @rate_limit("login")
    @rate_limit("api", cost=2)
    def enter():
        return True

    with ent.bind("acme", address="192.0.2.1"):
        assert enter()
        with pytest.raises(RateLimited) as raised:
            enter()
        assert raised.value.outcome.key == "login"
    with ent.bind("acme", address="192.0.2.2"), pytest.raises(RateLimited) as raised:
        enter()
    assert raised.value.outcome.key == "api"
    assert ent.rate_limit_status(None, "login", address="192.0.2.2").remaining == 0


def test_the_user_and_the_address_are_those_that_are_bound(ent):
    @rate_limit("mine")
    def mine():
        return True

    for user in ("asha", "bela"):
        with ent.bind("acme", user=user):
            assert mine()
            with pytest.raises(RateLimited):
                mine()
    with ent.bind("acme"), pytest.raises(TypeError, match="user"):
        mine()


def test_the_address_is_bound_in_coroutines():
    @rate_limit("login")
    async def enter():
        return True

    async def work(found):
        async with found.bind("acme", address="192.0.2.1"):
            assert await enter()
            with pytest.raises(RateLimited):
                await enter()
        async with found.bind("acme"):
            with pytest.raises(TypeError, match="address"):
                await enter()

    in_async(work)


def test_waiting_for_room(ent):
    """No longer than was said, in total."""

    @rate_limit("quick", wait=timedelta(seconds=10))
    def patient():
        return time.monotonic()

    @rate_limit("quick", wait=timedelta(milliseconds=1))
    def hasty():
        return True

    with ent.bind("acme"):
        first = patient()
        with pytest.raises(RateLimited):
            hasty()
        assert patient() >= first + 0.015

    async def inside():
        with ent.bind("acme"):
            patient()

    with pytest.raises(TypeError, match="event loop"):
        asyncio.run(inside())


def test_waiting_for_room_in_coroutines():
    @rate_limit("quick", wait=timedelta(seconds=10))
    async def patient():
        return True

    @rate_limit("quick", wait=timedelta(milliseconds=1))
    async def hasty():
        return True

    async def work(found):
        async with found.bind("acme"):
            assert await patient()
            with pytest.raises(RateLimited):
                await hasty()
            assert await asyncio.gather(*(patient() for _ in range(3))) == [True, True, True]

    in_async(work)


def test_what_others_take_meanwhile_is_part_of_the_wait():
    """It is by the clock: each try of these waits half a millisecond, and there are many before it is one's turn."""

    @rate_limit("brisk", wait=timedelta(milliseconds=50))
    async def crowded():
        return True

    async def work(found):
        async with found.bind("acme"):
            return await asyncio.gather(*(crowded() for _ in range(500)), return_exceptions=True)

    outcomes = in_async(work)
    assert any(isinstance(each, RateLimited) for each in outcomes)
    assert True in outcomes


def test_what_a_guard_can_be_told():
    for wrong in ({"cost": -1}, {"cost": 0}, {"wait": timedelta(-1)}):
        with pytest.raises(ConfigurationError):
            rate_limit("api", **wrong)
    for wrong in ({"cost": "1"}, {"wait": 5}):
        with pytest.raises(TypeError):
            rate_limit("api", **wrong)
    with pytest.raises(TypeError):
        rate_limit("")
    assert repr(rate_limit("api")) == "rate_limit('api')"
    with pytest.raises(TypeError, match=r"gate\.rate_limit\('api'\)"):
        rate_limit("api").__signature__  # noqa: B018 - as a framework that is given it looks it up


def test_an_unknown_limit_is_loud(ent):
    @rate_limit("apy")
    def call():
        return True

    with ent.bind("acme"), pytest.raises(UnknownRateLimit):
        call()


def test_a_view_that_is_too_old_limits_nobody(ent, monkeypatch):
    with ent.bind("acme") as view:
        monkeypatch.setattr(view, "_expires", 0.0)
        with pytest.raises(ViewExpired):
            plain()
