"""Gates that count requests: who is counted, in which order, and what responses say of it; for both colours."""

# Without `from __future__ import annotations`: FastAPI evaluates annotations, and those below name local values.

import random
from datetime import timedelta
from typing import Annotated

import http_sf
import pytest
import structlog
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.testclient import WebSocketDenialResponse

from payaid_entitlements import DENY, AsyncEntitlements, Catalog, Entitlements, rate_limit
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.testing import sandbox
from payaid_entitlements.web import exempt
from payaid_entitlements.web.fastapi import Gate
from payaid_entitlements.web.fastapi.around import Around, Work
from payaid_entitlements.web.rate_fields import QUOTA_EXCEEDED
from tests.web.conftest import CATALOG as UNLIMITED
from tests.web.conftest import ask, asked, login

CATALOG = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "modules": {"crm": {"features": {"export": {"kind": "switch"}}}, "hr": {}},
        "rate_limits": {
            "api": {"default": "6/minute", "burst": 5},
            "export": {"default": "2/minute", "counts_toward": ["api"]},
            "mine": {"per": "user", "default": "1/minute"},
            "sign_in": {"per": "address", "default": "3/minute"},
            "money": {"default": "9/minute", "on_outage": "closed"},
            "easy": {"default": "9/minute", "on_outage": "open"},
            "jobs": {"default": "2 at once"},
        },
        "plans": {
            "free": {"modules": ["crm"]},
            "pro": {
                "extends": "free",
                "price": {"monthly": 5, "currency": "EUR"},
                "modules": ["hr"],
                "rate_limits": {"export": "2/second", "api": "unlimited"},
            },
        },
    }
)


def who(x_user: Annotated[str | None, Header()] = None) -> str | None:
    return x_user


@pytest.fixture(params=[Entitlements, AsyncEntitlements], ids=["sync", "async"])
def inside(request, clock):
    with sandbox(request.param.open("memory://", catalog=CATALOG), clock=clock) as found:
        found.subscribe("pro", "pro")
        yield found


@pytest.fixture
def ent(inside):
    return inside.client


@pytest.fixture
def gate(ent):
    return Gate(ent, tenant=login, user=who, proxies=1)


def app_of(gate, *gates, path="/it"):
    """An app with one route behind *gates*."""
    app = FastAPI()

    @app.get(path, dependencies=list(gates))
    async def it() -> str:
        return "it"

    gate.init_app(app)
    return app


def parsed(response, name):
    """The field *name* as any parser of RFC 9651 reads it."""
    read = http_sf.parse(response.headers[name].encode(), tltype="list")
    assert all(isinstance(each, str) for each, _ in read)
    return {str(each): dict(parameters) for each, parameters in read}


# -- let through and refused ------------------------------------------------------------------------------------------


def test_what_is_let_through_says_how_much_is_left(gate):
    app = app_of(gate, gate.rate_limit("export"))

    response = ask(app, "GET", "/it")

    assert response.status_code == 200
    assert parsed(response, "RateLimit-Policy") == {"export": {"q": 2, "w": 60}, "api": {"q": 6, "w": 60}}
    assert parsed(response, "RateLimit") == {"export": {"r": 1, "t": 30}, "api": {"r": 4, "t": 10}}
    assert "Retry-After" not in response.headers
    assert "X-RateLimit-Limit" not in response.headers


def test_a_refusal_waits_for_the_limits_before_it_too_which_have_counted_the_request(gate, clock):
    app = app_of(gate, gate.rate_limit("mine"), gate.rate_limit("export"))

    def call(user):
        return ask(app, "GET", "/it", headers={"x-user": user})

    assert [call("asha").status_code, call("bela").status_code] == [200, 200]
    refused = call("chen")

    assert refused.json()["violated-policies"] == ["export"]
    # A unit of export is there after 30 seconds, the only one of hers after 60.
    assert refused.headers["Retry-After"] == "60"
    clock.advance(timedelta(seconds=59))
    assert call("chen").json()["violated-policies"] == ["mine"]
    clock.advance(timedelta(seconds=1))
    assert call("chen").status_code == 200


