"""
One app of each framework, the smallest that raises what it is told to: all must say the same, byte for byte.

An adapter is a function that takes a client and an `Endpoint` and gives a way to ask the app. The app finds the tenant
in the field ``X-Tenant``, which stands in for a login, and calls the endpoint with the path of the request.
"""

# Without `from __future__ import annotations`: FastAPI evaluates annotations, and those below name local values.

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias

from payaid_entitlements import Entitlements, current_tenant
from payaid_entitlements.binding import CURRENT
from payaid_entitlements.errors import EntitlementError


@dataclass(frozen=True, slots=True)
class Answer:
    """What came over the wire: fields as pairs, lower-case, since one that stands twice must be seen."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


#: Raises what is to be answered for a path.
Endpoint: TypeAlias = Callable[[str], object]
#: Sends GET for a path with fields.
Ask: TypeAlias = Callable[[str, Mapping[str, str]], Answer]
Adapter: TypeAlias = Callable[[Entitlements, Endpoint], AbstractContextManager[Ask]]


@contextmanager
def fastapi(ent: Entitlements, endpoint: Endpoint) -> Iterator[Ask]:
    """FastAPI, by a gate."""
    from fastapi import FastAPI, Header
    from fastapi.testclient import TestClient

    from payaid_entitlements.web.fastapi import Gate

    def login(x_tenant: Annotated[str, Header()]) -> str:
        return x_tenant

    gate = Gate(ent, tenant=login)
    app = FastAPI()

    @app.get("/{path:path}", dependencies=[gate.tenant])
    async def raising(path: str) -> None:
        endpoint(path)

    gate.init_app(app)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield lambda path, fields: _answer(client.get(f"/{path}", headers=dict(fields)))


@contextmanager
def asgi(ent: Entitlements, endpoint: Endpoint) -> Iterator[Ask]:
    """ASGI without a framework, by the middleware."""
    from payaid_entitlements.web.asgi import EntitlementsMiddleware

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await CURRENT.get().found_async()
        endpoint(scope["path"][1:])

    def login(scope: Any) -> str:
        return dict(scope["headers"])[b"x-tenant"].decode()

    yield _over_asgi(EntitlementsMiddleware(app, ent, tenant=login))


@contextmanager
def starlette(ent: Entitlements, endpoint: Endpoint) -> Iterator[Ask]:
    """Starlette, by a gate."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.routing import Route

    from payaid_entitlements.web.starlette import Gate

    gate = Gate(ent, tenant=lambda connection: connection.headers["x-tenant"])

    async def raising(request: Request) -> None:
        await gate.tenant(request)
        endpoint(request.path_params["path"])

    app = Starlette(routes=[Route("/{path:path}", raising)])
    gate.init_app(app)
    yield _over_asgi(app)


@contextmanager
def wsgi(ent: Entitlements, endpoint: Endpoint) -> Iterator[Ask]:
    """WSGI without a framework, by the middleware."""
    from payaid_entitlements.web.wsgi import EntitlementsMiddleware

    def app(environ: Any, start_response: Any) -> Any:
        current_tenant()
        endpoint(environ["PATH_INFO"][1:])
        start_response("204 No Content", [])
        return []

    yield _over_wsgi(EntitlementsMiddleware(app, ent, tenant=lambda environ: environ["HTTP_X_TENANT"]))


@contextmanager
def flask(ent: Entitlements, endpoint: Endpoint) -> Iterator[Ask]:
    """Flask, by a gate."""
    from flask import Flask, request

    from payaid_entitlements.web.flask import Gate

    app = Flask(__name__)
    gate = Gate(ent, tenant=lambda: request.headers["X-Tenant"])

    @app.get("/<path:path>")
    def raising(path: str) -> str:
        gate.tenant()
        endpoint(path)
        return path

    gate.init_app(app)
    yield _over_wsgi(app)


@contextmanager
def django(ent: Entitlements, endpoint: Endpoint) -> Iterator[Ask]:
    """Django behind WSGI, by the middleware."""
    with _site(ent, _django_view(endpoint)):
        from django.test import Client

        client = Client(raise_request_exception=False)
        yield lambda path, fields: _of_django(client.get(f"/{path}", headers=dict(fields)))


@contextmanager
def django_over_asgi(ent: Entitlements, endpoint: Endpoint) -> Iterator[Ask]:
    """Django behind ASGI, by the same middleware."""
    with _site(ent, _django_view(endpoint)):
        from django.test import AsyncClient

        client = AsyncClient(raise_request_exception=False)
        yield lambda path, fields: _of_django(asyncio.run(client.get(f"/{path}", headers=dict(fields))))


@contextmanager
def django_rest_framework(ent: Entitlements, endpoint: Endpoint) -> Iterator[Ask]:
    """A view of Django REST framework, by the same middleware."""
    from tests.project import begun

    begun()
    from rest_framework.views import APIView

    class Raising(APIView):
        def get(self, request: Any, path: str) -> None:
            current_tenant()
            endpoint(path)

    with _site(ent, Raising.as_view()):
        from django.test import Client

        client = Client(raise_request_exception=False)
        yield lambda path, fields: _of_django(client.get(f"/{path}", headers=dict(fields)))


def _django_view(endpoint: Endpoint) -> Callable[..., Any]:
    def raising(request: Any, path: str) -> None:
        current_tenant()
        endpoint(path)

    return raising


@contextmanager
def _site(ent: Entitlements, view: Callable[..., Any]) -> Iterator[None]:
    """A site that chooses the language, as those of several languages do."""
    from tests.project import begun

    begun()
    from django.test import override_settings
    from django.urls import re_path

    middleware = [
        "django.middleware.locale.LocaleMiddleware",
        "payaid_entitlements.web.django.EntitlementsMiddleware",
    ]
    with override_settings(
        PAYAID={"CLIENT": ent, "TENANT": lambda request: request.headers["X-Tenant"]},
        ROOT_URLCONF=(re_path(r"^(?P<path>.*)$", view),),
        MIDDLEWARE=middleware,
        USE_I18N=True,
    ):
        yield


def _of_django(response: Any) -> Answer:
    pairs = tuple((name.lower(), value) for name, value in response.items())
    return Answer(response.status_code, pairs, response.content)


def _over_asgi(app: Any) -> Ask:
    from starlette.testclient import TestClient

    client = TestClient(app, raise_server_exceptions=False)
    return lambda path, fields: _answer(client.get(f"/{path}", headers=dict(fields)))


def _over_wsgi(app: Any) -> Ask:
    from werkzeug.test import Client

    client = Client(app)

    def ask(path: str, fields: Mapping[str, str]) -> Answer:
        try:
            response = client.get(f"/{path}", headers=dict(fields))
        except EntitlementError:
            # A mistake of the host is the server's to answer.
            return Answer(500, (), b"")
        pairs = tuple((name.lower(), value) for name, value in response.headers)
        return Answer(response.status_code, pairs, response.data)

    return ask


def _answer(response: Any) -> Answer:
    """Of a response of httpx."""
    pairs = tuple((name.lower(), value) for name, value in response.headers.multi_items())
    return Answer(response.status_code, pairs, response.content)


#: What is compared; each new adapter is a line.
ADAPTERS: Final[Mapping[str, Adapter]] = {
    "fastapi": fastapi,
    "asgi": asgi,
    "starlette": starlette,
    "wsgi": wsgi,
    "flask": flask,
    "django": django,
    "django over ASGI": django_over_asgi,
    "django REST framework": django_rest_framework,
}
