"""
``yield from`` of an asynchronous generator, which the language does not have.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeAlias

Items: TypeAlias = AsyncGenerator[object, object]


async def after(
    first: Callable[[], Awaitable[object]],
    begin: Callable[[], Items],
    failed: Callable[[], Awaitable[object]] | None = None,
) -> Items:
    """
    Give what *begin* gives, after *first* (PEP 380, PEP 525).

    Args:
        failed: Awaited when it ends with an error; not when its reader stops in the middle.
    """
    await first()
    inner = begin()
    try:
        item = await anext(inner)
        while True:
            try:
                sent = yield item
            except GeneratorExit:
                raise
            except BaseException as error:
                item = await inner.athrow(error)
            else:
                item = await inner.asend(sent)
    except StopAsyncIteration:
        return
    except GeneratorExit:
        raise
    except BaseException:
        if failed is not None:
            await failed()
        raise
    finally:
        await inner.aclose()
