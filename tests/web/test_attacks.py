"""Somebody who may choose every byte of a request tries to get past a gate."""

# Without `from __future__ import annotations`: FastAPI evaluates annotations, and those below name local values.

import asyncio
from typing import Annotated

import pytest
from fastapi import APIRouter, Body, FastAPI, Request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.staticfiles import StaticFiles

from payaid_entitlements import AsyncEntitlements, TenantView
from payaid_entitlements.testing import sandbox
from payaid_entitlements.web.fastapi import Gate
from tests.web.conftest import CATALOG, ask, asked, login

SECRET = "the secret of hr"
#: The fields that each refusal has.
OURS = ("content-type", "content-language", "cache-control", "vary")


def guarded_app(gate):
    """One secret, reachable in each way in which an app can be put together."""
    router = APIRouter(prefix="/hr", dependencies=[gate.require_module("hr")])
    sub = FastAPI(dependencies=[gate.require_module("hr")])

    async def secret(request: Request) -> str:
        return SECRET

    router.api_route("", methods=["GET", "POST"])(secret)
    router.api_route("/{rest:path}", methods=["GET", "POST"])(secret)
    sub.get("/")(secret)
    sub.get("/secret")(secret)
    app = FastAPI()
    app.include_router(router)
    app.mount("/sub", sub)
    app.host("hr.example.com", sub)
    gate.init_app(app, unguarded="refuse")
    return app


PATHS = [
    "/hr",
    "/hr/",
    "//hr",
    "/hr//",
    "/HR",
    "/./hr",
    "/x/../hr",
    "/hr/..",
    "/hr/../hr",
    "/%68r",
    "/hr%2f",
    "/hr%2Fsecret",
    "/hr%00",
    "/hr;jsessionid=1",
    "/hr?",
    "/hr#x",
    "/hr/.json",
    "/sub",
    "/sub/",
    "/sub//",
    "/sub/secret",
    "/sub/secret/",
    "/sub//secret",
    "/sub/%73ecret",
    "/sub/../sub/secret",
    "http://hr.example.com/",
    "http://HR.EXAMPLE.COM/secret",
    "http://hr.example.com:8080/secret",
]


@pytest.mark.parametrize("path", PATHS)
def test_no_spelling_of_a_path_leads_past_a_gate(gate, path):
    app = guarded_app(gate)

    for method in ("GET", "HEAD", "POST", "OPTIONS", "TRACE", "PROPFIND"):
        response = ask(app, method, path, "free")
        assert response.status_code in {307, 402, 404, 405}
        assert SECRET not in response.text


def test_the_secret_is_there_for_who_holds_it(gate):
    app = guarded_app(gate)

    for path in ("/hr", "/hr/x", "/sub/", "/sub/secret", "http://hr.example.com/secret"):
        assert asked(app, "GET", path, "pro") == (200, SECRET)


def test_a_redirect_of_a_slash_leads_to_the_gate(gate):
    response = ask(guarded_app(gate), "GET", "/sub/secret/", "free")

    assert response.status_code == 307
    assert asked(guarded_app(gate), "GET", response.headers["location"], "free") == (402, "plan.module_absent")


@pytest.mark.parametrize("header", ["x-http-method-override", "x-method-override", "x-http-method"])
def test_a_method_is_not_what_a_header_says(gate, header):
    """
    A paused subscription may be read; writing does not become reading.
    """
    app = guarded_app(gate)

    assert asked(app, "GET", "/hr", "paused") == (200, SECRET)
    assert asked(app, "POST", "/hr?_method=GET", "paused", headers={header: "GET"}) == (403, "subscription.paused")


def test_a_method_in_lower_case_does_not_read(gate):
    """
    Methods are case sensitive (RFC 9110 section 9.1): some servers pass on what they got.
    """
    app = FastAPI()

    @app.get("/hr", dependencies=[gate.require_module("hr")])
    async def people() -> str:
        return SECRET

    gate.init_app(app)

    assert _raw(app, method="get", path="/hr", headers=[(b"x-tenant", b"paused")])[0] == 405


