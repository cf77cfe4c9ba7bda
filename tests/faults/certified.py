"""Apps that say whose certificate a request came with, by the middleware: for servers and proxies that end TLS."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from payaid_entitlements import AsyncEntitlements, Catalog, Entitlements, current_tenant, current_tenant_async
from payaid_entitlements.web.asgi import EntitlementsMiddleware as ForASGI
from payaid_entitlements.web.tenancy import Tenancy, mtls, shared_secret
from payaid_entitlements.web.wsgi import EntitlementsMiddleware as ForWSGI

SECRET = "s" * 32
CATALOG = Catalog.load(
    {"catalog": 1, "default_plan": "free", "modules": {"crm": {}}, "plans": {"free": {"modules": ["crm"]}}}
)
#: Where the server itself ends TLS, and where a proxy does.
DIRECT = Tenancy(mtls())
BEHIND = Tenancy(mtls(header="X-Client-Subject", behind=shared_secret("X-Proxy-Secret", SECRET)))

_TENANCY = BEHIND if os.environ.get("APP_BEHIND") else DIRECT


async def _app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = (await current_tenant_async()).tenant.encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})


def _application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = current_tenant().tenant.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


app = ForASGI(_app, AsyncEntitlements.open("memory://", catalog=CATALOG), tenant=_TENANCY)
application = ForWSGI(_application, Entitlements.open("memory://", catalog=CATALOG), tenant=_TENANCY)
