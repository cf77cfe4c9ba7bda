"""
A plugin of coverage.py by which it tells greenlets apart sooner, and without hanging CPython 3.11 when threads end.

Its tracer asks at every call and return which greenlet runs, and looks up what it knows of it in a
`weakref.WeakKeyDictionary`: code in Python. When a thread ends, greenlet drops those of it from within a pending call
of the main thread, and the dictionary's callback is traced; if another thread ends meanwhile, the interpreter is asked
to make that pending call too, refuses since one is being made, and looks again before the same instruction, for ever.
A dictionary that nothing calls back is read sooner and does not hang.
"""

from __future__ import annotations

import _thread
import sys
import weakref
from typing import Any

import coverage.tracer
from greenlet import _greenlet

_Original = weakref.WeakKeyDictionary
#: Threads start at once.
_swapping = _thread.allocate_lock()


class Greenlets(dict[Any, Any]):
    """What is known of each greenlet of a thread: of those that had not ended when the newest was met."""

    def __setitem__(self, greenlet: Any, known: Any) -> None:
        # Few live at a time. Whatever is no greenlet stays: another thread may ask for a dictionary at that moment.
        for ended in [one for one in self if getattr(one, "dead", False)]:
            del self[ended]
        super().__setitem__(greenlet, known)


class CTracer(coverage.tracer.CTracer):
    """The tracer of coverage, which makes its dictionary at the first call or return that it is told of."""

    def start(self) -> Any:
        started = super().start()
        with _swapping:
            weakref.WeakKeyDictionary = Greenlets  # type: ignore[misc, assignment]
            self(sys._getframe(), "return", None)
            weakref.WeakKeyDictionary = _Original  # type: ignore[misc]
        return started


def coverage_init(registry: object, options: object) -> None:
    """Called by coverage before it traces anything."""
    coverage.tracer.CTracer = CTracer  # type: ignore[misc]
    # Who was asked which greenlet runs has one; where a thread with one ends, greenlet searches all objects of the
    # process for who else refers to it, which took a sixth of the time of all tests.
    _greenlet.enable_optional_cleanup(False)
