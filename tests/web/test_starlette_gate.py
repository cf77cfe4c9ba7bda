"""A gate in an app of Starlette: around routes, mounts and the whole app, with the login of the app."""

import asyncio
import gc
import sys
import weakref

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.background import BackgroundTask
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from payaid_entitlements import (
    AsyncEntitlements,
    Entitlements,
    current_tenant,
    current_tenant_async,
    require_feature,
    require_module,
)
from payaid_entitlements.errors import ConfigurationError, EntitlementError, NotEntitled
from payaid_entitlements.testing import sandbox
from payaid_entitlements.web import exempt
from payaid_entitlements.web.answers import Answers
from payaid_entitlements.web.finding import view_of
from payaid_entitlements.web.starlette import Gate
from payaid_entitlements.web.tenancy import Tenancy, by, user
from tests.holding.conftest import CATALOG as METERED
from tests.web.asgi import hello
from tests.web.conftest import ask, asked


def login(connection):
    """Stands in for what a host's login has verified."""
    return connection.headers.get("x-tenant")


@pytest.fixture
def gate(ent):
    return Gate(ent, tenant=login, user=lambda connection: connection.headers.get("x-user"))


async def who(request):
    view = await current_tenant_async()
    return PlainTextResponse(f'"{view.tenant} {view.user}"')


def plainly(request):
    return PlainTextResponse(f'"{current_tenant().tenant}"')


@require_feature("crm.export")
async def export(request):
    return PlainTextResponse('"exported"')


async def live(websocket):
    await websocket.accept()
    await websocket.send_text((await current_tenant_async()).tenant)
    await websocket.close()


def app_of(gate, *routes, unguarded="refuse", **options):
    app = Starlette(routes=routes, **options)
    gate.init_app(app, unguarded=unguarded)
    return app


def test_routes_and_mounts_ask_what_they_need(gate):
    app = app_of(
        gate,
        Route("/hr", who, middleware=[gate.require_module("hr")]),
        Route("/threads", plainly, middleware=[gate.require_feature("hr.payroll")]),
        Route("/export", export),
        Mount("/crm", routes=[Route("/deals", who)], middleware=[gate.require_module("crm")]),
        Mount("/inner", app=Router([Route("/hr", who)], middleware=[gate.require_module("hr")])),
        Route("/health", exempt(lambda request: PlainTextResponse('"up"'))),
    )
    paths = ("/hr", "/threads", "/export", "/crm/deals", "/inner/hr", "/health")
    assert [asked(app, "GET", path, "pro")[1] for path in paths] == [
        "pro None", "pro", "exported", "pro None", "pro None", "up",
    ]  # fmt: skip
    absent = (402, "plan.module_absent")
    feature = (402, "plan.feature_absent")
    assert [asked(app, "GET", path, "free") for path in paths] == [
        absent, absent, feature, (200, "free None"), absent, (200, "up"),
    ]  # fmt: skip
    assert asked(app, "GET", "/hr", None) == (401, "tenant.unidentified")
    assert asked(app, "GET", "/hr", "pro", headers={"x-user": "ada"}) == (200, "pro ada")
    assert ask(app, "POST", "/hr", "free").status_code == 405


def test_a_whole_app_may_be_closed_and_flags_too(ent, inside):
    with sandbox(ent_with_flag(type(ent))) as flagged:
        gate = Gate(flagged.client, tenant=login)
        app = app_of(
            gate,
            Route("/", who, middleware=[gate.require_flag("beta", attributes={"country": "at"})]),
            Route("/all", who),
            middleware=[gate.require_module("crm")],
        )
        assert asked(app, "GET", "/", "a") == (200, "a None")
        assert asked(app, "GET", "/all", "a") == (200, "a None")
        flagged.flag("beta", False)
        assert asked(app, "GET", "/", "a")[0] == 403


def ent_with_flag(kind):
    return kind.open(
        "memory://",
        catalog={
            "catalog": 1,
            "default_plan": "pro",
            "modules": {"crm": {}},
            "plans": {"pro": {"modules": ["crm"]}},
            "flags": {"beta": {"variants": {"on": True, "off": False}, "default": "on"}},
            "rate_limits": {
                "calls": {"default": "2/hour"},
                "near": {"default": "1/hour", "per": "address"},
                "each": {"default": "1/hour", "per": "user"},
            },
        },
    )


