"""An app behind a table of routes, for servers that are tried with requests written in odd ways."""

from __future__ import annotations

from typing import Any

from payaid_entitlements import Entitlements
from payaid_entitlements.web import exempt
from payaid_entitlements.web.asgi import EntitlementsMiddleware
from payaid_entitlements.web.routing import Routes
from tests.web.conftest import CATALOG


async def reached(scope: Any, receive: Any, send: Any) -> None:
    """Answers whatever gets here."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"reached {scope['path']}".encode()})


app = EntitlementsMiddleware(
    reached,
    Entitlements.open("memory://", catalog=CATALOG),
    tenant=lambda scope: "free",
    routes=Routes({"/hr/*": "hr", "/inner/*": "hr", "/open": exempt, "/static/*": exempt}),
)
