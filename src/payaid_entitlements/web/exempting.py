"""Routes that are open on purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

F = TypeVar("F", bound=Callable[..., object])

_MARK: Final = "__payaid_exempt__"


def exempt(endpoint: F) -> F:
    """Mark a route as open on purpose, below its route decorator: login, health, billing, webhooks."""
    setattr(endpoint, _MARK, True)
    return endpoint


def is_exempt(endpoint: object) -> bool:
    """Is it open on purpose?"""
    return getattr(endpoint, _MARK, False) is True


def is_exempt_class(view: type) -> bool:
    """Is just this class open on purpose? One that is made of it has to say so itself."""
    return vars(view).get(_MARK) is True
