"""
Buckets: which of so many positions an id has. The same in every language that speaks flagd's ``fractional``.

MurmurHash3, x86, 32 bits, seed 0, unsigned, of bytes; a position is ``(hash * weights) >> 32``, from 0 on.

- v3 hashes deterministic CBOR: of the list ``[salt, id]``, or of a value alone.
- v2 hashes UTF-8: of salt and id with nothing between them, so that "a", "bc" and "ab", "c" are the same.

What a flag of ours hashes is in `payaid_entitlements.core.flags.hashed`.
"""

# Do not change the hash, the bytes or the arithmetic: any change moves tenants between buckets and silently flips who
# has the feature. Pinned by the golden values in tests/core/flags/test_hashing.py.

from __future__ import annotations

from typing import Final

from mmh3 import mmh3_32_uintdigest

from payaid_entitlements.core.flags import cbor
from payaid_entitlements.core.flags.model import PARTS

#: Hash of bytes, 0 to 2**32 - 1.
murmur3: Final = mmh3_32_uintdigest

#: The greatest sum of weights, as in flagd.
MOST_WEIGHT: Final = 2**31 - 1


def position(hashed: int, weights: int = PARTS) -> int:
    """Where a hash stands among *weights* positions, from 0 on."""
    return (hashed * weights) >> 32


def threshold(weight: int, weights: int = PARTS) -> int:
    """
    The first hash that is not among the first *weight* of *weights* positions.

    ``position(h, weights) < weight`` is ``h * weights < weight * 2**32`` is ``h < threshold(weight, weights)``: one
    comparison, and it shows that growing *weight* throws nobody out.
    """
    return -(-(weight << 32) // weights)


def keyed(salt: str) -> bytes:
    """What comes before the CBOR text of an id where v3 hashes ``[salt, id]``."""
    return b"\x82" + cbor.text(salt)
