"""How long a ledger remembers operations: in days, as URLs say it by ``?payaid_keep_operations=90d``."""

from __future__ import annotations

import re
from typing import Final

from payaid_entitlements.core.instant import DAY
from payaid_entitlements.errors import ConfigurationError

#: The option's name in URLs.
KEEP: Final = "payaid_keep_operations"

#: Microseconds, where nothing is said. Longer than a month, since what bills by the month is repeated after one.
KEPT: Final = 35 * DAY

_DAYS = re.compile(r"([0-9]{2,5})d")
_LEAST: Final = 32


def kept_for(text: str) -> int:
    """
    Read how long operations are kept.

    Returns:
        Microseconds.

    Raises:
        ConfigurationError: It is no number of days, from 32 to 99,999, and a ``d``.
    """
    found = _DAYS.fullmatch(text)
    if found is None or int(found[1]) < _LEAST:
        raise ConfigurationError(f"{KEEP}={text!r}: write days, at least {_LEAST}, as in {KEEP}=90d")
    return int(found[1]) * DAY
