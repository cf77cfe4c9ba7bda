"""A binding that finds out whose request it is when somebody asks: in coroutines, plain functions and threads."""

import asyncio
import threading
from datetime import timedelta

import pytest

from payaid_entitlements import (
    AsyncEntitlements,
    Entitlements,
    current_tenant,
    current_tenant_async,
    rate_limit,
    require_module,
)
from payaid_entitlements.binding import CURRENT, AsyncBinding, SyncBinding, bound
from payaid_entitlements.errors import NoCurrentTenant, NotEntitled, StoreUnavailable, TenantUnidentified, ViewExpired
from payaid_entitlements.testing import sandbox
from payaid_entitlements.web.finding import LazyBinding, identified, view_of, view_of_refused_async

pytestmark = pytest.mark.anyio

LIMITED = {
    "catalog": 1,
    "default_plan": "free",
    "modules": {"crm": {}, "hr": {}},
    "plans": {"free": {"modules": ["crm"]}, "pro": {"modules": ["crm", "hr"]}},
    "rate_limits": {"calls": {"default": "2/hour"}},
}


@pytest.fixture
def anyio_backend():
    """What the library runs on."""
    return "asyncio"


@pytest.fixture
def limited(request, clock):
    with sandbox(AsyncEntitlements.open("memory://", catalog=LIMITED), clock=clock) as inside:
        yield inside.client


class Finder:
    """Says whose request it is, and how often it was asked."""

    def __init__(self, tenant="pro", user=None):
        self.who = tenant, user
        self.times = 0

    def __call__(self):
        self.times += 1
        return self.who

    async def later(self):
        await asyncio.sleep(0)
        return self()


def lazily(ent, find=None, **more):
    """As a middleware of an asynchronous app does it."""
    return LazyBinding(ent, find or Finder(), loop=asyncio.get_running_loop(), **more)


@require_module("hr")
async def payroll():
    return current_tenant().tenant


@require_module("hr")
def payslip():
    return current_tenant().tenant


class Silent:
    """A client whose store gives no answer in time."""

    def peek_tenant(self, tenant, *, user=None):
        """Nothing is near."""

    def tenant(self, tenant, *, user=None):
        """As where too many wait already."""
        raise StoreUnavailable("waited")


# -- in coroutines ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_awaited", [False, True])
async def test_it_is_found_once_at_the_first_question(ent, is_awaited):
    finder = Finder(user="ada")
    binding = lazily(ent, finder.later if is_awaited else finder)
    assert (binding.is_found, finder.times) == (False, 0)
    with pytest.raises(NoCurrentTenant):
        await current_tenant_async()
    token = CURRENT.set(binding)
    try:
        assert await payroll() == "pro"
        assert (await current_tenant_async()).user == "ada"
        assert current_tenant() is binding.view
    finally:
        CURRENT.reset(token)
    assert (binding.is_found, finder.times) == (True, 1)
    assert isinstance(binding._inner, AsyncBinding if isinstance(ent, AsyncEntitlements) else SyncBinding)


async def test_two_that_ask_at_once_get_the_same(ent):
    finder = Finder()
    binding = lazily(ent, finder.later)
    views = await asyncio.gather(binding.found_async(), binding.found_async())
    assert views[0] is views[1] is binding.view


async def test_a_plain_function_is_answered_by_what_is_near(ent):
    await view_of(ent, "pro")
    with_bound = lazily(ent)
    token = CURRENT.set(with_bound)
    try:
        assert payslip() == "pro"
    finally:
        CURRENT.reset(token)
    with bound(lazily(ent)) as view:
        assert view.tenant == "pro"


async def test_a_plain_function_cannot_wait_for_what_is_not_near(ent):
    with pytest.raises(TypeError, match="event loop"):
        _ = lazily(ent).view
    with pytest.raises(TypeError, match=r"await current_tenant_async\(\)"):
        _ = lazily(ent, Finder().later).view

    def future():
        return asyncio.get_running_loop().create_future()

    with pytest.raises(TypeError, match=r"await current_tenant_async\(\)"):
        _ = lazily(ent, future).view


async def test_who_is_refused_was_asked_for_again(inside, ent, clock):
    binding = lazily(ent, Finder("free"))
    await binding.found_async()
    clock.advance(timedelta(seconds=3))
    inside.subscribe("free", "pro")
    token = CURRENT.set(binding)
    try:
        assert await payroll() == "free"
    finally:
        CURRENT.reset(token)


async def test_it_may_be_confirmed_before_it_was_found(ent):
    assert (await lazily(ent).confirmed_async()).tenant == "pro"
    await view_of(ent, "pro")
    assert lazily(ent).confirmed().tenant == "pro"


async def test_nobody_is_never_somebody(ent):
    for who in ((None, None), ("", None), ("None", None), ("pro", "")):
        with pytest.raises(TenantUnidentified):
            await lazily(ent, lambda who=who: who).found_async()
        with pytest.raises(TenantUnidentified):
            identified(who)
    with pytest.raises(TypeError, match="a int; it must be a str or None"):
        await lazily(ent, lambda: (7, None)).found_async()


async def test_an_address_is_asked_for_when_somebody_counts_by_it(ent):
    asked = []

    def address():
        asked.append(1)
        return "203.0.113.9"

    binding = lazily(ent, address=address)
    await binding.found_async()
    # Once, and not before.
    assert (binding.address, binding.address, len(asked)) == ("203.0.113.9", "203.0.113.9", 1)
    assert lazily(ent).address is None


