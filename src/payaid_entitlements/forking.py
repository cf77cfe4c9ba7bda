"""
What a process must forget when it was forked: it believes nothing of its parent, and waits for no lock of it. And what
a parent must let go of before.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Final

#: Held around imports that are made when first something is asked, ``with IMPORTING:``. A fork waits for it: a child
#: that was forked while another thread imported would wait forever for that module.
IMPORTING: Final = threading.RLock()

if hasattr(os, "register_at_fork"):  # pragma: no branch # Windows has none
    os.register_at_fork(before=IMPORTING.acquire, after_in_parent=IMPORTING.release, after_in_child=IMPORTING.release)


def after_fork(method: Callable[[], None]) -> None:
    """Call the bound *method* in every forked child, as long as its object lives. Nothing happens without fork."""
    reference = weakref.WeakMethod(method)
    if hasattr(os, "register_at_fork"):  # pragma: no branch # Windows has none
        os.register_at_fork(after_in_child=lambda: call_if_alive(reference))


def before_fork(method: Callable[[], None]) -> None:
    """Call the bound *method* before every fork of this process, as long as its object lives."""
    reference = weakref.WeakMethod(method)
    if hasattr(os, "register_at_fork"):  # pragma: no branch # Windows has none
        os.register_at_fork(before=lambda: call_if_alive(reference))


def call_if_alive(reference: weakref.WeakMethod[Callable[[], None]]) -> None:
    """Call what *reference* refers to, unless it is gone."""
    method = reference()
    if method is not None:
        method()
