"""
The clock of the example: the real one, unless the demo moves it.

`payaid demo` shows in seconds what takes weeks. It shares eight bytes with the app: how many seconds the app's
clock is ahead. Your app leaves ``clock=`` out.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from collections.abc import Callable


def demo_clock() -> Callable[[], float]:
    """``time.time``, ahead by what the file that ``PAYAID_DEMO_CLOCK`` names says."""
    path = os.environ.get("PAYAID_DEMO_CLOCK")
    if not path:
        return time.time
    with open(path, "rb") as file:
        ahead = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    return lambda: time.time() + float(struct.unpack_from("<d", ahead)[0])