# -- using something up ------------------------------------------------------------------------------------------------


@rate_limit("calls")
async def counted():
    return "counted"


@rate_limit("calls")
def counted_plainly():
    return "counted"


async def test_limits_are_told_to_whoever_reads_them(limited):
    binding = lazily(limited)
    token = CURRENT.set(binding)
    try:
        assert await counted() == "counted"
        assert await asyncio.to_thread(counted_plainly) == "counted"
        with pytest.raises(TypeError, match="coroutine"):
            counted_plainly()
    finally:
        CURRENT.reset(token)
    assert [each.policies[0].remaining for each in binding.outcomes] == [1, 0]


async def test_a_client_that_waits_does_so_in_a_thread(clock):
    with sandbox(Entitlements.open("memory://", catalog=LIMITED), clock=clock) as inside:
        binding = lazily(inside.client)
        token = CURRENT.set(binding)
        try:
            assert await counted() == "counted"
        finally:
            CURRENT.reset(token)
        here = threading.get_ident()
        assert await binding.act_async(lambda client: threading.get_ident()) != here
        assert binding.act(lambda client: threading.get_ident()) == here


async def test_without_a_loop_nobody_can_wait_for_a_coroutine(ent):
    await view_of(ent, "pro")
    binding = LazyBinding(ent, Finder())
    if isinstance(ent, AsyncEntitlements):
        with pytest.raises(TypeError, match="cannot wait"):
            await asyncio.to_thread(binding.act, lambda client: client.tenant("pro"))
        return
    assert binding.act(lambda client: client.peek_tenant("pro")) is not None


# -- in threads --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_awaited", [False, True])
async def test_a_thread_that_works_for_a_request_asks_its_loop(ent, is_awaited):
    finder = Finder()
    binding = lazily(ent, finder.later if is_awaited else finder)
    token = CURRENT.set(binding)
    try:
        assert await asyncio.gather(*(asyncio.to_thread(payslip) for _ in range(3))) == ["pro"] * 3
    finally:
        CURRENT.reset(token)
    assert (await asyncio.to_thread(binding.confirmed)).tenant == "pro"


async def test_a_thread_hears_what_went_wrong(ent):
    def refused():
        with pytest.raises(TenantUnidentified):
            _ = lazy.view

    lazy = lazily(ent, Finder(None))
    await asyncio.to_thread(refused)


def test_in_an_app_of_threads_the_store_is_asked(inside):
    if isinstance(inside.client, AsyncEntitlements):
        with pytest.raises(TypeError, match="not near"):
            _ = LazyBinding(inside.client, Finder()).view
        return
    finder = Finder()
    binding = LazyBinding(inside.client, finder, "read")
    token = CURRENT.set(binding)
    try:
        assert payslip() == "pro"
        assert LazyBinding(inside.client, Finder("free")).confirmed().tenant == "free"
    finally:
        CURRENT.reset(token)
    assert (binding.access, finder.times) == ("read", 1)
    with pytest.raises(TypeError, match="current_tenant_async"):
        _ = LazyBinding(inside.client, Finder().later).view


async def test_a_view_is_for_one_request(inside, ent, clock):
    binding = lazily(ent)
    token = CURRENT.set(binding)
    try:
        await payroll()
        clock.advance(timedelta(hours=2))
        with pytest.raises(ViewExpired):
            await payroll()
        with pytest.raises(ViewExpired):
            await current_tenant_async()
    finally:
        CURRENT.reset(token)


async def test_bindings_that_are_made_of_a_view_have_found_it(ent):
    view = await view_of(ent, "free")
    kind = AsyncBinding if isinstance(ent, AsyncEntitlements) else SyncBinding
    binding = kind(view, ent)
    assert binding.is_found
    assert await binding.found_async() is view
    token = CURRENT.set(binding)
    try:
        with pytest.raises(NotEntitled):
            await payroll()
    finally:
        CURRENT.reset(token)


async def test_what_refused_somebody_is_known_as_far_as_it_may_be_known(ent):
    async def told(binding, tenant):
        error = await refusal_of(tenant)
        view = await view_of_refused_async(binding, error)
        return None if view is None else view.tenant

    async def refusal_of(tenant):
        with pytest.raises(NotEntitled) as refused:
            (await view_of(ent, tenant)).require("hr")
        return refused.value

    lazy = lazily(ent, Finder("free"))
    assert await told(lazy, "free") == "free"
    assert not lazy.is_found
    await lazy.found_async()
    assert (await told(lazy, "free"), await told(lazy, "other")) == ("free", None)
    assert await view_of_refused_async(lazy, TenantUnidentified("nobody")) is None

    assert await view_of_refused_async(lazily(Silent()), await refusal_of("gone")) is None


async def test_a_thread_does_not_wait_for_ever(ent, monkeypatch):
    monkeypatch.setattr("payaid_entitlements.web.finding.PATIENCE", 0.05)

    async def never():
        await asyncio.sleep(60)

    def asks():
        with pytest.raises(StoreUnavailable, match=r"waited 0\.05 s for the event loop"):
            _ = lazy.view

    lazy = lazily(ent, never)
    await asyncio.to_thread(asks)


def test_a_loop_that_has_ended_answers_nobody(ent):
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(StoreUnavailable, match="has ended"):
        _ = LazyBinding(ent, Finder(), loop=loop).view
