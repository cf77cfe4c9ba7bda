"""What a client gets to hear: problem documents, everywhere in an app, and never more than it may know."""

# Without `from __future__ import annotations`: FastAPI evaluates annotations, and those below name local values.

import asyncio
from contextlib import asynccontextmanager
from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount, Router
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect
from structlog.testing import capture_logs

from payaid_entitlements import DENY, Reason, TenantView, current_tenant
from payaid_entitlements.core import offering
from payaid_entitlements.core.reference import read_reference
from payaid_entitlements.core.remedies import remedies as found
from payaid_entitlements.errors import (
    EntitlementError,
    NotEntitled,
    OutcomeUnknown,
    Refused,
    ViewExpired,
)
from payaid_entitlements.web.finding import view_of
from tests.web.conftest import NOW, ask, asked


def hr_app(gate, **options):
    app = FastAPI(**options)

    @app.get("/hr", dependencies=[gate.require_module("hr")])
    async def people() -> str:
        return "people"

    return app


def test_a_refusal_is_a_problem_document_with_remedies_and_a_reference(gate):
    app = hr_app(gate)
    gate.init_app(app)

    response = ask(app, "GET", "/hr", "free")
    body = response.json()
    said = read_reference(body.pop("reference"))

    assert response.status_code == 402
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert "www-authenticate" not in response.headers
    assert "retry-after" not in response.headers
    assert body == {
        "type": "urn:problem-type:payaid:plan.module_absent",
        "title": "Your plan does not include this module.",
        "status": 402,
        "detail": "Change to a plan, or add an add-on, that includes the module.",
        "reason": "plan.module_absent",
        "feature": "hr",
        "remedies": [
            {
                "kind": "change_plan",
                "plan": "pro",
                "title": "pro",
                "prices": [{"amount": "5", "currency": "EUR", "interval": "month"}],
                "url": None,
                "verb": "subscribe",
                "subscription": "main",
            },
            {
                "kind": "contact",
                "title": "Talk to us about big",
                "plan": "big",
                "url": None,
                "subscription": "main",
            },
        ],
    }
    assert said.reason is Reason.PLAN_MODULE_ABSENT
    assert said.is_tenant("free")
    assert said.feature_among(["crm", "hr"]) == "hr"
    assert said.said_at == int(NOW.timestamp()) * 1_000_000


def test_whoever_asks_again_costs_no_look_for_what_would_help(gate, inside, monkeypatch):
    """To find it takes as long as a dozen refusals; a purchase makes it be found anew."""
    app = hr_app(gate)
    gate.init_app(app)
    looks = []
    monkeypatch.setattr(offering, "remedies", lambda *asked: looks.append(asked[2]) or found(*asked))
    bodies = [ask(app, "GET", "/hr", "asks-again").json() for _ in range(5)]
    assert {len(body["remedies"]) for body in bodies} == {2}
    assert looks == ["hr"]

    inside.override("asks-again", "hr", DENY)
    assert [each["kind"] for each in ask(app, "GET", "/hr", "asks-again").json()["remedies"]] == ["contact"]
    assert looks == ["hr", "hr"]


def test_a_refusal_is_one_line_in_the_log(gate):
    app = hr_app(gate)
    gate.init_app(app)

    with capture_logs() as lines:
        reference = ask(app, "GET", "/hr", "free").json()["reference"]

    assert lines == [
        {
            "event": "refused",
            "log_level": "info",
            "tenant": "free",
            "feature": "hr",
            "reason": "plan.module_absent",
            "reference": reference,
        }
    ]


@pytest.mark.parametrize(
    ("tenant", "days", "expected"),
    [
        ("trial", 15, (402, "subscription.trial_ended")),
        ("late", 8, (402, "subscription.past_due")),
        ("late", 6, (200, "people")),
        ("suspended", 0, (403, "subscription.suspended")),
    ],
)
def test_time_alone_turns_answers(gate, clock, tenant, days, expected):
    app = hr_app(gate)
    gate.init_app(app)
    clock.advance(days=days)

    assert asked(app, "GET", "/hr", tenant) == expected


