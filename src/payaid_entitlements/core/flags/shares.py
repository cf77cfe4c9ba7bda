"""Shares as people write them, ``0.5%``: whole numbers of 1/100,000 (`PARTS`), exact, and never a float."""

from __future__ import annotations

import re
from typing import Final

from payaid_entitlements.core.flags.model import PARTS
from payaid_entitlements.core.written.plain import described

_PERCENT: Final = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,30}))?\s*%")
_ONE: Final = PARTS // 100


def parts(text: str, *, most: int = PARTS) -> int:
    """
    Read a percentage, from ``0%`` to ``100%``, in steps of 0.001 %.

    Raises:
        ValueError: It is none, finer than that, or above *most*.
    """
    found = _PERCENT.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"write a percentage such as `25%`, not {described(text)}")
    decimals = (found[2] or "").rstrip("0")
    if len(decimals) > 3:
        raise ValueError(f"{text!r} is finer than 0.001%, the smallest share")
    value = int(found[1]) * _ONE + int(decimals.ljust(3, "0"))
    if value > most:
        raise ValueError(f"{text!r} is more than {percent(most)}")
    return value


def percent(parts: int) -> str:
    """Write *parts* as the shortest percentage: ``25%``, ``0.5%``."""
    whole, rest = divmod(parts, _ONE)
    return f"{whole}.{rest:03}".rstrip("0").rstrip(".") + "%"
