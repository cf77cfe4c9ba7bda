"""A flag before a route: 403 for whom it is not on; guards that choose guard nothing."""

# Without `from __future__ import annotations`: FastAPI evaluates annotations, and those below name local values.

from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Header

from payaid_entitlements import Reason, require_feature, require_flag
from payaid_entitlements.errors import ConfigurationError, NotReleased
from payaid_entitlements.web import refusal
from tests.web.conftest import ask, asked


def test_a_gate_lets_in_for_whom_the_flag_is_on(gate, inside):
    """Others learn that there is nothing to buy."""
    app = FastAPI()

    @app.get("/new", dependencies=[gate.require_flag("new-editor")])
    async def editor() -> str:
        return "new"

    gate.init_app(app, unguarded="refuse")
    with inside.flag("new-editor", True):
        assert asked(app, "GET", "/new", "pro") == (200, "new")
    with inside.flag("new-editor", False):
        response = ask(app, "GET", "/new", "pro")
    assert response.status_code == 403
    body = response.json()
    assert (body["reason"], body["feature"], body["remedies"]) == ("flag.rollout_excluded", "new-editor", [])
    assert body["reference"]
    assert "403" in app.openapi()["paths"]["/new"]["get"]["responses"]


def test_a_gate_asks_in_the_order_in_which_gates_stand(gate, inside):
    """A module that is not held comes first where it stands first."""
    app = FastAPI()

    @app.get("/hr", dependencies=[gate.require_module("hr"), gate.require_flag("new-hr")])
    async def people() -> str:
        return "people"

    gate.init_app(app)
    with inside.flag("new-hr", False):
        assert asked(app, "GET", "/hr", "free") == (402, "plan.module_absent")
        assert asked(app, "GET", "/hr", "pro") == (403, "flag.rollout_excluded")


def test_a_gate_where_the_call_was_forgotten_lets_nobody_pass(gate):
    """As the other makers."""
    app = FastAPI()

    @app.get("/new")
    async def editor(made: Annotated[object, Depends(gate.require_flag)]) -> str:
        return "new"

    with pytest.raises(ConfigurationError, match=r"use gate\.require_flag"):
        gate.init_app(app)


def test_a_guard_that_chooses_guards_nothing(gate, inside):
    """A route that goes one way or the other refuses nobody; beside a real guard it may."""
    app = FastAPI()

    @app.get("/either", dependencies=[gate.tenant])
    @require_flag("new-editor", otherwise=lambda: "old")
    async def either() -> str:
        return "new"

    with pytest.raises(ConfigurationError, match="GET /either: no gate or guard stands before it"):
        gate.init_app(app, unguarded="refuse")
    gate.init_app(app)
    for is_on, expected in ((True, "new"), (False, "old")):
        with inside.flag("new-editor", is_on):
            assert asked(app, "GET", "/either", "free") == (200, expected)

    guarded = FastAPI()

    @guarded.get("/both", dependencies=[gate.tenant])
    @require_flag("new-editor", otherwise=lambda: "old")
    @require_feature("crm.export")
    async def both() -> str:
        return "new"

    gate.init_app(guarded, unguarded="refuse")
    with inside.flag("new-editor", False):
        assert asked(guarded, "GET", "/both", "pro") == (200, "old")
        assert asked(guarded, "GET", "/both", "free") == (402, "plan.feature_absent")


@pytest.mark.parametrize("reason", [Reason.FLAG_OFF, Reason.FLAG_ROLLOUT_EXCLUDED])
def test_what_a_flag_keeps_back_is_forbidden_and_not_for_sale(reason):
    """402 would send a customer to pay for it."""
    from payaid_entitlements import Decision

    with pytest.raises(NotReleased) as refused:
        Decision(False, reason, "crm.export", "flag new").or_raise(tenant="acme", reference="r")
    said = refusal(refused.value)
    assert (said.status, said.body["reason"]) == (403, reason.value)
    assert reason.family == "flag"


def country(x_country: Annotated[str | None, Header()] = None) -> dict[str, str] | None:
    return None if x_country is None else {"country": x_country, "plan": "big"}


def test_a_gate_says_of_a_request_what_rules_look_at(gate, inside):
    """A mapping, or any dependency; what is the library's own no request can say."""
    admin = inside.admin()
    admin.define_flag("in-india", {"rules": [{"when": {"country": "IN"}}]})
    admin.define_flag("for-big", {"rules": [{"when": {"plan": "big"}}]})
    app = FastAPI()

    @app.get("/by-request", dependencies=[gate.require_flag("in-india", attributes=country)])
    async def by_request() -> str:
        return "in"

    @app.get("/always", dependencies=[gate.require_flag("in-india", attributes={"country": "IN"})])
    async def always() -> str:
        return "in"

    @app.get("/claims", dependencies=[gate.require_flag("for-big", attributes=country)])
    async def claims() -> str:
        return "in"

    @app.get("/wrong", dependencies=[gate.require_flag("in-india", attributes=lambda: len)])
    async def wrong() -> str:
        return "in"

    gate.init_app(app, unguarded="refuse")
    assert asked(app, "GET", "/by-request", "pro", headers={"x-country": "IN"}) == (200, "in")
    for headers in ({"x-country": "DE"}, {}):
        assert asked(app, "GET", "/by-request", "pro", headers=headers) == (403, "flag.rollout_excluded")
    assert asked(app, "GET", "/always", "pro") == (200, "in")
    assert asked(app, "GET", "/claims", "pro", headers={"x-country": "IN"}) == (403, "flag.rollout_excluded")
    assert asked(app, "GET", "/claims", "big", headers={"x-country": "IN"}) == (200, "in")
    assert ask(app, "GET", "/wrong", "pro").status_code == 500
    with pytest.raises(TypeError, match="mapping of names"):
        gate.require_flag("in-india", attributes="IN")


def test_a_guard_of_an_endpoint_that_looks_at_its_arguments_is_asked_with_them(gate, inside):
    """Before the endpoint is called its arguments are not known, and nobody is refused for want of them."""
    inside.admin().define_flag("many", {"rules": [{"when": {"rows": {"gt": 5}}}]})
    app = FastAPI()

    @app.get("/rows/{rows}", dependencies=[gate.tenant])
    @require_flag("many", attributes=lambda rows: {"rows": rows})
    async def listed(rows: int) -> int:
        return rows

    gate.init_app(app, unguarded="refuse")
    assert asked(app, "GET", "/rows/6", "pro") == (200, 6)
    assert asked(app, "GET", "/rows/5", "pro") == (403, "flag.rollout_excluded")