def test_a_refusal_is_a_problem_that_says_when_to_come_again(gate, clock):
    app = app_of(gate, gate.rate_limit("export", cost=2))
    assert ask(app, "GET", "/it").status_code == 200

    response = ask(app, "GET", "/it")

    assert (response.status_code, response.headers["Content-Type"]) == (429, "application/problem+json")
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Retry-After"] == "60"
    assert parsed(response, "RateLimit") == {"export": {"r": 0, "t": 60}}
    assert response.json() == {
        "type": QUOTA_EXCEEDED,
        "title": "More requests were made than the rate limit lets through.",
        "status": 429,
        "detail": "Wait, then try again.",
        "reason": "rate.limited",
        "feature": "export",
        "violated-policies": ["export"],
        "remedies": [
            {"kind": "wait_until", "at": "2026-09-21T14:01:00+00:00"},
            {
                "kind": "change_plan",
                "plan": "pro",
                "title": "pro",
                "prices": [{"amount": "5", "currency": "EUR", "interval": "month"}],
                "url": None,
                "verb": "subscribe",
                "subscription": "main",
            },
        ],
    }
    clock.advance(timedelta(seconds=60))
    assert ask(app, "GET", "/it").status_code == 200


def test_the_highest_plan_is_told_to_wait_alone(gate):
    app = app_of(gate, gate.rate_limit("export", cost=2))
    assert ask(app, "GET", "/it", "pro").status_code == 200

    body = ask(app, "GET", "/it", "pro").json()

    assert [each["kind"] for each in body["remedies"]] == ["wait_until"]


def test_a_request_that_weighs_more_than_ever_fits_is_given_no_time(gate):
    response = ask(app_of(gate, gate.rate_limit("export", cost=3)), "GET", "/it")

    assert (response.status_code, response.json()["detail"]) == (
        429,
        "Ask for less at once: the limit never lets so much through.",
    )
    assert "Retry-After" not in response.headers
    assert "t" not in parsed(response, "RateLimit")["export"]


def test_who_is_switched_off_by_hand_is_not_told_to_wait(inside, gate):
    app = app_of(gate, gate.rate_limit("export"))
    inside.override("free", "rate_limits.export", DENY)

    response = ask(app, "GET", "/it")

    assert (response.status_code, response.json()["reason"]) == (403, "override.denied")
    assert [each["title"] for each in response.json()["remedies"]] == [
        "Talk to us: this was switched off for the account"
    ]
    assert "RateLimit" not in response.headers


