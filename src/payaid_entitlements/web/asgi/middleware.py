"""
The middleware: binds whose request it is, asks what a table says, and answers what is refused anywhere inside.

It starts no task and no thread, and keeps nothing of a body: what streams goes on streaming.
"""

from __future__ import annotations

import inspect
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable
from typing import Any, cast

from payaid_entitlements.binding import CURRENT
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import EntitlementError, RouteUnknown
from payaid_entitlements.web.address import client_address
from payaid_entitlements.web.answers import Answers, answerable
from payaid_entitlements.web.asgi.exchange import App, Exchange, Receive, Scope, Send, Socket
from payaid_entitlements.web.asgi.starting import require_mapped
from payaid_entitlements.web.finding import LazyBinding, Seeking, Who, view_of_refused_async
from payaid_entitlements.web.needs import ask_async
from payaid_entitlements.web.patterns import WEBSOCKET
from payaid_entitlements.web.preflights import passes
from payaid_entitlements.web.request import ScopeRequest, below
from payaid_entitlements.web.routing import EXEMPT, Routes, known
from payaid_entitlements.web.settling import settled
from payaid_entitlements.web.taking import USAGES, Takings, take_quotas_async
from payaid_entitlements.web.tenancy import Tenancy, finder_of


class EntitlementsMiddleware:
    """
    Put it around an app, inside whatever logs in: with *routes* it asks before the app runs. Without them nothing is
    asked, and nobody looked for, before a guard inside or `current_tenant` does; the login may then be inside as well.

    Args:
        app: Any ASGI app.
        entitlements: Your client. From an `Entitlements` the store is asked in a thread; what is near is answered at
            once.
        tenant: A `Tenancy`, or a function that takes the scope and gives the id which your login has *verified*, never
            one that a client may choose; it may be a coroutine function. None is answered with 401.
        user: A function that takes the scope and gives the id of the user, for overrides of single users.
        routes: What each route needs.
        proxies: How many proxies of yours each request passes, 0 or more, for rate limits that count by address. None
            reads no address.
        answers: How refusals are said.

    Raises:
        ConfigurationError: The catalog does not know a key of *routes*; or *proxies* is no number of them.
    """

    def __init__(
        self,
        app: App,
        entitlements: AsyncEntitlements | Entitlements,
        *,
        tenant: Tenancy | Callable[[Scope], Any],
        user: Callable[[Scope], Any] | None = None,
        routes: Routes | None = None,
        proxies: int | None = None,
        answers: Answers | None = None,
    ) -> None:
        if proxies is not None:
            client_address(None, (), proxies=proxies)  # which says what is wrong with it
        self.app = app
        self.client = entitlements
        self._tenant = cast("Callable[[Scope], Any]", finder_of(tenant, ScopeRequest))
        self._user = user
        self._routes = known(routes, entitlements.catalog)
        if self._routes is not None:
            self._routes.require_countable(
                entitlements.catalog,
                called="EntitlementsMiddleware",
                has_user=user is not None,
                has_address=proxies is not None,
            )
        self._proxies = proxies
        self._answers = answers or Answers()
        self.is_legacy = self._answers.legacy_fields

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; everything else (``lifespan``) passes."""
        kind = scope["type"]
        if kind == "http":
            exchange = Exchange(self, scope, send)
            token = CURRENT.set(exchange)
            try:
                if self._routes is not None:
                    await self._ask(self._routes, scope, scope["method"], exchange)
                if exchange.takings is None:
                    await self.app(scope, receive, exchange.tell)
                else:
                    await settled(self.app, scope, receive, exchange.tell, exchange.takings)
                if exchange.held is not None:
                    await exchange.release()
            except Exception as error:
                told = answerable(error)
                if told is None or exchange.has_begun:
                    await exchange.release()
                    raise
                await exchange.refuse(await self._say(told, scope, exchange), scope["method"])
            finally:
                CURRENT.reset(token)
        elif kind == "websocket":
            await self._socket(scope, receive, send)
        elif kind == "lifespan" and self._routes is not None and self._routes.unmapped == "refuse":
            await require_mapped(self.app, self._routes, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        # What comes over it may write.
        binding = LazyBinding(
            self.client,
            lambda: self.who(scope),
            "write",
            address=lambda: self.address(scope),
            loop=get_running_loop(),
        )
        socket = Socket(receive, send)
        token = CURRENT.set(binding)
        try:
            if self._routes is not None:
                await self._ask(self._routes, scope, WEBSOCKET, binding)
            if binding.takings is None:
                await self.app(scope, socket.hear, socket.tell)
            else:
                await settled(self.app, scope, socket.hear, socket.tell, binding.takings)
        except Exception as error:
            told = answerable(error)
            if told is None or socket.has_ended:
                raise
            await socket.refuse(await self._say(told, scope, binding), scope)
        finally:
            CURRENT.reset(token)

    async def _ask(self, routes: Routes, scope: Scope, method: str, binding: Seeking) -> None:
        needed = routes.match(method, below(scope["path"], scope.get("root_path", "")), scope.get("raw_path"))
        if needed is None:
            raise RouteUnknown(f"{method} {scope['path']!r}")
        if needed is not EXEMPT and not (method == "OPTIONS" and passes(ScopeRequest(scope), self.app)):
            await ask_async(binding, needed)
            if needed.quotas:
                binding.takings = Takings()
                taken = await take_quotas_async(binding, needed.quotas, ScopeRequest(scope))
                binding.takings.add(taken)
                scope[USAGES] = taken.usages

    def who(self, scope: Scope) -> Who | Awaitable[Who]:
        """Find whose request it is, by the functions of the host; perhaps to be awaited."""
        tenant = self._tenant(scope)
        user = None if self._user is None else self._user(scope)
        if inspect.isawaitable(tenant) or inspect.isawaitable(user):
            return _awaited(tenant, user)
        return tenant, user

    def address(self, scope: Scope) -> str | None:
        """Say where a request comes from; None where nobody has said how many proxies there are."""
        if self._proxies is None:
            return None
        incoming = ScopeRequest(scope)
        return client_address(incoming.peer, incoming.header("x-forwarded-for"), proxies=self._proxies)

    async def _say(self, error: EntitlementError, scope: Scope, binding: Seeking) -> Any:
        incoming = ScopeRequest(scope)
        return self._answers.say(
            error,
            view=await view_of_refused_async(binding, error),
            accept=", ".join(incoming.header("accept")),
            language=", ".join(incoming.header("accept-language")),
        )


async def _awaited(tenant: Any, user: Any) -> Who:
    return (
        await tenant if inspect.isawaitable(tenant) else tenant,
        await user if inspect.isawaitable(user) else user,
    )
