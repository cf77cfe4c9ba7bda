"""The look over all routes at start-up: what would let everybody pass without anybody noticing is loud."""

# Without `from __future__ import annotations`: FastAPI evaluates annotations, and those below name local values.

import functools
from typing import Annotated
from unittest.mock import Mock

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket
from fastapi.exceptions import FastAPIError
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import BaseRoute, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles

from payaid_entitlements import Entitlements, TenantView, require_feature, require_module
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.web import exempt
from payaid_entitlements.web.fastapi import Gate
from payaid_entitlements.web.fastapi.marks import is_gate
from tests.web.conftest import CATALOG, ask, asked, login

UNGUARDED = "no gate or guard stands before it; add gate.require_module(...), or mark it with exempt(...)"
BYPASSING = (
    "the gate of a router or app around it is not asked here: FastAPI knows dependencies of its own routes only; "
    "put a gate or guard on what is inside, or mark it with exempt(...)"
)
COVERED = "a guard stands above the route decorator, where it never runs; put it below"
NO_TENANT = "its guard has no tenant to ask; add the dependency gate.tenant, or tenant='argument'"


@pytest.fixture
def gate():
    with Entitlements.open("memory://", catalog=CATALOG) as ent:
        yield Gate(ent, tenant=login)


async def plain(request: Request) -> PlainTextResponse:
    return PlainTextResponse("secret")


def mistakes(gate, app, unguarded="allow"):
    """What the start-up says, line by line; nothing where the app starts."""
    try:
        gate.init_app(app, unguarded=unguarded)
    except ConfigurationError as error:
        first, *lines = str(error).splitlines()
        assert first == "routes are not guarded as they look:"
        return [line.strip() for line in lines]
    return []


# -- routes that nothing guards ---------------------------------------------------------------------------------------


def test_an_unguarded_route_starts_unless_it_is_refused(gate):
    app = FastAPI()

    @app.get("/hr/{number}")
    async def people(number: int) -> str:
        return "people"

    assert mistakes(gate, app) == []
    assert mistakes(gate, app, "refuse") == [f"GET /hr/{{number}}: {UNGUARDED}"]


def test_binding_a_tenant_guards_nothing(gate):
    app = FastAPI()

    @app.get("/me")
    async def me(tenant: Annotated[TenantView, gate.tenant]) -> str:
        return tenant.tenant

    assert mistakes(gate, app, "refuse") == [f"GET /me: {UNGUARDED}"]


def test_every_kind_of_route_is_looked_at(gate, tmp_path):
    router = APIRouter(prefix="/v1")

    @router.post("/included")
    async def included() -> None: ...

    @router.websocket("/included")
    async def included_socket(socket: WebSocket) -> None: ...

    class Page(HTTPEndpoint): ...

    app = FastAPI(
        routes=[
            Route("/plain", plain, methods=["GET", "POST"]),
            Route("/class", Page),
            WebSocketRoute("/socket", plain),
            Mount("/group", routes=[Route("/inner", plain)]),
            Mount("/wrapped", app=GZipMiddleware(Starlette(routes=[Route("/inner", plain)]))),
            Mount("/files", app=StaticFiles(directory=tmp_path)),
            Mount("/opaque", app=Mock()),
        ]
    )
    app.include_router(router)
    app.host("api.example.com", Starlette(routes=[Route("/hosted", plain)]))

    assert [line.removesuffix(f": {UNGUARDED}") for line in mistakes(gate, app, "refuse")] == [
        "GET/HEAD/POST /plain",
        "any method /class",
        "websocket /socket",
        "GET/HEAD /group/inner",
        "GET/HEAD /wrapped/inner",
        "app /files",
        "app /opaque",
        "POST /v1/included",
        "websocket /v1/included",
        "GET/HEAD /hosted",
    ]


def test_a_route_of_a_kind_that_nobody_knows_is_not_taken_for_guarded(gate):
    class Odd(BaseRoute): ...

    assert mistakes(gate, FastAPI(routes=[Odd()]), "refuse") == [f"any method /: {UNGUARDED}"]
    assert mistakes(gate, FastAPI(routes=[exempt(Odd())]), "refuse") == []


def test_gates_and_guards_of_all_kinds_count(gate):
    router = APIRouter(dependencies=[gate.require_module("hr")])

    @router.get("/a")
    async def by_router() -> None: ...

    app = FastAPI()

    @app.get("/b", dependencies=[gate.require_feature("crm.export")])
    async def by_route() -> None: ...

    @app.get("/c", dependencies=[gate.tenant])
    @require_module("hr")
    async def by_guard() -> None: ...

    @app.get("/{org}/d")
    @require_feature("hr.payroll", tenant="org")
    def by_argument(org: str) -> None: ...

    @app.websocket("/e")
    async def socket(socket: WebSocket, sold: Annotated[None, gate.require_module("hr")]) -> None: ...

    app.include_router(router)

    assert mistakes(gate, app, "refuse") == []


