"""Gates that use up units of quotas: when, by which name, and when they come back; for both colours."""

# Without `from __future__ import annotations`: FastAPI evaluates annotations, and those below name local values.

from decimal import Decimal
from typing import Annotated
from uuid import UUID

import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, HTTPException, Query, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.testclient import TestClient
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from payaid_entitlements import AsyncEntitlements, Entitlements, consume_quota
from payaid_entitlements.core.metering.usage import Usage
from payaid_entitlements.errors import ConfigurationError, TenantUnidentified
from payaid_entitlements.testing import FakeClock, sandbox
from payaid_entitlements.web.fastapi import Gate
from payaid_entitlements.web.fastapi.around import Around
from tests.holding.conftest import CATALOG
from tests.web.conftest import NOW, ask, asked, login


@pytest.fixture(params=[Entitlements, AsyncEntitlements], ids=["sync", "async"])
def inside(request):
    with sandbox(request.param.open("memory://", catalog=CATALOG), clock=FakeClock(NOW)) as found:
        found.subscribe("acme", "pro")
        yield found


@pytest.fixture
def gate(inside):
    return Gate(inside.client, tenant=login)


def import_id(number: int) -> tuple[str, int]:
    return ("import", number)


def pages(inside):
    return inside.usage("acme", "crm.pages").used


def failing(how):
    """A route's end: an answer, or an exception."""
    if how == "raises":
        raise ZeroDivisionError
    if how == "refuses":
        raise HTTPException(404)
    if how == "moved":
        raise HTTPException(307, headers={"Location": "/"})
    if how == "together":
        raise ExceptionGroup("tasks", [TenantUnidentified("nobody")])
    return JSONResponse({"how": how}, 409 if how == "answers" else 201)


def app_of(gate, operation=import_id, **more):
    app = FastAPI()

    @app.post("/{number}", dependencies=[gate.consume_quota("crm.pages", 4, operation=operation, **more)])
    async def it(number: int, how: str = "", lines: Annotated[list[int] | None, Body()] = None):
        return failing(how)

    gate.init_app(app)
    return app


# -- when it comes back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "status", "stays"),
    [
        ({}, 201, 4),
        ({"params": {"how": "moved"}}, 307, 4),
        ({"params": {"how": "raises"}}, 500, 0),
        ({"params": {"how": "refuses"}}, 404, 0),
        ({"params": {"how": "together"}}, 401, 0),
        ({"params": {"how": "answers"}}, 409, 0),
        ({"json": ["no number"]}, 422, 0),
        ({"content": "no JSON", "headers": {"content-type": "application/json"}}, 422, 0),
    ],
)
def test_a_request_that_fails_has_used_up_nothing(inside, gate, more, status, stays):
    assert ask(app_of(gate), "POST", "/1", "acme", **more).status_code == status
    assert pages(inside) == stays


def test_the_host_says_which_statuses_are_failures(inside, gate):
    app = app_of(gate, failing=lambda status: status >= 500)

    assert [ask(app, "POST", f"/1?how={how}", "acme").status_code for how in ("refuses", "raises")] == [404, 500]
    assert pages(inside) == 4, "the second one was a repetition of the first, which was kept"
    assert ask(app, "POST", "/2?how=raises", "acme").status_code == 500
    assert pages(inside) == 4


def test_what_is_used_up_is_402_and_what_is_not_sold_too(inside, gate):
    app = app_of(gate)

    assert [asked(app, "POST", f"/{number}", "acme")[0] for number in (1, 2, 3)] == [201, 201, 402]
    refused = ask(app, "POST", "/3", "acme").json()
    assert (refused["reason"], refused["feature"]) == ("quota.exhausted", "crm.pages")
    assert {each["kind"] for each in refused["remedies"]} >= {"change_plan"}
    assert asked(app, "POST", "/1", "free") == (402, "plan.feature_absent")
    assert pages(inside) == 8


def test_in_an_outage_it_is_503(inside, gate):
    app = app_of(gate)
    ask(app, "POST", "/1", "acme")

    with inside.outage(is_warm=True):
        assert asked(app, "POST", "/2", "acme") == (503, "store.unavailable")


def test_a_stream_pays_before_its_first_byte_and_gets_it_back_when_it_breaks(inside, gate):
    app = FastAPI()

    def lines(number):
        yield "one"
        assert pages(inside) == 4 + number
        if number:
            raise ZeroDivisionError
        yield "two"

    def broken():
        raise ZeroDivisionError

    once = gate.consume_quota("crm.pages", 4, operation=import_id)

    @app.post("/{number}", dependencies=[once])
    async def stream(number: int) -> StreamingResponse:
        return StreamingResponse(lines(number))

    @app.post("/later/{number}", dependencies=[once])
    async def later(number: int) -> JSONResponse:
        return JSONResponse("done", background=BackgroundTask(broken))

    gate.init_app(app)

    assert ask(app, "POST", "/0", "acme").text == "onetwo"
    assert pages(inside) == 4
    assert ask(app, "POST", "/4", "acme").text == "one"
    assert pages(inside) == 4
    # What fails behind a whole answer gives nothing back.
    assert ask(app, "POST", "/later/5", "acme").json() == "done"
    assert pages(inside) == 8


