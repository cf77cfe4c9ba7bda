"""
What a gate adds to an app and to all apps that are mounted in it: answers to refusals, and their description.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketState

from payaid_entitlements.core.observing import log
from payaid_entitlements.core.remedies import Remedy
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import EntitlementError, Refused, StoreUnavailable, TenantUnidentified
from payaid_entitlements.view import TenantView
from payaid_entitlements.web.fastapi.describing import describe
from payaid_entitlements.web.fastapi.walking import apps
from payaid_entitlements.web.refusing import Refusal, refusal

#: Close code for what policy forbids, RFC 6455 section 7.4.1.
_POLICY: Final = 1008


def install(app: Starlette, ent: AsyncEntitlements | Entitlements, challenge: str) -> None:
    """
    Make *app*, and all apps that are mounted in it, answer refusals. Repeating it is harmless.

    Mounted apps need answers of their own: what they raise is a 500 before an outer app sees it.
    """
    answer = partial(_answer, ent, challenge)
    for inner in apps(app):
        for kind in (Refused, StoreUnavailable, TenantUnidentified):
            inner.exception_handlers.setdefault(kind, answer)
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
    if isinstance(error, Refused):
        log.info(
            "refused",
            tenant=error.tenant,
            feature=error.decision.feature,
            reason=error.decision.reason.value,
            reference=error.reference,
        )
        remedies = (await view_of(ent, error.tenant)).remedies(error.decision)
    said = refusal(error, remedies=remedies, challenge=challenge)
    if isinstance(connection, WebSocket):
        await _close(connection, said)
        return None
    return Response(said.content, said.status, said.headers)


async def view_of(ent: AsyncEntitlements | Entitlements, tenant: str, user: str | None = None) -> TenantView:
    """Take a view with a client of either colour; from a synchronous one in a thread, where the store must be asked."""
    if isinstance(ent, AsyncEntitlements):
        return await ent.tenant(tenant, user=user)
    near = ent.peek_tenant(tenant, user=user)
    return await asyncio.to_thread(ent.tenant, tenant, user=user) if near is None else near


async def _close(socket: WebSocket, said: Refusal) -> None:
    if socket.application_state is WebSocketState.CONNECTING and "websocket.http.response" in socket.scope.get(
        "extensions", {}
    ):
        await socket.send_denial_response(Response(said.content, said.status, said.headers))
    else:
        await socket.close(_POLICY, str(said.body["reason"]))
