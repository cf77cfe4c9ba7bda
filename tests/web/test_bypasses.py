"""Nobody gets past a guard by the way a request is written: in a bare ASGI app, in Starlette, in FastAPI."""

import asyncio
from urllib.parse import unquote

import pytest
from fastapi import FastAPI, WebSocket
from fastapi.staticfiles import StaticFiles
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, Router, WebSocketRoute

from payaid_entitlements.web import exempt
from payaid_entitlements.web.asgi import EntitlementsMiddleware
from payaid_entitlements.web.fastapi import Gate
from payaid_entitlements.web.routing import Routes
from payaid_entitlements.web.starlette import Gate as StarletteGate
from tests.web.asgi import body_of, heard, scope_of
from tests.web.bypasses import ATTEMPTS

TABLE = {"/hr/*": "hr", "/inner/*": "hr", "/live": "hr", "/open": exempt, "/static/*": exempt}


class App:
    """An app that is tried, and what of it has run that is guarded."""

    def __init__(self, directory):
        (directory / "x").write_text("open")
        self.reached = []
        self.static = StaticFiles(directory=directory)

    async def pay(self, request):
        self.reached.append(request.url.path)
        return PlainTextResponse("paid")

    async def open(self, request):
        return PlainTextResponse("open")

    async def live(self, websocket):
        self.reached.append("live")
        await websocket.accept()
        await websocket.close()

    @property
    def routes(self):
        return [
            Route("/hr/{what}", self.pay, methods=["GET", "POST"]),
            Route("/open", self.open),
            WebSocketRoute("/live", self.live),
            Mount("/inner", app=Router([Route("/pay", self.pay)])),
            Mount("/static", app=self.static),
        ]


def wrapped(tried, ent, app):
    return EntitlementsMiddleware(app, ent, tenant=lambda scope: tried.tenant, routes=Routes(TABLE))


def bare(tried, ent):
    """Routes as crudely as can be: by what the path holds, in any form of it."""

    async def app(scope, receive, send):
        path = scope["path"].lower()
        if "hr" in path or "pay" in path or scope["type"] == "websocket":
            tried.reached.append(path)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"paid"})

    return wrapped(tried, ent, app)


def starlette(tried, ent):
    return wrapped(tried, ent, Starlette(routes=tried.routes))


def inside_starlette(tried, ent):
    def around(app):
        return wrapped(tried, ent, app)

    return Starlette(routes=tried.routes, middleware=[Middleware(around)])


def fastapi(tried, ent):
    gate = Gate(ent, tenant=lambda: tried.tenant)
    app = FastAPI()
    inner = FastAPI()
    for router, path, methods in ((app, "/hr/{what}", ["GET", "POST"]), (inner, "/pay", ["GET"])):

        async def pay(what: str = "") -> str:
            tried.reached.append(what)
            return "paid"

        router.add_api_route(path, pay, methods=methods, dependencies=[gate.require_module("hr")])
    app.add_api_route("/open", exempt(lambda: "open"))
    app.mount("/inner", inner)
    app.mount("/static", exempt(tried.static))

    async def live(websocket: WebSocket) -> None:
        await tried.live(websocket)

    app.add_api_websocket_route("/live", live, dependencies=[gate.require_module("hr")])
    gate.init_app(app, unguarded="refuse")
    return app


def gated_starlette(tried, ent):
    gate = StarletteGate(ent, tenant=lambda connection: tried.tenant)
    needed = [gate.require_module("hr")]
    app = Starlette(
        routes=[
            Route("/hr/{what}", tried.pay, methods=["GET", "POST"], middleware=needed),
            Route("/open", exempt(tried.open.__func__).__get__(tried)),
            WebSocketRoute("/live", tried.live, middleware=needed),
            Mount("/inner", app=Router([Route("/pay", tried.pay)]), middleware=needed),
            Mount("/static", app=exempt(tried.static)),
        ]
    )
    gate.init_app(app, unguarded="refuse")
    return app


@pytest.mark.parametrize("kind", [bare, starlette, inside_starlette, gated_starlette, fastapi])
def test_nobody_gets_past_a_guard_by_how_a_request_is_written(kind, ent, tmp_path):
    tried = App(tmp_path)
    tried.tenant = "free"
    app = kind(tried, ent)

    async def answers():
        return [(await heard(app, attempt.scope()))[0]["status"] for attempt in ATTEMPTS]

    async def refused_sockets():
        return [(await heard(app, socket_to(path), CONNECT))[0]["type"] for path in SOCKETS]

    async def controls():
        tried.tenant = "pro"
        told = [body_of(await heard(app, scope_of("GET", path))) for path in ("/hr/pay", "/inner/pay")]
        opened = [(await heard(app, scope_of("GET", path)))[0]["status"] for path in ("/open", "/static/x")]
        return [text.strip(b'"') for text in told], opened

    with asyncio.Runner() as runner:
        statuses = runner.run(answers())
        passed = [str(each) for each, status in zip(ATTEMPTS, statuses, strict=True) if status < 300]
        if kind is bare:
            # Below what is open everything is, by whatever name.
            assert passed == ["GET /static/.../hr/pay", "GET /static"]
            assert tried.reached == ["/static/.../hr/pay"]
            passed, tried.reached = [], []
        assert (passed, tried.reached) == ([], [])
        assert set(runner.run(refused_sockets())) == {"websocket.close"}
        assert tried.reached == []
        # And whoever holds it gets there.
        assert runner.run(controls()) == ([b"paid", b"paid"], [200, 200])
    assert len(ATTEMPTS) + len(SOCKETS) > 100


CONNECT = {"type": "websocket.connect"}
SOCKETS = ("/live", "/live/", "//live", "/./live", "/LIVE", "/static/../live", "/live%00", "/li%76e", "/hr/pay")


def socket_to(path):
    return scope_of("", unquote(path), kind="websocket", raw_path=path.encode())
