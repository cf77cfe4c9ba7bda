"""
Keys: their alphabet, that no two could be taken for one another, and that none comes back.

Modules, features and flags share one space, because a kill switch takes any of them. Plans,
add-ons and rate limits have a space each.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from payaid_entitlements.core.written.problems import Path
    from payaid_entitlements.core.written.reading import Reading

#: One part of a key. Small letters, because nobody tells `CRM` from `crm` when it is said aloud.
PART: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
#: What an override calls a rate limit: this, then its key.
RATE_LIMITS: Final = "rate_limits."


@lru_cache(maxsize=16_384)  # each new key is compared with all that there are
def folded(key: str) -> str:
    """Write *key* as environment variables and constants do, where ``.``, ``-`` and ``_`` are one."""
    return re.sub(r"[.-]", "_", key.lower())


def check_section(section: str, what: str, keys: Iterable[str], reading: Reading, *, parts: int = 1) -> None:
    """Check the keys of a *section* that has a space of its own; each has so many *parts* at most, joined by ``.``."""
    places: dict[str, Path] = {key: (section, key) for key in keys}
    for key, path in places.items():
        for part in key.split(".", parts - 1):
            check_part(part, what, path, reading)
    check_spellings(places, reading)


def check_part(key: str, what: str, path: Path, reading: Reading) -> None:
    """Check the alphabet and length of one part of a key."""
    if PART.fullmatch(key):
        return
    tidy = folded(key.strip()).replace(" ", "_")
    near = f"; write {tidy!r}" if PART.fullmatch(tidy) else ""
    message = (
        f"the {what} key {key[:80]!r} is not made of small letters, digits, `_` and `-`, "
        f"beginning with a letter, 64 at most{near}"
    )
    reading.findings.add("key.malformed", message, path)


def check_spellings(places: Mapping[str, Path], reading: Reading) -> None:
    """Refuse keys of one space that differ only by ``-``, ``_``, ``.`` or case."""
    seen: dict[str, str] = {}
    for key, path in places.items():
        first = seen.setdefault(folded(key), key)
        if first != key:
            line = reading.findings.line(places[first])
            message = (
                f"{key!r} is too like {first!r}{f' in line {line}' if line else ''}: both would be "
                f"{folded(key).upper()} as a constant or an environment variable; rename one"
            )
            reading.findings.add("key.confusable", message, path)


def check_retired(key: str, path: Path, reading: Reading) -> None:
    """Refuse a key that was retired."""
    if key in reading.retired:
        message = f"{key!r} was retired on {reading.retired[key]} and is never used again; take a new key"
        reading.findings.add("key.retired", message, path)
