"""
Streams: what a guard may still refuse is asked before the response begins, and not with its first piece; and all
pieces see the tenant of the request, though they are made when the middleware has long returned.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextvars import copy_context
from functools import partial
from typing import Any, cast

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase

from payaid_entitlements.binding import CURRENT, Binding
from payaid_entitlements.guards.delegating import after


async def begun(response: HttpResponseBase) -> None:
    """
    Take the first piece of a stream that is a guarded asynchronous generator, whose guard is asked by that.

    What else streams is left alone: its first piece may be long in coming.

    Raises:
        Refused, StoreUnavailable, TenantUnidentified: The guard lets nobody pass.
    """
    if not isinstance(response, StreamingHttpResponse) or not response.is_async:
        return
    pieces: Any = response._iterator  # type: ignore[attr-defined]  # what streaming_content gives is wrapped
    if getattr(pieces, "ag_code", None) is not after.__code__:
        return
    stream = cast("AsyncGenerator[Any, None]", pieces)
    try:
        first = await _next(stream)
    except StopAsyncIteration:
        return
    response.streaming_content = _resumed(first, stream)


async def _resumed(first: Any, stream: AsyncGenerator[Any, None]) -> AsyncIterator[Any]:
    try:
        yield first
        async for piece in stream:
            yield piece
    finally:
        await stream.aclose()


def bind_stream(response: HttpResponseBase, binding: Binding) -> None:
    """
    Let *binding* be current while a piece of *response* is made, and at its end, also where it is broken off.

    A file has nobody who could ask.
    """
    if not isinstance(response, StreamingHttpResponse) or getattr(response, "file_to_stream", None) is not None:
        return
    pieces: Any = response._iterator  # type: ignore[attr-defined]  # what streaming_content gives closes nothing
    closers = response._resource_closers  # type: ignore[attr-defined]  # the one of a generator has no name elsewhere
    closers[:] = [partial(_closed, binding, closer) for closer in closers]
    response.streaming_content = _bound_async(binding, pieces) if response.is_async else _bound(binding, pieces)


def _closed(binding: Binding, closer: Callable[[], object]) -> None:
    token = CURRENT.set(binding)
    try:
        closer()
    finally:
        CURRENT.reset(token)


# Bound and put back around each piece: between two of them whoever reads may serve other requests.


def _bound(binding: Binding, pieces: Iterator[Any]) -> Iterator[Any]:
    while True:
        token = CURRENT.set(binding)
        try:
            piece = next(pieces)
        except StopIteration:
            return
        finally:
            CURRENT.reset(token)
        yield piece


async def _bound_async(binding: Binding, pieces: AsyncIterator[Any]) -> AsyncIterator[Any]:
    while True:
        token = CURRENT.set(binding)
        try:
            piece = await _next(pieces)
        except StopAsyncIteration:
            return
        finally:
            CURRENT.reset(token)
        yield piece


def _next(pieces: AsyncIterator[Any]) -> Awaitable[Any]:
    """
    Ask for a piece; and let what is bound now be bound too when a generator is closed that nobody reads to its end.

    Django closes none, so the event loop does, whenever it is collected. By whom it remembers from the first piece on.
    """
    hooks = sys.get_asyncgen_hooks()
    close, bound = hooks.finalizer, copy_context()
    if close is None:
        return anext(pieces)
    sys.set_asyncgen_hooks(finalizer=lambda left: bound.run(close, left))
    try:
        return anext(pieces)
    finally:
        sys.set_asyncgen_hooks(*hooks)
