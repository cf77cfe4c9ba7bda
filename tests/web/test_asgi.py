"""The middleware for every ASGI app: it binds, asks, answers, and otherwise is not there."""

import asyncio
import json
import sys

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from payaid_entitlements import AsyncEntitlements, Entitlements, current_tenant_async, require_module
from payaid_entitlements.binding import CURRENT
from payaid_entitlements.errors import ConfigurationError, NotEntitled, TenantUnidentified
from payaid_entitlements.testing import sandbox
from payaid_entitlements.web import exempt
from payaid_entitlements.web.answers import Answers
from payaid_entitlements.web.asgi import EntitlementsMiddleware
from payaid_entitlements.web.asgi.exchange import Exchange
from payaid_entitlements.web.finding import LazyBinding, Seeking, view_of
from payaid_entitlements.web.request import ScopeRequest
from payaid_entitlements.web.routing import Routes, needs
from payaid_entitlements.web.tenancy import Tenancy, by
from tests.holding.conftest import CATALOG as METERED
from tests.web.asgi import body_of, fields_of, heard, hello, scope_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    """What the library runs on."""
    return "asyncio"


def login(scope):
    """Stands in for what a host's login has verified."""
    found = ScopeRequest(scope).header("x-tenant")
    return found[0] if found else None


def of(tenant, **more):
    return {"x-tenant": tenant, **more}


ROUTES = Routes({"/hr/*": "hr", "GET /open": exempt, "WEBSOCKET /live": "hr", "/export": ["crm", "crm.export"]})


@pytest.fixture
def table(ent):
    return EntitlementsMiddleware(hello, ent, tenant=login, routes=ROUTES)


async def status(app, method, path, tenant="free", **more):
    sent = await heard(app, scope_of(method, path, headers=of(tenant, **more.pop("headers", {})), **more))
    return sent[0]["status"]


# -- what a table says ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tenant", "path", "expected"),
    [("pro", "/hr/1", 200), ("free", "/hr/1", 402), ("denied", "/hr", 403), ("free", "/open", 200), ("pro", "/x", 404)],
)
async def test_routes_are_asked_before_the_app_runs(table, tenant, path, expected):
    assert await status(table, "GET", path, tenant) == expected


async def test_a_refusal_is_a_whole_response(table):
    sent = await heard(table, scope_of("GET", "/hr", headers=of("free")))
    document = json.loads(body_of(sent))
    assert [each["type"] for each in sent] == ["http.response.start", "http.response.body"]
    assert document["reason"] == "plan.module_absent"
    assert document["remedies"]
    fields = fields_of(sent)
    assert fields["content-type"] == "application/problem+json"
    assert fields["cache-control"] == "no-store"
    assert int(fields["content-length"]) == len(body_of(sent))


async def test_to_head_it_says_the_same_without_a_body(table):
    sent = await heard(table, scope_of("HEAD", "/hr", headers=of("free")))
    assert sent[0]["status"] == 402
    assert int(fields_of(sent)["content-length"]) > 0
    assert body_of(sent) == b""


async def test_nobody_has_to_log_in_and_is_told_how(ent):
    app = EntitlementsMiddleware(hello, ent, tenant=login, routes=ROUTES, answers=Answers(challenge="Basic"))
    sent = await heard(app, scope_of("GET", "/hr"))
    assert (sent[0]["status"], fields_of(sent)["www-authenticate"]) == (401, "Basic")


async def test_what_no_line_matches_is_a_problem_document_too(table):
    sent = await heard(table, scope_of("GET", "/hr/../open", headers=of("pro")))
    assert (sent[0]["status"], json.loads(body_of(sent))["reason"]) == (404, "route.unknown")


async def test_where_an_app_is_mounted_its_table_is_about_what_is_below(table):
    assert await status(table, "GET", "/api/hr", "pro", root_path="/api") == 200
    assert await status(table, "GET", "/hr", "pro", root_path="/api") == 200
    assert await status(table, "GET", "/apihr", "pro", root_path="/api") == 404
    assert await status(table, "GET", "/api", "pro", root_path="/api") == 404


async def test_the_raw_path_is_looked_at_where_the_server_tells_it(table):
    assert await status(table, "GET", "/hr/1", "pro", raw_path=b"/hr%2f1") == 404
    assert await status(table, "GET", "/hr/1", "pro", raw_path=b"/h%72/1") == 200