def test_an_app_in_which_no_gate_is_installed_gives_back_what_raises(inside, gate):
    app = FastAPI()

    @app.post("/{number}", dependencies=[gate.consume_quota("crm.pages", 4, operation=import_id)])
    async def it(number: int, how: str = ""):
        return failing(how)

    assert [ask(app, "POST", f"/{number}?how=raises", "acme").status_code for number in (1, 2)] == [500, 500]
    assert pages(inside) == 0
    assert ask(app, "POST", "/1", "acme").status_code == 201
    assert pages(inside) == 4


def test_a_socket_pays_once_and_gets_it_back_when_it_breaks(inside, gate):
    app = FastAPI()

    @app.websocket("/{number}")
    async def feed(
        websocket: WebSocket,
        number: int,
        usage: Annotated[Usage, gate.consume_quota("crm.pages", 4, operation=import_id)],
    ) -> None:
        await websocket.accept()
        await websocket.send_json(int(usage.remaining))
        if await websocket.receive_text() == "break":
            raise ZeroDivisionError
        await websocket.receive_text()

    gate.init_app(app)
    client = TestClient(app, headers={"x-tenant": "acme"})
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/1") as socket:
        assert socket.receive_json() == 6
        socket.send_text("leave")
    assert pages(inside) == 4, "whoever leaves has had it"
    with pytest.raises(ZeroDivisionError), client.websocket_connect("/2") as socket:
        assert socket.receive_json() == 2
        socket.send_text("break")
        socket.receive_text()
    assert pages(inside) == 4
    inside.exhaust("acme", "crm.pages")
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/3"):
        pass
    assert refused.value.status_code == 402


def test_mounted_apps_give_back_too_and_behind_other_middleware(inside, gate):
    inner = app_of(gate)
    app = FastAPI()
    app.add_middleware(BaseHTTPMiddleware, dispatch=lambda request, go_on: go_on(request))
    app.mount("/inner", inner)
    gate.init_app(app)
    before = list(app.user_middleware)
    gate.init_app(app)

    assert app.user_middleware == before
    assert [each.cls for each in before].count(Around) == 1
    assert asked(app, "POST", "/inner/1?how=answers", "acme")[0] == 409
    assert pages(inside) == 0
    assert asked(app, "POST", "/inner/1", "acme")[0] == 201
    assert pages(inside) == 4


# -- by which name ----------------------------------------------------------------------------------------------------


def test_a_repetition_is_free_and_the_route_sees_that_it_is_one(inside, gate):
    app = FastAPI()

    @app.post("/{number}")
    async def it(number: int, usage: Annotated[Usage, gate.consume_quota("crm.pages", 4, operation=import_id)]):
        return [usage.replayed, int(usage.remaining)]

    gate.init_app(app)

    assert [ask(app, "POST", f"/{number}", "acme").json() for number in (1, 1, 2)] == [
        [False, 6],
        [True, 6],
        [False, 2],
    ]
    assert pages(inside) == 8


def test_a_client_names_its_request_for_this_route_and_for_itself(inside, gate):
    inside.subscribe("other", "pro")
    app = app_of(gate, None)

    def posted(path, key, tenant="acme"):
        return asked(app, "POST", path, tenant, headers={} if key is None else {"Idempotency-Key": key})

    assert posted("/1", None) == (400, "operation.unnamed")
    assert posted("/1", "") == (400, "operation.unnamed")
    assert [posted("/1", key)[0] for key in ("a", '"a"')] == [201, 201]
    assert pages(inside) == 4
    assert posted("/1", "a", "other")[0] == 201
    assert inside.usage("other", "crm.pages").used == 4
    assert posted("/2", "a")[0] == 201
    assert pages(inside) == 8
    assert posted("/1", "b") == (402, "quota.exhausted")


def test_two_quotas_that_the_client_names_are_two_acts(inside, gate):
    router = APIRouter(dependencies=[gate.consume_quota("crm.pages", 4, operation=None)])

    @router.post("/it", dependencies=[gate.consume_quota("crm.hours", Decimal("0.25"), operation=None)])
    async def it() -> str:
        return "it"

    app = FastAPI()
    app.include_router(router)
    gate.init_app(app)

    assert [ask(app, "POST", "/it", "acme", headers={"Idempotency-Key": "k"}).status_code for _ in range(2)] == [
        200
    ] * 2
    assert (pages(inside), inside.usage("acme", "crm.hours").used) == (4, Decimal("0.25"))


def test_dependencies_say_how_much_and_of_what(inside, gate):
    def how_many(pages: Annotated[int, Query(ge=1)]) -> int:
        return pages

    def job(name: UUID) -> UUID:
        return name

    app = FastAPI()

    @app.post("/it", dependencies=[gate.consume_quota("crm.pages", how_many, operation=job)])
    async def it() -> str:
        return "it"

    gate.init_app(app)

    assert asked(app, "POST", f"/it?pages=3&name={UUID(int=1)}", "acme") == (200, "it")
    assert asked(app, "POST", f"/it?pages=0&name={UUID(int=2)}", "acme")[0] == 422
    assert pages(inside) == 3


