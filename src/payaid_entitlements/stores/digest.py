"""Is a repeated operation the same act? Compared by a digest of what the caller asked, not of when."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from payaid_entitlements.core.controls import Controls, staged
from payaid_entitlements.core.flags.flag_set import to_json
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
        None if write.controls is None else _controls(write.controls),
        write.erase,
        # At the end, and only where there is one: what was stored before there were flags keeps its digest.
        *([] if write.flags is None else [to_json(replace(write.flags, revision=0))]),
    ]


def _controls(controls: Controls) -> list[object]:
    # Stages at the end, and only where there are some: as flags are.
    stages = {scope: staged(stage) for scope, stage in controls.stages.items()}
    return [dict(controls.modes), sorted(controls.killed), *([stages] if stages else [])]