def test_what_is_open_on_purpose_is_marked(gate, tmp_path):
    class Controller:
        @exempt
        async def health(self) -> str:
            return "ok"

    app = FastAPI()

    @app.get("/below")
    @exempt
    async def below() -> None: ...

    @exempt
    @app.get("/above")
    async def above() -> None: ...

    app.get("/health")(Controller().health)
    app.mount("/static", exempt(StaticFiles(directory=tmp_path)))
    app.mount(
        "/public", exempt(Starlette(routes=[Route("/a", plain), Mount("/b", Starlette(routes=[Route("/c", plain)]))]))
    )
    app.mount("/wrapped", GZipMiddleware(exempt(Starlette(routes=[Route("/a", plain)]))))
    app.mount("/group", exempt(Router(routes=[Route("/a", plain)])))

    assert mistakes(gate, app, "refuse") == []


def test_the_documentation_pages_of_fastapi_are_no_routes_of_the_host(gate):
    assert mistakes(gate, FastAPI(docs_url="/docs", redoc_url="/redoc", openapi_url="/openapi.json"), "refuse") == []


def test_a_route_that_comes_later_does_not_start(gate):
    app = FastAPI()
    gate.init_app(app, unguarded="refuse")
    app.add_api_route("/late", lambda: "late")

    with pytest.raises(ConfigurationError, match="GET /late: no gate or guard"), TestClient(app):
        pass


def test_all_mistakes_are_told_at_once(gate):
    app = FastAPI()
    app.add_api_route("/a", lambda: "a")
    app.add_api_route("/b", lambda: "b")

    assert mistakes(gate, app, "refuse") == [f"GET /a: {UNGUARDED}", f"GET /b: {UNGUARDED}"]


# -- gates that do not reach what stands inside -----------------------------------------------------------------------


def test_a_gate_of_a_router_does_not_reach_plain_routes_and_mounts(gate):
    """
    FastAPI asks dependencies for its own routes only: everybody could read these.
    """
    router = APIRouter(dependencies=[gate.require_module("hr")])
    router.add_route("/raw", plain)
    router.add_websocket_route("/socket", plain)
    router.mount("/sub", Starlette(routes=[Route("/inner", plain)]))
    inner = APIRouter()
    inner.add_route("/deep", plain)
    router.include_router(inner, prefix="/inner")

    @router.get("/fine")
    async def fine() -> None: ...

    app = FastAPI()
    app.add_route("/outside", plain)
    app.include_router(router, prefix="/hr")

    assert mistakes(gate, app) == [
        f"GET/HEAD /hr/raw: {BYPASSING}",
        f"websocket /hr/socket: {BYPASSING}",
        f"GET/HEAD /hr/sub/inner: {BYPASSING}",
        f"GET/HEAD /hr/inner/deep: {BYPASSING}",
    ]


@pytest.mark.parametrize("where", ["app", "inclusion", "inside a dependency"])
def test_nor_does_a_gate_of_an_app_or_of_an_inclusion(gate, where):
    hr = gate.require_module("hr")

    async def subscriber(sold: Annotated[None, hr]) -> None: ...

    around = [Depends(subscriber) if where == "inside a dependency" else hr]
    sub = FastAPI()

    @sub.get("/open")
    async def unguarded() -> None: ...

    @sub.get("/gated", dependencies=[gate.require_module("crm")])
    async def gated() -> None: ...

    @sub.get("/exempt")
    @exempt
    async def free() -> None: ...

    router, inner = APIRouter(), APIRouter()
    router.mount("/sub", sub)
    inner.add_route("/raw", plain)
    router.include_router(inner)
    app = FastAPI(dependencies=around if where == "app" else None)
    app.include_router(router, dependencies=None if where == "app" else around)

    assert mistakes(gate, app) == [f"GET /sub/open: {BYPASSING}", f"GET/HEAD /raw: {BYPASSING}"]


def test_only_what_can_refuse_is_a_gate(gate):
    assert is_gate(gate.require_module("hr"))
    assert not is_gate(gate.tenant)
    assert not is_gate(Depends(login))
    assert not is_gate(Depends())


# -- guards that do not run -------------------------------------------------------------------------------------------


def test_a_guard_above_the_route_decorator_does_not_start(gate):
    app = FastAPI()

    @require_module("hr")
    @app.get("/hr", dependencies=[gate.tenant])
    async def people() -> None: ...

    assert mistakes(gate, app) == [f"GET /hr: {COVERED}"]


