"""
Whoever writes a preflight gets nothing by it: it passes only to what is known to run nothing that is guarded.

Anybody may send OPTIONS with two fields and no credentials, and many handlers do not look at the method.
"""

from __future__ import annotations

import functools
import types

import pytest
from fastapi import FastAPI
from flask import Flask
from flask.views import MethodView
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, Router
from starlette.testclient import TestClient
from werkzeug.test import Client

from payaid_entitlements import Entitlements
from payaid_entitlements.testing import sandbox
from payaid_entitlements.web import exempt
from payaid_entitlements.web.asgi import EntitlementsMiddleware
from payaid_entitlements.web.fastapi import Gate as FastAPIGate
from payaid_entitlements.web.flask import Gate as FlaskGate
from payaid_entitlements.web.routing import Routes
from payaid_entitlements.web.starlette import Gate as StarletteGate
from payaid_entitlements.web.wsgi import EntitlementsMiddleware as WSGIMiddleware
from tests.web.conftest import CATALOG

PREFLIGHT = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
CORS = Middleware(CORSMiddleware, allow_origins=["https://app.example"])
TABLE = {"/hr/*": "hr"}


@pytest.fixture
def ent():
    with sandbox(Entitlements.open("memory://", catalog=CATALOG)) as found:
        yield found.client


@pytest.fixture
def ran():
    """What has run that is guarded."""
    return []


@pytest.fixture
def secret(ran):
    """Handles whatever method there is."""

    async def handler(request):
        ran.append(request.method)
        return PlainTextResponse("secret")

    return handler


@pytest.fixture
def plain(ran):
    """An ASGI app that knows no methods."""

    async def app(scope, receive, send):
        ran.append(scope["method"])
        await PlainTextResponse("secret")(scope, receive, send)

    return app


@pytest.fixture
def endpoint(ran):
    class Endpoint(HTTPEndpoint):
        async def get(self, request):
            return PlainTextResponse("people")

        async def options(self, request):
            ran.append(request.method)
            return PlainTextResponse("secret")

    return Endpoint


def preflight(app, where="/hr/x"):
    return TestClient(app, raise_server_exceptions=False).options(where, headers=PREFLIGHT)


# -- a table around an ASGI app ----------------------------------------------------------------------------------------


def table(app, ent, said=TABLE):
    return EntitlementsMiddleware(app, ent, tenant=lambda scope: None, routes=Routes(said))


@pytest.mark.parametrize(
    "kind",
    [
        "plain",
        "any method",
        "its own",
        "mounted",
        "CORS around a router inside",
        "CORS that passes on",
        "CORS with answers of its own",
        "an override",
        "an app that answers itself",
        "an app that looks as if it did not",
        "an app with a stack of its own",
        "an app whose stack was changed",
    ],
)
def test_a_handler_behind_a_table_does_not_run(kind, ent, ran, plain, secret, endpoint):
    class Overriding:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            await self.app({**scope, "method": "GET"} if scope["type"] == "http" else scope, receive, send)

    class Passing(CORSMiddleware):
        async def __call__(self, scope, receive, send):
            await self.app(scope, receive, send)

    class Answering(CORSMiddleware):
        def preflight_response(self, request_headers):
            ran.append("OPTIONS")
            return PlainTextResponse("secret")

    class Calling(Starlette):
        async def __call__(self, scope, receive, send):
            await plain(scope, receive, send)

    class Disguised(Starlette):
        @functools.wraps(Starlette.__call__)
        async def __call__(self, scope, receive, send):
            await plain(scope, receive, send)

    class Stacking(FastAPI):
        def build_middleware_stack(self):
            return plain

    changed = FastAPI(middleware=[CORS])
    changed.build_middleware_stack = lambda: plain

    app = {
        "plain": plain,
        "any method": Starlette(routes=[Route("/hr/x", secret, methods=["GET", "OPTIONS"])]),
        "its own": Starlette(routes=[Route("/hr/x", endpoint)]),
        "mounted": Starlette(routes=[Mount("/hr", plain)]),
        # Nobody knows that nothing else is there; and what is made of the middleware may do anything.
        "CORS around a router inside": Starlette(
            routes=[Route("/hr/x", endpoint), Mount("/hr", Router(middleware=[CORS]))]
        ),
        "CORS that passes on": Starlette(
            routes=[Route("/hr/x", endpoint)], middleware=[Middleware(Passing, allow_origins=["*"])]
        ),
        "CORS with answers of its own": Starlette(middleware=[Middleware(Answering, allow_origins=["*"])]),
        "an app that answers itself": Calling(middleware=[CORS]),
        "an app that looks as if it did not": Disguised(middleware=[CORS]),
        "an app with a stack of its own": Stacking(middleware=[CORS]),
        "an app whose stack was changed": changed,
        # CORS hears of a GET.
        "an override": Starlette(routes=[Route("/hr/x", secret)], middleware=[Middleware(Overriding), CORS]),
    }[kind]
    answer = preflight(table(app, ent))
    assert (answer.status_code, answer.json()["reason"], ran) == (401, "tenant.unidentified", [])