class Login(AuthenticationBackend):
    """As Starlette's documentation shows it."""

    async def authenticate(self, connection):
        name = connection.headers.get("authorization")
        return (AuthCredentials(), SimpleUser(name)) if name else None


class Touching(BaseHTTPMiddleware):
    """Runs what is inside in another task."""

    async def dispatch(self, request, call_next):
        return await call_next(request)


@pytest.mark.parametrize("between", [[], [Middleware(Touching)]])
def test_the_login_is_a_middleware_of_the_app(ent, between):
    gate = Gate(ent, tenant=lambda connection: connection.user.username if connection.user.is_authenticated else None)
    app = app_of(
        gate,
        Route("/hr", who, middleware=[gate.require_module("hr")]),
        middleware=[
            Middleware(CORSMiddleware, allow_origins=["https://app.example"]),
            Middleware(AuthenticationMiddleware, backend=Login()),
            *between,
        ],
    )
    origin = {"origin": "https://app.example"}
    answers = [
        ask(app, "GET", "/hr", None, headers={**origin, **({"authorization": name} if name else {})})
        for name in ("pro", "free", None)
    ]
    assert [each.status_code for each in answers] == [200, 402, 401]
    # What stands around it belongs to every response.
    assert {each.headers["access-control-allow-origin"] for each in answers} == {"https://app.example"}
    preflight = ask(app, "OPTIONS", "/hr", None, headers={**origin, "access-control-request-method": "GET"})
    assert preflight.status_code == 200


def test_a_preflight_passes_to_what_is_mounted(gate):
    cors = Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["GET"])
    inner = Starlette(routes=[Route("/x", who)], middleware=[cors])
    held = [gate.require_module("hr")]
    app = app_of(gate, Mount("/hr", app=inner, middleware=held), Mount("/plain", app=hello, middleware=held))
    origin = {"origin": "https://app.example"}
    assert ask(app, "OPTIONS", "/hr/x", None, headers={**origin, "access-control-request-method": "GET"}).is_success
    assert ask(app, "OPTIONS", "/hr/x", "free", headers=origin).status_code == 402
    # What knows no methods would do as it does for all others.
    asks = {**origin, "access-control-request-method": "GET"}
    assert ask(app, "OPTIONS", "/plain/x", None, headers=asks).status_code == 401
    assert ask(app, "OPTIONS", "/plain/x", "pro", headers=asks).text == "hello"


@pytest.mark.parametrize("middleware", [None, [Middleware(Touching)]])
def test_apps_that_are_mounted_answer_too(gate, middleware):
    inner = Starlette(routes=[Route("/export", export), Route("/deep", who)])
    deep = Starlette(routes=[Route("/export", export)])
    inner.mount("/deeper", deep)
    api = FastAPI()

    @api.get("/export")
    async def exporting() -> str:
        await export(None)
        return "exported"

    app = app_of(
        gate,
        Mount("/inner", app=inner, middleware=middleware),
        Mount("/api", app=api, middleware=middleware),
        Host("files.example", app=Router([Route("/x", export)])),
        unguarded="allow",
    )
    for path in ("/inner/export", "/inner/deeper/export", "/api/export"):
        assert asked(app, "GET", path, "free") == (402, "plan.feature_absent")
        assert asked(app, "GET", path, "pro") == (200, "exported")
    assert asked(app, "GET", "/x", "free", headers={"host": "files.example"}) == (402, "plan.feature_absent")


