"""Finding an attribute by its path in JSON data, as JavaScript finds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Longer numbers are no index of anything.
_LONGEST_INDEX: Final = 9


def reach(data: object, path: tuple[str, ...]) -> object:
    """
    Follow *path* into *data*; None where it leads nowhere.

    Lists and texts have elements by number, from 0 on and without leading zeros, and a ``length``.
    """
    for name in path:
        if isinstance(data, Mapping):
            data = data.get(name)
        elif isinstance(data, list | tuple | str):
            data = len(data) if name == "length" else _element(data, name)
        else:
            return None
    return data


def _element(data: list[object] | tuple[object, ...] | str, name: str) -> object:
    if len(name) > _LONGEST_INDEX or not (name.isascii() and name.isdigit()) or (name[0] == "0" and name != "0"):
        return None
    index = int(name)
    return data[index] if index < len(data) else None
