"""
A binding that finds out whose request it is when somebody first asks: many apps log in behind our middleware.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from payaid_entitlements.binding import (
    ACTING,
    PATIENCE,
    AsyncBinding,
    Binding,
    SyncBinding,
    in_event_loop,
    wait_for_loop,
)
from payaid_entitlements.core.decision import Intent
from payaid_entitlements.core.identity import identify
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import (
    EntitlementError,
    OutcomeUnknown,
    Refused,
    StoreUnavailable,
    TenantConflict,
    TenantUnidentified,
)
from payaid_entitlements.limiting.outcome import RateLimitOutcome
from payaid_entitlements.view import TenantView
from payaid_entitlements.web.later import close
from payaid_entitlements.web.versions.current import note_version

if TYPE_CHECKING:
    from payaid_entitlements.web.taking import Takings

Client = AsyncEntitlements | Entitlements
#: The ids of the tenant and of the user as the host's login has verified them, each None where there is none.
Who: TypeAlias = tuple[object, object]


class Seeking:
    """
    What middleware binds: nothing is asked, and nobody looked for, until a guard or the app asks.

    A subclass says how somebody is found, and from where the request comes. It sets all attributes itself: one is made
    for each request, and a second ``__init__`` takes a tenth of what such a request costs.

    Attributes:
        client: Of either colour.
        outcomes: How the limits stand that were counted.
        takings: What the request has used up, which is given back where it fails; None before the first.
    """

    __slots__ = ("_inner", "_loop", "client", "outcomes", "takings")

    client: Any
    outcomes: list[RateLimitOutcome] | None
    takings: Takings | None
    _loop: asyncio.AbstractEventLoop | None
    _inner: Binding | None

    @property
    def access(self) -> Intent:
        """
        Same as `Binding.access`.

        By the method that a request has when somebody asks: middleware of the host, further inside, may put that of
        ``X-HTTP-Method-Override`` in place of the client's, and what deletes is no reading.
        """
        raise NotImplementedError  # a subclass says it

    @property
    def address(self) -> str | None:
        """Same as `Binding.address`."""
        raise NotImplementedError  # a subclass says it

    def seek(self) -> Who | Awaitable[Who]:
        """Say whose request it is; called once. Only in an asynchronous app something that is awaited."""
        raise NotImplementedError  # a subclass says it

    @property
    def is_found(self) -> bool:
        """Same as `Binding.is_found`."""
        return self._inner is not None

    @property
    def view(self) -> TenantView:
        """
        Same as `Binding.view`.

        Raises:
            TypeError: An event loop is running, the tenant is not near, and nothing may wait here: ask with a guard on
                a coroutine, or ``await ent.tenant(...)``.
            TenantUnidentified: It is a request of nobody.
        """
        return (self._inner or self._found()).view

    async def found_async(self) -> TenantView:
        """Same as `Binding.found_async`."""
        if self._inner is None:
            found = self.seek()
            # To ask whether it is to be awaited takes longer than all else here.
            if not isinstance(found, tuple) and inspect.isawaitable(found):
                found = await found
            tenant, user = identified(found)
            view = await view_of(self.client, tenant, user)
            # Of two that ask at once each has found the same; the first one stays, since it may have answered.
            if self._inner is None:
                self._keep(view)
        return self.view

    def find_again(self) -> None:
        """
        Make sure of whose request it is, where a login comes after somebody has asked: of another user a view is taken.

        Raises:
            TenantConflict: It is another tenant's by now.
            TenantUnidentified: It is nobody's.
        """
        if self._inner is None:
            return
        was = self._inner.view
        tenant, user = self._sought()
        if tenant != was.tenant:
            raise TenantConflict({"first": was.tenant, "after the login": tenant})
        if user != was.user:
            self._inner = None

    def confirmed(self) -> TenantView:
        """Same as `Binding.confirmed`."""
        return (self._inner or self._found()).confirmed()

    async def confirmed_async(self) -> TenantView:
        """Same as `Binding.confirmed_async`."""
        await self.found_async()
        return await (self._inner or self._found()).confirmed_async()

    def act(self, verb: Callable[[Any], Any]) -> Any:
        """Same as `Binding.act`."""
        if isinstance(self.client, Entitlements):
            return verb(self.client)
        if in_event_loop() or self._loop is None:
            raise TypeError(
                "a plain function that uses something up was called inside a coroutine, where it cannot wait; "
                "make it a coroutine function, or call it with asyncio.to_thread"
            )
        return wait_for_loop(self._loop, self.act_async(verb), ACTING, OutcomeUnknown)

    async def act_async(self, verb: Callable[[Any], Any]) -> Any:
        """Same as `Binding.act_async`."""
        if isinstance(self.client, Entitlements):
            return await asyncio.to_thread(verb, self.client)
        return await verb(self.client)

    def _found(self) -> Binding:
        if self._loop is not None and not in_event_loop():
            # A thread that works for a request of an asynchronous app.
            wait_for_loop(self._loop, self.found_async(), PATIENCE, StoreUnavailable)
            return cast("Binding", self._inner)
        tenant, user = self._sought()
        view = self.client.peek_tenant(tenant, user=user)
        if view is None:
            if isinstance(self.client, AsyncEntitlements):
                raise TypeError(_CANNOT_WAIT)
            view = self.client.tenant(tenant, user=user)
        return self._keep(view)

    def _sought(self) -> tuple[str, str | None]:
        found = self.seek()
        if not isinstance(found, tuple) and inspect.isawaitable(found):
            close(found)
            raise TypeError(_CANNOT_WAIT)
        return identified(found)

    def _keep(self, view: TenantView) -> Binding:
        if isinstance(self.client, AsyncEntitlements):
            inner: Binding = AsyncBinding(view, self.client, self.access)
        else:
            inner = SyncBinding(view, self.client, self.access)
        inner.outcomes = self.outcomes
        self._inner = inner
        note_version(self.client, view.tenant)
        return inner


class LazyBinding(Seeking):
    """
    One that functions find.

    Args:
        client: Of either colour.
        find: Says whose request it is; called once. It may be a coroutine function where the app is asynchronous.
        access: What the request is about, or a function that says it whenever somebody asks.
        address: Where it comes from, or a function that finds it out when a limit asks; None where that is not known.
        loop: Of the request, in an asynchronous app.
    """

    __slots__ = ("_access", "_address", "_find")

    def __init__(
        self,
        client: Client,
        find: Callable[[], Who | Awaitable[Who]],
        access: Intent | Callable[[], Intent] = "write",
        *,
        address: str | Callable[[], str | None] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.client = client
        self.outcomes = []
        self.takings = None
        self._loop = loop
        self._inner = None
        self._access = access
        self._address = address
        self._find = find

    @property
    def access(self) -> Intent:
        """Same as `Seeking.access`."""
        return self._access() if callable(self._access) else self._access

    @property
    def address(self) -> str | None:
        """Same as `Binding.address`."""
        if callable(self._address):
            self._address = self._address()
        return self._address

    def seek(self) -> Who | Awaitable[Who]:
        """Same as `Seeking.seek`."""
        return self._find()


_CANNOT_WAIT = (
    "the tenant of this request is not near, and a plain function in an event loop cannot wait for it: put a guard on "
    "the coroutine that handles the request, or call `await current_tenant_async()`"
)


def view_of_refused(binding: Binding, error: EntitlementError) -> TenantView | None:
    """
    The view by which somebody was refused, for what they could do about it.

    Where nobody was looked for, as with a guard that an argument tells the tenant, a new one; in an event loop only one
    that is near.

    Returns:
        None where nobody was refused by name, or another one than who is bound: what may be learnt about that one is
        its refusal; and where there is no view to be had.
    """
    if not isinstance(error, Refused) or not error.tenant:
        return None
    if binding.is_found:
        return binding.view if binding.view.tenant == error.tenant else None
    near: TenantView | None = binding.client.peek_tenant(error.tenant)
    if near is not None or in_event_loop():
        return near
    try:
        return cast("TenantView", binding.client.tenant(error.tenant))
    except StoreUnavailable:
        return None


async def view_of_refused_async(binding: Binding, error: EntitlementError) -> TenantView | None:
    """Same as `view_of_refused`, awaited, and with a client of either colour."""
    if not isinstance(error, Refused) or not error.tenant:
        return None
    if binding.is_found:
        return binding.view if binding.view.tenant == error.tenant else None
    try:
        return await view_of(binding.client, error.tenant)
    except StoreUnavailable:
        return None


async def view_of(ent: Client, tenant: str, user: str | None = None) -> TenantView:
    """Take a view with a client of either colour; from a synchronous one in a thread, where the store must be asked."""
    if isinstance(ent, AsyncEntitlements):
        return await ent.tenant(tenant, user=user)
    near = ent.peek_tenant(tenant, user=user)
    return await asyncio.to_thread(ent.tenant, tenant, user=user) if near is None else near


def identified(found: Who) -> tuple[str, str | None]:
    """
    Take what a login has verified.

    Raises:
        TenantUnidentified: It names no tenant, or one that identifies nobody; never a default.
        TypeError: It is no text.
    """
    tenant, user = found
    if tenant is None:
        raise TenantUnidentified("the request names no tenant")
    return _text("tenant", tenant), None if user is None else _text("user", user)


def _text(whose: str, found: object) -> str:
    if not isinstance(found, str):
        raise TypeError(f"the {whose} of the request is {found!r}, a {type(found).__name__}; it must be a str or None")
    try:
        return identify(whose, found)
    except TypeError as error:
        raise TenantUnidentified(str(error)) from None