class Overriding:
    """Takes the method from a field, and hands on a copy of the scope, as the ASGI specification says."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        said = dict(scope["headers"]).get(b"x-http-method-override")
        await self.app({**scope, "method": said.decode()} if said else scope, receive, send)


@pytest.mark.parametrize("around", ["app", "mount", "route"])
@pytest.mark.parametrize("asks", ["gate", "guard inside", "guard alone"])
def test_what_is_asked_is_about_the_method_that_is_handled(gate, around, asks):
    """Who may only read does not write by a GET that middleware outside of a gate makes a DELETE of."""

    def handle(request):
        return PlainTextResponse(f'"{request.method}"')

    held = {
        "gate": [gate.require_module("hr")],
        "guard inside": [gate.require_module("hr", access="read")],
        "guard alone": [],
    }[asks]
    handler = handle if asks == "gate" else require_module("hr")(handle)
    override = [Middleware(Overriding)]
    route = Route(
        "/hr",
        handler,
        methods=["GET", "DELETE"],
        middleware=[*(override if around == "route" else ()), *held],
    )
    app = app_of(
        gate,
        Mount("/in", routes=[route], middleware=override if around == "mount" else None),
        middleware=override if around == "app" else None,
    )
    delete = {"X-HTTP-Method-Override": "DELETE"}
    client = TestClient(app)
    said = [
        client.get("/in/hr", headers={"X-Tenant": tenant, **fields})
        for tenant, fields in (("paused", {}), ("paused", delete), ("pro", delete))
    ]
    assert [(each.status_code, each.json()) for each in (said[0], said[2])] == [(200, "GET"), (200, "DELETE")]
    assert (said[1].status_code, said[1].json()["reason"]) == (403, "subscription.paused")


class Handling(HTTPEndpoint):
    @require_module("hr")
    async def get(self, request):
        return PlainTextResponse(f'"{request.method}"')

    delete = get


@pytest.mark.parametrize("where", ["app", "router", "middleware of a router", "class", "fastapi", "included", "added"])
def test_a_guard_alone_asks_about_the_method_that_its_endpoint_handles(gate, where):
    """Wherever that middleware stands inside of the gate, and whatever is mounted."""

    @require_module("hr")
    async def handle(request: Request):
        return PlainTextResponse(f'"{request.method}"')

    override = [Middleware(Overriding)]
    methods = ["GET", "DELETE"]
    route = Route("/hr", Handling if where == "class" else handle, methods=methods)
    api = FastAPI(middleware=override)
    router = APIRouter()
    (router if where == "included" else api).add_api_route("/hr", handle, methods=methods)
    api.include_router(router)
    inner = Starlette(routes=[] if where == "added" else [route], middleware=override)
    mounted = {
        "router": Mount("/in", Mount("/", routes=[Mount("/", Router([route]))], middleware=override)),
        "middleware of a router": Mount("/in", Router([route], middleware=override)),
        "fastapi": Mount("/in", api),
        "included": Mount("/in", api),
    }.get(where, Mount("/in", inner))
    app = app_of(gate, mounted, unguarded="allow")
    if where == "added":
        inner.router.routes.append(route)
    with TestClient(app, headers={"X-Tenant": "paused"}) as client:
        for fields, status in (({}, 200), ({"X-HTTP-Method-Override": "DELETE"}, 403), ({}, 200)):
            assert client.get("/in/hr", headers=fields).status_code == status
        assert client.delete("/in/hr").status_code == 403


def test_a_route_is_followed_once_however_often_the_gate_looks(gate):
    route = Route("/hr", plainly, middleware=[Middleware(Overriding)])
    app = app_of(gate, Mount("/in", routes=[route]), unguarded="allow")
    inside = route.app.app
    gate.init_app(app)
    with TestClient(app):
        assert route.app.app is inside
    assert not isinstance(inside.app, type(inside))


def test_middleware_that_copies_the_scope_leaves_nothing_for_the_garbage_collector(gate):
    kept = []

    class Copied(dict):
        """One that can be watched."""

    class Copying(Overriding):
        async def __call__(self, scope, receive, send):
            copied = Copied(scope)
            kept.append(weakref.ref(copied))
            await self.app(copied, receive, send)

    route = Route("/hr", plainly, middleware=[gate.require_module("hr")])
    app = app_of(gate, Mount("/in", routes=[route], middleware=[Middleware(Copying)]))
    gc.disable()
    try:
        assert asked(app, "GET", "/in/hr", "pro")[0] == 200
        assert [each() for each in kept] == [None]
    finally:
        gc.enable()


def test_two_gates_ask_for_their_own_tenants(ent):
    seller = Gate(ent, tenant=login)
    buyer = Gate(ent, tenant=lambda connection: connection.headers.get("x-buyer"))
    app = Starlette(
        routes=[
            Route("/both", who, middleware=[seller.require_module("hr"), buyer.require_module("crm")]),
            Route("/other", who, middleware=[buyer.require_module("hr")]),
        ]
    )
    seller.init_app(app)
    buyer.init_app(app)
    assert asked(app, "GET", "/both", "pro", headers={"x-buyer": "free"}) == (200, "free None")
    assert asked(app, "GET", "/both", "free", headers={"x-buyer": "pro"})[0] == 402
    assert asked(app, "GET", "/other", "pro", headers={"x-buyer": "free"})[0] == 402


def test_a_tenancy_says_whose_request_it_is(ent):
    gate = Gate(ent, tenant=Tenancy(by(user("username")), by(login, name="header")))
    app = app_of(
        gate,
        Route("/hr", who, middleware=[gate.require_module("hr")]),
        middleware=[Middleware(AuthenticationMiddleware, backend=Login())],
    )
    assert asked(app, "GET", "/hr", "pro", headers={"authorization": "pro"}) == (200, "pro None")
    assert asked(app, "GET", "/hr", "pro", headers={"authorization": "free"}) == (403, "tenant.conflict")


def test_websockets_are_denied_or_closed(gate):
    app = app_of(gate, WebSocketRoute("/live", live, middleware=[gate.require_module("hr")]))
    client = TestClient(app)
    with client.websocket_connect("/live", headers={"x-tenant": "pro"}) as socket:
        assert socket.receive_text() == "pro"
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect("/live", headers={"x-tenant": "free"}),
    ):
        pass
    assert (denied.value.status_code, denied.value.json()["reason"]) == (402, "plan.module_absent")


def test_a_socket_that_is_open_is_closed_when_it_asks_for_too_much(gate):
    async def talk(websocket):
        await websocket.accept()
        await websocket.send_text("hello")
        await export(None)

    app = app_of(gate, WebSocketRoute("/live", talk), unguarded="allow")
    with TestClient(app).websocket_connect("/live", headers={"x-tenant": "free"}) as socket:
        assert socket.receive_text() == "hello"
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert (closed.value.code, closed.value.reason) == (1008, "plan.feature_absent")


def test_what_the_host_answers_itself_is_right(gate):
    async def mine(request, error):
        return PlainTextResponse('"mine"', 418)

    app = app_of(gate, Route("/export", export), exception_handlers={EntitlementError: mine})
    assert asked(app, "GET", "/export", "free") == (418, "mine")


async def plainly_open(request):
    return PlainTextResponse('"log in"')


def test_limits_are_counted_and_told():
    for kind in (Entitlements, AsyncEntitlements):
        with sandbox(ent_with_flag(kind)) as inside:
            gate = Gate(
                inside.client,
                tenant=login,
                user=lambda connection: connection.headers.get("x-user"),
                proxies=0,
                answers=Answers(legacy_fields=True),
            )
            app = app_of(
                gate,
                Route("/", who, middleware=[gate.rate_limit("calls"), gate.require_module("crm")]),
                Route("/each", who, middleware=[gate.rate_limit("each")]),
                Route("/near", who, middleware=[gate.rate_limit("near")]),
                unguarded="allow",
            )
            answers = [ask(app, "GET", "/", "a") for _ in range(3)]
            assert [each.status_code for each in answers] == [200, 200, 429]
            assert [each.headers["x-ratelimit-remaining"] for each in answers] == ["1", "0", "0"]
            assert answers[0].headers["ratelimit-policy"] == '"calls";q=2;w=3600'
            assert asked(app, "GET", "/each", "a") == (401, "tenant.unidentified")
            assert ask(app, "GET", "/near", "a").status_code == 200
            # By the address alone, whoever it is: on the same counter.
            login_page = app_of(
                gate,
                Route("/login", exempt(plainly_open), middleware=[gate.rate_limit("near", before_login=True)]),
            )
            answer = ask(login_page, "GET", "/login", None)
            assert (answer.status_code, answer.headers["ratelimit-policy"]) == (429, '"near";q=1;w=3600')


@pytest.mark.parametrize(
    ("limit", "message"),
    [("calsl", "did you mean 'calls'"), ("near", "proxies="), ("each", "user=")],
)
def test_a_limit_that_nobody_could_be_counted_on_is_a_mistake(limit, message):
    with sandbox(ent_with_flag(Entitlements)) as inside:
        gate = Gate(inside.client, tenant=login)
        with pytest.raises(ConfigurationError, match=message):
            gate.rate_limit(limit)


@pytest.mark.parametrize("kind", [Entitlements, AsyncEntitlements])
def test_units_are_used_up_and_given_back(kind, clock):
    with sandbox(kind.open("memory://", catalog=METERED), clock=clock) as inside:
        inside.subscribe("acme", "pro")
        gate = Gate(inside.client, tenant=login)

        async def print_it(request):
            if request.query_params.get("fails"):
                raise HTTPException(500)
            view = await gate.tenant(request)
            assert view.tenant == "acme"
            return PlainTextResponse(str(gate.usage(request, "crm.pages").replayed).lower())

        app = app_of(
            gate,
            Route("/print", print_it, middleware=[gate.consume_quota("crm.pages", 4)]),
            Route(
                "/named",
                print_it,
                middleware=[
                    gate.consume_quota(
                        "crm.pages",
                        lambda connection: int(connection.query_params["pages"]),
                        operation=lambda connection: f"page:{connection.query_params['id']}",
                    )
                ],
            ),
        )

        def used():
            return inside.usage("acme", "crm.pages").used

        def keyed(key):
            return {"idempotency-key": key}

        assert asked(app, "GET", "/print", "acme")[0] == 400
        assert [asked(app, "GET", "/print", "acme", headers=keyed(key))[1] for key in ("a", "a")] == [False, True]
        assert used() == 4
        assert ask(app, "GET", "/print?fails=1", "acme", headers=keyed("b")).status_code == 500
        assert used() == 4
        assert asked(app, "GET", "/named?pages=2&id=1", "acme")[0] == 200
        assert used() == 6


# -- streams, and what goes on behind the answer -----------------------------------------------------------------------


def test_a_stream_is_refused_before_its_first_byte(gate):
    async def stream(request):
        async def lines():
            for number in range(3):
                yield f"{number} {(await current_tenant_async()).tenant}\n"

        return StreamingResponse(lines())

    app = app_of(gate, Route("/hr", stream, middleware=[gate.require_module("hr")]))
    assert ask(app, "GET", "/hr", "pro").text == "0 pro\n1 pro\n2 pro\n"
    assert ask(app, "GET", "/hr", "free").status_code == 402


def test_an_error_in_a_background_task_is_not_answered_again(gate):
    seen = []

    @require_feature("crm.export")
    async def later():
        seen.append("ran")

    async def answered(request):
        return PlainTextResponse('"done"', background=BackgroundTask(later))

    app = app_of(gate, Route("/hr", answered, middleware=[gate.require_module("crm")]))
    client = TestClient(app)
    assert client.get("/hr", headers={"x-tenant": "pro"}).status_code == 200
    assert seen == ["ran"]
    # The answer has gone; nobody is told but the log of the server.
    with pytest.raises((NotEntitled, RuntimeError)):
        client.get("/hr", headers={"x-tenant": "free"})


def test_tasks_that_fail_together_are_answered_by_the_middleware(gate):
    async def together(request):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(export(request))

    app = app_of(gate, Route("/hr", together, middleware=[gate.require_module("crm")]))
    assert asked(app, "GET", "/hr", "free") == (402, "plan.feature_absent")


# -- the look over all routes ------------------------------------------------------------------------------------------


class Page(HTTPEndpoint):
    """An endpoint of several methods."""


class OpenPage(HTTPEndpoint):
    """One that a test marks: the mark stays with the class."""


@pytest.mark.parametrize(
    ("routes", "where"),
    [
        ([Route("/new", who)], "GET/HEAD /new"),
        ([Route("/page", Page)], "any method /page"),
        ([WebSocketRoute("/live", live)], "websocket /live"),
        ([Mount("/deep", routes=[Route("/new", who, methods=["POST"])])], "POST /deep/new"),
        ([Mount("/app", app=Starlette(routes=[Route("/new", who)]))], "GET/HEAD /app/new"),
        ([Mount("/static", app=StaticFiles(directory="."))], "app /static"),
        ([Host("x.example", app=Router([Route("/new", who)]))], "GET/HEAD /new"),
    ],
)
def test_a_route_that_nothing_stands_before_does_not_start(gate, routes, where):
    app = Starlette(routes=routes)
    gate.init_app(app)
    with pytest.raises(ConfigurationError) as told:
        gate.init_app(app, unguarded="refuse")
    assert f"{where}: no gate or guard stands before it" in str(told.value)


def test_what_is_open_on_purpose_starts(gate):
    inner = exempt(Starlette(routes=[Route("/new", who)]))
    app_of(
        gate,
        Mount("/app", app=inner, middleware=[Middleware(Touching)]),
        Mount("/static", app=exempt(StaticFiles(directory="."))),
        Route("/page", exempt(OpenPage)),
        Mount("/closed", app=Starlette(routes=[Route("/x", who)], middleware=[gate.require_module("crm")])),
    )


def test_a_limit_alone_lets_everybody_pass(ent):
    with sandbox(ent_with_flag(type(ent))) as inside:
        gate = Gate(inside.client, tenant=login)
        with pytest.raises(ConfigurationError, match="no gate or guard"):
            app_of(gate, Route("/", who, middleware=[gate.rate_limit("calls")]))
        with pytest.raises(ConfigurationError, match="no gate or guard"):
            app_of(gate, Route("/", who), middleware=[gate.rate_limit("calls"), Middleware(Touching)])


def test_what_comes_later_is_looked_over_when_the_app_starts(gate):
    app = app_of(gate)
    app.router.routes.append(Route("/late", who))
    with pytest.raises(ConfigurationError, match="/late"), TestClient(app):
        pass


def test_guards_are_looked_over_too(gate):
    @require_feature("crm.exprt")
    async def misspelt(request):
        """Never runs."""

    with pytest.raises(ConfigurationError, match=r"did you mean 'crm\.export'"):
        app_of(gate, Route("/export", misspelt))

    async def taken(request):
        """Runs without its guard."""

    route = Route("/taken", taken)
    require_feature("crm.export")(taken)
    with pytest.raises(ConfigurationError, match="put it below"):
        app_of(gate, route)


def test_mistakes_are_told_at_once(gate, ent):
    with pytest.raises(ConfigurationError, match="did you mean 'crm'"):
        gate.require_module("crn")
    with pytest.raises(ValueError, match="'read' or 'write'"):
        gate.require_module("crm", access="look")
    with pytest.raises(ValueError, match="'allow' or 'refuse'"):
        gate.init_app(Starlette(), unguarded="maybe")
    with pytest.raises(ConfigurationError, match="proxies is -1"):
        Gate(ent, tenant=login, proxies=-1)
    with pytest.raises(ConfigurationError, match=r"call gate\.init_app\(app\)"):
        TestClient(Starlette(routes=[Route("/", who, middleware=[gate.require_module("crm")])])).get("/")


def test_repeating_it_is_harmless(gate):
    app = app_of(gate, Route("/hr", who, middleware=[gate.require_module("hr")]))
    assert asked(app, "GET", "/hr", "free")[0] == 402
    gate.init_app(app)
    assert len(app.user_middleware) == 1
    assert asked(app, "GET", "/hr", "pro") == (200, "pro None")


def test_an_app_that_is_mounted_may_run_by_itself_as_well(gate, ent):
    async def mine(request):
        (await view_of(ent, "free")).require("hr")

    inner = Starlette(routes=[Route("/hr", mine)])
    app_of(gate, Mount("/inner", app=inner), unguarded="allow")
    assert asked(inner, "GET", "/hr", "pro") == (402, "plan.module_absent")


def test_it_starts_and_serves(gate, monkeypatch):
    app = app_of(gate, Route("/hr", who, middleware=[gate.require_module("hr")]))
    # Also where nobody has imported FastAPI, whose routers are nodes of a tree.
    monkeypatch.delitem(sys.modules, "fastapi")
    with TestClient(app) as client:
        assert client.get("/hr", headers={"x-tenant": "pro"}).text == '"pro None"'
