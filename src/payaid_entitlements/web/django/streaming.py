"""A stream that a guard may still refuse: asked before the response begins, and not with its first piece."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, cast

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase

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
        first = await anext(stream)
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
