"""
A plugin of coverage.py that keeps CPython 3.11 from hanging when threads end while it traces.

To tell greenlets apart, coverage keeps what it knows of each in a `weakref.WeakKeyDictionary`. When a thread ends,
greenlet drops those of it from within a pending call of the main thread, and the dictionary's callback, which is
written in Python, is traced. If another thread ends meanwhile, the interpreter is asked to make that pending call too,
refuses since one is being made, and looks again before the same instruction, for ever. A callback that is not written
in Python has no instruction to look before.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, MutableMapping
from typing import Any


class WeakKeys(MutableMapping[Any, Any]):
    """A `weakref.WeakKeyDictionary` as far as coverage uses one; what is dead is removed by `dict.pop` itself."""

    def __init__(self) -> None:
        self._kept: dict[weakref.ref[Any], Any] = {}

    def __getitem__(self, key: Any) -> Any:
        return self._kept[weakref.ref(key)]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._kept[weakref.ref(key, self._kept.pop)] = value

    def __delitem__(self, key: Any) -> None:
        del self._kept[weakref.ref(key)]

    def __iter__(self) -> Iterator[Any]:
        return (key for one in list(self._kept) if (key := one()) is not None)

    def __len__(self) -> int:
        return len(self._kept)


def coverage_init(registry: object, options: object) -> None:
    """Called by coverage before it traces anything; each of its tracers looks the class up when it begins."""
    weakref.WeakKeyDictionary = WeakKeys  # type: ignore[misc, assignment]
