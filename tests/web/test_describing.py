"""The answers of gates in the OpenAPI description of an app."""

# Without `from __future__ import annotations`: FastAPI evaluates annotations, and those below name local values.

from typing import Annotated

from fastapi import APIRouter, FastAPI
from pydantic import BaseModel

from payaid_entitlements import TenantView, require_module
from payaid_entitlements.web import exempt
from payaid_entitlements.web.refusing import ANSWERS, PROBLEM_SCHEMA
from tests.web.conftest import ask

SCHEMA = "#/components/schemas/EntitlementProblem"
OURS = {
    str(status): {
        "description": meaning,
        "content": {"application/problem+json": {"schema": {"$ref": SCHEMA}}},
    }
    for status, meaning in ANSWERS.items()
    if status not in (400, 404, 409, 429)  # of what acts, of what is limited alone
}


def responses(app, path, method="get"):
    return app.openapi()["paths"][path][method]["responses"]


def test_guarded_routes_say_how_they_refuse(gate):
    router = APIRouter(prefix="/v1", dependencies=[gate.require_module("crm")])

    @router.get("/files/{name:path}")
    async def by_router(name: str) -> str:
        return name

    app = FastAPI()
    app.include_router(router)

    @app.post("/hr", dependencies=[gate.tenant])
    @require_module("hr")
    async def by_guard() -> str:
        return "hired"

    @app.get("/me")
    async def by_view(tenant: Annotated[TenantView, gate.tenant]) -> str:
        return tenant.tenant

    @app.get("/health")
    @exempt
    async def health() -> str:
        return "ok"

    @app.websocket("/feed", dependencies=[gate.require_module("crm")])
    async def feed() -> None: ...

    gate.init_app(app)

    for path, method in (("/v1/files/{name}", "get"), ("/hr", "post"), ("/me", "get")):
        assert {status: responses(app, path, method)[status] for status in OURS} == OURS
    assert set(responses(app, "/health")) == {"200"}
    assert app.openapi()["components"]["schemas"]["EntitlementProblem"] == PROBLEM_SCHEMA
    assert ask(app, "GET", "/openapi.json").json()["paths"]["/hr"]["post"]["responses"]["402"] == OURS["402"]


def test_without_a_guarded_route_nothing_is_added(gate):
    app = FastAPI()

    @app.get("/health")
    async def health() -> str:
        return "ok"

    before = FastAPI.openapi(app)
    app.openapi_schema = None
    gate.init_app(app)

    assert app.openapi() == before


def test_what_the_host_says_itself_stays(gate):
    class Problem(BaseModel):
        """The host's own."""

        mine: int

    app = FastAPI()

    @app.get(
        "/hr", dependencies=[gate.require_module("hr")], responses={402: {"description": "Pay!", "model": Problem}}
    )
    async def people() -> str:
        return "people"

    gate.init_app(app)

    own = responses(app, "/hr")["402"]
    assert own["description"] == "Pay!"
    assert set(own["content"]) == {"application/json", "application/problem+json"}, "ours comes as well"
    assert responses(app, "/hr")["403"] == OURS["403"]
    assert app.openapi()["components"]["schemas"]["Problem"]["properties"] == {
        "mine": {"title": "Mine", "type": "integer"}
    }


def test_a_description_of_the_hosts_own_making_is_kept_and_completed(gate):
    app = FastAPI()

    @app.get("/hr", dependencies=[gate.require_module("hr")])
    async def people() -> str:
        return "people"

    @app.get("/hidden", dependencies=[gate.require_module("hr")], include_in_schema=False)
    async def hidden() -> str:
        return "people"

    made = FastAPI.openapi

    def own():
        if app.openapi_schema is None:
            app.openapi_schema = made(app) | {"x-mine": True}
        return app.openapi_schema

    app.openapi = own
    gate.init_app(app)
    gate.init_app(app)

    assert app.openapi()["x-mine"] is True
    assert responses(app, "/hr")["402"] == OURS["402"]
    assert app.openapi() is app.openapi()
    assert "/hidden" not in app.openapi()["paths"]


def test_mounted_apps_describe_themselves(gate):
    sub = FastAPI()

    @sub.get("/hr", dependencies=[gate.require_module("hr")])
    async def people() -> str:
        return "people"

    app = FastAPI()

    @app.get("/sub/hr")
    async def of_the_same_name() -> str:
        return "open"

    app.mount("/sub", sub)
    gate.init_app(app)

    assert responses(sub, "/hr")["402"] == OURS["402"]
    assert set(responses(app, "/sub/hr")) == {"200"}