def test_nor_one_that_has_another_decorator_between(gate):
    def logged(function):
        @functools.wraps(function)
        async def wrapper(*args, **kwargs):
            return await function(*args, **kwargs)

        return wrapper

    app = FastAPI()

    @require_module("hr")
    @logged
    @app.get("/wrong", dependencies=[gate.tenant])
    async def wrong() -> str:
        return "people"

    assert mistakes(gate, app) == [f"GET /wrong: {COVERED}"]

    app = FastAPI()

    @app.get("/right", dependencies=[gate.tenant])
    @logged
    @require_module("hr")
    async def right() -> str:
        return "people"

    assert mistakes(gate, app) == []
    assert asked(app, "GET", "/right", "free") == (402, "plan.module_absent")


def test_a_guard_above_that_stands_there_twice_is_found_too(gate):
    """
    Guards merge into one wrapper; the route decorator may stand between them.
    """
    app = FastAPI()

    @require_module("hr")
    @app.get("/hr", dependencies=[gate.tenant])
    @require_feature("hr.payroll")
    async def people() -> None: ...

    assert mistakes(gate, app) == [f"GET /hr: {COVERED}"]


def test_a_guard_without_a_tenant_to_ask_does_not_start(gate):
    app = FastAPI()

    @app.get("/hr")
    @require_module("hr")
    async def people() -> None: ...

    assert mistakes(gate, app) == [f"GET /hr: {NO_TENANT}"]


def test_a_guard_on_a_plain_route_has_no_tenant_to_ask(gate):
    # A function of its own: a guard is remembered with what it covers, and others route `plain` without one.
    async def people(request: Request) -> None: ...

    app = FastAPI(routes=[Route("/hr", require_module("hr")(people))])

    assert mistakes(gate, app) == [f"GET/HEAD /hr: {NO_TENANT}"]


def test_a_guard_whose_key_nobody_sells_does_not_start(gate):
    app = FastAPI()

    @app.get("/hr", dependencies=[gate.tenant])
    @require_module("crn")
    async def people() -> None: ...

    assert mistakes(gate, app) == ["GET /hr: the catalog has no module 'crn'; did you mean 'crm'?"]


def test_a_guard_inside_depends_fails_when_the_route_is_made(gate):
    app = FastAPI()

    with pytest.raises(TypeError, match=r"use gate\.require_module\('hr'\) of a .*Gate there"):

        @app.get("/hr")
        async def people(sold: Annotated[None, Depends(require_module("hr"))]) -> None: ...


@pytest.mark.parametrize("make", [lambda gate: Depends(gate.require_module("hr")), lambda gate: Depends(gate.tenant)])
def test_a_gate_inside_depends_fails_when_the_route_is_made(gate, make):
    with pytest.raises((AssertionError, TypeError)):
        FastAPI().get("/hr", dependencies=[make(gate)])(plain)
    with pytest.raises((AssertionError, TypeError)):

        @FastAPI().get("/hr")
        async def people(sold: Annotated[object, make(gate)]) -> None: ...


@pytest.mark.parametrize("verb", ["require_module", "require_feature"])
def test_a_forgotten_call_does_not_start_and_lets_nobody_pass(gate, verb):
    """
    FastAPI would take the key from the query string, and let everybody pass who writes it there.
    """
    app = FastAPI()

    @app.get("/hr", dependencies=[Depends(getattr(gate, verb))])
    async def people() -> str:
        return "secret"

    assert ask(app, "GET", "/hr?module=hr&feature=hr.payroll").status_code == 500
    assert mistakes(gate, app) == [f"GET /hr: Depends({verb}) guards nothing; use gate.{verb}(key), without Depends"]


@pytest.mark.parametrize("guard", [require_module, require_feature])
def test_a_forgotten_call_of_a_guard_fails_when_the_route_is_made(guard):
    """
    FastAPI cannot read a client from a query string.
    """
    with pytest.raises(FastAPIError, match="Entitlements"):
        FastAPI().get("/hr", dependencies=[Depends(guard)])(plain)


def test_what_a_gate_gives_inside_of_depends_says_so_at_once(gate):
    """FastAPI alone would say that a dependency is not callable."""
    app = FastAPI()
    for given in (gate.require_module("hr"), gate.tenant):
        for dependencies, default in (([Depends(given)], None), ([], Depends(given))):

            def endpoint(found=default):
                return found

            with pytest.raises(TypeError, match="write it without Depends"):
                app.get("/", dependencies=dependencies)(endpoint)
        with pytest.raises(TypeError, match="write it without Depends"):
            given()
