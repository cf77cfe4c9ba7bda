"""
Tasks that fail together raise a group (PEP 654). What clients are told of one by one they are told of together; a group
with anything else in it is the host's, as it was raised.
"""

from __future__ import annotations

import asyncio
import traceback
from dataclasses import replace

import pytest
from fastapi import FastAPI, WebSocket
from flask import Blueprint, Flask
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from payaid_entitlements import Entitlements, current_tenant_async, require_module
from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.errors import ModuleFailed, ModuleUnavailable, NotEntitled, TenantUnidentified
from payaid_entitlements.testing import sandbox
from payaid_entitlements.web.boundary import MODULES, module_boundary
from payaid_entitlements.web.fastapi import Gate as FastAPIGate
from payaid_entitlements.web.flask import Gate as FlaskGate
from payaid_entitlements.web.isolating import IsolatedASGI, IsolatedWSGI
from payaid_entitlements.web.starlette import Gate as StarletteGate
from tests.web.across import ADAPTERS
from tests.web.asgi import body_of, heard, scope_of
from tests.web.conftest import CATALOG, ask, furnish, login
from tests.web.flask.conftest import ask as ask_flask
from tests.web.flask.conftest import login as flask_login


def absent() -> NotEntitled:
    return NotEntitled(Decision(False, Reason.PLAN_MODULE_ABSENT, "hr"), tenant="free")


def group_of(*errors: Exception) -> ExceptionGroup[Exception]:
    return ExceptionGroup("tasks", errors)


def refusals() -> ExceptionGroup[Exception]:
    return group_of(group_of(absent()), TenantUnidentified("nobody"))


def mixed() -> ExceptionGroup[Exception]:
    return group_of(absent(), group_of(KeyError("x")))


@pytest.fixture
def one(clock):
    """A client of one colour: what is here does not depend on it."""
    with sandbox(Entitlements.open("memory://", catalog=CATALOG), clock=clock) as found:
        furnish(found)
        yield found.client


@require_module("hr")
async def payroll(*_: object) -> None:
    raise AssertionError("it is let in")


