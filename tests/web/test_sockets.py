"""A quota before a websocket, by each gate that knows websockets: when what it took comes back."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from payaid_entitlements import AsyncEntitlements
from payaid_entitlements.testing import FakeClock, sandbox
from payaid_entitlements.web.asgi import EntitlementsMiddleware
from payaid_entitlements.web.fastapi import Gate as FastAPIGate
from payaid_entitlements.web.routing import Routes, needs
from payaid_entitlements.web.starlette import Gate as StarletteGate
from tests.holding.conftest import CATALOG
from tests.web.asgi import heard, scope_of
from tests.web.conftest import NOW

pytestmark = pytest.mark.anyio

UNITS = 4


async def closes(socket):
    await socket.close()


async def denies(socket):
    await socket.send_denial_response(PlainTextResponse("no", 404))


async def breaks_before(socket):
    raise ZeroDivisionError


async def is_cancelled_before(socket):
    asyncio.current_task().cancel()
    await asyncio.sleep(1)


async def breaks(socket):
    await socket.accept()
    raise ZeroDivisionError


async def answers(socket):
    await socket.send_denial_response(Response(status_code=204))


async def accepts_and_closes(socket):
    await socket.accept()
    await socket.close()


async def breaks_behind_the_end(socket):
    await accepts_and_closes(socket)
    raise ZeroDivisionError


async def is_left(socket):
    await socket.accept()
    await socket.receive_text()


async def is_left_and_breaks(socket):
    await socket.accept()
    with suppress(WebSocketDisconnect):
        await socket.receive_text()
    raise ZeroDivisionError


async def is_cancelled(socket):
    await socket.accept()
    await is_cancelled_before(socket)


def acme(*connections):
    return "acme"


GIVING_BACK = (closes, denies, breaks_before, is_cancelled_before, breaks)
KEEPING = (answers, accepts_and_closes, breaks_behind_the_end, is_left, is_left_and_breaks, is_cancelled)


def behind_a_table(ent, session):
    async def app(scope, receive, send):
        await session(WebSocket(scope, receive, send))

    return EntitlementsMiddleware(
        app, ent, tenant=acme, routes=Routes({"/*": needs("crm", quotas={"crm.pages": UNITS})})
    )


def on_starlette(ent, session):
    gate = StarletteGate(ent, tenant=acme)
    app = Starlette(routes=[WebSocketRoute("/", session, middleware=[gate.consume_quota("crm.pages", UNITS)])])
    gate.init_app(app)
    return app


def on_fastapi(ent, session):
    gate = FastAPIGate(ent, tenant=lambda: "acme")
    app = FastAPI()

    @app.websocket("/", dependencies=[gate.consume_quota("crm.pages", UNITS, operation=None)])
    async def served(socket: WebSocket) -> None:
        await session(socket)

    gate.init_app(app)
    return app


@pytest.mark.parametrize("gated", [behind_a_table, on_starlette, on_fastapi])
@pytest.mark.parametrize(
    ("session", "left"),
    [*((each, 0) for each in GIVING_BACK), *((each, UNITS) for each in KEEPING)],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_what_is_open_has_had_it_and_what_breaks_gets_it_back(gated, session, left):
    with sandbox(AsyncEntitlements.open("memory://", catalog=CATALOG), clock=FakeClock(NOW)) as inside:
        inside.subscribe("acme", "pro")
        headers = {"idempotency-key": "a"}
        extensions = {"websocket.http.response": {}}
        scope = scope_of("", "/", kind="websocket", headers=headers, extensions=extensions)
        coming = ({"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1001})
        task = asyncio.create_task(heard(gated(inside.client, session), scope, *coming))
        with suppress(ZeroDivisionError, WebSocketDisconnect, asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(lambda: inside.usage("acme", "crm.pages").used) == left
