"""Whose request of Django is it? And the tenant as a view of Django sees it: ``request.entitlements``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.http import HttpRequest

from payaid_entitlements.binding import Binding, in_event_loop
from payaid_entitlements.view import TenantView
from payaid_entitlements.web.address import client_address
from payaid_entitlements.web.django.configuration import Configuration
from payaid_entitlements.web.finding import Who
from payaid_entitlements.web.later import Later, then
from payaid_entitlements.web.request import EnvironRequest, Incoming, ScopeRequest
from payaid_entitlements.web.tenancy import finder_of


def incoming(request: HttpRequest) -> Incoming:
    """Give *request* as strategies of a tenancy read it: on ASGI by its scope, which knows how fields were written."""
    scope = getattr(request, "scope", None)
    return EnvironRequest(request.META, request) if scope is None else ScopeRequest(scope, request)


def finder(configuration: Configuration) -> Callable[[HttpRequest], Any]:
    """
    Make what says whose request it is: ids of tenant and user, or an awaitable of them where that has to wait.

    A plain function that asks Django's database in an event loop, as ``request.user`` does, is asked again in a thread;
    one that does not is answered where it is. A coroutine function is awaited by a loop of its own where none runs.
    """
    tenant: Callable[[Any], Any] = finder_of(configuration.tenant, incoming)
    user = configuration.user

    async def later(request: HttpRequest) -> Who:
        return await with_user(request, await _asked(tenant, request))

    async def with_user(request: HttpRequest, found: object) -> Who:
        return found, None if user is None else await _asked(user, request)

    def find(request: HttpRequest) -> Any:
        try:
            found = tenant(request)
        except SynchronousOnlyOperation:
            return later(request)
        # To ask whether something is to be awaited takes as long as all else here, and a text never is.
        if type(found) is not str and inspect.isawaitable(found):
            return _settled(then(found, lambda it: with_user(request, it)))
        if user is None:
            return found, None
        try:
            who = user(request)
        except SynchronousOnlyOperation:
            return with_user(request, found)
        if type(who) is not str and inspect.isawaitable(who):
            return _settled(then(who, lambda it: (found, it)))
        return found, who

    return find


async def _asked(function: Callable[[Any], Any], request: HttpRequest) -> object:
    try:
        found = function(request)
    except SynchronousOnlyOperation:
        found = await sync_to_async(function)(request)
    return await found if inspect.isawaitable(found) else found


def _settled(waiting: Later) -> Any:
    async def wait() -> Any:
        return await waiting

    return waiting if in_event_loop() else async_to_sync(wait)()


def address_of(request: HttpRequest, proxies: int) -> str:
    """Say by which address *request* is counted."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR")
    return client_address(
        request.META.get("REMOTE_ADDR") or None, () if forwarded is None else (forwarded,), proxies=proxies
    )


class RequestView:
    """
    ``request.entitlements``: the `TenantView` of the request, looked for when it is first asked.

    In a coroutine ``await request.entitlements`` gives the view itself, also where it has to be waited for.
    """

    __slots__ = ("_binding",)

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            # Copying and templates ask for much; nobody is looked for by that.
            raise AttributeError(name)
        view = self._binding.view
        view.require_young()
        return getattr(view, name)

    def __await__(self) -> Generator[Any, Any, TenantView]:
        return self._binding.found_async().__await__()

    def __repr__(self) -> str:
        return f"<entitlements of {self._binding.view.tenant!r}>" if self._binding.is_found else "<entitlements>"