def test_limits_count_by_whom_it_knows(clock):
    with sandbox(Entitlements.open("memory://", catalog=LIMITED), clock=clock) as inside:
        routes = Routes({"/": needs(limits=["near"])})
        with pytest.raises(ConfigurationError, match="proxies="):
            EntitlementsMiddleware(hello, inside.client, tenant=login, routes=routes)


def test_keys_are_known_when_it_is_made(ent):
    with pytest.raises(ConfigurationError, match="did you mean 'crm'"):
        EntitlementsMiddleware(hello, ent, tenant=login, routes=Routes({"/": "crn"}))
    with pytest.raises(ConfigurationError, match="proxies is -1"):
        EntitlementsMiddleware(hello, ent, tenant=login, proxies=-1)


# -- whose request it is -------------------------------------------------------------------------------------------


async def test_nobody_is_looked_for_before_somebody_asks(ent):
    asked = []

    def tenant(scope):
        asked.append(scope["path"])
        return scope["session"]

    async def app(scope, receive, send):
        scope["session"] = "pro"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        name = (await current_tenant_async()).tenant if scope["path"] == "/who" else "?"
        await send({"type": "http.response.body", "body": name.encode()})

    wrapped = EntitlementsMiddleware(app, ent, tenant=tenant)
    assert body_of(await heard(wrapped, scope_of("GET", "/"))) == b"?"
    assert asked == []
    assert body_of(await heard(wrapped, scope_of("GET", "/who"))) == b"pro"
    assert asked == ["/who"]
    assert CURRENT.get() is None


async def test_it_may_be_found_out_by_a_coroutine(ent):
    async def tenant(scope):
        await asyncio.sleep(0)
        return "pro"

    async def user(scope):
        return "ada"

    async def app(scope, receive, send):
        view = await CURRENT.get().found_async()
        await hello(scope, receive, send)
        assert (view.tenant, view.user) == ("pro", "ada")

    assert await status(EntitlementsMiddleware(app, ent, tenant=tenant, user=user), "GET", "/") == 200
    assert await status(EntitlementsMiddleware(app, ent, tenant=lambda scope: "pro", user=user), "GET", "/") == 200


async def test_a_tenancy_says_it_too(ent):
    tenancy = Tenancy(by(login))
    app = EntitlementsMiddleware(hello, ent, tenant=tenancy, user=lambda scope: "ada", routes=ROUTES)
    assert [await status(app, "GET", "/hr", tenant) for tenant in ("free", "pro")] == [402, 200]


# -- what is raised inside -----------------------------------------------------------------------------------------


def raising(error, *, after=()):
    async def app(scope, receive, send):
        for message in after:
            await send(message)
        raise error

    return app


@require_module("hr")
async def payroll():
    return "paid"


async def test_a_guard_inside_is_answered(ent):
    async def app(scope, receive, send):
        await payroll()
        await hello(scope, receive, send)

    wrapped = EntitlementsMiddleware(app, ent, tenant=login)
    assert [await status(wrapped, "GET", "/", tenant) for tenant in ("free", "pro", "denied")] == [402, 200, 403]


async def test_a_guard_inside_asks_about_the_method_that_the_app_handles(ent):
    """Who may only read does not write by a GET that middleware makes a DELETE of, further inside."""

    async def app(scope, receive, send):
        scope["method"] = ScopeRequest(scope).header("x-http-method-override")[0]
        await payroll()
        await hello(scope, receive, send)

    wrapped = EntitlementsMiddleware(app, ent, tenant=login)
    methods = ("GET", "DELETE")
    said = [await status(wrapped, "GET", "/", "paused", headers={"x-http-method-override": each}) for each in methods]
    assert said == [200, 403]


START = {"type": "http.response.start", "status": 200, "headers": []}


async def test_what_has_begun_is_not_answered_again(ent):
    error = TenantUnidentified("late")
    app = EntitlementsMiddleware(raising(error, after=[START]), ent, tenant=login)
    sent = []

    async def send(message):
        sent.append(message)

    with pytest.raises(TenantUnidentified):
        await app(scope_of("GET", "/"), None, send)
    assert sent == [START]
    assert CURRENT.get() is None


