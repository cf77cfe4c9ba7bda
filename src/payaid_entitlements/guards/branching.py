"""Two ways to go: the function where its flags are on, else what its guard names, with the same arguments."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ParamSpec, TypeVar, cast

from payaid_entitlements.binding import current_tenant
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.guards.saying import Attributes, said

P = ParamSpec("P")
R = TypeVar("R")

_Coroutine = Coroutine[object, object, object]


class Kind(Enum):
    """How what a function gives is taken."""

    PLAIN = "a plain function"
    COROUTINE = "a coroutine function"
    ITEMS = "an asynchronous generator"


def is_coroutine_function(function: Callable[..., object]) -> bool:
    """
    Must what *function* gives be awaited?

    Also of a plain function that is marked so, as Django marks what it makes of an asynchronous class of views: before
    Python 3.12 only asyncio knows that mark.
    """
    if inspect.iscoroutinefunction(function):
        return True
    mark = getattr(function, "_is_coroutine", None)
    return mark is not None and mark is getattr(asyncio.coroutines, "_is_coroutine", None)


def kind_of(function: Callable[..., object]) -> Kind:
    """Tell what *function* itself is: what a decorator has made of it, not what is below."""
    if is_coroutine_function(function):
        return Kind.COROUTINE
    return Kind.ITEMS if inspect.isasyncgenfunction(function) else Kind.PLAIN


@dataclass(frozen=True, slots=True)
class Branch:
    """
    What is called instead where the flag *key* is not on.

    Attributes:
        attributes: What its rules may look at besides.
    """

    key: str
    otherwise: Callable[..., object]
    attributes: Attributes | None = None


def choosing(function: Callable[P, R], kind: Kind, branches: Sequence[Branch]) -> Callable[P, R]:
    """
    Call *function* where all flags of *branches* are on for the tenant that is bound, else the first one's other way.

    Raises:
        ConfigurationError: Another way is of another kind: what it gives could not be taken as what *function* gives.
    """
    for branch in branches:
        other = kind_of(branch.otherwise)
        # A plain one may give whatever is wanted.
        if other is not kind and other is not Kind.PLAIN:
            raise ConfigurationError(
                f"require_flag({branch.key!r}): {function.__qualname__} is {kind.value}, and otherwise= is "
                f"{other.value}; callers could not tell"
            )
    if kind is Kind.COROUTINE:
        return cast("Callable[P, R]", _awaited(cast("Callable[P, _Coroutine]", function), branches))

    @functools.wraps(function)
    def chosen(*args: P.args, **kwargs: P.kwargs) -> R:
        instead = _instead(branches, args, kwargs)
        return function(*args, **kwargs) if instead is None else cast("R", instead(*args, **kwargs))

    return chosen


def _awaited(function: Callable[P, _Coroutine], branches: Sequence[Branch]) -> Callable[P, _Coroutine]:
    @functools.wraps(function)
    async def chosen(*args: P.args, **kwargs: P.kwargs) -> object:
        instead = _instead(branches, args, kwargs)
        if instead is None:
            return await function(*args, **kwargs)
        found = instead(*args, **kwargs)
        return await found if inspect.isawaitable(found) else found

    return chosen


def _instead(
    branches: Sequence[Branch], args: Sequence[object], kwargs: Mapping[str, object]
) -> Callable[..., object] | None:
    view = current_tenant()
    for branch in branches:
        if not view.flag(branch.key, attributes=said(branch.attributes, args, kwargs)):
            return branch.otherwise
    return None
