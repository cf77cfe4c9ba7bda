"""
The same six routes by each framework, as its own users write them; what they do is written once.

Each of `APPS` takes a client and gives an app of ASGI or WSGI. ``X-Tenant`` stands in for a login.
"""

# Without `from __future__ import annotations`: FastAPI evaluates annotations, and those below name local values.

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from payaid_entitlements import Entitlements, current_tenant, rate_limit, require_feature, require_module
from payaid_entitlements.binding import current_binding
from payaid_entitlements.web.request import EnvironRequest, Incoming, ScopeRequest
from payaid_entitlements.web.taking import operation_of, take

#: A status, and what goes over the wire as JSON.
Said = tuple[int, object]


def health() -> Said:
    """Open on purpose."""
    return 200, "ok"


@require_module("crm")
def contacts() -> Said:
    """Behind a module."""
    return 200, [current_tenant().tenant]


@require_module("crm")
def contact(number: str) -> Said:
    """There are two."""
    return (200, f"contact {number}") if number in ("1", "2") else (404, "no such contact")


@rate_limit("export")
@require_feature("crm.export")
def export() -> Said:
    """Behind a limit and a feature."""
    return 200, "name"


@require_module("hr")
def hire(body: bytes) -> Said:
    """What is sent is looked at by the host."""
    try:
        sent = json.loads(body)
    except ValueError:
        return 422, "no JSON"
    if not isinstance(sent, dict) or set(sent) != {"name"} or not isinstance(sent["name"], str):
        return 422, "send a name"
    return (201, sent["name"]) if 0 < len(sent["name"]) <= 40 else (422, "a name has 1 to 40 characters")


def print_page(incoming: Incoming) -> Said:
    """Uses up a page, once for each key."""
    taken = take(current_binding(), {"crm.pages": 1}, operation_of(incoming))
    return 201, "again" if taken.is_repeated else "printed"


def routed(incoming: Incoming, path: str, body: bytes) -> Said:
    """For those that have no router."""
    match incoming.method, path.strip("/").split("/"):
        case "GET", ["health"]:
            return health()
        case "GET", ["contacts"]:
            return contacts()
        case "GET", ["contacts", number]:
            return contact(number)
        case "GET", ["export"]:
            return export()
        case "POST", ["people"]:
            return hire(body)
        case "POST", ["pages"]:
            return print_page(incoming)
    return 404, "nothing here"


def fastapi(ent: Entitlements) -> Any:
    """FastAPI, by a gate."""
    from typing import Annotated

    from fastapi import Depends, FastAPI, Header, Request
    from fastapi.responses import JSONResponse

    from payaid_entitlements.web import exempt
    from payaid_entitlements.web.fastapi import Gate

    async def login(x_tenant: Annotated[str | None, Header()] = None) -> str | None:
        return x_tenant

    async def sent(request: Request) -> bytes:
        return await request.body()

    def answered(said: Said) -> JSONResponse:
        return JSONResponse(said[1], said[0])

    gate = Gate(ent, tenant=login)
    bound = [gate.tenant]
    app = FastAPI()
    app.get("/health")(exempt(lambda: answered(health())))
    app.get("/contacts", dependencies=[gate.require_module("crm")])(lambda: answered(contacts()))

    @app.get("/contacts/{number}", dependencies=[gate.require_module("crm")])
    def one(number: str) -> JSONResponse:
        return answered(contact(number))

    app.get("/export", dependencies=bound)(lambda: answered(export()))

    @app.post("/people", dependencies=bound)
    def people(body: Annotated[bytes, Depends(sent)]) -> JSONResponse:
        return answered(hire(body))

    @app.post("/pages", dependencies=[gate.consume_quota("crm.pages", operation=None)])
    def pages() -> JSONResponse:
        return JSONResponse("printed", 201)

    gate.init_app(app)
    return app


def asgi(ent: Entitlements) -> Any:
    """ASGI without a framework."""
    from payaid_entitlements.web.asgi import EntitlementsMiddleware

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for word in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{word}.complete"})
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        status, data = await asyncio.to_thread(routed, ScopeRequest(scope), scope["path"], body)
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(data).encode()})

    return EntitlementsMiddleware(app, ent, tenant=lambda scope: _first(ScopeRequest(scope)))