async def test_what_comes_before_the_response_is_no_beginning(ent):
    app = EntitlementsMiddleware(
        raising(TenantUnidentified("x"), after=[{"type": "http.response.debug"}]), ent, tenant=login
    )
    sent = await heard(app, scope_of("GET", "/"))
    assert [each.get("status") for each in sent] == [None, 401, None]


async def test_other_errors_are_none_of_ours(ent):
    app = EntitlementsMiddleware(raising(KeyError("x")), ent, tenant=login)
    with pytest.raises(KeyError):
        await heard(app, scope_of("GET", "/"))


async def test_tasks_that_fail_together_are_answered_where_all_of_it_is_for_clients(ent):
    async def app(scope, receive, send):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(payroll())
            tasks.create_task(payroll())

    wrapped = EntitlementsMiddleware(app, ent, tenant=login)
    assert await status(wrapped, "GET", "/") == 402

    mixed = ExceptionGroup("tasks", [TenantUnidentified("nobody"), KeyError("x")])
    with pytest.raises(ExceptionGroup):
        await heard(EntitlementsMiddleware(raising(mixed), ent, tenant=login), scope_of("GET", "/"))


async def test_of_another_tenant_only_the_refusal_is_told(ent):
    async def app(scope, receive, send):
        if scope["path"] == "/mine":
            await current_tenant_async()
        (await view_of(ent, "free")).require("hr")

    wrapped = EntitlementsMiddleware(app, ent, tenant=login)
    mine = json.loads(body_of(await heard(wrapped, scope_of("GET", "/mine", headers=of("pro")))))
    unbound = json.loads(body_of(await heard(wrapped, scope_of("GET", "/", headers=of("pro")))))
    assert mine["reason"] == unbound["reason"] == "plan.module_absent"
    assert (mine["remedies"], bool(unbound["remedies"])) == ([], True)


# -- frameworks inside answer errors before they raise them again ----------------------------------------------------


async def guarded(request):
    await payroll()
    return PlainTextResponse("paid")


def framework(**options):
    return Starlette(
        routes=[
            Route("/pay", guarded),
            Mount("/inner", app=Starlette(routes=[Route("/pay", guarded)])),
        ],
        **options,
    )


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("path", ["/pay", "/inner/pay"])
async def test_a_framework_that_answers_with_500_first_does_not_hide_it(ent, path, debug):
    app = EntitlementsMiddleware(framework(debug=debug), ent, tenant=login)
    assert [await status(app, "GET", path, tenant) for tenant in ("free", "pro")] == [402, 200]


async def test_what_the_host_answers_itself_is_right(ent):
    async def unavailable(request, error):
        return PlainTextResponse("come back", 503)

    app = EntitlementsMiddleware(framework(exception_handlers={NotEntitled: unavailable}), ent, tenant=login)
    sent = await heard(app, scope_of("GET", "/pay", headers=of("free")))
    assert (sent[0]["status"], body_of(sent)) == (503, b"come back")


async def test_another_error_behind_it_is_told_as_the_framework_told_it(ent):
    async def app(scope, receive, send):
        try:
            await payroll()
        except NotEntitled:
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b"oh"})
            raise KeyError("x") from None

    sent = []

    async def send(message):
        sent.append(message)

    with pytest.raises(KeyError):
        await EntitlementsMiddleware(app, ent, tenant=login)(scope_of("GET", "/", headers=of("free")), None, send)
    assert [each["type"] for each in sent] == ["http.response.start", "http.response.body"]


# -- streams, tasks that were started, clients that have gone -------------------------------------------------------


