"""What a request uses up, and what becomes of it by how the request ends; around apps of ASGI and of WSGI."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from payaid_entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.binding import AsyncBinding, SyncBinding
from payaid_entitlements.errors import OperationUnnamed, QuotaExceeded
from payaid_entitlements.testing import FakeClock, sandbox
from payaid_entitlements.web.request import EnvironRequest, ScopeRequest
from payaid_entitlements.web.settling import settled
from payaid_entitlements.web.taking import Takings, named, operation_of, take, take_async
from tests.holding.conftest import CATALOG
from tests.web.conftest import NOW


@pytest.fixture(params=[Entitlements, AsyncEntitlements], ids=["sync", "async"])
def inside(request):
    with sandbox(request.param.open("memory://", catalog=CATALOG), clock=FakeClock(NOW)) as found:
        found.subscribe("acme", "pro")
        yield found


def used(inside):
    return inside.usage("acme", "crm.pages").used


async def binding_by(client):
    if isinstance(client, AsyncEntitlements):
        return AsyncBinding(await client.tenant("acme"), client)
    return SyncBinding(await asyncio.to_thread(client.tenant, "acme"), client)


def asgi(inside, app, send=None, **more):
    """Have *app* answer a request that has taken four pages before; gives the messages, or what was raised."""
    sent = []

    async def collect(message):
        sent.append(message)

    async def taking(scope, receive, tell):
        scope["takings"].add(await take_async(scope["binding"], {"crm.pages": 4}, "page:1", **more))
        assert used(inside) == 4
        await app(scope, receive, tell)

    async def run():
        takings = Takings()
        binding = await binding_by(inside.client)
        await settled(taking, {"type": "http", "takings": takings, "binding": binding}, None, send or collect, takings)

    try:
        asyncio.run(run())
    except BaseException as error:
        return type(error)
    return [message.get("status") or message["body"] for message in sent]


def start(status):
    return {"type": "http.response.start", "status": status, "headers": []}


def body(content, more_body=False):
    return {"type": "http.response.body", "body": content, "more_body": more_body}


@pytest.mark.parametrize(("status", "stays"), [(200, 4), (303, 4), (404, 0), (422, 0), (500, 0)])
def test_an_answer_that_says_failure_gives_back(inside, status, stays):
    async def app(scope, receive, send):
        await send(start(status))
        # Before the first byte: whoever has it and asks again finds all there.
        assert used(inside) == stays
        await send(body(b"it"))

    assert asgi(inside, app) == [status, b"it"]
    assert used(inside) == stays


def test_the_host_says_what_failure_is(inside):
    async def app(scope, receive, send):
        await send(start(404))
        await send(body(b""))

    assert asgi(inside, app, failing=lambda status: status >= 500) == [404, b""]
    assert used(inside) == 4


def test_an_exception_gives_back_also_in_the_middle_of_a_stream(inside):
    async def at_once(scope, receive, send):
        raise ZeroDivisionError

    async def in_the_middle(scope, receive, send):
        await send(start(200))
        await send(body(b"some", more_body=True))
        raise ZeroDivisionError

    for app in (at_once, in_the_middle):
        assert asgi(inside, app) is ZeroDivisionError
        assert used(inside) == 0


def test_what_fails_behind_the_answer_gives_nothing_back(inside):
    """A background task."""

    async def app(scope, receive, send):
        await send({"type": "http.response.informational", "status": 103})
        await send(start(200))
        await send(body(b"all"))
        raise ZeroDivisionError

    assert asgi(inside, app) is ZeroDivisionError
    assert used(inside) == 4


def test_who_stops_reading_has_had_it(inside):
    """As servers tell it: sending raises, or the task is cancelled."""

    async def gone(message):
        if message["type"] == "http.response.body":
            raise OSError("nobody there")

    async def stream(scope, receive, send):
        await send(start(200))
        while True:
            await send(body(b"more", more_body=True))

    async def cancelled(scope, receive, send):
        await send(start(200))
        raise asyncio.CancelledError

    assert asgi(inside, stream, gone) is OSError
    assert used(inside) == 4
    assert asgi(inside, cancelled) is asyncio.CancelledError
    assert used(inside) == 4


def test_a_task_that_is_cancelled_before_it_answers_gives_back(inside):
    async def app(scope, receive, send):
        raise asyncio.CancelledError

    assert asgi(inside, app) is asyncio.CancelledError
    assert used(inside) == 0


def test_a_task_that_is_cancelled_while_it_takes_has_taken_nothing():
    async def run():
        async with AsyncEntitlements.open("memory://", catalog=CATALOG) as ent:
            await ent.admin("test", because="test").publish(CATALOG)
            await ent.admin("test", because="test").subscribe("acme", "pro", operation="s")
            binding = await binding_by(ent)
            task = asyncio.create_task(take_async(binding, {"crm.pages": 4}, "page:1"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await ent.usage("acme"))["crm.pages"].used == 0

    asyncio.run(run())


# -- repetitions ------------------------------------------------------------------------------------------------------


def test_a_repetition_is_free_and_says_so_and_gives_nothing_back():
    with sandbox(Entitlements.open("memory://", catalog=CATALOG), clock=FakeClock(NOW)) as inside:
        inside.subscribe("acme", "pro")
        binding = SyncBinding(inside.client.tenant("acme"), inside.client)
        first, second = (take(binding, {"crm.pages": 4}, "page:1") for _ in range(2))

        assert (first.is_repeated, second.is_repeated) == (False, True)
        assert second.usages["crm.pages"].replayed
        assert (second.is_owed(500), first.is_owed(500)) == (False, True)
        second.give_back()
        assert used(inside) == 4
        first.give_back()
        first.give_back()
        assert used(inside) == 0
        # It was given back, so the next one pays; under a name by which the host can refund it.
        third = take(binding, {"crm.pages": 4}, "page:1")
        assert not third.is_repeated
        inside.client.refund("acme", operation=third.operation)
        assert used(inside) == 0
        with pytest.raises(QuotaExceeded):
            take(binding, {"crm.pages": 11}, "page:2")


def test_what_comes_before_an_answer_is_none():
    """A server may say 103, and then fail."""
    takings = Takings()

    takings.answer(103)
    assert not takings.is_answered
    takings.answer(200)
    assert takings.is_answered


def test_nothing_is_given_back_twice():
    async def run():
        async with AsyncEntitlements.open("memory://", catalog=CATALOG) as ent:
            await ent.admin("test", because="test").publish(CATALOG)
            await ent.admin("test", because="test").subscribe("acme", "pro", operation="s")
            taken = await take_async(await binding_by(ent), {"crm.pages": 4}, "page:1")
            await asyncio.gather(taken.give_back_async(), taken.give_back_async())
            assert (await ent.usage("acme"))["crm.pages"].used == 0

    asyncio.run(run())


# -- names ------------------------------------------------------------------------------------------------------------


def keyed(*keys, method="POST", path="/pages"):
    headers = [(b"idempotency-key", key.encode()) for key in keys]
    return ScopeRequest({"method": method, "path": path, "headers": headers})


def test_a_key_is_bound_to_what_is_asked_for_and_by_whom():
    name = operation_of(keyed("k-1"), "ann")

    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/pages", "HTTP_IDEMPOTENCY_KEY": '"k-1"'}
    assert operation_of(EnvironRequest(environ), "ann") == name
    others = [
        operation_of(keyed("k-2"), "ann"),
        operation_of(keyed("k-1"), "bob"),
        operation_of(keyed("k-1"), None),
        operation_of(keyed("k-1", method="PUT"), "ann"),
        operation_of(keyed("k-1", path="/pages/"), "ann"),
    ]
    assert len({name, *others}) == 6
    assert named(operation_of(keyed("null", path="/undefined"), "ann")), "a digest identifies whatever it is of"


@pytest.mark.parametrize("keys", [(), ("",), ('""',), ("a", "a"), ("a" * 256,), ("a\tb",)])
def test_without_one_key_nothing_is_named(keys):
    with pytest.raises(OperationUnnamed, match="Idempotency-Key"):
        operation_of(keyed(*keys))


@pytest.mark.parametrize("operation", [None, "", "import:None", ("import", None), "x" * 256])
def test_what_a_client_leaves_out_is_no_mistake_of_the_host(operation):
    with pytest.raises(OperationUnnamed):
        named(operation)


def test_another_kind_of_name_is():
    assert named(UUID(int=7)) == f"uuid:{UUID(int=7)}"
    with pytest.raises(TypeError, match="operation must be"):
        named(7)
