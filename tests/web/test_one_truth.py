"""One request has one truth, also in threads, in streams and in what runs afterwards; and no loop waits for a store."""

# Without `from __future__ import annotations`: FastAPI evaluates annotations, and those below name local values.

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from typing import Annotated

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from fastapi.responses import StreamingResponse
from httpx2 import ASGITransport, AsyncClient

from payaid_entitlements import (
    AsyncEntitlements,
    Entitlements,
    TenantView,
    current_tenant,
    require_feature,
    require_module,
)
from payaid_entitlements.errors import NoCurrentTenant
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.testing import FaultyStore
from payaid_entitlements.testing.faults import Faults
from payaid_entitlements.web.fastapi import Gate
from tests.web.conftest import CATALOG, ask, asked, login


def test_a_change_in_the_middle_of_a_request_does_not_divide_it(inside, gate):
    app = FastAPI()

    @app.get("/hr", dependencies=[gate.require_module("hr")])
    async def people(tenant: Annotated[TenantView, gate.tenant]) -> list[bool]:
        inside.admin().suspend("pro")
        guarded = await export()
        return [tenant.check("hr").allowed, current_tenant().check("hr").allowed, guarded]

    @require_feature("crm.export")
    async def export() -> bool:
        return True

    gate.init_app(app)

    assert asked(app, "GET", "/hr", "pro") == (200, [True, True, True])
    assert asked(app, "GET", "/hr", "pro") == (403, "subscription.suspended")


def test_who_has_just_paid_is_not_refused_by_an_old_copy(inside, gate, clock):
    """
    Another process sold it: before anybody is turned away, the store is asked, and all of the request sees the answer.
    """
    app = FastAPI()

    @app.get("/hr", dependencies=[gate.require_module("crm"), gate.require_module("hr")])
    async def people(tenant: Annotated[TenantView, gate.tenant]) -> list[str | None]:
        return [tenant.plan, current_tenant().plan]

    gate.init_app(app)
    assert asked(app, "GET", "/hr", "free") == (402, "plan.module_absent")

    _sell_elsewhere(inside, "free", "pro")
    clock.advance(seconds=1.5)

    assert asked(app, "GET", "/hr", "free") == (200, ["pro", "pro"])


def test_a_view_that_is_given_after_a_gate_was_sure_is_the_newer_one(inside, gate, clock):
    """
    A request never falls back behind what it was told.
    """
    app = FastAPI()

    async def early(tenant: Annotated[TenantView, gate.tenant]) -> str | None:
        return tenant.plan

    @app.get("/hr", dependencies=[Depends(early), gate.require_module("hr")])
    async def people(
        before: Annotated[str | None, Depends(early)], tenant: Annotated[TenantView, gate.tenant]
    ) -> list[str | None]:
        return [before, tenant.plan, current_tenant().plan]

    gate.init_app(app)
    assert ask(app, "GET", "/hr", "free").status_code == 402

    _sell_elsewhere(inside, "free", "pro")
    clock.advance(seconds=1.5)
    assert asked(app, "GET", "/hr", "free") == (200, ["free", "pro", "pro"])


def _sell_elsewhere(inside, tenant, plan):
    """As a worker does that shares the store and nothing else."""
    worker = Entitlements(inside._driver.store.inner, catalog=CATALOG, clock=inside.clock)
    worker.admin("worker", because="sold").subscribe(tenant, plan)
    worker.close()


# -- guards on routes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", ["async def", "def", "async generator", "generator"])
def test_guards_on_routes_ask_the_tenant_that_the_gate_has_bound(gate, colour):
    app = FastAPI()
    route = app.get("/hr", dependencies=[gate.tenant])

    if colour == "async def":

        @route
        @require_module("hr")
        async def people() -> list[str]:
            return ["asha"]
    elif colour == "async generator":

        @route
        @require_module("hr")
        async def people() -> AsyncIterable[str]:
            yield "asha"
    elif colour == "generator":

        @route
        @require_module("hr")
        def people() -> Iterator[str]:
            yield "asha"
    else:

        @route
        @require_module("hr")
        def people() -> list[str]:
            return ["asha"]

    gate.init_app(app, unguarded="refuse")

    assert ask(app, "GET", "/hr", "pro").text.strip() in ('["asha"]', '"asha"')
    assert asked(app, "GET", "/hr", "free") == (402, "plan.module_absent")
    assert ask(app, "GET", "/hr", "paused").status_code == 200


