"""
What the middleware and a guard add to a whole request of Django, and django-waffle's flag check beside ours.

Requests go through Django's own handlers with the middleware that ``startproject`` writes, without a network and
without a database: sessions are in signed cookies, and django-waffle's flag is in its cache, which it asks first. One
view answers "ok" and does nothing else: there, what a guard adds is as large a part as can be. The other one is as
small as people have them: who has logged in is in a signed session, a template shows fifty rows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import django
from django.apps import apps
from django.conf import settings
from django.core.cache import cache
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.template import Context, Engine, Template
from django.test import AsyncRequestFactory, RequestFactory, override_settings
from django.urls import path

from benchmarks.limiting import SOLD
from benchmarks.measuring import Timed, measure
from benchmarks.reporting import Row, row_of
from benchmarks.stage import Absent, Benchmark, Stage
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.guards import require_module
from payaid_entitlements.web.django import EntitlementsMiddleware

#: What is promised: of the middleware, over Django's own without it; and of a page with a guard, over one without.
BUDGET: Final = 1.08
#: The same of a view that does nothing, with a guard: some 18 microseconds more than 65, most of them for the view of
#: the tenant. Measured, not promised beforehand: it is not to become worse unseen.
EMPTY_BUDGET: Final = 1.4
#: A whole request in which a view asks a flag of ours, over one in which it asks one of django-waffle.
BESIDE_BUDGET: Final = 1.0
STACK: Final = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
OURS: Final = f"{EntitlementsMiddleware.__module__}.{EntitlementsMiddleware.__qualname__}"
APPS: Final = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "payaid_entitlements.web.django",
]
CATALOG: Final = Catalog.load({**SOLD, "flags": {"new-ui": {"rules": []}}})
TENANT: Final = "acme"
PAGE: Final = Template(
    "<h1>{{ who }}</h1><table>{% for number, title in rows %}<tr><td>{{ number }}</td><td>{{ title }}</td></tr>"
    "{% endfor %}</table>",
    engine=Engine(),
)


def bare(request: HttpRequest) -> HttpResponse:
    """The view."""
    return HttpResponse("ok")


async def bare_awaited(request: HttpRequest) -> HttpResponse:
    """The view, as a coroutine."""
    return HttpResponse("ok")


def page(request: HttpRequest) -> HttpResponse:
    """A view as small as people have them."""
    rows = [(number, f"deal {number}") for number in range(50)]
    return HttpResponse(PAGE.render(Context({"who": request.session.get("who", ""), "rows": rows})))


def ours_asked(request: HttpRequest) -> HttpResponse:
    """A view that asks a flag of ours."""
    return HttpResponse(b"on" if request.entitlements.flag("new-ui") else b"off")  # type: ignore[attr-defined] # of the middleware


def waffle_asked(request: HttpRequest) -> HttpResponse:
    """A view that asks a flag of django-waffle."""
    from waffle import flag_is_active

    return HttpResponse(b"on" if flag_is_active(request, "new-ui") else b"off")


ROUTES: Final = (
    path("bare", bare),
    path("awaited", bare_awaited),
    path("guarded", require_module("crm")(bare)),
    path("guarded-awaited", require_module("crm")(bare_awaited)),
    path("page", page),
    path("guarded-page", require_module("crm")(page)),
    path("ours", ours_asked),
    path("waffle", waffle_asked),
)


def tenant_of(request: HttpRequest) -> str:
    """The login, which costs nothing here."""
    return TENANT


@contextmanager
def _site(*more_apps: str) -> Iterator[None]:
    """A project, also inside of one that runs already: that of the tests."""
    if not settings.configured:
        settings.configure(SECRET_KEY="of a benchmark", ALLOWED_HOSTS=["*"])
    if not apps.ready:
        django.setup()
    with Entitlements.open("memory://", catalog=CATALOG) as ent:
        ent.tenant(TENANT)
        with override_settings(
            DEBUG=False,
            ALLOWED_HOSTS=["*"],
            INSTALLED_APPS=[*APPS, *more_apps],
            ROOT_URLCONF=ROUTES,
            SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
            PAYAID={"CLIENT": ent, "TENANT": tenant_of},
            CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        ):
            yield


def _requests(where: str, *middleware: str) -> Timed:
    """
    Time requests to the view at *where*, one after the other.

    By what the processor has worked in this thread, where all of it happens: a request takes so long that on a busy
    machine something else runs in the middle of many.
    """
    with override_settings(MIDDLEWARE=[*STACK, *middleware]):
        handler = WSGIHandler()
    factory = RequestFactory()
    assert handler.get_response(factory.get(where)).status_code == 200, where

    def timed(times: int) -> float:
        begun = time.thread_time()
        for _ in range(times):
            handler.get_response(factory.get(where))
        return time.thread_time() - begun

    return timed


def _awaited(loop: asyncio.AbstractEventLoop, where: str, *middleware: str) -> Timed:
    """Same as `_requests`, behind the handler for ASGI."""
    with override_settings(MIDDLEWARE=[*STACK, *middleware]):
        handler: Any = ASGIHandler()
    factory = AsyncRequestFactory()

    async def requests(times: int) -> float:
        begun = time.thread_time()
        for _ in range(times):
            await handler.get_response_async(factory.get(where))
        return time.thread_time() - begun

    loop.run_until_complete(requests(1))
    return lambda times: loop.run_until_complete(requests(times))


def whole_request(stage: Stage) -> list[Row]:
    """With ours over without, so 1 is free; behind both handlers."""
    rows = []

    def compare(what: str, ours: Timed, theirs: Timed, budget: float) -> None:
        rows.append(row_of(f"Django, {what}", measure(ours, theirs, stage.effort, stage.tick), budget))

    with _site(), asyncio.Runner() as runner:
        loop = runner.get_loop()
        bare_one, bare_other = _requests("/bare"), _awaited(loop, "/awaited")
        compare("middleware over its own stack, WSGI", _requests("/bare", OURS), bare_one, BUDGET)
        compare("middleware over its own stack, ASGI", _awaited(loop, "/awaited", OURS), bare_other, BUDGET)
        compare(
            "a page with a guard over one without, WSGI", _requests("/guarded-page", OURS), _requests("/page"), BUDGET
        )
        compare("a guard where nothing is done, WSGI", _requests("/guarded", OURS), bare_one, EMPTY_BUDGET)
        compare("the same, ASGI", _awaited(loop, "/guarded-awaited", OURS), bare_other, EMPTY_BUDGET)
    return rows


def beside_waffle(stage: Stage) -> list[Row]:
    """A flag of ours in a view over one of django-waffle, so 1 is as fast; a whole request each."""
    try:
        import waffle
    except ImportError:
        raise Absent("django-waffle is not installed") from None
    with _site("waffle"):
        # Asked of its cache, as it is from the second time on; the rule that costs it least.
        flag = waffle.get_waffle_flag_model()
        cache.set(flag._cache_key("new-ui"), flag(pk=1, name="new-ui", everyone=True))
        ours, theirs = _requests("/ours", OURS), _requests("/waffle", "waffle.middleware.WaffleMiddleware")
        measured = measure(ours, theirs, stage.effort, stage.tick)
    return [row_of("Django, a flag in a view, over django-waffle's", measured, BESIDE_BUDGET)]


BENCHMARKS: Final = (
    Benchmark("web.django", whole_request),
    Benchmark("web.django.waffle", beside_waffle),
)