def test_what_opens_by_itself_says_when(inside, gate, clock):
    inside.admin().subscribe("soon", "pro", anchor=None)
    inside.admin().pause("soon", until=clock.now().replace(day=25))
    app = FastAPI()

    @app.post("/hr", dependencies=[gate.require_module("hr")])
    async def hire() -> str:
        return "hired"

    gate.init_app(app)
    response = ask(app, "POST", "/hr", "soon")

    assert (response.status_code, response.json()["reason"]) == (403, "subscription.paused")
    assert response.json()["remedies"][0] == {"kind": "wait_until", "at": "2026-09-25T14:00:00+00:00"}
    assert response.headers["retry-after"] == "Fri, 25 Sep 2026 14:00:00 GMT"


@pytest.mark.parametrize(
    ("turn_off", "status", "reason"),
    [("kill", 403, "enforcement.killed"), ("deny", 403, "override.denied"), (None, 402, "plan.module_absent")],
)
def test_what_needs_something_that_policy_forbids_is_not_sold_as_an_upgrade(inside, gate, turn_off, status, reason):
    app = FastAPI()

    @app.get("/books", dependencies=[gate.require_module("books")])
    async def books() -> str:
        return "books"

    gate.init_app(app)
    if turn_off == "kill":
        inside.admin().kill("crm")
    elif turn_off == "deny":
        inside.override("big", "crm", DENY)

    tenant = "free" if turn_off is None else "big"
    response = ask(app, "GET", "/books", tenant)

    assert (response.status_code, response.json()["reason"]) == (status, reason)
    assert response.json()["status"] == status


def test_what_it_needs_may_be_only_observed_and_still_not_be_held(inside, gate):
    """
    What is required counts as it is sold; that its own refusal is softened says nothing about why.
    """
    inside.admin().set_enforcement("crm", "observe")
    inside.override("paused", "books", True)
    app = FastAPI()

    @app.post("/books", dependencies=[gate.require_module("books")])
    async def close() -> None: ...

    @app.post("/crm", dependencies=[gate.require_module("crm")])
    async def write() -> str:
        return "written"

    gate.init_app(app)

    assert asked(app, "POST", "/crm", "paused") == (200, "written")
    assert asked(app, "POST", "/books", "paused") == (402, "dependency.missing")


# -- an outage --------------------------------------------------------------------------------------------------------


def test_an_outage_is_503_and_never_402(inside, gate):
    app = hr_app(gate)
    gate.init_app(app)

    with inside.outage():
        response = ask(app, "GET", "/hr", "free")

    assert (response.status_code, response.json()["reason"]) == (503, "store.unavailable")
    assert response.headers["retry-after"] == "2"
    assert response.headers["content-type"] == "application/problem+json"
    assert asked(app, "GET", "/hr", "free") == (402, "plan.module_absent")


def test_what_was_known_a_moment_ago_goes_on_in_an_outage(inside, gate):
    app = hr_app(gate)
    gate.init_app(app)
    assert asked(app, "GET", "/hr", "pro") == (200, "people")
    assert ask(app, "GET", "/hr", "free").status_code == 402

    with inside.outage(is_warm=True):
        assert asked(app, "GET", "/hr", "pro") == (200, "people")
        assert asked(app, "GET", "/hr", "free") == (503, "store.unavailable")


def test_a_feature_may_fail_open(inside, gate):
    app = FastAPI()

    @app.get("/payroll", dependencies=[gate.require_feature("hr.payroll")])
    async def payroll(tenant: Annotated[TenantView, gate.tenant]) -> bool:
        return tenant.stale

    gate.init_app(app)
    assert asked(app, "GET", "/payroll", "free") == (402, "plan.module_absent")

    with inside.outage():
        assert asked(app, "GET", "/payroll", "free") == (200, True)