async def test_a_stream_passes_message_by_message(ent):
    passed = asyncio.Queue()
    go_on = asyncio.Event()

    async def app(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": b"1", "more_body": True})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"2"})

    before = asyncio.all_tasks()
    task = asyncio.create_task(
        EntitlementsMiddleware(app, ent, tenant=login, routes=Routes({"/": "crm"}))(
            scope_of("GET", "/", headers=of("free")), None, passed.put
        )
    )
    first = [await asyncio.wait_for(passed.get(), 5) for _ in range(2)]
    # Nothing was started besides, and nothing waits for the end.
    assert asyncio.all_tasks() - before == {task}
    assert first[1]["body"] == b"1"
    go_on.set()
    await task
    assert (await passed.get())["body"] == b"2"


async def test_a_client_that_goes_away_ends_it_and_leaves_nothing_bound(ent):
    async def app(scope, receive, send):
        await payroll()
        await send(START)
        await asyncio.sleep(60)

    began = asyncio.Event()

    async def send(message):
        began.set()

    async def run():
        try:
            await EntitlementsMiddleware(app, ent, tenant=login)(scope_of("GET", "/", headers=of("pro")), None, send)
        finally:
            assert CURRENT.get() is None

    task = asyncio.create_task(run())
    await asyncio.wait_for(began.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_goes_on_behind_the_answer_keeps_its_tenant(ent):
    seen = []

    async def later():
        await asyncio.sleep(0)
        seen.append((await CURRENT.get().found_async()).tenant)

    async def app(scope, receive, send):
        await hello(scope, receive, send)
        tasks.append(asyncio.create_task(later()))

    tasks = []
    wrapped = EntitlementsMiddleware(app, ent, tenant=login)
    for tenant in ("free", "pro"):
        await heard(wrapped, scope_of("GET", "/", headers=of(tenant)))
    await asyncio.gather(*tasks)
    assert seen == ["free", "pro"]


async def test_an_error_in_a_background_task_is_not_answered(ent):
    async def app(scope, receive, send):
        await hello(scope, receive, send)
        await payroll()

    with pytest.raises(NotEntitled):
        await heard(EntitlementsMiddleware(app, ent, tenant=login), scope_of("GET", "/", headers=of("free")))


# -- websockets ----------------------------------------------------------------------------------------------------


async def chat(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        if message["text"] == "pay":
            await payroll()
        await send({"type": "websocket.send", "text": message["text"]})


CONNECT = {"type": "websocket.connect"}


def said(text):
    return {"type": "websocket.receive", "text": text}


def socket(path, tenant, **more):
    return scope_of("", path, kind="websocket", **{"headers": of(tenant), **more})


async def test_a_handshake_is_refused_with_a_response_where_the_server_can(ent):
    app = EntitlementsMiddleware(chat, ent, tenant=login, routes=ROUTES)
    sent = await heard(app, socket("/live", "free", extensions={"websocket.http.response": {}}), CONNECT)
    assert [each["type"] for each in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert sent[0]["status"] == 402
    assert json.loads(body_of(sent))["reason"] == "plan.module_absent"


@pytest.mark.parametrize("more", [{}, {"extensions": None}, {"extensions": {}}])
async def test_elsewhere_it_is_closed_for_policy(ent, more):
    app = EntitlementsMiddleware(chat, ent, tenant=login, routes=ROUTES)
    sent = await heard(app, socket("/live", "free", **more), CONNECT)
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "plan.module_absent"}]


async def test_a_path_that_is_only_for_requests_opens_no_websocket(ent):
    app = EntitlementsMiddleware(chat, ent, tenant=login, routes=ROUTES)
    sent = await heard(app, socket("/open", "pro"), CONNECT)
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "route.unknown"}]


