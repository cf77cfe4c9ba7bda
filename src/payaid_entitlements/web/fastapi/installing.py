"""
What a gate adds to an app and to all apps that are mounted in it: answers to refusals, and their description.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketState

from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.observing import log
from payaid_entitlements.core.remedies import Remedy
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import EntitlementError, Refused, StoreUnavailable, TenantUnidentified
from payaid_entitlements.view import TenantView
from payaid_entitlements.web.fastapi.describing import describe
from payaid_entitlements.web.fastapi.truth import view_that_refused
from payaid_entitlements.web.fastapi.walking import apps
from payaid_entitlements.web.refusing import Refusal, refusal

#: Close code for what policy forbids, RFC 6455 section 7.4.1.
_POLICY: Final = 1008
#: What clients are told. Everything else is a mistake of the host, and a 500.
_ANSWERED: Final = (Refused, StoreUnavailable, TenantUnidentified)


def install(app: Starlette, ent: AsyncEntitlements | Entitlements, challenge: str) -> None:
    """
    Make *app*, and all apps that are mounted in it, answer refusals. Repeating it is harmless.

    Mounted apps need answers of their own: what they raise is a 500 before an outer app sees it.
    """
    answer = partial(_answer, ent, challenge)
    for inner in apps(app):
        handlers = inner.exception_handlers
        # What the host answers itself is right, also where it answers all errors of the library in one place.
        missing = [kind for kind in _ANSWERED if not {kind, EntitlementError} & handlers.keys()]
        if missing:
            handlers.update(dict.fromkeys(missing, answer))
            # An app that has started keeps the handlers of that time; it makes them anew for its next request.
            inner.middleware_stack = None
        if isinstance(inner, FastAPI):
            describe(inner)


def on_startup(app: Starlette, act: Callable[[], None]) -> None:
    """Let *act* run when *app* starts, before its own start-up."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(started: Any) -> AsyncIterator[Any]:
        act()
        async with inner(started) as state:
            yield state

    app.router.lifespan_context = lifespan


async def _answer(
    ent: AsyncEntitlements | Entitlements, challenge: str, connection: HTTPConnection, error: EntitlementError
) -> Response | None:
    remedies: tuple[Remedy, ...] = ()
    root: Reason | None = None
    if isinstance(error, Refused):
        log.info(
            "refused",
            tenant=error.tenant,
            feature=error.decision.feature,
            reason=error.decision.reason.value,
            reference=error.reference,
        )
        view = await view_that_refused(ent, connection, error.tenant)
        if view is not None:
            remedies, root = view.remedies(error.decision), _root(view, error.decision)
    said = refusal(error, remedies=remedies, root=root, challenge=challenge)
    if isinstance(connection, WebSocket):
        await _close(connection, said)
        return None
    return Response(said.content, said.status, said.headers)


def _root(view: TenantView, decision: Decision) -> Reason:
    """Why what *decision* misses is missing, where it misses something: money does not buy what was switched off."""
    reason = decision.reason
    while reason is Reason.DEPENDENCY_MISSING:
        decision = view.decide(decision.source.removeprefix("requires "), "write")
        if decision.allowed:
            break
        reason = decision.reason
    return reason


async def _close(socket: WebSocket, said: Refusal) -> None:
    if socket.application_state is WebSocketState.CONNECTING and "websocket.http.response" in socket.scope.get(
        "extensions", {}
    ):
        await socket.send_denial_response(Response(said.content, said.status, said.headers))
    else:
        await socket.close(_POLICY, str(said.body["reason"]))
