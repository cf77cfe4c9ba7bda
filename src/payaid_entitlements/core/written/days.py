"""Days as people write them."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from payaid_entitlements.core.written.plain import described

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def day(text: str) -> date:
    """
    Read a day: ``2027-03-31``.

    Raises:
        ValueError: It is none; the message says what to write instead.
    """
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise ValueError(f"write a day such as 2027-03-31, not {described(text)}")