def test_a_lost_reply_to_a_write_is_not_repeated_by_clients(gate):
    app = FastAPI()

    @app.post("/buy", dependencies=[gate.tenant])
    async def buy() -> None:
        raise OutcomeUnknown("the reply was lost", operation="buy:1")

    gate.init_app(app)
    response = ask(app, "POST", "/buy", "free")

    assert (response.status_code, response.json()["reason"]) == (503, "store.outcome_unknown")
    assert "retry-after" not in response.headers


# -- everywhere in an app ---------------------------------------------------------------------------------------------


def mounted(sub):
    app = FastAPI()
    app.mount("/sub", sub)
    return app, "http://testserver/sub/hr"


def mounted_twice(sub):
    middle = Starlette(routes=[Mount("/inner", sub)])
    app = FastAPI()
    app.mount("/outer", middle)
    return app, "http://testserver/outer/inner/hr"


def mounted_in_an_included_router(sub):
    router = APIRouter()
    router.mount("/sub", sub)
    app = FastAPI()
    app.include_router(router, prefix="/v1")
    return app, "http://testserver/v1/sub/hr"


def mounted_in_middleware(sub):
    app = FastAPI()
    app.mount("/sub", GZipMiddleware(CORSMiddleware(sub)))
    return app, "http://testserver/sub/hr"


def mounted_with_middleware(sub):
    app = FastAPI(routes=[Mount("/sub", app=sub, middleware=[Middleware(GZipMiddleware)])])
    return app, "http://testserver/sub/hr"


def mounted_in_a_plain_router(sub):
    app = FastAPI()
    app.mount("/plain", Router(routes=[Mount("/sub", sub)]))
    return app, "http://testserver/plain/sub/hr"


def under_a_host_name(sub):
    app = FastAPI()
    app.host("api.example.com", sub)
    return app, "http://api.example.com/hr"


@pytest.mark.parametrize(
    "place",
    [
        mounted,
        mounted_twice,
        mounted_in_an_included_router,
        mounted_in_middleware,
        mounted_with_middleware,
        mounted_in_a_plain_router,
        under_a_host_name,
    ],
)
def test_apps_inside_an_app_answer_refusals_too(gate, place):
    app, url = place(hr_app(gate))
    gate.init_app(app)

    assert asked(app, "GET", url, "pro") == (200, "people")
    assert asked(app, "GET", url, "free") == (402, "plan.module_absent")
    assert asked(app, "GET", url, None) == (401, "tenant.unidentified")


def test_what_is_mounted_later_answers_once_the_app_has_started(gate):
    app = FastAPI()
    gate.init_app(app)
    app.mount("/sub", hr_app(gate))

    with TestClient(app) as client:
        assert client.get("/sub/hr", headers={"x-tenant": "free"}).status_code == 402


def test_an_app_may_be_set_up_while_it_starts(gate):
    """
    Starlette has built its handlers by then.
    """

    @asynccontextmanager
    async def lifespan(app):
        gate.init_app(app)
        yield

    app = hr_app(gate, lifespan=lifespan)

    with TestClient(app) as client:
        assert client.get("/hr", headers={"x-tenant": "free"}).status_code == 402


def test_setting_up_twice_is_harmless(gate):
    app = hr_app(gate)
    gate.init_app(app)
    gate.init_app(app)

    with TestClient(app) as client:
        assert client.get("/hr", headers={"x-tenant": "free"}).json()["reason"] == "plan.module_absent"


def test_the_hosts_own_start_up_runs_after_the_look_over(gate):
    happened = []

    @asynccontextmanager
    async def lifespan(app):
        happened.append("up")
        yield {"state": 1}
        happened.append("down")

    app = hr_app(gate, lifespan=lifespan)

    @app.get("/state")
    async def state(request: Request) -> int:
        return request.state.state

    gate.init_app(app)

    with TestClient(app) as client:
        assert (client.get("/state").json(), happened) == (1, ["up"])
    assert happened == ["up", "down"]


