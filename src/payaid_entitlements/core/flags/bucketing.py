"""
Where somebody stands in a flag: whose id is hashed, as functions that are made once for each flag.

The bytes are those of `payaid_entitlements.core.flags.hashed`. A hash ``h`` is within a share of *parts* when
``(h * PARTS) >> 32 < parts``, which is ``h < threshold(parts)``: one comparison, and it shows that a growing share
loses nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from payaid_entitlements.core.flags.coercion import text
from payaid_entitlements.core.flags.context import TARGETING_KEY, FlagContext
from payaid_entitlements.core.flags.hashed import arm_bytes, exposure_bytes, group_bytes
from payaid_entitlements.core.flags.hashing import murmur3
from payaid_entitlements.core.flags.model import Flag

#: Gives a hash of 32 bits; None where there is no id to hash. The empty text is none.
Position: TypeAlias = Callable[[FlagContext], int | None]


def identify(flag: Flag, context: FlagContext) -> str | None:
    """Find the id that *flag* buckets by, or that of its fallback; None where there is none, or an empty one."""
    found = _id(flag.bucket_by, context)
    if found is None and flag.fallback is not None:
        return _id(flag.fallback, context)
    return found


def whose(flag: Flag, context: FlagContext) -> str | None:
    """Find the id for those who only tell of it: None also where what the host said of it cannot be read."""
    try:
        return identify(flag, context)
    except Exception:  # attributes come from the host, and may be anything
        return None


def _id(by: str, context: FlagContext) -> str | None:
    if by == "tenant":
        return context.tenant or None
    if by == "user" and (context.user is not None or context.user_text is None):
        return context.user or None
    if by == "user":
        # An id that nobody has verified: it is no user, and still chooses a bucket.
        by = TARGETING_KEY
    found: object = context.attributes
    for name in by.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    # A whole number counts as it is written, as flagd's `cat` has it; a truth value identifies nobody.
    if isinstance(found, int) and not isinstance(found, bool):
        return text(found)
    if isinstance(found, float) and found.is_integer():
        return text(found)  # other languages read 5.0 as 5
    return found if isinstance(found, str) and found else None


def exposed(flag: Flag) -> Position:
    """Make the function that says where somebody stands in a rollout of *flag*."""
    salt, key = flag.salt or flag.key, flag.key
    if salt == key and flag.bucket_by in ("tenant", "user") and flag.fallback is None:
        return _of_user(prefix(key)) if flag.bucket_by == "user" else _of_tenant(prefix(key))
    return _position(flag, lambda identity: exposure_bytes(salt, key, identity))


def prefix(key: str) -> bytes:
    """What `exposure_bytes` begins with, for a flag whose salt is its key; the CBOR text of the id follows."""
    return exposure_bytes(key, key, "")[:-1]


def armed(flag: Flag) -> Position:
    """Make the function that says where somebody stands among the arms of *flag*."""
    salt = flag.salt or flag.key
    return _position(flag, lambda identity: arm_bytes(salt, identity))


def grouped(flag: Flag, group: str) -> Position:
    """Make the function that says where somebody stands in *group*, by the id that *flag* buckets by."""
    return _position(flag, lambda identity: group_bytes(group, identity))


def _of_tenant(prefix: bytes) -> Position:
    def position(context: FlagContext) -> int | None:
        text = context.tenant_text
        return None if text is None else murmur3(prefix + text)

    return position


def _of_user(prefix: bytes) -> Position:
    def position(context: FlagContext) -> int | None:
        text = context.user_text
        return None if text is None else murmur3(prefix + text)

    return position


def _position(flag: Flag, written: Callable[[str], bytes]) -> Position:
    def position(context: FlagContext) -> int | None:
        identity = identify(flag, context)
        return None if identity is None else murmur3(written(identity))

    return position