@pytest.mark.parametrize("colour", ["async def", "def", "async generator", "generator"])
def test_guards_on_routes_are_sure_before_they_refuse(inside, gate, clock, colour):
    """
    Also a generator, which cannot wait for the store any more: a stream that has begun could only break.
    """
    app = FastAPI()
    _guarded(app, gate, colour)
    gate.init_app(app)
    assert asked(app, "GET", "/hr", "free") == (402, "plan.module_absent")

    _sell_elsewhere(inside, "free", "pro")
    clock.advance(seconds=1.5)  # the copy may be believed for two, and be refused by for one
    assert ask(app, "GET", "/hr", "free").status_code == 200

    clock.advance(seconds=1.5)
    assert asked(app, "GET", "/hr", "other") == (402, "plan.module_absent")


@pytest.mark.parametrize("colour", ["async def", "def", "async generator", "generator"])
def test_guards_on_routes_answer_503_in_an_outage(inside, gate, colour):
    app = FastAPI()
    _guarded(app, gate, colour)
    gate.init_app(app)

    with inside.outage():
        assert asked(app, "GET", "/hr", "free") == (503, "store.unavailable")


def _guarded(app, gate, colour):
    async def coroutine() -> list[str]:
        return ["asha"]

    def plain() -> list[str]:
        return ["asha"]

    async def async_generator() -> AsyncIterable[str]:
        yield "asha"

    def generator() -> Iterator[str]:
        yield "asha"

    kinds = {"async def": coroutine, "def": plain, "async generator": async_generator, "generator": generator}
    app.get("/hr", dependencies=[gate.tenant])(require_module("hr")(kinds[colour]))


def test_a_guard_that_names_its_argument_needs_no_gate(ent):
    app = FastAPI()

    @app.get("/{org}/hr")
    @require_module("hr", tenant="org", client=ent)
    async def people(org: str) -> str:
        return current_tenant().tenant

    Gate(ent, tenant=login).init_app(app, unguarded="refuse")

    assert asked(app, "GET", "/pro/hr", None) == (200, "pro")
    assert asked(app, "GET", "/free/hr", None) == (402, "plan.module_absent")


# -- streams, and what runs afterwards --------------------------------------------------------------------------------


def test_the_tenant_stays_bound_until_the_last_byte_and_for_background_tasks(gate):
    app = FastAPI()
    seen = []

    def note() -> None:
        seen.append(current_tenant().tenant)

    async def note_async() -> None:
        seen.append(current_tenant().tenant)

    async def rows() -> AsyncIterator[str]:
        yield current_tenant().tenant
        yield current_tenant().tenant

    @app.get("/rows", dependencies=[gate.require_module("hr")])
    async def stream(tasks: BackgroundTasks) -> StreamingResponse:
        tasks.add_task(note)
        tasks.add_task(note_async)
        return StreamingResponse(rows())

    gate.init_app(app)

    assert ask(app, "GET", "/rows", "pro").text == "propro"
    assert seen == ["pro", "pro"]


def test_a_refusal_after_the_first_byte_breaks_the_stream(gate):
    """
    The status is out; what must not be sent is not sent.
    """
    app = FastAPI()

    async def rows() -> AsyncIterator[str]:
        yield "public,"
        current_tenant().require("hr")
        yield "secret"

    @app.get("/rows", dependencies=[gate.tenant])
    async def stream() -> StreamingResponse:
        return StreamingResponse(rows())

    gate.init_app(app)

    with pytest.raises(RuntimeError, match="response already started"):
        _strictly(app, "/rows", "free")


def _strictly(app, path, tenant):
    from fastapi.testclient import TestClient

    return TestClient(app).get(path, headers={"x-tenant": tenant})


