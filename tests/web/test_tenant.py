"""Who asks comes from any dependency of the host, and from nowhere else."""

# Without `from __future__ import annotations`: FastAPI evaluates annotations, and those below name local values.

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Annotated
from uuid import UUID

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, Path, Security
from fastapi.security import HTTPBearer, SecurityScopes
from fastapi.testclient import TestClient

from payaid_entitlements import DENY, TenantView, current_tenant
from payaid_entitlements.errors import NoCurrentTenant
from payaid_entitlements.web.fastapi import Gate
from tests.web.conftest import ask, asked, login

Who = Annotated[str | None, Header(alias="x-tenant")]


def plain(who: Who = None) -> str | None:
    return who


async def coroutine(who: Who = None) -> str | None:
    return who


def generator(who: Who = None) -> Iterator[str | None]:
    yield who


async def async_generator(who: Who = None) -> AsyncIterator[str | None]:
    yield who


def nested(found: Annotated[str | None, Depends(plain)]) -> str | None:
    return found


class Verified(str):
    """A class is a dependency too; what it gives is a str."""

    def __new__(cls, who: Who = None) -> "Verified":
        return super().__new__(cls, who or "")


class Login:
    def __call__(self, who: Who = None) -> str | None:
        return who

    async def method(self, who: Who = None) -> str | None:
        return who


def an_app(gate: Gate) -> FastAPI:
    app = FastAPI()

    @app.get("/hr", dependencies=[gate.require_module("hr")])
    async def people(tenant: Annotated[TenantView, gate.tenant]) -> str:
        return tenant.tenant

    gate.init_app(app)
    return app


@pytest.mark.parametrize(
    "tenant",
    [plain, coroutine, generator, async_generator, nested, Verified, Login(), Login().method],
    ids=["function", "coroutine", "generator", "async generator", "nested", "class", "instance", "method"],
)
def test_the_tenant_comes_from_any_dependency(ent, tenant):
    app = an_app(Gate(ent, tenant=tenant))

    assert asked(app, "GET", "/hr", "pro") == (200, "pro")
    assert asked(app, "GET", "/hr", "free") == (402, "plan.module_absent")
    assert asked(app, "GET", "/hr", None) == (401, "tenant.unidentified")


def test_a_login_that_refuses_is_heard_as_it_is(ent):
    """
    401 comes before any 402, with the host's own body and challenge.
    """

    def strict() -> str:
        raise HTTPException(401, "log in first", {"WWW-Authenticate": 'Basic realm="host"'})

    response = ask(an_app(Gate(ent, tenant=strict)), "GET", "/hr", "pro")

    assert (response.status_code, response.json()) == (401, {"detail": "log in first"})
    assert response.headers["www-authenticate"] == 'Basic realm="host"'
    assert response.headers["content-type"] == "application/json"


def test_a_login_that_lacks_its_input_lets_nobody_pass(ent):
    def needs(authorization: Annotated[str, Header()]) -> str:
        return authorization

    response = ask(an_app(Gate(ent, tenant=needs)), "GET", "/hr", "pro")

    assert response.status_code == 422


@pytest.mark.parametrize(
    "nobody", ["", " ", "None", "none", "NULL", "undefined", "NaN", "x" * 256, "a\tb", "a\x00b", "a\u202eb", "\ud800"]
)
def test_an_id_that_identifies_nobody_is_no_tenant(ent, nobody):
    """
    Taken for ids, these would be one tenant shared by all who have none.
    """
    app = an_app(Gate(ent, tenant=lambda: nobody))

    response = ask(app, "GET", "/hr", None)

    assert (response.status_code, response.json()["reason"]) == (401, "tenant.unidentified")
    assert response.headers["www-authenticate"] == "Bearer"
    assert nobody.strip() == "" or nobody.encode("utf-8", "surrogatepass") not in response.content


@pytest.mark.parametrize("other", [7, b"pro", True, UUID(int=1), ["pro"]])
def test_a_tenant_that_is_no_str_is_a_mistake_of_the_host(ent, other):
    app = an_app(Gate(ent, tenant=lambda: other))

    assert ask(app, "GET", "/hr").status_code == 500
    with pytest.raises(TypeError, match=r"the tenant of the request is .*; it must be a str or None"):
        TestClient(app).get("/hr")


@pytest.mark.parametrize("near", ["Pro", "pro ", "рro", "pro\u0301", "ｐｒｏ"])  # the third is Cyrillic
def test_ids_are_compared_by_their_bytes(ent, near):
    """
    Who looks like a customer is somebody else, with the default plan.
    """
    app = an_app(Gate(ent, tenant=lambda: near))

    assert asked(app, "GET", "/hr") == (402, "plan.module_absent")


