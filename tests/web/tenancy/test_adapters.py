"""Each request of the table, through each adapter: each hands on all that counts, and answers what comes of it."""

# Without `from __future__ import annotations`: FastAPI evaluates annotations, and those below name local values.

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import pytest

from payaid_entitlements import Entitlements, TenantView, current_tenant
from payaid_entitlements.binding import CURRENT
from payaid_entitlements.testing import sandbox
from tests.web.conftest import CATALOG
from tests.web.tenancy.spoofing import ATTEMPTS, TENANCY, Attempt
from tests.web.tenancy.wire import environ_of, scope_of

#: Gives the status and the body.
Call = Callable[[Attempt], tuple[int, bytes]]


def over_asgi(app: Any) -> Call:
    async def call(attempt: Attempt) -> tuple[int, bytes]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        requests = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> Any:
            # And then nothing: the client waits for its answer.
            return next(requests, None) or await asyncio.Event().wait()

        await app(scope_of(attempt), receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])

    return lambda attempt: asyncio.run(call(attempt))


def over_wsgi(app: Any, *, drops: bool) -> Call:
    def call(attempt: Attempt) -> tuple[int, bytes]:
        begun: list[int] = []
        body = app(environ_of(attempt, drops=drops), lambda status, *_: begun.append(int(status[:3])))
        content = b"".join(body)
        return begun[-1], content

    return call


def fastapi(ent: Entitlements) -> Any:
    from fastapi import FastAPI

    from payaid_entitlements.web.fastapi import Gate

    gate = Gate(ent, tenant=TENANCY)
    app = FastAPI()

    @app.get("/{path:path}")
    async def whose(path: str, view: Annotated[TenantView, gate.tenant]) -> str:
        return view.tenant

    gate.init_app(app)
    return app


def asgi(ent: Entitlements) -> Any:
    from payaid_entitlements.web.asgi import EntitlementsMiddleware

    async def app(scope: Any, receive: Any, send: Any) -> None:
        binding: Any = CURRENT.get()
        view = await binding.found_async()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": view.tenant.encode()})

    return EntitlementsMiddleware(app, ent, tenant=TENANCY)


def wsgi(ent: Entitlements) -> Any:
    from payaid_entitlements.web.wsgi import EntitlementsMiddleware

    def app(environ: Any, start_response: Any) -> list[bytes]:
        body = current_tenant().tenant.encode()
        start_response("200 OK", [])
        return [body]

    return EntitlementsMiddleware(app, ent, tenant=TENANCY)


def flask(ent: Entitlements) -> Any:
    from flask import Flask

    from payaid_entitlements.web.flask import Gate

    app = Flask(__name__)
    gate = Gate(ent, tenant=TENANCY)

    @app.get("/")
    @app.get("/<path:path>")
    def whose(path: str = "") -> str:
        return gate.tenant().tenant

    gate.init_app(app)
    return app


@contextmanager
def django(ent: Entitlements, handler: str) -> Iterator[Any]:
    from tests.project import begun

    begun()
    from django.core import asgi as for_asgi
    from django.core import wsgi as for_wsgi
    from django.http import HttpRequest, HttpResponse
    from django.test import override_settings
    from django.urls import re_path

    def whose(request: HttpRequest) -> HttpResponse:
        return HttpResponse(current_tenant().tenant)

    with override_settings(
        PAYAID={"CLIENT": ent, "TENANT": TENANCY},
        ROOT_URLCONF=(re_path(r"", whose),),
        MIDDLEWARE=["payaid_entitlements.web.django.EntitlementsMiddleware"],
        ALLOWED_HOSTS=["*"],
    ):
        yield for_asgi.get_asgi_application() if handler == "asgi" else for_wsgi.get_wsgi_application()


def wrong(call: Call, kind: str) -> dict[str, object]:
    """What was answered otherwise than the table says, by the name of the attempt."""
    found: dict[str, object] = {}
    for attempt in ATTEMPTS:
        expected = attempt.outcome(kind)
        status, body = call(attempt)
        said = body.decode().strip('"\n') if status == 200 else str(status)
        if said != expected:
            found[attempt.name] = said
    return found


@pytest.fixture
def ent() -> Iterator[Entitlements]:
    client = Entitlements.open("memory://", catalog=CATALOG)
    with sandbox(client):
        yield client


@pytest.mark.parametrize("make", [fastapi, asgi])
def test_over_asgi(ent: Entitlements, make: Callable[[Entitlements], Any]) -> None:
    assert wrong(over_asgi(make(ent)), "asgi") == {}


@pytest.mark.parametrize("make", [flask, wsgi])
@pytest.mark.parametrize("kind", ["dropping", "joining"])
def test_over_wsgi(ent: Entitlements, make: Callable[[Entitlements], Any], kind: str) -> None:
    assert wrong(over_wsgi(make(ent), drops=kind == "dropping"), kind) == {}


def test_django_over_wsgi(ent: Entitlements) -> None:
    with django(ent, "wsgi") as app:
        assert wrong(over_wsgi(app, drops=False), "joining") == {}


def test_django_over_asgi(ent: Entitlements) -> None:
    with django(ent, "asgi") as app:
        assert wrong(over_asgi(app), "asgi") == {}


def test_what_nobody_can_ask_for_a_tenant_does_not_start() -> None:
    """A name in place of a function would else be found out by the first request."""
    from payaid_entitlements.errors import ConfigurationError
    from payaid_entitlements.web.asgi import EntitlementsMiddleware as Asgi
    from payaid_entitlements.web.fastapi import Gate as FastAPIGate
    from payaid_entitlements.web.flask import Gate as FlaskGate
    from payaid_entitlements.web.starlette import Gate as StarletteGate
    from payaid_entitlements.web.versions import ApiVersions, Version
    from payaid_entitlements.web.versions.asgi import VersionsMiddleware
    from payaid_entitlements.web.wsgi import EntitlementsMiddleware as Wsgi

    versions = ApiVersions([Version("1")], default="oldest", pinned={}.get)
    wrong: Any = "org_id"
    with Entitlements.open("memory://", catalog=CATALOG) as ent:
        for make in (
            lambda: FastAPIGate(ent, tenant=wrong),
            lambda: FlaskGate(ent, tenant=wrong),
            lambda: StarletteGate(ent, tenant=wrong),
            lambda: Asgi(None, ent, tenant=wrong),
            lambda: Wsgi(None, ent, tenant=wrong),
            lambda: VersionsMiddleware(None, versions, tenant=wrong),
        ):
            with pytest.raises(ConfigurationError, match="tenant='org_id': give a function"):
                make()
