"""
Whose request is this? The tenant that is bound to the running code, for guards and for `current_tenant`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Protocol, TypeVar

from payaid_entitlements.core.decision import Intent
from payaid_entitlements.errors import NoCurrentTenant, OutcomeUnknown, StoreUnavailable
from payaid_entitlements.view import TenantView

#: Seconds that a thread waits for the event loop of its request to confirm a refusal.
PATIENCE: Final = 2.0
#: Seconds that it waits for it to use something up: a ledger may take its time, and has limits of its own.
ACTING: Final = 10.0

T = TypeVar("T")


class Binding(Protocol):
    """
    What is bound: a view, what its request is about, and how to make sure of the view before somebody is refused.

    A view is immutable. The binding moves on to a newer one only where a refusal was about to be given on an old
    copy, so that a request never falls back behind what it was told.

    Attributes:
        view: The truth of the request.
        access: What guards that do not say it ask for: a GET request only reads.
    """

    view: TenantView
    access: Intent

    def confirmed(self) -> TenantView:
        """Give a view that is sure enough to refuse by, as far as that can be had without waiting in an event loop."""
        ...

    async def confirmed_async(self) -> TenantView:
        """Give a view that is sure enough to refuse by."""
        ...

    def act(self, verb: Callable[[Any], Any]) -> Any:
        """
        Have the client do *verb*, which is called with it, and wait for what comes of it.

        Raises:
            TypeError: An event loop is running in this thread; it would stand still meanwhile.
        """
        ...

    async def act_async(self, verb: Callable[[Any], Any]) -> Any:
        """Same as `act`, awaited."""
        ...


class Confirming(Protocol):
    """What a binding needs of its client."""

    def confirm(self, view: TenantView) -> TenantView:
        """Give a view that is sure enough to refuse by."""
        ...


class AsyncConfirming(Protocol):
    """Same as `Confirming`, awaited."""

    def confirm(self, view: TenantView) -> Awaitable[TenantView]:
        """Same as `Confirming.confirm`, awaited."""
        ...


class SyncBinding:
    """A binding by an `Entitlements`. From coroutines it is asked in a thread."""

    __slots__ = ("_client", "access", "view")

    def __init__(self, view: TenantView, client: Confirming, access: Intent = "write") -> None:
        self.view = view
        self.access: Intent = access
        self._client = client

    def confirmed(self) -> TenantView:
        """Same as `Binding.confirmed`."""
        if not _in_event_loop():
            self.view = self._client.confirm(self.view)
        return self.view

    async def confirmed_async(self) -> TenantView:
        """Same as `Binding.confirmed_async`."""
        self.view = await asyncio.to_thread(self._client.confirm, self.view)
        return self.view

    def act(self, verb: Callable[[Any], Any]) -> Any:
        """Same as `Binding.act`."""
        # Where an event loop runs, a client that would wait says so itself.
        return verb(self._client)

    async def act_async(self, verb: Callable[[Any], Any]) -> Any:
        """Same as `Binding.act_async`."""
        return await asyncio.to_thread(verb, self._client)


class AsyncBinding:
    """A binding by an `AsyncEntitlements`. From threads that work for the request, its event loop asks it."""

    __slots__ = ("_client", "_loop", "access", "view")

    def __init__(self, view: TenantView, client: AsyncConfirming, access: Intent = "write") -> None:
        self.view = view
        self.access: Intent = access
        self._client = client
        self._loop = asyncio.get_running_loop()

    def confirmed(self) -> TenantView:
        """Same as `Binding.confirmed`."""
        # A plain function inside a coroutine cannot wait: it answers by the view as it is.
        if not _in_event_loop():
            self._in_loop(self.confirmed_async(), PATIENCE, StoreUnavailable)
        return self.view

    async def confirmed_async(self) -> TenantView:
        """Same as `Binding.confirmed_async`."""
        self.view = await self._client.confirm(self.view)
        return self.view

    def act(self, verb: Callable[[Any], Any]) -> Any:
        """Same as `Binding.act`."""
        if _in_event_loop():
            raise TypeError(
                "a plain function that uses something up was called inside a coroutine, where it cannot wait for the "
                "ledger; make it a coroutine function, or call it with asyncio.to_thread"
            )
        return self._in_loop(self.act_async(verb), ACTING, OutcomeUnknown)

    async def act_async(self, verb: Callable[[Any], Any]) -> Any:
        """Same as `Binding.act_async`."""
        return await verb(self._client)

    def _in_loop(self, awaited: Coroutine[Any, Any, T], patience: float, silent: type[StoreUnavailable]) -> T:
        if self._loop.is_closed():
            awaited.close()
            raise StoreUnavailable("the event loop of the request has ended; nobody is left to ask the store")
        answer = asyncio.run_coroutine_threadsafe(awaited, self._loop)
        try:
            return answer.result(patience)
        except TimeoutError as error:
            answer.cancel()
            raise silent(f"waited {patience} s for the event loop of the request") from error


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


CURRENT: Final[ContextVar[Binding | None]] = ContextVar("payaid_entitlements.current_tenant", default=None)


def current_tenant() -> TenantView:
    """
    The view that is bound here: by a web gate, by middleware or by ``with ent.bind(tenant)``.

    Raises:
        NoCurrentTenant: None is. Never a default: that would be one shared tenant for all who forgot.
        ViewExpired: It was bound longer ago than a view may be used.
    """
    view = current_binding().view
    view.require_young()
    return view


def current_binding() -> Binding:
    """
    What is bound here.

    Raises:
        NoCurrentTenant: Nothing is.
    """
    binding = CURRENT.get()
    if binding is None:
        raise NoCurrentTenant(
            "no tenant is bound here; in a request use a gate, in a task or script `with ent.bind(tenant):`, "
            "or name the argument that holds the tenant: tenant='org_id'"
        )
    return binding


@contextmanager
def bound(binding: Binding) -> Iterator[TenantView]:
    """Bind inside the block."""
    token = CURRENT.set(binding)
    try:
        yield binding.view
    finally:
        CURRENT.reset(token)
