"""
Around a whole ASGI app: what a request has used up is given back when it fails.

A plain function that a middleware calls; what was taken is added to the `Takings` of the request meanwhile. In WSGI the
call itself does it, `payaid_entitlements.web.wsgi.calling`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

from payaid_entitlements.web.taking import Takings

Message: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[MutableMapping[str, Any], Any, Send], Awaitable[None]]

_STARTS: Final = ("http.response.start", "websocket.http.response.start")
_BODIES: Final = ("http.response.body", "websocket.http.response.body")
#: What a server answers to a handshake that the app closes (ASGI HTTP specification, "Close - send event").
_DENIED: Final = 403


async def settled(app: App, scope: MutableMapping[str, Any], receive: Any, send: Send, takings: Takings) -> None:
    """
    Have *app* answer one request or one websocket (ASGI HTTP), and give back what is owed by how that ends.

    A task that is cancelled before its answer begins gives back; afterwards nobody listens, and it stays. A websocket
    that is accepted is an answer, until either side closes it; one that is not is answered with what says so.
    """

    async def watched(message: Message) -> None:
        kind = message["type"]
        if kind in _STARTS:
            await takings.answer_async(message["status"])
        elif kind == "websocket.close" and not takings.is_answered:
            await takings.answer_async(_DENIED)
        try:
            await send(message)
        except Exception:
            if takings.is_answered:
                takings.keep()  # nobody listens: the work was done
            raise
        if kind == "websocket.accept":
            takings.begin()
        elif kind == "websocket.close" or (kind in _BODIES and not message.get("more_body", False)):
            takings.keep()

    async def heard() -> Message:
        message: Message = await receive()
        if message["type"] == "websocket.disconnect" and takings.is_answered:
            takings.keep()  # it has had what was made for it
        return message

    try:
        await app(scope, heard if scope["type"] == "websocket" else receive, watched)
    except asyncio.CancelledError:
        if not takings.is_answered:
            await takings.fail_async()
        raise
    except BaseException:
        await takings.fail_async()
        raise