@pytest.mark.parametrize("kind", ["plain", "starlette", "fastapi", "a class made of it"])
def test_what_answers_all_preflights_inside_does(kind, ent, ran, plain, endpoint):
    """Starlette's middleware for CORS: nothing behind it hears of one."""

    class Own(CORSMiddleware):
        """One that changes nothing about whom it answers."""

    app = {
        "plain": CORSMiddleware(plain, allow_origins=["*"]),
        "starlette": Starlette(routes=[Route("/hr/x", endpoint)], middleware=[CORS]),
        "fastapi": FastAPI(routes=[Route("/hr/x", endpoint)], middleware=[CORS]),
        "a class made of it": Own(plain, allow_origins=["*"]),
    }[kind]
    around = table(app, ent)
    answer = preflight(around)
    assert (answer.status_code, ran) == (200, [])
    assert "access-control-allow-origin" in answer.headers
    # What only looks like one is asked, and a path that the table does not know is not there.
    for fields in ({"Origin": "https://app.example"}, {"Access-Control-Request-Method": "GET"}):
        assert TestClient(around).options("/hr/x", headers=fields).status_code == 401
    assert TestClient(around).get("/hr/x", headers=PREFLIGHT).status_code == 401
    assert preflight(around, "/nowhere").status_code == 404
    assert ran == []


@pytest.mark.parametrize("made", [Starlette, FastAPI])
@pytest.mark.parametrize("how", ["the class", "the app"])
def test_instrumentation_does_not_stop_what_answers_all_preflights(how, made, ent, ran, endpoint, monkeypatch):
    """Sentry replaces a method of the class, OpenTelemetry one of the app."""
    called = Starlette.__call__

    async def calling(self, scope, receive, send):
        await called(self, scope, receive, send)

    if how == "the class":
        monkeypatch.setattr(Starlette, "__call__", calling)
    app = made(routes=[Route("/hr/x", endpoint)], middleware=[CORS])
    if how == "the app":
        built = app.build_middleware_stack
        app.build_middleware_stack = types.MethodType(functools.wraps(built)(lambda self: built()), app)
    assert (preflight(table(app, ent)).status_code, ran) == (200, [])


def test_what_stands_around_the_table_is_not_asked_about(ent, ran, endpoint):
    """The best place: refusals have its fields too."""
    app = CORSMiddleware(table(Starlette(routes=[Route("/hr/x", endpoint)]), ent), allow_origins=["*"])
    assert preflight(app).status_code == 200
    refused = TestClient(app).get("/hr/x", headers={"Origin": "https://app.example"})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "*")
    assert ran == []


def test_a_table_may_say_that_options_is_open(ent, ran, plain):
    """For an app that answers preflights by itself."""
    app = table(plain, ent, {**TABLE, "OPTIONS /hr/*": exempt})
    assert preflight(app).text == "secret"
    assert TestClient(app).get("/hr/x").status_code == 401
    assert ran == ["OPTIONS"]


# -- gates of Starlette and FastAPI ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["route", "router", "app", "mounted deep", "plain"])
def test_a_handler_behind_the_gate_of_starlette_does_not_run(kind, ent, ran, plain, endpoint):
    gate = StarletteGate(ent, tenant=lambda connection: None)
    held = [gate.require_module("hr")]
    route = {
        "route": Route("/hr/x", endpoint, middleware=held),
        "router": Mount("/hr", routes=[Route("/x", endpoint)], middleware=held),
        "app": Mount("/hr", Starlette(routes=[Route("/x", endpoint)]), middleware=held),
        "mounted deep": Mount("/hr", routes=[Mount("/x", plain)], middleware=held),
        "plain": Mount("/hr", plain, middleware=held),
    }[kind]
    app = Starlette(routes=[route])
    gate.init_app(app)
    answer = preflight(app)
    assert (answer.status_code, answer.json()["reason"], ran) == (401, "tenant.unidentified", [])