def test_older_fields_are_told_where_they_are_asked_for(ent):
    gate = Gate(ent, tenant=login, legacy_fields=True)
    app = app_of(gate, gate.rate_limit("export", cost=2))

    told = [
        {name: response.headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")}
        for response in (ask(app, "GET", "/it"), ask(app, "GET", "/it"))
    ]

    assert told == [{"Limit": "2", "Remaining": "0", "Reset": "60"}, {"Limit": "2", "Remaining": "0", "Reset": "60"}]


def test_unlimited_says_nothing(gate):
    response = ask(app_of(gate, gate.rate_limit("api")), "GET", "/it", "pro")

    assert response.status_code == 200
    assert not [name for name in response.headers if "ratelimit" in name]


def test_a_flood_is_counted_and_writes_no_log(inside, gate):
    app = app_of(gate, gate.rate_limit("export", cost=2))

    with structlog.testing.capture_logs() as logged:
        assert [ask(app, "GET", "/it").status_code for _ in range(4)] == [200, 429, 429, 429]

    assert [each["event"] for each in logged if each["event"] == "refused"] == []
    assert inside.counts["rate_limit.refused", "export"] == 3


# -- an outage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "status"), [("easy", 200), ("money", 503), ("api", 200)])
def test_in_an_outage_each_limit_does_what_it_says(inside, gate, limit, status):
    app = app_of(gate, gate.rate_limit(limit))
    assert ask(app, "GET", "/it").status_code == 200

    with inside.outage(is_warm=True):
        response = ask(app, "GET", "/it")

    assert response.status_code == status
    assert ("RateLimit" in response.headers) is (limit == "api"), "a share of this process is known, and nothing else"
    if status == 503:
        assert (response.json()["reason"], response.headers["Retry-After"]) == ("store.unavailable", "2")


def test_what_is_more_than_a_share_comes_back_at_the_rate_of_the_share(inside, gate, clock):
    """The limit itself lets so much through, so nobody is shut out for the length of an outage; a share is one unit."""
    app = app_of(gate, gate.rate_limit("export", cost=2))

    with inside.outage(is_warm=True):
        assert ask(app, "GET", "/it").status_code == 200
        response = ask(app, "GET", "/it")
        assert (response.status_code, response.headers["Retry-After"]) == (429, "120")
        clock.advance(timedelta(seconds=120))
        assert ask(app, "GET", "/it").status_code == 200


# -- who is counted, and when -----------------------------------------------------------------------------------------


def test_each_user_has_a_counter_of_their_own(gate):
    app = app_of(gate, gate.rate_limit("mine"))

    assert [asked(app, "GET", "/it", headers={"x-user": user})[0] for user in ("a", "b", "a")] == [200, 200, 429]


def test_who_is_no_user_has_to_log_in_where_users_are_counted(gate):
    app = app_of(gate, gate.rate_limit("mine"))

    assert asked(app, "GET", "/it") == (401, "tenant.unidentified")


def test_before_login_an_address_is_counted_and_nobody_has_to_be_known(gate):
    app = FastAPI()

    @app.get("/sign-in", dependencies=[gate.rate_limit("sign_in", before_login=True)])
    @exempt
    async def sign_in() -> str:
        return "in"

    gate.init_app(app, unguarded="refuse")

    def statuses(chain):
        return [ask(app, "GET", "/sign-in", None, headers={"x-forwarded-for": chain}).status_code for _ in range(4)]

    assert statuses("203.0.113.5") == [200, 200, 200, 429]
    assert statuses("198.51.100.1, 203.0.113.5") == [429] * 4, "what the client made up is not believed"
    assert statuses("2001:db8:1:2::5") == [200, 200, 200, 429]
    assert statuses("2001:db8:1:2:ffff::6") == [429] * 4, "a network is one caller"
    refused = ask(app, "GET", "/sign-in", None, headers={"x-forwarded-for": "203.0.113.5"})
    assert [each["kind"] for each in refused.json()["remedies"]] == ["wait_until"]


def test_an_address_is_counted_behind_the_login_too_and_by_guards(gate):
    app = app_of(gate, gate.rate_limit("sign_in"))

    @app.get("/guarded", dependencies=[gate.tenant])
    @rate_limit("sign_in")
    async def guarded() -> str:
        return "guarded"

    assert [ask(app, "GET", path).status_code for path in ("/it", "/guarded", "/it", "/guarded")] == [200] * 3 + [429]
    response = ask(app, "GET", "/guarded")
    assert parsed(response, "RateLimit") == {"sign_in": {"r": 0, "t": 20}}


def test_limits_are_counted_before_it_is_asked_what_is_held(gate):
    """
    Wherever they stand; what is no gate keeps its place.
    """
    seen = []

    async def first() -> None:
        seen.append("first")

    async def last() -> None:
        seen.append("last")

    async def wrapped(held: Annotated[None, gate.require_module("hr")]) -> None:
        seen.append("wrapped")

    router = APIRouter(dependencies=[Depends(first), Depends(wrapped), gate.require_module("hr")])

    @router.get("/people", dependencies=[gate.rate_limit("export"), Depends(last)])
    async def people() -> str:
        return "people"

    @router.websocket("/feed", dependencies=[gate.rate_limit("export")])
    async def feed() -> None: ...

    app = FastAPI()
    app.include_router(router, prefix="/v1")
    gate.init_app(app)

    assert [ask(app, "GET", "/v1/people").status_code for _ in range(4)] == [402, 402, 429, 429]
    assert seen == ["first"] * 4
    client = TestClient(app, headers={"x-tenant": "free"})
    with pytest.raises(WebSocketDenialResponse) as closed, client.websocket_connect("/v1/feed"):
        pass
    assert closed.value.status_code == 429
    assert closed.value.headers["Retry-After"] == "30"


def test_several_limits_are_told_together(gate):
    app = app_of(gate, gate.rate_limit("export"), gate.rate_limit("api"))

    assert parsed(ask(app, "GET", "/it"), "RateLimit") == {"export": {"r": 1, "t": 30}, "api": {"r": 3, "t": 20}}


def test_fields_are_told_whatever_the_route_answers_and_in_mounted_apps(gate):
    inner = FastAPI()

    @inner.get("/own", dependencies=[gate.rate_limit("easy")])
    async def own() -> PlainTextResponse:
        return PlainTextResponse("of its own")

    @inner.get("/error", dependencies=[gate.rate_limit("easy")])
    async def error() -> None:
        raise HTTPException(404)

    @inner.get("/free")
    async def free() -> str:
        return "free"

    app = FastAPI()
    app.add_middleware(BaseHTTPMiddleware, dispatch=lambda request, go_on: go_on(request))
    app.mount("/inner", inner)
    gate.init_app(app)
    gate.init_app(inner)
    gate.init_app(app)

    assert [each.cls for each in app.user_middleware].count(Around) == 1
    for path, left in (("/inner/own", 8), ("/inner/error", 7)):
        [told] = ask(app, "GET", path).headers.get_list("RateLimit")
        assert told.startswith(f'"easy";r={left};')
    assert "RateLimit" not in ask(app, "GET", "/inner/free").headers


def test_guards_say_how_limits_stand_too_also_inside_what_a_route_calls(gate):
    @rate_limit("export")
    async def exported() -> str:
        return "exported"

    app = FastAPI(dependencies=[gate.tenant])

    @app.get("/inside")
    async def inside() -> str:
        return await exported()

    @app.get("/guarded")
    @rate_limit("easy")
    def guarded() -> str:
        return "guarded"

    gate.init_app(app)

    assert parsed(ask(app, "GET", "/inside"), "RateLimit") == {"export": {"r": 1, "t": 30}, "api": {"r": 4, "t": 10}}
    assert parsed(ask(app, "GET", "/guarded"), "RateLimit")["easy"]["r"] == 8


def test_where_nothing_is_limited_nothing_is_told():
    with sandbox(Entitlements.open("memory://", catalog=UNLIMITED)) as inside:
        gate = Gate(inside.client, tenant=login)
        [around] = app_of(gate, gate.require_module("crm")).user_middleware

        assert around.kwargs["work"] == Work(tells=False, settles=False, legacy=False)


# -- what start-up says -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "more", "said"),
    [
        ("exprot", {}, "the catalog has no rate limit 'exprot'; did you mean 'export'?"),
        ("jobs", {}, "'jobs' limits what runs at once; hold a permit inside the route, with ent.concurrent(...)"),
        ("mine", {}, "it counts by user: say Gate(..., user=...)"),
        ("sign_in", {}, "it counts by address: say Gate(..., proxies=0), or more"),
        ("sign_in", {"before_login": True}, "counts by address: say Gate(..., proxies=0), or more"),
        ("export", {"cost": 0}, "cost is 0; it is 1 to 67,108,864 units"),
        ("export", {"cost": True}, "cost is True"),
    ],
)
def test_a_limit_that_cannot_be_counted_does_not_start(ent, limit, more, said):
    with pytest.raises(ConfigurationError) as raised:
        Gate(ent, tenant=login).rate_limit(limit, **more)

    assert said in str(raised.value)


