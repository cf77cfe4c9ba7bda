"""
Whose request is this? The tenant that is bound to the running code, for guards and for `current_tenant`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Protocol

from payaid_entitlements.core.decision import Intent
from payaid_entitlements.errors import NoCurrentTenant, StoreUnavailable
from payaid_entitlements.view import TenantView

#: Seconds that a thread waits for the event loop of its request to confirm a refusal.
PATIENCE: Final = 2.0


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


class SyncBinding:
    """A binding by an `Entitlements`. From coroutines the store is asked in a thread."""

    __slots__ = ("_confirm", "access", "view")

    def __init__(self, view: TenantView, confirm: Callable[[TenantView], TenantView], access: Intent = "write") -> None:
        self.view = view
        self.access: Intent = access
        self._confirm = confirm

    def confirmed(self) -> TenantView:
        """Same as `Binding.confirmed`."""
        if not _in_event_loop():
            self.view = self._confirm(self.view)
        return self.view

    async def confirmed_async(self) -> TenantView:
        """Same as `Binding.confirmed_async`."""
        self.view = await asyncio.to_thread(self._confirm, self.view)
        return self.view


class AsyncBinding:
    """A binding by an `AsyncEntitlements`. From threads that work for the request, its event loop asks the store."""

    __slots__ = ("_confirm", "_loop", "access", "view")

    def __init__(
        self, view: TenantView, confirm: Callable[[TenantView], Awaitable[TenantView]], access: Intent = "write"
    ) -> None:
        self.view = view
        self.access: Intent = access
        self._confirm = confirm
        self._loop = asyncio.get_running_loop()

    def confirmed(self) -> TenantView:
        """Same as `Binding.confirmed`."""
        # A plain function inside a coroutine cannot wait: it answers by the view as it is.
        if not _in_event_loop():
            if self._loop.is_closed():
                raise StoreUnavailable("the event loop of the request has ended; nobody is left to ask the store")
            answer = asyncio.run_coroutine_threadsafe(self.confirmed_async(), self._loop)
            try:
                answer.result(PATIENCE)
            except TimeoutError as error:
                answer.cancel()
                raise StoreUnavailable(f"waited {PATIENCE} s for the event loop of the request") from error
        return self.view

    async def confirmed_async(self) -> TenantView:
        """Same as `Binding.confirmed_async`."""
        self.view = await self._confirm(self.view)
        return self.view


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
