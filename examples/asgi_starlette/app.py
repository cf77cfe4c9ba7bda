"""
A Starlette app with a login, two modules and a quota; and beside it an app without any framework, behind a table.

    uvicorn app:app --app-dir examples/asgi_starlette

What is sold, and to whom, stands in `catalog.yaml`. `acme` has subscribed to the plan "team", `tiny-shop` has the free
one:

    curl -H "Authorization: Bearer acme-token" localhost:8000/contacts/export
    curl -H "Authorization: Bearer acme-token" -H "Idempotency-Key: 1" -X POST localhost:8000/invoices/
    curl -H "Authorization: Bearer tiny-token" localhost:8000/files/invoices/1.pdf
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from payaid_entitlements import AsyncEntitlements, current_tenant_async, require_feature
from payaid_entitlements.web import exempt
from payaid_entitlements.web.asgi import EntitlementsMiddleware
from payaid_entitlements.web.routing import Routes
from payaid_entitlements.web.starlette import Gate
from payaid_entitlements.web.tenancy import Tenancy, by, user

HERE = Path(__file__).parent

# -- the host's own: a login. NOT A LOGIN: yours looks tokens up, or verifies them -------------------------------------

TOKENS = {"acme-token": "acme", "tiny-token": "tiny-shop"}


class Tokens(AuthenticationBackend):
    """Knows who somebody is by a bearer token."""

    async def authenticate(self, connection: HTTPConnection) -> tuple[AuthCredentials, SimpleUser] | None:
        """Say who it is; None where nobody has logged in."""
        _, _, token = connection.headers.get("authorization", "").partition(" ")
        tenant = TOKENS.get(token)
        return None if tenant is None else (AuthCredentials(["authenticated"]), SimpleUser(tenant))


#: Who asks, for all apps here.
TENANCY = Tenancy(by(user("username")))

# -- the modules -------------------------------------------------------------------------------------------------------


async def contacts(request: Request) -> Response:
    """What the tenant has, and may do."""
    tenant = await current_tenant_async()
    return JSONResponse({"contacts": ["Kaveri Traders"], "can_export": tenant.check("crm.export").allowed})


@require_feature("crm.export")
async def export(request: Request) -> Response:
    """Everything as CSV."""
    return PlainTextResponse("name\nKaveri Traders\n")


async def live(socket: WebSocket) -> None:
    """Tell of changes, as long as somebody listens."""
    await socket.accept()
    await socket.send_json({"contact": "Kaveri Traders"})
    await socket.close()


@exempt
async def health(request: Request) -> Response:
    """Say that the process is up."""
    return JSONResponse({"ok": True})


async def files(scope: MutableMapping[str, Any], receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    """An app without any framework: something that you bought, or a proxy. It knows nothing of plans."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": f"the file of {scope['path']}".encode()})


def create_app(url: str | None = None) -> Starlette:
    """Make the app; *url* says where subscriptions and usage are kept."""
    ent = AsyncEntitlements.open(url or os.environ.get("PAYAID_URL", "memory://"), catalog=HERE / "catalog.yaml")
    gate = Gate(ent, tenant=TENANCY)

    async def create_invoice(request: Request) -> Response:
        """Asked for again with the same Idempotency-Key: it is there already, and was paid for."""
        usage = gate.usage(request, "invoicing.invoices")
        status = 200 if usage.replayed else 201
        return JSONResponse({"used": str(usage.used), "left": str(usage.remaining)}, status)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with ent:
            await ent.admin("example").subscribe("acme", "team", operation="the example's customer")
            yield

    app = Starlette(
        lifespan=lifespan,
        middleware=[Middleware(AuthenticationMiddleware, backend=Tokens())],
        routes=[
            Mount(
                "/contacts",
                routes=[Route("/", contacts), Route("/export", export), WebSocketRoute("/live", live)],
                middleware=[gate.rate_limit("api"), gate.require_module("crm")],
            ),
            Route(
                "/invoices/",
                create_invoice,
                methods=["POST"],
                middleware=[gate.require_module("invoicing"), gate.consume_quota("invoicing.invoices")],
            ),
            # It asks a table of its own, below where it is mounted.
            Mount(
                "/files",
                app=exempt(
                    EntitlementsMiddleware(
                        files,
                        ent,
                        tenant=TENANCY,
                        routes=Routes({"/contacts/*": "crm", "/invoices/*": "invoicing", "/logo.png": exempt}),
                    )
                ),
            ),
            Route("/health", health),
        ],
    )
    gate.init_app(app, unguarded="refuse")
    return app


app = create_app()
