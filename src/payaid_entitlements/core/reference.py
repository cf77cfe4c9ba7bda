"""
The reference of a refusal: a code that a customer can read out, and that says what was said.

It needs no storage: 26 characters of Crockford's base 32 hold the time to the second, the revision, the age of
the copy, the catalog, the reason, and fingerprints of tenant and feature by which they are found again. A
reference proves nothing and opens nothing; it only tells the operator where to look.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.identity import crockford, uncrockford
from payaid_entitlements.core.instant import MICROSECONDS, Instant

# The layout, from the most significant bit. Never change it: references are in old mails and tickets.
# Pinned by test_reference.py::test_a_reference_reads_the_same_for_ever.
_TENANT, _FEATURE, _SECONDS, _REVISION, _AGE, _CATALOG, _REASON = 28, 20, 34, 18, 6, 16, 8
_LETTERS = 26


@dataclass(frozen=True, slots=True)
class Reference:
    """
    What was said.

    Attributes:
        said_at: When, to the second.
        reason: Why; None when this version does not know the code.
        revision: The tenant's revision then, modulo 2**18.
        age: How old the copy was, in seconds, rounded up to a power of the square root of 2; 0 when it was just read.
        catalog: The first four hexadecimal digits of the catalog's hash.
        tenant, feature: Fingerprints; `matches` compares.
    """

    said_at: Instant
    reason: Reason | None
    revision: int
    age: float
    catalog: str
    tenant: int
    feature: int

    def is_tenant(self, tenant: str) -> bool:
        """May this be about *tenant*? One other tenant in 268 million has the same fingerprint."""
        return self.tenant == _fingerprint(tenant, _TENANT)

    def feature_among(self, keys: Iterable[str]) -> str | None:
        """The key of *keys* that this is about; None when it is none of them."""
        return next((key for key in keys if self.feature == _fingerprint(key, _FEATURE)), None)


def make_reference(
    *, tenant: str, feature: str, reason: Reason, at: Instant, revision: int, age: float, catalog_hash: str
) -> str:
    """
    Write what was said as a reference, in groups: ``7F3K-92QX-...``.

    Args:
        at: When it was said.
        age: Seconds since the copy was known to be true.
        catalog_hash: Hexadecimal, of the catalog that answered; empty when none was known.
    """
    number = 0
    for value, bits in (
        (_fingerprint(tenant, _TENANT), _TENANT),
        (_fingerprint(feature, _FEATURE), _FEATURE),
        (at // MICROSECONDS, _SECONDS),
        (revision, _REVISION),
        (_age_step(age), _AGE),
        (int(catalog_hash[:4] or "0", 16), _CATALOG),
        (_fingerprint(reason.value, _REASON), _REASON),
    ):
        number = number << bits | value & ((1 << bits) - 1)
    text = crockford(number, _LETTERS)
    return "-".join(text[start : start + 4] for start in range(0, _LETTERS, 4))


def read_reference(text: str) -> Reference:
    """
    Read a reference as somebody typed it: case, dashes and O for 0 do not matter.

    Raises:
        ValueError: It is none.
    """
    letters = "".join(text.split()).replace("-", "")
    if len(letters) != _LETTERS:
        raise ValueError(f"a reference has {_LETTERS} letters and digits; {text!r} has {len(letters)}")
    number = uncrockford(letters)
    found = {}
    for name, bits in (
        ("reason", _REASON),
        ("catalog", _CATALOG),
        ("age", _AGE),
        ("revision", _REVISION),
        ("seconds", _SECONDS),
        ("feature", _FEATURE),
        ("tenant", _TENANT),
    ):
        found[name] = number & ((1 << bits) - 1)
        number >>= bits
    return Reference(
        said_at=found["seconds"] * MICROSECONDS,
        reason=next((reason for reason in Reason if _fingerprint(reason.value, _REASON) == found["reason"]), None),
        revision=found["revision"],
        age=_age_of(found["age"]),
        catalog=f"{found['catalog']:04x}",
        tenant=found["tenant"],
        feature=found["feature"],
    )


def _fingerprint(text: str, bits: int) -> int:
    # Keys come from callers: half of a surrogate pair is no UTF-8, and refusing it must not fail.
    return int.from_bytes(hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:8]) >> (64 - bits)


def _age_step(age: float) -> int:
    """Steps of the square root of 2 from 1/16 s: 6 bits reach from there to two years."""
    step = 0
    while step < (1 << _AGE) - 1 and _age_of(step) < age:
        step += 1
    return step


def _age_of(step: int) -> float:
    return 0.0 if step == 0 else 2 ** (step / 2 - 4.5)
