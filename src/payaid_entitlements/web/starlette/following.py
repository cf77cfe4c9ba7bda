"""
Guards ask about the request that their endpoint handles: middleware of a mount or a route hands on a copy of it, which
may have another method, as for ``X-HTTP-Method-Override``, and which whoever stands outside does not see.
"""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from payaid_entitlements.binding import CURRENT
from payaid_entitlements.web.asgi.exchange import Exchange
from payaid_entitlements.web.starlette.walking import chain, routes_in


def follow_in_all(app: Starlette) -> None:
    """Let what is bound follow each request into all routes, also of mounted apps. Repeating it is harmless."""
    for route in routes_in(app.routes):
        if isinstance(route, Route):
            _follow_into(route)


def follow(scope: Scope) -> None:
    """Let what is bound be about *scope* from here on."""
    binding = CURRENT.get()
    if isinstance(binding, Exchange):
        binding.scope = scope


class Following:
    """Stands directly around what handles a request, inside of all middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        follow(scope)
        await self.app(scope, receive, send)


def _follow_into(route: Route) -> None:
    around: Any = route
    for each in chain(route.app):
        if isinstance(each, Following):
            return
        if each is route.endpoint or getattr(each, "app", None) is None:
            break
        around = each
    around.app = Following(around.app)
