"""
Whose request is this? The tenant that is bound to the running code, for guards and for `current_tenant`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from payaid_entitlements.core.decision import Intent
from payaid_entitlements.errors import NoCurrentTenant, OutcomeUnknown, StoreUnavailable
from payaid_entitlements.view import TenantView

if TYPE_CHECKING:
    from payaid_entitlements.limiting.outcome import RateLimitOutcome

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
        client: Whose view it is.
        address: Where the request comes from, as far as whoever has bound it trusts what told it; None where that is
            not known.
        is_found: Has it been found out whose request it is? If not, `view` would have to.
        outcomes: What rate limits have said to the request, for the fields of its response; None where nobody reads it.
    """

    client: Any
    outcomes: list[RateLimitOutcome] | None

    @property
    def access(self) -> Intent:
        """See above."""
        ...

    @property
    def address(self) -> str | None:
        """See above."""
        ...

    @property
    def is_found(self) -> bool:
        """See above."""
        ...

    @property
    def view(self) -> TenantView:
        """See above."""
        ...

    async def found_async(self) -> TenantView:
        """Give the view, and find out first whose request it is where that is not known yet."""
        ...

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

    __slots__ = ("access", "address", "client", "outcomes", "view")

    is_found: Final = True

    def __init__(
        self, view: TenantView, client: Confirming, access: Intent = "write", *, address: str | None = None
    ) -> None:
        self.view = view
        self.address = address
        self.access: Intent = access
        self.client = client
        self.outcomes: list[RateLimitOutcome] | None = None

    async def found_async(self) -> TenantView:
        """Same as `Binding.found_async`."""
        return self.view

    def confirmed(self) -> TenantView:
        """Same as `Binding.confirmed`."""
        if not in_event_loop():
            self.view = self.client.confirm(self.view)
        return self.view

    async def confirmed_async(self) -> TenantView:
        """Same as `Binding.confirmed_async`."""
        self.view = await asyncio.to_thread(self.client.confirm, self.view)
        return self.view

    def act(self, verb: Callable[[Any], Any]) -> Any:
        """Same as `Binding.act`."""
        # Where an event loop runs, a client that would wait says so itself.
        return verb(self.client)

    async def act_async(self, verb: Callable[[Any], Any]) -> Any:
        """Same as `Binding.act_async`."""
        return await asyncio.to_thread(verb, self.client)


class AsyncBinding:
    """A binding by an `AsyncEntitlements`. From threads that work for the request, its event loop asks it."""

    __slots__ = ("_loop", "access", "address", "client", "outcomes", "view")

    is_found: Final = True

    def __init__(
        self, view: TenantView, client: AsyncConfirming, access: Intent = "write", *, address: str | None = None
    ) -> None:
        self.view = view
        self.address = address
        self.access: Intent = access
        self.client = client
        self.outcomes: list[RateLimitOutcome] | None = None
        self._loop = asyncio.get_running_loop()

    async def found_async(self) -> TenantView:
        """Same as `Binding.found_async`."""
        return self.view

    def confirmed(self) -> TenantView:
        """Same as `Binding.confirmed`."""
        # A plain function inside a coroutine cannot wait: it answers by the view as it is.
        if not in_event_loop():
            wait_for_loop(self._loop, self.confirmed_async(), PATIENCE, StoreUnavailable)
        return self.view

    async def confirmed_async(self) -> TenantView:
        """Same as `Binding.confirmed_async`."""
        self.view = await self.client.confirm(self.view)
        return self.view

    def act(self, verb: Callable[[Any], Any]) -> Any:
        """Same as `Binding.act`."""
        if in_event_loop():
            raise TypeError(
                "a plain function that uses something up was called inside a coroutine, where it cannot wait for the "
                "ledger; make it a coroutine function, or call it with asyncio.to_thread"
            )
        return wait_for_loop(self._loop, self.act_async(verb), ACTING, OutcomeUnknown)

    async def act_async(self, verb: Callable[[Any], Any]) -> Any:
        """Same as `Binding.act_async`."""
        return await verb(self.client)


def wait_for_loop(
    loop: asyncio.AbstractEventLoop,
    awaited: Coroutine[Any, Any, T],
    patience: float,
    silent: type[StoreUnavailable],
) -> T:
    """
    Have *loop*, which runs in another thread, await something, and wait for it.

    Args:
        patience: Seconds.
        silent: Raised when it takes longer.

    Raises:
        StoreUnavailable: The loop has ended.
    """
    if loop.is_closed():
        awaited.close()
        raise StoreUnavailable("the event loop of the request has ended; nobody is left to ask the store")
    answer = asyncio.run_coroutine_threadsafe(awaited, loop)
    try:
        return answer.result(patience)
    except TimeoutError as error:
        answer.cancel()
        raise silent(f"waited {patience} s for the event loop of the request") from error


def in_event_loop() -> bool:
    """Does an event loop run in this thread, which must not be made to wait?"""
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


async def current_tenant_async() -> TenantView:
    """
    Same as `current_tenant`, awaited: for coroutines behind middleware, where it may still have to be found out whose
    request it is.

    Raises:
        TenantUnidentified: It is a request of nobody.
    """
    view = await current_binding().found_async()
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
