"""Is a repeated operation the same act? Compared by a digest of what the caller asked, not of when."""

from __future__ import annotations

import hashlib
import json

from payaid_entitlements.stores.ports import Write


def digest(write: Write) -> str:
    """
    Summarise what was asked.

    A webhook that comes again is worked out at another instant and perhaps to other facts; what the caller asked is
    in ``write.detail["asked"]`` and stays the same. Without it what is to be stored stands for it.

    Returns:
        SHA-256, hexadecimal.
    """
    asked = write.detail["asked"] if "asked" in write.detail else _stored(write)
    text = json.dumps([write.verb, asked], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _stored(write: Write) -> object:
    return [
        [[list(fact.subject), fact.since, fact.value] for fact in write.facts],
        None if write.published is None else write.published.catalog.hash,
        None if write.controls is None else [dict(write.controls.modes), sorted(write.controls.killed)],
        write.erase,
    ]