async def test_a_message_that_is_refused_closes_a_socket_that_is_open(ent):
    app = EntitlementsMiddleware(chat, ent, tenant=login)
    extensions = {"websocket.http.response": {}}
    sent = await heard(app, socket("/", "free", extensions=extensions), CONNECT, said("hi"), said("pay"))
    assert [each["type"] for each in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert sent[2]["code"] == 1008
    assert CURRENT.get() is None


async def test_who_holds_it_goes_on_talking(ent):
    app = EntitlementsMiddleware(chat, ent, tenant=login, routes=ROUTES)
    sent = await heard(app, socket("/live", "pro"), CONNECT, said("pay"), said("hi"))
    assert [each.get("text") for each in sent] == [None, "pay", "hi"]


@pytest.mark.parametrize("end", [{"type": "websocket.close", "code": 1000}, None])
async def test_a_socket_that_has_ended_is_not_closed_again(ent, end):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await (receive() if end is None else send(end))
        await payroll()

    with pytest.raises(NotEntitled):
        await heard(EntitlementsMiddleware(app, ent, tenant=login), socket("/", "free"), CONNECT)


# -- lifespan ------------------------------------------------------------------------------------------------------

LIFESPAN = {"type": "lifespan", "asgi": {"version": "3.0"}}


async def start(app):
    sent = []

    async def receive():
        return {"type": "lifespan.startup" if not sent else "lifespan.shutdown"}

    async def send(message):
        sent.append(message)

    try:
        await app(dict(LIFESPAN), receive, send)
    except ConfigurationError as error:
        return sent, str(error)
    return sent, None


async def echo(socket):
    await socket.accept()


def whole_app(*more):
    return Starlette(
        routes=[
            Route("/hr/{id}", guarded),
            WebSocketRoute("/live", echo),
            Mount("/inner", routes=[Route("/files/{name:path}", guarded, methods=["POST"])]),
            *more,
        ]
    )


TABLE = {"/hr/*": "hr", "/live": "hr", "/inner/*": "hr"}


async def test_an_app_starts_whose_routes_are_all_mapped(ent):
    files = Mount("/static", app=StaticFiles(directory="."))
    for routes in (Routes({**TABLE, "/static/*": exempt}), Routes({}, unmapped="allow"), None):
        app = EntitlementsMiddleware(whole_app(files), ent, tenant=login, routes=routes)
        sent, error = await start(app)
        assert [each["type"] for each in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert error is None


@pytest.mark.parametrize(
    ("missing", "table"),
    [
        ("GET/HEAD /new", TABLE),
        ("websocket /live", {**TABLE, "GET /new": "hr", "/live": None, "GET /live": "hr"}),
        ("POST /inner/files/{name}", {**TABLE, "/new": "hr", "/inner/*": None, "/inner/files/{name}": "hr"}),
        ("any method /more", {**TABLE, "/new": "hr"}),
        ("app /static", {**TABLE, "/new": "hr", "/more": "hr"}),
    ],
)
async def test_an_app_does_not_start_with_a_route_that_nobody_reaches(ent, missing, table):
    async def anything(scope, receive, send):
        """Stands for what has no routes."""

    more = (
        [Route("/new", guarded), Route("/more", type("Any", (), {}))] if "more" in missing else [Route("/new", guarded)]
    )
    if "static" in missing:
        more = [Route("/new", guarded), Mount("/static", app=StaticFiles(directory="."))]
    routes = Routes({text: said for text, said in table.items() if said is not None})
    app = EntitlementsMiddleware(whole_app(*more), ent, tenant=login, routes=routes)
    sent, error = await start(app)
    assert [each["type"] for each in sent] == ["lifespan.startup.failed"]
    for method in missing.split(" ")[0].split("/") if "any" not in missing else ["any method"]:
        assert f"{method} {missing.rsplit(' ', 1)[1]}" in error
    assert error == sent[0]["message"]


async def test_an_app_without_routes_starts(ent, monkeypatch):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})

    sent, error = await start(EntitlementsMiddleware(app, ent, tenant=login, routes=ROUTES))
    assert (len(sent), error) == (1, None)
    monkeypatch.delitem(sys.modules, "starlette.applications")
    assert await start(EntitlementsMiddleware(app, ent, tenant=login, routes=ROUTES)) == (sent, None)