def _raw(app, **scope):
    """A request that no client would send: status and body."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "http_version": "1.1", "query_string": b"", "headers": [], "root_path": ""} | scope
    scope.setdefault("raw_path", scope["path"].encode())
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


@pytest.mark.parametrize("root_path", ["", "/hr", "/sub", "/x", "/hr/.."])
@pytest.mark.parametrize("path", ["/hr", "/hr/hr", "/sub/secret", "/x/hr", "/secret", "/hr/../sub/secret"])
def test_a_path_below_a_proxy_leads_past_no_gate(gate, root_path, path):
    status, body = _raw(
        guarded_app(gate), method="GET", path=path, root_path=root_path, headers=[(b"x-tenant", b"free")]
    )

    assert status in {307, 402, 404}
    assert SECRET.encode() not in body


NAMES = [
    "found",
    "who",
    "connection",
    "binding",
    "view",
    "old_answer",
    "module",
    "feature",
    "access",
    "legacy",
    "tenant",
    "self",
    "ent",
    "bind",
]


def test_what_a_gate_uses_inside_cannot_be_sent(ent):
    """
    FastAPI reads whatever a dependency declares from the request: a gate declares nothing.
    """
    gate = Gate(ent, tenant=login)
    app = FastAPI()

    async def no() -> bool:
        return False

    @app.post("/hr", dependencies=[gate.require_module("hr"), gate.require_feature("hr.payroll", legacy=no)])
    async def people(tenant: Annotated[TenantView, gate.tenant], body: Annotated[dict[str, object], Body()]) -> str:
        return SECRET

    gate.init_app(app)
    values = dict.fromkeys(NAMES, "pro") | {"old_answer": "true"}
    query = "&".join(f"{name}={value}" for name, value in values.items())

    assert asked(app, "POST", f"/hr?{query}", "free", json=values, headers=values) == (402, "plan.module_absent")
    assert [parameter["name"] for parameter in app.openapi()["paths"]["/hr"]["post"]["parameters"]] == ["x-tenant"]


def test_a_body_that_cannot_be_read_is_refused_before_anybody_is_let_in(gate):
    app = FastAPI()

    @app.post("/hr", dependencies=[gate.require_module("hr")])
    async def people(body: Annotated[dict[str, int], Body()]) -> str:
        return SECRET

    gate.init_app(app)

    assert ask(app, "POST", "/hr", "free", json={"a": "b"}).status_code == 402
    assert ask(app, "POST", "/hr", "free", content="{", headers={"content-type": "application/json"}).status_code == 422
    assert ask(app, "POST", "/hr", "pro", json={"a": "b"}).status_code == 422


def test_two_tenants_in_one_request_are_one_of_them(gate):
    """
    Which one is the host's login to say; never half of each.
    """
    app = guarded_app(gate)
    both = [(b"x-tenant", b"free"), (b"x-tenant", b"pro")]

    first = _raw(app, method="GET", path="/hr", headers=both)
    second = _raw(app, method="GET", path="/hr", headers=both[::-1])

    assert {first[0], second[0]} == {200, 402}


@pytest.mark.parametrize(
    "evil",
    [
        "acme\r\nset-cookie: admin=1",
        'acme", "allowed": true, "x": "',
        "</script><script>alert(1)</script>",
        "${jndi:ldap://x}",
        "../../etc/passwd",
        "'; DROP TABLE tenants; --",
        "{feature.__class__}",
        "a" * 255,
        "a" * 100_000,
        "क्षि",
        "\U0001f600",
    ],
)
def test_an_id_does_not_come_back_and_opens_nothing(ent, evil):
    gate = Gate(ent, tenant=lambda: evil)
    app = FastAPI()

    @app.get("/hr", dependencies=[gate.require_module("hr")])
    async def people() -> str:
        return SECRET

    gate.init_app(app)
    response = ask(app, "GET", "/hr", None)

    assert response.status_code == (402 if evil.isprintable() and len(evil) <= 255 else 401)
    assert evil not in response.text
    assert evil not in str(response.headers)
    assert set(response.headers) <= {*OURS, "content-length", "www-authenticate"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tenant=st.text(max_size=300))
def test_whatever_a_login_says_is_a_tenant_without_a_plan_or_nobody(strangers, tenant):
    """
    Only errors of ours, never a wrong yes, whatever text comes.
    """
    status, reason = strangers(tenant)

    assert (status, reason) in {(402, "plan.module_absent"), (401, "tenant.unidentified")} or tenant == "pro"


@pytest.fixture
def strangers():
    with sandbox(AsyncEntitlements.open("memory://", catalog=CATALOG)) as inside:
        inside.subscribe("pro", "pro")
        said = []
        gate = Gate(inside.client, tenant=lambda: said[-1])
        app = FastAPI()

        @app.get("/hr", dependencies=[gate.require_module("hr")])
        async def people() -> str:
            return SECRET

        gate.init_app(app)

        def stranger(tenant):
            said.append(tenant)
            return asked(app, "GET", "/hr", None)

        yield stranger


def test_static_files_inside_a_gated_router_do_not_start(gate, tmp_path):
    """
    They look guarded, and FastAPI gives them to everybody.
    """
    (tmp_path / "payroll.csv").write_text(SECRET)
    router = APIRouter(dependencies=[gate.require_module("hr")])
    router.mount("/files", StaticFiles(directory=tmp_path))
    app = FastAPI()
    app.include_router(router, prefix="/hr")

    assert ask(app, "GET", "/hr/files/payroll.csv", "free").text == SECRET
    with pytest.raises(ValueError, match="app /hr/files: the gate of a router or app around it is not asked here"):
        gate.init_app(app)
