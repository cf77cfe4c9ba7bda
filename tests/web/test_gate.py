"""Gates in routers, routes and annotations, for clients of both colours."""

# Without `from __future__ import annotations`: FastAPI evaluates annotations, and those below name local values.

from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI

from payaid_entitlements import OBSERVE, AsyncEntitlements, Entitlements, TenantView, current_tenant
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.testing import sandbox
from payaid_entitlements.web.fastapi import Gate
from payaid_entitlements.web.tenancy import Tenancy, by, subdomain
from tests.web.conftest import CATALOG, ask, asked, login


def test_a_gate_on_a_route(gate):
    app = FastAPI()

    @app.get("/hr", dependencies=[gate.require_module("hr")])
    async def people() -> str:
        return "people"

    gate.init_app(app)

    assert asked(app, "GET", "/hr", "pro") == (200, "people")
    assert asked(app, "GET", "/hr", "free") == (402, "plan.module_absent")
    assert asked(app, "GET", "/hr", "suspended") == (403, "subscription.suspended")
    assert asked(app, "GET", "/hr", "denied") == (403, "override.denied")


def test_a_gate_on_a_router_stands_before_all_its_routes(gate):
    router = APIRouter(prefix="/hr", dependencies=[gate.require_module("hr")])
    inner = APIRouter(prefix="/inner")

    @router.get("")
    async def people() -> str:
        return "people"

    @inner.get("/deep")
    async def deep() -> str:
        return "deep"

    app = FastAPI()
    router.include_router(inner)
    app.include_router(router, prefix="/v1")

    @router.get("/later")
    async def later() -> str:
        return "later"

    gate.init_app(app)

    for path in ("/v1/hr", "/v1/hr/inner/deep", "/v1/hr/later"):
        assert ask(app, "GET", path, "pro").status_code == 200
        assert asked(app, "GET", path, "free") == (402, "plan.module_absent")


@pytest.mark.parametrize("where", ["app", "include_router"])
def test_a_gate_on_an_app_or_on_an_inclusion(gate, where):
    router = APIRouter()

    @router.get("/hr")
    async def people() -> str:
        return "people"

    gates = [gate.require_module("hr")]
    app = FastAPI(dependencies=gates if where == "app" else None)
    app.include_router(router, dependencies=gates if where == "include_router" else None)
    gate.init_app(app)

    assert asked(app, "GET", "/hr", "pro") == (200, "people")
    assert asked(app, "GET", "/hr", "free") == (402, "plan.module_absent")


def test_a_gate_in_an_annotation(gate):
    app = FastAPI()
    Sold = Annotated[None, gate.require_feature("crm.export")]

    @app.get("/export")
    async def export(sold: Sold) -> str:
        return "rows"

    @app.get("/old-style")
    async def old_style(sold: None = gate.require_feature("crm.export")) -> str:
        return "rows"

    gate.init_app(app)

    for path in ("/export", "/old-style"):
        assert asked(app, "GET", path, "pro") == (200, "rows")
        assert asked(app, "GET", path, "free") == (402, "plan.feature_absent")


def test_a_gate_inside_a_dependency_of_the_host(gate):
    async def subscriber(
        sold: Annotated[None, gate.require_module("hr")], view: Annotated[TenantView, gate.tenant]
    ) -> str:
        return f"{view.tenant} on {view.plan}"

    app = FastAPI()

    @app.get("/hr")
    async def people(who: Annotated[str, Depends(subscriber)]) -> str:
        return who

    gate.init_app(app, unguarded="refuse")

    assert asked(app, "GET", "/hr", "pro") == (200, "pro on pro")
    assert asked(app, "GET", "/hr", "free") == (402, "plan.module_absent")


def test_module_and_feature_are_asked_in_the_order_in_which_they_stand(gate):
    app = FastAPI()

    @app.get("/payroll", dependencies=[gate.require_module("hr"), gate.require_feature("hr.payroll")])
    async def payroll() -> str:
        return "paid"

    @app.get("/export", dependencies=[gate.require_feature("crm.export"), gate.require_module("hr")])
    async def export() -> str:
        return "rows"

    gate.init_app(app)

    assert ask(app, "GET", "/payroll", "free").json()["feature"] == "hr"
    assert ask(app, "GET", "/export", "free").json()["feature"] == "crm.export"
    assert asked(app, "GET", "/payroll", "pro") == (200, "paid")