def starlette(ent: Entitlements) -> Any:
    """Starlette, by a gate."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    from payaid_entitlements.web import exempt
    from payaid_entitlements.web.starlette import Gate

    async def answer(request: Request, act: Callable[..., Said], *given: object) -> JSONResponse:
        status, data = await asyncio.to_thread(act, *given)
        return JSONResponse(data, status)

    async def one(request: Request) -> JSONResponse:
        return await answer(request, contact, request.path_params["number"])

    async def all_of_it(request: Request) -> JSONResponse:
        return await answer(request, contacts)

    async def exported(request: Request) -> JSONResponse:
        return await answer(request, export)

    async def people(request: Request) -> JSONResponse:
        return await answer(request, hire, await request.body())

    async def pages(request: Request) -> JSONResponse:
        return JSONResponse("again" if gate.usage(request, "crm.pages").replayed else "printed", 201)

    gate = Gate(ent, tenant=lambda connection: connection.headers.get("x-tenant"))
    held = [gate.require_module("crm")]

    routes = [
        Route("/health", exempt(lambda request: JSONResponse("ok"))),
        Route("/contacts", all_of_it, middleware=held),
        Route("/contacts/{number}", one, middleware=held),
        Route("/export", exported),
        Route("/people", people, methods=["POST"]),
        Route("/pages", pages, methods=["POST"], middleware=[gate.consume_quota("crm.pages")]),
    ]
    app = Starlette(routes=routes)
    gate.init_app(app)
    return app


def wsgi(ent: Entitlements) -> Any:
    """WSGI without a framework."""
    from payaid_entitlements.web.wsgi import EntitlementsMiddleware

    def app(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, data = routed(EnvironRequest(environ), environ["PATH_INFO"], body)
        start_response(f"{status} As Said", [("Content-Type", "application/json")])
        return [json.dumps(data).encode()]

    return EntitlementsMiddleware(app, ent, tenant=lambda environ: _first(EnvironRequest(environ)))


def flask(ent: Entitlements) -> Any:
    """Flask, by a gate."""
    from flask import Flask, jsonify, request

    from payaid_entitlements.web.flask import Gate

    app = Flask(__name__)
    gate = Gate(ent, tenant=lambda: request.headers.get("X-Tenant"))

    def answered(said: Said) -> Any:
        return jsonify(said[1]), said[0]

    app.get("/health", endpoint="health")(lambda: answered(health()))
    app.get("/contacts", endpoint="contacts")(lambda: answered(contacts()))
    app.get("/contacts/<number>", endpoint="contact")(lambda number: answered(contact(number)))
    app.get("/export", endpoint="export")(lambda: answered(export()))
    app.post("/people", endpoint="people")(lambda: answered(hire(request.get_data())))
    app.post("/pages", endpoint="pages")(lambda: answered(print_page(EnvironRequest(request.environ))))
    gate.init_app(app)
    return app


def django(ent: Entitlements) -> Any:
    """Django, by the middleware, as an app of WSGI; inside `of_django`."""
    from django.core.handlers.wsgi import WSGIHandler

    return WSGIHandler()


def of_django(ent: Entitlements) -> Any:
    """The settings under which `django` answers."""
    from tests.project import begun

    begun()
    from django.http import HttpRequest, JsonResponse
    from django.test import override_settings
    from django.urls import path
    from django.views.decorators.http import require_GET, require_POST

    def answered(said: Said) -> JsonResponse:
        return JsonResponse(said[1], status=said[0], safe=False)

    def one(request: HttpRequest, number: str) -> JsonResponse:
        return answered(contact(number))

    def pages(request: HttpRequest) -> JsonResponse:
        return answered(print_page(EnvironRequest(request.META)))

    urls = (
        path("health", require_GET(lambda request: answered(health()))),
        path("contacts", require_GET(lambda request: answered(contacts()))),
        path("contacts/<str:number>", require_GET(one)),
        path("export", require_GET(lambda request: answered(export()))),
        path("people", require_POST(lambda request: answered(hire(request.body)))),
        path("pages", require_POST(pages)),
    )
    return override_settings(
        PAYAID={"CLIENT": ent, "TENANT": lambda request: request.headers.get("X-Tenant")},
        ROOT_URLCONF=urls,
        MIDDLEWARE=["payaid_entitlements.web.django.EntitlementsMiddleware"],
        ALLOWED_HOSTS=["*"],
        APPEND_SLASH=False,
    )


def _first(incoming: Incoming) -> str | None:
    values = incoming.header("x-tenant")
    return values[0] if values else None


APPS: Final[Mapping[str, Callable[[Entitlements], Any]]] = {
    "fastapi": fastapi,
    "asgi": asgi,
    "starlette": starlette,
    "wsgi": wsgi,
    "flask": flask,
    "django": django,
}
