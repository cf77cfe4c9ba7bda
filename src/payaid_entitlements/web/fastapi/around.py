"""
What is done around each request of an app: what was bound is put back, how rate limits stand goes into the fields of
its response, whether it was let through or not, and what it has used up is given back where it failed.

A middleware, since a route may return a response of its own, to which FastAPI adds nothing; one for all of it, since
each costs every request.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from payaid_entitlements.binding import CURRENT
from payaid_entitlements.limiting.outcome import RateLimitOutcome
from payaid_entitlements.web.fastapi.consuming import TAKINGS
from payaid_entitlements.web.fastapi.truth import OUTCOMES
from payaid_entitlements.web.rate_fields import fields_beside
from payaid_entitlements.web.settling import settled
from payaid_entitlements.web.taking import Takings


@dataclass(frozen=True, slots=True)
class Work:
    """
    What there is to do for an app.

    Attributes:
        tells: Some request may be counted on a rate limit.
        settles: Some request may use something up.
        legacy: ``X-RateLimit-*`` too.
    """

    tells: bool
    settles: bool
    legacy: bool


class Around:
    """Stands around all else in an app, also around the apps that are mounted in it."""

    def __init__(self, app: ASGIApp, *, work: Work) -> None:
        self.app = self._inner = app
        self._legacy = work.legacy
        if work.settles:
            self._inner = self._settled
        if work.tells:
            self._told, self._inner = self._inner, self._telling

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and put back what was bound before."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        token = CURRENT.set(CURRENT.get())
        try:
            await self._inner(scope, receive, send)
        finally:
            CURRENT.reset(token)

    async def _telling(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Here, and not where the first is noted: what is further inside may have a copy of the scope.
        outcomes: list[RateLimitOutcome] = scope.setdefault(OUTCOMES, [])

        async def tell(message: Message) -> None:
            if outcomes and message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(fields_beside(headers, outcomes, legacy=self._legacy))
            await send(message)

        await self._told(scope, receive, tell)

    async def _settled(self, scope: Scope, receive: Receive, send: Send) -> None:
        await settled(self.app, scope, receive, send, scope.setdefault(TAKINGS, Takings()))


def note(connection: HTTPConnection, outcome: RateLimitOutcome) -> None:
    """Remember what a limit said to this request."""
    connection.scope.setdefault(OUTCOMES, []).append(outcome)


def stand_around(app: Starlette, work: Work) -> None:
    """Put `Around` outermost in *app*, or let the one that is there do *work*. Repeating it is harmless."""
    ours: object = Around
    there = app.user_middleware
    if there and there[0].cls is ours and there[0].kwargs == {"work": work}:
        return
    there[:] = [Middleware(Around, work=work), *(each for each in there if each.cls is not ours)]
    # An app that has started keeps its middleware of that time; it makes it anew for its next request.
    app.middleware_stack = None
