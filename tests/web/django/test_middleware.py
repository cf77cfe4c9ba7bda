"""The middleware behind both of Django's handlers: who is bound, what is refused and how it is answered."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import ExitStack

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.test import AsyncClient, AsyncRequestFactory, RequestFactory, override_settings
from django.urls import path
from django.utils.asyncio import async_unsafe
from django.utils.decorators import async_only_middleware
from django.utils.deprecation import MiddlewareMixin

from payaid_entitlements import (
    consume_quota,
    current_tenant,
    current_tenant_async,
    rate_limit,
    require_feature,
    require_flag,
    require_module,
)
from payaid_entitlements.binding import CURRENT
from payaid_entitlements.errors import NoCurrentTenant
from payaid_entitlements.web.django import EntitlementsMiddleware
from tests.web.django.conftest import OURS, Site, plain, tenant_of, user_of


@require_feature("crm.export")
def export(request):
    return HttpResponse(f"for {current_tenant().tenant}")


@require_feature("crm.export")
async def export_awaited(request):
    await asyncio.sleep(0)
    return HttpResponse(f"for {current_tenant().tenant}")


VIEWS = [path("export", export), path("awaited", export_awaited)]


WHERE = ("/export", "/awaited")


def test_guards_on_views_ask_the_tenant_of_the_request(site):
    site.serve(*VIEWS)
    for where in WHERE:
        assert site.asked("GET", where, "pro") == (200, "for pro")
        assert site.asked("GET", where, "free") == (402, "plan.feature_absent")
        assert site.asked("GET", where, "suspended") == (403, "subscription.suspended")
        assert site.asked("GET", where, None) == (401, "tenant.unidentified")
        # Reading is not writing.
        assert site.asked("GET", where, "paused")[0] == 200
        assert site.asked("POST", where, "paused") == (403, "subscription.paused")
    assert CURRENT.get() is None


class Overriding(MiddlewareMixin):
    """Middleware that takes the method from a field."""

    def process_request(self, request):
        request.method = request.headers.get("X-HTTP-Method-Override", request.method)


def test_guards_ask_about_the_method_that_django_handles(site):
    """Who may only read does not write by a GET that says it is a POST, whatever middleware stands where."""
    named = path("named", plain(), name="named")
    site.serve(*VIEWS, named, middleware=(OURS, f"{__name__}.Overriding"), ROUTES={"named": "hr"})
    for where in (*WHERE, "/named"):
        assert site.asked("GET", where, "paused")[0] == 200
        said = site.asked("GET", where, "paused", X_HTTP_Method_Override="POST")
        assert said == (403, "subscription.paused")


@pytest.mark.parametrize("where", WHERE)
def test_a_refusal_is_a_problem_document_with_a_way_out(wsgi_site, where):
    wsgi_site.serve(*VIEWS)
    response = wsgi_site.ask("GET", where)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    document = response.json()
    assert document["type"] == "urn:problem-type:payaid:plan.feature_absent"
    assert [remedy["plan"] for remedy in document["remedies"]] == ["pro", "big"]
    assert document["reference"]


def test_tasks_that_fail_together_are_answered_where_all_of_it_is_for_clients(site):
    async def together(request):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(export_awaited(request))
            tasks.create_task(export_awaited(request))

    async def mixed(request):
        try:
            await together(request)
        except ExceptionGroup as group:
            raise ExceptionGroup("mixed", [*group.exceptions, ValueError()]) from None

    site.serve(path("together", together), path("mixed", mixed))
    assert site.asked("GET", "/together", "free") == (402, "plan.feature_absent")
    assert site.ask("GET", "/mixed", "free").status_code == 500


def test_an_outage_says_nothing_about_the_tenant(site):
    site.serve(*VIEWS)
    with site.inside.outage():
        for where in WHERE:
            response = site.ask("GET", where, "pro")
            assert response.status_code == 503
            assert response.headers["retry-after"] == "2"


def test_who_has_just_bought_is_let_in(site):
    site.serve(*VIEWS)
    for where in WHERE:
        assert site.ask("GET", where, f"new{where[1]}").status_code == 402
        site.inside.subscribe(f"new{where[1]}", "pro")
        assert site.ask("GET", where, f"new{where[1]}").status_code == 200


def test_views_see_the_tenant_without_a_guard(site):
    def show(request):
        return HttpResponse(f"{request.entitlements.plan} {request.entitlements!r}")

    async def show_awaited(request):
        view = await request.entitlements
        assert view is await request.entitlements
        return HttpResponse(f"{view.plan} {current_tenant().plan}")

    async def show_nobody(request):
        return HttpResponse(repr(request.entitlements))

    site.serve(path("show", show), path("awaited", show_awaited), path("nobody", show_nobody))
    assert site.asked("GET", "/show", "pro") == (200, "pro <entitlements of 'pro'>")
    assert site.asked("GET", "/awaited", "pro") == (200, "pro pro")
    assert site.asked("GET", "/nobody", "pro") == (200, "<entitlements>")


def test_what_looks_for_attributes_of_python_looks_for_nobody(site):
    def show(request):
        return HttpResponse(str(hasattr(request.entitlements, "__deepcopy__")))

    site.serve(path("show", show))
    assert site.asked("GET", "/show", None) == (200, "False")


def test_nobody_is_looked_for_until_somebody_asks(site):
    asked = []

    def tenant(request):
        asked.append(request.path)
        return "pro"

    site.serve(path("open", plain()), *VIEWS, TENANT=tenant)
    site.ask("GET", "/open")
    assert asked == []
    site.ask("GET", "/export")
    assert asked == ["/export"]


def test_a_tenant_may_be_waited_for(site):
    async def tenant(request):
        await asyncio.sleep(0)
        return tenant_of(request)

    async def user(request):
        return user_of(request)

    for said in ({"TENANT": tenant}, {"TENANT": tenant, "USER": user}, {"USER": user}, {"USER": user_of}):
        site.serve(*VIEWS, **said)
        for where in WHERE:
            assert site.asked("GET", where, "pro", x_user="ann") == (200, "for pro")
            assert site.asked("GET", where, None) == (401, "tenant.unidentified")


@pytest.mark.parametrize("which", ["TENANT", "USER"])
def test_a_login_in_the_database_is_asked_in_a_thread_where_a_loop_runs(site, which):
    threads = set()

    @async_unsafe
    def in_database(request):
        threads.add(threading.get_ident())
        return "pro"

    async def awaited(request):
        return "pro"

    for other in ({}, {"TENANT": awaited}) if which == "USER" else ({}, {"USER": awaited}):
        site.serve(*VIEWS, **{which: in_database, **other})
        assert site.asked("GET", "/awaited", "pro") == (200, "for pro")
        assert site.asked("GET", "/export", "pro") == (200, "for pro")


def test_a_plain_question_in_a_loop_is_loud_where_it_would_have_to_wait(site, caplog):
    @async_unsafe
    def in_database(request):
        return "pro"

    async def show(request):
        return HttpResponse(current_tenant().tenant)

    async def awaited(request):
        return "pro"

    for tenant in (in_database, awaited):
        site.serve(path("show", show), TENANT=tenant)
        assert site.ask("GET", "/show").status_code == 500


def test_what_is_near_is_answered_in_the_loop_itself(wsgi_site, monkeypatch):
    """No thread: a hit costs a coroutine what it costs a plain view."""
    site = wsgi_site.serve(*VIEWS, ROUTES={"/": "crm"})
    site.inside.client.tenant("pro")

    def no_thread(*_, **__):
        raise AssertionError("a thread")

    async def in_loop():
        client = AsyncClient()
        await client.get("/awaited", headers={"x-tenant": "pro"})  # Django's own signals have threads
        request_of = AsyncRequestFactory().get("/awaited", headers={"x-tenant": "pro"})
        monkeypatch.setattr("asgiref.sync.SyncToAsync.__call__", no_thread)
        monkeypatch.setattr("asyncio.to_thread", no_thread)
        return await client.handler.get_response_async(request_of)

    assert asyncio.run(in_loop()).content == b"for pro"


def test_flags_limits_and_quotas(site):
    @require_flag("new-ui")
    @require_module("crm")
    def new(request):
        return HttpResponse("new")

    @rate_limit("api")
    def limited(request):
        return HttpResponse("counted")

    @rate_limit("api")
    async def limited_awaited(request):
        return HttpResponse("counted")

    @consume_quota("crm.mails", operation="mail:{number}")
    def mail(request, number):
        if number == "13":
            raise ValueError(number)
        return HttpResponse("sent")

    site.serve(
        path("new", new), path("limited", limited), path("awaited", limited_awaited), path("mail/<str:number>", mail)
    )
    assert site.asked("GET", "/new", "pro") == (200, "new")
    assert site.asked("GET", "/new", "free") == (403, "flag.rollout_excluded")
    response = site.ask("GET", "/limited", "pro")
    assert response.headers["ratelimit-policy"] == '"api";q=2;w=60'
    assert response.headers["ratelimit"].startswith('"api";r=1;t=')
    assert site.ask("GET", "/awaited", "pro").headers["ratelimit"].startswith('"api";r=0;t=')
    refused = site.ask("GET", "/awaited", "pro")
    assert (refused.status_code, refused.json()["reason"]) == (429, "rate.limited")
    assert int(refused.headers["retry-after"]) > 0
    assert refused.headers["ratelimit"].count("api") == 1
    assert [site.ask("POST", f"/mail/{n}").status_code for n in (1, 2, 2, 13, 3, 4)] == [200, 200, 200, 500, 200, 402]


def test_a_refusal_waits_for_the_limits_before_it_too(site):
    @rate_limit("api", cost=2)
    def full(request):
        return HttpResponse("counted")

    @rate_limit("login", cost=2)
    @rate_limit("api")
    def limited(request):
        return HttpResponse("counted")

    site.serve(path("full", full), path("limited", limited), PROXIES=0)
    assert site.ask("GET", "/full").status_code == 200
    refused = site.ask("GET", "/limited")
    assert refused.json()["violated-policies"] == ["api"]
    assert refused.headers["retry-after"] == "60"


def test_fields_that_the_host_has_set_stay(site):
    @rate_limit("api")
    def limited(request):
        return HttpResponse("counted", headers={"RateLimit-Policy": "of the host"})

    site.serve(path("limited", limited))
    response = site.ask("GET", "/limited")
    assert response.headers["ratelimit-policy"] == "of the host"
    assert response.headers["ratelimit"].startswith('"api";r=1')


def test_limits_by_address_and_by_user(site):
    @rate_limit("login")
    def login(request):
        return HttpResponse("counted")

    @rate_limit("clicks")
    def click(request):
        return HttpResponse("counted")

    site.serve(path("login", login), path("click", click), PROXIES=1, USER=user_of)
    for address, expected in (("192.0.2.1", 200), ("192.0.2.1", 200), ("192.0.2.1", 429), ("192.0.2.2", 200)):
        assert site.ask("GET", "/login", x_forwarded_for=f"10.0.0.1, {address}").status_code == expected
    assert [site.ask("GET", "/click", x_user=user).status_code for user in "aaab"] == [200, 200, 429, 200]


def test_what_a_template_or_another_middleware_refuses_is_answered(site):
    def rendered(request):
        return TemplateResponse(request, _Refusing())

    def streamed(request):
        return StreamingHttpResponse(_rows())

    site.serve(
        path("rendered", rendered),
        path("streamed", streamed),
        path("inner", plain()),
        path("outer", plain()),
        middleware=[OURS, f"{__name__}.refusing_middleware"],
    )
    assert site.asked("GET", "/rendered") == (402, "plan.feature_absent")
    assert site.asked("GET", "/streamed") == (402, "plan.feature_absent")
    assert site.asked("GET", "/streamed", "pro") == (200, "1\n")
    assert site.asked("GET", "/inner") == (402, "plan.feature_absent")
    assert site.asked("GET", "/inner", "pro") == (200, "in")


class _Refusing:
    def render(self, context, request):
        current_tenant().require("crm.export")
        return "rendered"


@require_feature("crm.export")
def _rows():
    yield "1\n"


def refusing_middleware(get_response):
    def middle(request):
        if request.path == "/inner":
            current_tenant().require("crm.export")
        return get_response(request)

    return middle


@async_only_middleware
def refusing_awaited(get_response):
    async def middle(request):
        (await request.entitlements).require("crm.export")
        return await get_response(request)

    return middle


def test_a_site_may_change_its_settings_in_a_test(site):
    site.serve(*VIEWS)
    assert site.asked("GET", "/export", "free")[0] == 402
    with override_settings(PAYAID={"CLIENT": site.inside.client, "TENANT": lambda request: "pro"}):
        assert site.asked("GET", "/export", "free") == (200, "for pro")


def test_what_is_wrong_in_the_host_is_a_500(site):
    def broken(request):
        raise ZeroDivisionError

    def unknown(request):
        current_tenant().value("crm.nothing", int)

    site.serve(path("broken", broken), path("unknown", unknown))
    assert site.ask("GET", "/broken").status_code == 500
    assert site.ask("GET", "/unknown").status_code == 500


def test_a_handler_that_propagates_is_answered_too(site):
    """Under ``DEBUG_PROPAGATE_EXCEPTIONS`` what a middleware raises comes through."""
    for name in ("refusing_middleware", "refusing_awaited"):
        site.serve(path("inner", plain()), middleware=[OURS, f"{__name__}.{name}"], set_DEBUG_PROPAGATE_EXCEPTIONS=True)
        assert site.asked("GET", "/inner") == (402, "plan.feature_absent")


def test_another_tenant_is_refused_without_what_it_could_buy(site):
    def other(request):
        site.inside.client.require("late-comer", "crm.export")

    def other_of_two(request):
        assert request.entitlements.tenant == "free"
        site.inside.client.require("late-comer", "crm.export")

    async def other_awaited(request):
        await asyncio.to_thread(site.inside.client.require, "late-comer", "crm.export")

    site.serve(path("other", other), path("two", other_of_two), path("awaited", other_awaited))
    assert [each["plan"] for each in site.ask("GET", "/other").json()["remedies"]] == ["pro", "big"]
    assert site.ask("GET", "/two").json()["remedies"] == []
    assert site.ask("GET", "/awaited").status_code == 402


def test_a_tenancy_says_whose_request_it_is(site):
    from payaid_entitlements.web.tenancy import Tenancy, by

    site.serve(*VIEWS, TENANT=Tenancy(by(tenant_of)))
    assert site.asked("GET", "/export", "pro") == (200, "for pro")
    assert site.asked("GET", "/awaited", "pro") == (200, "for pro")
    site.serve(*VIEWS, TENANT=Tenancy(by(tenant_of), by(user_of, name="other")))
    assert site.asked("GET", "/export", "pro", x_user="free") == (403, "tenant.conflict")
    assert site.asked("GET", "/awaited", "pro", x_user="free") == (403, "tenant.conflict")


def test_the_answer_is_in_the_language_that_is_active(site, monkeypatch):
    heard = []
    from payaid_entitlements.web.answers import Answers

    say = Answers.say

    def listen(self, error, **more):
        heard.append((more["language"], more["accept"]))
        return say(self, error, **more)

    monkeypatch.setattr(Answers, "say", listen)
    site.serve(
        *VIEWS, middleware=["django.middleware.locale.LocaleMiddleware", OURS], set_LANGUAGES=[("en", "E"), ("de", "D")]
    )
    site.ask("GET", "/export", accept_language="de-CH, en;q=0.5", accept="application/json")
    assert heard == [("de", "application/json")]


def test_another_middleware_of_another_colour_does_no_harm(site):
    site.serve(*VIEWS, middleware=[f"{__name__}.plain_middleware", OURS, f"{__name__}.plain_middleware"])
    for where in ("/export", "/awaited"):
        assert site.asked("GET", where, "pro") == (200, "for pro")
        assert site.asked("GET", where, "free") == (402, "plan.feature_absent")


def plain_middleware(get_response):
    def middle(request):
        return get_response(request)

    return middle


def test_what_comes_out_of_a_request_is_bound_no_more(wsgi_site):
    wsgi_site.serve(*VIEWS)
    middleware = EntitlementsMiddleware(lambda request: (_ for _ in ()).throw(KeyError("broken")))
    with pytest.raises(KeyError):
        middleware(RequestFactory().get("/"))
    with pytest.raises(NoCurrentTenant):
        current_tenant()


def test_requests_at_once_do_not_see_each_other(wsgi_site):
    """Many coroutines in one loop, each with a tenant of its own."""
    wsgi_site.serve(*VIEWS)

    async def all_of_them():
        client = AsyncClient()
        tenants = ["pro", "big", "trial"] * 10
        found = await asyncio.gather(*(client.get("/awaited", headers={"x-tenant": each}) for each in tenants))
        assert [each.content.decode() for each in found] == [f"for {each}" for each in tenants]

    asyncio.run(all_of_them())


def test_a_browser_gets_a_page_and_the_project_may_have_its_own(site, tmp_path):
    (tmp_path / "payaid" / "refused").mkdir(parents=True)
    (tmp_path / "payaid" / "refused.html").write_text("<h1>{{ page.title }}</h1>")
    (tmp_path / "payaid" / "refused" / "plan.html").write_text("<p>{{ page.status }} {{ page.feature }}</p>")
    site.serve(*VIEWS)
    assert "<html" in site.asked("GET", "/export", accept="text/html")[1]
    engine = {"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [tmp_path]}
    site.serve(*VIEWS, set_TEMPLATES=[engine])
    assert site.asked("GET", "/export", accept="text/html") == (402, "<p>402 crm.export</p>")
    assert site.asked("GET", "/awaited", "suspended", accept="text/html")[1].startswith("<h1>")
    assert site.asked("GET", "/awaited", accept="application/json") == (402, "plan.feature_absent")


def test_a_stream_that_is_refused_has_not_begun(inside):
    @require_feature("crm.export")
    async def rows(count):
        for number in range(count):
            yield f"{number};"

    async def unguarded():
        yield "open"

    async def stream(request, count):
        return StreamingHttpResponse(rows(count))

    async def plain_stream(request):
        return StreamingHttpResponse(["a", "b"]) if request.GET else StreamingHttpResponse(unguarded())

    async def asked(where, tenant):
        response = await AsyncClient(raise_request_exception=False).get(where, headers={"x-tenant": tenant})
        if not response.streaming:
            return response.status_code, response.json()["reason"]
        pieces = [piece async for piece in response] if response.is_async else list(response)
        return response.status_code, b"".join(pieces).decode()

    async def all_of_them():
        assert await asked("/stream/3", "pro") == (200, "0;1;2;")
        assert await asked("/stream/0", "pro") == (200, "")
        assert await asked("/stream/3", "free") == (402, "plan.feature_absent")
        assert await asked("/plain", "free") == (200, "open")
        assert await asked("/plain?a=b", "free") == (200, "ab")

    with ExitStack() as stack:
        site = Site(inside, "asgi", stack)
        site.serve(path("stream/<int:count>", stream), path("plain", plain_stream))
        asyncio.run(all_of_them())


def test_a_stream_that_is_broken_off_sees_the_tenant_at_its_end(inside):
    """There it gives back what it has taken, and has to know whose that is."""
    ends = []

    def plain_stream(request):
        def pieces():
            try:
                yield "1"
                yield "2"
            finally:
                ends.append(current_tenant().tenant)

        return StreamingHttpResponse(pieces())

    async def stream(request):
        async def pieces():
            try:
                yield "1"
                yield "2"
            finally:
                await asyncio.sleep(0)
                ends.append((await current_tenant_async()).tenant)

        return StreamingHttpResponse(pieces())

    @require_module("crm")
    async def rows(end):
        try:
            yield "1"
            yield "2"
        finally:
            end()

    async def guarded(request):
        return StreamingHttpResponse(rows(lambda: ends.append(current_tenant().tenant)))

    async def break_off(where):
        heard: asyncio.Queue = asyncio.Queue()
        heard.put_nowait({"type": "http.request"})

        async def send(message):
            if message.get("body"):
                heard.put_nowait({"type": "http.disconnect"})
                await asyncio.Event().wait()

        scope = {"type": "http", "method": "GET", "path": where, "query_string": b""}
        await ASGIHandler()(scope | {"headers": [(b"x-tenant", b"pro"), (b"host", b"testserver")]}, heard.get, send)

    async def break_off_all():
        for count, where in enumerate(("/stream", "/guarded"), 2):
            await break_off(where)
            while len(ends) < count:
                gc.collect()
                await asyncio.sleep(0)

    with ExitStack() as stack:
        Site(inside, "asgi", stack).serve(path("plain", plain_stream), path("stream", stream), path("guarded", guarded))
        asked = RequestFactory().get("/plain", headers={"x-tenant": "pro"})
        response = WSGIHandler().get_response(asked)
        assert next(iter(response)) == b"1"
        response.close()
        assert ends == ["pro"]
        asyncio.run(asyncio.wait_for(break_off_all(), 10))
    assert ends == ["pro", "pro", "pro"]


def test_a_stream_sees_the_tenant_to_its_end(site):
    """Whatever is bound where it is read; and nothing stays bound there."""
    client = site.inside.client

    def rows():
        for _ in range(2):
            yield current_tenant().tenant

    async def awaited_rows():
        for _ in range(2):
            yield current_tenant().tenant

    @require_module("crm")
    def plain_stream(request):
        return StreamingHttpResponse(rows())

    async def stream(request):
        await request.entitlements
        return StreamingHttpResponse(awaited_rows())

    def read(where):
        with client.bind("somebody"):
            response = site.ask("GET", where, "pro")
            pieces = b"".join(response) if not response.is_async else asyncio.run(joined(response))
            assert current_tenant().tenant == "somebody"
        return pieces

    async def joined(response):
        return b"".join([piece async for piece in response])

    site.serve(path("plain", plain_stream), path("stream", stream))
    assert read("/plain") == b"propro"
    if site.colour == "asgi":
        assert read("/stream") == b"propro"


def test_a_file_is_left_to_the_server(wsgi_site, tmp_path):
    """Which may send it by itself, as long as nobody has wrapped it."""
    (tmp_path / "file").write_bytes(b"content")
    wsgi_site.serve()
    with (tmp_path / "file").open("rb") as opened:
        response = EntitlementsMiddleware(lambda request: FileResponse(opened))(RequestFactory().get("/file"))
        assert response.file_to_stream is opened
        assert b"".join(response) == b"content"


def test_without_the_app_the_middleware_does_not_start(site):
    """`manage.py check` would find no mistake, since nothing of ours would look."""
    site.serve(*VIEWS)
    installed = [each for each in settings.INSTALLED_APPS if not each.startswith("payaid")]
    with (
        override_settings(INSTALLED_APPS=installed),
        pytest.raises(ImproperlyConfigured, match="INSTALLED_APPS"),
    ):
        EntitlementsMiddleware(lambda request: None)
