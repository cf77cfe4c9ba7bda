"""
A boundary as middleware, around an app that is mounted for one module: plain ASGI and WSGI.

It answers itself, since what is raised through a mounted app is a 500 before any other part of the host sees it.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, MutableMapping
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from payaid_entitlements.errors import ModuleFailed, ModuleUnavailable
from payaid_entitlements.web.answers import Answers, answerable
from payaid_entitlements.web.boundary import ClientGone, ModuleBoundary, is_gone, module_boundary
from payaid_entitlements.web.messages import Message, denial_of, response_of
from payaid_entitlements.web.refusing import Refusal
from payaid_entitlements.web.request import EnvironRequest, Incoming, ScopeRequest

Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
WSGIApp: TypeAlias = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

#: Messages behind which nothing can be answered.
_BEGUN: Final = ("http.response.start", "websocket.http.response.start", "websocket.close")
#: So many errors of messages that could not be sent are known: more than tasks of one request meet at once, and so few
#: that an app which goes on sending to nobody fills no memory.
_MOST_UNHEARD: Final = 256


class IsolatedASGI:
    """
    An ASGI app whose errors stay inside.

    What fails when its response has begun is told and logged, and raised on: the server ends the connection, by which
    the client sees that something is missing.

    Args:
        app: The app of one module.
        module: Its key.
        answers: How the failure is said.
    """

    def __init__(self, app: ASGIApp, module: str, *, answers: Answers | None = None) -> None:
        self.app = app
        self._boundary: ModuleBoundary = module_boundary(module)
        self._answers = answers or Answers()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Run the app inside its boundary."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        has_begun = is_open = False
        unheard: deque[Exception] = deque(maxlen=_MOST_UNHEARD)

        async def watched(message: Message) -> None:
            nonlocal has_begun, is_open
            # A websocket that was accepted can be closed, once, and nothing more be said.
            has_begun = has_begun or message["type"] in _BEGUN
            is_open = is_open or message["type"] == "websocket.accept"
            try:
                await send(message)
            except OSError as error:
                unheard.append(error)
                raise

        async def heard() -> Message:
            nonlocal has_begun
            message = await receive()
            # Who has left is told nothing.
            has_begun = has_begun or message["type"] == "websocket.disconnect"
            return message

        try:
            with self._boundary:
                try:
                    await self.app(scope, heard, watched)
                except Exception as error:
                    # So servers say that the client has gone (ASGI HTTP specification 2.4): no failure of the module.
                    if not _is_unheard(error, unheard):
                        raise
                    raise ClientGone(error) from error
        except ClientGone as gone:
            raise gone.error from None
        except Exception as error:
            failed = _failed(error)
            if failed is None or has_begun:
                raise
            said = _said(self._answers, failed, ScopeRequest(scope))
            is_socket = scope["type"] == "websocket"
            for answer in denial_of(said, scope, is_open=is_open) if is_socket else response_of(said, scope["method"]):
                await send(answer)


class IsolatedWSGI:
    """
    A WSGI app whose errors stay inside, also those of the body that it gives piece by piece.

    Args:
        app, module, answers: As in `IsolatedASGI`.
    """

    def __init__(self, app: WSGIApp, module: str, *, answers: Answers | None = None) -> None:
        self.app = app
        self._boundary: ModuleBoundary = module_boundary(module)
        self._answers = answers or Answers()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Run the app inside its boundary."""

        def answer(error: ModuleFailed | ModuleUnavailable) -> list[bytes]:
            said = _said(self._answers, error, EnvironRequest(environ))
            phrase = HTTPStatus(said.status).phrase
            headers = [*said.headers.items(), ("Content-Length", str(len(said.content)))]
            # In place of what the app may have begun; raises the error where that was sent already (PEP 3333).
            start_response(f"{said.status} {phrase}", headers, sys.exc_info())
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [said.content]

        try:
            with self._boundary:
                pieces = self.app(environ, start_response)
        except Exception as error:
            failed = _failed(error)
            if failed is None:
                raise
            return answer(failed)
        return pieces if isinstance(pieces, list | tuple) else _Body(pieces, self._boundary, answer)


class _Body:
    """The pieces of a body, taken inside the boundary."""

    def __init__(
        self,
        pieces: Iterable[bytes],
        boundary: ModuleBoundary,
        answer: Callable[[ModuleFailed | ModuleUnavailable], list[bytes]],
    ) -> None:
        self._pieces = pieces
        self._boundary = boundary
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        try:
            with self._boundary.piecewise():
                yield from self._pieces
        except Exception as error:
            failed = _failed(error)
            if failed is None:
                raise
            yield from self._answer(failed)

    def close(self) -> None:
        """Let go of what the app holds (PEP 3333)."""
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()


def _is_unheard(error: Exception, unheard: Collection[Exception]) -> bool:
    """Is *error* one of *unheard*? A group is where each in it says no more than that."""
    if isinstance(error, ExceptionGroup):
        return all(_is_unheard(each, unheard) or is_gone(each) for each in error.exceptions)
    return error in unheard


def _failed(error: Exception) -> ModuleFailed | ModuleUnavailable | None:
    """What of *error* is answered here; None for what passes: a refusal is answered by whoever knows the tenant."""
    told = answerable(error)
    return told if isinstance(told, ModuleFailed | ModuleUnavailable) else None


def _said(answers: Answers, error: ModuleFailed | ModuleUnavailable, asked: Incoming) -> Refusal:
    return answers.say(
        error, accept=", ".join(asked.header("accept")), language=", ".join(asked.header("accept-language"))
    )