@pytest.mark.parametrize(
    ("method", "status"),
    [("GET", 200), ("HEAD", 200), ("OPTIONS", 200), ("POST", 403), ("PUT", 403), ("PATCH", 403), ("DELETE", 403)],
)
def test_safe_methods_read_and_a_paused_subscription_may_be_read(gate, method, status):
    app = FastAPI()

    @app.api_route("/hr", methods=[method], dependencies=[gate.require_module("hr")])
    async def people() -> str:
        return "people"

    gate.init_app(app)
    response = ask(app, method, "/hr", "paused")

    assert response.status_code == status
    if status == 403:
        assert response.json()["reason"] == "subscription.paused"


def test_a_route_may_say_otherwise_than_its_method(gate):
    app = FastAPI()

    @app.get("/export", dependencies=[gate.require_module("hr", access="write")])
    async def export() -> str:
        return "a GET that writes"

    @app.post("/search", dependencies=[gate.require_feature("hr.payroll", access="read")])
    async def search() -> str:
        return "a POST that reads"

    gate.init_app(app)

    assert asked(app, "GET", "/export", "paused") == (403, "subscription.paused")
    assert asked(app, "POST", "/search", "paused") == (200, "a POST that reads")


@pytest.mark.parametrize("colour", ["async def", "def"])
def test_the_view_is_given_and_bound(gate, colour):
    app = FastAPI()

    def seen(tenant: TenantView) -> dict[str, object]:
        assert current_tenant() is tenant
        return {"plan": tenant.plan, "modules": sorted(tenant.modules), "tenant": current_tenant().tenant}

    if colour == "def":  # runs in a thread, in a copy of the context

        @app.get("/me")
        def me(tenant: Annotated[TenantView, gate.tenant]) -> dict[str, object]:
            return seen(tenant)
    else:

        @app.get("/me")
        async def me(tenant: Annotated[TenantView, gate.tenant]) -> dict[str, object]:
            return seen(tenant)

    gate.init_app(app)

    assert asked(app, "GET", "/me", "pro") == (200, {"plan": "pro", "modules": ["crm", "hr"], "tenant": "pro"})


@pytest.mark.parametrize("colour", [Entitlements, AsyncEntitlements])
@pytest.mark.parametrize(
    ("enforcement", "old", "expected"),
    [
        ("observe", True, (200, "people")),
        ("observe", False, (403, "enforcement.legacy")),
        ("enforce", True, (402, "plan.module_absent")),
        ("enforce", False, (402, "plan.module_absent")),
    ],
)
def test_the_hosts_old_answer_decides_until_the_module_is_enforced(colour, enforcement, old, expected):
    async def old_answer(tenant: Annotated[str, Depends(login)]) -> bool:
        return old

    with sandbox(colour.open("memory://", catalog=CATALOG, enforcement=enforcement)) as inside:
        gate = Gate(inside.client, tenant=login)
        app = FastAPI()

        @app.get("/hr", dependencies=[gate.require_module("hr", legacy=old_answer)])
        async def people() -> str:
            return "people"

        gate.init_app(app)

        assert asked(app, "GET", "/hr", "free") == expected
        word = "legacy_allows" if old else "legacy_refuses"
        assert inside.counts.get(("legacy.differs", "hr", word), 0) == int(old)


@pytest.mark.parametrize("colour", [Entitlements, AsyncEntitlements])
def test_an_old_answer_that_is_no_bool_is_a_mistake_and_no_yes(colour):
    with sandbox(colour.open("memory://", catalog=CATALOG, enforcement=OBSERVE)) as inside:
        gate = Gate(inside.client, tenant=login)
        app = FastAPI()

        @app.get("/hr", dependencies=[gate.require_module("hr", legacy=lambda: "no")])
        async def people() -> str:
            return "people"

        gate.init_app(app)

        assert ask(app, "GET", "/hr", "free").status_code == 500