async def together(*_: object) -> None:
    """As hosts do: two things at once, both of which are refused."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(payroll())
        tasks.create_task(payroll())


def said(answer):
    return answer.status_code, answer.json()["reason"]


# -- every framework ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_group_of_refusals_is_answered_as_its_first_one(name, one):
    def endpoint(path):
        error = absent() if path == "alone" else refusals()
        raise error

    with ADAPTERS[name](one, endpoint) as asked:
        alone, together = (replace(asked(path, {"X-Tenant": "free"}), headers=()) for path in ("alone", "together"))
    assert alone.status == 402
    assert together == alone


@pytest.mark.parametrize("name", ["fastapi", "starlette", "flask"])
def test_a_group_with_anything_else_is_a_500(name, one):
    def endpoint(path):
        raise mixed()

    with ADAPTERS[name](one, endpoint) as asked:
        assert asked("mixed", {"X-Tenant": "free"}).status == 500


# -- FastAPI and Starlette ---------------------------------------------------------------------------------------------


def fastapi_app(gate: FastAPIGate, endpoint) -> FastAPI:
    app = FastAPI()
    app.add_api_route("/it", endpoint, dependencies=[gate.require_module("crm")], response_model=None)
    return app


@pytest.fixture
def fastapi_gate(one):
    return FastAPIGate(one, tenant=login)


@pytest.fixture
def starlette_gate(one):
    return StarletteGate(one, tenant=lambda connection: connection.headers.get("x-tenant"))


def test_tasks_behind_a_gate_of_fastapi(fastapi_gate):
    async def endpoint() -> None:
        await together()

    app = fastapi_app(fastapi_gate, endpoint)
    fastapi_gate.init_app(app)
    fastapi_gate.init_app(app)
    answer = ask(app, "GET", "/it")
    assert said(answer) == (402, "plan.module_absent")
    assert [each["plan"] for each in answer.json()["remedies"]] == ["pro", "big"]


def test_what_the_app_does_with_responses_it_does_with_this_one(fastapi_gate):
    """CORS stands around it: a script of another origin may read why."""

    async def endpoint() -> None:
        raise refusals()

    app = fastapi_app(fastapi_gate, endpoint)
    app.add_middleware(CORSMiddleware, allow_origins=["https://shop.example"])
    fastapi_gate.init_app(app)
    answer = ask(app, "GET", "/it", headers={"origin": "https://shop.example"})
    assert said(answer) == (402, "plan.module_absent")
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"


@pytest.mark.parametrize("middleware", [(), (Middleware(BaseHTTPMiddleware, dispatch=lambda ask, call: call(ask)),)])
@pytest.mark.parametrize("kind", ["fastapi", "starlette"])
def test_apps_that_are_mounted_answer_too(kind, fastapi_gate, starlette_gate, middleware):
    """Also where what is between runs them in a task of its own."""
    inner = Starlette(routes=[Route("/it", together)])
    app = {"fastapi": FastAPI, "starlette": Starlette}[kind](
        routes=[Mount("/inner", inner, middleware=middleware)], middleware=middleware
    )
    gate = {"fastapi": fastapi_gate, "starlette": starlette_gate}[kind]
    if kind == "fastapi":
        # FastAPI asks nobody before what is mounted; who has logged in is bound by the host.
        inner.routes[0] = Route("/it", refused)
    gate.init_app(app)
    assert said(ask(app, "GET", "/inner/it")) == (402, "plan.module_absent")


async def refused(request):
    raise refusals()


def test_the_hosts_own_handler_of_a_refusal_is_asked(fastapi_gate):
    async def endpoint() -> None:
        raise refusals()

    async def own(request, error):
        return JSONResponse({"own": type(error).__name__}, 418)

    app = fastapi_app(fastapi_gate, endpoint)
    app.add_exception_handler(NotEntitled, own)
    fastapi_gate.init_app(app)
    answer = ask(app, "GET", "/it")
    assert (answer.status_code, answer.json()) == (418, {"own": "NotEntitled"})


def test_the_hosts_own_handler_of_groups_is_asked(fastapi_gate):
    async def endpoint() -> None:
        raise refusals()

    async def own(request, error):
        return JSONResponse({"own": type(error).__name__}, 418)

    app = fastapi_app(fastapi_gate, endpoint)
    app.add_exception_handler(ExceptionGroup, own)
    fastapi_gate.init_app(app)
    answer = ask(app, "GET", "/it")
    assert (answer.status_code, answer.json()) == (418, {"own": "ExceptionGroup"})


def fails():
    raise mixed()


def is_as_it_was_raised(raised):
    frames = traceback.extract_tb(raised.value.__traceback__)
    return raised.value.message == "tasks" and frames[-1].name == "fails" and raised.value.__cause__ is None


@pytest.mark.parametrize("has_begun", [False, True])
@pytest.mark.parametrize("kind", ["fastapi", "starlette"])
def test_a_group_with_anything_else_reaches_the_server_as_it_is(kind, has_begun, fastapi_gate, starlette_gate):
    """With the line that raised it; also from the middle of a stream."""

    async def stream():
        yield b"some"
        fails()

    async def endpoint(request):
        return StreamingResponse(stream()) if has_begun else fails()

    gate, make = {"fastapi": (fastapi_gate, FastAPI), "starlette": (starlette_gate, Starlette)}[kind]
    app = make(routes=[Route("/it", endpoint)])
    gate.init_app(app)
    with pytest.raises(ExceptionGroup) as raised:
        TestClient(app).get("/it")
    assert is_as_it_was_raised(raised)


# -- websockets --------------------------------------------------------------------------------------------------------


def socket_app(kind: str, gate, session):
    async def served(socket: WebSocket) -> None:
        await session(socket)

    app = {"fastapi": FastAPI, "starlette": Starlette}[kind](routes=[WebSocketRoute("/live", served)])
    gate.init_app(app)
    return app


def live(**more):
    return scope_of("", "/live", kind="websocket", headers={"x-tenant": "free"}, **more)


@pytest.fixture(params=["fastapi", "starlette"])
def sockets(request, fastapi_gate, starlette_gate):
    """Makes an app of a session."""
    gate = {"fastapi": fastapi_gate, "starlette": starlette_gate}[request.param]
    return lambda session: socket_app(request.param, gate, session)


def hear(app, scope, *messages):
    return asyncio.run(heard(app, scope, {"type": "websocket.connect"}, *messages))


def test_a_handshake_is_refused_as_the_server_can(sockets):
    async def session(socket):
        raise refusals()

    app = sockets(session)
    assert hear(app, live()) == [{"type": "websocket.close", "code": 1008, "reason": "plan.module_absent"}]
    start, body = hear(app, live(extensions={"websocket.http.response": {}}))
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 402)
    assert b"plan.module_absent" in body_of([body])


def test_a_websocket_that_is_open_is_closed(sockets):
    """A response is no message for it, though the server could send one before."""

    async def session(socket):
        await socket.accept()
        raise refusals()

    accepted, closed = hear(sockets(session), live(extensions={"websocket.http.response": {}}))
    assert accepted["type"] == "websocket.accept"
    assert closed == {"type": "websocket.close", "code": 1008, "reason": "plan.module_absent"}


@pytest.mark.parametrize("leaves", [False, True])
def test_one_that_has_ended_is_told_nothing(sockets, leaves):
    async def session(socket):
        await socket.accept()
        if leaves:
            with pytest.raises(WebSocketDisconnect):
                await socket.receive_text()
        else:
            await socket.close()
        raise refusals()

    app = sockets(session)
    sent = []

    async def send(message):
        sent.append(message["type"])

    coming = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1001}]

    async def receive():
        return coming.pop(0)

    with pytest.raises(ExceptionGroup):
        asyncio.run(app(live(), receive, send))
    assert sent == ["websocket.accept"] + ([] if leaves else ["websocket.close"])


# -- Flask -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def flask_gate(one):
    return FlaskGate(one, tenant=flask_login)


def flask_app(gate: FlaskGate, view) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.get("/it", endpoint="it")(gate.require_module("crm")(view))
    return app


def raises(error):
    def view():
        raise error()

    return view


@pytest.mark.parametrize("is_testing", [False, True])
def test_tasks_of_an_async_view_of_flask(flask_gate, is_testing):
    async def view():
        await current_tenant_async()
        await together()

    app = flask_app(flask_gate, view)
    app.testing = is_testing
    flask_gate.init_app(app)
    FlaskGate(flask_gate.ent, tenant=flask_login).init_app(app)
    answer = ask_flask(app, "/it")
    assert (answer.status_code, answer.json["reason"]) == (402, "plan.module_absent")
    assert [each["plan"] for each in answer.json["remedies"]] == ["pro", "big"]


def test_handlers_of_the_host_are_asked_as_for_one_refusal(flask_gate):
    app = flask_app(flask_gate, raises(refusals))
    inner = Blueprint("inner", __name__, url_prefix="/inner")
    inner.get("/it")(flask_gate.require_module("crm")(raises(refusals)))
    inner.register_error_handler(NotEntitled, lambda error: ("of the blueprint", 418))
    app.register_blueprint(inner)
    app.register_error_handler(Exception, lambda error: ("anything", 500))
    flask_gate.init_app(app)
    assert ask_flask(app, "/it").status_code == 402
    assert ask_flask(app, "/inner/it").text == "of the blueprint"


def test_a_group_with_anything_else_is_the_hosts_in_flask(flask_gate):
    """By its own handler, or raised as it is."""
    app = flask_app(flask_gate, fails)
    flask_gate.init_app(app)
    app.testing = True
    with pytest.raises(ExceptionGroup) as raised:
        ask_flask(app, "/it")
    assert is_as_it_was_raised(raised)

    app = flask_app(flask_gate, fails)
    app.register_error_handler(Exception, lambda error: (f"anything: {type(error).__name__}", 500))
    flask_gate.init_app(app)
    assert ask_flask(app, "/it").text == "anything: ExceptionGroup"


# -- walls around modules ----------------------------------------------------------------------------------------------


@pytest.fixture
def fresh():
    """No module has failed before."""
    MODULES.forget()
    yield
    MODULES.forget()


def test_refusals_are_answers_of_a_module_together_too(fresh):
    """They trip nothing, and pass as they are."""
    for _ in range(10):
        group = refusals()
        with pytest.raises(ExceptionGroup) as raised, module_boundary("invoicing"):
            raise group
        assert raised.value is group
    with pytest.raises(ModuleFailed) as failed, module_boundary("invoicing"):
        raise mixed()
    assert isinstance(failed.value.__cause__, ExceptionGroup)


FAILED = group_of(ModuleFailed("crm", reference="x"), ModuleUnavailable("crm"))


def test_an_app_in_a_wall_answers_for_modules_that_fail_together(fresh):
    async def app(scope, receive, send):
        raise FAILED

    sent = asyncio.run(heard(IsolatedASGI(app, "invoicing"), scope_of("GET", "/")))
    assert sent[0]["status"] == 500
    assert b'"module.failed"' in body_of(sent)

    def plain(environ, start_response):
        raise FAILED

    def pieces(environ, start_response):
        yield b""
        raise FAILED

    for each in (plain, pieces):
        begun = []
        body = IsolatedWSGI(each, "invoicing")({"REQUEST_METHOD": "GET"}, lambda *said, to=begun: to.append(said[0]))
        assert b'"module.failed"' in b"".join(body)
        assert begun == ["500 Internal Server Error"]


def test_refusals_pass_an_app_in_a_wall_together_as_one_by_one(fresh):
    async def app(scope, receive, send):
        raise refusals()

    def plain(environ, start_response):
        raise refusals()

    with pytest.raises(ExceptionGroup):
        asyncio.run(heard(IsolatedASGI(app, "invoicing"), scope_of("GET", "/")))
    with pytest.raises(ExceptionGroup):
        IsolatedWSGI(plain, "invoicing")({"REQUEST_METHOD": "GET"}, lambda *said: None)
