"""One request, or one websocket, as the middleware sees it pass: whose it is, and whether it has been answered."""

from __future__ import annotations

import sys
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

from payaid_entitlements.core.decision import Intent
from payaid_entitlements.limiting.outcome import RateLimitOutcome
from payaid_entitlements.web.answers import answerable
from payaid_entitlements.web.finding import Client, Seeking, Who
from payaid_entitlements.web.messages import Message, denial_of, response_of
from payaid_entitlements.web.rate_fields import fields_beside
from payaid_entitlements.web.refusing import Refusal
from payaid_entitlements.web.request import READS

Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Scope: TypeAlias = MutableMapping[str, Any]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

#: From here on it is the server that has failed (RFC 9110 section 15.6).
_ERROR: Final = 500


class Around(Protocol):
    """
    The middleware, as far as a request has to know it.

    Attributes:
        client: Of either colour.
        is_legacy: Are limits told in older fields too?
    """

    client: Client
    is_legacy: bool

    def who(self, scope: Scope) -> Who | Awaitable[Who]:
        """Whose request it is."""
        ...

    def address(self, scope: Scope) -> str | None:
        """Where it comes from."""
        ...


class Exchange(Seeking):
    """
    One HTTP request, which is its binding too: of every request there is this one object, and nothing else of ours.

    Messages pass as they come; none is kept. Except a 5xx that an app sends while it handles what we would answer:
    frameworks do that and raise it again, behind which nothing could be answered any more. It is kept until it is clear
    whether that happens.

    Attributes:
        scope: What the request is where it is asked about: middleware that makes another of it hands on a copy (ASGI
            specification, "Middleware"), and who is given one puts it here.
    """

    __slots__ = ("_around", "_send", "has_begun", "held", "scope")

    def __init__(self, around: Around, scope: Scope, send: Send) -> None:
        # All of it here, and no function for what is asked for later: this is what a request costs that asks nothing.
        self.client = around.client
        self.outcomes = []
        self.takings = None
        self._loop = get_running_loop()
        self._inner = None
        self._around = around
        self.scope = scope
        self._send = send
        self.has_begun = False
        self.held: list[Message] | None = None

    def seek(self) -> Who | Awaitable[Who]:
        """Same as `Seeking.seek`."""
        return self._around.who(self.scope)

    @property
    def access(self) -> Intent:
        """Same as `Seeking.access`."""
        return "read" if self.scope["method"] in READS else "write"

    @property
    def address(self) -> str | None:
        """Same as `Binding.address`."""
        return self._around.address(self.scope)

    def tell(self, message: Message) -> Awaitable[None]:
        """Stand in for the server's ``send``."""
        if self.has_begun:
            return self._send(message)
        if self.held is not None:
            self.held.append(message)
            return _nothing()
        if message["type"] == "http.response.start":
            if message["status"] >= _ERROR and answerable(sys.exc_info()[1]) is not None:
                self.held = [message]
                return _nothing()
            self.has_begun = True
            outcomes = self.outcomes
            if outcomes:
                message = _with_fields(message, outcomes, self._around.is_legacy)
        return self._send(message)

    async def release(self) -> None:
        """Send what was held back: it was the answer after all."""
        held, self.held = self.held or (), None
        for message in held:
            self.has_begun = True
            await self._send(message)

    async def refuse(self, said: Refusal, method: str) -> None:
        """Answer with *said*."""
        self.held = None
        self.has_begun = True
        start, body = response_of(said, method)
        outcomes = self.outcomes
        if outcomes:
            start = _with_fields(start, outcomes, self._around.is_legacy)
        await self._send(start)
        await self._send(body)


class Socket:
    """A websocket: what was said last decides how it can be refused."""

    __slots__ = ("_receive", "_send", "has_ended", "is_open")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.is_open = False
        self.has_ended = False

    async def hear(self) -> Message:
        """Stand in for the server's ``receive``."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self.has_ended = True
        return message

    def tell(self, message: Message) -> Awaitable[None]:
        """Stand in for the server's ``send``."""
        kind = message["type"]
        if kind == "websocket.accept":
            self.is_open = True
        elif kind in ("websocket.close", "websocket.http.response.start"):
            self.has_ended = True
        return self._send(message)

    async def refuse(self, said: Refusal, scope: Scope) -> None:
        """Refuse with *said*, as that can still be done."""
        self.has_ended = True
        for message in denial_of(said, scope, is_open=self.is_open):
            await self._send(message)


async def _nothing() -> None:
    """Nothing is sent."""


def _with_fields(message: Message, outcomes: Sequence[RateLimitOutcome], is_legacy: bool) -> Message:
    """*message* with the fields that say how limits stand."""
    headers = list(message.get("headers", ()))
    there = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in headers}
    told = {
        name.lower().encode("latin-1"): value.encode("latin-1")
        for name, value in fields_beside(there, outcomes, legacy=is_legacy).items()
    }
    return {**message, "headers": [*(each for each in headers if each[0].lower() not in told), *told.items()]}