def test_what_a_client_leaves_out_of_a_name_is_400(inside, gate):
    def job(name: str = "") -> str:
        return name

    app = FastAPI()

    @app.post("/it", dependencies=[gate.consume_quota("crm.pages", operation=job)])
    async def it() -> str:
        return "it"

    gate.init_app(app)

    for name in ("", "None", "import:undefined", "x" * 300):
        assert asked(app, "POST", f"/it?name={name}", "acme") == (400, "operation.unnamed")
    assert pages(inside) == 0


# -- behind what ------------------------------------------------------------------------------------------------------


def test_it_is_used_up_when_all_else_has_let_the_request_pass(inside, gate):
    """Wherever it stands: nothing is counted for whom another gate or dependency refuses."""
    seen = []

    async def last() -> None:
        seen.append(pages(inside))
        raise HTTPException(418)

    app = FastAPI()
    quota = gate.consume_quota("crm.pages", 4, operation=import_id)

    @app.post("/hr/{number}", dependencies=[quota, gate.require_module("hr")])
    async def hr(number: int) -> None: ...

    @app.post("/last/{number}", dependencies=[quota, Depends(last)])
    async def behind(number: int) -> None: ...

    gate.init_app(app)

    assert asked(app, "POST", "/hr/1", "acme") == (402, "plan.module_absent")
    assert ask(app, "POST", "/last/1", "acme").status_code == 418
    assert seen == [0]


# -- what start-up says -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("feature", "more", "said"),
    [
        ("crm.pagse", {}, "the catalog has no feature 'crm.pagse'; did you mean 'crm.pages'?"),
        ("crm.export", {}, "'crm.export' is of kind switch, which is not used up"),
        ("seats", {}, "'seats' is of kind allocation, which is not used up"),
        ("crm.pages", {"amount": True}, "amount=True: give a number of units"),
        ("crm.pages", {"amount": "4"}, "amount='4': give a number of units"),
        ("crm.pages", {"operation": "import"}, "operation='import': give a dependency"),
    ],
)
def test_what_cannot_be_used_up_does_not_start(gate, feature, more, said):
    with pytest.raises((ConfigurationError, TypeError)) as raised:
        gate.consume_quota(feature, **{"operation": None} | more)

    assert said in str(raised.value)


def test_two_acts_of_one_name_do_not_start(gate):
    app = FastAPI()

    @app.post(
        "/{number}",
        dependencies=[
            gate.consume_quota("crm.pages", operation=import_id),
            gate.consume_quota("crm.hours", operation=import_id),
        ],
    )
    async def it(number: int) -> None: ...

    with pytest.raises(ConfigurationError, match=r"under one operation, the second one 'crm\.hours'"):
        gate.init_app(app)


def test_a_gate_that_was_not_called_is_found_and_one_that_was_guards(gate):
    app = FastAPI()
    app.get("/open")(_answer)

    with pytest.raises(ConfigurationError, match="GET /open: no gate"):
        gate.init_app(app, unguarded="refuse")
    app = FastAPI()
    app.get("/{number}", dependencies=[gate.consume_quota("crm.pages", operation=import_id)])(_answer)
    gate.init_app(app, unguarded="refuse")
    app.get("/wrong", dependencies=[Depends(gate.consume_quota)])(_answer)
    with pytest.raises(ConfigurationError, match=r"Depends\(consume_quota\) guards nothing"):
        gate.init_app(app)


async def _answer() -> str:
    return "it"


def test_descriptions_know_the_key_and_what_is_answered_without_it(gate):
    app = app_of(gate, None)
    app.post("/named/{number}", dependencies=[gate.consume_quota("crm.pages", operation=import_id)])(_answer)
    own = {"in": "header", "name": "idempotency-key", "schema": {}}
    app.post(
        "/own", dependencies=[gate.consume_quota("crm.pages", operation=None)], openapi_extra={"parameters": [own]}
    )(_answer)

    paths = {path: operations["post"] for path, operations in app.openapi()["paths"].items()}
    assert [each["name"] for each in paths["/{number}"]["parameters"]] == [
        "number",
        "how",
        "x-tenant",
        "Idempotency-Key",
    ]
    assert {"400", "402", "503"} <= set(paths["/{number}"]["responses"])
    assert "400" not in paths["/named/{number}"]["responses"]
    assert [each["name"] for each in paths["/own"]["parameters"]] == ["x-tenant", "idempotency-key"]


def test_guards_say_400_is_not_for_them(inside, gate):
    """A guard names its operation by the arguments of the function, which FastAPI has made of the request."""
    app = FastAPI(dependencies=[gate.tenant])

    @app.post("/{number}")
    @consume_quota("crm.pages", operation="page:{number}")
    async def it(number: int) -> str:
        return "it"

    gate.init_app(app)

    assert "400" not in app.openapi()["paths"]["/{number}"]["post"]["responses"]