@pytest.mark.parametrize("ending", ["answer", "refusal", "error"])
def test_nothing_stays_bound_after_a_request(gate, ending):
    """
    In-process clients run the app in the task of the test itself.
    """
    app = FastAPI()

    @app.get("/hr", dependencies=[gate.require_module("hr")])
    async def people() -> str:
        if ending == "error":
            raise ZeroDivisionError
        return "people"

    @app.get("/open")
    async def unguarded() -> str:
        return current_tenant().tenant

    gate.init_app(app)

    async def story() -> int:
        async with AsyncClient(transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://test") as web:
            status = (await web.get("/hr", headers={"x-tenant": "free" if ending == "refusal" else "pro"})).status_code
            with pytest.raises(NoCurrentTenant):
                current_tenant()
            assert (await web.get("/open")).status_code == 500
        return status

    assert asyncio.run(story()) == {"answer": 200, "refusal": 402, "error": 500}[ending]


def test_requests_at_the_same_time_do_not_see_one_another(gate):
    app = FastAPI()
    all_here = asyncio.Event()
    inside = []

    @app.get("/me")
    async def me(tenant: Annotated[TenantView, gate.tenant]) -> bool:
        inside.append(tenant.tenant)
        if len(inside) == 20:
            all_here.set()
        await all_here.wait()
        return current_tenant().tenant == tenant.tenant

    gate.init_app(app)

    async def story() -> list[object]:
        async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as web:
            asking = [web.get("/me", headers={"x-tenant": f"t{number}"}) for number in range(20)]
            return [response.json() for response in await asyncio.gather(*asking)]

    assert asyncio.run(story()) == [True] * 20
    assert sorted(inside) == sorted(f"t{number}" for number in range(20))


# -- no event loop waits for a store ----------------------------------------------------------------------------------


class Held:
    """Holds every call of a store until the event loop has shown that it runs; more than a second is a failure."""

    def __init__(self) -> None:
        self.is_free = threading.Event()
        self.threads: set[int] = set()

    def __call__(self, name: str) -> None:
        self.threads.add(threading.get_ident())
        if not self.is_free.wait(5):
            raise AssertionError(f"the event loop stood still while the store was asked to {name}")


@pytest.mark.parametrize("when", ["cold", "unsure", "answer", "guard"])
def test_a_synchronous_store_is_never_asked_in_the_event_loop(clock, when):
    """
    The store answers only after the loop has run another request; were it asked in the loop, nobody would be served.
    """
    faults = Faults()
    ent = Entitlements(FaultyStore(MemoryStore(), faults), catalog=CATALOG, clock=clock)
    ent.admin("test", because="test").subscribe("pro", "pro")
    gate = Gate(ent, tenant=login)
    app = FastAPI()

    @app.get("/hr", dependencies=[gate.require_module("hr")])
    async def people() -> str:
        return "people"

    @app.get("/guarded", dependencies=[gate.tenant])
    @require_module("hr")
    async def guarded() -> str:
        return "people"

    refusal = ent.check("free", "hr")

    @app.get("/own")
    async def own() -> None:
        refusal.or_raise(tenant="free")

    @app.get("/tick")
    async def tick() -> str:
        held.is_free.set()
        return "tick"

    gate.init_app(app)
    held = Held()
    path, tenant, status = {
        "cold": ("/hr", "new", 402),
        "unsure": ("/hr", "free", 402),
        "answer": ("/own", None, 402),
        "guard": ("/guarded", "free", 402),
    }[when]
    clock.advance(seconds={"cold": 0, "unsure": 1.5, "answer": 10, "guard": 1.5}[when])
    faults.before = held
    faults.calls.clear()

    async def story() -> tuple[int, int]:
        async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as web:
            slow = asyncio.create_task(web.get(path, headers={"x-tenant": tenant} if tenant else {}))
            while not held.threads and not slow.done():
                await asyncio.sleep(0)
            tick = await web.get("/tick")
            return (await slow).status_code, tick.status_code

    assert asyncio.run(story()) == (status, 200)
    assert threading.get_ident() not in held.threads
    assert faults.calls != []
    ent.close()


def test_a_guard_in_a_thread_does_not_wait_for_ever_for_the_loop(clock, monkeypatch):
    """
    The loop is busy or the store hangs: that is an outage, not an unknown error.
    """
    monkeypatch.setattr("payaid_entitlements.binding.PATIENCE", 0.05)
    faults = Faults()
    memory = MemoryStore()
    ent = AsyncEntitlements(_Hanging(AsyncMemoryStore(memory), faults), catalog=CATALOG, clock=clock)
    gate = Gate(ent, tenant=login)
    app = FastAPI()

    @app.get("/hr", dependencies=[gate.tenant])
    def people() -> str:
        clock.advance(seconds=1.5)
        faults.is_down = True
        return hire()

    @require_module("hr")
    def hire() -> str:
        return "hired"

    gate.init_app(app)

    assert asked(app, "GET", "/hr", "free") == (503, "store.unavailable")


class _Hanging(FaultyStore):
    """Hangs where another store would be down."""

    def __getattr__(self, name: str) -> object:
        found = getattr(self.inner, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def call(*args: object, **named: object) -> object:
            if self.faults.is_down:
                await asyncio.Event().wait()
            return await found(*args, **named)

        return call
