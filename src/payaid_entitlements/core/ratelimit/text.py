"""A counter's state as text: its numbers in decimal, joined by one space, the same in Redis and in databases."""

from __future__ import annotations

import re
from typing import Final

from payaid_entitlements.core.ratelimit.policy import State

_TEXT: Final = re.compile(r"[0-9]{1,16}(?: [0-9]{1,16})*")


def encode(state: State) -> str:
    """Write *state*; ``""`` for an empty one."""
    return " ".join(map(str, state))


def decode(text: str) -> State:
    """Read a state. What no limiter has written counts as empty: a counter that is lost harms less than one stuck."""
    if not _TEXT.fullmatch(text):
        return ()
    state = tuple(map(int, text.split(" ")))
    return state if max(state) < 2**53 else ()