def test_before_login_only_addresses_are_known(gate):
    with pytest.raises(ConfigurationError, match="it counts by tenant, which is not known before_login"):
        gate.rate_limit("api", before_login=True)


def test_a_number_of_proxies_is_a_number(ent):
    with pytest.raises(ConfigurationError, match="proxies is -1"):
        Gate(ent, tenant=login, proxies=-1)


def test_without_a_catalog_nothing_is_known_before_the_first_request():
    with Entitlements.open("memory://") as ent:
        ent.admin("test", because="test").publish(CATALOG)
        gate = Gate(ent, tenant=login)

        assert ask(app_of(gate, gate.rate_limit("api")), "GET", "/it").status_code == 200
        assert ask(app_of(gate, gate.rate_limit("whatever")), "GET", "/it").status_code == 500


def test_a_limit_alone_guards_nothing(gate):
    app = FastAPI()

    @app.get("/it", dependencies=[gate.rate_limit("api")])
    async def it() -> str:
        return "it"

    @app.get("/guarded", dependencies=[gate.tenant])
    @rate_limit("apj")
    async def guarded() -> str:
        return "guarded"

    with pytest.raises(ConfigurationError) as raised:
        gate.init_app(app, unguarded="refuse")

    assert [line.strip() for line in str(raised.value).splitlines()[1:]] == [
        "GET /it: no gate or guard stands before it; add gate.require_module(...), or mark it with exempt(...)",
        "GET /guarded: the catalog has no rate limit 'apj'; did you mean 'api'?",
        "GET /guarded: no gate or guard stands before it; add gate.require_module(...), or mark it with exempt(...)",
    ]


