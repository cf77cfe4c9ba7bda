"""Gates that count requests and that use up quotas, and what responses say of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Blueprint, Response, abort, request

from payaid_entitlements import rate_limit
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.web.flask import Gate
from tests.web.flask.conftest import ask, asked, login


def view() -> Callable[[], str]:
    """A view of its own: a guard remembers the function that it stands around."""

    def let_in() -> str:
        return "let in"

    return let_in


def test_a_limit_refuses_with_429_and_says_how_it_stands_also_before(app, gate):
    app.get("/")(gate.rate_limit("api")(view()))
    gate.init_app(app)
    first = ask(app, "/")
    assert (first.status_code, first.headers["RateLimit"]) == (200, '"api";r=1;t=30')
    assert ask(app, "/").status_code == 200
    over = ask(app, "/")
    assert (over.status_code, over.headers["Retry-After"]) == (429, "30")
    assert over.headers.getlist("RateLimit-Policy") == ['"api";q=2;w=60']
    assert asked(app, "/", "pro") == (200, "let in")


def test_a_refusal_waits_for_the_limits_before_it_too(app, ent):
    gate = Gate(ent, tenant=login, proxies=0)
    app.get("/full", endpoint="full")(gate.rate_limit("api", cost=2)(view()))
    app.get("/")(gate.rate_limit("sign_in", cost=2)(gate.rate_limit("api")(view())))
    gate.init_app(app)
    assert ask(app, "/full").status_code == 200
    refused = ask(app, "/")
    assert refused.json["violated-policies"] == ["api"]
    assert refused.headers.getlist("Retry-After") == ["60"]


def test_guards_that_count_are_told_too_and_old_fields_where_that_is_said(app, ent):
    gate = Gate(ent, tenant=login, legacy_fields=True)
    app.get("/")(rate_limit("api")(view()))
    gate.init_app(app)
    assert ask(app, "/").headers["X-RateLimit-Remaining"] == "1"


def test_limits_come_before_what_is_held_however_it_is_written(app, gate):
    bp = Blueprint("bp", __name__)
    seen = []

    @bp.before_request
    def first():
        seen.append("first")

    bp.before_request(gate.require_module("hr"))

    @bp.before_request
    def between():
        seen.append("between")

    bp.before_request(gate.rate_limit("api"))
    bp.get("/bp")(view())
    app.register_blueprint(bp)
    app.get("/view", endpoint="view")(gate.require_module("hr")(gate.rate_limit("api")(view())))
    gate.init_app(app)
    assert asked(app, "/bp") == (402, "plan.module_absent")
    assert seen == ["first"]
    assert asked(app, "/view") == (402, "plan.module_absent")
    assert asked(app, "/bp") == (429, "rate.limited")
    assert asked(app, "/view") == (429, "rate.limited")


def test_users_and_addresses_are_counted_where_the_gate_knows_them(app, ent):
    gate = Gate(ent, tenant=login, user=lambda: request.headers.get("X-User"), proxies=1)
    app.get("/mine", endpoint="mine")(gate.rate_limit("mine")(view()))
    app.post("/sign-in", endpoint="in")(gate.rate_limit("sign_in", before_login=True, cost=2)(view()))
    bp = Blueprint("bp", __name__)
    bp.before_request(gate.rate_limit("sign_in", before_login=True))
    bp.post("/bp")(view())
    app.register_blueprint(bp)
    gate.init_app(app)
    assert [asked(app, "/mine", headers={"X-User": "u"})[0] for _ in range(3)] == [200, 200, 429]
    assert asked(app, "/mine", headers={"X-User": "other"})[0] == 200
    assert asked(app, "/mine") == (401, "tenant.unidentified")
    here = {"X-Forwarded-For": "203.0.113.5, 203.0.113.9"}
    assert [asked(app, "/sign-in", None, "POST", headers=here)[0] for _ in range(2)] == [200, 429]
    assert asked(app, "/bp", None, "POST", headers=here)[0] == 429
    assert asked(app, "/bp", None, "POST", headers={"X-Forwarded-For": "203.0.113.8"})[0] == 200


def test_async_views_are_counted_too(app, ent):
    gate = Gate(ent, tenant=login, proxies=0)

    @app.get("/")
    @gate.consume_quota("crm.pages", operation=lambda: request.args["o"])
    @gate.rate_limit("sign_in", before_login=True)
    async def later():
        return str(gate.usage("crm.pages").used)

    gate.init_app(app)
    assert asked(app, "/?o=1") == (200, "1")
    assert asked(app, "/?o=2") == (200, "2")
    assert asked(app, "/?o=3")[0] == 429


def test_limits_that_can_never_be_counted_are_refused_when_they_are_written(ent, gate):
    for limit, more, says in (
        ("mine", {}, "user="),
        ("sign_in", {}, "proxies=0"),
        ("sign_in", {"before_login": True}, "proxies=0"),
        ("api", {"cost": 0}, "cost is 0"),
        ("apis", {}, "did you mean 'api'"),
        ("jobs", {}, "at once"),
    ):
        with pytest.raises(ConfigurationError, match=says):
            gate.rate_limit(limit, **more)
    with pytest.raises(ConfigurationError, match="not known before_login"):
        Gate(ent, tenant=login, proxies=0).rate_limit("api", before_login=True)


# -- quotas ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def used(ent):
    return lambda: ent.usage("free")["crm.pages"].used


def test_a_quota_is_used_up_and_given_back_where_the_request_fails(app, gate, used):
    bp = Blueprint("bp", __name__)
    bp.before_request(gate.consume_quota("crm.pages", lambda: int(request.args["n"]), operation=lambda: request.url))

    @bp.get("/it")
    def it():
        return str(gate.usage("crm.pages").used)

    @bp.get("/missing")
    def missing():
        abort(404)

    @bp.get("/raises")
    def raises():
        raise ZeroDivisionError

    @bp.get("/breaks")
    def breaks():
        def pieces():
            yield "some"
            raise ZeroDivisionError

        return Response(pieces())

    app.register_blueprint(bp)
    gate.init_app(app)
    assert asked(app, "/it?n=3") == (200, "3")
    assert (asked(app, "/missing?n=1")[0], used()) == (404, 3)
    assert (asked(app, "/raises?n=1")[0], used()) == (500, 3)
    with pytest.raises(ZeroDivisionError):
        asked(app, "/breaks?n=1")
    assert used() == 3
    app.testing = True
    with pytest.raises(ZeroDivisionError):
        asked(app, "/raises?n=1")
    assert used() == 3
    assert asked(app, "/it?n=8") == (402, "quota.exhausted")
    assert used() == 3


def test_all_that_was_used_up_for_a_request_is_given_back_together(app, gate, used):
    names = iter("abcd")

    @app.post("/")
    @gate.consume_quota("crm.pages", 2, operation=lambda: next(names))
    @gate.consume_quota("crm.pages", 3, operation=lambda: next(names))
    def both():
        return str(gate.usage("crm.pages").used), int(request.args["status"])

    gate.init_app(app)
    assert asked(app, "/?status=201", method="POST") == (201, "5")
    assert (asked(app, "/?status=409", method="POST"), used()) == ((409, "10"), 5)


def test_who_stops_reading_has_had_it(app, gate, used):
    @app.get("/")
    @gate.consume_quota("crm.pages", 2, operation=lambda: "o")
    def stream():
        return Response(iter(["some", "more"]))

    gate.init_app(app)
    answer = app.test_client().get("/", headers={"X-Tenant": "free"}, buffered=False)
    next(iter(answer.response))
    answer.close()
    assert used() == 2


def test_a_repetition_is_free_and_says_so(app, gate, used):
    @app.post("/")
    @gate.require_module("crm")
    @gate.consume_quota("crm.pages", operation=None)
    def once():
        return "again" if gate.usage("crm.pages").replayed else "done"

    gate.init_app(app)
    key = {"Idempotency-Key": '"a"'}
    assert asked(app, "/", method="POST", headers=key) == (200, "done")
    assert asked(app, "/", method="POST", headers=key) == (200, "again")
    assert used() == 1
    assert asked(app, "/", method="POST")[0] == 400
    assert used() == 1


def test_what_is_no_quota_is_refused_when_it_is_written(gate):
    for key, says in (("crm.page", "did you mean"), ("crm.export", "not used up")):
        with pytest.raises(ConfigurationError, match=says):
            gate.consume_quota(key, operation=None)
    with pytest.raises(TypeError, match="amount=True"):
        gate.consume_quota("crm.pages", True, operation=None)
    with pytest.raises(TypeError, match="operation='x'"):
        gate.consume_quota("crm.pages", operation="x")