def test_refusals_of_the_code_inside_a_route_are_answered(ent, gate):
    app = FastAPI()

    @app.get("/view")
    async def by_view(tenant: Annotated[TenantView, gate.tenant]) -> str:
        tenant.require("hr")
        return "people"

    @app.get("/current", dependencies=[gate.tenant])
    def by_current_tenant() -> str:
        current_tenant().require("hr")
        return "people"

    gate.init_app(app)

    for path in ("/view", "/current"):
        assert asked(app, "GET", path, "pro") == (200, "people")
        assert asked(app, "GET", path, "free") == (402, "plan.module_absent")


def test_a_refusal_without_a_gate_is_answered_with_remedies(ent, gate):
    """
    Raised where nothing is bound, as by a host that asks its client itself.
    """
    app = FastAPI()
    view = asyncio.run(view_of(ent, "free"))

    @app.get("/hr")
    async def people() -> None:
        view.require("hr")

    gate.init_app(app)
    response = ask(app, "GET", "/hr", None)

    assert response.status_code == 402
    assert [remedy["kind"] for remedy in response.json()["remedies"]] == ["change_plan", "contact"]


def test_nothing_is_learned_about_another_tenant(ent, gate):
    """
    What would help another customer says what that customer has.
    """
    app = FastAPI()
    other = asyncio.run(view_of(ent, "free"))

    @app.get("/other", dependencies=[gate.tenant])
    async def look_elsewhere() -> None:
        other.require("hr")

    gate.init_app(app)
    response = ask(app, "GET", "/other", "pro")

    assert (response.status_code, response.json()["remedies"]) == (402, [])


def test_no_actor_no_reason_of_theirs_and_no_other_tenant_is_told(inside, gate):
    inside.admin("mallory@vendor.example", because="they owe us").override("denied", "hr", DENY)
    app = hr_app(gate)
    gate.init_app(app)
    response = ask(app, "GET", "/hr", "denied")

    assert response.status_code == 403
    for secret in ("mallory", "owe", "denied@", "pro@", "sandbox"):
        assert secret not in response.text
    assert set(response.json()) == {"type", "title", "status", "detail", "reason", "feature", "remedies", "reference"}


