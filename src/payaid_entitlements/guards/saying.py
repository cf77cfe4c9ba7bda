"""What a guard tells the flag that it asks about a call: always the same, or made of the arguments of each call."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast

from payaid_entitlements.core.flags.asking import read_attributes

#: Attributes for rules to look at, or a function that makes them; where it gives None there are none.
Attributes: TypeAlias = Mapping[str, object] | Callable[..., Mapping[str, object] | None]


def attributes_of(given: object) -> Attributes | None:
    """
    Read what a guard was given.

    Raises:
        TypeError: It is neither a mapping of names nor a plain function.
        ConfigurationError: It is a mapping that cannot be read.
    """
    if given is None or isinstance(given, Mapping):
        return None if given is None else read_attributes(given)
    if not callable(given) or inspect.iscoroutinefunction(given):
        raise TypeError(
            f"attributes={given!r}: give a mapping of names (str) to JSON data, or a plain function that takes the "
            "arguments of the call and gives one"
        )
    return cast("Attributes", given)


def said(
    attributes: Attributes | None, args: Sequence[object], kwargs: Mapping[str, object]
) -> Mapping[str, object] | None:
    """Make the attributes of one call, by its arguments."""
    return attributes(*args, **kwargs) if callable(attributes) else attributes
