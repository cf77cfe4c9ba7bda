"""Guards that somebody puts around a method anew for each call, as `method_decorator` of Django does."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar, cast

from payaid_entitlements.guards.branching import is_coroutine_function

P = ParamSpec("P")
R = TypeVar("R")


def of_method(method: functools.partial[R]) -> Callable[..., R]:
    """
    Make a function of a bound *method* that somebody has put into a partial, so that it can have attributes.

    Its arguments are those of the call: ``self`` is none of them.
    """
    if is_coroutine_function(method.func):

        @functools.wraps(method.func)
        async def call_awaited(*args: object, **kwargs: object) -> object:
            return await cast("Callable[..., Awaitable[object]]", method)(*args, **kwargs)

        return cast("Callable[..., R]", call_awaited)

    @functools.wraps(method.func)
    def call(*args: object, **kwargs: object) -> R:
        return method(*args, **kwargs)

    return call
