"""The look over an app's own routes when it starts: what a table does not know would be a 404 for everybody."""

from __future__ import annotations

import sys

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.web.asgi.exchange import App, Receive, Scope, Send
from payaid_entitlements.web.routing import Routes


async def require_mapped(app: App, routes: Routes, scope: Scope, receive: Receive, send: Send) -> None:
    """
    Hand the lifespan on to *app*, unless it has routes that *routes* does not know: then the start fails.

    Raises:
        ConfigurationError: It has. The server was told before: some take an error alone for an app without lifespan.
    """
    mistakes = _unmapped(app, routes)
    if mistakes:
        message = "\n  ".join(("these routes are in no line of the table of routes; map them, or exempt:", *mistakes))
        await receive()
        await send({"type": "lifespan.startup.failed", "message": message})
        raise ConfigurationError(message)
    await app(scope, receive, send)


def _unmapped(app: App, routes: Routes) -> list[str]:
    # Whoever has made an app of it has imported it: we need not.
    if "starlette.applications" not in sys.modules:
        return []
    from payaid_entitlements.web.starlette.mapping import unmapped_routes

    return unmapped_routes(app, routes)
