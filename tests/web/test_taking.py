"""Routes below guards that take something: what is used up is a refusal as any other, and what fails is given back."""

# Without `from __future__ import annotations`: FastAPI evaluates annotations, and those below name local values.

from typing import Annotated

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from payaid_entitlements import AsyncEntitlements, Entitlements, TenantView, assign_slot, consume_quota
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.testing import FakeClock, sandbox
from payaid_entitlements.web.fastapi import Gate
from tests.holding.conftest import CATALOG
from tests.web.conftest import NOW, ask, asked, login


@pytest.fixture(params=[Entitlements, AsyncEntitlements])
def inside(request):
    with sandbox(request.param.open("memory://", catalog=CATALOG), clock=FakeClock(NOW)) as found:
        found.subscribe("acme", "pro")
        yield found


@pytest.fixture
def app(inside):
    gate = Gate(inside.client, tenant=login)
    app = FastAPI(dependencies=[gate.tenant])

    @app.post("/plain/{number}")
    @consume_quota("crm.pages", 4, operation="page:{number}")
    def plain(number: int, fails: bool = False) -> str:
        return f"page {number // (not fails)}"

    @app.post("/later/{number}")
    @consume_quota("crm.pages", 4, operation="page:{number}")
    async def later(number: int, fails: bool = False) -> str:
        return f"page {number // (not fails)}"

    @app.post("/seats/{member}")
    @assign_slot("seats", holder="member:{member}")
    async def seats(member: int) -> str:
        return f"member {member}"

    @app.post("/stream/{number}")
    def stream(number: int, tenant: Annotated[TenantView, gate.tenant]) -> StreamingResponse:
        @consume_quota("crm.pages", 4, operation="page:{number}")
        def pages(number):
            yield f"page {number}"

        return StreamingResponse(pages(number))

    gate.init_app(app)
    return app


@pytest.mark.parametrize("path", ["plain", "later"])
def test_what_is_used_up_is_402_and_says_what_would_help(app, inside, path):
    """In threads and in coroutines, with a client of either colour."""
    assert [asked(app, "POST", f"/{path}/{number}", "acme") for number in (1, 2, 1)] == [
        (200, "page 1"),
        (200, "page 2"),
        (200, "page 1"),
    ]
    refused = ask(app, "POST", f"/{path}/3", "acme")
    body = refused.json()
    assert (refused.status_code, body["reason"], body["feature"]) == (402, "quota.exhausted", "crm.pages")
    assert {each["kind"] for each in body["remedies"]} >= {"change_plan"}
    assert body["reference"]
    assert inside.usage("acme", "crm.pages").used == 8


@pytest.mark.parametrize("path", ["plain", "later"])
def test_a_request_that_fails_has_used_up_nothing(app, inside, path):
    """Repeated, it pays."""
    assert ask(app, "POST", f"/{path}/1?fails=true", "acme").status_code == 500
    assert inside.usage("acme", "crm.pages").used == 0
    assert asked(app, "POST", f"/{path}/1", "acme") == (200, "page 1")
    assert inside.usage("acme", "crm.pages").used == 4


def test_a_stream_is_refused_before_its_first_byte(app, inside):
    """The generator takes when it is called."""
    assert ask(app, "POST", "/stream/1", "acme").text == "page 1"
    inside.exhaust("acme", "crm.pages")
    assert asked(app, "POST", "/stream/2", "acme") == (402, "quota.exhausted")


def test_the_last_seat_is_402_too(app):
    """And who has one keeps it."""
    assert [asked(app, "POST", f"/seats/{member}", "acme")[0] for member in (1, 2, 3, 1)] == [200] * 4
    assert asked(app, "POST", "/seats/4", "acme") == (402, "allocation.full")
    assert asked(app, "POST", "/seats/1", "free") == (200, "member 1")


def test_a_guard_that_takes_has_a_tenant_to_ask_or_the_app_does_not_start(inside):
    """As every guard."""
    app = FastAPI()

    @app.post("/{number}")
    @consume_quota("crm.pages", operation="page:{number}")
    def plain(number: int) -> str:
        return "never"

    with pytest.raises(ConfigurationError, match="no tenant to ask"):
        Gate(inside.client, tenant=login).init_app(app)
