"""What is hashed for whom."""

from __future__ import annotations

from payaid_entitlements.core.flags.hashed import arm_bytes, exposure_bytes, group_bytes
from tests.core.flags.conformance import outside_json


def test_a_flag_whose_salt_is_its_key_hashes_what_flagd_hashes_by_default() -> None:
    pairs = outside_json("golden/bucketing.json")["pairs"]
    assert len(pairs) == 200
    for pair in pairs:
        key = pair["flagKey"]
        assert exposure_bytes(key, key, pair["targetingKey"]).hex() == pair["v3_cbor_hex"]


def test_another_salt_is_written_before_the_id() -> None:
    assert exposure_bytes("2026", "checkout", "acme") == b"\x692026/acme"


def test_arms_and_groups_are_hashed_apart() -> None:
    assert arm_bytes("checkout", "acme") == b"\x73checkout/split/acme"
    assert group_bytes("ads", "acme") == b"\x6f$group/ads/acme"
