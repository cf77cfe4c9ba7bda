"""
What is hashed for whom, by a flag of ours: the one place that evaluating, explaining and exporting take it from.

Four decisions, four inputs that never meet: who is in, which arm, which place in a group, whom a mode of enforcement
reaches. All are deterministic CBOR (RFC 8949 4.2), hashed by MurmurHash3 (32 bits, seed 0) as flagd's third generation
of ``fractional`` does, so that a flag that is exported to flagd puts everybody where we put them.
"""

from __future__ import annotations

from payaid_entitlements.core.flags.cbor import text
from payaid_entitlements.core.flags.hashing import keyed


def exposure_bytes(salt: str, key: str, identity: str) -> bytes:
    """
    What says whether *identity* is in, in the flag *key*.

    A flag whose salt is its own key hashes the array ``[key, identity]``: flagd's default. With another salt that
    default would hash the wrong thing, and flagd hashes no array that is written out; so it is the text
    ``<salt>/<identity>`` then, which ``cat`` can make.
    """
    if salt == key:
        return keyed(key) + text(identity)
    return text(f"{salt}/{identity}")


def arm_bytes(salt: str, identity: str) -> bytes:
    """What says which arm *identity* gets: independent of whether it is in."""
    return text(f"{salt}/split/{identity}")


def stage_bytes(scope: str, tenant: str) -> bytes:
    """What says whether the mode of *scope* has reached *tenant*; a scope is a module, or everywhere."""
    return text(f"$enforcement/{scope}/{tenant}")


def group_bytes(group: str, identity: str) -> bytes:
    """What says where *identity* stands in a group that flags share: an exclusion or a holdout."""
    return text(f"$group/{group}/{identity}")
