"""A decision that has still to be awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payaid_entitlements.core.decision import Decision


class Pending:
    """
    A decision that has still to be awaited. It has no truth value and none of a decision's attributes.

    Unlike a coroutine it does not run, nor warn, when nobody awaits it: asking is not acting.
    """

    __slots__ = ("_begin",)

    def __init__(self, begin: Callable[[], Awaitable[Decision]]) -> None:
        self._begin = begin

    def __await__(self) -> Generator[object, None, Decision]:
        return self._begin().__await__()

    if not TYPE_CHECKING:

        def __bool__(self) -> bool:
            raise TypeError("this is not a Decision yet: await it, then use .allowed")