def test_a_tenant_in_the_path_is_the_hosts_to_verify(ent):
    def verified(org: Annotated[str, Path()], member: Annotated[str | None, Depends(login)]) -> str:
        if member != org:
            raise HTTPException(404)
        return org

    gate = Gate(ent, tenant=verified)
    app = FastAPI()

    @app.get("/{org}/hr", dependencies=[gate.require_module("hr")])
    async def people(org: str) -> str:
        return org

    gate.init_app(app)

    assert asked(app, "GET", "/pro/hr", "pro") == (200, "pro")
    assert ask(app, "GET", "/pro/hr", "free").status_code == 404


def test_a_users_own_override_counts_and_is_explained(inside, ent):
    """
    What was denied to one user is not turned around by buying.
    """
    inside.override("pro", "hr", DENY, user="mallory")

    def user(x_user: Annotated[str | None, Header()] = None) -> str | None:
        return x_user

    app = an_app(Gate(ent, tenant=login, user=user))

    assert asked(app, "GET", "/hr", "pro") == (200, "pro")
    assert asked(app, "GET", "/hr", "pro", headers={"x-user": "asha"}) == (200, "pro")
    refused = ask(app, "GET", "/hr", "pro", headers={"x-user": "mallory"})
    assert (refused.status_code, refused.json()["reason"]) == (403, "override.denied")
    assert [remedy["kind"] for remedy in refused.json()["remedies"]] == ["contact"]


def test_a_user_that_is_nobody_is_not_let_in_as_everybody(ent):
    app = an_app(Gate(ent, tenant=login, user=lambda: "null"))

    assert asked(app, "GET", "/hr", "pro") == (401, "tenant.unidentified")


def test_the_challenge_is_the_hosts(ent):
    gate = Gate(ent, tenant=login, challenge='Bearer realm="api"')

    assert ask(an_app(gate), "GET", "/hr", None).headers["www-authenticate"] == 'Bearer realm="api"'


def test_the_login_runs_once_for_all_gates_of_a_request(ent):
    calls = []

    async def counted(who: Who = None) -> str | None:
        calls.append(who)
        return who

    gate = Gate(ent, tenant=counted)
    app = FastAPI(dependencies=[gate.require_module("crm")])

    @app.get("/hr", dependencies=[gate.require_module("hr"), gate.require_feature("hr.payroll")])
    async def people(tenant: Annotated[TenantView, gate.tenant]) -> str:
        return tenant.tenant

    gate.init_app(app)

    assert asked(app, "GET", "/hr", "pro") == (200, "pro")
    assert calls == ["pro"]


def test_security_scopes_ask_the_login_again_and_get_the_same_truth(inside, ent):
    """
    FastAPI keeps dependencies apart by their scopes; a request has one truth all the same.
    """

    async def scoped(
        scopes: SecurityScopes, bearer: Annotated[object, Security(HTTPBearer(auto_error=False))], who: Who = None
    ) -> str | None:
        if scopes.scopes:
            inside.admin().suspend("pro")
        return who

    gate = Gate(ent, tenant=scoped)
    app = FastAPI()

    async def first(view: Annotated[TenantView, gate.tenant]) -> TenantView:
        return view

    @app.get("/hr")
    async def people(
        before: Annotated[TenantView, Depends(first)], after: Annotated[TenantView, Security(first, scopes=["hr"])]
    ) -> list[int]:
        return [before.revision, after.revision]

    gate.init_app(app)
    status, revisions = asked(app, "GET", "/hr", "pro")

    assert status == 200
    assert revisions[0] == revisions[1]
    assert inside.admin().suspend("pro").revision > revisions[0]


def test_an_overridden_login_is_asked_instead(ent):
    """
    The way in which FastAPI's documentation tests routes goes on working.
    """
    app = an_app(Gate(ent, tenant=login))
    app.dependency_overrides[login] = lambda: "pro"

    assert asked(app, "GET", "/hr", "free") == (200, "pro")


def test_whoever_was_bound_before_a_request_is_bound_behind_it(ent, gate):
    """Where a server runs requests in one task, one after the other; also when one fails."""

    async def called(app, tenant):
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/it",
            "query_string": b"",
            "headers": [(b"x-tenant", tenant)],
        }

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await app(scope, receive, send)

    async def run():
        app = FastAPI()

        @app.get("/it", dependencies=[gate.require_module("hr")])
        async def it() -> str:
            return current_tenant().tenant

        gate.init_app(app)
        for tenant in (b"pro", b"free"):
            await called(app, tenant)
            with pytest.raises(NoCurrentTenant):
                current_tenant()

    statuses: list[int] = []
    asyncio.run(run())
    assert statuses == [200, 402]
