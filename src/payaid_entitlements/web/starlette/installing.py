"""What a gate adds to an app and to all apps that are mounted in it: answers to refusals, and a look when it starts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketState

from payaid_entitlements.errors import EntitlementError
from payaid_entitlements.web.answers import ANSWERED, Answers, answerable
from payaid_entitlements.web.asgi.exchange import Socket
from payaid_entitlements.web.messages import denial_of
from payaid_entitlements.web.refusing import Refusal
from payaid_entitlements.web.starlette.following import follow
from payaid_entitlements.web.starlette.walking import apps

#: Says to a connection what it is told of an error.
Say = Callable[[Any, Any], Awaitable[Refusal]]


def answer_in_all(app: Starlette, say: Say) -> None:
    """
    Let *say* tell what is refused, in *app* and in all apps that are mounted in it. Repeating it is harmless.

    Mounted apps need answers of their own: what they raise is a 500 before an outer app sees it.
    """

    async def answer(connection: Any, error: Any) -> Response | None:
        return await respond(connection, await say(connection, error))

    for inner in apps(app):
        router = inner.router
        if not isinstance(router.middleware_stack, Ungrouping):
            router.middleware_stack = Ungrouping(router.middleware_stack, say)
        handlers = inner.exception_handlers
        # What the host answers itself is right, also where it answers all errors of the library in one place.
        missing = [kind for kind in ANSWERED if not {kind, EntitlementError} & handlers.keys()]
        if missing:
            handlers.update(dict.fromkeys(missing, answer))
            # An app that has started keeps the handlers of that time; it makes them anew for its next request.
            inner.middleware_stack = None


class Ungrouping:
    """
    Stands between an app and its routes: of a group of refusals the first one is raised on in its place.

    The app looks for who handles an error by its class, and all groups have one. A handler for that class would be
    asked about groups of the host's too, and could not give them back: where a response has begun, the app raises
    something else in place of what has a handler.

    Args:
        app: The routes.
        say: Says to a websocket what it is told: the app does not know whether that was accepted.
    """

    def __init__(self, app: ASGIApp, say: Say) -> None:
        self._app = app
        self._say = say

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        # Routes of FastAPI routers that are included are handled by copies of them, around which nothing can be put.
        follow(scope)
        socket = None
        if scope["type"] == "websocket":
            socket = Socket(receive, send)
            receive, send = socket.hear, socket.tell
        try:
            return await self._app(scope, receive, send)
        except ExceptionGroup as group:
            told = answerable(group)
            if told is None or (socket is not None and socket.has_ended):
                raise
        if socket is not None:
            return await socket.refuse(await self._say(HTTPConnection(scope), told), scope)
        # Out here it is not in the context of its own group: a ring that only the garbage collector would find.
        raise told


def on_startup(app: Starlette, act: Callable[[], None]) -> None:
    """Let *act* run when *app* starts, before its own start-up."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(started: Any) -> AsyncIterator[Any]:
        act()
        async with inner(started) as state:
            yield state

    app.router.lifespan_context = lifespan


def said_to(answers: Answers, connection: HTTPConnection, error: EntitlementError, view: Any) -> Refusal:
    """Say *error* in the form and the language that *connection* asks for."""
    return answers.say(
        error,
        view=view,
        accept=", ".join(connection.headers.getlist("accept")),
        language=", ".join(connection.headers.getlist("accept-language")),
    )


async def respond(connection: HTTPConnection, said: Refusal) -> Response | None:
    """Give *said* as a response; a websocket is denied or closed with it, and None is given."""
    if not isinstance(connection, WebSocket):
        return Response(said.content, said.status, said.headers)
    is_open = connection.application_state is not WebSocketState.CONNECTING
    for message in denial_of(said, connection.scope, is_open=is_open):
        await connection.send(message)
    return None