def test_descriptions_know_429_where_something_is_limited(gate):
    app = app_of(gate, gate.rate_limit("api"))

    @app.get("/guarded", dependencies=[gate.tenant])
    @rate_limit("api")
    async def guarded() -> str:
        return "guarded"

    @app.get("/module", dependencies=[gate.require_module("crm")])
    async def module() -> str:
        return "module"

    paths = app.openapi()["paths"]
    for path in ("/it", "/guarded"):
        answer = paths[path]["get"]["responses"]["429"]
        assert set(answer["headers"]) == {"RateLimit-Policy", "RateLimit", "Retry-After"}
        assert answer["content"]["application/problem+json"]["schema"]
    assert "429" not in paths["/module"]["get"]["responses"]


# -- RL-9 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("denials", [25, pytest.param(1_000, marks=pytest.mark.soak)])
def test_who_waits_as_long_as_is_said_comes_through_and_who_does_not_is_refused(clock, denials):
    """
    Every field parses, every request passes after the wait and none a second earlier.
    """
    dice = random.Random(9)
    rates = ["7/minute", "1/second", ["3/second", "40/minute"], "11/7 seconds", "9/hour"]
    catalog = Catalog.load(
        {
            "catalog": 1,
            "default_plan": "free",
            "modules": {"crm": {}},
            "plans": {"free": {}},
            "rate_limits": {f"limit-{at}": {"default": rate} for at, rate in enumerate(rates)},
        }
    )
    with sandbox(AsyncEntitlements.open("memory://", catalog=catalog), clock=clock) as inside:
        gate = Gate(inside.client, tenant=login)
        app = FastAPI()
        for at in range(len(rates)):
            app.get(f"/{at}", dependencies=[gate.rate_limit(f"limit-{at}")])(_answer)
        gate.init_app(app)
        with TestClient(app, headers={"x-tenant": "free"}) as client:
            for number in range(denials):
                path = f"/{number % len(rates)}"
                clock.advance(timedelta(microseconds=dice.randrange(3_000_000)))
                response = client.get(path)
                while response.status_code == 200:
                    assert parsed(response, "RateLimit")
                    response = client.get(path)
                assert response.status_code == 429
                wait = int(response.headers["Retry-After"])
                assert all(each["t"] == wait for each in parsed(response, "RateLimit").values())
                clock.advance(timedelta(seconds=wait - 1))
                assert client.get(path).status_code == 429
                clock.advance(timedelta(seconds=1))
                assert client.get(path).status_code == 200


async def _answer() -> str:
    return "it"