# -- quotas ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Entitlements, AsyncEntitlements])
async def test_units_are_used_up_and_given_back(kind, clock):
    with sandbox(kind.open("memory://", catalog=METERED), clock=clock) as inside:
        inside.subscribe("acme", "pro")

        def used():
            return inside.usage("acme", "crm.pages").used

        repeated = []

        async def printer(scope, receive, send):
            assert used() == before + 4
            repeated.append(scope["payaid_entitlements.usages"]["crm.pages"].replayed)
            if scope["path"] == "/fails":
                raise KeyError("x")
            if scope["type"] == "websocket":
                await send({"type": "websocket.accept"})
                raise TenantUnidentified("gone")
            code = 409 if scope["path"] == "/contradicts" else 201
            await send({"type": "http.response.start", "status": code, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        routes = Routes({"/*": needs("crm", quotas={"crm.pages": 4})})
        app = EntitlementsMiddleware(printer, inside.client, tenant=login, routes=routes)
        before = await asyncio.to_thread(used)

        def keyed(key):
            return {"idempotency-key": key}

        assert await status(app, "POST", "/", "acme") == 400
        assert await status(app, "POST", "/contradicts", "acme", headers=keyed("a")) == 409
        with pytest.raises(KeyError):
            await status(app, "POST", "/fails", "acme", headers=keyed("b"))
        sent = await heard(app, socket("/", "acme", headers=of("acme", **keyed("c"))), CONNECT)
        assert [each["type"] for each in sent] == ["websocket.accept", "websocket.close"]
        assert used() == before
        assert [await status(app, "POST", "/", "acme", headers=keyed("d")) for _ in range(2)] == [201, 201]
        assert used() == before + 4
        # Only the app knows whether its work was done: else each client would have all for the price of one.
        assert repeated[-2:] == [False, True]


def test_a_quota_that_is_none_is_a_mistake(ent):
    with pytest.raises(ConfigurationError, match="is not used up"):
        EntitlementsMiddleware(hello, ent, tenant=login, routes=Routes({"/": needs(quotas={"crm.export": 1})}))


async def test_an_exchange_has_all_that_a_binding_has(ent):
    exchange = Exchange(EntitlementsMiddleware(hello, ent, tenant=login), scope_of("GET", "/"), None)
    binding = LazyBinding(ent, lambda: ("acme", None))
    for made in (exchange, binding):
        assert [name for name in Seeking.__slots__ if not hasattr(made, name)] == []


# -- rate limits ----------------------------------------------------------------------------------------------------

LIMITED = {
    "catalog": 1,
    "default_plan": "pro",
    "modules": {"crm": {}},
    "plans": {"pro": {"modules": ["crm"]}},
    "rate_limits": {"calls": {"default": "2/hour"}, "near": {"default": "1/hour", "per": "address"}},
}


async def test_responses_say_how_limits_stand(clock):
    with sandbox(Entitlements.open("memory://", catalog=LIMITED), clock=clock) as inside:
        routes = Routes({"/": needs("crm", limits=["calls"])})
        app = EntitlementsMiddleware(
            hello, inside.client, tenant=login, routes=routes, answers=Answers(legacy_fields=True)
        )
        answers = [await heard(app, scope_of("GET", "/", headers=of("a"))) for _ in range(3)]
    assert [sent[0]["status"] for sent in answers] == [200, 200, 429]
    assert [fields_of(sent)["x-ratelimit-remaining"] for sent in answers] == ["1", "0", "0"]
    assert fields_of(answers[0])["content-type"] == "text/plain"
    assert int(fields_of(answers[2])["retry-after"]) > 0
    # Once, although the limit told it already.
    assert [name for name, _ in answers[2][0]["headers"]].count(b"ratelimit") == 1


async def test_a_refusal_waits_for_the_limits_before_it_too(clock):
    with sandbox(Entitlements.open("memory://", catalog=LIMITED), clock=clock) as inside:
        routes = Routes({"/": needs(limits=["near", "calls"]), "/calls": needs(limits=["calls"])})
        app = EntitlementsMiddleware(hello, inside.client, tenant=login, routes=routes, proxies=0)
        assert [await status(app, "GET", "/calls", "a") for _ in range(2)] == [200, 200]
        sent = await heard(app, scope_of("GET", "/", headers=of("a")))
    assert (sent[0]["status"], fields_of(sent)["retry-after"]) == (429, "3600")
    assert [name for name, _ in sent[0]["headers"]].count(b"retry-after") == 1


async def test_an_address_is_believed_as_far_as_proxies_are_known(clock):
    with sandbox(Entitlements.open("memory://", catalog=LIMITED), clock=clock) as inside:
        routes = Routes({"/": needs(limits=["near"])})
        app = EntitlementsMiddleware(hello, inside.client, tenant=login, routes=routes, proxies=1)
        came = ["198.51.100.1", "1.2.3.4, 198.51.100.1", "198.51.100.2"]
        statuses = [await status(app, "GET", "/", "a", headers={"x-forwarded-for": each}) for each in came]
    assert statuses == [200, 429, 200]


async def test_what_a_limit_said_stands_also_in_the_refusal_of_something_else(clock):
    with sandbox(Entitlements.open("memory://", catalog=LIMITED), clock=clock) as inside:
        inside.admin().suspend("a")
        routes = Routes({"/": needs("crm", limits=["calls"])})
        app = EntitlementsMiddleware(hello, inside.client, tenant=login, routes=routes)
        sent = await heard(app, scope_of("GET", "/", headers=of("a")))
    assert (sent[0]["status"], fields_of(sent)["ratelimit"][:12]) == (403, '"calls";r=1;')
