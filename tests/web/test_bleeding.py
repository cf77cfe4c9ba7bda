"""However requests are interleaved, in tasks and in threads, nobody is ever asked about another's tenant."""

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from payaid_entitlements import (
    AsyncEntitlements,
    Entitlements,
    current_tenant,
    current_tenant_async,
    require_module,
)
from payaid_entitlements.binding import CURRENT
from payaid_entitlements.testing import FakeClock, sandbox
from payaid_entitlements.web.asgi import EntitlementsMiddleware
from payaid_entitlements.web.routing import Routes
from tests.web.asgi import body_of, heard, scope_of
from tests.web.conftest import CATALOG, NOW

#: Switches from one tenant to another.
SIZES = [500, pytest.param(20_000, marks=pytest.mark.soak)]
TASKS, THREADS = 200, 8
TENANTS = [f"tenant-{number}" for number in range(20)]


@pytest.fixture(params=[Entitlements, AsyncEntitlements], ids=["sync", "async"])
def ent(request):
    with sandbox(request.param.open("memory://", catalog=CATALOG), clock=FakeClock(NOW)) as inside:
        yield inside.client


@require_module("crm")
async def awaited():
    return (await current_tenant_async()).tenant


@require_module("crm")
def plain():
    return current_tenant().tenant


async def app(scope, receive, send):
    """Asks who it is for, again and again, and lets others run meanwhile; sometimes in a thread, sometimes it fails."""
    seen = [await awaited()]
    for step in range(int(scope["query_string"])):
        await asyncio.sleep(0)
        seen.append(await (asyncio.to_thread(plain) if step == 1 else awaited()))
    if scope["path"] == "/fails":
        raise KeyError("x")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await asyncio.sleep(0)
    seen.append(await awaited())
    await send({"type": "http.response.body", "body": " ".join(seen).encode()})


@pytest.mark.parametrize("switches", SIZES)
def test_tasks_that_take_turns(ent, switches):
    wrapped = EntitlementsMiddleware(
        app, ent, tenant=lambda scope: scope["who"], routes=Routes({"/": "crm"}, unmapped="allow")
    )
    wrong = []

    async def requests(number):
        chance = random.Random(number)
        for _ in range(switches // TASKS + 1):
            who = chance.choice(TENANTS)
            steps = chance.randrange(4)
            path = "/fails" if chance.random() < 0.1 else "/"
            try:
                sent = await heard(wrapped, scope_of("GET", path, who=who, query_string=b"%d" % steps))
            except KeyError:
                continue
            if set(body_of(sent).decode().split()) != {who}:
                wrong.append((who, body_of(sent)))
            # Nothing stays behind in a task that serves another request next, as on a connection that is kept.
            if CURRENT.get() is not None:
                wrong.append("left")

    async def everybody():
        await asyncio.gather(*(requests(number) for number in range(TASKS)))

    asyncio.run(everybody())
    assert wrong == []


@pytest.mark.parametrize("switches", SIZES)
def test_threads_that_switch(switches):
    with sandbox(Entitlements.open("memory://", catalog=CATALOG), clock=FakeClock(NOW)) as inside:
        client = inside.client

        def work(number):
            chance = random.Random(number)
            wrong = []
            for _ in range(switches // THREADS):
                outer, inner = chance.choice(TENANTS), chance.choice(TENANTS)
                with client.bind(outer):
                    seen = [plain()]
                    with client.bind(inner):
                        seen.append(plain())
                    seen.append(plain())
                if seen != [outer, inner, outer]:
                    wrong.append((outer, inner, seen))
            return wrong

        with ThreadPoolExecutor(THREADS) as pool:
            assert [found for each in pool.map(work, range(THREADS)) for found in each] == []


def test_loops_in_several_threads():
    async def requests(wrapped, who):
        sent = [heard(wrapped, scope_of("GET", "/", who=each, query_string=b"2")) for each in (who, TENANTS[0]) * 5]
        return [set(body_of(each).decode().split()) for each in await asyncio.gather(*sent)]

    with sandbox(Entitlements.open("memory://", catalog=CATALOG), clock=FakeClock(NOW)) as inside:
        wrapped = EntitlementsMiddleware(app, inside.client, tenant=lambda scope: scope["who"])
        with ThreadPoolExecutor(THREADS) as pool:
            seen = list(pool.map(lambda who: asyncio.run(requests(wrapped, who)), TENANTS[:THREADS]))
    assert seen == [[{who}, {TENANTS[0]}] * 5 for who in TENANTS[:THREADS]]


def test_a_socket_that_stays_open_keeps_its_tenant_beside_all_others(ent):
    async def chat(scope, receive, send):
        if scope["type"] == "http":
            await app(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": await awaited()})

    wrapped = EntitlementsMiddleware(chat, ent, tenant=lambda scope: scope["who"])

    async def story():
        coming = {who: asyncio.Queue() for who in TENANTS}
        told = {who: [] for who in TENANTS}

        async def tell(who, message):
            told[who].append(message.get("text"))

        sockets = [
            asyncio.create_task(
                wrapped(scope_of("", "/", kind="websocket", who=who), coming[who].get, partial(tell, who))
            )
            for who in TENANTS
        ]
        for who in TENANTS:
            coming[who].put_nowait({"type": "websocket.connect"})
        for _ in range(3):
            await asyncio.gather(
                *(heard(wrapped, scope_of("GET", "/", who=who, query_string=b"1")) for who in TENANTS[::-1])
            )
            for who in TENANTS:
                coming[who].put_nowait({"type": "websocket.receive", "text": "who?"})
        for who in TENANTS:
            coming[who].put_nowait({"type": "websocket.disconnect"})
        await asyncio.gather(*sockets)
        return told

    told = asyncio.run(story())
    assert told == {who: [None, who, who, who] for who in TENANTS}
