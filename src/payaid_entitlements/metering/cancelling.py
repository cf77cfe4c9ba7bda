"""
Acts that are carried to their end although whoever waits for them is cancelled: else nobody would know what was taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def ended(act: Coroutine[Any, Any, T]) -> T:
    """
    Await *act* to its end.

    Raises:
        CancelledError: This task was cancelled meanwhile; *act* has ended nevertheless.
    """
    task, cancelled = await _ended(act)
    if cancelled is not None:
        raise cancelled
    return task.result()


async def begun(act: Coroutine[Any, Any, T], undo: Callable[[T], Coroutine[Any, Any, object]]) -> T:
    """Same as `ended`, but where this task was cancelled *undo* takes back what *act* did, as far as it can."""
    task, cancelled = await _ended(act)
    if cancelled is None:
        return task.result()
    if task.exception() is None:
        undone, _ = await _ended(undo(task.result()))
        undone.exception()  # marks it as seen: what could not be undone expires, or stays
    raise cancelled


async def _ended(act: Coroutine[Any, Any, T]) -> tuple[asyncio.Task[T], asyncio.CancelledError | None]:
    task = asyncio.get_running_loop().create_task(act)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    return task, cancelled
