"""The middleware for ASGI: finds the version of a request before the app runs, and says it on the response."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

from payaid_entitlements.core.observing import Observer
from payaid_entitlements.errors import EntitlementError, TenantConflict, TenantUnidentified, UnknownApiVersion
from payaid_entitlements.web.answers import Answers
from payaid_entitlements.web.messages import Message, denial_of, response_of
from payaid_entitlements.web.refusing import Refusal
from payaid_entitlements.web.request import ScopeRequest
from payaid_entitlements.web.tenancy import Tenancy, finder_of
from payaid_entitlements.web.versions.choosing import ApiVersions, Chosen
from payaid_entitlements.web.versions.current import CURRENT_VERSION
from payaid_entitlements.web.versions.telling import Teller

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Messages that begin a response.
_BEGINNINGS: Final = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
_SERVER_ERROR: Final = 500


class VersionsMiddleware:
    """
    Put it around an app, outside of `EntitlementsMiddleware` where that asks a table of routes about versions.

    Args:
        app: Any ASGI app.
        versions: Of its API.
        tenant: Whose request it is, for pinned versions: a `Tenancy`, or a function that takes the scope and gives the
            id which your login has verified; it may be a coroutine function. It is asked before *app* runs.
        observer: Counts requests by version: ``ent.observer``.
        answers: How refusals are said.

    Raises:
        ConfigurationError: *versions* are pinned, and no *tenant* says whose requests are.
    """

    def __init__(
        self,
        app: App,
        versions: ApiVersions,
        *,
        tenant: Tenancy | Callable[[Scope], Any] | None = None,
        observer: Observer | None = None,
        answers: Answers | None = None,
    ) -> None:
        self.app = app
        self._teller = Teller(versions, None if tenant is None else finder_of(tenant, ScopeRequest), observer)
        self._answers = answers or Answers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or one websocket; everything else passes."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        incoming = ScopeRequest(scope)
        telling = _Telling(send, self._teller, incoming)
        token = None
        try:
            chosen = self._teller.seek(incoming, scope)
            telling.chosen = await chosen if inspect.isawaitable(chosen) else chosen
            token = CURRENT_VERSION.set(telling.chosen.version)
            await self.app(scope, receive, telling.tell)
            await telling.release()
        except (UnknownApiVersion, TenantConflict, TenantUnidentified) as error:
            # What else is refused in the app is answered by whoever knows the tenant.
            if telling.has_begun or not (token is None or isinstance(error, UnknownApiVersion)):
                raise
            telling.held.clear()
            self._teller.count_refused(error)
            said = self._say(error, incoming)
            is_socket = scope["type"] == "websocket"
            # One that was accepted has begun.
            refusal = denial_of(said, scope, is_open=False) if is_socket else response_of(said, scope["method"])
            for message in refusal:
                await telling.tell(message)
        finally:
            if token is not None:
                CURRENT_VERSION.reset(token)

    def _say(self, error: EntitlementError, incoming: ScopeRequest) -> Refusal:
        accept, language = incoming.header("accept"), incoming.header("accept-language")
        return self._answers.say(error, accept=", ".join(accept), language=", ".join(language))


class _Telling:
    """
    Stands in for the server's ``send``, and says the version where a response begins.

    The 5xx that a framework sends when a range refuses, before it raises that again, is held back: behind it nothing
    could be answered any more.
    """

    __slots__ = ("_incoming", "_send", "_teller", "chosen", "has_begun", "held")

    def __init__(self, send: Send, teller: Teller, incoming: ScopeRequest) -> None:
        self._send = send
        self._teller = teller
        self._incoming = incoming
        self.chosen: Chosen | None = None
        self.has_begun = False
        self.held: list[Message] = []

    async def tell(self, message: Message) -> None:
        if not self.has_begun:
            if self.held or self._is_of_refused(message):
                self.held.append(message)
                return
            if message["type"] in _BEGINNINGS:
                self.has_begun = True
                headers = list(message.get("headers", ()))
                there = {name.lower().decode("latin-1") for name, _ in headers}
                told = self._teller.fields(self.chosen, self._incoming, there)
                more = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in told]
                message = {**message, "headers": [*headers, *more]}
        await self._send(message)

    async def release(self) -> None:
        """Send what was held back: it was the answer after all."""
        held, self.held = self.held, []
        for message in held:
            await self.tell(message)

    def _is_of_refused(self, message: Message) -> bool:
        return message.get("status", 0) >= _SERVER_ERROR and isinstance(sys.exc_info()[1], UnknownApiVersion)