def test_cors_inside_of_what_is_mounted_answers(ent, ran, endpoint):
    gate = StarletteGate(ent, tenant=lambda connection: None)
    held = [gate.require_module("hr")]
    inner = Starlette(routes=[Route("/x", endpoint)], middleware=[CORS])
    app = Starlette(
        routes=[Mount("/hr", inner, middleware=held), Mount("/crm", routes=inner.routes, middleware=[*held, CORS])]
    )
    gate.init_app(app)
    assert [preflight(app, where).status_code for where in ("/hr/x", "/crm/x")] == [200, 200]
    assert ran == []


@pytest.mark.parametrize("of", ["route", "router"])
def test_a_handler_behind_the_gate_of_fastapi_does_not_run(of, ent, ran):
    """A route is asked by whatever method; without one for OPTIONS there is nothing to run."""
    gate = FastAPIGate(ent, tenant=lambda: None)
    needed = [gate.require_module("hr")]
    app = FastAPI(dependencies=needed if of == "router" else [])

    @app.api_route("/hr/x", methods=["GET", "OPTIONS"], dependencies=needed if of == "route" else [])
    async def handler() -> str:
        ran.append("it")
        return "secret"

    app.add_api_route("/hr/y", handler, dependencies=needed)
    gate.init_app(app)
    answer = preflight(app)
    assert (answer.status_code, answer.json()["reason"]) == (401, "tenant.unidentified")
    assert preflight(app, "/hr/y").status_code == 405
    assert ran == []


# -- WSGI and Flask ----------------------------------------------------------------------------------------------------


def wsgi_preflight(app, where="/hr/x"):
    return Client(app).options(where, headers=PREFLIGHT)


def test_a_handler_behind_a_table_of_wsgi_does_not_run(ent, ran):
    """Nothing that stands inside is known to answer all preflights."""

    def app(environ, start_response):
        ran.append(environ["REQUEST_METHOD"])
        start_response("200 OK", [])
        return [b"secret"]

    def behind(said):
        return WSGIMiddleware(app, ent, tenant=lambda environ: None, routes=Routes(said))

    answer = wsgi_preflight(behind(TABLE))
    assert (answer.status_code, answer.json["reason"], ran) == (401, "tenant.unidentified", [])
    assert wsgi_preflight(behind({**TABLE, "OPTIONS /hr/*": exempt})).status_code == 200
    assert ran == ["OPTIONS"]


def test_a_view_of_flask_that_handles_options_does_not_run(ent, ran):
    gate = FlaskGate(ent, tenant=lambda: None)
    app = Flask(__name__, static_folder=None)

    def view():
        ran.append("it")
        return "secret"

    def ungated():
        return view()

    class Views(MethodView):
        decorators = (gate.require_module("hr"),)

        def get(self):
            return view()

        def options(self):
            return view()

    gated = gate.require_module("hr")(view)
    app.add_url_rule("/hr/own", view_func=gated, endpoint="own", methods=["GET", "OPTIONS"])
    app.add_url_rule("/hr/never", view_func=gated, endpoint="never", provide_automatic_options=False)
    app.add_url_rule("/hr/class", view_func=Views.as_view("class"))
    app.add_url_rule("/hr/flasks", view_func=gated, endpoint="flasks")
    app.add_url_rule("/hr/all", view_func=ungated, endpoint="all", methods=["OPTIONS"])
    app.before_request(gate.require_module("hr"))
    gate.init_app(app)
    answers = {where: wsgi_preflight(app, f"/hr/{where}") for where in ("own", "never", "class", "flasks", "all")}
    assert {where: answer.status_code for where, answer in answers.items()} == {
        "own": 401,
        "never": 405,
        "class": 401,
        "flasks": 200,
        "all": 401,
    }
    assert (answers["flasks"].data, ran) == (b"", [])