# -- the host's own ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [NotEntitled, Refused, EntitlementError])
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_hosts_own_answer_goes_before_ours(gate, kind, when):
    app = hr_app(gate)
    if when == "after":
        gate.init_app(app)

    async def own(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse(f"ours: {error.decision.reason}", 418)

    app.add_exception_handler(kind, own)
    if when == "before":
        gate.init_app(app)
    response = ask(app, "GET", "/hr", "free")

    if when == "after" and kind is EntitlementError:
        # By then the gate has answers for what is closer.
        assert response.status_code == 402
    else:
        assert (response.status_code, response.text) == (418, "ours: plan.module_absent")


def test_what_the_host_answers_else_stays_as_it_is(gate):
    app = hr_app(gate)

    async def own(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("broken", 500)

    app.add_exception_handler(Exception, own)
    app.add_exception_handler(404, own)

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "short and stout")

    gate.init_app(app)

    assert ask(app, "GET", "/hr", "free").status_code == 402
    assert ask(app, "GET", "/nowhere").text == "broken"
    assert ask(app, "GET", "/teapot").json() == {"detail": "short and stout"}


def test_the_login_challenge_of_the_host_stays_as_it_is(gate):
    app = hr_app(gate)

    @app.get("/login")
    async def login() -> None:
        raise HTTPException(401, headers={"WWW-Authenticate": "Negotiate"})

    gate.init_app(app)

    assert ask(app, "GET", "/login").headers["www-authenticate"] == "Negotiate"
    assert "www-authenticate" not in ask(app, "GET", "/hr", "free").headers


# -- browsers ---------------------------------------------------------------------------------------------------------


def test_a_preflight_passes_and_a_refusal_can_be_read_by_the_page(gate):
    app = hr_app(gate)
    app.add_middleware(CORSMiddleware, allow_origins=["https://shop.example"], allow_headers=["x-tenant"])
    gate.init_app(app)
    origin = {"origin": "https://shop.example"}

    preflight = ask(app, "OPTIONS", "/hr", None, headers=origin | {"access-control-request-method": "GET"})
    refused = ask(app, "GET", "/hr", "free", headers=origin)

    assert preflight.status_code == 200
    assert refused.status_code == 402
    assert refused.headers["access-control-allow-origin"] == "https://shop.example"


def test_head_is_refused_as_get_is_without_a_body(gate):
    app = FastAPI()

    @app.api_route("/hr", methods=["GET", "HEAD"], dependencies=[gate.require_module("hr")])
    async def people() -> str:
        return "people"

    gate.init_app(app)
    response = ask(app, "HEAD", "/hr", "free")

    assert response.status_code == 402
    assert response.headers["content-type"] == "application/problem+json"


# -- websockets -------------------------------------------------------------------------------------------------------


def sockets(gate):
    app = FastAPI()

    @app.websocket("/early", dependencies=[gate.require_module("hr")])
    async def early(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(current_tenant().tenant)
        await socket.close()

    @app.websocket("/late")
    async def late(socket: WebSocket, tenant: Annotated[TenantView, gate.tenant]) -> None:
        await socket.accept()
        await socket.send_text("hello")
        tenant.require("hr")
        await socket.send_text("secret")

    gate.init_app(app)
    return app


def test_a_websocket_is_refused_before_it_opens_with_the_same_document(gate):
    client = TestClient(sockets(gate))

    with client.websocket_connect("/early", headers={"x-tenant": "pro"}) as socket:
        assert socket.receive_text() == "pro"
    with pytest.raises(WebSocketDenialResponse) as denied:
        client.websocket_connect("/early", headers={"x-tenant": "free"}).__enter__()

    assert (denied.value.status_code, denied.value.json()["reason"]) == (402, "plan.module_absent")
    assert denied.value.headers["content-type"] == "application/problem+json"


def test_a_websocket_may_write(gate):
    """
    It has no method: a paused subscription, which may only be read, does not open it.
    """
    with pytest.raises(WebSocketDenialResponse) as denied:
        TestClient(sockets(gate)).websocket_connect("/early", headers={"x-tenant": "paused"}).__enter__()

    assert (denied.value.status_code, denied.value.json()["reason"]) == (403, "subscription.paused")


def test_a_websocket_that_is_open_is_closed_for_policy_and_says_why(gate):
    with TestClient(sockets(gate)).websocket_connect("/late", headers={"x-tenant": "free"}) as socket:
        assert socket.receive_text() == "hello"
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()

    assert (closed.value.code, closed.value.reason) == (1008, "plan.module_absent")


def test_a_server_without_denial_responses_closes_instead(gate):
    """
    Uvicorn has them; before a socket is open, a close is a bare 403 there and everywhere.
    """
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/early",
        "headers": [(b"x-tenant", b"free")],
        "query_string": b"",
        "extensions": {},
    }
    asyncio.run(sockets(gate)(scope, receive, send))

    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "plan.module_absent"}]


def test_a_socket_that_stays_open_needs_a_new_view(ent, gate, clock):
    """
    A view is for one request: after a minute it refuses to be used, a new one does not.
    """
    app = FastAPI()

    @app.websocket("/feed")
    async def feed(socket: WebSocket, tenant: Annotated[TenantView, gate.tenant]) -> None:
        await socket.accept()
        tenant.require("hr")
        clock.advance(seconds=61)
        try:
            current_tenant()
        except ViewExpired:
            await socket.send_text("expired")
        await socket.send_text((await view_of(ent, tenant.tenant)).require("hr").reason)
        await socket.close()

    gate.init_app(app)

    with TestClient(app).websocket_connect("/feed", headers={"x-tenant": "pro"}) as socket:
        assert [socket.receive_text(), socket.receive_text()] == ["expired", "plan.granted"]