def test_what_is_only_observed_lets_pass_and_counts(clock):
    with sandbox(AsyncEntitlements.open("memory://", catalog=CATALOG, enforcement=OBSERVE), clock=clock) as inside:
        gate = Gate(inside.client, tenant=login)
        app = FastAPI()

        @app.get("/hr", dependencies=[gate.require_module("hr")])
        async def people() -> str:
            return "people"

        gate.init_app(app)

        assert asked(app, "GET", "/hr", "free") == (200, "people")
        assert inside.counts[("decision", "hr", "enforcement.observed")] == 1


@pytest.mark.parametrize(
    ("verb", "key", "message"),
    [
        ("require_module", "crn", "the catalog has no module 'crn'; did you mean 'crm'?"),
        ("require_module", "crm.export", "'crm.export' is no module; use require_feature"),
        ("require_feature", "hr", "'hr' is no feature; use require_module"),
        ("require_feature", "crm.exprot", "the catalog has no feature 'crm.exprot'; did you mean 'crm.export'?"),
    ],
)
def test_a_key_that_nobody_sells_does_not_start(gate, verb, key, message):
    with pytest.raises(ConfigurationError) as raised:
        getattr(gate, verb)(key)

    assert str(raised.value) == f"gate.{verb}({key!r}): {message}"


def test_without_a_catalog_keys_are_known_at_the_first_question():
    gate = Gate(Entitlements.open("memory://"), tenant=login)

    assert gate.require_module("anything").dependency is not None


@pytest.mark.parametrize(
    ("key", "access", "error"), [("None", None, TypeError), ("", None, TypeError), ("hr", "own", ValueError)]
)
def test_arguments_that_mean_nothing_are_refused_when_the_gate_is_made(gate, key, access, error):
    with pytest.raises(error):
        gate.require_module(key, access=access)


def test_unguarded_is_one_of_two_words(gate):
    with pytest.raises(ValueError, match="unguarded is 'deny'; it is 'allow' or 'refuse'"):
        gate.init_app(FastAPI(), unguarded="deny")


def test_of_two_gates_each_asks_for_its_own_tenant(ent):
    """
    The tenant that the last gate bound must not decide for another.
    """
    from fastapi import Header

    def partner(x_partner: Annotated[str, Header()]) -> str:
        return x_partner

    own, other = Gate(ent, tenant=login), Gate(ent, tenant=partner)
    app = FastAPI()

    @app.get("/hr", dependencies=[own.require_module("crm"), other.require_module("crm"), own.require_module("hr")])
    async def people(mine: Annotated[TenantView, own.tenant], theirs: Annotated[TenantView, other.tenant]) -> list[str]:
        return [mine.tenant, theirs.tenant, current_tenant().tenant]

    own.init_app(app)

    assert asked(app, "GET", "/hr", "pro", headers={"x-partner": "free"}) == (200, ["pro", "free", "free"])
    assert asked(app, "GET", "/hr", "free", headers={"x-partner": "pro"}) == (402, "plan.module_absent")


def test_a_tenancy_says_whose_request_it_is(ent):
    def verified(request):
        return request.headers.get("x-tenant")

    gate = Gate(ent, tenant=Tenancy(by(verified), beside=[subdomain(of="example.com")]))
    app = FastAPI()

    @app.get("/hr", dependencies=[gate.require_module("hr")])
    async def people() -> str:
        return current_tenant().tenant

    gate.init_app(app)

    assert asked(app, "GET", "/hr", "pro") == (200, "pro")
    assert asked(app, "GET", "/hr", "pro", headers={"host": "pro.example.com"}) == (200, "pro")
    assert asked(app, "GET", "/hr", "pro", headers={"host": "big.example.com"}) == (403, "tenant.conflict")
    assert asked(app, "GET", "/hr", None, headers={"host": "big.example.com"}) == (401, "tenant.unidentified")
