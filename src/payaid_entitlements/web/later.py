"""What is found now in an app that never waits, and must be awaited in one that does: the same steps for both."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator
from types import NoneType
from typing import Any, Final


class Later:
    """
    A step that is taken when something has been awaited.

    Unlike a coroutine that waits for another one it can be closed before it has begun, and closes that one too: nothing
    is left behind where it turns out that nobody can wait.
    """

    __slots__ = ("_pending", "_step")

    def __init__(self, pending: Awaitable[Any], step: Callable[[Any], Any]) -> None:
        self._pending = pending
        self._step = step

    def __await__(self) -> Generator[Any, Any, Any]:
        """Take the step, and await what it gives where that is to be awaited in turn."""
        found = self._step((yield from self._pending.__await__()))
        return (yield from found.__await__()) if is_pending(found) else found

    def close(self) -> None:
        """Never take the step."""
        close(self._pending)


def then(found: Any, step: Callable[[Any], Any]) -> Any:
    """Take *step* with what was *found*, now or when it has been awaited."""
    return Later(found, step) if is_pending(found) else step(found)


#: What is most often found, and never awaited: asking `inspect` of them would cost more than all else.
_PLAIN: Final = (str, dict, NoneType)


def is_pending(found: object) -> bool:
    """Must *found* be awaited?"""
    return not isinstance(found, _PLAIN) and inspect.isawaitable(found)


def close(pending: Awaitable[Any]) -> None:
    """Let what nobody will await end without a warning."""
    if isinstance(pending, Later) or inspect.iscoroutine(pending):
        pending.close()
