"""What a gate adds to an app and to all apps that are mounted in it: answers to refusals, and a look when it starts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketState

from payaid_entitlements.errors import EntitlementError
from payaid_entitlements.web.answers import ANSWERED, Answers
from payaid_entitlements.web.messages import denial_of
from payaid_entitlements.web.refusing import Refusal
from payaid_entitlements.web.starlette.walking import apps

#: Answers an error: with a response, or None where a websocket was closed.
Answer = Callable[[Any, Any], Awaitable[Response | None]]


def answer_in_all(app: Starlette, answer: Answer) -> None:
    """
    Let *answer* tell what is refused, in *app* and in all apps that are mounted in it. Repeating it is harmless.

    Mounted apps need answers of their own: what they raise is a 500 before an outer app sees it.
    """
    for inner in apps(app):
        handlers = inner.exception_handlers
        # What the host answers itself is right, also where it answers all errors of the library in one place.
        missing = [kind for kind in ANSWERED if not {kind, EntitlementError} & handlers.keys()]
        if missing:
            handlers.update(dict.fromkeys(missing, answer))
            # An app that has started keeps the handlers of that time; it makes them anew for its next request.
            inner.middleware_stack = None


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
